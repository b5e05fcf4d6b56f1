"""No search result is below a proved optimum, ever: what searches find on random layers and machines, and random maps.

Layers are beyond what can be listed, so this looks where the comparison with every mapping cannot.
"""

import random
from contextlib import suppress

import pytest
import torch

import dlco
from dlco import SolveEffort, evaluate
from dlco.errors import InvalidMapping
from dlco.exact import optimal_layer
from dlco.hardware import eyeriss_like, generic
from dlco.hardware.architecture import Architecture
from dlco.search.group import make_groups
from dlco.search.local_search import Effort
from dlco.search.unit_moves import random_start
from dlco.workload import Layer

from .test_optimal import random_layer, random_machine

BRIEF = SolveEffort(starts=0, fit=Effort(rounds=12, patience=6, population=4), polishes=0, exact=False)
PRESETS = (generic(), eyeriss_like())


def larger_layer(rng: random.Random) -> Layer:
    """A layer of many divisors, of any kind."""
    layer = random_layer(rng, 4000)
    if "K" in layer.problem.sizes:
        return dlco.matmul("mm", M=rng.choice((48, 96)), K=rng.choice((64, 120)), N=rng.choice((36, 100)))
    sizes = {dim: rng.choice((12, 16, 24, 30)) for dim in "CM"} | {dim: rng.choice((7, 14, 20)) for dim in "PQ"}
    if "M" not in layer.problem.sizes:
        return dlco.depthwise_conv2d("dw", C=sizes["C"], P=sizes["P"], Q=sizes["Q"], R=3, S=3, stride=2)
    return dlco.conv2d("conv", **sizes, R=3, S=rng.choice((1, 3)), stride=rng.choice((1, 2)))


def random_mappings(layer: Layer, machine: Architecture, n: int, seed: int) -> list[dlco.Mapping]:
    """Random mappings with each dimension along one axis; some do not fit."""
    (group,) = make_groups([layer], machine)
    assignment, position = random_start(group, torch.zeros(1, dtype=torch.long), n, torch.Generator().manual_seed(seed))
    inside = group.space.one_axis(assignment[0])
    return [group.mapping(0, assignment[0, i], position[0, i]) for i in range(n) if inside[i]]


@pytest.mark.parametrize("seed", range(6))
def test_what_a_search_finds_is_not_below_the_proved_front(seed: int) -> None:
    rng = random.Random(seed)
    layer = larger_layer(rng)
    machine = PRESETS[seed % 2] if seed < 4 else random_machine(rng, 1)
    front = optimal_layer(layer, machine).front
    points = [
        (cost.energy_pj, cost.cycles)
        for objective in ("energy", "latency", "edp")
        for cost in dlco.solve([layer], machine, objective, seed=seed, bound=False, effort=BRIEF).layer_costs.values()
    ]
    for mapping in random_mappings(layer, machine, 64, seed):
        with suppress(InvalidMapping):  # it does not fit
            cost = evaluate(layer, machine, mapping)
            points.append((cost.energy_pj.item(), cost.cycles.item()))
    for energy, cycles in points:
        assert ((front.energy_pj <= energy * (1 + 1e-9)) & (front.cycles <= cycles)).any(), (layer, machine)
