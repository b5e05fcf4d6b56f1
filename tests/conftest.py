"""Settings that every test shares, and tiny machines and layers, all of whose mappings can be listed."""

import os
from collections.abc import Iterator
from dataclasses import replace

import matplotlib
import pytest
import torch
from hypothesis import settings

from dlco import conv1d, matmul
from dlco.bound import BoundEffort
from dlco.design.budget import Budget
from dlco.design.network_cost import evaluate_network
from dlco.design.solution import Solution
from dlco.hardware import generic
from dlco.hardware.architecture import Architecture, Level
from dlco.hardware.space import HardwareSpace, Parameter
from dlco.hardware.technology import TECHNOLOGY_45NM
from dlco.mapping import Mapping
from dlco.optimize import SolveEffort
from dlco.search.local_search import Effort
from dlco.workload import Layer, conv2d, linear

from . import judge
from .efforts import EVOLUTION

matplotlib.use("Agg")

if "PYTEST_XDIST_WORKER" in os.environ:
    torch.set_num_threads(1)  # the workers share the cores already

settings.register_profile("default", deadline=None, derandomize=True, max_examples=60)
settings.register_profile("ci", settings.get_profile("default"), max_examples=25, print_blob=True)
settings.register_profile("thorough", deadline=None, max_examples=2000)
settings.load_profile("ci" if "CI" in os.environ else "default")  # or pytest --hypothesis-profile=thorough


@pytest.fixture(scope="session", autouse=True)
def _judged() -> Iterator[None]:
    """Whatever a search returns in any test is judged."""
    with pytest.MonkeyPatch.context() as patch:
        judge.sit(patch)
        yield


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> Iterator[None]:
    """The batches here are too small to share between threads."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def machine() -> Architecture:
    """Three levels and 2 x 3 children, narrow enough that capacity, fan-out and bandwidth all bind."""
    return Architecture(
        levels=(
            Level(
                "Registers",
                kind="regfile",
                capacity=8,
                read_pj=0.3,
                write_pj=0.4,
                update_pj=0.5,
                leak_pj=0.01,
                area_um2=900,
            ),
            Level(
                "Buffer",
                capacity=28,
                block_size=2,
                read_bandwidth=4,
                write_bandwidth=2,
                read_pj=6,
                write_pj=7,
                update_pj=7,
                leak_pj=0.3,
                area_um2=40_000,
                fanout_x=2,
                fanout_y=3,
            ),
            Level("DRAM", kind="DRAM", read_bandwidth=1.5, write_bandwidth=1, read_pj=90, write_pj=95, update_pj=95),
        ),
        mac_pj=1.3,
        mac_area_um2=1200,
        cycle_s=2e-9,
    )


@pytest.fixture(scope="session")
def product_layer() -> Layer:
    return matmul("product", M=4, K=2, N=3, count=2)


@pytest.fixture(scope="session")
def window_layer() -> Layer:
    """A strided window slides over the inputs."""
    return conv1d("window", C=1, M=2, P=4, R=3, stride=2)


@pytest.fixture(scope="session")
def network(product_layer: Layer, window_layer: Layer) -> list[Layer]:
    """Two layers of different structure."""
    return [product_layer, window_layer]


@pytest.fixture(scope="session")
def space(machine: Architecture) -> HardwareSpace:
    """Eighteen machines around `machine`."""
    return HardwareSpace(
        machine,
        (
            Parameter("Buffer", "fanout_x", (1, 2, 4)),
            Parameter("Buffer", "capacity", (16, 28, 64)),
            Parameter("Registers", "capacity", (4, 8)),
        ),
        TECHNOLOGY_45NM,
    )


@pytest.fixture(scope="session")
def effort() -> SolveEffort:
    """Little, for tests: a tiny problem needs no more."""
    return SolveEffort(
        starts=2,
        relax_rounds=2,
        survey=4,
        machines=3,
        roundings=2,
        descents=2,
        steps=8,
        evolution=EVOLUTION,
        fit=Effort(rounds=25, patience=8, islands=2),
        step=Effort(rounds=15, patience=6, population=3, neighbours=12),
        polish=Effort(rounds=40, patience=15, population=4, neighbours=16, islands=4),
        polishes=2,
        bound=BoundEffort(nodes=300, side=60, boxes=1),
    )


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
    costs, cost = evaluate_network(layers, architecture, mappings)
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
