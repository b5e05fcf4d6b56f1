"""How far the best design may be from the best there is: proved, and a better one taken where the proof meets it."""

import logging
from typing import Any

import torch

from dlco.exact import MachineEffort, MachineSearch
from dlco.journal import check_table, recorded
from dlco.optimize.phases.search import proved_design
from dlco.optimize.phases.shared import Run

log = logging.getLogger("dlco")


def prove(run: Run) -> None:
    """Bound the objective over all machines; the bound is in the state, and what is better than the best so far.

    By exact searches in boxes of machines, where they cover the layers; unless these prove what was asked for, by
    geometric programs too. Cut short, what is proved until then is kept. Where mappings may keep what they like, or be
    uneven, neither holds: then the work that no mapping avoids bounds them.
    """
    state = run.state
    state.report("bound", 0.0)
    if run.request.is_wide or (run.effort.exact and _search_machines(run)):
        return
    other = run.proofs(run.hardware, run.effort.bound)
    if other.value > (state.lower or 0.0):  # 0 says nothing
        state.lower, state.proof = other.value, ""


def _search_machines(run: Run) -> bool:
    """Search the boxes of machines as far as the effort goes; returns whether the gap asked for was reached."""
    request, state, best = run.request, run.state, run.best()
    search = MachineSearch(
        request.layers, request.hardware, request.objective, request.budget, request.constraints, request.imperfect
    )
    reason = search.why_not()
    if reason is not None:
        log.info("no exact search over machines, because %s", reason)
        return False
    search.begin_with(
        best.value(request.objective), [(layer.problem, best.mappings[layer.name]) for layer in request.layers]
    )
    effort = MachineEffort(run.effort.boxes.boxes, 0.0) if request.hardware.is_fixed else run.effort.boxes

    def tick(share: float) -> None:
        state.report("bound", share)
        if search.lower > 0:
            state.prove(min(search.lower, state.least))

    def work() -> dict[str, Any]:
        try:
            search.run(effort, tick)
        except KeyboardInterrupt:
            _keep(run, search.lower, search.boxes_looked)
            raise
        index = torch.tensor(search.index or (), dtype=torch.long)
        return {"lower": search.lower, "looked": search.boxes_looked, "index": index}

    def read(plain: dict[str, Any]) -> tuple[float, int, torch.Tensor]:
        if len(plain["index"]):
            grids = [len(parameter.grid) for parameter in request.hardware.parameters]
            check_table("index", plain["index"], (len(grids),), below=max(grids))
        return float(plain["lower"]), int(plain["looked"]), plain["index"]

    lower, looked, index = recorded(run.journal, "machines", work, read)
    if len(index):
        design = proved_design(run, index)
        log.info("bound: a better machine was met%s", "" if design is None else f", of {run.value(design):.6g}")
    _keep(run, lower, looked)
    return lower >= state.least * (1 - effort.gap) * (1 - 1e-9)


def _keep(run: Run, lower: float, looked: int) -> None:
    """Note what was proved."""
    state, size = run.state, run.hardware.size
    if lower > (state.lower or 0.0):
        machines = "" if run.hardware.is_fixed else f" on the best machines of {looked:,} boxes of all {size:,}"
        state.lower, state.proof = min(lower, state.least), f"proved by exact searches{machines}"
        log.info("bound: %s", state.proof)
