"""Energy of words over networks: by hand, and from the counts that the cost model gives."""

from dataclasses import replace

import pytest
import torch

from dlco import Layer, Mapping, conv2d, evaluate, matmul
from dlco.cost import DEFAULT_RULES, TIMELOOP_RULES
from dlco.hardware import Architecture, Level, Network, get_hardware, split
from dlco.hardware.network import MACS, ways
from dlco.mapping import MappingBatch, MapSpace
from dlco.mapping.kept import kept_table

LINK, TREE = Network(None, 0.5), Network(None, 2.0, 0.25)


def drawn(layer: Layer, machine: Architecture, n: int) -> MappingBatch:
    """Random mappings that fit."""
    space = MapSpace.of(layer.problem, machine)
    generator = torch.Generator().manual_seed(3)
    return space.batch(*space.random_valid(n, generator, lambda batch: evaluate(layer, machine, batch).valid))


def test_a_product_by_hand() -> None:
    """M2 x K3 x N4 on 2 x 1 elements without memory under a buffer: M along X, all else in the buffer's loops."""
    layer = matmul("mm", M=2, K=3, N=4)
    buffer = Level("buffer", word_bits=10, fanout_x=2, network=TREE)
    machine = Architecture((buffer, Level("DRAM", "DRAM", word_bits=4, network=LINK)), mac_pj=0.0)
    ones = (1, 1, 1, 1)
    mapping = Mapping(
        ("B", "M", "K", "N"),
        ("buffer", "DRAM"),
        ((1, 1, 3, 4), ones),
        ((1, 2, 1, 1), ones),
        (ones, ones),
        (("B", "M", "K", "N"),) * 2,
        (("B", "M", "K", "N"),) * 2,
        (frozenset(), frozenset()),
    )
    cost = evaluate(layer, machine, mapping)
    names = [space.name for space in layer.problem.dataspaces]
    a, b, c = (names.index(name) for name in ("Weights", "Inputs", "Outputs"))
    shared, own = (b, a) if cost.counts.reads[0, b] == 12 else (a, b)  # which operand both elements take
    macs, sums = 24, 8
    wires = cost.wire_pj
    assert wires[0, shared].item() == 10 * (12 * 2.0 + macs * 0.25)
    assert wires[0, own].item() == 10 * (24 * 2.0 + macs * 0.25)
    assert wires[0, c].item() == 10 * ((24 + 24 - sums) * 2.0 + macs * 0.25)
    words = [layer.problem.words(space) for space in layer.problem.dataspaces]
    assert wires[1].tolist() == [4 * words[i] * 0.5 for i in range(3)]
    assert cost.energy_pj.item() == wires.sum().item()


def from_counts(layer, machine, mapping, cost):  # type: ignore[no-untyped-def]
    """`wire_pj` from `Counts`: what tiles give back is what they are filled with, and what they see first."""
    problem, counts = layer.problem, cost.counts
    kept = kept_table(problem, machine, mapping.bypass)
    networks = [level.network or Network() for level in machine.levels]
    found = torch.zeros(len(networks), len(problem.dataspaces), dtype=torch.float64)
    for way in ways(kept, [network.step_pj > 0 for network in networks], machine.ranks):
        s, n = way.space, counts.instances.double()
        served = (counts.reads[way.parent, s] + counts.updates[way.parent, s]) * n[way.parent]
        far = sum(networks[level].reach_pj for level in way.far)
        near = sum(networks[level].reach_pj for level in way.near)
        near += 0.0 if way.step is None else networks[way.step].step_pj
        taken = counts.computes.double()
        if way.child != MACS:
            taken = counts.fills[way.child, s]
            if problem.dataspaces[s].read_write:
                taken = 2 * taken + counts.partition[way.child, s]
            taken = taken * n[way.child]
        found[way.parent, s] = machine.levels[way.parent].word_bits * (served * far + taken * near)
    return found


@pytest.mark.parametrize("rules", [DEFAULT_RULES, TIMELOOP_RULES], ids=["default", "timeloop"])
@pytest.mark.parametrize("name", ["eyeriss", "simba", "gemmini", "tpu", "generic"])
def test_presets_spend_what_their_counts_say(name: str, rules) -> None:  # type: ignore[no-untyped-def]
    machine = get_hardware(name)
    layer = conv2d("conv", C=8, M=16, P=6, Q=4, R=3, S=3)
    free = replace(machine, levels=tuple(replace(level, network=None) for level in machine.levels))
    batch = drawn(layer, machine, 6)
    for i in range(6):
        mapping = batch.mapping(i)
        cost, plain = (evaluate(layer, one, mapping, rules) for one in (machine, free))
        assert torch.allclose(cost.wire_pj, from_counts(layer, machine, mapping, cost), rtol=1e-12)
        assert cost.energy_pj.item() == pytest.approx((plain.energy_pj + cost.wire_pj.sum()).item(), rel=1e-12)
        assert cost.cycles == plain.cycles
        assert bool((plain.wire_pj == 0).all())


def test_a_word_for_many_children_goes_once_to_the_array() -> None:
    """Multicast saves the way to the array, not the steps."""
    layer = matmul("mm", M=4, K=2, N=1)
    machine = Architecture((Level("buffer", fanout_x=4, network=TREE), Level("DRAM", "DRAM")))
    cost = {}
    for along, factors in (("M", (1, 4, 1, 1)), ("none", (1, 1, 1, 1))):
        rest = tuple(n // f for n, f in zip((1, 4, 2, 1), factors, strict=True))
        ones, order = (1, 1, 1, 1), (("N", "K", "M", "B"),) * 2
        mapping = Mapping(
            ("B", "M", "K", "N"),
            ("buffer", "DRAM"),
            (rest, ones),
            (factors, ones),
            (ones, ones),
            order,
            order,
            (frozenset(),) * 2,
        )
        cost[along] = evaluate(layer, machine, mapping)
    difference = cost["none"].wire_pj[0] - cost["M"].wire_pj[0]
    reads = cost["none"].counts.reads[0] - cost["M"].counts.reads[0]
    assert sorted(reads.tolist())[-1] > 0
    assert difference.tolist() == [16 * 2.0 * n for n in reads.tolist()]


def test_memories_taken_apart_spend_the_same_on_an_even_mapping() -> None:
    machine, layer = get_hardware("generic"), conv2d("conv", C=4, M=6, P=4, Q=3, R=2, S=1)
    batch = drawn(layer, machine, 5)
    apart = split(machine, [("RegisterFile", name) for name in ("Outputs", "Inputs", "Weights")])
    for i in range(5):
        even = batch.mapping(i)
        ones = (1,) * len(even.dimensions)
        temporal = (even.temporal[0], ones, ones, *even.temporal[1:])
        x, y = ((ones, ones, *axis) for axis in (even.spatial_x, even.spatial_y))
        order = (even.order[0], *(even.order[0],) * 2, *even.order[1:])
        mapping = Mapping(
            even.dimensions,
            tuple(level.name for level in apart.levels),
            temporal,
            x,
            y,
            order,
            order,
            (frozenset(),) * len(apart.levels),
        )
        costs = evaluate(layer, machine, even), evaluate(layer, apart, mapping)
        assert costs[0].energy_pj.item() == pytest.approx(costs[1].energy_pj.item(), rel=1e-12)
        assert costs[0].wire_pj.sum().item() == pytest.approx(costs[1].wire_pj.sum().item(), rel=1e-12)


@pytest.mark.parametrize("rules", [DEFAULT_RULES, TIMELOOP_RULES], ids=["default", "timeloop"])
def test_cut_tiles_pay_for_the_words_that_move(rules) -> None:  # type: ignore[no-untyped-def]
    """Rounding of Timeloop's counts aside."""
    machine, layer = get_hardware("generic"), matmul("mm", M=7, K=5, N=9)
    whole, cut = matmul("mm", M=8, K=6, N=10), 0
    batch = drawn(whole, machine, 8)
    for i in range(8):
        mapping = batch.mapping(i)
        if not bool(evaluate(layer, machine, mapping.batch()).valid):
            continue
        cost, full = (evaluate(one, machine, mapping, rules) for one in (layer, whole))
        assert torch.allclose(cost.wire_pj, from_counts(layer, machine, mapping, cost), rtol=1e-9)
        assert cost.wire_pj.sum() < full.wire_pj.sum()
        cut += 1
    assert cut
