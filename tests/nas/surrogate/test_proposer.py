"""The searches: optima that are known, seeds, pins, limits, spaces with and without decisions."""

import math
from itertools import pairwise

import pytest
import torch

from dlco import Budget, Progress
from dlco.design.weighted_sum import WeightedSum
from dlco.errors import InvalidInput
from dlco.nas import GraphSpace, NasBench201
from dlco.nas.cosearch import explore
from dlco.nas.evaluator import Evaluator
from dlco.nas.methods.surrogate import ConvexSum
from dlco.nas.oracles import Counted, FunctionAccuracy
from dlco.nas.request import CoRequest
from dlco.nas.surrogate import Settings, boshnas
from dlco.nas.surrogate.designs import pairs_of
from dlco.nas.surrogate.proposer import Proposer
from dlco.search import LayerCosts, Score
from tests.nas.small import Linear, make_hardware, make_space

CELLS = NasBench201()
WANTED = (3, 1, 3, 0, 2, 3)
SPACE, HARDWARE = make_space(), make_hardware()
MACHINES = [(i, j) for i in range(3) for j in range(4)]


def likeness(network):
    """Percent: the decisions that are as in `WANTED`, and more for neighbours that both are."""
    same = [a == b for a, b in zip(network, WANTED, strict=True)]
    return 40 + 6 * sum(same) + 4 * sum(a and b for a, b in pairwise(same))


@pytest.fixture(scope="module")
def costs():
    """Every layer on every machine."""
    found = LayerCosts(HARDWARE, Score("energy", Budget(latency_s=1.0), HARDWARE.base.cycle_s))
    found.search([(layer.problem, machine) for layer in SPACE.layers for machine in MACHINES])
    return found


def searched(costs, seed=1, evaluations=40, method="surrogate", **question):
    request = CoRequest(SPACE, Linear(SPACE), HARDWARE, **({"objective": "energy"} | question))
    evaluator = Evaluator(request, costs.for_score(request.score), evaluations)
    explore(request, evaluator, method, seed)
    return evaluator


def best_of_all(costs, request):
    """The lowest merit of all 324 pairs."""
    view, networks = costs.for_score(request.score), list(SPACE.networks())
    accuracies, layers = Linear(SPACE).accuracy(networks), [SPACE.to_layers(network) for network in networks]
    points = [view.networks(layers, [machine] * len(networks)) for machine in MACHINES]
    scores = torch.tensor([[point.score for point in row] for row in points], dtype=torch.float64)
    return float(request.merit(accuracies, scores).min())


def test_the_best_of_15625_networks_is_found_with_few_queries():
    oracle = Counted(FunctionAccuracy(CELLS, likeness))
    found = boshnas(CELLS, oracle, 60)
    assert found.network == WANTED
    assert oracle.queries == len(found.networks) == 60


def test_the_same_seed_asks_the_same_questions():
    oracle = FunctionAccuracy(CELLS, likeness)
    one, again, other = (boshnas(CELLS, oracle, 15, seed=seed) for seed in (3, 3, 4))
    assert one == again
    assert one.networks != other.networks


def test_a_search_ends_where_the_space_does():
    found = boshnas(SPACE, Linear(SPACE), 100)
    assert sorted(found.networks) == sorted(SPACE.networks())
    assert found.progress[-1] == found.accuracy == 94.0


def test_an_interrupted_search_keeps_what_it_asked():
    def stop(progress: Progress) -> None:
        if progress.done > 0.2:
            raise KeyboardInterrupt

    found = boshnas(CELLS, FunctionAccuracy(CELLS, likeness), 40, progress=stop)
    assert found.interrupted
    assert 8 < len(found.networks) < 40
    assert found.accuracy == max(map(likeness, found.networks))


def test_every_part_can_be_left_out():
    oracle = FunctionAccuracy(CELLS, likeness)
    parts = ({}, {"second_order": False}, {"heteroscedastic": False}, {"student": False}, {"ranks": False})
    found = [boshnas(CELLS, oracle, 20, settings=Settings(**part)) for part in parts]
    assert len({one.networks for one in found}) == len(parts)
    for one in found:
        assert max(one.accuracies[10:]) > sum(one.accuracies[:10]) / 10


def test_doubtful_and_distant_designs_take_their_share():
    """With all places given away: those of most doubt are what the surrogate doubts more than others."""
    generator = torch.Generator().manual_seed(0)
    request = CoRequest(SPACE, Linear(SPACE), HARDWARE, "energy")
    designs = pairs_of(request, generator)
    proposer = Proposer(designs, Settings(doubtful=1.0, distant=0.0), generator)
    first = proposer.ask(10)
    proposer.tell(first, [float(sum(pair.network)) for pair in first])
    chosen = proposer.ask(4)
    others = [pair for pair in designs.sample(60, generator) if pair not in chosen]
    doubts = [proposer.surrogate(designs.encode(some)).doubt for some in (chosen, others)]
    assert doubts[0].min() > doubts[1].quantile(0.7)
    proposer.settings = Settings(doubtful=0.0, distant=1.0)
    known = designs.encode(list(proposer.known))
    away = [torch.cdist(designs.encode(some), known, p=1).amin(1) for some in (proposer.ask(4), others)]
    assert away[0].min() > away[1].quantile(0.7)


def test_pairs_come_near_the_best_of_all(costs):
    request = CoRequest(SPACE, Linear(SPACE), HARDWARE, "energy", least_accuracy=87.0)
    found = searched(costs, evaluations=40, least_accuracy=87.0)
    assert found.best.feasible
    assert found.best.accuracy >= 87.0
    assert found.evaluations == 40
    assert found.best.merit <= best_of_all(costs, request) + 0.05


def test_as_published_a_convex_sum_is_learned_and_limits_hold_all_the_same(costs):
    budget = Budget(area_mm2=1.0)
    found = searched(costs, evaluations=14, method="boshcode", objective="accuracy", budget=budget)
    assert found.best.feasible
    assert found.evaluations == 14
    first = next(iter(found.candidates.values()))
    request = CoRequest(SPACE, Linear(SPACE), HARDWARE, "accuracy", budget)
    expected = (0.4 * (1 - first.accuracy / 100) + 0.1 * first.cost.area_mm2 / 1.0 + 0.2 + 0.5) / 1.2
    assert ConvexSum(request)([first]) == [pytest.approx(expected)]
    asked = WeightedSum(accuracy=1.0, area=3.0)  # learned as it is where it is the objective
    request = CoRequest(SPACE, Linear(SPACE), HARDWARE, asked, budget)
    expected = (1 - first.accuracy / 100 + 3 * first.cost.area_mm2) / 4
    assert ConvexSum(request)([first]) == [pytest.approx(expected)] == [request.value(first)]


def test_hard_limits_are_kept(costs):
    wide = searched(costs, evaluations=20)
    budget = Budget(area_mm2=1.0, energy_j=3 * wide.best.cost.energy_j)
    request = CoRequest(SPACE, Linear(SPACE), HARDWARE, "accuracy", budget)
    found = searched(costs, evaluations=40, objective="accuracy", budget=budget)
    assert found.best.feasible
    assert found.best.cost.energy_j <= budget.energy_j
    assert found.best.cost.area_mm2 <= budget.area_mm2
    assert -found.best.merit >= -best_of_all(costs, request) - 1.0
    # machines over the area are not even proposed
    assert all(candidate.cost.area_mm2 <= 1.0 for candidate in found.candidates.values())


def test_one_sided_searches_keep_their_side(costs):
    network = searched(costs, evaluations=30, network=(2, 1, 2))
    assert {pair.network for pair in network.candidates} == {(2, 1, 2)}
    assert len(network.candidates) == len(MACHINES)  # all there are
    machine = searched(costs, evaluations=20, machine=(1, 2), least_accuracy=86.0)
    assert {pair.machine for pair in machine.candidates} == {(1, 2)}
    assert len({pair.network for pair in machine.candidates}) == 20
    both = searched(costs, network=(2, 1, 2), machine=(1, 2))
    assert both.evaluations == 1


def test_the_same_seed_proposes_the_same_pairs(costs):
    one, again, other = (searched(costs, seed, 15) for seed in (5, 5, 6))
    assert list(one.candidates) == list(again.candidates)
    assert list(one.candidates) != list(other.candidates)


def test_networks_that_are_graphs_are_searched_too(monkeypatch):
    monkeypatch.setattr("dlco.nas.surrogate.designs.KNOWN", 24)
    space = GraphSpace()
    found = boshnas(
        space,
        FunctionAccuracy(space, lambda network: 100 / (1 + math.log10(space.parameters(network)))),
        18,
        settings=Settings(first=8, pool=12, around=8),
    )
    assert len(set(found.networks)) == 18
    assert all(space.is_valid(network) for network in found.networks)
    assert max(found.accuracies[8:]) > max(found.accuracies[:8])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"queries": 0}, "queries is 0"),
        ({"seed": -1}, "seed is -1"),
        ({"space": 3}, "space is 3"),
        ({"oracle": Linear(SPACE)}, "oracle judges 'small'; the space is 'nasbench201'"),
    ],
)
def test_bad_input_is_refused(options, message):
    arguments = {"space": CELLS, "oracle": FunctionAccuracy(CELLS, likeness)} | options
    with pytest.raises(InvalidInput, match=message):
        boshnas(**arguments)


@pytest.mark.parametrize(
    "field", [{"doubtful": 1.2}, {"distant": -0.1}, {"doubtful": 0.6, "distant": 0.6}, {"first": 0}, {"best": -1}]
)
def test_settings_are_checked(field):
    with pytest.raises(InvalidInput, match=next(iter(field))):
        Settings(**field)
