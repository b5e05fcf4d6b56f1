"""The nests of imperfect factors (`dlco.cost.imperfect`) that tiles lie in, whole ones and those of mean numbers.

What sums of means do not tell is counted of whole tiles and cut ones, where it occurs: which children share the words
of windows that lie over them (`dlco.cost.windows`), and which words of a result with gaps or windows an instance sees
(`dlco.cost.listing`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, reduce

import torch

from dlco.cost import listing
from dlco.cost.arithmetic import EXACT
from dlco.cost.listing import of_rows
from dlco.cost.nest import Flag, Nest, Row, Slide, both, either, extent, is_one, product, where
from dlco.cost.shape import Coefficient, Operand
from dlco.cost.traffic import distinct_steps
from dlco.cost.windows import Line, asked_share, firsts

Rank = Sequence[tuple[int, Coefficient]]


@dataclass(frozen=True)
class WholeNest(Nest):
    """Loops as they stand; a tile ends where its dimension does. `bounds`: `[..., dims]`."""

    bounds: torch.Tensor

    @cached_property
    def tile(self) -> tuple[tuple[Row, ...], ...]:
        """`[levels][dims]` extents of each level's largest tile."""
        return tuple(
            tuple(n if is_one(n) else torch.minimum(n, self.bounds[..., d]) for d, n in enumerate(row))  # type: ignore[arg-type]
            for row in super().tile
        )

    @property
    def reach(self) -> tuple[tuple[Row, ...], ...]:
        """`[levels][dims]` extents of tiles, beyond the bounds or not."""
        return super().tile


@dataclass(frozen=True)
class PlacedNest(Nest):
    """Loops of other bounds whose children lie where the `whole` nest puts them."""

    whole: WholeNest

    @property
    def pitch(self) -> tuple[tuple[Row, ...], ...]:
        """`[levels][dims]` extents that a level's spatial loops step by."""
        return ((1.0,) * self.shape.dims, *self.whole.reach[:-1])

    def slide_step(self, level: int, outer: int, d: int) -> Row:
        """How far a loop moves a tile of this nest's extents, so that as much is left between tiles as in `whole`."""
        return self.tile[level][d] + (self.whole.spread[outer][d] - self.whole.reach[level][d])


@dataclass(frozen=True)
class Walk:
    """Tiles of one dimension that come by on the way inwards: `full` ones, and the cut one, which comes or not."""

    full: Row
    cut: Row

    @property
    def visits(self) -> Row:
        """Their number."""
        return self.full + self.cut

    def inwards(self, n: Row, m: Row, counted: Flag) -> "Walk":
        """Their children, of n and m: all of them if `counted`, else the first of each."""
        if is_one(n):
            return self
        if not isinstance(counted, bool):
            every, first = self.inwards(n, m, True), self.inwards(n, m, False)
            return Walk(where(counted, every.full, first.full), where(counted, every.cut, first.cut))
        if counted:
            return Walk(self.full * n + self.cut * (m - 1), self.cut)
        return Walk(self.full + self.cut * (m > 1), self.cut * (m == 1))


@dataclass(frozen=True)
class MeanNest(PlacedNest):
    """Mean numbers of children. `last`: the loops of the last tiles, m_k children each."""

    last: Nest

    def repeats(self, level: int, d: int, counted: Mapping[int, Flag], among: int) -> Row:
        """As `Nest` says, the visits of the children that come to an instance of level `among` counted one by one."""
        if all(is_one(self.across[outer][d]) for outer in range(level + 1, self.levels)):
            return super().repeats(level, d, counted, among)
        walk = Walk(self.zero, self.one)
        for outer in reversed(range(level + 1, self.levels)):
            walk = walk.inwards(self.whole.temporal[outer][d], self.last.temporal[outer][d], counted.get(outer, False))
            for whole, last in zip(
                reversed(self.whole.spatial[outer]), reversed(self.last.spatial[outer]), strict=True
            ):
                walk = walk.inwards(whole[d], last[d], outer > among)
        instances = product(self.across[outer][d] for outer in range(among + 1, self.levels))
        return walk.visits if is_one(instances) else walk.visits / instances

    def overlap(self, level: int, rank: Rank, d: int, shared: Row) -> torch.Tensor:
        """As `Nest` says: the mean over the tiles of the rank's other dimensions, whole ones and those cut short."""
        others = [(e, c) for e, c in rank if e != d and not is_one(self.tile[level][e])]
        if not others:
            return super().overlap(level, rank, d, shared)
        (e, c), *rest = others
        mean, whole, bound = self.tile[level][e], self.whole.tile[level][e], self.whole.bounds[..., e]
        tiles = self._tiles(level, e)
        last = bound - (tiles - 1) * whole
        full, cut = (self.overlap(level, [(d, 1), *rest], d, shared + c * (extent - mean)) for extent in (whole, last))
        return (full * (tiles - 1) + cut) / tiles

    def asked_by_macs(self, space: Operand, among: int) -> Row:
        """As `Nest` says."""
        every = dict.fromkeys(range(self.levels), True)
        others = [d for d in self.shape.live if d not in space.relevant]
        moves = (self.temporal[level][d] for level in range(self.levels) for d in space.relevant)
        return product(
            (*moves, *(self.repeats(-1, d, every, among) for d in others), self.shared(space, -1, among, ()))
        )

    @property
    def even(self) -> bool:
        """Some children idle while others work."""
        return False

    def begun(self, level: int, outer: int, d: int) -> Row:
        """As `Nest` says."""
        tiles = self._tiles(level, d)
        stride, period = (torch.as_tensor(n) for n in (self._stride(level, outer, d), self.whole.temporal[outer][d]))
        first = firsts(tiles, stride, period)
        return self.temporal[outer][d] * first / tiles

    def _tiles(self, level: int, d: int) -> torch.Tensor:
        """How many there are."""
        return (self.whole.bounds[..., d] / self.tile[level][d]).round()

    def _stride(self, level: int, outer: int, d: int) -> Row:
        """By how many tiles a temporal loop of level `outer` moves one of level `level`."""
        return self.whole.spread[outer][d] / self.whole.reach[level][d]

    @cached_property
    def short(self) -> tuple[Flag, ...]:
        """`[dims]` whether the last tile of some loop is cut short."""
        return tuple(False if is_one(n) else n > self.whole.bounds[..., d] for d, n in enumerate(self.whole.reach[-1]))

    def shared(self, space: Operand, level: int, among: int, slides: Sequence[Slide]) -> Row:
        """As `Nest` says."""
        return product(
            self._shared_along(rank, level, among, [one for one in slides if one.rank == r])
            for r, rank in enumerate(space.ranks)
            if len(rank) > 1
        )

    def _shared_along(self, rank: Rank, level: int, among: int, slides: Sequence[Slide]) -> Row:
        """The same of one rank: 1 but where two of its dimensions lie on the children of one level."""
        levels = range(level + 1, among + 1)
        at = [self._several(rank, outer) for outer in levels]
        short = reduce(either, (self.short[d] for d, _ in rank))
        flag = both(reduce(either, at), short)
        if isinstance(flag, bool) or not bool(flag.any()):
            return 1
        some = Some(flag, self.one)
        lines = [self._slid(some, level, d, c, slides) for d, c in rank]
        share = self.one.new_ones(some.count)
        nested = some.of(self._nested(rank, levels, at)) > 0
        if bool((~nested).any()):
            pair = (self._line(some, line, d, levels, at) for line, (d, _) in zip(lines, rank, strict=True))
            share[~nested] = asked_share(*(Line(*(row[~nested] for row in line)) for line in pair))
        if bool(nested.any()):
            slots = [[*line, *self._slots(some, d, levels)] for line, (d, _) in zip(lines, rank, strict=True)]
            share[nested] = of_rows(listing.asked_share, [[row[nested] for row in line] for line in slots])
        for outer in levels:
            spread = product(self.across[outer][d] for d, _ in rank)
            share = share * some.of(spread) / some.of(distinct_steps(self, outer, rank, EXACT))
        return some.back(share)

    def _several(self, rank: Rank, level: int) -> Flag:
        """Whether several dimensions of a rank lie on the children of a level."""
        there = [n > 1 for n in (self.whole.across[level][d] for d, _ in rank) if isinstance(n, torch.Tensor)]
        return torch.stack(there).sum(0) > 1 if len(there) > 1 else False

    def _nested(self, rank: Rank, levels: Sequence[int], at: Sequence[Flag]) -> Flag:
        """Whether they do where children further in, the words bypassing these, lie along them too."""
        inside: Flag = False
        nested: Flag = len(rank) > 2
        for level, several in zip(levels, at, strict=True):
            nested = either(nested, both(several, inside))
            for d, _ in rank:
                n = self.whole.across[level][d]
                inside = either(inside, n > 1 if isinstance(n, torch.Tensor) else False)
        return nested

    def _slid(self, some: "Some", level: int, d: int, c: Coefficient, slides: Sequence[Slide]) -> list[torch.Tensor]:
        """(coefficient, bound, extent, stride and period of the slide) of tiles, as `Line` has them."""
        stride: Row = self.one
        period: Row = self.one
        for one in slides:
            if one.d == d:
                stride = where(one.on, self._stride(level, one.outer, d), stride)
                period = where(one.on, self.whole.temporal[one.outer][d], period)
        rows = (c, self.whole.bounds[..., d], self._whole(level, d), stride, period)
        return [some.of(row) for row in rows]

    def _line(
        self, some: "Some", slid: list[torch.Tensor], d: int, levels: Sequence[int], at: Sequence[Flag]
    ) -> list[torch.Tensor]:
        """The fields of a `Line`: those of `_slid`, with the children of the only level where there are several."""
        inner: Row = self.one
        children: Row = self.one
        for level, several in zip(levels, at, strict=True):
            inner = where(several, self.one * self._whole(level - 1, d), inner)
            children = where(several, self.one * self.whole.across[level][d], children)
        return [*slid, some.of(inner) / slid[2], some.of(children)]

    def _slots(self, some: "Some", d: int, levels: Sequence[int]) -> list[torch.Tensor]:
        """Spatial and temporal factors of levels."""
        return [
            some.of(row) for level in levels for row in (self.whole.across[level][d], self.whole.temporal[level][d])
        ]

    def _whole(self, level: int, d: int) -> Row:
        """Extent of whole tiles, single iterations at level -1."""
        return self.whole.reach[level][d] if level >= 0 else 1

    def first_visits(self, space: Operand, level: int, estimate: Row) -> Row:
        """As `Nest` says: the words in the tiles of an instance, where any tile is cut short."""
        flag = reduce(either, self.short)
        if isinstance(flag, bool) or not bool(flag.any()):
            return estimate
        some = Some(flag, self.one)
        others = (self.repeats(level, d, {}, level) for d in self.shape.live if d not in space.relevant)
        seen = product((*others, *(self._seen_along(rank, level, some) for rank in space.ranks)))
        return where(flag, torch.as_tensor(seen), torch.as_tensor(estimate, dtype=self.one.dtype))

    def _seen_along(self, rank: Rank, level: int, some: "Some") -> Row:
        """Words along a rank that are in the tiles of an instance, on average."""
        outside = range(level + 1, self.levels)
        if len(rank) == 1:  # tiles lie apart
            return product((extent(rank, self.tile[level]), *(self.temporal[lv][d] for lv in outside for d, _ in rank)))
        slots = [[*self._slid(some, level, d, c, ()), *self._slots(some, d, outside)] for d, c in rank]
        instances = product(self.across[lv][d] for lv in outside for d, _ in rank)
        return some.back(of_rows(listing.seen, slots) / some.of(instances))


@dataclass(frozen=True)
class Some:
    """Some items of a batch.

    Attributes:
        flag: `[...]` which.
        one: 1, of the type of their numbers.
    """

    flag: torch.Tensor
    one: torch.Tensor

    @cached_property
    def _places(self) -> torch.Tensor:
        return self.flag.flatten().nonzero().flatten()

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self._places)

    def of(self, row: Row | Flag) -> torch.Tensor:
        """`[count]` their values of a row."""
        row = torch.as_tensor(row, dtype=self.one.dtype, device=self.one.device)
        return row.expand(self.flag.shape).reshape(-1)[self._places]

    def back(self, values: torch.Tensor) -> torch.Tensor:
        """The row of their values `[count]`, 1 at all others."""
        row = self.one.new_ones(self.flag.numel())
        row[self._places] = values
        return row.reshape(self.flag.shape)
