"""`solve` on a fixed machine where the exact search covers every layer: the proved optimum, or the best so far.

Each distinct layer's exact front is searched for by itself; the best choice of a point a layer is then the network's
optimum, and its own lower bound. Cut short, layers whose front is not proved contribute the bounds of what was left,
and layers not yet begun what a brief search finds and the work that no mapping avoids. So do layers that even the
widest pass of the exact search leaves something of.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import compress
from typing import Any

import torch

from dlco.bound.compulsory import layer_floors
from dlco.cost.model import evaluate
from dlco.design.budget import Budget
from dlco.design.objective import Objective
from dlco.design.solution import Solution
from dlco.errors import DlcoError, NotSupported
from dlco.exact.case import Case
from dlco.exact.combine import best_points
from dlco.exact.covered import why_not_covered
from dlco.exact.enumerate import LayerFront
from dlco.exact.optimal import OptimalFront, begin_search, found_by, least_value, so_often, widened
from dlco.hardware.architecture import Architecture
from dlco.hardware.space import HardwareSpace
from dlco.interrupts import held
from dlco.journal import Journal, check_table, fingerprint, recorded
from dlco.mapping.checks import check_mapping
from dlco.mapping.mapping import Mapping, MappingBatch
from dlco.optimize.effort import SolveEffort
from dlco.optimize.finish import Costed, finish
from dlco.optimize.request import Request
from dlco.optimize.state import State
from dlco.progress import Listener, silent
from dlco.tasks import single_thread
from dlco.workload.layer import Layer
from dlco.workload.problem import Problem

log = logging.getLogger("dlco")

Brief = Callable[[tuple[Layer, ...]], dict[str, Mapping]]


def why_not_proved(request: Request) -> str | None:
    """Why the exact search does not answer a request, in words that follow "because"; None where it does."""
    if not request.hardware.is_fixed:
        return "the machine is free"
    if min(request.objective.powers) < 0 or request.budget.power_w is not None:
        return "slower is better where mean power counts"
    return why_no_fronts(request)


def why_no_fronts(request: Request) -> str | None:
    """Why the exact search has no fronts of a request's layers on its fixed machine, likewise."""
    reasons = (why_not_covered(_case(request, layer.problem)) for layer in request.layers)
    return next((reason for reason in reasons if reason), None)


def _case(request: Request, problem: Problem) -> Case:
    return Case(
        problem, request.hardware.base, request.constraints, request.imperfect, request.keep_free, request.uneven
    )


def solve_exactly(
    request: Request, effort: SolveEffort, listener: Listener, journal: Journal | None, brief: Brief
) -> Solution | None:
    """The proved optimum of a request that `why_not_proved` lets pass; the best so far where it is interrupted.

    None where it is proved that no mapping keeps the budget: a search then tells why.

    Args:
        request: the question.
        effort: its `batches`; kept with the solution.
        listener: told how it gets on.
        journal: where proved fronts are kept.
        brief: finds some mapping of each of the layers that it is given, by name; asked for those that an interrupt
            leaves without any.

    Raises:
        NotSupported: a layer has no mapping that meets the constraints and fits the machine, or none was found.
    """
    state, fronts = State(listener), Fronts(request, effort.batches)
    with held() as state.interrupts, single_thread():
        try:
            with state.interrupts.heard():
                fronts.search(journal, lambda share: state.report("search", share))
        except KeyboardInterrupt:
            state.interrupted = True
            log.warning("interrupted; returning the best design so far")
            fronts.begin(brief)
        return state.interrupts.insist(lambda: best_choice(fronts, effort, state))


def solve_on(
    machine: HardwareSpace,
    request: Request,
    effort: SolveEffort,
    journal: Journal | None,
    report: Callable[[], None],
) -> Solution | None:
    """The proved optimum of a request on one machine of its hardware, of factors that divide the bounds.

    None where the exact search does not cover it, or where no mapping fits or keeps the budget there. `report` is
    called now and then.

    Raises:
        KeyboardInterrupt: it was interrupted.
    """
    if why_not_proved(replace(request.plain, hardware=machine)):
        return None
    fronts = fronts_on(machine, request.plain, effort, journal, report)
    return None if fronts is None else best_choice(fronts, effort, State(silent))


def fronts_on(
    machine: HardwareSpace,
    request: Request,
    effort: SolveEffort,
    journal: Journal | None,
    report: Callable[[], None],
) -> "Fronts | None":
    """The fronts of a request's layers on one machine of its hardware, of factors that divide the bounds.

    None where the exact search does not cover one, or nothing fits. Arguments and errors as `solve_on`.
    """
    asked = replace(request, hardware=machine, imperfect=False, widens=False)
    if not effort.exact or why_no_fronts(asked):
        return None
    fronts = Fronts(asked, effort.batches)
    try:
        fronts.search(journal, lambda share: report())
    except NotSupported:
        return None
    return fronts


@dataclass(frozen=True)
class Fronts:
    """What is known of the mappings of each distinct layer of a request on its machine.

    Attributes:
        request: the question, of a fixed machine.
        batches: of the search of one layer at most; what is left then is bounded.
        optima: by the layer's problem.
    """

    request: Request
    batches: int
    optima: dict[Problem, OptimalFront] = field(default_factory=dict)

    @property
    def machine(self) -> Architecture:
        """The machine."""
        return self.request.hardware.base

    @property
    def missing(self) -> tuple[Layer, ...]:
        """A layer of every problem of which nothing is known."""
        problems = {layer.problem: layer for layer in self.request.layers}
        return tuple(layer for problem, layer in problems.items() if problem not in self.optima)

    def search(self, journal: Journal | None, report: Callable[[float], None]) -> None:
        """Search every front; cut short, those until then are known, and of the one under way what was found."""
        problems = [layer.problem for layer in self.missing]
        for number, problem in enumerate(problems):
            report(number / len(problems))
            search = partial(self._search, problem, partial(report, (number + 0.5) / len(problems)))
            asked = fingerprint((_case(self.request, problem), self.request.widens))
            name, read = f"front {asked}", partial(unpacked, problem, self.machine)
            self.optima[problem] = recorded(journal, name, search, read)

    def _search(self, problem: Problem, report: Callable[[], None]) -> dict[str, Any]:
        case = _case(self.request, problem)
        search, is_left = begin_search(case), so_often(self.batches)

        def go_on() -> bool:
            report()
            return is_left()

        try:
            search.run(go_on)
            if self.request.widens:
                search = widened(case, search, go_on)
        except KeyboardInterrupt:
            self.optima[problem] = found_by(search)
            raise
        return packed(problem, found_by(search))

    def begin(self, brief: Brief) -> None:
        """End the search here, with some mapping of each layer of which nothing is known."""
        missing = self.missing
        try:
            mappings = brief(missing) if missing else {}
        except DlcoError:
            if not self.request.keep_free:
                raise
            for layer in missing:  # some layer does not fit as stated
                self.optima[layer.problem] = found_by(begin_search(_case(self.request, layer.problem)))
            return
        for layer in missing:
            self.optima[layer.problem] = _begun(layer, self.request, mappings[layer.name])


def best_choice(fronts: Fronts, effort: SolveEffort, state: State) -> Solution | None:
    """The best choice of a point a layer; None where the search went to its end and there is none."""
    request, machine, optima = fronts.request, fronts.machine, fronts.optima
    points = {problem: found.front for problem, found in optima.items()}
    best = best_points(request.layers, points, machine, request.objective, request.budget)
    if best is None and not state.interrupted:
        return None
    best = best or best_points(request.layers, points, machine, request.objective, Budget())
    assert best is not None
    chosen = zip(request.layers, best.chosen, strict=True)
    mappings = {layer.name: points[layer.problem].mappings[k] for layer, k in chosen}
    return finish(
        request,
        effort,
        state,
        Costed.of(request.layers, machine, mappings),
        lower=_lower(fronts),
        evaluations=sum(front.evaluated for front in points.values()),
        proved=all(found.proved for found in optima.values()),
    )


def _lower(fronts: Fronts) -> float | None:
    """What no choice of mappings within the budget goes below, as `NetworkCost.objective`; None where there is none."""
    request, machine = fronts.request, fronts.machine
    least = least_value(request.layers, fronts.optima, machine, request.objective, request.budget)
    if least is None:
        return None
    if request.objective is Objective.AREA:  # no mapping changes it
        return machine.area_mm2
    return least * request.objective.unit_of_product(machine.cycle_s) * (1 - 1e-12)


def no_bounds() -> torch.Tensor:
    """`[0, 2]` bounds of what is left where nothing is."""
    return torch.zeros(0, 2, dtype=torch.float64)


def _begun(layer: Layer, request: Request, mapping: Mapping) -> OptimalFront:
    """What is known of a layer before its search: some mapping, and the compulsory work."""
    cost = evaluate(layer, request.hardware.base, mapping)
    floor = layer_floors([layer], request.hardware, request.free_levels)[0]
    front = LayerFront(cost.energy_pj[None], cost.cycles[None], (mapping,), 1)
    return OptimalFront(front, torch.tensor([[floor.energy, floor.cycles]], dtype=torch.float64))


def packed(problem: Problem, found: OptimalFront) -> dict[str, Any]:
    """A front whose search ended as tensors and numbers."""
    front = found.front
    names = [space.name for space in problem.dataspaces]
    batches = [MappingBatch.stack([mapping], torch.int64) for mapping in front.mappings]
    return {
        "levels": [list(batch.levels) for batch in batches],
        "factors": [batch.factors for batch in batches],
        "order": [batch.order for batch in batches],
        "spatial_order": [batch.spatial_order for batch in batches],
        "bypass": [torch.tensor([[int(name in out) for name in names] for out in batch.bypass]) for batch in batches],
        "energy_pj": front.energy_pj,
        "cycles": front.cycles,
        "evaluated": front.evaluated,
        "open": found.open,
    }


def unpacked(problem: Problem, machine: Architecture, plain: dict[str, Any]) -> OptimalFront:
    """The front that `packed` made tensors of."""
    dims, n = len(problem.dimensions), len(plain["cycles"])
    spaces = [space.name for space in problem.dataspaces]
    for name in ("energy_pj", "cycles"):
        check_table(name, plain[name], (n,))
    check_table("open", plain["open"], (None, 2))
    tables = [plain[name] for name in ("levels", "factors", "order", "spatial_order", "bypass")]
    mappings = []
    for names, factors, order, spatial_order, bypass in zip(*tables, strict=True):
        levels = len(names)
        check_table("factors", factors, (1, levels, 3, dims))
        check_table("order", order, (1, levels, dims), below=dims)
        check_table("spatial_order", spatial_order, (1, levels, dims), below=dims)
        check_table("bypass", bypass, (levels, len(spaces)), below=2)
        out = tuple(frozenset(compress(spaces, row)) for row in bypass.tolist())
        batch = MappingBatch(problem.dimensions, tuple(names), out, factors, order, spatial_order)
        mappings.append(batch.mapping(0))
        check_mapping(problem, machine, mappings[-1])
    if len(mappings) != n:
        raise ValueError(f"there are {len(mappings)} mappings of {n} points")
    front = LayerFront(plain["energy_pj"], plain["cycles"], tuple(mappings), int(plain["evaluated"]))
    return OptimalFront(front, plain["open"])
