"""What is counted, what is free, and when a search ends."""

import pytest

from dlco import Budget
from dlco.errors import InvalidInput
from dlco.nas.evaluator import IDLE, Evaluator, Exhausted
from dlco.nas.request import CoRequest, Pair
from dlco.search import BROKEN, LayerCosts
from tests.nas.small import FAST, Linear, make_hardware, make_space

SPACE, HARDWARE = make_space(), make_hardware()


def make(limit=10, queries=None, objective="energy", **fields):
    oracle = Linear(SPACE)
    request = CoRequest(SPACE, oracle, HARDWARE, objective, **fields)
    costs = LayerCosts(HARDWARE, request.score, effort=FAST)
    return oracle, Evaluator(request, costs, limit, queries)


def test_each_pair_and_each_network_counts_once():
    oracle, evaluator = make()
    pairs = [Pair((0, 0, 0), (0, 0)), Pair((0, 0, 0), (1, 1)), Pair((1, 0, 0), (0, 0)), Pair((0, 0, 0), (0, 0))]
    found = evaluator.evaluate(pairs)
    assert [one.pair for one in found] == pairs
    assert found[0] is found[3]
    assert (evaluator.evaluations, evaluator.queries, len(oracle.asked)) == (3, 2, 2)
    assert evaluator.evaluate(pairs) == found
    assert (evaluator.evaluations, evaluator.queries, len(oracle.asked)) == (3, 2, 2)
    assert evaluator.best is min(found, key=lambda one: one.merit)
    assert evaluator.judged == {(0, 0, 0): 80.0, (1, 0, 0): 83.0}


def test_the_last_evaluations_are_made_and_then_it_ends():
    _, evaluator = make(limit=2)
    pairs = [Pair((i, 0, 0), (0, 0)) for i in range(3)]
    with pytest.raises(Exhausted):
        evaluator.evaluate(pairs)
    assert evaluator.evaluations == 2
    assert set(evaluator.candidates) == set(pairs[:2])
    with pytest.raises(Exhausted):
        evaluator.evaluate(pairs[2:])
    assert evaluator.evaluations == 2


def test_without_a_limit_it_ends_some_time_after_the_last_better_pair(monkeypatch):
    monkeypatch.setattr("dlco.nas.evaluator.PATIENCE", 5)
    best, worse = Pair((0, 0, 0), (0, 0)), [Pair((2, 2, 1), (i, j)) for i in range(3) for j in range(3)]
    _, evaluator = make(limit=None, objective="accuracy")
    evaluator.evaluate(worse[:3])  # the first of them is news: accuracies are alike
    assert (evaluator.evaluations, evaluator.left, evaluator.done) == (3, 3, 0.5)
    with pytest.raises(Exhausted):
        evaluator.evaluate(worse[3:])
    assert evaluator.evaluations == 6
    with evaluator.stage(0.5):  # a stage has a patience of its own
        evaluator.evaluate([best])
    assert evaluator.left == 5


def test_a_stage_has_its_share_of_the_limit():
    _, evaluator = make(limit=7)
    ended = True
    with evaluator.stage(0.5):
        evaluator.evaluate([Pair((i, j, 0), (0, 0)) for i in range(2) for j in range(2)])
        ended = False
    assert ended
    assert (evaluator.evaluations, evaluator.left) == (3, 4)


def test_queries_have_a_limit_of_their_own():
    oracle, evaluator = make(queries=2)
    pairs = [Pair((i, 0, 0), (0, 0)) for i in range(3)]
    evaluator.evaluate(pairs[:1])
    assert evaluator.done == 0.5
    with pytest.raises(Exhausted):
        evaluator.evaluate(pairs)
    assert evaluator.queries == len(oracle.asked) == 2
    assert set(evaluator.candidates) == set(pairs[:2])  # what was judged is evaluated too
    assert evaluator.done == 1


def test_a_method_that_brings_nothing_new_is_stopped():
    _, evaluator = make()
    for _ in range(IDLE + 1):
        evaluator.evaluate([Pair((0, 0, 0), (0, 0))])
    with pytest.raises(Exhausted):
        evaluator.evaluate([Pair((0, 0, 0), (0, 0))])
    assert evaluator.evaluations == 1


def test_a_table_of_layers_costs_as_many_evaluations_as_networks_have_such_layers():
    _, evaluator = make()
    evaluator.search_layers(SPACE.layers, (2, 2), 3.0)
    assert evaluator.evaluations == -(-len(SPACE.layers) // 3)
    spent = evaluator.evaluations
    evaluator.search_layers(SPACE.layers, (2, 2), 3.0)
    assert evaluator.evaluations == spent
    with pytest.raises(Exhausted):
        make(limit=1)[1].search_layers(SPACE.layers, (2, 2), 3.0)


def test_a_table_costs_no_less_where_another_search_left_its_layers():
    _, first = make()
    first.search_layers(SPACE.layers, (2, 2), 3.0)
    searched = first.costs.searches
    second = Evaluator(first.request, first.costs, 10)
    assert second.worth(SPACE.layers, (2, 2), 3.0) == first.evaluations
    second.search_layers(SPACE.layers, (2, 2), 3.0)
    assert second.evaluations == first.evaluations
    assert second.costs.searches == searched
    second.evaluate([Pair((0, 0, 0), (1, 1))])
    missing = len({layer.problem for layer in SPACE.layers}) - len(SPACE.to_layers((0, 0, 0)))
    assert second.worth(SPACE.layers, (1, 1), 1.0) == missing


def test_pairs_within_all_limits_rank_first_and_the_nearest_of_the_others_next():
    _, evaluator = make(least_accuracy=85.0, budget=Budget(area_mm2=1.0))
    good, small = Pair((2, 0, 0), (0, 0)), Pair((0, 0, 0), (0, 0))
    smaller, large = Pair((0, 1, 0), (0, 0)), Pair((2, 2, 2), (2, 3))
    found = {one.pair: one for one in evaluator.evaluate([good, small, smaller, large])}
    assert found[good].feasible
    assert not any(found[one].feasible for one in (small, smaller, large))
    assert found[small].merit - BROKEN == pytest.approx(0.5)  # 5 points, a tenth each
    assert found[smaller].merit - BROKEN == pytest.approx(0.3)
    assert evaluator.best is found[good]
    assert found[large].cost.area_mm2 > 1.0


def test_accuracy_ranks_first_where_it_is_the_objective():
    _, evaluator = make(objective="accuracy")
    low, high = evaluator.evaluate([Pair((0, 0, 0), (0, 0)), Pair((1, 0, 0), (2, 3))])
    assert high.merit < low.merit
    assert evaluator.request.value(high) == 83.0


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"objective": "speed"}, "objective is 'speed'"),
        ({"least_accuracy": 101}, "least_accuracy is 101"),
        ({"budget": Budget(layer_latency_s=1.0)}, "layer_latency_s"),
        ({"budget": 3}, "budget is 3"),
        ({"network": (0, 0)}, "network is"),
        ({"machine": (0, 9)}, "index is"),
    ],
)
def test_bad_questions_are_refused(fields, message):
    with pytest.raises(InvalidInput, match=message):
        CoRequest(SPACE, Linear(SPACE), HARDWARE, **fields)


def test_an_oracle_of_another_space_is_refused():
    other = make_space()
    other.name = "other"
    with pytest.raises(InvalidInput, match="other"):
        CoRequest(SPACE, Linear(other), HARDWARE)
