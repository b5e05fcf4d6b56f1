"""`solve` on spaces that the exact search covers: bounds by boxes of machines, and what happens around them."""

from dataclasses import replace
from itertools import product

import pytest

from dlco import Budget, InvalidInput, conv2d, matmul, solve
from dlco.bound import BoundEffort
from dlco.exact import MachineEffort, enumerate_network
from dlco.hardware import HardwareSpace, Parameter
from dlco.hardware.architecture import Architecture, Level
from dlco.optimize import SolveEffort
from dlco.progress import Progress
from dlco.search.local_search import Effort

from ..efforts import EVOLUTION

LAYERS = [conv2d("conv", C=4, M=4, P=4, Q=2, R=3, S=1, count=2), matmul("mm", M=4, K=6, N=4)]
BASE = Architecture(
    (
        Level("Registers", "regfile", capacity=16, read_bandwidth=2.0),
        Level("Buffer", capacity=64, fanout_x=2, fanout_y=2),
        Level("DRAM", "DRAM", read_pj=100.0, write_pj=100.0, update_pj=100.0, read_bandwidth=2.0),
    ),
    mac_area_um2=200.0,
)
SPACE = HardwareSpace(
    BASE,
    (
        Parameter("Buffer", "fanout_x", (1, 2, 4)),
        Parameter("Buffer", "capacity", (32, 64, 128)),
        Parameter("Registers", "capacity", (4, 16, 32)),
    ),
)
QUICK = SolveEffort(
    starts=1,
    relax_rounds=1,
    survey=2,
    evolution=EVOLUTION,
    machines=1,
    roundings=1,
    steps=1,
    fit=Effort(rounds=6),
    step=Effort(rounds=2),
    polishes=1,
    bound=BoundEffort(nodes=40, side=10, rounds=1, boxes=0),
    boxes=MachineEffort(boxes=100, gap=0.0),
)


def optimum(objective: str, budget: Budget | None = None) -> float:
    """The least of all machines' proved optima."""
    found = []
    for sizes in product(*(parameter.grid for parameter in SPACE.parameters)):
        machine = SPACE.architecture(sizes)
        if budget is None or budget.area_mm2 is None or machine.area_mm2 <= budget.area_mm2:
            try:
                found.append(enumerate_network(LAYERS, machine, objective, budget).value)
            except InvalidInput:
                continue
    return min(found)


@pytest.mark.parametrize("objective", ["edp", "energy", "latency", "area"])
def test_the_best_machine_is_found_and_proved(objective):
    budget = Budget(area_mm2=SPACE.architecture([2, 64, 16]).area_mm2, latency_s=1e-6)
    best = optimum(objective, budget)
    found = solve(LAYERS, SPACE, objective, budget, effort=QUICK)
    assert found.status == "solved"
    assert found.value == pytest.approx(best, rel=1e-9)
    assert found.gap == 0
    assert found.certificate.startswith("proved optimal, no design in this space is better (proved by exact searches")


def test_a_gap_is_enough_where_one_is_asked_for():
    best = optimum("edp")
    found = solve(LAYERS, SPACE, "edp", effort=replace(QUICK, boxes=MachineEffort(boxes=100, gap=0.1)))
    assert found.lower_bound <= best * (1 + 1e-9)
    assert 0 <= found.gap <= 0.1 + 1e-9


def test_without_boxes_programs_bound_the_machines():
    found = solve(LAYERS, SPACE, "edp", effort=replace(QUICK, boxes=MachineEffort(boxes=0)))
    assert found.lower_bound <= optimum("edp")
    assert found.proof == ""


def test_power_is_bounded_under_a_latency():
    found = solve(LAYERS, SPACE, "power", Budget(latency_s=1e-6), effort=QUICK)
    assert 0 < found.lower_bound <= found.value


def test_an_interrupted_proof_leaves_what_is_proved_until_then():
    told: list[Progress] = []

    def stop(progress: Progress) -> None:
        told.append(progress)
        if [one.phase for one in told].count("bound") == 6:
            raise KeyboardInterrupt

    found = solve(LAYERS, SPACE, "edp", effort=QUICK, progress=stop)
    assert found.status == "interrupted"
    assert 0 < found.lower_bound <= optimum("edp") * (1 + 1e-9)


def test_a_proof_is_taken_from_a_checkpoint(tmp_path):
    path = tmp_path / "run.ckpt"
    first = solve(LAYERS, SPACE, "edp", effort=QUICK, checkpoint=path)
    again = solve(LAYERS, SPACE, "edp", effort=QUICK, resume=path)
    assert (again.lower_bound, again.proof, again.mappings) == (first.lower_bound, first.proof, first.mappings)


@pytest.mark.parametrize(
    ("field", "value"), [("boxes", -1), ("boxes", 1.5), ("gap", 1.0), ("gap", "1 %"), ("gap", -0.1)]
)
def test_efforts_are_checked(field, value):
    with pytest.raises(InvalidInput, match=f"{field} of the machines' effort"):
        MachineEffort(**{field: value})
