"""Bounds near a machine by the multipliers of one proof: true ones, and as good as if they were proved anew."""

from dataclasses import replace
from itertools import product

import pytest
import torch

import dlco
from dlco.bound import BoundEffort, lower_bound
from dlco.bound.nearby import Change, LimitChange, NearbyBounds
from dlco.design.objective import Objective
from dlco.errors import InvalidInput
from dlco.hardware import Architecture, HardwareSpace, Level, Parameter, generic
from dlco.hardware.limits import SLACK

NET = (dlco.conv2d("conv", C=8, M=8, P=4, Q=4, R=3, S=1), dlco.matmul("product", M=12, K=8, N=4, count=2))
MACHINE = Architecture(
    (
        Level("Registers", kind="regfile", capacity=20, read_pj=0.3, write_pj=0.3, update_pj=0.3, read_bandwidth=2),
        Level("Buffer", capacity=200, read_pj=6, write_pj=6, update_pj=6, fanout_x=2, fanout_y=2, multiple_buffering=2),
        Level("DRAM", kind="DRAM", read_pj=90, write_pj=90, update_pj=90, read_bandwidth=2, shared_bandwidth=2.5),
    )
)
EFFORT = BoundEffort(nodes=200, side=60)
SIZES = ("Registers.capacity", "Buffer.capacity", "Registers.read_bandwidth", "DRAM.read_bandwidth",
         "DRAM.shared_bandwidth")  # fmt: skip


def optimum(machine: Architecture, objective: str, budget: dlco.Budget) -> float:
    """The exact search's, infinite where nothing keeps the limits."""
    try:
        solution = dlco.solve(NET, machine, objective, budget)
    except InvalidInput:
        return float("inf")
    assert solution.status == "infeasible" or solution.gap == 0
    return float("inf") if solution.status == "infeasible" else solution.value


@pytest.mark.parametrize(
    ("objective", "factor"),
    [
        (Objective.EDP, 0.95),
        (Objective.EDP, 1.05),
        (Objective.EDP, 2.0),
        (Objective.ENERGY, 0.5),
        (Objective.ENERGY, 1.05),
        (Objective.LATENCY, 0.95),
        (Objective.LATENCY, 1.05),
    ],
)
def test_below_every_optimum_and_near_a_new_proof(objective: Objective, factor: float) -> None:
    """Also where a size is halved or doubled, which multipliers know nothing of."""
    near = NearbyBounds(NET, MACHINE, objective, dlco.Budget(), effort=EFFORT)
    for size in SIZES:
        change = Change(size, factor)
        machine = change.machine(MACHINE)
        value = near.value(change)
        assert value <= optimum(machine, objective, dlco.Budget()) * (1 + 1e-9)
        anew = lower_bound(NET, machine, objective, effort=EFFORT).value
        if 0.9 < factor < 1.1:
            assert value == pytest.approx(anew, rel=0.02)
    assert near.value() == pytest.approx(near.certificate.value, rel=1e-5)


@pytest.mark.parametrize("objective", [Objective.ENERGY, Objective.EDP])
def test_limits_move_too(objective: Objective) -> None:
    """A latency limit around where it begins to cost energy, for the network and by layer, and beside one on power."""
    fast = optimum(MACHINE, "latency", dlco.Budget())
    power = dlco.solve(NET, MACHINE, objective).cost.power_w
    for budget, names in (
        (dlco.Budget(latency_s=1.1 * fast), ("latency_s",)),
        (dlco.Budget(layer_latency_s=fast), ("layer_latency_s",)),
        (dlco.Budget(latency_s=1.2 * fast, power_w=power), ("latency_s",)),
    ):
        near = NearbyBounds(NET, MACHINE, objective, budget, effort=EFFORT)
        last = float("inf")
        for factor in (0.95, 1.0, 1.05, 3.0):
            for name in names:
                asked = replace(budget, **{name: getattr(budget, name) * factor})
                value = near.value(budget=asked)
                if budget.power_w is None:
                    assert value <= optimum(MACHINE, objective, asked) * (1 + 1e-9)
                assert value <= last * (1 + 1e-9)  # a wider limit never makes it dearer
                last = value


def test_limits_of_a_space() -> None:
    """Those on sizes and on area, as good as if they were proved anew where they change little, and true ones else."""
    parameters = (Parameter("Buffer", "fanout_x", (1, 2, 3, 4)), Parameter("Registers", "capacity", (8, 16, 24)))
    space = HardwareSpace(replace(MACHINE, mac_area_um2=500.0), parameters)
    space = space.subject_to("Buffer.fanout_x <= 3", "Registers.capacity <= 6 * Buffer.fanout_x")
    budget = dlco.Budget(area_mm2=float(space.machine(torch.tensor([3.0, 16.0])).area_mm2))
    near = NearbyBounds(NET, space, Objective.EDP, budget, effort=EFFORT)
    assert near.value() == pytest.approx(near.certificate.value, rel=1e-5)
    for factor in (0.95, 1.05, 4 / 3, 0.5):
        asked = [(LimitChange(limit, factor), budget) for limit in (0, 1)]
        for change, within in [*asked, (None, replace(budget, area_mm2=budget.area_mm2 * factor))]:
            changed = space if change is None else change.hardware(space)
            anew = lower_bound(NET, changed, Objective.EDP, within, effort=replace(EFFORT, boxes=0)).value
            value = near.value(change, within)
            if abs(factor - 1) < 0.1:
                assert value == pytest.approx(anew, rel=0.05)
            best = [dlco.solve(NET, machine, "edp").value for machine in machines_of(changed, within)]
            assert value <= min(best, default=float("inf")) * (1 + 1e-9)
            assert value <= near.value(change, within, anew=True) * (1 + 1e-9)


def machines_of(space: HardwareSpace, budget: dlco.Budget) -> list[Architecture]:
    """Those of the grid within all limits."""
    sizes = torch.tensor(list(product(*(parameter.grid for parameter in space.parameters))), dtype=torch.float64)
    kept = sizes[(space.excess(sizes) <= SLACK).all(-1)]
    machines = [replace(space, limits=()).architecture(one) for one in kept]
    return [machine for machine in machines if not any(use.broken for use in budget.machine_uses(machine))]


def test_a_change_is_of_the_words_that_tiles_may_fill() -> None:
    machine = Change("Buffer.capacity", 1.05).machine(MACHINE)
    assert machine.level("Buffer").usable_capacity == 105
    odd = replace(
        MACHINE, levels=tuple(replace(lv, capacity=205) if lv.name == "Buffer" else lv for lv in MACHINE.levels)
    )
    assert odd.level("Buffer").usable_capacity == 102
    assert Change("Buffer.capacity", 1.05).machine(odd).level("Buffer").usable_capacity == 107
    assert Change("DRAM.read_bandwidth", 0.95).machine(MACHINE).level("DRAM").read_bandwidth == pytest.approx(1.9)


def test_classes_without_a_mapping_may_come_back() -> None:
    """A machine so small that many classes are proved empty; twice the room brings them back, and the bound down."""
    small = replace(MACHINE, levels=(replace(MACHINE.levels[0], capacity=3), *MACHINE.levels[1:]))
    near = NearbyBounds(NET, small, Objective.ENERGY, dlco.Budget(), effort=EFFORT)
    change = Change("Registers.capacity", 2.0)
    assert near.value(change) <= optimum(change.machine(small), "energy", dlco.Budget()) * (1 + 1e-9)
    assert near.value(change) < near.value()


def test_imperfect_factors_and_presets() -> None:
    layer = dlco.matmul("odd", M=7, K=11, N=5)
    near = NearbyBounds((layer,), generic(), Objective.EDP, dlco.Budget(), True, EFFORT)
    for factor in (0.95, 1.05):
        change = Change("RegisterFile.capacity", factor)
        solution = dlco.solve([layer], change.machine(generic()), "edp", imperfect=True)
        assert near.value(change) <= solution.value
