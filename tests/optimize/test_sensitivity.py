"""What one per cent more is worth: brackets hold the true changes, which the exact search finds."""

from dataclasses import replace
from math import inf, log

import pytest

import dlco
from dlco.bound import BoundEffort
from dlco.bound.nearby import Change
from dlco.design.sensitivity import STEP, Sensitivity
from dlco.design.sensitivity_table import sensitivity_tables
from dlco.design.solution import Solution
from dlco.design.solution_table import solution_text
from dlco.errors import InvalidInput
from dlco.hardware import Architecture, Level
from dlco.optimize import sensitivities
from dlco.report import plot_sensitivities, solution_page
from dlco.search.local_search import Effort

NET = [dlco.conv2d("conv", C=8, M=8, P=4, Q=4, R=3, S=1), dlco.matmul("product", M=12, K=8, N=4, count=2)]
MACHINE = Architecture(
    (
        Level("Registers", kind="regfile", capacity=20, read_pj=0.3, write_pj=0.3, update_pj=0.3),
        Level("Buffer", capacity=200, read_pj=6, write_pj=6, update_pj=6, fanout_x=2, fanout_y=2),
        Level("DRAM", kind="DRAM", read_pj=90, write_pj=90, update_pj=90, read_bandwidth=1, write_bandwidth=1),
    )
)
LEAKY = replace(MACHINE, levels=(*MACHINE.levels[:2], replace(MACHINE.levels[2], leak_pj=50.0)))


def optimum(objective: str, machine: Architecture, budget: dlco.Budget) -> float:
    try:
        solution = dlco.solve(NET, machine, objective, budget)
    except InvalidInput:
        return inf
    assert solution.status == "infeasible" or solution.gap == 0
    return inf if solution.status == "infeasible" else solution.value


def true_slopes(solution: Solution, one: Sensitivity) -> list[float]:
    """Of the optimum, for the figure made smaller and larger."""
    found = []
    for factor in (1 - STEP, 1 + STEP):
        machine, budget = MACHINE if solution.architecture == MACHINE else LEAKY, solution.budget
        if hasattr(budget, one.name):
            budget = replace(budget, **{one.name: getattr(budget, one.name) * factor})
        else:
            machine = Change(one.name, factor).machine(machine)
        value = optimum(solution.objective, machine, budget)
        found.append(-inf if value == inf else log(value / solution.value) / log(factor))
    return found


def fastest() -> float:
    return optimum("latency", MACHINE, dlco.Budget())


@pytest.mark.parametrize(
    ("objective", "machine", "limited"),
    [
        ("latency", MACHINE, None),
        ("energy", LEAKY, None),
        ("edp", MACHINE, None),
        ("energy", MACHINE, lambda: dlco.Budget(latency_s=1.03 * fastest())),
        ("edp", LEAKY, lambda: dlco.Budget(layer_latency_s=0.8 * fastest())),
    ],
)
def test_true_changes_lie_within_the_brackets(objective: str, machine: Architecture, limited) -> None:  # type: ignore[no-untyped-def]
    budget = limited() if limited else dlco.Budget()
    solution = dlco.solve(NET, machine, objective, budget)
    assert solution.gap == 0
    found = solution.sensitivities
    names = [one.name for one in found]
    assert {"Registers.capacity", "Buffer.capacity", "DRAM.read_bandwidth", "DRAM.write_bandwidth"} <= set(names)
    assert ("latency_s" in names) == (budget.latency_s is not None)
    assert ("layer_latency_s" in names) == (budget.layer_latency_s is not None)
    exact = {one.name: one for one in sensitivities(solution, exact=True)}
    for one in found:
        assert one.low <= one.high <= 0
        slopes = true_slopes(solution, one)
        for slope in slopes:
            assert one.low - 1e-6 <= slope <= one.high + 1e-6, one
        assert exact[one.name].low == pytest.approx(min(slopes), abs=1e-6)
        assert exact[one.name].high == pytest.approx(max(slopes), abs=1e-6)


def test_the_slope_is_the_bounds() -> None:
    """Of a machine that does nothing but wait for DRAM's reads, nearly all of the latency is theirs."""
    slow = replace(MACHINE.levels[2], read_bandwidth=0.05, write_bandwidth=inf)
    solution = dlco.solve(NET, replace(MACHINE, levels=(*MACHINE.levels[:2], slow)), "latency")
    first = solution.sensitivities[0]
    assert first.name == "DRAM.read_bandwidth"
    assert first.elasticity == pytest.approx(-1.0, abs=0.02)
    assert first.high < -0.8
    assert first.low > -1.2


def test_what_moves_nothing_is_worth_nothing() -> None:
    """Bandwidths where time has no part; everything for an area, which no mapping changes."""
    energy = dlco.solve(NET, MACHINE, "energy")
    ports = [one for one in energy.sensitivities if one.name.endswith("bandwidth")]
    assert ports
    assert all((one.elasticity, one.low, one.high) == (0, 0, 0) for one in ports)
    area = dlco.solve(NET, MACHINE, "area", dlco.Budget(latency_s=1.0))
    assert {one.name for one in area.sensitivities} >= {"latency_s", "Buffer.capacity"}
    assert all((one.elasticity, one.low, one.high) == (0, 0, 0) for one in area.sensitivities)


def test_searched_solutions_have_wider_brackets() -> None:
    """Where nothing is proved optimal, as for mean power, and where factors need not divide."""
    brief = Effort(rounds=8, population=4, neighbours=6)
    effort = dlco.SolveEffort(starts=1, fit=brief, polish=brief, polishes=1, bound=BoundEffort(nodes=60, side=30))
    power = dlco.solve(NET, MACHINE, "power", dlco.Budget(latency_s=3 * fastest()), effort=effort)
    found = {one.name: one for one in power.sensitivities}
    assert found["latency_s"].elasticity < -0.3  # less haste, less power
    assert found["latency_s"].low <= found["latency_s"].elasticity
    imperfect = dlco.solve(NET[1:], MACHINE, "edp", imperfect=True, effort=effort)
    assert all(one.low <= one.high <= 0 for one in imperfect.sensitivities)


def test_an_infeasible_solution_has_none() -> None:
    solution = replace(dlco.solve(NET, MACHINE, "energy"), status="infeasible")
    with pytest.raises(InvalidInput, match="keeps its limits"):
        sensitivities(solution)


def test_shown_once_they_are_known(tmp_path) -> None:  # type: ignore[no-untyped-def]
    solution = dlco.solve(NET, MACHINE, "latency")
    title = "What one per cent more is worth"
    assert solution.known_sensitivities == ()
    assert title not in solution_text(solution)
    assert 'id="sensitivities"' not in solution_page(solution)
    again = Solution.from_dict(solution.to_dict())
    assert solution.sensitivities is solution.sensitivities
    assert title in solution_text(solution)
    assert 'id="sensitivities"' in solution_page(solution)
    assert again == solution
    assert again.sensitivities == solution.sensitivities
    for name in ("bars.svg", "bars.png"):
        plot_sensitivities(solution, tmp_path / name)
    drawn = (tmp_path / "bars.svg").read_text()
    assert all(one.name in drawn for one in solution.sensitivities)
    assert "latency saved by one per cent more" in drawn
    with pytest.raises(InvalidInput, match="suffix"):
        plot_sensitivities(solution, tmp_path / "bars.txt")


def test_a_bracket_without_an_end() -> None:
    rows = (Sensitivity("a.capacity", 1.0, -0.5, -inf, -0.1), Sensitivity("latency_s", 0.25, 0.0, -0.2, 0.0))
    (table,) = sensitivity_tables(rows)
    text = table.to_text()
    assert "not known" in text
    assert "-0.500" in text
