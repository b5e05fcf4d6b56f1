"""The loops of a mapping as they are executed: one list, innermost first, and its steps as arrays.

A level's spatial loops (X inside Y) lie inside its temporal ones, and all of them inside those of the next outer
level. Iteration i of a loop adds i times its stride to the loop's dimension. "Step n" is iteration n of some loops
taken together, the outermost one slowest.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import prod

import numpy as np
from numpy.typing import NDArray

from dlco.errors import InvalidMapping, NotSupported
from dlco.hardware.architecture import Architecture
from dlco.mapping.kept import kept_table
from dlco.mapping.mapping import OUTWARDS, TEMPORAL, Mapping
from dlco.workload.problem import Dataspace, Problem

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Loop:
    """One loop of more than one iteration.

    Attributes:
        level: position of its storage level, innermost 0; `axis`: temporal, or spatial along X or Y.
        dim: the dimension it runs over; `bound`: iterations; `stride`: what one iteration adds to the dimension.
    """

    level: int
    axis: int
    dim: str
    bound: int
    stride: int

    @property
    def temporal(self) -> bool:
        """Whether its iterations follow each other; those of others run side by side."""
        return self.axis == TEMPORAL


@dataclass(frozen=True)
class LoopNest:
    """A mapping unrolled into loops.

    Attributes:
        problem: the work.
        levels: names of the storage levels, innermost first.
        loops: innermost first.
        kept: `[levels][spaces]` whether a level keeps a dataspace.
        ranks: for each level the place of its memory from the inside out; a level's spatial loops lie inside memories
            of at least its own rank, wherever the levels stand.
    """

    problem: Problem
    levels: tuple[str, ...]
    loops: tuple[Loop, ...]
    kept: tuple[tuple[bool, ...], ...]
    ranks: tuple[int, ...]

    @staticmethod
    def of(problem: Problem, mapping: Mapping, architecture: Architecture | None = None) -> "LoopNest":
        """The loops of a mapping; an architecture adds what its levels bypass. Bounds are not checked here.

        Raises:
            InvalidMapping: the mapping is of other dimensions or levels.
        """
        if mapping.dimensions != problem.dimensions:
            raise InvalidMapping(f"dimensions are {mapping.dimensions}; the problem has {problem.dimensions}")
        if architecture is not None and mapping.levels != tuple(level.name for level in architecture.levels):
            raise InvalidMapping(f"levels are {mapping.levels}; {architecture.name!r} has others")
        loops = []
        reach = dict.fromkeys(mapping.dimensions, 1)
        for level, slots in enumerate(mapping.factors):
            for axis in OUTWARDS:
                order = mapping.order[level] if axis == TEMPORAL else mapping.spatial_order[level]
                bounds = dict(zip(mapping.dimensions, slots[axis], strict=True))
                for dim in order:
                    if bounds[dim] > 1:
                        loops.append(Loop(level, axis, dim, bounds[dim], reach[dim]))
                        reach[dim] *= bounds[dim]
        kept = tuple(map(tuple, kept_table(problem, architecture, mapping.bypass)))
        ranks = tuple(range(len(mapping.levels))) if architecture is None else architecture.ranks
        return LoopNest(problem, mapping.levels, tuple(loops), kept, ranks)

    @property
    def crossed(self) -> bool:
        """Whether a level stands on the other side of some spatial loops than its memory."""
        levels = range(len(self.levels))
        fanned = {loop.level for loop in self.loops if not loop.temporal}
        return any((f > level) != (self.ranks[f] > self.ranks[level]) for f in fanned for level in levels)

    @property
    def cut(self) -> bool:
        """Whether loops go beyond a bound, so that tiles and work end where the dimension does."""
        reach = self.extents(len(self.levels) - 1)
        return any(reach[dim] > size for dim, size in self.problem.sizes.items())

    def inside(self, level: int, loop: Loop) -> bool:
        """Whether a loop runs within the tile of a level."""
        return loop.level <= level if loop.temporal else self.ranks[loop.level] <= self.ranks[level]

    def of_space(self, space: int) -> "LoopNest":
        """Loops in which a dataspace fares as in these, all levels that keep it on the side that their memory is on.

        The spatial loops are moved between its tiles inside them and beyond, which its words do not notice: it has no
        windows. Where nothing is to be moved, the nest itself.

        Raises:
            NotSupported: it has windows.
        """
        keepers = self.keepers(space)
        moved = {}
        for f in {loop.level for loop in self.loops if not loop.temporal}:
            low = max((level for level in keepers if self.ranks[level] < self.ranks[f]), default=-1)
            high = min((level for level in keepers if level > low), default=len(self.levels) - 1)
            if not low < f <= high:
                moved[f] = high
        if not moved:
            return self if not self.crossed else replace(self, ranks=tuple(range(len(self.levels))))
        if any(len(rank) > 1 for rank in self.problem.dataspaces[space].projection):
            raise NotSupported(
                f"{self.problem.dataspaces[space].name} has windows; the array's loops must be between its tiles"
            )
        places = [
            loop if loop.temporal else replace(loop, level=moved.get(loop.level, loop.level)) for loop in self.loops
        ]
        found, reach = [], dict.fromkeys(self.problem.dimensions, 1)
        for loop in sorted(places, key=lambda loop: (loop.level, loop.temporal)):
            found.append(replace(loop, stride=reach[loop.dim]))
            reach[loop.dim] *= loop.bound
        return replace(self, loops=tuple(found), ranks=tuple(range(len(self.levels))))

    def outside(self, level: int) -> tuple[Loop, ...]:
        """Temporal loops that move the tile of a level: those of the levels above it. Level -1 is a MAC."""
        return tuple(loop for loop in self.loops if loop.temporal and loop.level > level)

    def across(self, level: int) -> tuple[Loop, ...]:
        """Loops over the children of a level."""
        return tuple(loop for loop in self.loops if not loop.temporal and loop.level == level)

    def instances(self, level: int) -> int:
        """Instances of a level that work. Level -1 are the MACs."""
        loops = (loop for loop in self.loops if not loop.temporal)
        return prod(loop.bound for loop in loops if level < 0 or not self.inside(level, loop))

    def keepers(self, space: int) -> tuple[int, ...]:
        """Levels that keep a dataspace, innermost first.

        Raises:
            InvalidMapping: there is none.
        """
        found = tuple(level for level, row in enumerate(self.kept) if row[space])
        if not found:
            raise InvalidMapping(f"{self.problem.dataspaces[space].name} is kept at no level; step 0 cannot read it")
        return found

    def extents(self, level: int) -> dict[str, int]:
        """How far the tile of a level reaches in each dimension: all loops at and under it."""
        reach = dict.fromkeys(self.problem.dimensions, 1)
        for loop in self.loops if level >= 0 else ():
            if self.inside(level, loop):
                reach[loop.dim] *= loop.bound
        return reach

    def box(self, level: int, space: Dataspace) -> tuple[int, ...]:
        """Extents along the ranks of a dataspace of the box around all that a level's tile touches."""
        return space.box(self.extents(level))

    @cached_property
    def cycles(self) -> int:
        """Steps of all temporal loops together."""
        return prod(loop.bound for loop in self.loops if loop.temporal)


def moves(space: Dataspace, loops: Sequence[Loop]) -> Ints:
    """How far one iteration of each loop moves a dataspace along its ranks, `[loops, ranks]`."""
    rows = [space.move(loop.dim, loop.stride) for loop in loops]
    return np.array(rows, dtype=np.int64).reshape(len(loops), len(space.projection))


def steps_inside(loops: Sequence[Loop]) -> Ints:
    """Steps that one iteration of each loop takes: the product of the bounds inside it, `[loops]`."""
    return np.array([prod(loop.bound for loop in loops[:i]) for i in range(len(loops))], dtype=np.int64)


def digits(loops: Sequence[Loop], steps: Ints) -> Ints:
    """The iteration of each loop at each step, `[steps, loops]`."""
    bounds = np.array([loop.bound for loop in loops], dtype=np.int64)
    return (steps[:, None] // steps_inside(loops)[None, :]) % bounds[None, :]


def stepped(loops: Sequence[Loop], steps: Ints) -> Ints:
    """The outermost loop that goes on at each step but the first, as a position in `loops`, `[steps]`."""
    return (steps[:, None] % steps_inside(loops)[None, :] == 0).sum(-1) - 1
