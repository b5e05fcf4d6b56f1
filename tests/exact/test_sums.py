"""Hulls of sums, and what their points are worth, against all sums of random points."""

import random
from itertools import product
from math import inf

import numpy as np
import pytest

from dlco.bound.region import TotalLimits
from dlco.design.objective import Objective
from dlco.exact.sums import Goal, Hull

POWERS = {"energy": (1, 0), "latency": (0, 1), "edp": (1, 1)}


def random_points(rng: random.Random) -> list[tuple[float, float]]:
    return [(rng.uniform(1, 50), rng.uniform(1, 50)) for _ in range(rng.choice((1, 1, 2, 5)))]


def hull_of(points: list[tuple[float, float]]) -> Hull:
    energy, cycles = np.array(points).T
    return Hull.of(energy, cycles)


@pytest.mark.parametrize("seed", range(20))
def test_a_total_is_the_hull_of_all_sums(seed: int) -> None:
    rng = random.Random(seed)
    parts = [random_points(rng) for _ in range(rng.randint(1, 4))]
    total = Hull.total([hull_of(points) for points in parts])
    sums = hull_of([(sum(e for e, _ in some), sum(t for _, t in some)) for some in product(*parts)])
    assert total.energy == pytest.approx(sums.energy)
    assert total.cycles == pytest.approx(sums.cycles)


@pytest.mark.parametrize("seed", range(60))
@pytest.mark.parametrize("objective", sorted(POWERS))
def test_what_takes_least_within_limits_is_worth_one_and_nothing_less(seed: int, objective: str) -> None:
    rng = random.Random(seed)
    hull = hull_of([(rng.uniform(1, 50), rng.uniform(1, 50)) for _ in range(rng.choice((1, 2, 8)))])
    limits = TotalLimits()
    if seed % 2:
        limits = TotalLimits(
            cycles=rng.choice((inf, rng.uniform(*hull.cycles[[0, -1]]))),
            energy_pj=rng.choice((inf, rng.uniform(*hull.energy[[-1, 0]]))),
            power=rng.choice((inf, float((hull.energy / hull.cycles).mean()))),
        )
    goal = Goal(Objective(objective), limits)
    best = goal.best(hull)
    if best is None:
        assert goal.least(hull) == inf
        return
    energy, cycles = best
    of_energy, of_cycles = POWERS[objective]
    assert goal.least(hull) == pytest.approx(energy**of_energy * cycles**of_cycles)
    inside = hull.energy_at(np.linspace(hull.cycles[0], hull.cycles[-1], 50)), np.linspace(*hull.cycles[[0, -1]], 50)
    for e, t in zip(*inside, strict=True):  # nothing within the limits takes less
        if e <= limits.energy_pj and t <= limits.cycles and e <= limits.power * t:
            assert e**of_energy * t**of_cycles >= goal.least(hull) * (1 - 1e-9)
    a_pj, a_cycle = goal.prices(hull)
    assert min(a_pj, a_cycle) >= 0
    assert a_pj * energy + a_cycle * cycles == pytest.approx(1.0)
    assert (a_pj * hull.energy + a_cycle * hull.cycles).min() >= 1 - 1e-9
