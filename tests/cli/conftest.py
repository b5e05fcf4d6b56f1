"""A one-layer network mapped by hand on the generic preset without wires, its files, a way to run a command."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from dlco.cli import main
from dlco.design.budget import Budget
from dlco.design.network_cost import evaluate_network
from dlco.design.solution import Solution
from dlco.hardware import generic
from dlco.mapping import Mapping
from dlco.timeloop import write
from dlco.workload import conv2d

DIMS = ("C", "M", "R", "S", "N", "P", "Q")
ONES = (1,) * 7


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str


@pytest.fixture
def dlco(capsys, tmp_path, monkeypatch):
    """Runs a command in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> Ran:
        code = main([str(one) for one in arguments])
        captured = capsys.readouterr()
        return Ran(code, captured.out, captured.err)

    return run


@pytest.fixture(scope="session")
def solution() -> Solution:
    layer = conv2d("conv1", C=4, M=8, P=6, Q=6, R=3, S=3)
    mapping = Mapping(
        dimensions=DIMS,
        levels=("RegisterFile", "GlobalBuffer", "DRAM"),
        temporal=((1, 1, 3, 3, 1, 1, 1), ONES, (1, 1, 1, 1, 1, 6, 6)),
        spatial_x=(ONES, (4, 1, 1, 1, 1, 1, 1), ONES),
        spatial_y=(ONES, (1, 8, 1, 1, 1, 1, 1), ONES),
        order=(DIMS,) * 3,
        spatial_order=(DIMS,) * 3,
        bypass=(frozenset(),) * 3,
    )
    machine = generic(wires=False)  # which Timeloop's files leave out
    costs, cost = evaluate_network((layer,), machine, {"conv1": mapping})
    return Solution("solved", "all limits hold", "edp", Budget(), 0, (layer,), machine, {"conv1": mapping}, costs, cost)


@pytest.fixture
def case(solution, tmp_path_factory) -> Path:
    """A folder with arch.yaml, problem.yaml and mapping.yaml."""
    return write(solution, tmp_path_factory.mktemp("case"))[0]


@pytest.fixture
def saved(solution, tmp_path_factory) -> Path:
    """A file of the solution."""
    path = tmp_path_factory.mktemp("saved") / "toy.json"
    solution.save(path)
    return path
