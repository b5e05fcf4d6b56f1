"""The search of uneven mappings against all of them listed: every sequence of cuts, every mapping of its machine."""

import random
from collections.abc import Iterator
from math import inf

import numpy as np
import pytest
import torch

import dlco
from dlco import conv2d, evaluate, matmul, networks
from dlco.bound import BoundEffort
from dlco.design.dominance import unbeaten
from dlco.errors import InvalidInput, NotSupported
from dlco.exact import LayerFront, enumerate_layer, optimal_layer
from dlco.exact.case import Case
from dlco.exact.covered import why_not_covered
from dlco.exact.cuts import Cuts, UnevenTables
from dlco.hardware import generic, split
from dlco.hardware.architecture import Architecture, Level
from dlco.mapping.kept import machine_of
from dlco.optimize import SolveEffort
from dlco.search.local_search import Effort
from dlco.workload import Layer

from .test_optimal import points, random_layer, random_machine
from .test_wires import wired

QUICK = SolveEffort(
    starts=0, roundings=1, fit=Effort(rounds=12, patience=6, population=4), polishes=0, bound=BoundEffort(nodes=10)
)


def sequences(cuts: Cuts, so_far: tuple[int, ...] = ()) -> Iterator[tuple[int, ...]]:
    """All sequences of cuts in which those of one dataspace lie as its memories do."""
    if len(so_far) == len(cuts):
        yield so_far
    made = sum(1 << i for i in so_far)
    for i in range(len(cuts)):
        if i not in so_far and cuts.inner[i] & ~made == 0:
            yield from sequences(cuts, (*so_far, i))


def listed(layer: Layer, machine: Architecture, limit: int) -> LayerFront:
    """The front of all uneven mappings, by listing those of every sequence of cuts."""
    cuts = Cuts(UnevenTables(layer.problem, machine))
    energy, cycles, count = [], [], 0
    for order in sequences(cuts):
        if cuts.fan(order) < 0 and machine.levels[-2].children > 1:
            continue  # no place for the array's loops
        front = enumerate_layer(layer, cuts.machine(order), limit=limit, both_axes=True)
        energy.append(front.energy_pj)
        cycles.append(front.cycles)
        count += front.evaluated
    both = torch.stack([torch.cat(energy), torch.cat(cycles)])
    best = both[:, unbeaten(*both)]
    return LayerFront(*best[:, best[1].argsort()], (), count)


@pytest.mark.parametrize(("inside", "most", "cases"), [(0, 24, 4), (1, 8, 5), (2, 6, 2)])
def test_the_front_is_that_of_every_uneven_mapping_listed(inside, most, cases):
    rng, done = random.Random(inside), 0
    while done < cases:
        layer, machine = random_layer(rng, most), random_machine(rng, inside)
        machine = wired(machine, random.Random(done)) if done % 2 else machine
        if why_not_covered(Case.of(layer, machine, uneven=True)):
            continue
        if len(Cuts(UnevenTables(layer.problem, machine))) > 5:
            continue
        try:
            want = points(listed(layer, machine, limit=2000))
        except InvalidInput:
            continue
        found = optimal_layer(layer, machine, uneven=True)
        assert found.proved
        assert points(found.front).shape == want.shape, (layer, machine)
        assert np.allclose(points(found.front), want, rtol=1e-9), (layer, machine)
        for mapping, (cycles, energy) in zip(found.front.mappings, want, strict=True):
            cost = evaluate(layer, machine, mapping)  # checks the mapping, too
            assert (cost.cycles.item(), cost.energy_pj.item()) == pytest.approx((cycles, energy), rel=1e-9)
        done += 1


def test_uneven_mappings_are_at_least_as_good_and_better_where_room_is_short():
    layer = networks.get_network("resnet18")[-2]
    machine = dlco.hardware.get_hardware("generic")
    even, uneven = optimal_layer(layer, machine), optimal_layer(layer, machine, uneven=True)
    assert uneven.proved
    for cycles, energy in points(even.front):
        assert ((points(uneven.front) <= np.array([cycles, energy * (1 + 1e-12)])).all(1)).any()
    best = [float((one.front.energy_pj * one.front.cycles).min()) for one in (uneven, even)]
    assert best[0] < best[1]


def test_a_search_that_is_stopped_leaves_bounds_that_hold():
    layer, machine = networks.resnet18()[-2], generic()
    whole = optimal_layer(layer, machine, uneven=True)
    stopped = optimal_layer(layer, machine, uneven=True, go_on=lambda: False)
    assert not stopped.proved
    known = np.concatenate([points(stopped.front), stopped.open.numpy()[:, ::-1]])
    for cycles, energy in points(whole.front):
        assert ((known[:, 0] <= cycles) & (known[:, 1] <= energy * (1 + 1e-9))).any()


def test_solutions_with_uneven_mappings_are_kept_and_read(tmp_path):
    layers = [conv2d("a", C=256, M=512, P=7, Q=7, R=1, S=1, stride=2), matmul("b", M=8, K=6, N=2)]
    found = dlco.solve(layers, generic(), uneven=True, checkpoint=tmp_path / "run")
    assert found.gap == 0
    assert found.uneven
    again = dlco.solve(layers, generic(), uneven=True, resume=tmp_path / "run")
    assert again.mappings == found.mappings
    found.save(tmp_path / "found.json")
    read = dlco.Solution.load(tmp_path / "found.json")
    assert read.mappings == found.mappings
    assert read.cost == found.cost
    assert list(found.layer_costs["a"].level_pj) == [level.name for level in generic().levels]
    assert "RegisterFile_" in dlco.mapping.render_loop_nest(found.mappings["a"], layers[0].problem, generic())
    assert found.value <= dlco.solve(layers, generic()).value
    with pytest.raises(NotSupported, match="no uneven mappings"):
        dlco.timeloop.write(found, tmp_path / "files")
    with pytest.raises(InvalidInput, match="uneven mappings; sensitivities"):
        found.sensitivities()


def test_what_is_not_covered_is_searched_evenly_or_refused(caplog):
    layer, spaces = matmul("mm", M=8, K=8, N=8), ("Weights", "Inputs", "Outputs")
    apart = split(generic(), [("RegisterFile", space) for space in spaces])
    with pytest.raises(NotSupported, match="memories of 'generic' are in parts"):
        optimal_layer(layer, apart)
    empty = Architecture((Level("a", capacity=8, bypass=frozenset(spaces)), Level("b"), Level("DRAM", "DRAM")))
    with pytest.raises(NotSupported, match="a keeps nothing"):
        optimal_layer(layer, empty, uneven=True)
    found = dlco.solve([layer], dlco.hardware.gemmini_like(), uneven=True, bound=False, effort=QUICK)
    assert "even mappings alone are searched: accumulator has a fan-out" in caplog.text
    assert not found.uneven


def test_a_machine_in_parts_is_solved_by_search():
    layer, spaces = matmul("mm", M=16, K=16, N=16), ("Weights", "Inputs", "Outputs")
    apart = split(generic(), [("RegisterFile", space) for space in spaces])
    found = dlco.solve([layer], apart, effort=QUICK)
    best = optimal_layer(layer, generic(), uneven=True).front
    assert found.lower_bound is not None
    assert found.lower_bound <= found.value
    assert found.value >= float((best.energy_pj * best.cycles).min()) * (1 - 1e-12)
    assert found.value < inf


def test_the_front_is_the_one_that_accelforge_proved():
    """Recorded (cycles, energy) of AccelForge 1.0.467 for all mappings of a 1 x 1 convolution on a fixed machine.

    It counts one read more of every output word that leaves a level.
    """
    costs = {name: dict.fromkeys(("read_pj", "write_pj", "update_pj"), pj) for name, pj in (("r", 1.0), ("b", 6.0))}
    levels = (
        Level("registers", "regfile", 256, **costs["r"]),
        Level("buffer", "SRAM", 262_144, fanout_x=16, fanout_y=16, **costs["b"]),
        Level("DRAM", "DRAM", read_pj=200.0, write_pj=200.0, update_pj=200.0),
    )
    layer, machine = conv2d("1x1", C=128, M=128, P=28, Q=28, R=1, S=1), Architecture(levels, mac_pj=1.0)
    found = optimal_layer(layer, machine, uneven=True)
    points = []
    for mapping in found.front.mappings:
        apart, cost = machine_of(layer.problem, machine, mapping), evaluate(layer, machine, mapping)
        left = (cost.counts.fills + cost.counts.partition)[:-1, 2] * cost.counts.instances[:-1]
        reads = [words * level.read_pj for words, level in zip(left.tolist(), apart.levels[:-1], strict=True)]
        points.append((cost.cycles.item(), cost.energy_pj.item() + sum(reads)))
    assert points == [(50_176, 110_381_056), (100_352, 110_364_672)]
