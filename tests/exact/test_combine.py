"""The exact choice of one point a layer, against all choices listed."""

from itertools import product
from math import inf

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dlco.bound.region import TotalLimits
from dlco.exact.combine import combine
from dlco.exact.layer_front import corners
from dlco.optimize import OBJECTIVES

points = st.lists(st.tuples(st.integers(1, 60), st.integers(1, 60)), min_size=1, max_size=6)


def columns(layer: list[tuple[int, int]]) -> tuple[torch.Tensor, torch.Tensor]:
    table = torch.tensor(layer, dtype=torch.float64)
    return table[:, 0], table[:, 1]


def value(objective: str, energy: float, cycles: float) -> float:
    return {"latency": cycles, "energy": energy, "power": energy / cycles}.get(objective, energy * cycles)


@pytest.mark.parametrize("objective", OBJECTIVES)
@given(
    layers=st.lists(points, min_size=1, max_size=4),
    counts=st.tuples(*[st.integers(1, 3)] * 4),
    limits=st.tuples(*[st.sampled_from((0.4, 1.0, inf))] * 3),
)
def test_it_is_the_least_of_all_choices(objective, layers, counts, limits):
    counts = counts[: len(layers)]
    most = TotalLimits(limits[0] * 60 * sum(counts), limits[1] * 60 * sum(counts), limits[2])
    tables = [columns(layer) for layer in layers]
    found = combine([e for e, _ in tables], [t for _, t in tables], counts, objective, most)
    sums = [
        (
            sum(n * e for n, (e, _) in zip(counts, picks, strict=True)),
            sum(n * t for n, (_, t) in zip(counts, picks, strict=True)),
        )
        for picks in product(*layers)
    ]
    allowed = [
        (e, t) for e, t in sums if e <= most.energy_pj and t <= most.cycles and e <= most.power * t * (1 + 1e-12)
    ]
    if not allowed:
        assert found is None
        return
    assert found is not None
    assert value(objective, found.energy_pj, found.cycles) == min(value(objective, e, t) for e, t in allowed)
    picked = [layer[i] for layer, i in zip(layers, found.chosen, strict=True)]
    assert found.energy_pj == sum(n * e for n, (e, _) in zip(counts, picked, strict=True))
    assert found.cycles == sum(n * t for n, (_, t) in zip(counts, picked, strict=True))


@given(layer=points, rate=st.floats(-3, 3))
def test_some_corner_is_the_best_at_any_price_of_time(layer, rate):
    energy, cycles = columns(layer)
    price = energy + rate * cycles
    assert price[corners(energy, cycles)].min().item() == pytest.approx(price.min().item())
