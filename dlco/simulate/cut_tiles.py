"""Counts where factors multiply to more than a bound: every instance, at every step, its tile cut at the bounds.

All instances are followed, since not all have the same to do: one whose tile lies beyond a bound is idle, keeps what
it holds, and goes on from there. At each of its steps it receives a whole tile, or the part of it that it does not
hold; children of one instance that receive the same words at one step are served once.

Of a result, an instance sees the words of its tiles: each is written once without having been read, and filled once
without having been fetched.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod

import numpy as np
from numpy.typing import NDArray

from dlco.errors import NotSupported
from dlco.simulate.loopnest import Ints, Loop, LoopNest, digits, steps_inside
from dlco.simulate.tiles import Tile
from dlco.workload.problem import Dataspace

PAIRS = 1 << 19  # steps times instances that are looked at together


@dataclass(frozen=True)
class Deliveries:
    """What instances receive at some steps, a row each; rows without words are left out.

    Attributes:
        step, instance, words: `[rows]`.
        key: `[rows, 4]` equal where the words are the same.
        times: `[steps]` how often each step comes.
    """

    step: Ints
    instance: Ints
    words: Ints
    key: Ints
    times: Ints


@dataclass(frozen=True)
class CutWalk:
    """One dataspace of loops whose last tiles are cut short.

    Attributes:
        nest: the loops; their dimensions end at the problem's bounds.
        space: position of the dataspace.
        restart: "refetch" or "overlap".
    """

    nest: LoopNest
    space: int
    restart: str

    @property
    def dataspace(self) -> Dataspace:
        """Whose words they are."""
        return self.nest.problem.dataspaces[self.space]

    def received(self, level: int) -> int:
        """Words that all tiles of a level receive."""
        return sum(int(one.words @ one.times[one.step]) for one in self._deliveries(level))

    def served(self, level: int, child: int) -> int:
        """Words that all instances of a level hand to their children, the instances of level `child` (-1: MACs).

        Levels between bypass the dataspace: each asks for what its own children ask for, in turn.
        """
        return sum(self._merged(one, level, child) for one in self._deliveries(child))

    def seen(self, level: int) -> int:
        """Different words that are in the tiles of an instance of a level, added up over the instances."""
        return int(self._seen(level).sum())

    def seen_by_first(self, level: int) -> int:
        """The same of the first instance, which sees the most."""
        return int(self._seen(level)[0])

    def _seen(self, level: int) -> Ints:
        place = self._places(level)
        counts = np.where(self._used(place), 1, 0)
        named = [dim for rank in self.dataspace.projection for dim, _ in rank]
        if len(set(named)) < len(named):
            raise NotSupported(
                f"{self.dataspace.name} names a dimension twice; where factors multiply to more than a bound, the "
                "words that an instance sees are counted rank by rank"
            )
        for rank in filter(None, self.dataspace.projection):
            corners, place_of = np.unique(
                np.stack([place[dim] for dim, _ in rank], axis=-1), axis=0, return_inverse=True
            )
            found = np.array([len(self._words_along(rank, corner, level)) for corner in corners.tolist()])
            counts = counts * found[place_of.reshape(-1)]
        return counts

    def _words_along(self, rank: Sequence[tuple[str, int]], corner: Sequence[int], level: int) -> set[int]:
        """Places along a rank of the words that the tiles hold of an instance whose loops begin at a corner."""
        reach, sizes, words = self.nest.extents(level), self.nest.problem.sizes, set[int]()
        for turn in product(*(offsets_of(dim, self.nest.outside(level)) for dim, _ in rank)):
            starts = [(dim, c, at + by) for (dim, c), at, by in zip(rank, corner, turn, strict=True)]
            if all(start < sizes[dim] for dim, _, start in starts):
                low = sum(c * start for _, c, start in starts)
                high = sum(c * (min(start + reach[dim], sizes[dim]) - 1) for dim, c, start in starts)
                words.update(range(low, high + 1))
        return words

    def instances(self, level: int) -> int:
        """Instances of a level that work at some time."""
        return int(self._used(self._places(level)).sum())

    def _places(self, level: int) -> dict[str, Ints]:
        """What each instance of a level adds to each dimension, `[instances]`; children of one lie side by side."""
        loops = [loop for loop in self.nest.loops if not loop.temporal and loop.level > level]
        turns = digits(loops, np.arange(prod(loop.bound for loop in loops)))
        return {dim: turns @ _strides(dim, loops) for dim in self.nest.problem.dimensions}

    def _used(self, place: dict[str, Ints]) -> NDArray[np.bool_]:
        """Which instances have work at the first step, as all do that ever have any."""
        inside = [place[dim] < size for dim, size in self.nest.problem.sizes.items()]
        return np.logical_and.reduce(inside)

    def _deliveries(self, level: int) -> Iterator[Deliveries]:
        if level < 0:
            yield from self._operands()
            return
        loops, place = self.nest.outside(level), self._places(level)
        total, width = prod(loop.bound for loop in loops), len(next(iter(place.values())))
        first_mover = Tile(self.nest, self.space, level).first_mover
        inside = steps_inside(loops)
        size = max(1, PAIRS // width)
        ranks = len(self.dataspace.projection)
        # The first row is the last step at which each instance had work before; step -1 for none.
        held = np.zeros((2, ranks, 1, width), dtype=np.int64)
        when = np.full((1, width), -1)
        for start in range(0, total, size):
            steps = np.arange(start, min(start + size, total), dtype=np.int64)
            turns = digits(loops, steps)
            offsets = {dim: turns @ _strides(dim, loops) for dim in self.nest.problem.dimensions}
            active, low, high = self._boxes(level, offsets, place)
            boxes = np.concatenate([held, np.stack([low, high])], axis=2)
            number = np.concatenate([when, np.where(active, steps[:, None], -1)])
            row = np.where(number >= 0, np.arange(len(number))[:, None], 0)
            last = np.maximum.accumulate(row, axis=0)
            step, instance = np.nonzero(active)
            before = last[step, instance]
            then = number[before, instance]
            now = boxes[:, :, step + 1, instance]
            old = boxes[:, :, before, instance]
            whole = then < 0
            if self.restart == "refetch":
                whole |= outermost(then, steps[step], inside) > first_mover
            words, key = _difference(now, old, whole)
            some = words > 0
            yield Deliveries(
                step[some], instance[some], words[some], key[:, some].T, np.ones(len(steps), dtype=np.int64)
            )
            held = boxes[:, :, last[-1], np.arange(width)][:, :, None]
            when = number[last[-1], np.arange(width)][None]

    def _operands(self) -> Iterator[Deliveries]:
        """A word for every MAC that has work, at every step; steps at which the same ones have come together."""
        place = self._places(-1)
        temporal = self.nest.outside(-1)
        alike: list[list[tuple[int, int]]] = []  # for each dimension, an offset and how many others leave the same idle
        for dim, size in self.nest.problem.sizes.items():
            spots = np.unique(place[dim])
            found: dict[bytes, tuple[int, int]] = {}
            for offset in offsets_of(dim, temporal):
                if offset < size:
                    mask = (spots + offset < size).tobytes()
                    first, times = found.get(mask, (offset, 0))
                    found[mask] = first, times + 1
            alike.append(list(found.values()))
        steps = list(product(*alike))
        size = max(1, PAIRS // len(next(iter(place.values()))))
        for start in range(0, len(steps), size):
            some = steps[start : start + size]
            often = np.array([prod(n for _, n in one) for one in some])
            offsets = {dim: np.array([one[d][0] for one in some]) for d, dim in enumerate(self.nest.problem.dimensions)}
            active, low, high = self._boxes(-1, offsets, place)
            step, instance = np.nonzero(active)
            now = np.stack([low, high])[:, :, step, instance]
            words, key = _difference(now, now, np.ones(len(step), dtype=bool))
            yield Deliveries(step, instance, words, key.T, often)

    def _boxes(
        self, level: int, offsets: dict[str, Ints], place: dict[str, Ints]
    ) -> tuple[NDArray[np.bool_], Ints, Ints]:
        """(which instances have work at each step, `[steps, instances]`; first and last word, `[ranks, ...]`)."""
        reach, sizes = self.nest.extents(level), self.nest.problem.sizes
        starts = {dim: offsets[dim][:, None] + place[dim][None, :] for dim in sizes}
        active = np.logical_and.reduce([starts[dim] < size for dim, size in sizes.items()])
        ends = {dim: np.minimum(starts[dim] + reach[dim], size) - 1 for dim, size in sizes.items()}
        corners = np.zeros((2, len(self.dataspace.projection), *active.shape), dtype=np.int64)
        for corner, where in zip(corners, (starts, ends), strict=True):
            for row, rank in zip(corner, self.dataspace.projection, strict=True):
                for dim, c in rank:
                    row += c * where[dim]
        return active, corners[0], corners[1]

    def _merged(self, one: Deliveries, level: int, child: int) -> int:
        step, unit, words = one.step, one.instance, one.words
        fans = [prod(loop.bound for loop in self.nest.across(between)) for between in range(child + 1, level + 1)]
        fans = [fan for fan in fans if fan > 1]
        if fans and len(words):
            key = _numbered(one.key)
            for position, fan in enumerate(fans):
                unit = unit // fan
                units, keys = int(unit.max()) + 1, int(key.max()) + 1
                first = np.unique((step * units + unit) * keys + key, return_index=True)[1]
                step, unit, key, words = step[first], unit[first], key[first], words[first]
                if position + 1 < len(fans):
                    step, unit, key, words = _bundled(step, unit, key, words)
        return int(words @ one.times[step])


def _bundled(step: Ints, unit: Ints, key: Ints, words: Ints) -> tuple[Ints, Ints, Ints, Ints]:
    """Rows in order, those of one instance at one step as one: keys are equal where all of theirs are."""
    starts = np.flatnonzero(np.r_[True, (np.diff(step) != 0) | (np.diff(unit) != 0)])
    ids: dict[bytes, int] = {}
    bundles = [ids.setdefault(part.tobytes(), len(ids)) for part in np.split(key, starts[1:])]
    return step[starts], unit[starts], np.array(bundles), np.add.reduceat(words, starts)


def _numbered(rows: Ints) -> Ints:
    """A number for every row, `[rows]`, the same for equal ones."""
    found = np.zeros(len(rows), dtype=np.int64)
    for column in rows.T:
        kinds, place = np.unique(column, return_inverse=True)
        found = np.unique(found * len(kinds) + place.reshape(-1), return_inverse=True)[1].reshape(-1)
    return found


def _difference(now: Ints, old: Ints, whole: NDArray[np.bool_]) -> tuple[Ints, Ints]:
    """(words, keys `[4, rows]`) of boxes `[first or last, ranks, rows]`, or of what other boxes do not hold of them."""
    low, high = now
    inner_low, inner_high = np.maximum(low, old[0]), np.minimum(high, old[1])
    alone = whole | (inner_low > inner_high).any(0)
    inner = np.where(alone, 0, (inner_high - inner_low + 1).prod(0))
    words = (high - low + 1).prod(0) - inner
    differs = (inner_low != low) | (inner_high != high)
    box = ~alone & (differs.sum(0) == 1)  # what is left is a box where it lies on one side
    below, above = box & differs & (inner_low == low), box & differs & (inner_high == high)
    low, high = np.where(below, inner_high + 1, low), np.where(above, inner_low - 1, high)
    alone |= (below | above).any(0)
    corners = [low, high, np.where(alone, 0, inner_low), np.where(alone, -1, inner_high)]
    widths = [int(row.max(initial=0)) + 2 for row in high]
    frame = np.array([prod(widths[i + 1 :]) for i in range(len(widths))], dtype=np.int64)
    return words, np.stack([frame @ (corner + 1) for corner in corners])


def outermost(then: Ints, now: Ints, inside: Ints) -> Ints:
    """Position of the outermost loop in which two steps differ."""
    return sum(((then // steps != now // steps).astype(np.int64) for steps in inside.tolist()), np.zeros_like(now)) - 1


def _strides(dim: str, loops: Sequence[Loop]) -> Ints:
    return np.array([loop.stride if loop.dim == dim else 0 for loop in loops], dtype=np.int64)


def offsets_of(dim: str, loops: Sequence[Loop]) -> list[int]:
    """All that the loops add to a dimension."""
    found = [0]
    for loop in loops:
        if loop.dim == dim:
            found = [at + i * loop.stride for i in range(loop.bound) for at in found]
    return found


def steps_with_work(nest: LoopNest) -> int:
    """Steps of all temporal loops at which some MAC has work."""
    temporal = nest.outside(-1)
    sizes = nest.problem.sizes.items()
    return prod(sum(offset < size for offset in offsets_of(dim, temporal)) for dim, size in sizes)
