"""A two-layer network, mapped by hand on the generic preset."""

from dataclasses import replace

import pytest

from dlco.hardware import generic
from dlco.mapping import Mapping
from dlco.optimize.budget import Budget
from dlco.optimize.solution import Solution, price
from dlco.workload import Layer, conv2d, linear

LEVELS = ("RegisterFile", "GlobalBuffer", "DRAM")


def place(layer: Layer, x: dict[str, int], y: dict[str, int]) -> Mapping:
    """Spatial loops x and y under the buffer, all others in time at DRAM."""
    sizes, ones = layer.problem.sizes, (1,) * len(layer.problem.sizes)
    dims = layer.problem.dimensions
    outer = tuple(sizes[d] // x.get(d, 1) // y.get(d, 1) for d in dims)
    return Mapping(
        dimensions=dims,
        levels=LEVELS,
        temporal=(ones, ones, outer),
        spatial_x=(ones, tuple(x.get(d, 1) for d in dims), ones),
        spatial_y=(ones, tuple(y.get(d, 1) for d in dims), ones),
        order=(dims,) * 3,
        spatial_order=(dims,) * 3,
        bypass=(frozenset(),) * 3,
    )


@pytest.fixture(scope="session")
def solution() -> Solution:
    layers = (conv2d("conv1", C=4, M=8, P=6, Q=6, R=3, S=3, count=3), linear("fc<1>", C=32, M=10))
    places = (({"C": 4, "Q": 3}, {"M": 8}), ({"C": 16}, {}))
    mappings = {layer.name: place(layer, x, y) for layer, (x, y) in zip(layers, places, strict=True)}
    architecture = generic()
    costs, cost = price(layers, architecture, mappings)
    return Solution(
        status="solved",
        message="all limits hold",
        objective="edp",
        budget=Budget(area_mm2=4.0, latency_s=1e-9),
        seed=7,
        layers=layers,
        architecture=architecture,
        mappings=mappings,
        layer_costs=costs,
        cost=cost,
        lower_bound=0.75 * cost.edp,
        evaluations=1234,
        seconds=5.5,
    )


@pytest.fixture(scope="session")
def free(solution: Solution) -> Solution:
    """The same network where energy costs nothing and nothing was asked for."""
    costs = {
        name: replace(one, energy_pj=0.0, mac_pj=0.0, leak_pj=0.0, level_pj=dict.fromkeys(one.level_pj, 0.0))
        for name, one in solution.layer_costs.items()
    }
    cost = replace(solution.cost, energy_pj=0.0, power_w=0.0, edp=0.0)
    return replace(solution, budget=Budget(), layer_costs=costs, cost=cost, lower_bound=0.0)
