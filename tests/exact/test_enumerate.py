"""Enumeration with its reductions, against every mapping listed plainly."""

from dataclasses import replace
from math import factorial, inf, prod

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlco import conv1d, evaluate, matmul
from dlco.cost.model import evaluate_many
from dlco.errors import InvalidInput
from dlco.exact.enumerate import enumerate_layer, enumerate_network
from dlco.exact.factorings import Splits
from dlco.hardware.architecture import Architecture, Level
from dlco.mapping import Constraints, MapSpace, SlotConstraint
from dlco.optimize import OBJECTIVES, Budget

from ..exhaustive import every_choice, every_mapping, every_point, front, optimum

LAYERS = (
    matmul("product", M=4, K=2, N=3),
    matmul("deep", M=2, K=6, N=1),
    conv1d("window", C=1, M=2, P=2, R=3, stride=2),
    conv1d("overlap", C=1, M=1, P=4, R=4),
)


def points_of(layer, machine, slow=False):
    found = enumerate_layer(layer, machine, slow=slow)
    for mapping, energy, cycles in zip(found.mappings, found.energy_pj.tolist(), found.cycles.tolist(), strict=True):
        cost = evaluate(layer, machine, mapping)  # checks the mapping, too
        assert cost.energy_pj.item() == pytest.approx(energy, rel=1e-12)
        assert cost.cycles.item() == cycles
    return list(zip(found.energy_pj.tolist(), found.cycles.tolist(), strict=True))


def same(found, expected):
    """Equal but for rounding."""
    return len(found) == len(expected) and np.allclose(found, expected, rtol=1e-12, atol=0)


@st.composite
def machines(draw: st.DrawFn) -> Architecture:
    """Three levels whose capacities, bypasses, fan-outs and bandwidths all may bind."""
    numbers = st.sampled_from((0.5, 1.0, 3.0))
    names = ("Weights", "Inputs", "Outputs")

    def level(name: str, **fields: object) -> Level:
        costs = {key: draw(numbers) for key in ("read_pj", "write_pj", "update_pj", "leak_pj")}
        speeds = {key: draw(st.sampled_from((inf, 0.5, 2.0))) for key in ("read_bandwidth", "shared_bandwidth")}
        return Level(name, **costs, **speeds, **fields)

    bypass = draw(st.frozensets(st.sampled_from(names), max_size=2))
    return Architecture(
        (
            level("Registers", capacity=draw(st.sampled_from((3, 6, 20))), bypass=bypass),
            level("Buffer", capacity=draw(st.sampled_from((8, 16, 100))), fanout_x=draw(st.integers(1, 3)), fanout_y=2),
            level("DRAM", kind="DRAM"),
        )
    )


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.name)
@given(machine=machines())
@settings(max_examples=6)
def test_the_front_is_that_of_all_mappings(layer, machine):
    plain = every_point(layer.problem, machine)
    if not plain:
        with pytest.raises(InvalidInput, match="no mapping"):
            enumerate_layer(layer, machine)
        return
    assert same(sorted(points_of(layer, machine)), front(plain))
    cheapest = {}
    for energy, cycles in plain:
        cheapest[cycles] = min(energy, cheapest.get(cycles, inf))
    assert same(points_of(layer, machine, slow=True), [(e, t) for t, e in sorted(cheapest.items())])


def test_constraints_leave_out_what_they_forbid(machine):
    layer = matmul("product", M=4, K=2, N=3)
    dims = layer.problem.dimensions
    constraints = Constraints(
        (
            SlotConstraint("Buffer", "temporal", innermost=("M",), at_most=(("N", 1),)),
            SlotConstraint("Buffer", "spatial", exact=(("M", 2),), axis_y=("M",)),
        )
    )
    every = every_mapping(layer.problem, machine)
    m, n = dims.index("M"), dims.index("N")
    temporal, x, y = every.factors[:, 1].unbind(1)
    existing = temporal.gather(1, every.order[:, 1]) > 1
    first = every.order[:, 1].gather(1, existing.int().argmax(1, keepdim=True))[:, 0]
    led = (temporal[:, m] == 1) | (first == m)
    good = led & (temporal[:, n] == 1) & (x[:, m] == 1) & (y[:, m] == 2)
    totals = evaluate_many(layer.problem, machine, every.select(good))
    plain = front(list(zip(totals.energy_pj.tolist(), totals.cycles.tolist(), strict=True)))
    found = enumerate_layer(layer, machine, constraints)
    assert same(sorted(zip(found.energy_pj.tolist(), found.cycles.tolist(), strict=True)), plain)
    for mapping in found.mappings:
        assert mapping.order[1][0] == "M"


def test_where_nothing_is_dropped_the_count_is_the_map_space_s():
    roomy = Architecture((Level("L0", fanout_x=999, fanout_y=999), Level("L1", fanout_x=999), Level("L2")))
    constraints = Constraints(
        (
            SlotConstraint("L1", "temporal", at_most=(("M", 2),), innermost=("K",)),
            SlotConstraint("L0", "spatial", axis_x=("K",)),
        )
    )
    for layer in (matmul("a", M=12, K=4, N=3), matmul("b", M=8, K=6, N=5)):
        for some in (None, constraints):
            space = MapSpace.of(layer.problem, roomy, some)
            splits = Splits.of(layer.problem, roomy, some)
            found = splits.fitting(roomy.tensors(), 10**7)
            orders = prod(factorial(n) for n in (space.order_key == space.order_key.shape[-1]).sum(-1).tolist())
            assert len(next(iter(found.values()))) * orders == space.size
            factors = splits.factors(found).flatten(1)
            assert len(factors.unique(dim=0)) == len(factors)
            assert bool(space.contains(space.assignment_of(splits.factors(found))).all())


def test_a_space_above_the_limit_is_refused_before_it_is_walked(machine):
    with pytest.raises(InvalidInput, match="limit is 100 mappings"):
        enumerate_layer(matmul("large", M=64, K=64, N=64), machine, limit=100)
    with pytest.raises(InvalidInput, match="limit is 200 mappings; the space has 247"):
        enumerate_layer(LAYERS[0], machine, limit=200)


def test_a_problem_of_one_mac_has_one_mapping(machine):
    found = enumerate_layer(matmul("one", M=1, K=1, N=1), machine)
    assert (found.evaluated, len(found.mappings)) == (1, 1)
    assert found.best("edp") == 0
    with pytest.raises(InvalidInput, match="objective is 'speed'"):
        found.best("speed")


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_a_network_gets_its_optimum(objective, network, machine):
    area = machine.area_mm2
    goal = "edp" if objective == "area" else objective
    found = enumerate_network(network, machine, objective)
    value = {"area": found.cost.edp}.get(objective, found.value)
    assert value == pytest.approx(optimum(network, machine, goal), rel=1e-12)
    assert found.gap == 0
    assert found.cost.area_mm2 == area


def test_a_network_gets_its_optimum_within_a_budget(network, machine):
    choices = list(every_choice(network, machine, trim=False))
    powers = sorted({choice.value("power") for choice in choices})
    times = sorted({choice.latency_s for choice in choices})
    energies = sorted({choice.energy_pj * 1e-12 for choice in choices})
    budgets = [
        ("latency", Budget(power_w=powers[len(powers) // 8])),
        ("energy", Budget(latency_s=times[2] * 1.001)),
        ("latency", Budget(energy_j=energies[len(energies) // 5] * 1.001)),
        ("edp", Budget(power_w=powers[len(powers) // 10], latency_s=times[-3])),
    ]
    for objective, budget in budgets:
        allowed = [choice.value(objective) for choice in choices if choice.within(budget)]
        assert enumerate_network(network, machine, objective, budget).value == pytest.approx(min(allowed), rel=1e-9)
    with pytest.raises(InvalidInput, match="no choice of mappings"):
        enumerate_network(network, machine, "edp", Budget(latency_s=times[0] * 0.9))


def test_limits_on_layers_and_on_the_machine_hold(network, machine):
    free = enumerate_network(network, machine, "energy")
    first = network[0].name
    seconds = free.layer_costs[first].cycles * machine.cycle_s
    fastest = enumerate_layer(network[0], machine).cycles.min().item() * machine.cycle_s
    held = enumerate_network(network, machine, "energy", Budget(layer_latency_s={first: fastest}))
    assert held.layer_costs[first].cycles * machine.cycle_s <= fastest <= seconds
    for budget in (
        Budget(area_mm2=1e-6),
        Budget(pe_count=2),
        Budget(capacity={"Buffer": 4}),
        Budget(bandwidth={"DRAM": 1}),
    ):
        with pytest.raises(InvalidInput, match="the machine 'system' has"):
            enumerate_network(network, machine, "edp", budget)


def test_layers_of_one_problem_are_enumerated_once(machine):
    layer = LAYERS[0]
    twin = replace(layer, name="twin", count=3)
    assert enumerate_network([layer, twin], machine).evaluations == enumerate_layer(layer, machine).evaluated


def test_a_layer_of_one_multiplication_that_does_not_fit_has_no_mapping():
    machine = Architecture((Level("registers", "regfile", 2), Level("DRAM", "DRAM")))
    with pytest.raises(InvalidInput, match="no mapping of the problem"):
        enumerate_layer(matmul("one", M=1, K=1, N=1), machine)
