"""Limits on single parts of the machine and single layers; budgets that cannot be met, and why."""

from dataclasses import replace
from math import inf

import pytest

import dlco
from dlco import Budget, InvalidInput, SolveEffort, conv2d
from dlco.bound import BoundEffort, lower_bound
from dlco.errors import Infeasible
from dlco.hardware import Architecture, HardwareSpace, eyeriss_like, eyeriss_space
from dlco.workload import Layer

from ..efforts import EVOLUTION, NO_BOXES
from ..exhaustive import every_choice, machines_of, optimum

PAIR = [conv2d("one", C=16, M=32, P=14, Q=14, R=3, S=3), conv2d("two", C=32, M=16, P=14, Q=14, R=1, S=1)]


def test_the_number_of_pes_is_kept(network: list[Layer], space: HardwareSpace, effort: SolveEffort) -> None:
    solution = dlco.solve(network, space, "latency", Budget(pe_count=6), effort=effort)
    assert solution.architecture.macs <= 6
    fitting = [one for one in machines_of(space) if one.macs <= 6]
    best = min(choice.latency_s for one in fitting for choice in every_choice(network, one))
    assert solution.cost.latency_s <= best * 1.02
    assert solution.lower_bound is None or solution.lower_bound <= best * (1 + 1e-9)


def test_a_buffer_is_kept_small(network: list[Layer], space: HardwareSpace, effort: SolveEffort) -> None:
    limits = {"Buffer": 28.0, "Registers": 4.0}
    solution = dlco.solve(network, space, "edp", Budget(capacity=limits), effort=effort)
    assert all(solution.architecture.level(name).capacity <= words for name, words in limits.items())
    small = replace(
        space, parameters=tuple(replace(p, grid=p.grid[:-1]) if p.field == "capacity" else p for p in space.parameters)
    )
    assert optimum(network, small, "edp") <= solution.cost.edp <= optimum(network, small, "edp") * 1.02


def test_a_bandwidth_is_kept() -> None:
    solution = dlco.solve(PAIR, eyeriss_space(), "edp", Budget(bandwidth={"shared_glb": 4}), effort=LIGHT)
    assert solution.architecture.level("shared_glb").read_bandwidth <= 4


LIGHT = SolveEffort(
    starts=2,
    relax_rounds=2,
    survey=4,
    machines=2,
    descents=1,
    steps=3,
    polishes=1,
    evolution=EVOLUTION,
    boxes=NO_BOXES,
)


@pytest.fixture
def arrays(space: HardwareSpace) -> HardwareSpace:
    """Machines whose latency is that of their arrays: nothing waits for a memory."""
    levels = [replace(level, read_bandwidth=inf, write_bandwidth=inf) for level in space.base.levels]
    return replace(space, base=replace(space.base, levels=tuple(levels)))


def test_a_layer_is_kept_in_time(network: list[Layer], arrays: HardwareSpace, effort: SolveEffort) -> None:
    """The smallest machine on which one layer is as fast as asked, and not the smallest of all."""
    layer = network[0]
    fastest = {one: min(c.latency_s for c in every_choice([layer], one)) / layer.count for one in machines_of(arrays)}
    limit = (min(fastest.values()) * max(fastest.values())) ** 0.5
    solution = dlco.solve(network, arrays, "area", Budget(layer_latency_s={layer.name: limit}), effort=effort)
    assert solution.status == "solved"
    assert solution.layer_costs[layer.name].cycles * solution.architecture.cycle_s <= limit
    least = min(one.area_mm2 for one, latency in fastest.items() if latency <= limit)
    assert least > min(one.area_mm2 for one in fastest)
    assert solution.cost.area_mm2 == pytest.approx(least)


@pytest.mark.parametrize(
    ("budget", "message"),
    [
        (Budget(capacity={"shared_glb": 8}), "capacity of 'shared_glb' is 8; the smallest that the hardware allows is"),
        (Budget(bandwidth={"DRAM": 0.5}), "bandwidth of 'DRAM' is 0.5; the smallest that the hardware allows is"),
        (Budget(pe_count=3), "pe_count is 3; the smallest machine has"),
        (Budget(layer_latency_s={"one": 1e-9}), "layer_latency_s of 'one' is 1e-09; every design needs at least"),
        (Budget(latency_s=1e-9), "latency_s is 1e-09; every design needs at least"),
    ],
)
def test_what_no_design_can_meet_is_said_before_any_search(budget: Budget, message: str) -> None:
    with pytest.raises(Infeasible, match=message):
        dlco.solve(PAIR, eyeriss_space(), budget=budget)


def test_limits_that_exclude_each_other_are_named(
    network: list[Layer], arrays: HardwareSpace, effort: SolveEffort
) -> None:
    """The area of the smallest machine and a latency that no machine of it has; a third limit has no part in it."""
    choices = [choice for one in machines_of(arrays) for choice in every_choice(network, one)]
    area = min(choice.area_mm2 for choice in choices) * 1.001
    small = min(choice.latency_s for choice in choices if choice.area_mm2 <= area)
    light = BoundEffort(nodes=300, side=60, boxes=0)
    proved = lower_bound(network, arrays, "latency", Budget(area_mm2=area), effort=light).value
    assert min(choice.latency_s for choice in choices) < proved
    budget = Budget(latency_s=proved * 0.999, area_mm2=area, energy_j=1.0)
    solution = dlco.solve(network, arrays, "edp", budget, effort=effort)
    assert solution.status == "infeasible"
    assert "no design meets these limits together" in solution.message
    conflicts = {one.limit: one for one in solution.conflicts}
    assert set(conflicts) == {"latency_s", "area_mm2"}
    assert conflicts["latency_s"].least == pytest.approx(proved, rel=0.05)
    reached = conflicts["latency_s"].reached
    assert reached is not None
    assert small * (1 - 1e-9) <= reached <= small * 1.05
    needs = {"area_mm2": solution.cost.area_mm2, "latency_s": solution.cost.latency_s}
    for name, other in (("area_mm2", "latency_s"), ("latency_s", "area_mm2")):
        if needs[other] <= budget.limits[other]:  # the nearest design is one within reach
            assert conflicts[name].reached is not None
            assert conflicts[name].reached <= needs[name] * (1 + 1e-9)
    assert dlco.Solution.from_dict(solution.to_dict()) == solution


def test_a_solution_to_start_from_is_never_lost(
    machine: Architecture, network: list[Layer], effort: SolveEffort
) -> None:
    first = dlco.solve(network, machine, "edp", effort=effort)
    again = dlco.solve(network, machine, "edp", start=first, effort=replace(effort, starts=0, polishes=0), seed=5)
    assert again.cost.edp <= first.cost.edp


def test_a_start_may_know_other_machines_and_layers(
    space: HardwareSpace, network: list[Layer], effort: SolveEffort
) -> None:
    first = dlco.solve(network[:1], space, "edp", effort=effort)
    solution = dlco.solve(network, space, "edp", start=[first], effort=replace(effort, starts=0))
    assert solution.status == "solved"


@pytest.mark.slow
def test_tiles_that_need_not_divide_are_faster() -> None:
    """Thirteen rows on an array of 14 x 12, with memories that nothing waits for."""
    layer = [conv2d("prime", C=4, M=7, P=13, Q=13, R=1, S=1)]
    eyeriss = eyeriss_like()
    levels = [replace(level, read_bandwidth=inf, write_bandwidth=inf) for level in eyeriss.levels]
    machine = replace(eyeriss, levels=tuple(levels))
    perfect = dlco.solve(layer, machine, "latency", effort=LIGHT, imperfect=False)
    imperfect = dlco.solve(layer, machine, "latency", imperfect=True, effort=LIGHT)
    assert imperfect.cost.cycles < perfect.cost.cycles
    assert imperfect.lower_bound is not None
    assert imperfect.lower_bound <= imperfect.value
    assert dlco.Solution.from_dict(imperfect.to_dict()) == imperfect
    with pytest.raises(InvalidInput, match="imperfect is False; factors of layer 'prime'"):
        dlco.Solution.from_dict(imperfect.to_dict() | {"imperfect": False})


TINY = [
    [dlco.matmul("product", M=4, K=2, N=3)],
    [dlco.matmul("product", M=2, K=6, N=2), dlco.matmul("other", M=3, K=2, N=4, count=3)],
    [dlco.conv1d("window", C=1, M=2, P=4, R=3, stride=2)],
    [dlco.conv1d("window", C=2, M=1, P=3, R=2), dlco.matmul("product", M=2, K=2, N=3)],
    [dlco.matmul("square", M=3, K=3, N=2)],
]


@pytest.mark.slow
def test_the_optimum_is_found_in_nearly_all_of_many_tiny_problems(machine: Architecture, effort: SolveEffort) -> None:
    """Bound <= optimum <= solution always; solution == optimum in at least 95 % of the cases."""
    little = replace(effort, bound=BoundEffort(nodes=100, side=30))
    hits = cases = 0
    for layers in TINY:
        for objective in ("edp", "energy", "latency", "power"):
            best = optimum(layers, machine, objective)
            solution = dlco.solve(layers, machine, objective, effort=little)
            assert solution.lower_bound is None or solution.lower_bound <= best * (1 + 1e-9)
            assert solution.value >= best * (1 - 1e-9)
            hits += solution.value <= best * (1 + 1e-6)
            cases += 1
    assert hits >= 0.95 * cases, f"{hits} of {cases}"
