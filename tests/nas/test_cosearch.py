"""Co-search against all pairs of a small space, method by method; and what an answer carries."""

import json
import sys
from dataclasses import replace
from math import exp, log

import pytest
import torch

from dlco import Budget, Progress, SolveEffort, evaluate
from dlco.design.codesign import CoDesign
from dlco.design.weighted_sum import WeightedSum
from dlco.errors import Infeasible, InvalidInput
from dlco.nas.cosearch import cosearch
from dlco.nas.evaluator import Evaluator
from dlco.nas.methods import METHODS
from dlco.nas.oracles import Counted
from dlco.nas.request import CoRequest
from dlco.nas.space import NetworkSpace
from dlco.search import Effort, LayerCosts, Score
from tests.nas.small import FAST, Linear, Opaque, make_hardware, make_space

SPACE, HARDWARE = make_space(), make_hardware()
MACHINES = [(i, j) for i in range(3) for j in range(4)]
QUICK = SolveEffort(starts=0, polishes=0, fit=Effort(rounds=4))
JOINT = ["relaxed", "surrogate", "evolutionary", "local-search", "random"]


@pytest.fixture(autouse=True)
def _short(monkeypatch):
    """The space is small, and so may the relaxation be."""
    monkeypatch.setattr("dlco.nas.methods.relaxed.STARTS", 2)
    monkeypatch.setattr("dlco.nas.methods.relaxed.STEPS", 20)


@pytest.fixture(scope="module")
def costs():
    """Every layer on every machine."""
    found = LayerCosts(HARDWARE, Score("energy", Budget(latency_s=1.0), HARDWARE.base.cycle_s))
    found.search([(layer.problem, machine) for layer in SPACE.layers for machine in MACHINES])
    return found


def all_pairs(costs, request):
    """(merit, network, machine) of every pair, best first, from `costs` alone."""
    view, found = costs.for_score(request.score), []
    networks = list(SPACE.networks())
    accuracies = Linear(SPACE).accuracy(networks)
    for machine in MACHINES:
        points = view.networks([SPACE.to_layers(n) for n in networks], [machine] * len(networks))
        scores = torch.tensor([point.score for point in points], dtype=torch.float64)
        found += [(m, n, machine) for m, n in zip(request.merit(accuracies, scores).tolist(), networks, strict=True)]
    return sorted(found)


def ask(costs, method="relaxed", oracle=None, *, objective="energy", budget=None, evaluations=80, **options):
    request = CoRequest(SPACE, oracle or Linear(SPACE), HARDWARE, objective, budget or Budget())
    options = {"seed": 1, "effort": QUICK, "costs": costs.for_score(request.score)} | options
    return cosearch(
        SPACE, oracle or Linear(SPACE), HARDWARE, objective, budget, method=method, evaluations=evaluations, **options
    )


@pytest.mark.parametrize("method", JOINT)
def test_every_method_comes_near_the_best_of_all_pairs(costs, method):
    request = CoRequest(SPACE, Linear(SPACE), HARDWARE, "energy", least_accuracy=87.0)
    merit, _, _ = all_pairs(costs, request)[0]
    found = ask(costs, method, least_accuracy=87.0)
    assert found.status == "solved"
    assert found.accuracy >= 87.0
    assert found.evaluations <= 80
    slack = {"random": 0.3}.get(method, 0.02)
    assert merit - 1e-4 <= log(found.trace[-1].energy_pj) <= merit + slack
    assert found.value <= found.trace[-1].energy_pj * (1 + 1e-9)


@pytest.mark.parametrize("oracle", [Linear(SPACE), Opaque(SPACE)])
def test_the_default_finds_the_most_accurate_network_within_limits(costs, oracle):
    everything = CoRequest(SPACE, Linear(SPACE), HARDWARE, "energy", network=(1, 1, 1))
    middle = next(m for m in all_pairs(costs, everything) if m[1] == (1, 1, 1))[0]
    budget = Budget(energy_j=exp(middle) * 1.02e-12, area_mm2=1.5)
    request = CoRequest(SPACE, Linear(SPACE), HARDWARE, "accuracy", budget)
    _, best, _ = all_pairs(costs, request)[0]
    found = ask(costs, oracle=oracle, objective="accuracy", budget=budget)
    assert found.status == "solved"
    assert found.accuracy == pytest.approx(float(Linear(SPACE).accuracy([best])[0]))
    assert found.solution.cost.energy_pj * 1e-12 <= budget.energy_j
    assert found.solution.cost.area_mm2 <= 1.5


def test_an_answer_carries_the_solved_mapping_of_its_network(costs):
    found = ask(costs, evaluations=40, least_accuracy=86.0)
    solution = found.solution
    assert solution.layers == SPACE.to_layers(SPACE.parse(found.network))
    energy = 0.0
    for layer in solution.layers:
        cost = evaluate(layer, solution.architecture, solution.mappings[layer.name])
        assert bool(cost.valid)
        energy += layer.count * cost.energy_pj.item()
    assert energy == pytest.approx(solution.cost.energy_pj)
    assert found.value == solution.cost.energy_pj
    steps, _ = found.progress()
    assert list(steps) == sorted(steps)
    assert found.front[0].accuracy == max(p.accuracy for p in found.front)
    beaten = [
        (a, b)
        for a in found.front
        for b in found.front
        if a is not b and a.accuracy >= b.accuracy and a.energy_pj <= b.energy_pj and a.latency_s <= b.latency_s
    ]
    assert not beaten


@pytest.mark.parametrize("method", ["fixed-hardware", "fixed-network", "two-stage"])
def test_one_sided_searches_keep_their_side(costs, method):
    base = {p.name: v for p, v in zip(HARDWARE.parameters, HARDWARE.base_sizes.tolist(), strict=True)}
    network = (2, 1, 2) if method == "fixed-network" else None
    found = ask(costs, method, evaluations=30, least_accuracy=88.0, network=network)
    assert found.status == "solved"
    assert found.evaluations <= 30
    seen = {point.network for point in found.trace}
    if method == "fixed-network":
        assert seen == {SPACE.format((2, 1, 2))}
    if method == "fixed-hardware":
        assert {point.sizes for point in found.trace} == {tuple(base.values())}


@pytest.mark.parametrize("method", ["relaxed", "evolutionary", "local-search", "random"])
def test_pins_hold_for_every_method(costs, method):
    found = ask(costs, method, evaluations=8, network=(0, 1, 2))
    assert {point.network for point in found.trace} == {SPACE.format((0, 1, 2))}
    found = ask(costs, method, evaluations=16, machine=(1, 1))
    assert {point.sizes for point in found.trace} == {tuple(HARDWARE.index_to_sizes(torch.tensor((1, 1))).tolist())}


def test_the_same_seed_gives_the_same_design():
    def run():
        request = CoRequest(SPACE, Opaque(SPACE), HARDWARE, "edp", Budget(area_mm2=1.0), 85.0)
        costs = LayerCosts(HARDWARE, request.score, effort=FAST)
        options = {"least_accuracy": 85.0, "evaluations": 25, "seed": 3, "effort": QUICK, "costs": costs}
        return cosearch(SPACE, request.oracle, HARDWARE, "edp", request.budget, **options)

    one, other = run(), run()
    assert replace(one, seconds=0.0, solution=other.solution) == replace(other, seconds=0.0)
    assert one.solution.mappings == other.solution.mappings
    assert one.solution.cost == other.solution.cost


def test_networks_for_one_machine_need_no_program(costs, monkeypatch):
    def forbidden(*args, **options):
        raise AssertionError("the machine is fixed: exact costs of its layers are there")

    monkeypatch.setattr("dlco.nas.methods.relaxed.relax_jointly", forbidden)
    request = CoRequest(SPACE, Linear(SPACE), HARDWARE, "energy", least_accuracy=87.0)
    merit = next(merit for merit, _, machine in all_pairs(costs, request) if machine == (1, 1))
    found = ask(costs, machine=(1, 1), least_accuracy=87.0, evaluations=12)
    assert found.status == "solved"
    assert log(found.trace[-1].energy_pj) == pytest.approx(merit, abs=1e-4)


ASKED = WeightedSum(
    accuracy=4.0, latency=1.0, energy=1.0, area=0.3, of=Budget(latency_s=1e-5, energy_j=2e-6, area_mm2=1)
)


@pytest.mark.parametrize("method", ["relaxed", "surrogate", "evolutionary"])
def test_a_weighted_sum_is_an_objective_beside_limits(costs, method):
    """The least of all pairs, by mappings that no other objective's search has chosen."""
    budget = Budget(area_mm2=1.0)
    request = CoRequest(SPACE, Linear(SPACE), HARDWARE, ASKED, budget, least_accuracy=87.0)
    merit, *_ = all_pairs(costs, request)[0]
    found = ask(costs, method, objective=ASKED, budget=budget, least_accuracy=87.0)
    assert (found.status, found.objective, found.weights) == ("solved", "sum", ASKED)
    assert found.accuracy >= 87.0
    assert found.solution.cost.area_mm2 <= 1.0
    assert found.solution.budget == budget
    slack = {"evolutionary": 0.05}.get(method, 0.02)
    _, sums = found.progress()
    assert merit - 1e-4 <= log(sums[-1]) <= merit + slack
    assert found.value <= sums[-1] * (1 + 1e-9)
    cost = found.solution.cost
    assert found.value == pytest.approx(ASKED.value(found.accuracy, cost.latency_s, cost.energy_j, cost.area_mm2))
    assert CoDesign.from_dict(json.loads(json.dumps(found.to_dict()))) == found
    assert f"weighted sum {found.value:.4g}" in str(found)


def test_weights_move_the_pair(costs):
    """More weight on accuracy never makes the best of all pairs less accurate."""
    requests = [CoRequest(SPACE, Linear(SPACE), HARDWARE, replace(ASKED, accuracy=10.0**k)) for k in range(-1, 3)]
    best = [Linear(SPACE).accuracy([all_pairs(costs, request)[0][1]]).item() for request in requests]
    assert best == sorted(best)
    assert best[0] < best[-1]


def test_limits_that_nothing_meets_come_back_as_infeasible_with_the_nearest(costs):
    found = ask(costs, evaluations=20, least_accuracy=99.0)
    assert found.status == "infeasible"
    assert found.network == SPACE.format((2, 2, 2))
    assert found.front == ()


def test_an_interrupted_search_keeps_its_best(costs):
    def stop(progress: Progress) -> None:
        if progress.best is not None:
            raise KeyboardInterrupt

    found = ask(costs, "local-search", progress=stop)
    assert found.status == "interrupted"
    assert 0 < found.evaluations < 80
    assert len(found.solution.mappings) == len(found.solution.layers)


def test_an_interrupt_before_the_final_solve_keeps_the_pair(costs, monkeypatch):
    def stop(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(sys.modules["dlco.nas.cosearch"], "solve_again", stop)
    found = ask(costs, "random", evaluations=5)
    assert found.status == "interrupted"
    assert len(found.solution.mappings) == len(found.solution.layers)


def test_a_design_survives_its_file(costs, tmp_path):
    found = ask(costs, "random", evaluations=10)
    found.save(tmp_path / "design.json")
    again = CoDesign.load(tmp_path / "design.json")
    assert again == found
    assert SPACE.parse(again.network) in list(SPACE.networks())
    assert "pairs evaluated" in str(again)
    (tmp_path / "other.json").write_text('{"kind": "dlco co-design", "format": 1}')
    (tmp_path / "bad.json").write_text("[]")
    for name in ("other.json", "bad.json", "missing.json"):
        with pytest.raises(InvalidInput):
            CoDesign.load(tmp_path / name)


def test_the_front_has_what_none_of_the_pairs_evaluated_beats(costs, monkeypatch):
    """Accuracy, energy and latency, each of which some pair of the front owes its place to."""
    evaluators = []

    class Watched(Evaluator):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            evaluators.append(self)

    monkeypatch.setattr(sys.modules["dlco.nas.cosearch"], "Evaluator", Watched)
    front = ask(costs, "random", evaluations=60, seed=3).front
    pairs = [(-one.accuracy, one.cost.energy_pj, one.cost.cycles) for one in evaluators[0].candidates.values()]
    best = best_of(pairs, 3)
    cycle_s = HARDWARE.base.cycle_s
    found = [(-one.accuracy, one.energy_pj, one.latency_s / cycle_s) for one in front]
    assert found == sorted(found, key=lambda one: one[:2])
    assert sorted(found) == [pytest.approx(one) for one in sorted(best)]
    for axis in range(3):
        others = [i for i in range(3) if i != axis]
        assert len(best_of([tuple(one[i] for i in others) for one in pairs], 2)) < len(best), "all axes count"


def best_of(pairs, axes):
    """The different figures that no other matches on every axis and beats on one, by looking at all."""
    return [one for one in set(pairs) if not any(all(o[i] <= one[i] for i in range(axes)) and o != one for o in pairs)]


UNTRUE = {
    "status": (("status",), "infeasible", "its limits are kept"),
    "accuracy": (("accuracy",), 99.0, "its trace ends with"),
    "accuracy nan": (("accuracy",), None, "accuracy of the co-design is None"),
    "network": (("network",), "8-8-8", "its trace ends with"),
    "least accuracy": (("least_accuracy",), 99.5, "breaks a limit"),
    "figures of the solution": (("solution", "cost", "cycles"), 1.0, "the mappings come to"),
    "one pair too many": (
        ("front",),
        lambda data: [*data["front"], data["front"][-1] | {"accuracy": 0.0}],
        "front of the co-design is not in order",
    ),
    "order of the front": (("front",), lambda data: data["front"][::-1], "front of the co-design is not in order"),
    "infeasible on the front": (("front", 0, "feasible"), False, "breaks a limit"),
    "area of the chosen": (("trace", -1, "area_mm2"), 1e-3, "area_mm2 at the end of the trace"),
    "sizes": (("front", 0, "sizes"), [1.0], "for 2 names"),
    "evaluations": (("trace", -1, "evaluations"), 1000, "found after 1000 evaluations"),
    "trace": (("trace", 0, "evaluations"), 10, "goes back from 10"),
    "mappings": (("mappings",), -1, "mappings of the co-design is -1"),
    "queries": (("queries",), "many", "queries of the co-design is 'many'"),
    "objective": (("objective",), "speed", "objective of the co-design is 'speed'"),
    "a sum of nothing": (("objective",), "sum", "weights of the co-design are None"),
    "space": (("space",), 5, "space of the co-design is 5"),
    "macs": (("front", 0, "macs"), 1.5, "macs in the front of the co-design is 1.5"),
}


@pytest.fixture(scope="module")
def document(costs):
    found = ask(costs, "random", evaluations=10)
    assert len(found.front) > 1
    assert len(found.trace) > 1
    return json.dumps(found.to_dict())


@pytest.mark.parametrize("what", UNTRUE)
def test_a_design_that_does_not_hold_is_one_sentence(document, what):
    (*path, last), value, said = UNTRUE[what]
    data = json.loads(document)
    assert CoDesign.from_dict(json.loads(document))
    place = data
    for key in path:
        place = place[key]
    place[last] = value(data) if callable(value) else value
    with pytest.raises(InvalidInput) as caught:
        CoDesign.from_dict(data)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_all_mappings_are_counted_and_said():
    """Those of the candidates and those of the final solve, whichever of the two is better."""
    fresh = LayerCosts(HARDWARE, CoRequest(SPACE, Linear(SPACE), HARDWARE, "energy").score, effort=FAST)
    found = cosearch(
        SPACE, Linear(SPACE), HARDWARE, "energy", method="random", evaluations=4, costs=fresh, effort=QUICK
    )
    assert fresh.evaluations > 0
    assert found.mappings > fresh.evaluations, "the final solve's, too"
    assert f"{found.mappings:,} mappings\n" in str(found)
    assert f"{found.mappings:,} mappings evaluated in {found.seconds:.1f} s" in str(found)


class Table(Linear):
    """Knows how good it can be."""

    def most(self):
        return 94.0


@pytest.mark.parametrize(
    ("oracle", "options", "said"),
    [
        (Table, {}, "no network of 'small' has more than 94 % by this oracle"),
        (lambda space: Counted(Table(space)), {}, "no network of 'small' has more than 94 %"),
        (Linear, {"network": (0, 0, 0)}, "the only network allowed has 80 %"),
    ],
)
def test_an_accuracy_out_of_reach_is_said_before_the_search(costs, monkeypatch, oracle, options, said):
    def refuse(*arguments, **options):
        raise AssertionError("nothing is to be searched")

    monkeypatch.setattr(sys.modules["dlco.nas.cosearch"], "explore", refuse)
    with pytest.raises(Infeasible, match=r"least_accuracy is 99\.9 %; ") as caught:
        ask(costs, oracle=oracle(SPACE), least_accuracy=99.9, **options)
    assert said in str(caught.value)


def test_an_accuracy_just_in_reach_is_searched_for(costs):
    assert ask(costs, oracle=Table(SPACE), least_accuracy=94.0).accuracy == 94.0


class Plain(NetworkSpace):
    """The same networks without decisions, as a space of graphs has none."""

    def __init__(self):
        self.name, self._inner = "plain", make_space()


for _name in ("sample", "encode", "neighbours", "to_layers", "parameters", "parse", "format", "is_valid"):
    setattr(Plain, _name, lambda self, *args, _name=_name: getattr(self._inner, _name)(*args))
Plain.__abstractmethods__ = frozenset()


def test_a_space_without_factors_works_with_all_methods_but_the_relaxed(costs):
    space = Plain()
    oracle = Opaque(space)
    view = costs.for_score(CoRequest(space, oracle, HARDWARE, "energy").score)
    options = {"evaluations": 30, "effort": QUICK, "costs": view, "least_accuracy": 86.0}
    for method in ("local-search", "evolutionary", "two-stage"):
        assert cosearch(space, oracle, HARDWARE, "energy", method=method, **options).accuracy >= 86.0
    few = options | {"evaluations": 5}
    assert cosearch(space, oracle, HARDWARE, "energy", **few).method == "surrogate"
    with pytest.raises(InvalidInput, match="surrogate, boshcode, evolutionary"):
        cosearch(space, oracle, HARDWARE, "energy", method="relaxed", **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "magic"}, "allowed: relaxed"),
        ({"evaluations": 0}, "evaluations is 0"),
        ({"queries": 0}, "queries is 0"),
        ({"seed": -1}, "seed is -1"),
        ({"seed": None}, "seed is None"),
        ({"seed": True}, "seed is True"),
        ({"seed": 1.5}, r"seed is 1\.5"),
        ({"seed": 2**70}, "seed is 1180591620717411303424; it must be at most"),
        ({"evaluations": True}, "evaluations is True"),
        ({"bound": None}, "bound is None; it must be True or False"),
        ({"effort": 1}, "effort is 1"),
        ({"progress": 3}, "progress is 3"),
        ({"checkpoint": 5}, "checkpoint is 5"),
        ({"checkpoint": ""}, "checkpoint is ''"),
        ({"resume": ""}, "resume is ''"),
        ({"machine": 3}, "machine is 3"),
        ({"machine": "x"}, "machine is 'x'"),
        ({"machine": (0.5, 1)}, r"machine is \(0\.5, 1\)"),
        ({"least_accuracy": True}, "least_accuracy is True"),
        ({"budget": 5}, "budget is 5"),
        ({"objective": WeightedSum(energy=1.0)}, "energy has a weight, and energy_j"),
        ({"objective": ASKED, "bound": True}, "no bound of a weighted sum"),
        ({"method": "fixed-network"}, "network is None"),
    ],
)
def test_bad_input_is_refused(costs, options, message):
    with pytest.raises(InvalidInput, match=message):
        ask(costs, **{"evaluations": 5} | options)


def test_costs_of_another_question_are_refused(costs):
    with pytest.raises(InvalidInput, match="costs"):
        cosearch(SPACE, Linear(SPACE), HARDWARE, "latency", costs=costs)
    with pytest.raises(InvalidInput, match=r"costs is 3; it must be a dlco\.search\.LayerCosts"):
        cosearch(SPACE, Linear(SPACE), HARDWARE, costs=3)


def test_fixed_hardware_is_a_space_of_one_machine():
    machine = HARDWARE.architecture(HARDWARE.index_to_sizes(torch.tensor((1, 1))))
    found = cosearch(SPACE, Linear(SPACE), machine, "energy", least_accuracy=86.0, evaluations=20, effort=QUICK)
    assert found.solution.architecture == machine
    assert found.accuracy >= 86.0
    assert found.sizes == ()


def test_all_methods_have_names():
    assert set(JOINT) | {"boshcode", "two-stage", "fixed-network", "fixed-hardware"} == set(METHODS)
