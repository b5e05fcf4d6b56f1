"""Fronts with factors that need not divide the bounds, against every chain of factors listed."""

import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest
import torch

import dlco
from dlco import conv1d, conv2d, depthwise_conv2d, evaluate, matmul
from dlco.errors import NotSupported
from dlco.exact import enumerate_layer, hierarchy_search, optimal_layer
from dlco.exact.array import why_no_array
from dlco.exact.case import Case
from dlco.exact.counts import CountLattice, Growth, tile_count, tile_counts
from dlco.exact.last_tiles import ways
from dlco.exact.optimal import begin_search, found_by
from dlco.hardware import generic
from dlco.hardware.architecture import Architecture, Level
from dlco.mapping import Constraints, SlotConstraint
from dlco.mapping.checks import is_imperfect
from dlco.workload import Layer

from .test_optimal import check, points, random_hierarchy, random_machine


def random_layer(rng: random.Random, most: int) -> Layer:
    """A layer of few iterations whose bounds have few divisors."""
    pick = rng.choice
    dims = {"C": pick((1, 2, 3, 5, 7)), "M": pick((1, 2, 3, 5)), "P": pick((1, 2, 3, 5, 7)), "Q": pick((1, 2, 3))}
    dims |= {"R": pick((1, 2, 3, 5)), "S": pick((1, 2)), "N": pick((1, 1, 2, 3))}
    kind = rng.random()
    if kind < 0.25:
        layer = matmul("mm", B=pick((1, 2, 3)), M=pick((2, 3, 5, 9)), K=pick((2, 5, 7, 11)), N=pick((1, 2, 3, 5)))
    elif kind < 0.4:
        layer = depthwise_conv2d("dw", **{d: n for d, n in dims.items() if d != "M"}, stride=pick((1, 2)))
    else:
        layer = conv2d("conv", **dims, stride=pick((1, 1, 2, 3)), dilation=pick((1, 1, 2)))
    return layer if layer.macs <= most else random_layer(rng, most)


@pytest.mark.parametrize("inside", [0, 1, 2, 3])
def test_the_front_is_that_of_every_chain_of_factors_listed(inside):
    rng, done = random.Random(inside), 0
    while done < (10, 6, 4, 4)[inside]:
        layer, machine = random_layer(rng, (1000, 150, 60, 30)[inside]), random_machine(rng, inside)
        done += check(layer, machine, imperfect=True, limit=40_000)


@pytest.mark.parametrize("inside", [0, 1])
def test_windows_that_lie_or_slide_over_children(inside):
    rng, done = random.Random(inside), 0
    while done < 4:
        kernel, stride, dilation = rng.choice((2, 3, 4, 5)), rng.choice((1, 1, 2, 3)), rng.choice((1, 1, 2))
        rows = {"P": rng.choice((5, 7, 9, 11)), "R": kernel, "stride": stride, "dilation": dilation}
        machine = random_machine(rng, inside)
        wide = replace(machine.levels[-2], fanout_x=rng.choice((3, 4)), fanout_y=rng.choice((2, 3)))
        machine = replace(machine, levels=(*machine.levels[:-2], wide, machine.levels[-1]))
        layer = conv1d("rows", C=1, M=rng.choice((1, 2)), **rows)
        done += check(layer, machine, imperfect=True, limit=10_000)


def test_more_children_may_share_more_of_a_window_where_as_many_groups_are_left():
    """Found by chance: eleven rows of a filter of five, two words apart, over twelve elements."""
    shared = Level(
        "Shared", capacity=24, fanout_x=4, fanout_y=3, read_pj=50, write_pj=2, update_pj=5,
        read_bandwidth=2, write_bandwidth=4, shared_bandwidth=3,
    )  # fmt: skip
    dram = Level(
        "DRAM", kind="DRAM", block_size=4, read_pj=2, write_pj=2, update_pj=5, write_bandwidth=2, shared_bandwidth=1
    )
    assert check(conv1d("rows", C=1, M=1, P=11, R=5, stride=2), Architecture((shared, dram), mac_pj=0), imperfect=True)


def two_levels(fanout: int, registers: int) -> Architecture:
    return Architecture(
        (
            Level("Registers", capacity=registers, read_pj=1, write_pj=1, update_pj=1),
            Level("Buffer", capacity=1000, fanout_x=fanout, read_pj=6, write_pj=6, update_pj=6),
            Level("DRAM", kind="DRAM", read_pj=200, write_pj=200, update_pj=200),
        ),
        mac_pj=1.0,
    )


def test_larger_tiles_whose_last_one_is_alone_are_faster():
    """Nine iterations over two elements in tiles of at most 4: 4 and the last one, after 4, take 5 steps, not 6."""
    layer, machine = matmul("row", M=1, K=1, N=9), two_levels(2, 9)
    found = optimal_layer(layer, machine, imperfect=True)
    listed = enumerate_layer(layer, machine, imperfect=True)
    assert found.front.cycles.min().item() == listed.cycles.min().item() == 5
    assert enumerate_layer(layer, machine).cycles.min().item() == 9


def stopping(after: int) -> Callable[[], bool]:
    """Says no when asked after so many times, or raises an interrupt, in turn."""
    times = iter(range(after))

    def go_on() -> bool:
        if next(times, None) is not None:
            return True
        if after % 2:
            raise KeyboardInterrupt
        return False

    return go_on


def test_a_search_that_is_stopped_anywhere_leaves_bounds_that_hold():
    layer, machine = conv2d("c", C=7, M=5, P=5, Q=1, R=3, S=1), two_levels(4, 12)
    whole = optimal_layer(layer, machine, imperfect=True)
    asked = []

    def count() -> bool:
        asked.append(None)
        return True

    search = begin_search(Case.of(layer, machine, imperfect=True))
    search.run(count)
    assert not len(search.open_bounds()[0])
    for most in range(len(asked)):
        search = begin_search(Case.of(layer, machine, imperfect=True))
        with suppress(KeyboardInterrupt):
            search.run(stopping(most))
        stopped = found_by(search)
        for mapping, (cycles, energy) in zip(stopped.front.mappings, points(stopped.front), strict=True):
            cost = evaluate(layer, machine, mapping)
            assert (cost.cycles.item(), cost.energy_pj.item()) == pytest.approx((cycles, energy), rel=1e-12)
        known = np.concatenate([points(stopped.front), stopped.open.numpy()[:, ::-1]])
        for cycles, energy in points(whole.front):
            assert ((known[:, 0] <= cycles) & (known[:, 1] <= energy * (1 + 1e-9))).any(), most
        search.run()
        assert np.allclose(points(found_by(search).front), points(whole.front))


def test_what_is_not_covered_is_refused_with_the_reason():
    layer, machine = conv2d("c", C=4, M=4, P=4, Q=1, R=3, S=1), generic()
    fixed = Constraints((SlotConstraint("GlobalBuffer", "spatial", exact=(("M", 2),)),))
    with pytest.raises(NotSupported, match="need not divide the bounds, and some are constrained"):
        optimal_layer(layer, machine, fixed, imperfect=True)
    with pytest.raises(NotSupported, match="need not divide the bounds, and what levels keep is free"):
        optimal_layer(layer, machine, imperfect=True, keep_free=True)
    large = matmul("large", B=2000, M=2000, K=2000, N=2000)
    with pytest.raises(NotSupported, match="numbers of tiles"):
        optimal_layer(large, machine, imperfect=True)


def test_orders_axes_and_bypass_may_be_constrained():
    layer, machine = matmul("mm", M=5, K=3, N=2), two_levels(3, 12)
    fixed = Constraints(
        (SlotConstraint("Buffer", "temporal", innermost=("M",)),), bypass=(("Buffer", frozenset({"Weights"})),)
    )
    found, listed = (search(layer, machine, fixed, imperfect=True) for search in (optimal_layer, enumerate_layer))
    assert np.allclose(points(found.front), points(listed), rtol=1e-9)
    for mapping in found.front.mappings:
        assert mapping.order[1][0] == "M"
        assert "Weights" in mapping.bypass[1]


def test_solve_takes_imperfect_factors_where_perfect_ones_leave_much_idle():
    layer, machine = matmul("odd", M=11, K=13, N=17), two_levels(8, 12)
    perfect, default, every = (dlco.solve([layer], machine, imperfect=how) for how in (False, None, True))
    assert (perfect.imperfect, default.imperfect, every.imperfect) == (False, True, True)
    assert default.value == pytest.approx(every.value)
    assert every.gap == default.gap == 0
    assert every.value < 0.5 * perfect.value
    assert is_imperfect(layer.problem, default.mappings["odd"])
    even = matmul("even", M=16, K=8, N=8)
    assert not dlco.solve([even], machine).imperfect


@pytest.mark.parametrize("bound", [1, 2, 9, 56, 97, 512])
def test_numbers_of_tiles_are_those_that_chains_of_factors_leave(bound):
    counts = tile_counts(bound)
    assert set(counts) == {tile_count(bound, tile) for tile in range(1, bound + 1)}
    lattice = CountLattice((bound,))
    reached = {(n, counts[j]) for n, above in zip(counts, lattice._multiples[0], strict=True) for j in above.tolist()}
    assert reached == {(n, tile_count(n, factor)) for n in counts for factor in range(1, n + 1)}
    table = torch.rand(bound).numpy()[: len(counts)]
    least = lattice.least_of_multiples(table)
    most = lattice.least_of_sources(table)
    for i, n in enumerate(counts):
        follow = [j for j, m in enumerate(counts) if (n, m) in reached]
        before = [j for j, m in enumerate(counts) if (m, n) in reached]
        assert (least[i], most[i]) == (table[follow].min(), table[before].min())


def test_least_factors_make_the_smallest_tiles():
    for bound in (7, 12, 30):
        least, every = Growth(bound, every=False), Growth(bound, every=True)
        for inner in range(1, bound + 1):
            tiles = tile_count(bound, inner)
            outer = [min(inner * factor, bound) for factor in range(1, tiles + 1)]
            assert np.flatnonzero(every.of(inner)).tolist() == sorted(set(outer))
            smallest = {tile_count(bound, n): n for n in reversed(outer)}
            assert set(np.flatnonzero(least.of(inner)).tolist()) == set(smallest.values())


def test_perfect_mappings_of_the_front_are_among_them():
    layer, machine = conv2d("c", C=4, M=4, P=4, Q=1, R=3, S=1), two_levels(4, 16)
    perfect = optimal_layer(layer, machine)
    found = optimal_layer(layer, machine, imperfect=True)
    for cycles, energy in points(perfect.front):
        assert ((points(found.front)[:, 0] <= cycles) & (points(found.front)[:, 1] <= energy * (1 + 1e-12))).any()
    assert len(found.front.mappings) == len(found.front.cycles)


def test_a_layer_of_one_multiplication_has_one_mapping():
    found = optimal_layer(matmul("one", M=1, K=1, N=1), generic(), imperfect=True)
    assert found.proved
    assert len(found.front.mappings) == 1


def test_words_of_first_visits_are_not_saved_twice_where_a_run_goes_on():
    """Found by chance: results kept at every level, one loop of them spread over two elements of three."""

    def level(name: str, *pj: float, **fields: object) -> Level:
        return Level(name, **dict(zip(("read_pj", "write_pj", "update_pj"), pj, strict=True)), **fields)

    machine = Architecture(
        (
            level("L0", 1, 1, 2, capacity=12, read_bandwidth=0.5, write_bandwidth=0.5, shared_bandwidth=1.0),
            level("L1", 5, 50, 50, capacity=40, shared_bandwidth=1.0, bypass=frozenset({"Inputs", "Weights"})),
            level("L2", 5, 2, 1, capacity=3, block_size=2, read_bandwidth=2, write_bandwidth=1, leak_pj=5),
            level("Shared", 50, 5, 2, capacity=150, fanout_x=2, fanout_y=2, bypass=frozenset({"Weights"})),
            level("DRAM", 5, 50, 5, kind="DRAM", read_bandwidth=0.5, write_bandwidth=0.5),
        )
    )
    layer = depthwise_conv2d("dw", C=1, R=1, S=2, N=3, P=5, Q=1)
    found = optimal_layer(layer, machine, imperfect=True)
    assert np.allclose(points(found.front), points(enumerate_layer(layer, machine, imperfect=True)), rtol=1e-9)


def test_more_children_that_add_up_a_result_may_be_better_where_as_many_groups_are_left():
    """Five iterations over four elements and over three take two turns both; four of them read back less."""

    def level(name: str, *pj: float, **fields: object) -> Level:
        return Level(name, **dict(zip(("read_pj", "write_pj", "update_pj"), pj, strict=True)), **fields)

    machine = Architecture(
        (
            level("L0", 2, 50, 50, capacity=40),
            level("L1", 50, 50, 50, capacity=3),
            level("Shared", 5, 2, 50, capacity=60, fanout_x=3, fanout_y=4, bypass=frozenset({"Outputs", "Weights"})),
            level("DRAM", 50, 50, 50, kind="DRAM"),
        )
    )
    layer = matmul("mm", M=5, K=5, N=2)
    found = optimal_layer(layer, machine, imperfect=True)
    assert np.allclose(points(found.front), points(enumerate_layer(layer, machine, imperfect=True)), rtol=1e-9)
    assert any(4 in (*m.spatial_x[2], *m.spatial_y[2]) for m in found.front.mappings)


@pytest.mark.parametrize("bound", [1, 2, 3, 4, 12, 49, 50, 97, 360])
def test_numbers_of_tiles_are_those_of_all_tiles(bound):
    every = {tile_count(bound, tile) for tile in range(1, bound + 1)}
    assert set(tile_counts(bound)) == every
    assert CountLattice((bound,)).radix == (len(every),)


def test_large_bounds_are_refused_at_once():
    with pytest.raises(NotSupported, match="a bound is 2,147,483,647; up to 1,048,576 are covered"):
        optimal_layer(matmul("m", M=2**31 - 1, K=2, N=1), two_levels(4, 12), imperfect=True)


@pytest.mark.parametrize("levels", [1, 2, 3, 4])
@pytest.mark.parametrize("few", [False, True])
def test_the_front_of_any_hierarchy_is_that_of_every_chain_of_factors_listed(levels, few, monkeypatch):
    if few:  # so that passes drop labels and the next ones take them up again
        monkeypatch.setattr(hierarchy_search, "WIDTHS", (3, 40, 10**9))
    rng, done = random.Random(60 + levels), 0
    while done < (3, 3, 2, 1)[levels - 1]:
        layer, machine = random_layer(rng, (1000, 200, 40, 20)[levels - 1]), random_hierarchy(rng, levels)
        if why_no_array(Case.of(layer, machine)):
            done += check(layer, machine, imperfect=True, limit=10_000)


def arrays(inner: int, outer: int, **fields: object) -> Architecture:
    """A machine with two fan-outs, one around registers of their weights."""
    return Architecture(
        (
            Level("Registers", capacity=1, bypass=frozenset({"Inputs", "Outputs"}), read_pj=1, write_pj=1),
            Level("Sums", capacity=16, fanout_y=inner, bypass=frozenset({"Inputs", "Weights"}), read_pj=2, update_pj=2),
            Level("Buffer", capacity=400, fanout_x=outer, read_pj=6, write_pj=6, update_pj=6, **fields),
            Level("DRAM", kind="DRAM", read_pj=200, write_pj=200, update_pj=200),
        ),
        mac_pj=1.0,
    )


def test_columns_of_an_array_are_proved_and_used_better():
    layer, machine = matmul("mm", M=5, K=7, N=2), arrays(3, 2)
    found = optimal_layer(layer, machine, imperfect=True)
    listed = enumerate_layer(layer, machine, imperfect=True, limit=200_000)
    assert found.proved
    assert np.allclose(points(found.front), points(listed), rtol=1e-9)
    assert found.front.cycles.min() < optimal_layer(layer, machine).front.cycles.min()


def test_a_search_of_several_fan_outs_that_is_stopped_leaves_bounds_that_hold():
    layer, machine = matmul("mm", M=5, K=7, N=2), arrays(3, 2)
    whole = optimal_layer(layer, machine, imperfect=True)
    for most in (0, 1, 4, 9):
        search = begin_search(Case.of(layer, machine, imperfect=True))
        with suppress(KeyboardInterrupt):
            search.run(stopping(most))
        stopped = found_by(search)
        known = np.concatenate([points(stopped.front), stopped.open.numpy()[:, ::-1]])
        for cycles, energy in points(whole.front):
            assert ((known[:, 0] <= cycles) & (known[:, 1] <= energy * (1 + 1e-9))).any(), most
        search.run()
        assert np.allclose(points(found_by(search).front), points(whole.front))


def test_solve_takes_them_where_several_levels_fan_out_and_much_is_idle():
    layer, machine = matmul("odd", M=7, K=11, N=5), arrays(4, 4)
    perfect, default = (dlco.solve([layer], machine, imperfect=how) for how in (False, None))
    assert (perfect.imperfect, default.imperfect) == (False, True)
    assert default.value < 0.5 * perfect.value
    assert default.lower_bound <= default.value
    assert is_imperfect(layer.problem, default.mappings["odd"])


@pytest.mark.parametrize("spatial", [(1, 1), (2, 3), (3, 2)])
@pytest.mark.parametrize("left", [(9, 2), (5, 2), (4, 1), (3, 3), (10, 4)])
def test_ways_are_among_all_factors_that_leave_these_numbers(spatial, left):
    bound = 23
    inner = range(1, bound + 1)
    every = [
        (a, b)
        for a in inner
        for b in inner
        if (n := tile_count(tile_count(bound, spatial[0]), a)) == left[0]
        and tile_count(tile_count(n, spatial[1]), b) == left[1]
        and b <= tile_count(n, spatial[1])
        and a <= tile_count(bound, spatial[0])
    ]
    if not every:
        return
    assert {way for way, _ in ways(bound, spatial, left, 2)} == set(every)
    some = [way for way, _ in ways(bound, spatial, left, 0)]
    assert some[0] == min(every)
    assert set(some) <= set(every)
