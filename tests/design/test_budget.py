"""What a `Budget` accepts and says."""

from math import inf, nan

import pytest

from dlco import Budget, InvalidInput
from dlco.design.objective import OBJECTIVES, Objective
from dlco.hardware import generic

FIELDS = ("area_mm2", "power_w", "latency_s", "energy_j")


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("value", [0, -1, -0.5, nan, inf, -inf, "4", True, [4]])
def test_limits_must_be_finite_and_positive(field: str, value: object) -> None:
    with pytest.raises(InvalidInput, match=f"budget {field} is .*finite number above 0"):
        Budget(**{field: value})


def test_limits_names_what_is_set() -> None:
    assert Budget().limits == {}
    assert Budget(area_mm2=4, energy_j=0.25).limits == {"area_mm2": 4, "energy_j": 0.25}
    assert Budget(**dict.fromkeys(FIELDS, 1.5)).limits == dict.fromkeys(FIELDS, 1.5)


@pytest.mark.parametrize("objective", ["speed", "", "EDP", None, 3, ["edp"]])
def test_unknown_objectives_are_refused_with_those_allowed(objective: object) -> None:
    with pytest.raises(InvalidInput, match="latency, energy, edp, power, area"):
        Objective.parse(objective)


def test_objectives_pass() -> None:
    assert [Objective.parse(one) for one in OBJECTIVES] == ["latency", "energy", "edp", "power", "area"]


def test_what_a_machine_uses_of_the_limits_on_it_alone() -> None:
    machine = generic()
    budget = Budget(area_mm2=1.0, pe_count=machine.macs, capacity={"GlobalBuffer": 64}, energy_j=1.0)
    used = {use.limit: (use.used, use.most, use.broken) for use in budget.machine_uses(machine)}
    assert used == {
        "area_mm2": (machine.area_mm2, 1.0, machine.area_mm2 > 1.0),
        "pe_count": (machine.macs, machine.macs, False),
        "capacity of GlobalBuffer": (machine.level("GlobalBuffer").capacity, 64, True),
    }
    assert Budget(latency_s=1.0).machine_uses(machine) == []
