"""Tiles as sets of words: which words a tile holds, and which of them a buffer has to be given.

A word is its coordinates in the dataspace, encoded as one integer, and a tile every word of the box around what the
loops inside it touch (gaps that strides leave are held too). What arrives is a difference of two sets.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod

import numpy as np

from dlco.simulate.loopnest import Ints, Loop, LoopNest, digits, moves
from dlco.workload.problem import Dataspace


def frame(space: Dataspace, nest: LoopNest) -> Ints:
    """What to multiply coordinates by to have one integer a word, `[ranks]`; moves may be encoded as well.

    Twice as wide as the tensor along each rank, so that coordinates of different words never meet, negative moves
    included.
    """
    widths = [2 * extent + 1 for extent in nest.box(len(nest.levels) - 1, space)]
    return np.array([prod(widths[i + 1 :]) for i in range(len(widths))], dtype=np.int64)


@dataclass(frozen=True)
class Tile:
    """The tile that one instance of a level holds of one dataspace; level -1 is a MAC.

    Attributes:
        nest: the loops.
        space: position of the dataspace.
        level: position of the level.
    """

    nest: LoopNest
    space: int
    level: int

    @cached_property
    def outside(self) -> tuple[Loop, ...]:
        """Temporal loops that move it, innermost first."""
        return self.nest.outside(self.level)

    @cached_property
    def dataspace(self) -> Dataspace:
        """Whose words it holds."""
        return self.nest.problem.dataspaces[self.space]

    @cached_property
    def words(self) -> Ints:
        """Codes of its words at the first step, in order."""
        box = self.nest.box(self.level, self.dataspace)
        grid = np.indices(box).reshape(len(box), prod(box))
        return np.sort(self._frame @ grid)

    @cached_property
    def _frame(self) -> Ints:
        return frame(self.dataspace, self.nest)

    @cached_property
    def _moves(self) -> Ints:
        """Code of one iteration of each loop outside."""
        return moves(self.dataspace, self.outside) @ self._frame

    @cached_property
    def first_mover(self) -> int:
        """The innermost loop outside that moves it; the number of loops where none does."""
        moving = self._moves != 0
        return int(moving.argmax()) if moving.any() else len(self.outside)

    def offsets(self, steps: Ints) -> Ints:
        """Code of how far it has moved at each step of the loops outside, `[steps]`."""
        return self.turns(digits(self.outside, steps))

    def turns(self, iterations: Ints) -> Ints:
        """The same for given iterations of the loops outside, `[..., loops]` to `[...]`."""
        return iterations @ self._moves

    def arriving(self, move: int) -> Ints:
        """Words, by their code before the move, that a tile holds after moving and did not before."""
        if move == 0:
            return self.words[:0]
        return np.setdiff1d(self.words + move, self.words, assume_unique=True)

    def children(self, levels: Sequence[int]) -> list[Ints]:
        """Codes of where the children of each of the levels lie, `[children]`, for each level."""
        found = []
        for level in levels:
            loops = self.nest.across(level)
            count = prod(loop.bound for loop in loops)
            found.append(digits(loops, np.arange(count)) @ (moves(self.dataspace, loops) @ self._frame))
        return found
