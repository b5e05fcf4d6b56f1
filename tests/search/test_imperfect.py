"""The search over imperfect factors, against the best of all perfect mappings."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dlco import conv2d, matmul
from dlco.cost.model import evaluate
from dlco.errors import InvalidInput
from dlco.exact import enumerate_layer, enumerate_network
from dlco.hardware.architecture import Architecture, Level
from dlco.mapping import Constraints, SlotConstraint
from dlco.mapping.checks import check_mapping
from dlco.optimize import Budget
from dlco.search.factor_moves import normal_form
from dlco.search.imperfect import refine
from dlco.search.local_search import Effort
from dlco.search.score import Score

PRIME_LAYER = conv2d("prime", C=4, M=7, R=1, S=1, P=13, Q=13)
EFFORT = Effort(rounds=80, patience=20, population=8, neighbours=32, islands=4)
LITTLE = Effort(rounds=15, patience=5, population=4, neighbours=16, islands=2)


def array(x: int, y: int) -> Architecture:
    return Architecture(
        (
            Level("RF", kind="regfile", capacity=32, read_pj=0.3, write_pj=0.3, update_pj=0.3),
            Level("Buffer", capacity=4096, read_pj=6, write_pj=6, update_pj=6, fanout_x=x, fanout_y=y),
            Level("DRAM", kind="DRAM", read_pj=100, write_pj=100, update_pj=100, read_bandwidth=64, write_bandwidth=64),
        ),
        cycle_s=1e-9,
    )


def refined(layers, machine, mappings, objective="edp", budget=None, seed=0, constraints=None, effort=LITTLE):
    score = Score(objective, budget or Budget(), machine.cycle_s)
    generator = torch.Generator().manual_seed(seed)
    return refine(layers, machine, mappings, score, generator, effort, constraints)[0]


def network_cost(layers, machine, mappings):
    costs = [(evaluate(x, machine, mappings[x.name]), x.count) for x in layers]
    return sum(c.energy_pj.item() * n for c, n in costs), sum(c.cycles.item() * n for c, n in costs)


@pytest.mark.parametrize(("x", "y", "best_cycles"), [(4, 4, 343), (14, 12, 40)])
def test_primes_no_longer_waste_the_array(x, y, best_cycles):
    """The best perfect latency is known by enumeration: 4 channels or 13 rows fill one side of the array at most."""
    machine = array(x, y)
    front = enumerate_layer(PRIME_LAYER, machine)
    best = front.best("latency")
    found = refined([PRIME_LAYER], machine, {"prime": front.mappings[best]}, "latency", effort=EFFORT)["prime"]
    cost = evaluate(PRIME_LAYER, machine, found)
    assert PRIME_LAYER.macs / (x * y) <= cost.cycles.item() <= best_cycles < front.cycles[best].item()


def test_the_network_never_gets_worse(network, machine):
    for objective in ("latency", "energy", "edp", "power"):
        best = enumerate_network(network, machine, objective)
        score = Score(objective, Budget(), machine.cycle_s)
        area = torch.tensor(machine.area_mm2, dtype=torch.float64)

        def value(mappings, score=score, area=area):
            totals = network_cost(network, machine, mappings)
            return float(score(*(torch.tensor(x, dtype=torch.float64) for x in totals), area))

        found = refined(network, machine, best.mappings, objective)
        assert value(found) <= value(best.mappings) + 1e-12
        assert list(found) == [layer.name for layer in network]


def test_the_same_seed_gives_the_same_mappings(network, machine):
    start = enumerate_network(network, machine).mappings
    assert refined(network, machine, start, seed=3) == refined(network, machine, start, seed=3)


def test_a_limit_on_one_layer_is_met():
    machine = array(4, 4)
    layers = [PRIME_LAYER, matmul("other", M=11, K=4, N=5)]
    start = enumerate_network(layers, machine, "energy").mappings
    free = evaluate(layers[0], machine, refined(layers, machine, start, "energy")["prime"]).cycles.item()
    limit = 0.7 * free * machine.cycle_s
    held = refined(layers, machine, start, "energy", Budget(layer_latency_s={"prime": limit}))
    cycles = evaluate(layers[0], machine, held["prime"]).cycles.item()
    assert cycles * machine.cycle_s <= limit < free * machine.cycle_s


def test_constraints_hold():
    machine = array(4, 4)
    constraints = Constraints(
        (
            SlotConstraint("Buffer", "spatial", at_most=(("P", 3), ("Q", 1)), axis_x=("P",)),
            SlotConstraint("Buffer", "temporal", exact=(("M", 1),), innermost=("C", "P")),
            SlotConstraint("RF", "temporal", exact=(("C", 2),)),
        )
    )
    front = enumerate_layer(PRIME_LAYER, machine, constraints)
    start = front.mappings[front.best("latency")]
    found = refined([PRIME_LAYER], machine, {"prime": start}, "latency", constraints=constraints)["prime"]
    size = {d: i for i, d in enumerate(found.dimensions)}
    assert found.spatial_x[1][size["P"]] <= 3
    assert found.spatial_y[1][size["P"]] == found.spatial_x[1][size["Q"]] == found.spatial_y[1][size["Q"]] == 1
    assert found.temporal[1][size["M"]] == 1
    assert found.temporal[0][size["C"]] == 2
    assert found.order[1][:2] == ("C", "P")
    check_mapping(PRIME_LAYER.problem, machine, found)
    odd = replace(start, bypass=(frozenset({"Weights"}), frozenset(), frozenset()))
    with pytest.raises(InvalidInput, match="bypass of the mapping of 'prime'"):
        refined([PRIME_LAYER], machine, {"prime": odd})


@given(
    bounds=st.lists(st.integers(1, 30), min_size=2, max_size=2),
    table=st.lists(st.integers(1, 9), min_size=12, max_size=12),
)
def test_the_normal_form_leaves_all_numbers_of_tiles_as_they_were(bounds, table):
    given_ = torch.tensor(table, dtype=torch.float64).view(2, 3, 2)
    found = normal_form(given_, torch.tensor(bounds, dtype=torch.float64))
    assert torch.equal(normal_form(found, torch.tensor(bounds, dtype=torch.float64)), found)
    for d, bound in enumerate(bounds):
        old = new = bound
        for level, slot in ((0, 1), (0, 2), (0, 0), (1, 1), (1, 2)):
            assert found[level, slot, d] <= max(1, min(given_[level, slot, d], old))
            old, new = -(-old // int(given_[level, slot, d])), -(-new // int(found[level, slot, d]))
            assert old == new
        assert found[1, 0, d] == new
