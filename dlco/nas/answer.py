"""What a co-search answers: the best pair with its mappings, and the pairs on the way to it."""

from dataclasses import replace
from math import inf

import torch

from dlco.design.codesign import CoPoint, best_pairs
from dlco.design.network_cost import NetworkCost
from dlco.design.solution import Solution
from dlco.errors import InvalidInput
from dlco.hardware.space import HardwareSpace
from dlco.mapping.kept import STATED
from dlco.nas.evaluator import Evaluator
from dlco.nas.request import Candidate, CoRequest
from dlco.optimize.finish import Costed


class NoPair(InvalidInput):
    """A search has no pair to answer with: none that it evaluated has mappings."""


class Stopped(NoPair):
    """It was stopped before the first pair."""


def as_found(evaluator: Evaluator, best: Candidate, seed: int, keep: str = STATED) -> Solution:
    """A pair with the mappings that its evaluation chose, among those of what levels keep (`RunOptions.keep`).

    Raises:
        NoPair: it has none.
    """
    request, machine = evaluator.request, best.pair.machine
    if best.merit == inf:
        raise NoPair(
            f"no mapping was found that meets the constraints and fits the machine, of {evaluator.evaluations} pairs"
        )
    layers = evaluator.layers(best.pair.network)
    mappings = {
        layer.name: evaluator.costs.mapping(layer, machine, chosen)
        for layer, chosen in zip(layers, best.chosen, strict=True)
    }
    found = Costed.of(layers, request.architecture(machine), mappings)
    return Solution(
        status="infeasible" if found.broken(request.budget) else "solved",
        message="mappings of the co-search's evaluation",
        objective=request.cost_objective,
        budget=request.budget,
        seed=seed,
        layers=tuple(layers),
        **vars(found),
        imperfect=found.is_imperfect(layers),
        keep=keep,
    )


def asked_again(request: CoRequest, start: Solution) -> Solution:
    """A pair's solution as its final solve is asked for it.

    A weighted sum is none of `solve`'s objectives: the least EDP is asked for then, with no more energy and no more
    latency than there are, so that the sum can only become smaller.
    """
    if not request.weights or start.status == "infeasible":
        return start
    most = replace(start.budget, latency_s=start.cost.latency_s, energy_j=start.cost.energy_j)
    return replace(start, budget=most)


def better(request: CoRequest, one: Solution, other: Solution) -> Solution:
    """The one whose costs rank before the other's; the first of equals."""

    def rank(cost: NetworkCost) -> float:
        return float(request.score(*torch.tensor([cost.energy_pj, cost.cycles, cost.area_mm2], dtype=torch.float64)))

    return min((one, other), key=lambda solution: rank(solution.cost))


def without_constraints(solution: Solution, machines: HardwareSpace) -> Solution:
    """The solution on its machine as it was given, without the constraints that came beside it."""
    return replace(solution, architecture=replace(solution.architecture, constraints=machines.base.constraints))


def front_of(evaluator: Evaluator) -> tuple[CoPoint, ...]:
    """The pairs evaluated that keep the limits and that no other beats in accuracy, energy and latency at once."""
    pairs = [point_of(evaluator.request, one) for one in evaluator.candidates.values() if one.feasible]
    return tuple(pairs[i] for i in best_pairs(pairs))


def point_of(request: CoRequest, one: Candidate, evaluations: int = 0, queries: int = 0) -> CoPoint:
    """A pair as results show it; when it was found: after how many evaluations and queries."""
    macs, memory_bits = request.machines.contents(one.pair.machine)
    return CoPoint(
        network=request.space.format(one.pair.network),
        sizes=request.machines.sizes(one.pair.machine),
        accuracy=one.accuracy,
        energy_pj=one.cost.energy_pj,
        latency_s=one.cost.latency_s,
        area_mm2=one.cost.area_mm2,
        evaluations=evaluations,
        queries=queries,
        macs=macs,
        memory_bits=memory_bits,
        feasible=one.feasible,
    )
