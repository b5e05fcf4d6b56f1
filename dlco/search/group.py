"""Layers that share dimensions and projections, as tensors, so that one batch searches them all.

As in `dlco.mapping.mapspace`, a mapping is an assignment of prime units to slots and a position of each temporal
loop in its level; here the layers of a group stand side by side, with units padded to the same number (a padding
unit is the prime 1, which changes nothing wherever it lies).
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from math import prod

import torch

from dlco.cost.nest import Axes
from dlco.cost.shape import Shape, compile_problems, structure
from dlco.errors import InvalidInput, NotSupported
from dlco.hardware.architecture import Architecture, Level
from dlco.hardware.constraints import KINDS, Constraints, SlotConstraint
from dlco.mapping.kept import Kept, kept_table
from dlco.mapping.mapping import SPATIAL_X, SPATIAL_Y, TEMPORAL, Mapping, MappingBatch
from dlco.mapping.mapspace import AXES, MapSpace
from dlco.mapping.orders import Reuse, level_orders
from dlco.workload.layer import Layer


@dataclass(frozen=True)
class Menu:
    """For each row of a mask the columns that are set, to be drawn from in constant time.

    Attributes:
        count: `[rows]` how many they are, at least 1: a row without any offers column 0.
        table: `[rows, columns]`, whose rows start with them.
    """

    count: torch.Tensor
    table: torch.Tensor

    @staticmethod
    def of(mask: torch.Tensor) -> "Menu":
        """The menu of a mask `[rows, columns]`."""
        return Menu(mask.sum(-1).clamp(min=1), mask.to(torch.int8).argsort(dim=-1, descending=True, stable=True))

    def pick(self, row: torch.Tensor, chance: torch.Tensor) -> torch.Tensor:
        """A column of each row `[...]`, uniform where `chance` `[...]` is uniform in [0, 1)."""
        # a float32 below 1 times a small integer never rounds up to that integer
        place = (chance * self.count.take(row)).long()
        return self.table.take(place.add_(row * self.table.shape[-1]))


@dataclass(frozen=True, eq=False)
class Group:
    """Layers of one structure on one hierarchy.

    Attributes:
        layers: the layers, in the network's order; `members`: their positions in the network.
        space: the map space of the first layer: its slots, limits, orders and names hold for all.
        shape: the compiled problems; `kept`: `[levels][spaces]`.
        primes, unit_dim: `[layers, units]`; `units`: `[layers]` how many are no padding.
        bounds: `[layers, dims]`.
        allowed: BoolTensor `[layers, units, slots]`, where the constraints let a unit lie (a padding unit: anywhere).
        exact: `[layers, levels, 2, dims]` the temporal and spatial factors that the constraints fix, 0 where none.
    """

    layers: tuple[Layer, ...]
    members: tuple[int, ...]
    space: MapSpace
    shape: Shape
    kept: Kept
    primes: torch.Tensor
    unit_dim: torch.Tensor
    units: torch.Tensor
    bounds: torch.Tensor
    allowed: torch.Tensor
    exact: torch.Tensor

    def to(self, device: torch.device) -> "Group":
        """The same group with its tensors on a device."""
        if device == self.primes.device:
            return self
        moved = {item.name: getattr(self, item.name) for item in fields(self)}
        tensors = {name: value.to(device) for name, value in moved.items() if isinstance(value, torch.Tensor)}
        return replace(self, shape=self.shape.to(device), **tensors)  # type: ignore[arg-type]

    @property
    def levels(self) -> int:
        """Storage levels."""
        return len(self.space.levels)

    @property
    def dims(self) -> int:
        """Dimensions."""
        return self.shape.dims

    @cached_property
    def counts(self) -> torch.Tensor:
        """`[layers]` executions."""
        return torch.tensor([float(x.count) for x in self.layers], dtype=torch.float64, device=self.primes.device)

    @cached_property
    def slot_cell(self) -> torch.Tensor:
        """`[slots]` row of each slot in a flattened `[levels * 3]` table."""
        cells = [level * len(AXES) + axis for level, axis in self.space.slots]
        return torch.tensor(cells, device=self.primes.device)

    @cached_property
    def cell_slot(self) -> torch.Tensor:
        """`[levels * 3]` slot of each row, -1 where a level has none."""
        table = torch.full((self.levels * len(AXES),), -1, dtype=torch.long, device=self.primes.device)
        table[self.slot_cell] = torch.arange(len(self.slot_cell), device=table.device)
        return table

    @cached_property
    def axes(self) -> Axes:
        """Whether each level has slots along X and along Y."""
        slots = self.space.slots
        return [((level, SPATIAL_X) in slots, (level, SPATIAL_Y) in slots) for level in range(self.levels)]

    @cached_property
    def open_slots(self) -> torch.Tensor:
        """BoolTensor `[layers, slots, dims]`: whether some unit of a dimension may lie in a slot.

        A dimension of bound 1 has no unit: for it all slots are open.
        """
        layers, units, slots = self.allowed.shape
        index = self.unit_dim[:, None, :].expand(layers, slots, units)
        real = torch.arange(units, device=index.device) < self.units[:, None]
        may = (self.allowed & real[..., None]).transpose(1, 2)
        table = torch.zeros(layers, slots, self.dims, device=index.device)
        table = table.scatter_reduce(2, index, may.to(table.dtype), "amax")
        return (table > 0) | (self.bounds[:, None, :] == 1)

    @cached_property
    def open_cells(self) -> torch.Tensor:
        """BoolTensor `[layers, levels * 3, dims]`: as `open_slots`, by row of a flattened table of factors."""
        table = torch.zeros(len(self.layers), self.levels * len(AXES), self.dims, dtype=torch.bool)
        table = table.to(self.primes.device)
        table[:, self.slot_cell] = self.open_slots
        return table

    @cached_property
    def slot_menu(self) -> Menu:
        """Slots that a unit may take: a row for each layer and unit."""
        return Menu.of(self.allowed.flatten(0, 1))

    @cached_property
    def unit_menu(self) -> Menu:
        """Units that have a choice of slots: a row for each layer."""
        real = torch.arange(self.primes.shape[1], device=self.primes.device) < self.units[:, None]
        return Menu.of(real & (self.allowed.sum(-1) > 1))

    @cached_property
    def loop_menu(self) -> Menu:
        """Dimensions whose place among the temporal loops of a level is open: a row for each level."""
        return Menu.of(self._open_loops)

    @cached_property
    def level_menu(self) -> Menu:
        """Levels where two temporal loops may change places: one row."""
        return Menu.of((self._open_loops.sum(-1) > 1)[None])

    @cached_property
    def outermost(self) -> torch.Tensor:
        """`[layers, units]` the outermost slot of each unit, a temporal one unless it has none."""
        rank = torch.tensor(
            [(axis == TEMPORAL) * self.levels + level for level, axis in self.space.slots], device=self.primes.device
        )
        return torch.where(self.allowed, rank, -1).argmax(-1)

    @cached_property
    def _open_loops(self) -> torch.Tensor:
        slots = self.cell_slot.view(self.levels, len(AXES))[:, TEMPORAL]
        there = (self.open_slots[:, slots] & (self.bounds[:, None] > 1)).any(0)
        return there & ~self._fixed_order

    @cached_property
    def _fixed_order(self) -> torch.Tensor:
        """BoolTensor `[levels, dims]`: the constraints say which place a loop has in its level."""
        return self.space.order_key.to(self.primes.device) < self.dims

    @cached_property
    def _limits(self) -> torch.Tensor | None:
        """`[levels, kinds, dims]` largest factors, None where there is no limit."""
        limits = self.space.limits.to(self.primes.device, torch.float64)
        return None if bool(torch.isinf(limits).all()) else limits

    @cached_property
    def _closed(self) -> torch.Tensor | None:
        """`[layers * units * slots]` 1.0 where a unit must not lie, None where all may lie anywhere."""
        return None if bool(self.allowed.all()) else (~self.allowed).to(torch.float64).flatten()

    def allows(self, unit: torch.Tensor, slot: torch.Tensor) -> torch.Tensor:
        """Whether units may lie in slots, BoolTensor `[...]`; `unit` `[...]` counts them over all layers."""
        return self.allowed.take(unit * self.allowed.shape[-1] + slot)

    def misplaced(self, layer: torch.Tensor, assignment: torch.Tensor) -> torch.Tensor:
        """How many units of assignments `[items, n, units]` lie where they must not, `[items, n]`, or `[]` of 0."""
        if self._closed is None:
            return torch.zeros((), dtype=torch.float64, device=layer.device)
        units, slots = self.allowed.shape[1:]
        rows = layer[:, None, None] * units + torch.arange(units, device=layer.device)
        return self._closed.take(rows * slots + assignment).sum(-1)

    def beyond(self, factors: torch.Tensor) -> torch.Tensor:
        """The shares by which factors `[items, n, levels, 3, dims]` exceed their limits, added up; as `misplaced`."""
        if self._limits is None:
            return torch.zeros((), dtype=factors.dtype, device=factors.device)
        return (_by_kind(factors) / self._limits - 1).clamp(min=0).flatten(-3).sum(-1)

    def missed(self, layer: torch.Tensor, factors: torch.Tensor) -> torch.Tensor:
        """The shares by which factors are others than those that are fixed, added up, `[items, n]`."""
        exact = self.exact[layer][:, None]
        wrong = torch.where(exact > 0, (_by_kind(factors) / exact.clamp(min=1) - 1).abs(), 0.0)
        return wrong.flatten(-3).sum(-1)

    def ordered(self, position: torch.Tensor) -> torch.Tensor:
        """The orders that the constraints leave nearest to `position` `[..., levels, dims]`: fixed loops first."""
        if not bool(self._fixed_order.any()):
            return position
        key = self.space.order_key.to(position.device) + position / (2 * self.dims)
        return key.argsort(dim=-1).argsort(dim=-1).to(position.dtype)

    @cached_property
    def order_table(self) -> torch.Tensor:
        """Positions `[orders, dims]` (int8): an order of one level for each class that no other class dominates."""
        spaces = tuple(Reuse(s.relevant, frozenset(d for _, d, _ in s.sliding)) for s in self.shape.spaces)
        found = level_orders(tuple(self.shape.live), spaces, (), False)
        idle = [d for d in range(self.dims) if d not in found.dims]
        orders = [
            [*order, *idle] for order, needed in zip(found.orders, found.needed[-1].tolist(), strict=True) if needed
        ]
        return torch.tensor(orders, device=self.primes.device).argsort(-1).to(torch.int8)

    @cached_property
    def live(self) -> torch.Tensor:
        """Dimensions whose bound is above 1 in some layer."""
        return torch.tensor(self.shape.live or (0,), device=self.primes.device)

    def factors(self, layer: torch.Tensor, assignment: torch.Tensor) -> torch.Tensor:
        """Exact loop bounds `[items, n, levels, 3, dims]` of assignments `[items, n, units]` of `layer` `[items]`."""
        items, n, units = assignment.shape
        cells = self.slot_cell[assignment] * self.dims + self.unit_dim[layer, None]
        table = torch.ones(items * n, self.levels * len(AXES) * self.dims, dtype=torch.float64, device=cells.device)
        primes = self.primes[layer, None].to(table.dtype).expand(items, n, units)
        table.scatter_reduce_(1, cells.reshape(items * n, units), primes.reshape(items * n, units), "prod")
        return table.view(items, n, self.levels, len(AXES), self.dims)

    def mapping(self, layer: int, assignment: torch.Tensor, position: torch.Tensor) -> Mapping:
        """The `Mapping` of one assignment `[units]` and one table of positions `[levels, dims]`."""
        factors = self.factors(torch.tensor([layer], device=assignment.device), assignment[None, None])
        batch = MappingBatch(
            self.layers[layer].problem.dimensions,
            self.space.levels,
            self.space.bypass,
            factors[0, 0],
            position.long().argsort(dim=-1),
            self.space.spatial_order,
        )
        return batch.mapping()


def _by_kind(factors: torch.Tensor) -> torch.Tensor:
    """`[..., levels, 2, dims]` temporal factors, and spatial ones over both axes."""
    spatial = factors[..., SPATIAL_X, :] * factors[..., SPATIAL_Y, :]
    return torch.stack([factors[..., TEMPORAL, :], spatial], dim=-2)


def make_groups(
    layers: Sequence[Layer],
    architecture: Architecture,
    free_fanout: Sequence[tuple[str, int]] = (),
    constraints: Constraints | None = None,
) -> tuple[Group, ...]:
    """The layers by structure, with the slots that the constraints, the architecture's and others, leave open.

    `free_fanout` lists (level, axis) of fan-outs that are not yet decided (see `MapSpace.of`).
    """
    by_structure: dict[object, list[int]] = {}
    for i, layer in enumerate(layers):
        by_structure.setdefault(structure(layer.problem), []).append(i)
    return tuple(
        _make_group([layers[i] for i in members], tuple(members), architecture, free_fanout, constraints)
        for members in by_structure.values()
    )


def _make_group(
    layers: Sequence[Layer],
    members: tuple[int, ...],
    architecture: Architecture,
    free: Sequence[tuple[str, int]],
    constraints: Constraints | None,
) -> Group:
    spaces = [_space(layer, architecture, free, constraints) for layer in layers]
    width = max(1, *(len(space.primes) for space in spaces))

    def padded(name: str, value: int) -> torch.Tensor:
        rows = [getattr(space, name) for space in spaces]
        return torch.stack([torch.nn.functional.pad(row, (0, width - len(row)), value=value) for row in rows])

    return Group(
        layers=tuple(layers),
        members=members,
        space=spaces[0],
        shape=compile_problems([layer.problem for layer in layers]),
        kept=kept_table(layers[0].problem, architecture, spaces[0].bypass),
        primes=padded("primes", 1),
        unit_dim=padded("unit_dim", 0),
        units=torch.tensor([max(1, len(space.primes)) for space in spaces]),
        bounds=torch.tensor([layer.problem.bounds for layer in layers], dtype=torch.float64),
        allowed=torch.stack(
            [torch.nn.functional.pad(s.allowed, (0, 0, 0, width - len(s.primes)), value=True) for s in spaces]
        ),
        exact=torch.stack([_exact(space) for space in spaces]),
    )


def _space(
    layer: Layer, architecture: Architecture, free: Sequence[tuple[str, int]], constraints: Constraints | None
) -> MapSpace:
    """A layer's map space; errors name the layer."""
    try:
        space = MapSpace.resolved(layer.problem, architecture, constraints, free_fanout=free)
        for place in space.places:
            level = architecture.levels[place.level]
            if place.constraint.kind == "spatial" and level.name not in [name for name, _ in free]:
                _check_children(level, place.constraint)
        return space
    except (InvalidInput, NotSupported) as error:
        raise type(error)(f"layer {layer.name!r}: {error}") from None


def _check_children(level: Level, fixed: SlotConstraint) -> None:
    """Refuse exact factors that need more children than a level has, along an axis or in all."""
    pinned = dict(fixed.exact)
    along = {
        "X": (level.fanout_x, fixed.axis_x),
        "Y": (level.fanout_y, fixed.axis_y),
        "X and Y": (level.fanout_x * level.fanout_y, tuple(pinned)),
    }
    for axis, (children, dims) in along.items():
        needed = prod(pinned.get(dim, 1) for dim in dims)
        if needed > children:
            given = ", ".join(f"{dim} {pinned[dim]}" for dim in dims if pinned.get(dim, 1) > 1)
            raise InvalidInput(
                f"exact factors {fixed.where} ({given}) need {needed} children along {axis}; there are {children}"
            )


def _exact(space: MapSpace) -> torch.Tensor:
    """`[levels, 2, dims]` factors that constraints fix, 0 where none."""
    rows = [[place.exact(dim) or 0 for dim in space.problem.dimensions] for place in space.places]
    return torch.tensor(rows, dtype=torch.float64).view(len(space.levels), len(KINDS), -1)
