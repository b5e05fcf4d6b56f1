"""Weighted sums of objectives, as `benchmarks/pareto.py` compares with."""

import pytest
import torch
from baselines.weighted_sum import WeightedScore, weighted_sum_front

from dlco.design.budget import Budget
from dlco.design.objective import Objective
from dlco.hardware.architecture import Architecture
from dlco.workload import Layer
from tests.optimize.front.fronts import QUICK, covered, hold, truth


def test_a_weighted_sum_finds_points_of_the_front(product_layer: Layer, machine: Architecture) -> None:
    front = weighted_sum_front([product_layer], machine, points=6, effort=QUICK)
    hold(front, [product_layer])
    exact = truth([product_layer], machine, front.axes, front.budget)
    assert len(front.points) > 2
    # supported points alone: each is the least of some weighted sum, up to what a search may miss
    low, high = ([pick(column) for column in zip(*exact, strict=True)] for pick in (min, max))

    def excess(point: tuple[float, ...], weight: float) -> float:
        def total(p: tuple[float, ...]) -> float:
            scaled = [value / (most - least) for value, least, most in zip(p, low, high, strict=True)]
            return weight * scaled[0] + (1 - weight) * scaled[1]

        return total(point) / min(map(total, exact)) - 1

    asked = [point for point in front.points if "come across" not in point.solution.message]
    assert len(asked) > 2
    for point in asked:
        assert min(excess(point.values, i / 200) for i in range(201)) < 0.02
    # what is come across makes up for the rest
    assert covered([p.values for p in front.points], exact) > 0.95


@pytest.mark.parametrize(
    ("objective", "terms"),
    [
        ("latency", ((Objective.LATENCY, 2.0), (Objective.AREA, 3e-4))),
        ("area", ((Objective.AREA, 1.0), (Objective.POWER, 0.1))),
    ],
)
def test_no_network_is_below_the_floor(objective: str, terms: tuple[tuple[Objective, float], ...]) -> None:
    """Whatever it takes in energy, and however much longer than the floor's cycles."""
    score = WeightedScore(objective, Budget(), 1e-9, terms)
    generator = torch.Generator().manual_seed(0)
    cycles, more, energy, area = torch.rand(4, 500, generator=generator, dtype=torch.float64) * 1e4 + 1.5
    value = score.value(energy, cycles + more, area)
    assert (score.floor(cycles, area) <= value).all()
