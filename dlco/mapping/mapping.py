"""`Mapping`: how one problem runs on one machine; `MappingBatch`: many of them as tensors.

A mapping gives every storage level a block of loops: spatial loops over its children (X and Y), inside temporal
loops. Levels are listed innermost first, and so are the dimensions of every order.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod

import torch

from dlco.errors import InvalidInput, InvalidMapping

Factors = tuple[tuple[int, ...], ...]
Order = tuple[tuple[str, ...], ...]

TEMPORAL, SPATIAL_X, SPATIAL_Y = 0, 1, 2
OUTWARDS = (SPATIAL_X, SPATIAL_Y, TEMPORAL)  # the slots of a level, innermost loops first


@dataclass(frozen=True)
class Mapping:
    """Loop bounds and orders of every level.

    Attributes:
        dimensions: names of the problem's dimensions, the columns of the factors.
        levels: names of the storage levels, innermost first, the rows of the factors.
        temporal: `[levels][dims]` bounds of the temporal loops.
        spatial_x, spatial_y: `[levels][dims]` bounds of the loops over the level's children along X and Y.
        order: for each level all dimensions, innermost temporal loop first.
        spatial_order: the same for the spatial loops (X's inside Y's); it only matters for which child gets
            which part, so for neighbour forwarding.
        bypass: for each level the dataspaces that it does not keep, beyond those the architecture bypasses.

    Examples:
        >>> layer = dlco.matmul("mm", M=2, K=3, N=4)
        >>> machine = dlco.Architecture((dlco.Level("buffer"), dlco.Level("DRAM", "DRAM")))
        >>> ones, order = ((1, 1, 1, 1),) * 2, (("N", "K", "M", "B"),) * 2
        >>> keeps = (frozenset(),) * 2
        >>> mapping = dlco.Mapping(
        ...     ("B", "M", "K", "N"), ("buffer", "DRAM"), ((1, 1, 3, 4), (1, 2, 1, 1)), ones, ones, order, order, keeps
        ... )
        >>> print(mapping)
        DRAM
          for M in [0:2)
        buffer
            for K in [0:3)
              for N in [0:4)
                MAC
    """

    dimensions: tuple[str, ...]
    levels: tuple[str, ...]
    temporal: Factors
    spatial_x: Factors
    spatial_y: Factors
    order: Order
    spatial_order: Order
    bypass: tuple[frozenset[str], ...]

    def __post_init__(self) -> None:
        rows, columns = len(self.levels), len(self.dimensions)
        for name in ("temporal", "spatial_x", "spatial_y"):
            table = getattr(self, name)
            if len(table) != rows or any(len(row) != columns for row in table):
                raise InvalidMapping(f"{name} must have {rows} rows (levels) of {columns} factors (dimensions)")
            for level, row in zip(self.levels, table, strict=True):
                for dim, factor in zip(self.dimensions, row, strict=True):
                    if isinstance(factor, bool) or not isinstance(factor, int) or factor < 1:
                        raise InvalidMapping(
                            f"{name} factor of {dim} at {level} is {factor!r}; it must be an integer of at least 1",
                            level,
                        )
        for name in ("order", "spatial_order"):
            orders = getattr(self, name)
            if len(orders) != rows:
                raise InvalidMapping(f"{name} must have {rows} rows, one a level")
            for level, dims in zip(self.levels, orders, strict=True):
                if sorted(dims) != sorted(self.dimensions):
                    raise InvalidMapping(
                        f"{name} at {level} is {''.join(map(str, dims))!r}; "
                        f"it must list each of {', '.join(self.dimensions)} once",
                        level,
                    )
        if len(self.bypass) != rows:
            raise InvalidMapping(f"bypass must have {rows} entries, one a level")

    @cached_property
    def factors(self) -> tuple[tuple[tuple[int, ...], ...], ...]:
        """`[levels][3][dims]`: temporal, X and Y bounds of every level."""
        return tuple(zip(self.temporal, self.spatial_x, self.spatial_y, strict=True))

    @cached_property
    def reach(self) -> tuple[int, ...]:
        """`[dims]` what each dimension's factors multiply to: its bound, or more where last tiles are cut short."""
        return tuple(prod(column) for column in zip(*(row for level in self.factors for row in level), strict=True))

    def loops(self, dim: str) -> list[tuple[int, int, int]]:
        """(level, slot, factor) of all loops over a dimension, innermost first."""
        d = self.dimensions.index(dim)
        return [(i, slot, slots[slot][d]) for i, slots in enumerate(self.factors) for slot in OUTWARDS]

    def batch(self, dtype: torch.dtype = torch.float64, device: torch.device | str = "cpu") -> "MappingBatch":
        """This mapping as tensors without batch dimensions (`factors` is `[levels, 3, dims]`)."""
        return MappingBatch.stack([self], dtype=dtype, device=device).select(0)

    def __str__(self) -> str:
        from dlco.mapping.loopnest import render_loop_nest  # the renderer reads mappings, so it sits above

        return render_loop_nest(self)


@dataclass(frozen=True)
class MappingBatch:
    """Mappings of one problem on one hierarchy, as tensors.

    Attributes:
        dimensions, levels, bypass: as in `Mapping`, shared by the whole batch.
        factors: `[..., levels, 3, dims]` bounds (temporal, X, Y); integers, or positive reals when relaxed.
        order: `[..., levels, dims]` indices into `dimensions`, innermost temporal loop first.
        spatial_order: `[..., levels, dims]`, the same for the spatial loops.
    """

    dimensions: tuple[str, ...]
    levels: tuple[str, ...]
    bypass: tuple[frozenset[str], ...]
    factors: torch.Tensor
    order: torch.Tensor
    spatial_order: torch.Tensor

    @property
    def batch_shape(self) -> torch.Size:
        """Leading dimensions."""
        return self.factors.shape[:-3]

    @property
    def reach(self) -> torch.Tensor:
        """`[..., dims]` what the factors of each dimension multiply to."""
        return self.factors.flatten(-3, -2).prod(-2)

    @staticmethod
    def stack(
        mappings: Sequence[Mapping], dtype: torch.dtype = torch.float64, device: torch.device | str = "cpu"
    ) -> "MappingBatch":
        """Mappings of the same hierarchy and bypass as one batch, `[len(mappings), ...]`.

        Raises:
            InvalidInput: the list is empty, or the mappings differ in dimensions, levels or bypass.
        """
        if not mappings:
            raise InvalidInput("mappings is empty; a batch needs at least one")
        first = mappings[0]
        for other in mappings:
            if (other.dimensions, other.levels, other.bypass) != (first.dimensions, first.levels, first.bypass):
                raise InvalidInput("mappings of one batch must share dimensions, levels and bypass")
        position = {dim: i for i, dim in enumerate(first.dimensions)}

        def orders(name: str) -> torch.Tensor:
            table = [[[position[d] for d in row] for row in getattr(m, name)] for m in mappings]
            return torch.tensor(table, dtype=torch.long, device=device)

        return MappingBatch(
            dimensions=first.dimensions,
            levels=first.levels,
            bypass=first.bypass,
            factors=torch.tensor([m.factors for m in mappings], dtype=dtype, device=device),
            order=orders("order"),
            spatial_order=orders("spatial_order"),
        )

    def select(self, index: int | torch.Tensor | slice) -> "MappingBatch":
        """The batch `self[index]` along the first batch dimension."""
        return MappingBatch(
            self.dimensions,
            self.levels,
            self.bypass,
            self.factors[index],
            self.order[index],
            self.spatial_order[index],
        )

    def mapping(self, *index: int) -> Mapping:
        """The `Mapping` at `index` (as many integers as there are batch dimensions); factors are rounded."""
        factors = self.factors[index].detach().round().long().tolist()
        named = [
            tuple(tuple(self.dimensions[i] for i in row) for row in table[index].tolist())
            for table in (self.order, self.spatial_order)
        ]
        return Mapping(
            dimensions=self.dimensions,
            levels=self.levels,
            temporal=tuple(tuple(level[TEMPORAL]) for level in factors),
            spatial_x=tuple(tuple(level[SPATIAL_X]) for level in factors),
            spatial_y=tuple(tuple(level[SPATIAL_Y]) for level in factors),
            order=named[0],
            spatial_order=named[1],
            bypass=self.bypass,
        )
