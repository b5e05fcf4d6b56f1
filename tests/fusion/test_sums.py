"""Sums over the ways through a course, against a listing of all ways."""

import random
from dataclasses import dataclass
from itertools import product

import pytest
import torch

from dlco.bound.region import TotalLimits
from dlco.design.objective import Objective
from dlco.exact.sums import Goal
from dlco.fusion.course import Move
from dlco.fusion.sums import Bundles, Points, best_way, hull_of_ways, least_through, prices_through

VALUE = {"energy": lambda e, t: e, "latency": lambda e, t: t, "edp": lambda e, t: e * t}


@dataclass(frozen=True)
class Until:
    """Stands for a chain in tiles up to a step."""

    last: int


def random_course(rng: random.Random, steps: int = 4) -> tuple[list[list[Move]], dict[int, Points]]:
    """Moves of one step or two between two states, one at both ends, and what each may cost."""
    states = [1, *(2 for _ in range(steps - 1)), 1]
    moves, points = [], {}
    for last in range(steps):
        some = []
        for start in range(max(0, last - 1), last + 1):
            for before, after in product(range(states[start]), range(states[last + 1])):
                count = rng.randint(0 if start < last else 1, 3)
                some += [Move(start, before, after, (), (), fused=Until(last)) for _ in range(count)]
        moves.append(some)
        for move in some:
            pairs = [(rng.randint(1, 20), rng.randint(1, 20)) for _ in range(rng.randint(1, 3))]
            energy, cycles = (torch.tensor(own, dtype=torch.float64) for own in zip(*pairs, strict=True))
            points[id(move)] = Points.total([(energy, cycles)])
    return moves, points


def ways(moves: list[list[Move]], position: int, state: int) -> list[list[Move]]:
    """All ways that lead to a state."""
    if position == 0:
        return [[]]
    into = [move for move in moves[position - 1] if move.after == state]
    return [[*way, move] for move in into for way in ways(moves, move.start, move.before)]


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("objective", ["energy", "latency", "edp"])
def test_sums_of_the_best_way_and_of_those_through_each_move(seed: int, objective: str) -> None:
    rng = random.Random(seed)
    moves, points = random_course(rng)
    every = ways(moves, len(moves), 0)
    value, least = VALUE[objective], dict[int, float]()
    for way in every:
        own = [[*zip(p.energy.tolist(), p.cycles.tolist(), strict=True)] for p in (points[id(m)] for m in way)]
        best = min(value(*map(sum, zip(*picks, strict=True))) for picks in product(*own))
        for move in way:
            least[id(move)] = min(best, least.get(id(move), best))
    goal = Goal(Objective(objective), TotalLimits())
    found = {id(move): bound for move, bound in least_through(moves, lambda move: points[id(move)].hull, goal)}
    assert found.keys() == least.keys()
    for key, bound in found.items():
        assert bound <= least[key] * (1 + 1e-9)  # of sums of the hull, the least of EDP is at a corner
        assert bound >= least[key] * (1 - 1e-9)
    middle = sorted(least.values())[len(least) // 2]
    some = dict(least_through(moves, lambda move: points[id(move)].hull, goal, middle))
    assert {id(move): bound for move, bound in some.items()} == {k: v for k, v in found.items() if v <= middle}
    hull = hull_of_ways(moves, lambda move: points[id(move)].hull)
    assert hull is not None
    of_energy, of_cycles = goal.prices(hull)
    worth = {key: float((of_energy * own.energy + of_cycles * own.cycles).min()) for key, own in points.items()}
    through = {id(move): price for move, price in prices_through(moves, lambda move: worth[id(move)])}
    for key in least:
        assert through[key] == pytest.approx(min(sum(worth[id(m)] for m in w) for w in every if key in map(id, w)))
    assert min(through.values()) == pytest.approx(1.0)
    for key, bound in least.items():  # what the least takes is worth 1
        assert bound > min(least.values()) * (1 + 1e-9) or through[key] == pytest.approx(1.0)
    best = best_way(
        Bundles(lambda move: points[id(move)], TotalLimits()).of(moves), Objective(objective), TotalLimits()
    )
    assert best is not None
    assert value(best.energy_pj, best.cycles) == pytest.approx(min(least.values()))
    assert [id(move) for move, _ in best.way] in [[id(move) for move in way] for way in every]
