"""A small strided convolution and a three-level machine, made by hand."""

import pytest

from dlco.hardware.architecture import Architecture, Level
from dlco.mapping import Mapping
from dlco.workload.problem import Dataspace, Problem

DIMS = ("C", "M", "P", "R")
IDENTITY = (DIMS,) * 3


@pytest.fixture(scope="session")
def problem() -> Problem:
    return Problem(
        dimensions=DIMS,
        bounds=(4, 6, 8, 3),
        dataspaces=(
            Dataspace("Weights", ((("C", 1),), (("M", 1),), (("R", 1),))),
            Dataspace("Inputs", ((("C", 1),), (("P", 2), ("R", 1)))),
            Dataspace("Outputs", ((("M", 1),), (("P", 1),)), read_write=True),
        ),
    )


@pytest.fixture(scope="session")
def machine() -> Architecture:
    return Architecture(
        levels=(
            Level("Registers", kind="regfile", capacity=40),
            Level("Buffer", capacity=400, fanout_x=4, fanout_y=2, multiple_buffering=2, bypass=frozenset({"Weights"})),
            Level("DRAM", kind="DRAM"),
        ),
        name="toy",
    )


@pytest.fixture(scope="session")
def mapping() -> Mapping:
    """Tiles: Registers C2 R3 P2, Buffer C4 M6 R3 P4 (M2 along X, M3 in time, C2 along Y), all at DRAM."""
    return Mapping(
        dimensions=DIMS,
        levels=("Registers", "Buffer", "DRAM"),
        temporal=((2, 1, 2, 3), (1, 3, 2, 1), (1, 1, 2, 1)),
        spatial_x=((1, 1, 1, 1), (1, 2, 1, 1), (1, 1, 1, 1)),
        spatial_y=((1, 1, 1, 1), (2, 1, 1, 1), (1, 1, 1, 1)),
        order=(("R", "C", "P", "M"), ("P", "M", "C", "R"), DIMS),
        spatial_order=IDENTITY,
        bypass=(frozenset(), frozenset(), frozenset()),
    )
