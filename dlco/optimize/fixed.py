"""`solve` on a fixed machine where the exact search covers every layer: the proved optimum, or the best so far.

Each distinct layer's exact front is searched for by itself; the best choice of a point a layer is then the network's
optimum, and its own lower bound. Cut short, layers whose front is not proved contribute the bounds of what was left,
and layers not yet begun what a brief search finds and the work that no mapping avoids.
"""

import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, replace
from typing import Any

import torch

from dlco.bound.compulsory import layer_floors
from dlco.cost.model import evaluate
from dlco.design.budget import Budget, broken_limits
from dlco.design.history import History
from dlco.design.network_cost import NetworkCost, evaluate_network
from dlco.design.solution import Solution, sound
from dlco.exact.best_first import FrontSearch
from dlco.exact.combine import best_points
from dlco.exact.enumerate import LayerFront
from dlco.exact.optimal import OptimalFront, begin_search, found_by, least_value
from dlco.exact.tables import why_not_covered
from dlco.hardware.architecture import Architecture
from dlco.interrupts import held
from dlco.journal import Journal, check_table, fingerprint
from dlco.mapping.constraints import Constraints, stated
from dlco.mapping.mapping import Mapping, MappingBatch
from dlco.optimize.effort import SolveEffort
from dlco.optimize.request import Request
from dlco.progress import Listener, Progress
from dlco.tasks import single_thread
from dlco.workload.layer import Layer
from dlco.workload.problem import Problem

log = logging.getLogger("dlco")

Brief = Callable[[tuple[Layer, ...]], dict[str, Mapping]]

ANSWERED = ("latency", "energy", "edp", "area")  # what grows with energy and with cycles, or with neither


def why_not_proved(request: Request) -> str | None:
    """Why the exact search does not answer a request, in words that follow "because"; None where it does."""
    machine = request.hardware
    if not isinstance(machine, Architecture):
        return "the machine is free"
    if request.objective not in ANSWERED or request.budget.power_w is not None:
        return "slower is better where mean power counts"
    if request.imperfect:
        return "factors need not divide the bounds"
    if stated(machine, request.constraints) != Constraints():
        return "mappings are constrained"
    reasons = (why_not_covered(layer.problem, machine) for layer in request.layers)
    return next((reason for reason in reasons if reason), None)


def solve_exactly(
    request: Request, effort: SolveEffort, listener: Listener, journal: Journal | None, brief: Brief
) -> Solution | None:
    """The proved optimum of a request that `why_not_proved` lets pass; the best so far where it is interrupted.

    None where it is proved that no mapping keeps the budget: a search then tells why.

    Args:
        request: the question.
        effort: kept with the solution; the search needs none.
        listener: told how it gets on.
        journal: where proved fronts are kept.
        brief: finds some mapping of each of the layers that it is given, by name; asked for those that an interrupt
            leaves without any.
    """
    proof = _Proof(request, effort, listener, journal)
    with held() as interrupts, single_thread():
        try:
            with interrupts.heard():
                proof.search()
        except KeyboardInterrupt:
            log.warning("interrupted; returning the best design so far")
            missing = proof.missing()
            proof.begin(brief(missing) if missing else {})
        return interrupts.insist(proof.solution)


def solve_on(
    machine: Architecture, request: Request, effort: SolveEffort, listener: Listener, journal: Journal | None
) -> Solution | None:
    """The proved optimum of a request on one machine of its hardware, of factors that divide the bounds.

    None where the exact search does not cover it, or where no mapping keeps the budget there.

    Raises:
        KeyboardInterrupt: it was interrupted.
    """
    asked = replace(request, hardware=machine, imperfect=False)
    if why_not_proved(asked):
        return None
    proof = _Proof(asked, effort, listener, journal)
    proof.search()
    return proof.solution()


class _Proof:
    """One run: the fronts so far."""

    def __init__(self, request: Request, effort: SolveEffort, listener: Listener, journal: Journal | None) -> None:
        assert isinstance(request.hardware, Architecture)
        self.request, self.effort, self.listener, self.journal = request, effort, listener, journal
        self.machine: Architecture = request.hardware
        self.history = History()
        self.optima: dict[Problem, OptimalFront] = {}
        self.running: tuple[Problem, FrontSearch] | None = None  # the search under way
        self.interrupted = False
        self.problems = {layer.problem: layer for layer in request.layers}

    def search(self) -> None:
        """Search every front."""
        for number, problem in enumerate(self.problems):
            self._tick(number)
            self.optima[problem] = self._recall(problem) or self._search(problem, number)

    def missing(self) -> tuple[Layer, ...]:
        """A layer of every problem of which nothing is known."""
        if self.running:
            problem, search = self.running
            self.optima.setdefault(problem, found_by(search))
        return tuple(layer for problem, layer in self.problems.items() if problem not in self.optima)

    def begin(self, mappings: dict[str, Mapping]) -> None:
        """End the search here, with some mapping of each layer that is missing, by name."""
        self.interrupted = True
        for layer in self.missing():
            self.optima[layer.problem] = _begun(layer, self.machine, mappings[layer.name])

    def solution(self) -> Solution | None:
        """The best choice of a point a layer; None where the search went to its end and there is none."""
        request = self.request
        fronts = {problem: found.front for problem, found in self.optima.items()}
        least = least_value(request.layers, self.optima, self.machine, request.objective, request.budget)
        point = best_points(request.layers, fronts, self.machine, request.objective, request.budget)
        if point is None and not self.interrupted:
            return None
        point = point or best_points(request.layers, fronts, self.machine, request.objective, Budget())
        assert point is not None
        chosen = zip(request.layers, point.chosen, strict=True)
        mappings = {layer.name: fronts[layer.problem].mappings[k] for layer, k in chosen}
        status = "interrupted" if self.interrupted else "solved"
        return sound(self._finished(status, least, mappings))

    def _search(self, problem: Problem, number: int) -> OptimalFront:
        def go_on() -> bool:
            self._tick(number + 0.5)
            return True

        search = begin_search(problem, self.machine)
        self.running = problem, search
        search.run(go_on)
        self.running = None
        found = found_by(search)
        if self.journal:
            self.journal.record(_part(problem, self.machine), _packed(found.front))
        return found

    def _recall(self, problem: Problem) -> OptimalFront | None:
        def read(plain: dict[str, Any]) -> OptimalFront:
            return OptimalFront(_unpacked(plain, problem, self.machine), torch.zeros(0, 2, dtype=torch.float64))

        return self.journal.recall(_part(problem, self.machine), read) if self.journal else None

    def _tick(self, done: float) -> None:
        self.history.note("search")
        self.listener(Progress("search", done / len(self.problems), None, self.history.seconds))

    def _finished(self, status: str, least: float | None, mappings: dict[str, Mapping]) -> Solution:
        request = self.request
        costs, cost = evaluate_network(request.layers, self.machine, mappings)
        broken = broken_limits(request.budget, self.machine, costs, cost)
        proved = all(found.proved for found in self.optima.values())
        value = cost.objective(request.objective)
        lower = value if proved and not broken else self._in_units(least, cost)
        messages = {
            "solved": "all limits hold, and no mapping is better" if proved else "all limits hold",
            "interrupted": "stopped early; run again without interruption for a better design",
            "infeasible": f"stopped before a design within the limits was found; this one has {', '.join(broken)}",
        }
        status = "infeasible" if broken else status
        self.history.note("done", best=None if broken else value, bound=lower)
        with suppress(KeyboardInterrupt):  # too late to stop anything
            self.listener(Progress("done", 1.0, None if broken else value, self.history.seconds, lower))
        return Solution(
            status=status,
            message=messages[status],
            objective=request.objective,
            budget=request.budget,
            seed=request.seed,
            layers=request.layers,
            architecture=self.machine,
            mappings=mappings,
            layer_costs=costs,
            cost=cost,
            lower_bound=lower,
            evaluations=sum(found.front.evaluated for found in self.optima.values()),
            seconds=self.history.seconds,
            trace=() if broken else ((self.history.seconds, value),),
            history=tuple(self.history.points),
            effort=asdict(self.effort),
        )

    def _in_units(self, least: float | None, cost: NetworkCost) -> float | None:
        """A bound in pJ and cycles, in the unit of `NetworkCost.objective`."""
        if least is None:
            return None
        scale = {"latency": self.machine.cycle_s, "energy": 1.0, "edp": 1.0}.get(self.request.objective)
        return cost.area_mm2 if scale is None else least * scale * (1 - 1e-12)


def _begun(layer: Layer, machine: Architecture, mapping: Mapping) -> OptimalFront:
    """What is known of a layer before its search: some mapping, and the compulsory work."""
    cost = evaluate(layer, machine, mapping)
    floor = layer_floors([layer], machine)[0]
    front = LayerFront(cost.energy_pj[None], cost.cycles[None], (mapping,), 1)
    return OptimalFront(front, torch.tensor([[floor.energy, floor.cycles]], dtype=torch.float64))


def _part(problem: Problem, machine: Architecture) -> str:
    """The name of a front among the parts of a checkpoint."""
    return f"front {fingerprint((problem, machine))}"


def _packed(front: LayerFront) -> dict[str, Any]:
    """A front as tensors and numbers."""
    batch = MappingBatch.stack(front.mappings, dtype=torch.int64)
    mappings = {"factors": batch.factors, "order": batch.order, "spatial_order": batch.spatial_order}
    return mappings | {"energy_pj": front.energy_pj, "cycles": front.cycles, "evaluated": front.evaluated}


def _unpacked(plain: dict[str, Any], problem: Problem, machine: Architecture) -> LayerFront:
    """The inverse of `_packed`."""
    levels, dims, n = len(machine.levels), len(problem.dimensions), len(plain["cycles"])
    check_table("factors", plain["factors"], (n, levels, 3, dims))
    for name in ("order", "spatial_order"):
        check_table(name, plain[name], (n, levels, dims), below=dims)
    for name in ("energy_pj", "cycles"):
        check_table(name, plain[name], (n,))
    batch = MappingBatch(
        problem.dimensions,
        tuple(level.name for level in machine.levels),
        (frozenset(),) * levels,
        plain["factors"],
        plain["order"],
        plain["spatial_order"],
    )
    mappings = tuple(batch.mapping(i) for i in range(n))
    return LayerFront(plain["energy_pj"], plain["cycles"], mappings, int(plain["evaluated"]))
