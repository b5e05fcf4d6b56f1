"""Costs of layers on machines, against the cost model itself and against all mappings listed."""

from itertools import product

import pytest
import torch

from dlco import Budget, evaluate, matmul
from dlco.mapping import Constraints, SlotConstraint
from dlco.optimize import enumerate_layer
from dlco.search.layer_costs import LayerCosts
from dlco.search.score import BROKEN, Score
from dlco.workload import Layer
from tests.nas.small import make_hardware, make_space

HARDWARE = make_hardware()
LAYERS = make_space().layers
MACHINES = [(0, 0), (1, 2), (2, 3)]


def costs_for(objective: str = "edp", budget: Budget | None = None, hardware=HARDWARE) -> LayerCosts:
    return LayerCosts(hardware, Score(objective, budget or Budget(), hardware.base.cycle_s))


def test_points_are_what_their_mappings_cost():
    costs = costs_for("energy", Budget(latency_s=1.0))
    costs.search([(LAYERS[i].problem, machine) for i in (0, 1, 3) for machine in MACHINES])
    for i, machine in product((0, 3), MACHINES):
        points = costs.points(LAYERS[i], machine)
        assert 0 < len(points.cycles) <= 12
        assert (points.cycles.diff() > 0).all()
        assert (points.energy_pj.diff() < 0).all()
        architecture = HARDWARE.architecture(HARDWARE.index_to_sizes(torch.tensor(machine)))
        for k in range(len(points.cycles)):
            cost = evaluate(LAYERS[i], architecture, costs.mapping(LAYERS[i], machine, k))
            assert cost.energy_pj.item() == pytest.approx(float(points.energy_pj[k]), rel=1e-12)
            assert cost.cycles.item() == float(points.cycles[k])
            assert bool(cost.valid)


@pytest.mark.parametrize("objective", ["energy", "latency", "edp"])
def test_the_best_point_is_the_best_of_all_mappings(objective):
    layer = matmul("m", M=8, N=6, K=8)
    costs = costs_for(objective)
    for machine in MACHINES[:2]:
        architecture = HARDWARE.architecture(HARDWARE.index_to_sizes(torch.tensor(machine)))
        every = enumerate_layer(layer, architecture)
        best = costs.networks([[layer]], [machine])[0]
        found = {"energy": best.energy_pj, "latency": best.cycles, "edp": best.energy_pj * best.cycles}[objective]
        k = every.best(objective)
        least = {
            "energy": every.energy_pj[k],
            "latency": every.cycles[k],
            "edp": every.energy_pj[k] * every.cycles[k],
        }[objective]
        assert float(least) * (1 - 1e-9) <= found <= float(least) * 1.02


def test_a_network_is_the_sum_of_its_layers_with_mappings_chosen_within_the_limits():
    costs = costs_for("energy", Budget(latency_s=1.0))
    network = [Layer("a", LAYERS[2].problem, 3), Layer("b", LAYERS[0].problem, 1)]
    machine = MACHINES[1]
    free = costs.networks([network], [machine])[0]
    points = [costs.points(layer, machine) for layer in network]
    choices = list(product(*(range(len(p.cycles)) for p in points)))

    def total(choice, name):
        rows = zip(network, points, choice, strict=True)
        return sum(layer.count * float(getattr(p, name)[k]) for layer, p, k in rows)

    assert free.energy_pj == pytest.approx(min(total(c, "energy_pj") for c in choices))
    fastest, slowest = min(total(c, "cycles") for c in choices), free.cycles
    for share in (0.1, 0.5, 0.9):
        limit = fastest + share * (slowest - fastest)
        score = Score("energy", Budget(latency_s=limit * HARDWARE.base.cycle_s), HARDWARE.base.cycle_s)
        found = costs.for_score(score).networks([network], [machine])[0]
        best = min(total(c, "energy_pj") for c in choices if total(c, "cycles") <= limit * (1 + 1e-9))
        assert found.cycles <= limit * (1 + 1e-9)
        assert found.score < BROKEN
        assert best * (1 - 1e-12) <= found.energy_pj <= best * 1.01
    late = Score("energy", Budget(latency_s=0.9 * fastest * HARDWARE.base.cycle_s), HARDWARE.base.cycle_s)
    assert costs.for_score(late).networks([network], [machine])[0].score >= BROKEN


def test_networks_of_different_lengths_cost_the_same_together_and_alone():
    costs = costs_for()
    networks = [[Layer("a", LAYERS[0].problem)], [Layer("a", LAYERS[0].problem, 2), Layer("b", LAYERS[4].problem)]]
    together = costs.networks(networks, [MACHINES[0], MACHINES[2]])
    assert together == tuple(
        costs.networks([network], [machine])[0]
        for network, machine in zip(networks, [MACHINES[0], MACHINES[2]], strict=True)
    )
    assert costs.networks([], []) == ()


def test_what_is_known_is_not_searched_again_and_a_second_pass_never_ends_worse():
    costs = costs_for()
    pairs = [(layer.problem, machine) for layer in LAYERS[:3] for machine in MACHINES]
    costs.search(pairs)
    searches, spent = costs.searches, costs.evaluations
    before = [float((p.energy_pj * p.cycles).min()) for p in (costs.points(*pair) for pair in pairs)]
    assert searches == len(pairs)
    costs.search(pairs)
    assert (costs.searches, costs.evaluations) == (searches, spent)
    costs.search(pairs, again=True)
    after = [float((p.energy_pj * p.cycles).min()) for p in (costs.points(*pair) for pair in pairs)]
    assert sum(a < b * (1 - 1e-12) for a, b in zip(after, before, strict=True)) >= sum(
        a > b * 1.001 for a, b in zip(after, before, strict=True)
    )
    assert costs.evaluations > spent


def test_the_same_questions_get_the_same_answers():
    pairs = [(layer.problem, machine) for layer in LAYERS[:2] for machine in MACHINES]
    one, other = costs_for(), costs_for()
    for costs in (one, other):
        costs.search(pairs)
    for pair in pairs:
        assert torch.equal(one.points(*pair).energy_pj, other.points(*pair).energy_pj)


def test_fixed_hardware_has_one_machine():
    machine = HARDWARE.architecture(HARDWARE.index_to_sizes(torch.tensor(MACHINES[0])))
    fixed = LayerCosts(machine, Score("energy", Budget(), machine.cycle_s))
    found = fixed.networks([[LAYERS[0]]], [()])[0]
    assert found.area_mm2 == pytest.approx(machine.area_mm2)
    cost = evaluate(LAYERS[0], machine, fixed.mapping(LAYERS[0], (), found.chosen[0]))
    assert cost.energy_pj.item() == pytest.approx(found.energy_pj, rel=1e-12)


def test_power_limits_find_slower_mappings():
    free = costs_for("latency").networks([[LAYERS[3]]], [MACHINES[2]])[0]
    watts = free.energy_pj * 1e-12 / (free.cycles * HARDWARE.base.cycle_s)
    budget = Budget(power_w=0.6 * watts)
    found = costs_for("latency", budget).networks([[LAYERS[3]]], [MACHINES[2]])[0]
    assert found.score < BROKEN
    assert found.energy_pj * 1e-12 / (found.cycles * HARDWARE.base.cycle_s) <= 0.6 * watts * (1 + 1e-9)
    assert found.cycles >= free.cycles


def test_a_search_beside_a_known_machine_is_shorter_and_as_good():
    wanted = [layer.problem for layer in LAYERS]
    near, alone = costs_for("energy"), costs_for("energy")
    near.search([(problem, (1, 2)) for problem in wanted])
    before = near.evaluations
    near.search([(problem, (1, 1)) for problem in wanted])
    alone.search([(problem, (1, 1)) for problem in wanted])
    assert near.evaluations - before < alone.evaluations / 2
    for problem in wanted:
        ours, theirs = (float(costs.points(problem, (1, 1)).energy_pj.min()) for costs in (near, alone))
        assert ours <= theirs * 1.02


def test_points_keep_the_constraints():
    fixed = Constraints((SlotConstraint("shared_glb", "spatial", at_most=(("M", 2), ("C", 1))),))
    score = Score("energy", Budget(latency_s=1.0), HARDWARE.base.cycle_s)
    costs = LayerCosts(HARDWARE, score, constraints=fixed)
    for machine in MACHINES[:2]:
        points = costs.points(LAYERS[3], machine)
        assert len(points.cycles)
        for k in range(len(points.cycles)):
            mapping = costs.mapping(LAYERS[3], machine, k)
            spatial = zip(mapping.spatial_x[3], mapping.spatial_y[3], strict=True)
            across = dict(zip(mapping.dimensions, (x * y for x, y in spatial), strict=True))
            assert mapping.levels[3] == "shared_glb"
            assert across["M"] <= 2
            assert across["C"] == 1
