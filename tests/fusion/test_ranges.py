"""Ranges of tilings, against every tiling of tiny chains with every mapping of its tiles."""

import random
from collections.abc import Iterator
from itertools import product
from math import inf

import pytest

from dlco.fusion import Fused, best_plan, candidates_of
from dlco.fusion.chains import Uncut, manners_of
from dlco.fusion.floor import Floors
from dlco.fusion.ranges import PATIENCE, RISE, Patience, Ranged, ranges_of
from dlco.fusion.retained import Fronts
from dlco.hardware import Architecture
from dlco.workload.tiling import RESIDENT, Tiled, Tiling

from .test_tiles import VALUE, check_costs, points_of, random_machine, tiny


def tilings_of(one: Uncut, machine: Architecture) -> Iterator[Fused]:
    """All of a chain for which there is room."""
    last = one.chain.problems[-1].sizes
    for cut, halo, weights in manners_of(one.chain):
        for sizes in product(*(range(1, last[dim]) for dim in cut)):
            tiled = Tiled(one.chain, Tiling(tuple(zip(cut, sizes, strict=True)), halo, weights))
            loaded = {space for layer in range(len(one.chain.problems)) for space in tiled.loaded(layer)}
            if weights == RESIDENT and not (loaded and loaded <= one.loadable):
                continue
            fused = Fused(one.first, one.last, tiled, one.level)
            if fused.room() < machine.level(one.level).usable_capacity:
                yield fused


def everything_in(one: Ranged, room: float) -> Iterator[tuple[list[Ranged], Tiling]]:
    """All tilings for which there is room, each with the ranges that it lies in."""
    found = one.trimmed({}, room)
    if found is None:
        return
    if found.tiling:
        yield [found], found.tiling
        return
    for half in found.halves():
        for others, tiling in everything_in(half, room):
            yield [found, *others], tiling


@pytest.mark.parametrize("seed", range(10))
def test_every_tiling_lies_in_ranges_that_need_no_more(seed: int) -> None:
    rng = random.Random(seed)
    network, machine = tiny(rng), random_machine(rng)
    for one in candidates_of(network, machine).chains:
        room, floors = machine.level(one.level).usable_capacity, Floors(machine)
        inside = {tiling: own for wide in ranges_of(one) for own, tiling in everything_in(wide, room)}
        every = {fused.tiled.tiling: fused for fused in tilings_of(one, machine)}
        assert set(every) <= set(inside)
        for tiling, fused in every.items():
            points = points_of(fused, machine)
            for own in inside[tiling] if points else ():
                hull = floors.hull(own.parts({}))
                for share in (0.0, 0.1, 0.5, 0.9, 1.0):
                    least = min((1 - share) * e + share * t for e, t in zip(hull.energy, hull.cycles, strict=True))
                    assert least <= min((1 - share) * e + share * t for e, t in points) * (1 + 1e-9)


@pytest.mark.parametrize("seed", range(12))
def test_no_tiling_at_all_is_better_than_the_plan_without_limits_on_the_search(seed: int) -> None:
    rng = random.Random(100 + seed)
    network, machine = tiny(rng), random_machine(rng)
    likely = candidates_of(network, machine)
    every = [fused for one in likely.chains for fused in tilings_of(one, machine)]
    objective = rng.choice(("edp", "energy", "latency"))
    listed = best_plan(network, machine, objective, fused=every)
    plan = best_plan(network, machine, objective, beyond=likely.chains)
    assert listed is not None
    assert plan is not None
    least = VALUE[objective](listed.energy_pj, listed.cycles)
    assert plan.proved
    assert VALUE[objective](plan.energy_pj, plan.cycles) == pytest.approx(least, rel=1e-9)
    check_costs(network, machine, plan)
    for splits in (0, 5, 30):
        short = best_plan(
            network, machine, objective, fused=likely.chosen, beyond=likely.chains, searches=2, splits=splits
        )
        assert short is not None
        assert short.lower <= least * (1 + 1e-9)


@pytest.mark.parametrize("seed", range(6))
def test_fronts_cut_short_end_the_search_and_leave_a_bound(seed: int) -> None:
    rng = random.Random(seed)
    network, machine = tiny(rng), random_machine(rng)
    likely = candidates_of(network, machine)
    objective = rng.choice(("edp", "energy", "latency"))
    best = best_plan(network, machine, objective, fused=likely.chosen, beyond=likely.chains)
    assert best is not None
    fronts = Fronts(machine, batches=0)
    cut = best_plan(network, machine, objective, fronts=fronts, fused=likely.chosen, beyond=likely.chains)
    assert cut is not None
    assert cut.lower <= VALUE[objective](best.energy_pj, best.cycles) * (1 + 1e-9)


def test_limited_splits_end_where_they_raise_the_bound_no_more() -> None:
    patience = Patience(10 * PATIENCE, 1.0)
    assert patience.lasts(PATIENCE - 1, 1.0)
    assert patience.lasts(PATIENCE, 1.1)
    assert patience.lasts(2 * PATIENCE - 1, 1.1)
    assert not patience.lasts(2 * PATIENCE, 1.1 * (1 + RISE / 2))
    assert not Patience(3).lasts(3, 1.0)
    assert Patience(inf).lasts(100 * PATIENCE, 0.0)
