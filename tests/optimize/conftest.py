"""Tiny machines and layers, all of whose mappings can be listed."""

from collections.abc import Iterator

import pytest
import torch

from dlco import conv1d, matmul
from dlco.hardware.architecture import Architecture, Level
from dlco.hardware.space import HardwareSpace, Parameter
from dlco.hardware.technology import TECHNOLOGY_45NM
from dlco.optimize import SolveEffort
from dlco.optimize.bound import BoundEffort
from dlco.optimize.local_search import Effort
from dlco.workload import Layer

from .efforts import FLEET


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
        fleet=FLEET,
        fit=Effort(rounds=25, patience=8, islands=2),
        step=Effort(rounds=15, patience=6, population=3, neighbours=12),
        polish=Effort(rounds=40, patience=15, population=4, neighbours=16, islands=4),
        polishes=2,
        bound=BoundEffort(nodes=300, side=60, boxes=1),
    )
