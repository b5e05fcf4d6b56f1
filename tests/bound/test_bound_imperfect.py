"""The bound for factors that need not divide the bounds, against random mappings with such factors."""

import random

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dlco.bound import BoundEffort, lower_bound
from dlco.cost.model import evaluate
from dlco.errors import InvalidMapping
from dlco.hardware.architecture import Architecture
from dlco.mapping.mapping import Mapping
from dlco.workload import Layer

from .test_bound_exhaustive import MARGIN, tiny_layers, tiny_machines

EFFORT = BoundEffort(nodes=40, side=10, rounds=1, boxes=0)


def any_mapping(layer: Layer, machine: Architecture, draw: random.Random) -> Mapping:
    """Factors of any size that cover the bounds, the outermost loop taking what is left."""
    dims, levels = layer.problem.dimensions, range(len(machine.levels))
    tables = {kind: [[1] * len(dims) for _ in levels] for kind in "XYT"}
    for d, bound in enumerate(layer.problem.bounds):
        left = bound
        for level in levels:
            axes = {"X": machine.levels[level].fanout_x, "Y": machine.levels[level].fanout_y, "T": left}
            for kind in "XYT":
                barred = kind == "Y" and tables["X"][level][d] > 1
                factor = 1 if barred or draw.random() < 0.4 else draw.randint(1, min(axes[kind], left))
                tables[kind][level][d] = factor
                left = -(-left // factor)
        tables["T"][-1][d] *= left
    order = tuple(tuple(draw.sample(dims, len(dims))) for _ in levels)
    rows = (tuple(map(tuple, tables[kind])) for kind in "TXY")
    names = tuple(level.name for level in machine.levels)
    return Mapping(dims, names, *rows, order, order, (frozenset(),) * len(names))


@given(tiny_layers(), tiny_machines(), st.integers(0, 10**6))
@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
def test_no_imperfect_mapping_beats_the_bound(layer: Layer, machine: Architecture, seed: int) -> None:
    draw, points = random.Random(seed), []
    for _ in range(30):
        try:
            cost = evaluate(layer, machine, any_mapping(layer, machine, draw))
        except InvalidMapping:
            continue
        if cost.valid.item():
            points.append((cost.energy_pj.item() * layer.count, cost.cycles.item() * layer.count))
    if not points:
        return
    values = {
        "energy": min(e for e, _ in points),
        "latency": min(t for _, t in points) * machine.cycle_s,
        "edp": min(e * t for e, t in points),
        "power": min(e / t for e, t in points) * 1e-12 / machine.cycle_s,
    }
    for objective, best in values.items():
        assert lower_bound([layer], machine, objective, imperfect=True, effort=EFFORT).value <= best * MARGIN
