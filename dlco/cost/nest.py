"""The loop nest as rows: one `[...]` tensor for every loop bound, tile extent and tile size.

A row is a tensor over the batch, or the plain number 1 where nothing can be there (a dimension of bound 1, a
level without fan-out); products skip such ones, so a batch pays only for the loops its problem has. With factors
`n = exp(x)`, every product here is `exp(C x)` for a 0/1 matrix C; multiplying the factors that C selects gives the
same number and gradient, and is exact on integers.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import torch

from dlco.cost.shape import Coefficient, Operand, Shape

Row = torch.Tensor | float  # what is no tensor is a whole number, so that rows of integers stay integers
Position = torch.Tensor | int
Flag = torch.Tensor | bool  # a plain value while it is one for the whole batch, as fixed orders make it

Axes = Sequence[tuple[bool, bool]]  # for each level, whether there may be loops over its children along X and Y

NOWHERE = 127  # a position beyond every loop (fits int8)


def is_one(row: Row) -> bool:
    """Whether the row is the plain number 1."""
    return not isinstance(row, torch.Tensor) and row == 1


def product(rows: Iterable[Row]) -> Row:
    """Product of rows; the plain 1 where all are."""
    result: Row = 1
    for row in rows:
        if not is_one(row):
            result = row if is_one(result) else result * row
    return result


def where(flag: Flag, yes: Row, no: Row) -> Row:
    """One row where a flag is set, another elsewhere."""
    if isinstance(flag, bool):
        return yes if flag else no
    return torch.where(flag, yes, no)


# Flags and positions are plain values while the order is one for the whole batch, so that a fixed order costs nothing.


def either(a: Flag, b: Flag) -> Flag:
    """Whether one of two flags is set."""
    if isinstance(a, bool):
        return True if a else b
    if isinstance(b, bool):
        return True if b else a
    return a | b


def both(a: Flag, b: Flag) -> Flag:
    """Whether both are."""
    if isinstance(a, bool):
        return b if a else False
    if isinstance(b, bool):
        return a if b else False
    return a & b


def negate(a: Flag) -> Flag:
    """Whether a flag is not set."""
    return not a if isinstance(a, bool) else ~a


def extent(rank: Sequence[tuple[int, Coefficient]], extents: Sequence[Row]) -> Row:
    """Extent of a rank over a box of the given dimension extents: 1 + sum of coefficient * (extent - 1)."""
    result: Row = 1
    for d, coefficient in rank:
        if not is_one(extents[d]):
            whole_step = not isinstance(coefficient, torch.Tensor) and coefficient == 1
            if is_one(result) and whole_step:
                result = extents[d]
            elif whole_step:
                result = result + (extents[d] - 1)
            else:
                result = result + coefficient * (extents[d] - 1)
    return result


@dataclass(frozen=True)
class Crossing:
    """Where parts of a memory inside an array and of one beyond it come in turns, so that some stand on its wrong side.

    The words of a dataspace without windows do not depend on where among the temporal loops the array's loops are, so
    long as they lie between its tiles inside the array and those beyond it. There each dataspace has them.

    Attributes:
        ranks: as `Architecture.ranks`: a fan-out lies inside memories of at least its own rank.
        places: `[spaces][levels]` the level at which each level's spatial loops count for a dataspace.
    """

    ranks: tuple[int, ...]
    places: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Slide:
    """A loop that may slide a dataspace's tiles.

    Attributes:
        rank: along which; `d`: its dimension; `outer`: its level.
        on: whether it does.
    """

    rank: int
    d: int
    outer: int
    on: Flag


@dataclass(frozen=True)
class Nest:
    """Loops of a batch of mappings.

    Attributes:
        shape: the compiled problem.
        temporal: `[levels][dims]` rows.
        spatial: `[levels][2][dims]` rows, X and Y.
        position: `[levels][dims]` place of each temporal loop in its level, innermost 0: integers where the whole
            batch shares one order, rows of integers where it does not.
        crossing: None where every level stands on the side of each fan-out that its memory is on.
    """

    shape: Shape
    temporal: tuple[tuple[Row, ...], ...]
    spatial: tuple[tuple[tuple[Row, ...], tuple[Row, ...]], ...]
    position: tuple[tuple[Position, ...], ...]
    crossing: Crossing | None = field(default=None, kw_only=True)

    @property
    def levels(self) -> int:
        """Number of storage levels."""
        return len(self.temporal)

    @cached_property
    def _like(self) -> torch.Tensor:
        rows = (row for level in zip(self.temporal, *zip(*self.spatial, strict=True), strict=True) for row in level)
        return next(
            (n for row in rows for n in row if isinstance(n, torch.Tensor)), torch.ones((), dtype=torch.float64)
        )

    @cached_property
    def one(self) -> torch.Tensor:
        """1 as a scalar of the rows' type; choosing between rows of one type saves conversions."""
        return self._like.new_ones(())

    @cached_property
    def zero(self) -> torch.Tensor:
        """0, likewise."""
        return self._like.new_zeros(())

    @cached_property
    def nowhere(self) -> torch.Tensor:
        """`NOWHERE` as a scalar of the positions' type."""
        return torch.tensor(NOWHERE, dtype=torch.int8, device=self._like.device)

    @cached_property
    def across(self) -> tuple[tuple[Row, ...], ...]:
        """`[levels][dims]` parts that each dimension is split into over a level's children."""
        return tuple(tuple(product(pair) for pair in zip(x, y, strict=True)) for x, y in self.spatial)

    @cached_property
    def _extents(self) -> tuple[tuple[tuple[Row, ...], tuple[Row, ...]], ...]:
        rows = []
        below: tuple[Row, ...] = (1.0,) * self.shape.dims
        for n, parts in zip(self.temporal, self.across, strict=True):
            spread = tuple(product(pair) for pair in zip(below, parts, strict=True))
            below = tuple(product(pair) for pair in zip(spread, n, strict=True))
            rows.append((spread, below))
        return tuple(rows)

    @property
    def spread(self) -> tuple[tuple[Row, ...], ...]:
        """`[levels][dims]` extents that a level's children cover together: its temporal loops step by these."""
        return tuple(spread for spread, _ in self._extents)

    @property
    def tile(self) -> tuple[tuple[Row, ...], ...]:
        """`[levels][dims]` extents of each level's tile: all loops at or under the level."""
        return tuple(tile for _, tile in self._extents)

    @property
    def pitch(self) -> tuple[tuple[Row, ...], ...]:
        """`[levels][dims]` extents that a level's spatial loops step by: its children's tiles."""
        return ((1.0,) * self.shape.dims, *self.tile[:-1])

    @property
    def even(self) -> bool:
        """Whether all instances of a level have the same to do, as where factors divide the bounds."""
        return True

    def repeats(self, level: int, d: int, counted: Mapping[int, Flag], among: int) -> Row:
        """How often loops over a dimension repeat what a tile takes that they do not move.

        Args:
            level: of the tile.
            d: the dimension.
            counted: by outer level, whether its temporal loop repeats it; one that does not is passed in place.
            among: tiles within one instance of this level share what they take; the result is per instance of it. The
                same for all where factors divide bounds.
        """
        return product(where(flag, self.temporal[outer][d], self.one) for outer, flag in counted.items())

    def asked_by_macs(self, space: Operand, among: int) -> Row:
        """How often an instance of a level is asked for words of a dataspace by MACs, for each that it serves apart."""
        return self.cycles

    def shared(self, space: Operand, level: int, among: int, slides: Sequence[Slide]) -> Row:
        """What children that take the same words make of those that an instance is asked for, beside the mean.

        Args:
            space: the dataspace.
            level: of the tiles; -1 are MACs.
            among: of the instance.
            slides: loops that may slide the tiles.
        """
        return 1

    def begun(self, level: int, outer: int, d: int) -> Row:
        """How many tiles are fetched whole where a temporal loop of level `outer` slides them, for one run of it."""
        return 1

    def first_visits(self, space: Operand, level: int, estimate: Row) -> Row:
        """Words of a result that an instance of a level sees, given Timeloop's `estimate`."""
        return estimate

    def slide_step(self, level: int, outer: int, d: int) -> Row:
        """By how much a temporal loop of level `outer` over dimension `d` moves the tile of level `level`."""
        return self.spread[outer][d]

    def overlap(self, level: int, rank: Sequence[tuple[int, Coefficient]], d: int, shared: Row) -> torch.Tensor:
        """Extent along a rank that a level's tile keeps as a loop over `d` slides it: `shared`, 0 where below that."""
        return torch.as_tensor(shared).clamp(min=0)

    @cached_property
    def fanout(self) -> tuple[Row, ...]:
        """`[levels]` children used of each instance."""
        return tuple(product(parts) for parts in self.across)

    @cached_property
    def steps(self) -> tuple[Row, ...]:
        """`[levels]` iterations of each level's temporal loops."""
        return tuple(product(n) for n in self.temporal)

    def of_space(self, space: int) -> "Nest":
        """The loops with the spatial ones where they count for a dataspace."""
        return self._by_space[space]

    @cached_property
    def _by_space(self) -> tuple["Nest", ...]:
        if self.crossing is None:
            return (self,) * len(self.shape.spaces)
        found = []
        for places in self.crossing.places:
            if places == tuple(range(self.levels)):
                found.append(replace(self, crossing=None))
                continue
            moved = tuple(
                (self._gathered(places, level, 0), self._gathered(places, level, 1)) for level in range(self.levels)
            )
            found.append(replace(self, spatial=moved, crossing=None))
        return tuple(found)

    def _gathered(self, places: Sequence[int], level: int, axis: int) -> tuple[Row, ...]:
        """`[dims]` the spatial loops along an axis that count at a level."""
        rows = [self.spatial[f][axis] for f, place in enumerate(places) if place == level]
        return tuple(product(row[d] for row in rows) for d in range(self.shape.dims))

    @cached_property
    def instances(self) -> tuple[Row, ...]:
        """`[levels]` instances used of each level."""
        if self.crossing is not None:
            ranks = self.crossing.ranks
            return tuple(product(n for n, rank in zip(self.fanout, ranks, strict=True) if rank > own) for own in ranks)
        return tuple(product(self.fanout[level + 1 :]) for level in range(self.levels))

    @cached_property
    def cycles(self) -> Row:
        """Compute cycles: all temporal iterations."""
        return product(self.steps)

    @property
    def macs(self) -> Row:
        """Multiply-accumulates done."""
        return product(self.tile[-1])

    def box(self, space: Operand, extents: Sequence[Row]) -> tuple[Row, ...]:
        """Extent of each rank of a dataspace over the given dimension extents."""
        return tuple(extent(rank, extents) for rank in space.ranks)

    @cached_property
    def boxes(self) -> tuple[tuple[tuple[Row, ...], ...], ...]:
        """`[levels][spaces]` rank extents of each tile."""
        return tuple(tuple(self.box(space, self.tile[lv]) for space in self.shape.spaces) for lv in range(self.levels))

    @cached_property
    def words(self) -> tuple[tuple[Row, ...], ...]:
        """`[levels][spaces]` words of each tile (of its bounding box, as Timeloop counts)."""
        if self.crossing is not None:
            return tuple(tuple(nest.words[lv][s] for s, nest in enumerate(self._by_space)) for lv in range(self.levels))
        return tuple(tuple(product(box) for box in row) for row in self.boxes)


def loops_of(nest: Nest) -> dict[str, Any]:
    """The fields of a nest, for one with more."""
    return {name: getattr(nest, name) for name in ("shape", "temporal", "spatial", "position")}


def positions(order: torch.Tensor) -> torch.Tensor:
    """Place of every dimension in an order: the inverse permutation, `[..., levels, dims]` of int8."""
    places = torch.arange(order.shape[-1], dtype=torch.int8, device=order.device).expand(order.shape)
    return torch.empty_like(order, dtype=torch.int8).scatter_(-1, order, places)


def build_nest(
    shape: Shape,
    factors: torch.Tensor,
    position: torch.Tensor | Sequence[Sequence[int]],
    axes: Axes | None = None,
    crossing: Crossing | None = None,
) -> Nest:
    """The rows of a batch of factors `[..., levels, 3, dims]`; see `Nest`.

    Spatial loops along axes that `axes` denies are left out (their factors are taken to be 1).
    """
    levels = factors.shape[-3]
    live = frozenset(shape.live)
    axes = axes or [(True, True)] * levels
    rows = factors.movedim((-3, -2, -1), (0, 1, 2))
    if factors.dim() > 3 and not factors.requires_grad and rows.stride(-1) != 1:
        rows = rows.contiguous()  # the batch's values of one loop side by side in memory

    def loops(level: int, slot: int, there: bool = True) -> tuple[Row, ...]:
        return tuple(rows[level, slot, d] if there and d in live else 1.0 for d in range(shape.dims))

    place: tuple[tuple[Position, ...], ...]
    if isinstance(position, torch.Tensor):
        turned = position.to(torch.int8).movedim((-2, -1), (0, 1)).contiguous()
        place = tuple(tuple(turned[lv, d] for d in range(shape.dims)) for lv in range(levels))
    else:
        place = tuple(tuple(row) for row in position)
    return Nest(
        shape,
        temporal=tuple(loops(lv, 0) for lv in range(levels)),
        spatial=tuple((loops(lv, 1, x), loops(lv, 2, y)) for lv, (x, y) in enumerate(axes)),
        position=place,
        crossing=crossing,
    )
