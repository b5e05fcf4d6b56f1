"""Where a search begins: earlier solutions, and solutions of the relaxed problem, their sizes and factors rounded."""

import logging
from collections.abc import Callable
from typing import Any

import torch

from dlco.journal import check_table
from dlco.optimize.phases.shared import Run
from dlco.relax import Relaxed, relax, round_factors, round_sizes
from dlco.search.designs import Starts
from dlco.search.earlier import sizes_of, starts_of
from dlco.search.score import BROKEN

log = logging.getLogger("dlco")


def begin(run: Run) -> tuple[torch.Tensor, Starts]:
    """Real sizes `[starts, parameters]` and mappings to begin from, the most promising first.

    Both are those of earlier solutions and of the relaxed problem, whose factors are rounded; some random mappings
    join them.
    """
    run.state.report("relax", 0.0)
    done = run.journal.recall("begin", lambda content: _read(run, content)) if run.journal else None
    if done:
        for totals in done[2]:
            run.state.history.note("relax", relaxed=run.objective(*totals))
        return done[:2]
    stages: list[tuple[float, float, float]] = []

    def report(energy_pj: float, cycles: float, area_mm2: float) -> None:
        stages.append((energy_pj, cycles, area_mm2))
        run.state.history.note("relax", relaxed=run.objective(*stages[-1]))

    sizes = [sizes_of(solution.architecture, run.hardware) for solution in run.earlier]
    starts = [starts_of(solution, run.groups) for solution in run.earlier]
    if run.effort.starts:
        found = _relaxed(run, report)
        sizes, starts = sizes + found[0], starts + found[1]
    table = torch.stack(sizes) if sizes else torch.zeros(0, len(run.hardware.parameters))
    together = Starts.join([*starts, run.random_starts(8)])
    if run.journal:
        run.journal.record("begin", {"sizes": table, "starts": dict(vars(together)), "relaxed": stages})
    return table, together


def _read(run: Run, content: dict[str, Any]) -> tuple[torch.Tensor, Starts, list[list[float]]]:
    """(sizes, mappings, totals on the way there) that a run recorded of where it begins.

    Raises:
        ValueError: they are of another kind, as in a damaged file.
    """
    check_table("sizes", content["sizes"], (None, len(run.hardware.parameters)))
    stages = [[float(total) for total in totals] for totals in content["relaxed"]]
    if any(len(totals) != 3 for totals in stages):
        raise ValueError("relaxed has other figures than three")
    return content["sizes"], Starts.from_plain(content["starts"], run.groups), stages


def _relaxed(run: Run, report: Callable[[float, float, float], None]) -> tuple[list[torch.Tensor], list[Starts]]:
    """(real sizes `[parameters]`, mappings rounded for them) of the relaxed problem's solutions, the best first.

    Both are empty where its numbers are beyond float64, as with energies near the largest. `report` is told energy,
    cycles and area of the best after each stage, see `relax`.
    """
    try:
        relaxed = relax(
            run.groups,
            run.hardware,
            run.score,
            run.designs.counts,
            starts=run.effort.starts,
            generator=run.generator("relax"),
            rounds=run.effort.relax_rounds,
            report=report,
        )
    except torch.linalg.LinAlgError as error:
        log.warning("the relaxed problem is left out: %s", str(error).split(":")[0])
        return [], []
    log.info("relaxed: value %s, violation %s", relaxed.value.tolist(), relaxed.violation.tolist())
    order = (relaxed.value + torch.where(relaxed.violation > 1e-2, BROKEN, 0.0)).argsort().tolist()
    return list(relaxed.sizes[order].cpu()), [_rounded(run, relaxed, start) for start in order]


def _rounded(run: Run, relaxed: Relaxed, start: int) -> Starts:
    """Roundings of one relaxed solution's mappings, for its machine rounded to the grid."""
    copies, generator = run.effort.roundings, run.generator("round", start)
    machine = run.machine(on_the_grid(run, relaxed.sizes[start].cpu()))
    assignment, position = [], []
    for group, logs, places in zip(run.groups, relaxed.logs, relaxed.position, strict=True):
        assignment.append(round_factors(group, logs[start : start + 1], copies, generator, machine=machine)[0])
        position.append(places[start][:, None].expand(-1, copies, -1, -1))
    return Starts(assignment, position, float(relaxed.rate[start]))


def on_the_grid(run: Run, sizes: torch.Tensor) -> torch.Tensor:
    """Grid indices `[parameters]` of the machine within the limits that is nearest to real sizes."""
    return round_sizes(run.hardware, sizes, run.score.machine_excess)
