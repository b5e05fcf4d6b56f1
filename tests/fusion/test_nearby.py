"""Tilings next to one: all of the network's chains, and none of them better than a plan that was searched for."""

import random
from dataclasses import replace

import pytest

from dlco import conv2d
from dlco.fusion import Fused, Plan, best_plan, candidates_of
from dlco.fusion.nearby import nearby
from dlco.hardware import Architecture, generic
from dlco.workload import Network
from dlco.workload.tiling import Tiled, Tiling

from .test_plan import network_of


def wide(rng: random.Random) -> tuple[Network, Architecture]:
    """Three convolutions over maps that a small memory holds parts of."""
    shapes = [(4, 8), (8, 4), (4, 2)]
    layers = [conv2d(f"conv{i}", C=c, M=m, P=20, Q=12, R=rng.choice((1, 3)), S=3) for i, (c, m) in enumerate(shapes)]
    plain = generic()
    buffer = replace(plain.level("GlobalBuffer"), capacity=rng.choice((600, 1200)))
    machine = replace(plain, levels=(plain.levels[0], buffer, plain.levels[2]))
    return network_of(layers, [(0, 1, "Inputs"), (1, 2, "Inputs")]), machine


def value(plan: Plan | None) -> float:
    assert plan is not None
    return plan.energy_pj * plan.cycles


@pytest.mark.parametrize(("seed", "improves"), [(3, False), (2, True)])
def test_no_tiling_next_to_the_plan_s_is_better(seed: int, *, improves: bool) -> None:
    network, machine = wide(random.Random(seed))
    likely = candidates_of(network, machine)
    chains, begin = likely.chains, best_plan(network, machine, fused=likely.chosen)
    plan = best_plan(network, machine, fused=likely.chosen, beyond=chains, splits=0)
    assert value(plan) < value(begin) * (1 - 1e-6) if improves else value(plan) <= value(begin)
    chosen = [stretch.fused for stretch in plan.stretches if stretch.fused]
    assert chosen
    beside = [near for one in chosen for near in nearby(one, chains)]
    fitting = [one for one in beside if one.room() < machine.level("GlobalBuffer").capacity]
    assert len(fitting) > 10
    assert value(best_plan(network, machine, fused=[*chosen, *fitting])) == pytest.approx(value(plan), rel=1e-9)


def test_what_is_next_to_a_tiling_differs_in_one_choice() -> None:
    network, machine = wide(random.Random(0))
    chains = candidates_of(network, machine).chains
    own = next(one for one in chains if (one.first, one.last) == (0, 1))
    tiling = Tiling((("P", 6), ("Q", 4)))
    found = list(nearby(Fused(0, 1, Tiled(own.chain, tiling), own.level), chains))
    assert {(one.first, one.last) for one in found} == {(0, 1), (0, 2), (1, 2)}
    assert all(one.tiled.tiling == tiling for one in found if (one.first, one.last) != (0, 1))
    cuts = {one.tiled.tiling.cut for one in found if (one.first, one.last) == (0, 1)}
    assert {(("P", 7), ("Q", 4)), (("P", 6), ("Q", 8)), (("P", 3), ("Q", 8)), (("Q", 4), ("P", 6)), (("P", 6),)} <= cuts
    bounds = own.chain.problems[-1].sizes
    assert all(0 < size < bounds[dim] for cut in cuts for dim, size in cut)
