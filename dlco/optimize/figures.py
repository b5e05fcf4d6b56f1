"""What a little more may be of: sizes and limits of a question, and which of them can change its answer.

A space is opened first: its grids go on for a step at either end, and the ends that they had become limits between
sizes like all others, as do the budget's on MAC units and on single levels. Then one proof has a multiplier for each.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import product
from math import inf, log, prod

import torch

from dlco.bound.nearby import Change, LimitChange
from dlco.design.budget import SAME, Budget
from dlco.design.objective import Objective
from dlco.design.sensitivity import STEP, STEPS
from dlco.errors import InvalidInput
from dlco.hardware.architecture import PORTS, Architecture
from dlco.hardware.forms import Monomial, monomial
from dlco.hardware.limits import SLACK, Limit, excess_of, rows_of
from dlco.hardware.parameter import Parameter
from dlco.hardware.space import HardwareSpace

ON_THE_MACHINE = ("area_mm2", "pe_count", "capacity", "bandwidth")  # limits that no mapping has a part in
LOOKED_AT = 300_000  # machines at most, to see whether a limit lets others in or keeps some out


@dataclass(frozen=True)
class Figure:
    """What is changed.

    Attributes:
        name, value, factors: as in `Sensitivity`.
        size: whether it is a size of the machine.
        limit: otherwise, its position among the limits between sizes; one of the budget's has none.
        helps: whether more of it makes nothing worse; otherwise it makes nothing better.
        moves: whether a change changes anything for any design.
        still: those of the factors that change nothing.
    """

    name: str
    value: float
    factors: tuple[float, float] = STEPS
    size: bool = False
    limit: int | None = None
    helps: bool = True
    moves: bool = True
    still: tuple[float, ...] = ()

    def changed(self, factor: float, budget: Budget) -> tuple[Change | LimitChange | None, Budget]:
        """The figure times a factor, as a change of the hardware, and the budget that goes with it."""
        if self.size:
            return Change(self.name, factor), budget
        if self.limit is not None:
            return LimitChange(self.limit, factor if self.helps else 1 / factor), budget
        name, _, layer = self.name.partition(" of ")
        limit = getattr(budget, name)
        return None, replace(budget, **{name: limit | {layer: limit[layer] * factor} if layer else limit * factor})


def machine_figures(machine: Architecture, goal: Objective, budget: Budget) -> list[Figure]:
    """Capacities and bandwidths of a machine."""
    timed = is_timed(machine, goal, budget)
    found = []
    for level in machine.levels:
        room = level.usable_capacity
        if 0 < room < inf:
            still = tuple(factor for factor in STEPS if room * factor // 1 == room)
            found.append(Figure(f"{level.name}.capacity", room, size=True, still=still))
        for port in PORTS:
            if getattr(level, port) < inf:
                found.append(Figure(f"{level.name}.{port}", getattr(level, port), size=True, moves=timed))
    return found


def is_timed(machine: Architecture, goal: Objective, budget: Budget) -> bool:
    """Whether the time that a design takes has a part in what it is worth."""
    timed = goal is not Objective.ENERGY or any(level.leak_pj > 0 for level in machine.levels)
    return timed or any(name != "energy_j" for name in budget.limits) or budget.layer_latency_s is not None


def budget_figures(budget: Budget) -> list[Figure]:
    """The budget's limits on totals and on layers."""
    found = [Figure(name, limit) for name, limit in budget.limits.items()]
    layers = budget.layer_latency_s
    if isinstance(layers, Mapping):
        return found + [Figure(f"layer_latency_s of {layer}", limit) for layer, limit in layers.items()]
    return found if layers is None else [*found, Figure("layer_latency_s", layers)]


def space_figures(space: HardwareSpace, budget: Budget) -> tuple[HardwareSpace, Budget, list[Figure]]:
    """Every limit of a question over a space.

    Limits on what no size of the space moves are left out, and those on the bandwidth of a level whose reads and writes
    have sizes of their own.

    Returns:
        (the same machines as a larger space with more limits, the budget less those that the space has now, figures).
    """
    opened, limits, figures = replace(space, limits=()), [*space.limits], budget_figures(budget)
    for name, most, sizes in _limited_sizes(space, budget):
        free = [size for size in sizes if size.exponents]
        if len(free) == 1 and all(size in free or size.coefficient <= most * (1 - STEP) for size in sizes):
            figures.append(Figure(name, most, limit=len(limits)))
        limits += [_at_most(size, most) for size in free]
    for i, limit in enumerate(space.limits):
        bare = not any(term.exponents for term in limit.left)  # "16 <= size": more of the number is less room
        value = limit.left[0].coefficient if bare else limit.right.coefficient
        figures.append(Figure(str(limit), value, limit=i, helps=not bare))
    for p, parameter in enumerate(space.parameters):
        size = monomial(1.0, [(parameter.name, 1.0)])
        for side, end, inner in (("largest", -1, -2), ("smallest", 0, 1)):
            if len(parameter.grid) == 1:
                continue
            opened, further = _opened(opened, p, end)
            now = parameter.grid[end]
            first, last = sorted((parameter.grid[inner] / now, further / now))
            figures.append(Figure(f"{side} {parameter.name}", now, (first, last), limit=len(limits), helps=end == -1))
            limits.append(_at_most(size, now) if end else _at_least(size, now))
    opened = replace(opened, limits=tuple(limits))
    for i, figure in enumerate(figures):
        if figure.limit is not None or figure.name == "area_mm2":
            figures[i] = replace(figure, still=_without_effect(opened, figure))
    return opened, budget.without(*ON_THE_MACHINE[1:]), figures


def closed(space: HardwareSpace) -> HardwareSpace:
    """The same machines with shorter grids in place of limits on single sizes.

    Raises:
        InvalidInput: there are none.
    """
    found = space.trimmed()
    return replace(found, limits=tuple(limit for limit in found.limits if len(limit.names) > 1))


def _limited_sizes(space: HardwareSpace, budget: Budget) -> list[tuple[str, float, list[Monomial]]]:
    """(name, most, what is at most that) of the budget's limits on MAC units and single levels."""
    base, found = space.base, list[tuple[str, float, list[Monomial]]]()
    if budget.pe_count is not None:
        units = monomial(1.0)
        for level in base.levels:
            for axis in ("fanout_x", "fanout_y"):
                units *= _size(space, level.name, axis, getattr(level, axis))
        found.append(("pe_count", float(budget.pe_count), [units]))
    for level_name, most in (budget.capacity or {}).items():
        own = _size(space, level_name, "capacity", base.level(level_name).capacity)
        found.append((f"capacity of {level_name}", most, [own]))
    for level_name, most in (budget.bandwidth or {}).items():
        level, driven = base.level(level_name), space.driven.get(level_name, {})
        both = "bandwidth" in driven
        ports = [_size(space, level_name, "bandwidth" if both else port, getattr(level, port)) for port in PORTS[:2]]
        found.append((f"bandwidth of {level_name}", most, list(dict.fromkeys(ports))))
    return found


def _size(space: HardwareSpace, level: str, field: str, fixed: float) -> Monomial:
    """A size of a level as a multiple of the parameter that decides it, or its own."""
    if field not in space.driven.get(level, {}):
        return monomial(float(fixed))
    at, scale = space.driven[level][field]
    return monomial(scale, [(space.parameters[at].name, 1.0)])


def _at_most(size: Monomial, most: float) -> Limit:
    return Limit((monomial(1.0, size.exponents),), monomial(most / size.coefficient))


def _at_least(size: Monomial, least: float) -> Limit:
    return Limit((monomial(float(least)),), size)


def _opened(space: HardwareSpace, p: int, end: int) -> tuple[HardwareSpace, float]:
    """(the space with one grid a step longer at one end, the value there); as it is where no such machines can be."""
    parameter = space.parameters[p]
    now, further = parameter.grid[end], _next(parameter, end)
    grid = (*parameter.grid, further) if end else (further, *parameter.grid)
    try:
        longer = replace(parameter, grid=grid)
        return replace(space, parameters=(*space.parameters[:p], longer, *space.parameters[p + 1 :])), further
    except InvalidInput:
        return space, now


def _next(parameter: Parameter, end: int) -> float:
    """The value after one end of a grid: as far again, or as many times as much where that is whole."""
    grid = parameter.grid if end else parameter.grid[::-1]
    last, step = grid[-1], grid[-1] - grid[-2]
    times = last * last / grid[-2]
    even = len(grid) > 2 and grid[-2] - grid[-3] == step and last + step > 0
    return last + step if even or times != int(times) else times


def _without_effect(space: HardwareSpace, figure: Figure) -> tuple[float, ...]:
    """Those of a figure's factors with which a space has the same machines as it has now, as far as that is clear."""
    limit = None if figure.limit is None else space.limits[figure.limit]
    names = space.names if limit is None else limit.names
    grids = [p.grid if p.name in names else (p.low,) for p in space.parameters]
    still = tuple(factor for factor in figure.factors if factor == 1)
    if prod(map(len, grids)) > LOOKED_AT:
        return still
    sizes = torch.tensor(list(product(*grids)), dtype=torch.float64)
    others = [one for i, one in enumerate(space.limits) if i != figure.limit and set(one.names) <= set(names)]
    sizes = sizes[(excess_of(rows_of(others, space.names), sizes.log()) <= SLACK).all(-1)]
    if limit is None:
        excess = (space.machine(sizes).area_mm2 / figure.value).log()
        slack = log(1 + SAME)
    else:
        excess, slack = excess_of(rows_of([limit], space.names), sizes.log())[..., 0], SLACK
    moves = {factor: log(factor) if figure.helps else -log(factor) for factor in figure.factors}
    return tuple(f for f, move in moves.items() if bool(((excess <= slack) == (excess - move <= slack)).all()))
