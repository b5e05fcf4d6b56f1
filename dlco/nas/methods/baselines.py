"""What a joint search is measured against: one side fixed, one after the other, and chance."""

from typing import Any

import torch

from dlco.errors import InvalidInput
from dlco.nas.evaluator import Evaluator, Exhausted
from dlco.nas.methods import local_search, relaxed
from dlco.nas.request import CoRequest

BATCH = 32


def random(request: CoRequest, evaluator: Evaluator, seed: int) -> None:
    """Pairs drawn at random, machines within the limits on area and PEs."""
    generator = torch.Generator().manual_seed(seed)
    while True:
        evaluator.evaluate(request.sample_pairs(BATCH, generator))


def fixed_hardware(request: CoRequest, evaluator: Evaluator, seed: int) -> None:
    """The network alone is searched for, on the given machine or on the base of the hardware space."""
    machine = request.base_machine if request.machine is None else request.machine
    _one_sided(request.with_pins(request.network, machine), evaluator, seed)


def fixed_network(request: CoRequest, evaluator: Evaluator, seed: int) -> None:
    """The machine alone is searched for.

    Raises:
        InvalidInput: the request does not say for which network.
    """
    if request.network is None:
        raise InvalidInput("network is None; method 'fixed-network' needs the network to search a machine for")
    _one_sided(request, evaluator, seed)


def two_stage(request: CoRequest, evaluator: Evaluator, seed: int) -> None:
    """With half of the evaluations a network for the base machine, with the rest the machine for that network."""
    with evaluator.stage(0.5):
        _one_sided(request.with_pins(request.network, request.base_machine), evaluator, seed)
    if evaluator.best is None:
        raise Exhausted
    _one_sided(request.with_pins(evaluator.best.pair.network, request.machine), evaluator, seed)


def _one_sided(request: CoRequest, evaluator: Evaluator, seed: int) -> None:
    """The default method where it applies, so that only the side that is fixed makes a difference."""
    method: Any = relaxed.search if relaxed.applies(request) else local_search.search
    method(request, evaluator, seed)
