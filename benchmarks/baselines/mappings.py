"""Random mappings, and the one repair that all baselines share: what does not fit is moved outwards."""

from math import inf

import torch

from baselines.problem import Task
from dlco.cost.nest import build_nest, product
from dlco.hardware.architecture import Machine
from dlco.mapping.mapping import SPATIAL_X, SPATIAL_Y
from dlco.mapping.mapspace import AXES
from dlco.search.group import Group

SLACK = 1e-9  # of logs


def random_mappings(
    task: Task, g: int, index: torch.Tensor, n: int, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """`n` random mappings of every layer of a group on every machine of `index` `[machines, parameters]`.

    Every unit is in a uniformly random slot, but for those that `move_out` had to move; orders are uniform.

    Returns:
        (assignment `[machines, layers, n, units]`, position `[machines, layers, n, levels, dims]`).
    """
    group = task.groups[g]
    layers, units = group.primes.shape
    drawn = torch.randint(len(group.slot_cell), (len(index), layers, n, units), generator=generator)
    return move_out(task, g, index, drawn, generator), random_orders(group, (len(index), layers, n), generator)


def random_orders(group: Group, batch: tuple[int, ...], generator: torch.Generator) -> torch.Tensor:
    """Uniform positions, `[*batch, levels, dims]`."""
    return torch.rand(*batch, group.levels, group.dims, generator=generator).argsort(-1).to(torch.int8)


def stationary_orders(group: Group) -> torch.Tensor:
    """`[spaces, dims]` positions: for each dataspace the loops that it lacks innermost, so that it stays in place."""
    orders = []
    for space in group.shape.spaces:
        sliding = {d for other in group.shape.spaces for _, d, _ in other.sliding}
        key = [(d in space.relevant) * 4 - (d in sliding) * 1.0 + d * 1e-3 for d in range(group.dims)]
        orders.append(torch.tensor(key).argsort().argsort())
    return torch.stack(orders).to(torch.int8)


def move_out(
    task: Task, g: int, index: torch.Tensor, assignment: torch.Tensor, generator: torch.Generator
) -> torch.Tensor:
    """The mappings `[machines, layers, n, units]`, with as many units moved outwards as it takes to fit.

    A dimension on both axes of a level goes to the one with the larger factor. Then, the innermost broken limit
    first, as many randomly picked units as exceed it go to temporal loops of random levels outside it. A unit never
    comes back, so this ends; with everything outermost any machine fits.
    """
    group = task.groups[g]
    machines, layers, n, units = assignment.shape
    owner = torch.arange(machines).repeat_interleave(layers * n)
    layer = torch.arange(layers).repeat_interleave(n).repeat(machines)
    flat = _one_axis(group, layer, assignment.reshape(-1, units).clone())
    limits = _Limits(group)
    machine = task.machines(index)
    logs, dims = group.primes.double().log(), group.unit_dim
    temporal = group.cell_slot[:: len(AXES)]
    rows = torch.arange(len(flat))
    while len(rows):
        excess = limits.excess(machine.select(owner[rows]), layer[rows], flat[rows])
        over = excess > SLACK
        broken = over.any(1)
        rows, excess, over = rows[broken], excess[broken], over[broken]
        if not len(rows):
            break
        worst = over.long().argmax(1)
        now, mine = flat[rows], layer[rows]
        blamed = limits.blame[worst[:, None], now, dims[mine]] & (group.primes[mine] > 1)
        turn = torch.where(blamed, torch.rand(now.shape, generator=generator), inf).argsort(1)
        sizes = torch.where(blamed, logs[mine], 0.0).gather(1, turn)
        needed = sizes.cumsum(1) - sizes < (excess.gather(1, worst[:, None]) - SLACK)
        move = torch.zeros_like(blamed).scatter_(1, turn, needed) & blamed
        low = limits.outside[worst][:, None]
        target = low + (torch.rand(now.shape, generator=generator) * (group.levels - low)).long()
        flat[rows] = torch.where(move, temporal[target], now)
        rows = rows[move.any(1)]  # a level too small for single words stays so
    return flat.view(assignment.shape)


def _one_axis(group: Group, layer: torch.Tensor, assignment: torch.Tensor) -> torch.Tensor:
    factors = group.factors(layer, assignment[:, None])[:, 0]
    for level, (x, y) in enumerate(group.axes):
        if x and y:
            slots = group.cell_slot[level * len(AXES) :][SPATIAL_X], group.cell_slot[level * len(AXES) :][SPATIAL_Y]
            wide, tall = factors[:, level, SPATIAL_X], factors[:, level, SPATIAL_Y]
            winner = torch.where(wide >= tall, slots[0], slots[1]).gather(1, group.unit_dim[layer])
            spatial = (assignment == slots[0]) | (assignment == slots[1])
            assignment = torch.where(spatial, winner, assignment)
    return assignment


class _Limits:
    """The limits of a group's machines, innermost first: the fan-outs of a level, then its capacity.

    Attributes:
        blame: BoolTensor `[limits, slots, dims]`, whether a unit there counts towards the limit.
        outside: `[limits]` the innermost level whose temporal loops do not count towards it.
    """

    def __init__(self, group: Group) -> None:
        self.group = group
        self.which: list[tuple[int, int]] = []  # level and axis, the temporal axis standing for the capacity
        rows, outside = [], []
        for level, kept in enumerate(group.kept):
            for axis in (SPATIAL_X, SPATIAL_Y):
                if group.axes[level][axis - SPATIAL_X]:
                    rows.append(self._row([(level, axis)], set(range(group.dims))))
                    outside.append(level)
                    self.which.append((level, axis))
            relevant = {d for keep, space in zip(kept, group.shape.spaces, strict=True) if keep for d in space.relevant}
            if relevant and level < group.levels - 1:
                rows.append(self._row([slot for slot in group.space.slots if slot[0] <= level], relevant))
                outside.append(level + 1)
                self.which.append((level, 0))
        self.blame = torch.stack(rows) if rows else torch.zeros(0, len(group.slot_cell), group.dims, dtype=torch.bool)
        self.outside = torch.tensor(outside)

    def _row(self, slots: list[tuple[int, int]], dims: set[int]) -> torch.Tensor:
        row = torch.zeros(len(self.group.space.slots), self.group.dims, dtype=torch.bool)
        for slot in slots:
            row[self.group.space.slots.index(slot), sorted(dims)] = True
        return row

    def excess(self, machine: Machine, layer: torch.Tensor, assignment: torch.Tensor) -> torch.Tensor:
        """`[rows, limits]` logs of what mappings `[rows, units]` use over what their machines `[rows]` have."""
        group = self.group
        factors = group.factors(layer, assignment[:, None])[:, 0]
        nest = build_nest(group.shape.select(layer), factors, [list(range(group.dims))] * group.levels, group.axes)
        columns = []
        for level, axis in self.which:
            if axis:
                room = (machine.fanout_x, machine.fanout_y)[axis - SPATIAL_X][:, level]
                used = product(nest.spatial[level][axis - SPATIAL_X])
            else:
                room = machine.capacity[:, level]
                used = sum(nest.words[level][s] for s, keep in enumerate(group.kept[level]) if keep)
            columns.append(torch.as_tensor(used, dtype=room.dtype).log() - room.log())
        return torch.stack(torch.broadcast_tensors(*columns), 1) if columns else torch.zeros(len(layer), 0)


def perturbed(
    group: Group, assignment: torch.Tensor, position: torch.Tensor, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Neighbours of mappings: in each one or two units in a random slot, and in half of them one level reordered."""
    batch = assignment.shape[:-1]
    moved = assignment.clone()
    for _ in range(2):
        unit = (torch.rand(*batch, 1, generator=generator) * assignment.shape[-1]).long()
        moved.scatter_(-1, unit, torch.randint(len(group.slot_cell), unit.shape, generator=generator))
    level = (torch.rand(*batch, 1, 1, generator=generator) * 2 * group.levels).long()  # no level, in half of them
    here = torch.arange(group.levels)[:, None] == level
    return moved, torch.where(here, random_orders(group, tuple(batch), generator), position)


def draw_prices(task: Task, rate: float, n: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """(price, cap), `[n]` each: one of the ways to search single layers that the score has, drawn for each machine.

    `rate` is the pJ a cycle of the best design so far, which prices are multiples of.
    """
    prices, caps = task.score.prices(torch.full((n,), rate, dtype=torch.float64))
    which = torch.randint(prices.shape[1], (n, 1), generator=generator)
    return prices.gather(1, which)[:, 0], caps.gather(1, which)[:, 0]
