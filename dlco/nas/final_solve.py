"""The end of a co-search: the best pair's mappings, as its evaluation chose them and solved for once more."""

import logging
from dataclasses import replace
from math import inf

import torch

from dlco.design.budget import broken_limits
from dlco.design.network_cost import NetworkCost, evaluate_network
from dlco.design.solution import Solution
from dlco.errors import Infeasible, InvalidInput
from dlco.journal import Journal
from dlco.mapping.constraints import announce
from dlco.nas.evaluator import Evaluator
from dlco.nas.request import Candidate, CoRequest
from dlco.optimize.effort import SolveEffort
from dlco.optimize.options import Options
from dlco.optimize.phases.shared import make_run
from dlco.optimize.request import make_request
from dlco.optimize.run import search_design
from dlco.progress import Listener

log = logging.getLogger("dlco")

FINAL = SolveEffort(starts=0, polishes=1)  # the pair's mappings are there to start from


def as_found(evaluator: Evaluator, best: Candidate, seed: int) -> Solution:
    """A pair with the mappings that its evaluation chose.

    Raises:
        InvalidInput: it has none.
    """
    request, machine = evaluator.request, best.pair.machine
    if best.merit == inf:
        raise InvalidInput(
            f"no mapping was found that meets the constraints and fits the machine, of {evaluator.evaluations} pairs"
        )
    layers = evaluator.layers(best.pair.network)
    mappings = {
        layer.name: evaluator.costs.mapping(layer, machine, chosen)
        for layer, chosen in zip(layers, best.chosen, strict=True)
    }
    architecture = request.architecture(machine)
    layer_costs, cost = evaluate_network(layers, architecture, mappings)
    return Solution(
        status="infeasible" if broken_limits(request.budget, architecture, layer_costs, cost) else "solved",
        message="mappings of the co-search's evaluation",
        objective=request.cost_objective,
        budget=request.budget,
        seed=seed,
        layers=tuple(layers),
        architecture=architecture,
        mappings=mappings,
        layer_costs=layer_costs,
        cost=cost,
    )


def solve_again(
    start: Solution, effort: SolveEffort, options: Options, bound: bool, listener: Listener, journal: Journal | None
) -> Solution:
    """What `solve` makes of a pair, from its mappings; the pair as it is where no mapping keeps the limits."""
    announce(start.architecture, start.layers)
    try:
        request = make_request(
            start.layers,
            start.architecture,
            start.objective,
            start.budget,
            start.seed,
            replace(options, constraints=None),  # the machine carries them
        )
    except Infeasible as error:  # proved, where the machine is the nearest of all that break a limit
        log.info("no mapping keeps the limits: %s", error)
        return start
    run = make_run(request, effort, (start, *options.starts), listener, journal)
    return search_design(run, bound=bound)


def better(request: CoRequest, one: Solution, other: Solution) -> Solution:
    """The one whose costs rank before the other's; the first of equals."""

    def rank(cost: NetworkCost) -> float:
        return float(request.score(*torch.tensor([cost.energy_pj, cost.cycles, cost.area_mm2], dtype=torch.float64)))

    return min((one, other), key=lambda solution: rank(solution.cost))
