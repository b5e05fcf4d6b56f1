"""Layers that share dimensions and projections, as tensors, so that one batch searches them all.

As in `dlco.mapping.mapspace`, a mapping is an assignment of prime units to slots and a position of each temporal
loop in its level; here the layers of a group stand side by side, with units padded to the same number (a padding
unit is the prime 1, which changes nothing wherever it lies).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch

from dlco.cost.accesses import Kept
from dlco.cost.model import Axes
from dlco.cost.performance import kept_table
from dlco.cost.shape import Shape, compile_problems, structure
from dlco.hardware.architecture import Architecture
from dlco.mapping.constraints import Constraints
from dlco.mapping.mapping import SPATIAL_X, SPATIAL_Y, Mapping, MappingBatch
from dlco.mapping.mapspace import AXES, MapSpace
from dlco.workload.layer import Layer


@dataclass(frozen=True, eq=False)
class Group:
    """Layers of one structure on one hierarchy.

    Attributes:
        layers: the layers, in the network's order; `members`: their positions in the network.
        space: the map space of the first layer: its slots, orders and names hold for all.
        shape: the compiled problems; `kept`: `[levels][spaces]`.
        primes, unit_dim: `[layers, units]`; `units`: `[layers]` how many are no padding.
        bounds: `[layers, dims]`.
        allowed: BoolTensor `[layers, units, slots]`, where the constraints let a unit lie (a padding unit: anywhere).
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

    @property
    def levels(self) -> int:
        """Storage levels."""
        return len(self.space.levels)

    @property
    def dims(self) -> int:
        """Dimensions."""
        return self.shape.dims

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
    def live(self) -> torch.Tensor:
        """Dimensions whose bound is above 1 in some layer."""
        return torch.tensor(self.shape.live or (0,), device=self.primes.device)

    def factors(self, layer: torch.Tensor, assignment: torch.Tensor) -> torch.Tensor:
        """Exact loop bounds `[items, n, levels, 3, dims]` of assignments `[items, n, units]` of `layer` `[items]`."""
        items, n, units = assignment.shape
        cells = self.slot_cell[assignment] * self.dims + self.unit_dim[layer, None]
        table = torch.ones(items * n, self.levels * len(AXES) * self.dims, dtype=torch.float64, device=cells.device)
        primes = self.primes[layer, None].to(table.dtype).expand(items, n, units)
        table.scatter_reduce_(1, cells.view(items * n, units), primes.reshape(items * n, units), "prod")
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


def make_groups(
    layers: Sequence[Layer],
    architecture: Architecture,
    free_fanout: Sequence[tuple[str, int]] = (),
    constraints: Constraints | None = None,
) -> tuple[Group, ...]:
    """The layers by structure, with the slots that the constraints leave open.

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
    spaces = [MapSpace.of(layer.problem, architecture, constraints, free_fanout=free) for layer in layers]
    width = max(1, *(len(space.primes) for space in spaces))

    def padded(name: str, value: int) -> torch.Tensor:
        rows = [getattr(space, name) for space in spaces]
        return torch.stack([torch.nn.functional.pad(row, (0, width - len(row)), value=value) for row in rows])

    first = layers[0].problem
    return Group(
        layers=tuple(layers),
        members=members,
        space=spaces[0],
        shape=compile_problems([layer.problem for layer in layers]),
        kept=kept_table(
            [s.name for s in first.dataspaces],
            [level.bypass | own for level, own in zip(architecture.levels, spaces[0].bypass, strict=True)],
        ),
        primes=padded("primes", 1),
        unit_dim=padded("unit_dim", 0),
        units=torch.tensor([max(1, len(space.primes)) for space in spaces]),
        bounds=torch.tensor([layer.problem.bounds for layer in layers], dtype=torch.float64),
        allowed=torch.stack(
            [torch.nn.functional.pad(s.allowed, (0, 0, 0, width - len(s.primes)), value=True) for s in spaces]
        ),
    )
