"""Every mapping of a tiny problem, listed with itertools: the truth that the optimiser is held against.

Nothing here knows of searches, prices, units or relaxations. What fits is decided here; what a mapping costs is the
exact cost model's word, which its own tests hold against executed loop nests.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import permutations, product
from math import inf, prod

import torch

from dlco.cost.model import evaluate_many
from dlco.hardware.architecture import Architecture
from dlco.hardware.space import HardwareSpace
from dlco.mapping.mapping import SPATIAL_X, SPATIAL_Y, TEMPORAL, MappingBatch
from dlco.optimize import Budget
from dlco.workload import Layer, Problem

Point = tuple[float, float]  # energy pJ, cycles


def splits(bound: int, parts: int) -> list[tuple[int, ...]]:
    """All ordered ways to write `bound` as a product of `parts` factors."""
    if parts == 1:
        return [(bound,)]
    divisors = [d for d in range(1, bound + 1) if bound % d == 0]
    return [(d, *rest) for d in divisors for rest in splits(bound // d, parts - 1)]


def every_mapping(problem: Problem, architecture: Architecture) -> MappingBatch:
    """All mappings that fit, none of them with a dimension on both axes of a level."""
    levels, dims = len(architecture.levels), len(problem.dimensions)
    slots = [(i, TEMPORAL) for i in range(levels)]
    slots += [(i, SPATIAL_X) for i, level in enumerate(architecture.levels) if level.fanout_x > 1]
    slots += [(i, SPATIAL_Y) for i, level in enumerate(architecture.levels) if level.fanout_y > 1]
    columns = []
    for bound in problem.bounds:
        tables = torch.ones(len(options := splits(bound, len(slots))), levels, 3, dtype=torch.float64)
        for table, option in zip(tables, options, strict=True):
            for (level, axis), factor in zip(slots, option, strict=True):
                table[level, axis] = factor
        both = ((tables[..., SPATIAL_X] > 1) & (tables[..., SPATIAL_Y] > 1)).any(-1)
        columns.append(tables[~both])
    picks = torch.cartesian_prod(*(torch.arange(len(column)) for column in columns)).view(-1, dims)
    factors = torch.stack([column[pick] for column, pick in zip(columns, picks.unbind(-1), strict=True)], dim=-1)
    factors = factors[fits(problem, architecture, factors)]
    live = [d for d, bound in enumerate(problem.bounds) if bound > 1]
    still = [d for d in range(dims) if d not in live]
    one_level = [[*order, *still] for order in permutations(live)]
    orders = torch.tensor(list(product(one_level, repeat=levels)))
    n, m = len(factors), len(orders)
    return MappingBatch(
        dimensions=problem.dimensions,
        levels=tuple(level.name for level in architecture.levels),
        bypass=(frozenset(),) * levels,
        factors=factors.repeat_interleave(m, dim=0),
        order=orders.repeat(n, 1, 1),
        spatial_order=torch.arange(dims).expand(n * m, levels, dims),
    )


def fits(problem: Problem, architecture: Architecture, factors: torch.Tensor) -> torch.Tensor:
    """Whether fan-outs and capacities hold `factors` `[n, levels, 3, dims]`, BoolTensor `[n]`."""
    good = torch.ones(len(factors), dtype=torch.bool)
    extents = dict.fromkeys(problem.dimensions, torch.ones(len(factors), dtype=torch.float64))
    for i, level in enumerate(architecture.levels):
        for axis, room in ((SPATIAL_X, level.fanout_x), (SPATIAL_Y, level.fanout_y)):
            good &= factors[:, i, axis].prod(-1) <= room
        for d, dim in enumerate(problem.dimensions):
            extents[dim] = extents[dim] * factors[:, i, :, d].prod(-1)
        used = torch.zeros(len(factors), dtype=torch.float64)
        for space in problem.dataspaces:
            if space.name not in level.bypass:
                used += prod(1 + sum(c * (extents[dim] - 1) for dim, c in rank) for rank in space.projection)
        good &= used <= level.usable_capacity
    return good


def every_point(problem: Problem, architecture: Architecture) -> list[Point]:
    """(energy pJ, cycles) of all mappings that fit, each pair once."""
    totals = evaluate_many(problem, architecture, every_mapping(problem, architecture))
    return list(set(zip(totals.energy_pj.tolist(), totals.cycles.tolist(), strict=True)))


@dataclass(frozen=True)
class Choice:
    """A network's totals on one machine."""

    energy_pj: float
    cycles: float
    latency_s: float
    area_mm2: float

    def value(self, objective: str) -> float:
        """In the unit of `NetworkCost.objective`."""
        return {
            "latency": self.latency_s,
            "energy": self.energy_pj,
            "edp": self.energy_pj * self.cycles,
            "power": self.energy_pj * 1e-12 / self.latency_s,
            "area": self.area_mm2,
        }[objective]

    def within(self, budget: Budget) -> bool:
        """Whether all limits hold."""
        used = {
            "area_mm2": self.area_mm2,
            "power_w": self.value("power"),
            "latency_s": self.latency_s,
            "energy_j": self.energy_pj * 1e-12,
        }
        return all(used[name] <= limit for name, limit in budget.limits.items())


def every_choice(layers: Sequence[Layer], architecture: Architecture, *, trim: bool = True) -> Iterator[Choice]:
    """Totals of all mappings of all layers on one machine.

    With `trim`, without those that another mapping of some layer beats in both energy and cycles: enough wherever
    less energy and fewer cycles are never worse (so not where power counts).
    """
    totals: set[Point] = {(0.0, 0.0)}
    for layer in layers:
        points = every_point(layer.problem, architecture)
        if trim:
            points = front(points)
        totals = {(e + layer.count * pe, t + layer.count * pt) for e, t in totals for pe, pt in points}
        if trim:
            totals = set(front(list(totals)))
    for energy, cycles in totals:
        yield Choice(energy, cycles, cycles * architecture.cycle_s, architecture.area_mm2)


def front(points: list[Point]) -> list[Point]:
    """The points that no other beats in both."""
    kept: list[Point] = []
    for energy, cycles in sorted(points):
        if not kept or cycles < kept[-1][1]:
            kept.append((energy, cycles))
    return kept


def machines_of(hardware: Architecture | HardwareSpace) -> list[Architecture]:
    """Every machine of a space."""
    if isinstance(hardware, Architecture):
        return [hardware]
    return [hardware.architecture(sizes) for sizes in product(*(p.grid for p in hardware.parameters))]


def optimum(
    layers: Sequence[Layer], hardware: Architecture | HardwareSpace, objective: str, budget: Budget | None = None
) -> float:
    """The least value of the objective within the budget, infinite where nothing is."""
    budget = budget or Budget()
    trim = objective != "power" and budget.power_w is None
    choices = (c for one in machines_of(hardware) for c in every_choice(layers, one, trim=trim))
    return min((choice.value(objective) for choice in choices if choice.within(budget)), default=inf)
