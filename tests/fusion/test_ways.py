"""Bounds on one machine, raised bit by bit, against the best plans of tiny networks there and on smaller machines."""

import random
from dataclasses import replace
from math import inf

import pytest

from dlco.bound.region import TotalLimits
from dlco.design.objective import Objective
from dlco.exact.optimal import NoMapping
from dlco.exact.sums import Goal
from dlco.fusion import best_plan, candidates_of
from dlco.fusion.retained import Fronts
from dlco.fusion.tensors import shared_memories
from dlco.fusion.ways import begun, raised
from dlco.hardware.architecture import Architecture
from dlco.workload import Network

from .test_machines import random_space
from .test_plan import VALUE
from .test_tiles import tiny


def best_of(network: Network, machine: Architecture, objective: str) -> float:
    """Of all plans with the tilings that are listed."""
    try:
        plan = best_plan(network, machine, objective, fused=candidates_of(network, machine, every=True).chosen)
    except NoMapping:
        return inf
    return inf if plan is None else VALUE[objective](plan.energy_pj, plan.cycles)


@pytest.mark.parametrize("seed", range(8))
def test_the_bound_rises_to_no_more_than_the_best_plan_on_this_machine_and_on_smaller_ones(seed: int) -> None:
    rng = random.Random(seed)
    network, space = tiny(rng), random_space(rng)
    objective = rng.choice(("edp", "energy", "latency"))
    goal = Goal(Objective(objective), TotalLimits())
    machine = space.architecture([parameter.grid[-1] for parameter in space.parameters])
    memories, fronts = shared_memories(machine), Fronts(machine)
    known = begun(network, goal, fronts, memories)
    best, lowers = best_of(network, machine, objective), [known.lower]
    for splits, search in ((0, False), (0, True), (1, True), (5, True), (10_000, True)):
        known = raised(known, goal, fronts, inf, splits, search=search)
        lowers.append(known.lower)
    assert lowers == sorted(lowers)
    assert 0 < lowers[0]
    assert lowers[-1] <= best * (1 + 1e-9)
    assert raised(known, goal, fronts, inf, 10_000, search=True).lower == pytest.approx(lowers[-1])  # all is split
    assert raised(known, goal, fronts, 0.5 * lowers[-1], 10, search=True).lower >= 0.5 * lowers[-1]
    levels = [
        replace(level, capacity=max(4, int(level.capacity * rng.choice((0.3, 0.6))))) if level.capacity < inf else level
        for level in machine.levels
    ]
    smaller = replace(machine, levels=tuple(levels))
    below = best_of(network, smaller, objective)
    if shared_memories(smaller) == memories:
        taken = raised(known, goal, Fronts(smaller), inf, 10_000, search=True)
        assert lowers[-1] * (1 - 1e-9) <= taken.lower <= below * (1 + 1e-9)
        without = raised(known, goal, Fronts(smaller), 0.99 * below, 10_000, search=True)
        assert min(without.lower, below) <= below  # what is no better than that was left out, and nothing else
        if below < inf:
            assert min(without.lower, 0.99 * below) >= min(taken.lower, 0.99 * below) * (1 - 1e-9)
