import pytest
import torch

from dlco import Budget
from dlco.design.weighted_sum import WeightedSum
from dlco.errors import InvalidInput

LIMITS = Budget(latency_s=1e-3, energy_j=2e-3, area_mm2=4.0)


def test_it_is_what_the_paper_writes():
    asked = WeightedSum(accuracy=0.4, latency=0.2, energy=0.5, area=0.1, of=LIMITS)
    expected = (0.4 * 0.25 + 0.2 * 3 + 0.5 * 0.5 + 0.1 * 1.5) / 1.2
    assert asked.value(75.0, 3e-3, 1e-3, 6.0) == pytest.approx(expected)


@pytest.mark.parametrize("weights", [(0.4, 0.2, 0.5, 0.1), (0.0, 1.0, 0.0, 0.0), (3.0, 0.0, 1.0, 0.0)])
def test_its_log_in_pj_and_cycles_is_the_same(weights):
    asked, cycle_s = WeightedSum(*weights, of=LIMITS), 2e-9
    energy, cycles, area = torch.tensor([5e8, 1e9]), torch.tensor([1e5, 3e6]), torch.tensor([2.0, 3.0])
    costs = asked.costs(cycle_s)
    logs = costs.log_product(energy.log(), cycles.log(), area.log())
    torch.testing.assert_close(logs.exp(), costs.product(energy, cycles, area))
    found = asked.log_value(logs.double(), torch.tensor([70.0, 90.0], dtype=torch.float64)).exp().tolist()
    rows = zip((70.0, 90.0), cycles.tolist(), energy.tolist(), area.tolist(), strict=True)
    assert found == pytest.approx([asked.value(a, t * cycle_s, e * 1e-12, m) for a, t, e, m in rows], rel=1e-6)


def test_limits_are_what_costs_are_divided_by_unless_others_are_given():
    asked = WeightedSum(accuracy=1.0, energy=1.0)
    assert asked.against(LIMITS).of == LIMITS
    own = WeightedSum(accuracy=1.0, energy=1.0, of=Budget(energy_j=1.0))
    assert own.against(LIMITS) == own
    assert str(own) == "accuracy 1, energy 1 of 1 J"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"energy": -1.0}, "weight of energy is -1"),
        ({"energy": float("nan")}, "weight of energy is nan"),
        ({"accuracy": 1.0}, "weights of latency, energy, area are all 0"),
        ({"energy": 1.0, "of": Budget(latency_s=1.0)}, "energy has a weight, and energy_j"),
        ({"energy": 1.0, "of": 3}, "of is 3"),
    ],
)
def test_bad_weights_are_refused(options, said):
    with pytest.raises(InvalidInput, match=said):
        WeightedSum(**options)
