"""What limits on a machine are worth: brackets hold the true changes, found machine by machine by the exact search."""

import json
from dataclasses import replace
from functools import cache
from itertools import product
from math import inf, log

import pytest
import torch

import dlco
from dlco.bound import BoundEffort
from dlco.design.sensitivity import STEPS, Sensitivity
from dlco.design.solution import Solution
from dlco.errors import InvalidInput
from dlco.hardware import Architecture, HardwareSpace, Level, Parameter, Tie
from dlco.hardware.limits import SLACK
from dlco.mapping import Constraints, SlotConstraint
from dlco.optimize import sensitivities
from dlco.report import plot_sensitivities, solution_page
from dlco.search.evolution import EvolutionEffort
from dlco.search.local_search import Effort

NET = (dlco.conv2d("conv", C=2, M=4, P=4, Q=4, R=3, S=1), dlco.matmul("product", M=6, K=8, N=4, count=2))
BASE = Architecture(
    (
        Level("Registers", kind="regfile", capacity=16, read_bandwidth=2, write_bandwidth=2),
        Level("Buffer", capacity=256, read_bandwidth=2, write_bandwidth=2, fanout_x=2, fanout_y=2),
        Level("DRAM", kind="DRAM", read_pj=60, write_pj=60, update_pj=60, read_bandwidth=1, write_bandwidth=1),
    ),
    mac_area_um2=600.0,
)
SPACE = HardwareSpace(
    BASE,
    (
        Parameter("Buffer", "fanout_x", (2, 3), also=(Tie("Buffer", "fanout_y"),)),
        Parameter("Buffer", "capacity", (64, 96, 128)),
        Parameter("Registers", "capacity", (8, 12)),
    ),
)
BRIEF = Effort(rounds=8, population=4, neighbours=6)
EFFORT = dlco.SolveEffort(
    starts=1,
    survey=8,
    evolution=EvolutionEffort(generations=3, machines=4, near_bound=8),
    fit=BRIEF,
    polish=BRIEF,
    polishes=1,
    bound=BoundEffort(nodes=120, side=30, boxes=2),
)


@cache
def on_a_machine(machine: Architecture, objective: str) -> float:
    """The proved optimum; infinite where not even a word of each dataspace fits."""
    try:
        solution = dlco.solve(NET, machine, objective)
    except InvalidInput:
        return inf
    assert solution.gap == 0
    return solution.value


def in_a_space(space: HardwareSpace, objective: str, budget: dlco.Budget) -> float:
    """The least of all machines within the limits, one by one."""
    best, free = inf, replace(space, limits=())
    for sizes in product(*(parameter.grid for parameter in space.parameters)):
        machine = free.architecture(sizes)
        kept = bool((space.excess(torch.tensor(sizes, dtype=torch.float64)) <= SLACK).all())
        if kept and not any(use.broken for use in budget.machine_uses(machine)):
            best = min(best, on_a_machine(machine, objective))
    return best


def changed(
    space: HardwareSpace, budget: dlco.Budget, one: Sensitivity, factor: float
) -> tuple[HardwareSpace, dlco.Budget]:
    """The question with one figure times a factor."""
    end, _, size = one.name.partition(" ")
    if end in ("largest", "smallest"):
        new, parameters = one.value * factor, []
        for parameter in space.parameters:
            if parameter.name == size:
                inside = {v for v in parameter.grid if (v <= new if end == "largest" else v >= new)}
                parameter = replace(parameter, grid=tuple(sorted(inside | {new})))
            parameters.append(parameter)
        return replace(space, parameters=tuple(parameters)), budget
    name, _, level = one.name.partition(" of ")
    if level:
        return space, replace(budget, **{name: {level: one.value * factor}})
    if name == "pe_count":
        return space, replace(budget, pe_count=int(one.value * factor))
    if name == "area_mm2":
        return space, replace(budget, area_mm2=one.value * factor)
    (before,) = space.limits
    after = replace(before, right=before.right._replace(coefficient=before.right.coefficient * factor))
    assert one.name == str(before)
    return replace(space, limits=(after,)), budget


@pytest.mark.parametrize(
    ("objective", "limits", "budget", "names"),
    [
        ("edp", (), dlco.Budget(area_mm2=0.0125), {"area_mm2"}),
        ("latency", ("Buffer.capacity <= 8 * Registers.capacity",), dlco.Budget(pe_count=9), {"pe_count"}),
        (
            "energy",
            (),
            dlco.Budget(capacity={"Buffer": 100}),
            {"capacity of Buffer"},
        ),
    ],
)
def test_true_changes_lie_within_the_brackets(objective, limits, budget, names) -> None:  # type: ignore[no-untyped-def]
    space = SPACE.subject_to(*limits)
    solution = dlco.solve(NET, space, objective, budget, effort=EFFORT)
    assert solution.status == "solved"
    assert solution.space is space
    found = [one for one in solution.sensitivities if one.anew]
    ends = {f"{end} {name}" for end in ("largest", "smallest") for name in space.names}
    assert {one.name for one in found} == ends | names | set(limits)
    best = in_a_space(space, objective, budget)
    assert solution.lower_bound <= best * (1 + 1e-9)
    for one in found:
        assert one.low <= one.high
        for factor in one.factors:
            if factor == 1:  # the grid goes no further
                continue
            asked = changed(space, budget, one, factor)
            value = in_a_space(asked[0], objective, asked[1])
            slope = log(value / best) / log(factor)
            assert one.low - 1e-6 <= slope <= one.high + 1e-6, (one, factor)


def test_a_limit_that_binds_is_worth_something() -> None:
    """Of a machine that waits for its MACs, the area is worth what MAC units are, and the ends of others nothing."""
    fast = replace(BASE, levels=(*BASE.levels[:2], replace(BASE.levels[2], read_bandwidth=64, write_bandwidth=64)))
    ports = replace(fast.levels[1], read_bandwidth=64, write_bandwidth=64), fast.levels[2]
    registers = replace(fast.levels[0], read_bandwidth=8, write_bandwidth=8)
    space = HardwareSpace(
        replace(fast, levels=(registers, *ports)), (Parameter("Buffer", "fanout_x", tuple(range(2, 33))),)
    )
    layer = dlco.matmul("product", M=64, K=64, N=64)
    budget = dlco.Budget(area_mm2=space.architecture([12]).area_mm2 * 1.001)
    solution = dlco.solve([layer], space, "latency", budget, effort=EFFORT)
    first = solution.sensitivities[0]
    assert first.name == "area_mm2"
    assert first.anew
    assert -1.2 < first.elasticity < -0.7
    assert {one.name: one.elasticity for one in solution.sensitivities}["largest Buffer.fanout_x"] > -1e-6


def test_constraints_are_kept_in_mind() -> None:
    """Those that were given beside the hardware's own are those of the designs that the brackets speak of."""
    constraints = Constraints((SlotConstraint("Buffer", "spatial", only=True),))  # one MAC unit works
    machine = SPACE.architecture([3, 96, 12])
    solution = dlco.solve(NET, machine, "latency", constraints=constraints)
    assert solution.constraints == constraints
    assert Solution.from_dict(json.loads(json.dumps(solution.to_dict()))).constraints == constraints
    without = dlco.solve(NET, machine, "latency")
    assert solution.value > without.value
    for one in sensitivities(solution, exact=True):
        for factor in STEPS:
            changed = dlco.bound.nearby.Change(one.name, factor).machine(machine)
            value = dlco.solve(NET, changed, "latency", constraints=constraints).value
            slope = log(value / solution.value) / log(factor)
            assert one.low - 1e-6 <= slope <= one.high + 1e-6


def test_saved_and_shown(tmp_path) -> None:  # type: ignore[no-untyped-def]
    space = SPACE.subject_to("Buffer.capacity <= 8 * Registers.capacity")
    solution = dlco.solve(NET[1:], space, "edp", dlco.Budget(area_mm2=0.0125), effort=EFFORT)
    asked = solution.sensitivities
    solution.save(tmp_path / "solution.json")
    again = Solution.load(tmp_path / "solution.json")
    assert again == solution
    assert again.space == space
    assert again.known_sensitivities == asked
    assert "limits, the machine chosen anew" in str(again)
    page = solution_page(again)
    assert "smallest Registers.capacity" in page
    assert "Buffer.capacity &lt;= 8 * Registers.capacity" in page
    plot_sensitivities(again, tmp_path / "bars.svg")
    assert "sizes of the machine as it is" in (tmp_path / "bars.svg").read_text()
    data = solution.to_dict()
    data["space"]["parameters"][1]["grid"] = [64, 128, 256] if solution.architecture.levels[1].capacity == 96 else [96]
    with pytest.raises(InvalidInput, match="space of the solution does not have its machine"):
        Solution.from_dict(data)
    data = solution.to_dict()
    data["space"]["base"]["levels"][2]["write_pj"] *= 2
    with pytest.raises(InvalidInput, match="its machine in the space has"):
        Solution.from_dict(data)


def test_infinite_ends_are_saved() -> None:
    rows = (Sensitivity("a", 1.0, -0.5, -inf, -0.1), Sensitivity("smallest b", 2.0, 0.0, 0.0, inf, True, (1.0, 2.0)))
    solution = dlco.solve(NET[1:], BASE, "edp")
    vars(solution)["sensitivities"] = rows
    assert Solution.from_dict(json.loads(json.dumps(solution.to_dict()))).known_sensitivities == rows
    data = solution.to_dict()
    data["sensitivities"][0]["high"] = -3.0
    data["sensitivities"][0]["low"] = -2.0
    with pytest.raises(InvalidInput, match="above its high"):
        Solution.from_dict(data)
