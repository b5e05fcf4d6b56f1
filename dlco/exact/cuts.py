"""Where uneven mappings may cut loops: the places, the machine that a sequence of them is, and the mapping on it.

In an uneven mapping each memory cuts each dataspace's loops where it likes. Its loops are then one chain of tiles from
a single iteration to the whole problem, with a cut for every memory and dataspace that it keeps somewhere on the way;
of one dataspace further out the further out the memory is. A sequence of cuts is a machine with memories in parts
(`dlco.hardware.split`), the chain a mapping on it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from dlco.exact.array import ArrayTables
from dlco.exact.fanouts import FanOut
from dlco.exact.lattice import Floats, Ints
from dlco.hardware.architecture import Architecture
from dlco.hardware.network import MACS
from dlco.hardware.split import split


@dataclass(frozen=True, eq=False)
class BothAxes(FanOut):
    """A fan-out over which each dimension may lie along both axes."""

    @cached_property
    def _pairs(self) -> tuple[Ints, Ints]:
        tiles, lattice = self.tiles, self.tiles.lattice
        x, y = (np.flatnonzero(tiles.volume <= most) for most in (self.size_x, self.size_y))
        along_x, along_y = np.repeat(x, len(y)), np.tile(y, len(x))
        both = ((lattice.extent[along_x] > 1) & (lattice.extent[along_y] > 1)).sum(1)
        found = lattice.times(along_x, along_y)
        order = np.lexsort((both, found))  # of one vector's, the pair with the fewest dimensions along both
        states, first = np.unique(found[order], return_index=True)
        return states[states >= 0], along_x[order][first][states >= 0]

    @cached_property
    def _vectors(self) -> tuple[Ints, Ints]:
        return self._pairs[0], np.zeros_like(self._pairs[0])

    @property
    def x_state(self) -> Ints:
        """`[S]` states of the factors along X."""
        return self._pairs[1]


@dataclass(frozen=True, eq=False)
class UnevenTables(ArrayTables):
    """One problem on one machine as `ArrayTables`, whose dimensions may each lie along both axes of the array."""

    def fan(self, level: int) -> FanOut:
        """The fan-out of a level."""
        plain = super().fan(level)
        return BothAxes(**vars(plain)) if level == self.shared else plain

    @property
    def x_state(self) -> Ints:
        """`[S]` states of the factors along X."""
        fan = self.fans[self.shared]
        assert isinstance(fan, BothAxes)
        return fan.x_state


@dataclass(frozen=True)
class Cut:
    """A memory's tile of a dataspace: `level` of the machine as it is, `space` by index."""

    level: int
    space: int


@dataclass(frozen=True, eq=False)
class Cuts:
    """The cuts of a problem on a machine; those inside the array first, each memory's by dataspace.

    Attributes:
        tables: the problem on the machine.
    """

    tables: UnevenTables

    @cached_property
    def all(self) -> tuple[Cut, ...]:
        """In order; the outermost level's need none."""
        tables = self.tables
        spaces = range(len(tables.spaces))
        return tuple(Cut(lv, t) for lv in range(tables.levels - 1) for t in spaces if tables.kept[lv, t])

    def __len__(self) -> int:
        return len(self.all)

    @cached_property
    def shared(self) -> tuple[bool, ...]:
        """Whether each cut is the shared level's."""
        return tuple(cut.level == self.tables.shared for cut in self.all)

    @cached_property
    def inner(self) -> tuple[int, ...]:
        """For each cut the bits of those of the same dataspace further in, which come before it."""
        return tuple(
            sum(1 << i for i, other in enumerate(self.all) if other.space == cut.space and other.level < cut.level)
            for cut in self.all
        )

    @cached_property
    def term(self) -> tuple[int, ...]:
        """For each cut its index among the tables' terms, -1 for those of the shared level."""
        at = {(term.level, term.space): j for j, term in enumerate(self.tables.terms) if term.level != MACS}
        return tuple(at.get((cut.level, cut.space), -1) for cut in self.all)

    @cached_property
    def sliding(self) -> int | None:
        """The dataspace with windows; None where there is none."""
        found = sorted({slide.space for slide in self.tables.slides})
        return found[0] if found else None

    @cached_property
    def bound_for_array(self) -> int:
        """Bits of the cuts of the sliding dataspace inside the array: its loops are outside them."""
        return sum(1 << i for i, cut in enumerate(self.all) if cut.space == self.sliding and not self.shared[i])

    def fan(self, order: Sequence[int]) -> int:
        """The position in a sequence of cuts of the one under which the array's loops are, -1 where there is none.

        The first of the shared level outside the tiles of the sliding dataspace in the array.
        """
        seen = 0
        for position, i in enumerate(order):
            if self.shared[i] and self.bound_for_array & ~seen == 0:
                return position
            seen |= 1 << i
        return -1

    def machine(self, order: Sequence[int]) -> Architecture:
        """The machine of a sequence of cuts."""
        tables = self.tables
        names = [
            (tables.architecture.levels[self.all[i].level].name, tables.spaces[self.all[i].space].name) for i in order
        ]
        fan = self.fan(order)
        fanouts = {} if fan < 0 else {names[fan][0]: names[fan][1]}
        return split(tables.architecture, names, fanouts)

    def factors(self, order: Sequence[int], states: Ints, spatial: Ints) -> tuple[Floats, Ints]:
        """(factors `[n, levels, 3, dims]`, places of temporal loops) of chains on the machine of a sequence of cuts.

        Args:
            order: the cuts, innermost first.
            states: `[n, cuts]` temporal extents at each cut, states of the tables' lattice.
            spatial: `[n]` rows of the tables' spatial factors.
        """
        tables = self.tables
        live, dims = list(tables.shape.live), tables.shape.dims
        ext, spread = tables.lattice.extent, tables.lattice.extent[tables.spatial[spatial]]
        levels = len(order) + 1
        factors = np.ones((len(states), levels, 3, dims))
        position = np.tile(np.arange(dims), (len(states), levels, 1))
        fan = self.fan(order)
        along_x = ext[tables.x_state[spatial]]
        factors[:, fan, 1, live] = along_x
        factors[:, fan, 2, live] = spread // along_x
        whole = np.array(tables.lattice.bounds, dtype=np.int64) // spread
        inner = np.ones_like(spread)
        for level in range(levels):
            outer = ext[states[:, level]] if level < levels - 1 else whole
            factors[:, level, 0, live] = outer // inner
            if self.sliding is not None:
                position[:, level] = self._places(inner, outer, spread, self._stepped(order, level), order, level)
            inner = outer
        return factors, position

    def _stepped(self, order: Sequence[int], level: int) -> bool:
        """Whether the loops of a level of the sequence step by what the array covers together."""
        return level >= self.fan(order)

    def _places(self, inner: Ints, outer: Ints, spread: Ints, fanned: bool, order: Sequence[int], level: int) -> Ints:
        """`[n, dims]` places of the loops of a level, the loop first that slides the sliding dataspace's tile best."""
        tables = self.tables
        place = np.tile(np.arange(tables.shape.dims) + 1, (len(inner), 1))
        last = [i for i in order[:level] if self.all[i].space == self.sliding]
        if not last:
            return place - 1
        box = inner * (spread if self.shared[last[-1]] else 1)
        share, loop = best_slide(self, box, inner * (spread if fanned else 1), outer / inner)
        best = np.where(share < 1, loop, -1)
        live = np.array(tables.shape.live)
        rows = np.flatnonzero(best >= 0)
        place[rows, live[best[rows]]] = 0
        return place.argsort(1, kind="stable").argsort(1, kind="stable")


def best_slide(cuts: Cuts, tile: Ints, step: Ints, ratio: Floats) -> tuple[Floats, Ints]:
    """(share of the words, dimension) of the loop that slides tiles of the sliding dataspace at the fewest words.

    Args:
        cuts: of the problem.
        tile: `[n, dims]` extents of the tiles.
        step: `[n, dims]` extents that the loops step by.
        ratio: `[n, dims]` bounds of the loops; those of 1 are not there.
    """
    best, loop = np.ones(len(tile)), np.full(len(tile), -1, dtype=np.int64)
    for slide in cuts.tables.slides:
        (a, b), (c, k) = slide.dims, slide.steps
        box = 1 + c * (tile[:, a] - 1) + k * (tile[:, b] - 1)
        for d, coefficient in ((a, c), (b, k)):
            kept = np.maximum(box - coefficient * step[:, d], 0.0)
            share = 1 - kept / box * (1 - 1 / ratio[:, d])
            better = share < best
            best, loop = np.where(better, share, best), np.where(better, d, loop)
    return best, loop
