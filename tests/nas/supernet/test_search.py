"""The costs of relaxed networks against enumeration, and the search on a problem whose answer is known."""

from itertools import product

import pytest
import torch
from torch import Tensor, nn

import dlco
from dlco.errors import InvalidInput
from dlco.nas.spaces.digits import Digits
from dlco.nas.supernet import Images, OperatorCosts, SearchTraining, operator_costs, search_supernet
from dlco.search import LayerCosts, Score

SPACE = Digits(blocks=1)  # two decisions of seven options
MACS = torch.tensor(
    [[sum(layer.macs for layer in factor.layers[option,]) for option in range(7)] for factor in SPACE.factors()[1:]],
    dtype=torch.float64,
)


def linear(energy_pj: Tensor, cycles: Tensor) -> OperatorCosts:
    """Of `[decisions, options]` both: every option costs the same whatever else is chosen, on one machine."""
    places = tuple((at,) for at in range(len(energy_pj)))
    return OperatorCosts(places, tuple(row[None] for row in energy_pj), tuple(row[None] for row in cycles))


COSTS = linear(MACS + 1e4, MACS / 8 + 1e3)


class Additive(nn.Module):
    """A "supernet" whose two classes are told apart the better, the better its options: `gains` of each."""

    def __init__(self, gains: Tensor) -> None:
        super().__init__()
        self.gains = gains
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, images: Tensor, encoding: Tensor) -> Tensor:
        score = images.flatten(1).sum(1) * (encoding.to(images) @ self.gains) * self.scale
        return torch.stack([score, -score], 1)


def two_classes(n: int = 96) -> Images:
    labels = torch.arange(n) % 2
    part = (1.0 - 2 * labels.float()).reshape(n, 1), labels
    return Images(part, part, part)


def test_expected_costs_are_the_mean_over_networks_drawn_independently() -> None:
    generator = torch.Generator().manual_seed(0)
    tables = [torch.rand(shape, generator=generator, dtype=torch.float64) for shape in ((2,), (2, 3), (2, 3, 4))]
    costs = OperatorCosts(((), (1,), (1, 0)), tuple(tables), tuple(table * 2 for table in tables))
    of_first, of_second = (torch.rand(n, generator=generator, dtype=torch.float64).softmax(0) for n in (4, 3))
    mean = sum(
        of_first[i] * of_second[j] * (tables[0] + tables[1][:, j] + tables[2][:, j, i])
        for i, j in product(range(4), range(3))
    )

    energy, cycles = costs.expected([of_first, of_second])
    torch.testing.assert_close((energy, cycles), (mean, 2 * mean))


def test_operator_costs_add_up_to_the_layers_of_a_network() -> None:
    machine = dlco.hardware.eyeriss_like()
    found = LayerCosts(machine, Score("energy", dlco.Budget(), machine.cycle_s))
    costs = operator_costs(SPACE, found, objective="energy")
    network = (2, 6)
    probabilities = [torch.eye(7, dtype=torch.float64)[option] for option in network]
    energy = sum(layer.count * found.points(layer, ()).energy_pj.min() for layer in SPACE.to_layers(network))

    assert costs.expected(probabilities)[0].item() == pytest.approx(float(energy))
    with pytest.raises(InvalidInput, match="objective is 'area'"):
        operator_costs(SPACE, found, objective="area")


@pytest.mark.parametrize("sampling", ["gumbel", "softmax"])
def test_search_finds_the_best_network_within_a_limit(sampling: str) -> None:
    gains = torch.cat([MACS[0], MACS[1]]).float().sqrt() / 100  # dear options are good ones
    training = SearchTraining(warm_up=0, epochs=25, sampling=sampling, choice_rate=0.1, rate=1e-6)
    limit = float(COSTS.expected([torch.eye(7).double()[5]] * 2)[0]) * 0.6
    found = search_supernet(
        Additive(gains), SPACE, two_classes(), COSTS, "accuracy", energy_pj=limit, training=training, progress=False
    )
    energy_of = {n: float(MACS[0, n[0]] + MACS[1, n[1]]) + 2e4 for n in SPACE.networks()}
    gain_of = {n: float(gains[n[0]] + gains[7 + n[1]]) for n in SPACE.networks()}
    best = max(gain for n, gain in gain_of.items() if energy_of[n] <= limit)

    assert found.feasible
    assert found.energy_pj == pytest.approx(energy_of[found.network])
    assert found.energy_pj <= limit
    assert gain_of[found.network] >= 0.9 * best
    assert len(found.history) == 25
    assert found.history[-1].energy_pj < 1.15 * limit  # the relaxed network was driven to the limit, not only rounded


def test_without_gain_the_cheapest_network_and_the_cheaper_machine_are_found() -> None:
    two = OperatorCosts(
        COSTS.decisions,
        tuple(torch.cat([2 * table, table]) for table in COSTS.energy_pj),
        tuple(torch.cat([table, table]) for table in COSTS.cycles),
    )
    training = SearchTraining(warm_up=0, epochs=10, choice_rate=0.3, trade=1.0)
    found = search_supernet(
        Additive(torch.zeros(14)), SPACE, two_classes(), two, "energy", training=training, progress=False
    )

    assert found.network == (6, 6)
    assert found.machine == 1
    assert found.machine_probabilities[1] > 0.7
    assert found.history[-1].energy_pj < found.history[0].energy_pj


def test_limit_that_no_network_keeps_is_reported_and_interruption_keeps_the_best() -> None:
    calls = []

    def interrupt(progress: dlco.Progress) -> None:
        calls.append(progress.phase)
        if calls.count("search") == 2:
            raise KeyboardInterrupt

    training = SearchTraining(warm_up=1, epochs=10)
    found = search_supernet(
        Additive(torch.ones(14)), SPACE, two_classes(), COSTS, cycles=1.0, training=training, progress=interrupt
    )

    assert found.interrupted
    assert len(found.history) == 2
    assert not found.feasible
    assert found.network == (6, 6)  # what breaks the limit least


def test_same_seed_same_answer() -> None:
    training = SearchTraining(warm_up=1, epochs=3)
    gains = torch.linspace(0, 1, 14)

    def run(seed: int) -> list[float]:
        found = search_supernet(
            Additive(gains), SPACE, two_classes(), COSTS, training=training, seed=seed, progress=False
        )
        return torch.cat(found.probabilities).tolist()

    assert run(0) == run(0) != run(1)


def test_wrong_questions_are_refused() -> None:
    with pytest.raises(InvalidInput, match="objective is 'area'"):
        search_supernet(Additive(torch.ones(14)), SPACE, two_classes(), COSTS, "area")
    with pytest.raises(InvalidInput, match="energy_pj is -1"):
        search_supernet(Additive(torch.ones(14)), SPACE, two_classes(), COSTS, energy_pj=-1)
    wrong = linear(MACS[:, :6], MACS[:, :6])
    with pytest.raises(InvalidInput, match="6] options for decisions"):
        search_supernet(Additive(torch.ones(14)), SPACE, two_classes(), wrong)
    with pytest.raises(InvalidInput, match="sampling is 'hard'"):
        SearchTraining(sampling="hard")
    with pytest.raises(InvalidInput, match="tables of decisions"):
        OperatorCosts(((0,),), (torch.ones(2, 7),), (torch.ones(1, 7),))
