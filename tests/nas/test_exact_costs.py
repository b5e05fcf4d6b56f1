"""Layers' costs on given machines: those of `solve`, whatever the seed, for several sorts of layers."""

import logging

import pytest

import dlco
from dlco import Budget, conv2d, evaluate
from dlco.exact import optimal_layer
from dlco.hardware import get_hardware
from dlco.journal import recording
from dlco.nas import cosearch
from dlco.nas.exact_costs import ExactCosts, Wanted
from dlco.search import LayerCosts, Score
from dlco.workload import depthwise_conv2d
from tests.nas.small import Linear, make_hardware, make_space

LAYERS = {
    "3x3": conv2d("layer", C=4, M=8, P=7, Q=7, R=3, S=3),
    "1x1": conv2d("layer", C=6, M=10, P=3, Q=3, R=1, S=1),
    "grouped 1x1": conv2d("layer", C=8, M=16, P=7, Q=7, R=1, S=1, groups=4),
    "depthwise": depthwise_conv2d("layer", C=8, P=7, Q=7, R=3, S=3),
}


def score(machine: dlco.Architecture, objective: str = "edp") -> Score:
    return Score(objective, Budget(), machine.cycle_s)


@pytest.mark.parametrize(("name", "kinds", "imperfect"), [("eyeriss", ["1x1"], None), ("gemmini", list(LAYERS), False)])
def test_a_layer_costs_what_solve_proves(name: str, kinds: list[str], imperfect: bool | None) -> None:
    machine = get_hardware(name)
    costs = ExactCosts(machine, score(machine), wanted=Wanted(imperfect=imperfect))
    costs.search([(LAYERS[kind].problem, ()) for kind in kinds])
    goals = ("latency", "energy", "edp")
    for at, kind in enumerate(kinds):
        layer = LAYERS[kind]
        points, proved = costs.points(layer, ()), costs.fronts[layer.problem, ()]
        assert proved.proved
        goal = goals[at % 3]
        figures = {
            "latency": points.cycles * machine.cycle_s,
            "energy": points.energy_pj,
            "edp": points.energy_pj * points.cycles,
        }
        least = dlco.solve([layer], machine, goal, imperfect=imperfect).value
        assert float(figures[goal].min()) == pytest.approx(least, rel=1e-12), kind
        for k, mapping in enumerate(proved.front.mappings):
            cost = evaluate(layer, machine, costs.mapping(layer, (), k))
            assert costs.mapping(layer, (), k) == mapping
            assert cost.energy_pj.item() == pytest.approx(float(points.energy_pj[k]), rel=1e-12)
            assert cost.cycles.item() == float(points.cycles[k])


def test_a_layer_that_searches_price_at_random_costs_the_same_for_every_seed() -> None:
    layer, machine = conv2d("layer", C=184, M=352, P=7, Q=7, R=1, S=1, groups=8), get_hardware("eyeriss")
    fast, plain = score(machine, "latency"), Wanted(imperfect=False)
    exact = [float(ExactCosts(machine, fast, seed=s, wanted=plain).points(layer, ()).cycles.min()) for s in (0, 1)]
    searched = [float(LayerCosts(machine, fast, seed=s).points(layer, ()).cycles.min()) for s in range(4)]
    assert exact[0] == exact[1] == float(optimal_layer(layer, machine).front.cycles.min())
    assert max(searched) > exact[0]


@pytest.mark.parametrize("asked", [{"keep_free": True}, {"uneven": True}, {"imperfect": True}])
def test_options_are_those_of_solve(asked: dict[str, bool]) -> None:
    layer, machine = conv2d("layer", C=6, M=8, P=5, Q=5, R=3, S=3), dlco.hardware.generic()
    points = ExactCosts(machine, score(machine), wanted=Wanted(**asked)).points(layer, ())
    front = optimal_layer(layer, machine, **asked).front
    assert points.energy_pj.tolist() == pytest.approx(front.energy_pj.tolist())
    assert points.cycles.tolist() == front.cycles.tolist()


def test_what_is_not_proved_is_searched_and_the_log_says_why(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="dlco")
    machine, layer = get_hardware("gemmini"), LAYERS["1x1"]
    power = ExactCosts(machine, score(machine, "power"))
    searched = LayerCosts(machine, score(machine, "power"))
    assert power.points(layer, ()).cycles.tolist() == searched.points(layer, ()).cycles.tolist()
    assert not power.fronts
    assert "because slower is better where mean power counts" in caplog.text
    short = ExactCosts(machine, score(machine), wanted=Wanted(batches=1))
    searched = LayerCosts(machine, score(machine))
    least = [float((c.points(layer, ()).energy_pj * c.points(layer, ()).cycles).min()) for c in (short, searched)]
    assert least[0] <= least[1]


def test_a_journal_brings_fronts_back(tmp_path) -> None:
    machine, layer = get_hardware("gemmini"), LAYERS["depthwise"]
    found = []
    for kept in ({"checkpoint": tmp_path / "a", "resume": None}, {"checkpoint": None, "resume": tmp_path / "a"}):
        costs = ExactCosts(machine, score(machine))
        with recording(kept["checkpoint"], kept["resume"], "costs") as journal, costs.recording(journal):
            found.append([costs.points(layer, ()).energy_pj.tolist(), costs.mapping(layer, (), 0), costs.evaluations])
    assert found[0] == found[1]


def test_a_co_search_on_a_given_machine_ends_at_what_solve_proves() -> None:
    space, machine = make_space(), dlco.hardware.generic()
    found = cosearch(space, Linear(space), machine, "edp", evaluations=3, method="random")
    assert found.status == "solved"
    best = dlco.solve(found.solution.layers, machine, "edp")
    assert best.gap == 0
    assert found.solution.value == pytest.approx(best.value, rel=1e-12)
    cheapest = min(point.energy_pj * point.latency_s for point in found.front)
    assert cheapest == pytest.approx(best.cost.energy_pj * best.cost.latency_s)


def test_a_co_search_of_machines_ends_at_what_solve_proves_on_its_own() -> None:
    space = make_space()
    found = cosearch(space, Linear(space), make_hardware(), "edp", evaluations=3, method="random")
    best = dlco.solve(found.solution.layers, found.solution.architecture, "edp")
    assert found.solution.value == pytest.approx(best.value, rel=1e-12)
