"""Which runs of the MACs a tile is there for, and which loop steps when: where all tiles are alike, and where not.

A run is as long as the MACs need no new tile of anything. Where factors multiply to the bounds, all runs have the same
steps and all tiles of a link the same number of runs. Where last tiles are cut short, loops end early: runs without
any work are left out, and so are tiles without any. Everything is then as the first instance of each level has it,
which always has the most to do; the others work in step with it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import ceil, prod

import numpy as np

from dlco.errors import NotSupported
from dlco.simulate.cut_tiles import offsets_of, outermost
from dlco.simulate.links import Link
from dlco.simulate.loopnest import Ints, Loop, LoopNest, digits, steps_inside

MOST_RUNS = 1 << 23  # runs that are listed where tiles are cut short


@dataclass(frozen=True)
class Course:
    """Runs and tiles of one link where all are alike: `ratio` runs a tile, `total` tiles."""

    ratio: int
    total: int

    def first_run(self, tile: int) -> int:
        """The run that a tile is first needed for; of the tile after the last, the number of runs."""
        return tile * self.ratio

    def tile_at(self, run: int) -> int:
        """The tile that a run needs; after the last run, the number of tiles."""
        return run // self.ratio


@dataclass(frozen=True)
class CutCourse(Course):
    """The same where tiles are cut short; `ratio`: as if none was.

    Attributes:
        starts: `[tiles + 1]` first run of each; `tiles`: `[runs + 1]` of each run.
    """

    starts: Ints
    tiles: Ints

    def first_run(self, tile: int) -> int:
        """As of tiles that are alike."""
        return int(self.starts[tile])

    def tile_at(self, run: int) -> int:
        """As of tiles that are alike."""
        return int(self.tiles[run])


@dataclass(frozen=True)
class Runs:
    """All runs of an execution where they are alike.

    Attributes:
        bounds: of the loops outside a run, innermost first.
        each: MAC steps of a run, if all are done.
    """

    bounds: tuple[int, ...]
    each: int

    @property
    def count(self) -> int:
        """How many there are."""
        return prod(self.bounds)

    @property
    def steps(self) -> int:
        """MAC steps of all together."""
        return self.count * self.each

    def steps_of(self, run: int) -> int:
        """MAC steps of one."""
        return self.each

    def course(self, link: Link) -> Course:
        """When the tiles of a link are there."""
        return Course(link.period // self.each, link.transfers)

    def turn(self, run: int) -> tuple[int, int, int]:
        """(the outermost loop that steps before a run, its iteration then, and how many it has here)."""
        loop = 0
        while run % self.bounds[loop] == 0:
            run //= self.bounds[loop]
            loop += 1
        return loop, run % self.bounds[loop], self.bounds[loop]

    def margin(self, run: int, loop: int, depths: Sequence[tuple[Course, int]]) -> int:
        """Turns of a loop that no link, each some tiles deep, can look beyond, ahead or back, from a run on."""
        turn = prod(self.bounds[:loop])
        return max([1, *(ceil(depth * course.ratio / turn) for course, depth in depths if course.ratio <= turn)])


@dataclass(frozen=True)
class CutRuns(Runs):
    """Runs of which some are shorter and some are left out; `each` and `bounds` are as if none was.

    Attributes:
        outside: the loops outside a run, innermost first; `sizes`: where the dimensions end.
        numbers: `[runs]` of those with work, as if all had; `work`: `[runs]` MAC steps.
    """

    outside: tuple[Loop, ...]
    sizes: dict[str, int]
    numbers: Ints
    work: Ints

    @property
    def count(self) -> int:
        """How many have work."""
        return len(self.numbers)

    @cached_property
    def steps(self) -> int:
        """MAC steps of all together."""
        return int(self.work.sum())

    def steps_of(self, run: int) -> int:
        """MAC steps of one."""
        return int(self.work[run])

    def course(self, link: Link) -> CutCourse:
        """When the tiles of a link are there."""
        ratio = link.period // self.each
        tiles = self.numbers // ratio
        starts = np.flatnonzero(np.r_[True, np.diff(tiles) != 0])
        place = np.zeros(len(tiles) + 1, dtype=np.int64)
        place[starts[1:]] = 1
        place[-1] = 1
        return CutCourse(ratio, len(starts), np.r_[starts, len(tiles)], place.cumsum())

    def turn(self, run: int) -> tuple[int, int, int]:
        """As of runs that are alike; a loop may have fewer iterations here than it is written with."""
        loop, turn, _ = super().turn(int(self.numbers[run]))
        own = self.outside[loop]
        places = digits(self.outside, self.numbers[run : run + 1])[0]
        beyond = sum(int(n) * one.stride for n, one in zip(places, self.outside, strict=True) if one.dim == own.dim)
        start = beyond - turn * own.stride
        return loop, turn, min(own.bound, ceil((self.sizes[own.dim] - start) / own.stride))

    def margin(self, run: int, loop: int, depths: Sequence[tuple[Course, int]]) -> int:
        """As of runs that are alike, by the turn before."""
        turn = prod(self.bounds[:loop])
        before = int(np.searchsorted(self.numbers, self.numbers[run] - turn))
        moving = [(course, depth) for course, depth in depths if course.ratio <= turn]
        return max([1, *(ceil(depth / (c.tile_at(run) - c.tile_at(before))) for c, depth in moving)])


def runs_of(nest: LoopNest, each: int) -> Runs:
    """The runs of a mapping, of so many steps each where none is cut short.

    Raises:
        NotSupported: some are, and there are more than `MOST_RUNS`.
    """
    temporal = nest.outside(-1)
    inside = next(i for i in range(len(temporal) + 1) if prod(loop.bound for loop in temporal[:i]) == each)
    outside = temporal[inside:]
    bounds = tuple(loop.bound for loop in outside)
    if not nest.cut:
        return Runs(bounds, each)
    if prod(bounds) > MOST_RUNS:
        raise NotSupported(
            f"factors multiply to more than a bound, and the MACs take new tiles {prod(bounds)} times; up to "
            f"{MOST_RUNS} are simulated in time then"
        )
    numbers = np.arange(prod(bounds), dtype=np.int64)
    work = np.ones_like(numbers)
    steps = steps_inside(outside)
    for dim, size in nest.problem.sizes.items():
        start = np.zeros_like(numbers)
        for loop, step in zip(outside, steps.tolist(), strict=True):
            if loop.dim == dim:
                start += (numbers // step) % loop.bound * loop.stride
        work *= np.searchsorted(sorted(offsets_of(dim, temporal[:inside])), size - start)
    return CutRuns(bounds, each, outside, dict(nest.problem.sizes), numbers[work > 0], work[work > 0])


@dataclass(frozen=True)
class CutLink(Link):
    """A link whose tiles are cut short where dimensions end: those of the first child, the largest there are.

    Attributes:
        numbers: `[tiles]` of those with work, as if all had.
    """

    numbers: Ints

    @cached_property
    def changes(self) -> tuple[int, ...]:
        """Words of all kinds of transfers."""
        return tuple(sorted({*self._words[0].tolist(), *self._words[1].tolist()}))

    @cached_property
    def size(self) -> int:
        """Words of the largest tile."""
        return int(self._words[0][0])

    def fetched(self, i: int) -> int:
        """Words that the child needs for its i-th tile; of sums, those that it has had before."""
        if self.read_write and not self._revisit(int(self.numbers[i])):
            return 0
        return int(self._words[0][i])

    def drained(self, i: int) -> int:
        """Words of sums that leave with the i-th tile."""
        return int(self._words[1][i])

    @cached_property
    def _words(self) -> tuple[Ints, Ints]:
        """`[tiles]` words that are new in each tile, and those that are not in the next one."""
        space, nest = self.tile.dataspace, self.tile.nest
        turns, reach = digits(self.loops, self.numbers), nest.extents(self.child)
        low = np.zeros((len(space.projection), len(turns)), dtype=np.int64)
        high = np.zeros_like(low)
        for row, rank in enumerate(space.projection):
            for dim, c in rank:
                start = turns @ np.array([loop.stride * (loop.dim == dim) for loop in self.loops], dtype=np.int64)
                low[row] += c * start
                high[row] += c * (np.minimum(start + reach[dim], nest.problem.sizes[dim]) - 1)
        words = (high - low + 1).prod(0)
        shared = np.minimum(high[:, 1:], high[:, :-1]) - np.maximum(low[:, 1:], low[:, :-1]) + 1
        shared = shared.clip(min=0).prod(0)
        if self.restart == "refetch":
            inside = steps_inside(self.loops)
            shared = np.where(outermost(self.numbers[:-1], self.numbers[1:], inside) > 0, 0, shared)
        return words - np.r_[0, shared], words - np.r_[shared, 0]


def cut_link(link: Link, runs: CutRuns) -> CutLink:
    """A link with its tiles as they are cut short by these runs."""
    return CutLink(link.tile, link.parent, link.restart, np.unique(runs.numbers // (link.period // runs.each)))
