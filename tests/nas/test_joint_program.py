"""The joint relaxation: what it counts at corners, and where it goes where the answer is known."""

import torch

from dlco import Budget
from dlco.nas.joint_program import relax_jointly
from dlco.nas.request import CoRequest
from dlco.nas.rounding import round_network
from tests.nas.small import Linear, make_hardware, make_space

SPACE = make_space()
ORACLE = Linear(SPACE)


def relaxed(objective="energy", seed=0, **fields):
    request = CoRequest(SPACE, ORACLE, make_hardware(), objective, **fields)
    generator = torch.Generator().manual_seed(seed)
    return request, relax_jointly(request, ORACLE.accuracy_of_encoding, starts=3, steps=80, generator=generator)


def likeliest(solution, start=0):
    return tuple(int(part.argmax()) for part in solution.probabilities[start].split(3))


def test_without_a_limit_on_accuracy_the_least_work_wins():
    _, found = relaxed()
    assert likeliest(found) == (0, 0, 0)


def test_an_accuracy_that_one_network_has_forces_that_network():
    _, found = relaxed(least_accuracy=94.0)  # 80 + 5 + 3 + 6
    assert likeliest(found) == (2, 2, 2)
    assert float(found.violation[0]) < 0.05


def test_where_accuracy_is_maximised_limits_hold_it_back():
    _, large = relaxed("accuracy")
    assert likeliest(large) == (2, 2, 2)
    energy = float((SPACE.counts([(2, 2, 2)])[0] * large.energy_pj[0]).sum())
    _, small = relaxed("accuracy", budget=Budget(energy_j=0.6 * energy * 1e-12))
    p = small.probabilities[0]
    assert float(small.violation[0]) < 0.05
    assert 82.0 < float(ORACLE.accuracy_of_encoding(p)) < 93.5


def test_limits_on_area_hold_and_cost_energy():
    _, free = relaxed(network=(1, 1, 1))
    request, tight = relaxed(network=(1, 1, 1), budget=Budget(area_mm2=0.75))
    area = request.hardware.machine(tight.sizes[0]).area_mm2
    assert float(area) <= 0.75 * 1.03
    assert float(tight.value[0]) >= float(free.value[0]) - 0.05


def test_only_what_is_free_moves():
    _, found = relaxed(network=(1, 0, 2), machine=(1, 1))
    assert found.sizes.shape == (3, 0)
    assert torch.equal(found.probabilities, SPACE.encode([(1, 0, 2)]).expand(3, -1))
    used = SPACE.counts([(1, 0, 2)])[0] > 0
    assert torch.isfinite(found.energy_pj[:, used].log()).all()


def test_the_same_seed_gives_the_same_solution():
    (_, one), (_, other) = (relaxed(seed=1, least_accuracy=88.0) for _ in range(2))
    assert torch.equal(one.probabilities, other.probabilities)
    assert torch.equal(one.sizes, other.sizes)


def test_roundings_are_networks_near_the_probabilities():
    p = torch.tensor([0.8, 0.1, 0.1, 0.1, 0.8, 0.1, 0.05, 0.05, 0.9], dtype=torch.float64)
    found = round_network(SPACE, p, 8, torch.Generator().manual_seed(0))
    assert found[0] == (0, 1, 2)
    assert len(found) == len(set(found))
    assert all(SPACE.is_valid(network) for network in found)


def test_roundings_keep_what_the_space_forbids():
    class Different(type(SPACE)):
        def is_valid(self, network):
            return super().is_valid(network) and len(set(network)) > 1

    space = make_space()
    space.__class__ = Different
    p = torch.tensor([0.9, 0.05, 0.05] * 3, dtype=torch.float64)
    found = round_network(space, p, 4, torch.Generator().manual_seed(0))
    assert all(space.is_valid(network) for network in found)
    assert found[0].count(0) == 2
