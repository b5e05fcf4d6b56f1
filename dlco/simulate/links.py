"""The transfers between levels, in order: which tile changes when, and how many words that moves at either end.

A link joins a level that keeps a dataspace with the next outer one that does. Time is counted in MAC steps, the steps
of all temporal loops. The child's tile changes whenever the innermost loop that moves it, or one outside that, steps:
at regular intervals, the link's period. Transfer i brings the i-th tile, or takes its sums away. How many words that
is depends on the outermost loop that steps alone, since every step of a loop moves the tile alike; the words
themselves are counted as sets (`dlco.simulate.tiles`). One thing is not exact but an upper estimate: of a result with
windows (a transposed convolution's), all words of a tile but the first are taken to have been there before.
"""

import itertools
from dataclasses import dataclass
from functools import cached_property
from math import prod

import numpy as np

from dlco.simulate.loopnest import Loop, LoopNest, moves
from dlco.simulate.tiles import Tile


@dataclass(frozen=True)
class Link:
    """One dataspace on its way between two levels.

    Attributes:
        tile: of the child; its nest and dataspace too.
        parent: position of the level that it is served by.
        restart: "refetch" or "overlap", what arrives when a loop outside the first that moves the tile steps.
    """

    tile: Tile
    parent: int
    restart: str

    @property
    def child(self) -> int:
        """Position of the level whose tile it is."""
        return self.tile.level

    @property
    def read_write(self) -> bool:
        """Whether sums come back."""
        return self.tile.dataspace.read_write

    @cached_property
    def loops(self) -> tuple[Loop, ...]:
        """Loops that change the tile: the first one that moves it and all outside it, innermost first."""
        return self.tile.outside[self.tile.first_mover :]

    @cached_property
    def period(self) -> int:
        """MAC steps that a tile stays."""
        return self.tile.nest.cycles // self.transfers

    @cached_property
    def transfers(self) -> int:
        """Tiles over the execution."""
        return prod(loop.bound for loop in self.loops)

    @cached_property
    def siblings(self) -> int:
        """Children of a parent that need different words: each set is read, or arrives, once."""
        return prod(len(np.unique(one)) for one in self.tile.children(range(self.child + 1, self.parent + 1)))

    @cached_property
    def changes(self) -> tuple[int, ...]:
        """Words of a child's tile that are new when each of the loops steps."""
        found = []
        inside = prod(loop.bound for loop in self.tile.outside[: self.tile.first_mover])
        for position, loop in enumerate(self.loops):
            if position and self.restart == "refetch":
                found.append(self.size)
            else:
                before, after = self.tile.offsets(np.array([inside - 1, inside])).tolist()
                found.append(len(self.tile.arriving(after - before)))
            inside *= loop.bound
        return tuple(found)

    @cached_property
    def size(self) -> int:
        """Words of a child's tile."""
        return len(self.tile.words)

    def fetched(self, i: int) -> int:
        """Words that the child needs for its i-th tile; of sums, those that it has had before."""
        if i == 0:
            return 0 if self.read_write else self.size
        if self.read_write and not self._revisit(i):
            return 0
        return self.changes[self._stepped(i)]

    def drained(self, i: int) -> int:
        """Words of sums that leave with the i-th tile."""
        return self.size if i + 1 == self.transfers else self.changes[self._stepped(i + 1)]

    def _stepped(self, i: int) -> int:
        """The outermost loop that steps before the i-th tile, i > 0."""
        position = 0
        while i % self.loops[position].bound == 0:
            i //= self.loops[position].bound
            position += 1
        return position

    def _revisit(self, i: int) -> bool:
        """Whether the i-th tile holds sums already: some reduction over it has gone on before."""
        for loop, reduces in zip(self.loops, self._reductions, strict=True):
            if reduces and i % loop.bound:
                return True
            i //= loop.bound
        return False

    @cached_property
    def _reductions(self) -> tuple[bool, ...]:
        """Loops that come back to words: those that do not move the tile, and those of windows (some words then)."""
        space = self.tile.dataspace
        windows = {dim for rank in space.projection if len(rank) > 1 for dim, _ in rank}
        still = (moves(space, self.loops) == 0).all(-1).tolist()
        return tuple(stays or loop.dim in windows for loop, stays in zip(self.loops, still, strict=True))


def links_of(nest: LoopNest, restart: str) -> tuple[Link, ...]:
    """Every link of a mapping, dataspace by dataspace, innermost first."""
    found = []
    for space in range(len(nest.problem.dataspaces)):
        keepers = nest.keepers(space)
        for child, parent in itertools.pairwise(keepers):
            found.append(Link(Tile(nest, space, child), parent, restart))
    return tuple(found)
