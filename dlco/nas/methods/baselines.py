"""What a joint search is measured against: one side fixed, one after the other, and chance."""

from typing import Any

import torch

from dlco.errors import InvalidInput
from dlco.nas.evaluator import Evaluator, Exhausted
from dlco.nas.methods import local_search, relaxed
from dlco.nas.problem import CoProblem, Pair
from dlco.nas.space import FactoredSpace

BATCH = 32


def random(problem: CoProblem, evaluator: Evaluator, seed: int) -> None:
    """Pairs drawn at random, machines within the limits on area and PEs."""
    generator = torch.Generator().manual_seed(seed)
    while True:
        networks = problem.sample_networks(BATCH, generator)
        machines = problem.sample_machines(BATCH, generator)
        evaluator.evaluate([Pair(n, m) for n, m in zip(networks, machines, strict=True)])


def fixed_hardware(problem: CoProblem, evaluator: Evaluator, seed: int) -> None:
    """The network alone is searched for, on the given machine or on the base of the hardware space."""
    machine = problem.base_machine if problem.machine is None else problem.machine
    _one_sided(problem.with_pins(problem.network, machine), evaluator, seed)


def fixed_network(problem: CoProblem, evaluator: Evaluator, seed: int) -> None:
    """The machine alone is searched for.

    Raises:
        InvalidInput: the problem does not say for which network.
    """
    if problem.network is None:
        raise InvalidInput("network is None; method 'fixed-network' needs the network to search a machine for")
    _one_sided(problem, evaluator, seed)


def two_stage(problem: CoProblem, evaluator: Evaluator, seed: int) -> None:
    """With half of the evaluations a network for the base machine, with the rest the machine for that network."""
    whole = evaluator.limit
    evaluator.limit = evaluator.evaluations + evaluator.left // 2
    try:
        _one_sided(problem.with_pins(problem.network, problem.base_machine), evaluator, seed)
    except Exhausted:
        pass
    evaluator.limit = whole
    if evaluator.best is None:
        raise Exhausted
    _one_sided(problem.with_pins(evaluator.best.pair.network, problem.machine), evaluator, seed)


def _one_sided(problem: CoProblem, evaluator: Evaluator, seed: int) -> None:
    """The default method where the space allows it, so that only the side that is fixed makes a difference."""
    method: Any = relaxed.search if isinstance(problem.space, FactoredSpace) else local_search.search
    method(problem, evaluator, seed)
