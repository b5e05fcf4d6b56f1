"""Networks ranked without evaluating them: what is likely to be better, against its definition; whole small spaces."""

import random

import pytest
import torch
from scipy.stats import norm

from dlco import Budget
from dlco.nas import Network
from dlco.nas.accuracy_model import AccuracyModel
from dlco.nas.listed import Listed
from dlco.nas.network_ranking import NetworkRanking
from dlco.nas.request import CoRequest

from .small import Opaque, make_hardware, make_space

LEAST = 86.0


def ranking(judged: dict[Network, float], known_best: float | None, least: float = LEAST) -> NetworkRanking:
    """Of networks on some machine whose layers cost what they may."""
    space = make_space()
    request = CoRequest(space, Opaque(space), make_hardware(), "energy", Budget(), least_accuracy=least)
    model = AccuracyModel(request)
    model.learn(judged)
    generator = torch.Generator().manual_seed(1)
    energy = 1e5 * (1 + torch.rand(1, len(space.layers), generator=generator, dtype=torch.float64))
    return NetworkRanking(request, model, energy, energy, torch.tensor(1.0, dtype=torch.float64), known_best)


def some_judged(n: int, seed: int = 0) -> dict[Network, float]:
    """Networks with accuracies that the oracle gave, about."""
    space, rng = make_space(), random.Random(seed)
    networks = rng.sample(list(space.networks()), n)
    accuracies = Opaque(space).accuracy(networks).tolist()
    return {network: a + rng.gauss(0, 0.5) for network, a in zip(networks, accuracies, strict=True)}


def test_networks_rank_by_how_much_better_they_are_likely_to_be() -> None:
    judged = some_judged(12)
    every = list(make_space().networks())
    scores = ranking(judged, None).scores(every)
    best = float(scores.median())
    one = ranking(judged, best)
    predicted = one.accuracy(make_space().encode(every)).tolist()
    merits = one.merits(every).tolist()
    for network, merit, score, accuracy in zip(every, merits, scores.tolist(), predicted, strict=True):
        gain = max(0.0, best - score)
        if network in judged:
            assert merit == pytest.approx(-gain if judged[network] >= LEAST else 0.0)
        else:
            assert merit == pytest.approx(-gain * norm.cdf((accuracy - LEAST) / one.accuracy.error))
    assert min(merits) < 0


@pytest.mark.parametrize("known_best", [None, 14.0])
def test_a_small_space_is_ranked_whole(known_best: float | None) -> None:
    space, one = make_space(), ranking(some_judged(12), known_best)
    every = list(space.networks())
    merit = dict(zip(every, one.merits(every).tolist(), strict=True))
    networks, merits = Listed(space).best(one, 5, lambda network: network[0] == 2)
    assert merits == pytest.approx(sorted(value for network, value in merit.items() if network[0] != 2)[:5])
    assert [merit[network] for network in networks] == pytest.approx(merits)
    assert all(network[0] != 2 for network in networks)


def test_by_how_much_poor_networks_fail_changes_no_prediction() -> None:
    judged = some_judged(15, seed=2)
    middle = sorted(judged.values())[7]
    worse = {network: a if a >= middle else a - 30.0 for network, a in judged.items()}
    fresh = [network for network in make_space().networks() if network not in judged]
    before, after = (ranking(known, None, middle + 3).accuracy.of_networks(fresh) for known in (judged, worse))
    assert after.tolist() == pytest.approx(before.tolist())
    near, far = (ranking(known, None, middle - 3).accuracy.of_networks(fresh) for known in (judged, worse))
    assert not torch.allclose(near, far)  # a limit below the middle is among them
