"""Efforts of fronts of tiny problems, and what such fronts are held against."""

from collections.abc import Sequence
from dataclasses import replace
from math import log

import pytest

import dlco
from dlco.design.dominance import hypervolume, logs, nondominated
from dlco.design.front import Front
from dlco.hardware.architecture import Architecture
from dlco.hardware.space import HardwareSpace
from dlco.optimize import Budget, SolveEffort
from dlco.optimize.front.request import FrontEffort
from dlco.search.local_search import Effort
from dlco.workload import Layer
from tests.efforts import EVOLUTION
from tests.exhaustive import every_choice, machines_of

SMALL = SolveEffort(
    starts=1,
    relax_rounds=1,
    survey=4,
    machines=2,
    roundings=2,
    descents=1,
    steps=6,
    evolution=EVOLUTION,
    fit=Effort(rounds=20, patience=8, islands=2),
    step=Effort(rounds=12, patience=5, population=3, neighbours=12),
    polish=Effort(rounds=30, patience=10, population=4, neighbours=16, islands=4),
    polishes=1,
)
QUICK = FrontEffort(SMALL, replace(SMALL, starts=0, survey=0, polishes=0))


def truth(
    layers: Sequence[Layer], hardware: Architecture | HardwareSpace, axes: tuple[str, ...], budget: Budget
) -> list[tuple[float, ...]]:
    """The exact front, of every design there is."""
    choices = (c for one in machines_of(hardware) for c in every_choice(layers, one, trim="power" not in axes))
    table = list({tuple(c.value(axis) for axis in axes) for c in choices if c.within(budget)})
    return [table[i] for i in nondominated(table)]


def covered(points: Sequence[tuple[float, ...]], exact: Sequence[tuple[float, ...]]) -> float:
    """Hypervolume of points in logs, over that of the exact front."""
    corner = [log(2 * max(column)) for column in zip(*exact, strict=True)]
    return hypervolume([logs(p) for p in points], corner) / hypervolume([logs(p) for p in exact], corner)


def hold(front: Front, layers: Sequence[Layer]) -> None:
    """What is true of every front: order, exact figures, limits."""
    table = [point.values for point in front.points]
    assert table == sorted(table)
    assert nondominated(table) == list(range(len(table)))
    for point in (*front.points, *front.dominated):
        solution = point.solution
        costs = [dlco.evaluate(layer, solution.architecture, solution.mappings[layer.name]) for layer in layers]
        cycles = sum(c.cycles.item() * layer.count for c, layer in zip(costs, layers, strict=True))
        energy = sum(c.energy_pj.item() * layer.count for c, layer in zip(costs, layers, strict=True))
        latency = cycles * solution.architecture.cycle_s
        figures = {"latency": latency, "energy": energy, "edp": energy * cycles, "power": energy * 1e-12 / latency}
        figures["area"] = solution.architecture.area_mm2
        assert point.values == pytest.approx([figures[axis] for axis in front.axes], rel=1e-9)
        used = {
            "latency_s": latency,
            "energy_j": energy * 1e-12,
            "power_w": figures["power"],
            "area_mm2": figures["area"],
        }
        limits = front.budget.tightened(point.limits).limits
        assert all(used[name] <= limit * (1 + 1e-9) for name, limit in limits.items())
        assert solution.status in ("solved", "interrupted")
