"""A loop nest executed step by step, counting words with sets: an independent truth for the cost model.

Nothing here knows a formula for traffic. Every temporal iteration is visited, every tile is a set of coordinates,
and what a child receives is a set difference, or the whole tile where the restart rule says so. Slow on purpose.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from math import prod

import numpy as np

from dlco.mapping.mapping import SPATIAL_X, SPATIAL_Y, TEMPORAL, Mapping
from dlco.workload.problem import Dataspace

Digits = tuple[int, ...]
Point = tuple[int, ...]
Words = frozenset[Point]


@dataclass(frozen=True)
class Loop:
    """One loop of the nest: iteration i adds `i * step` to its dimension."""

    level: int
    temporal: bool
    dim: str
    bound: int
    step: int


@dataclass(frozen=True)
class Count:
    """Words of one dataspace at one level, per instance, and how many different ones are updated."""

    reads: int = 0
    fills: int = 0
    updates: int = 0
    distinct_updates: int = 0


@dataclass(frozen=True)
class Delivery:
    """What a tile receives at one step: `words` relative to the tile's `offset`, in `times` alike steps."""

    times: int
    offset: Point
    words: Words


def loops_of(mapping: Mapping) -> list[Loop]:
    """All loops of more than one iteration, innermost first: a level's spatial loops lie inside its temporal ones."""
    loops = []
    reach = dict.fromkeys(mapping.dimensions, 1)
    for level, slots in enumerate(mapping.factors):
        orders = {
            SPATIAL_X: mapping.spatial_order[level],
            SPATIAL_Y: mapping.spatial_order[level],
            TEMPORAL: mapping.order[level],
        }
        for slot, order in orders.items():
            for dim in order:
                bound = slots[slot][mapping.dimensions.index(dim)]
                if bound > 1:
                    loops.append(Loop(level, slot == TEMPORAL, dim, bound, reach[dim]))
                    reach[dim] *= bound
    return loops


def run(space: Dataspace, loops: Sequence[Loop]) -> list[tuple[Digits, Point]]:
    """Every iteration in the order of execution: its digits, innermost loop first, and the word it touches.

    Loops that are not among these stay at their first iteration.
    """
    moves = [[sum(c * loop.step for dim, c in rank if dim == loop.dim) for rank in space.projection] for loop in loops]
    digits = np.array(list(product(*(range(loop.bound) for loop in reversed(loops)))), dtype=np.int64)[:, ::-1]
    points = digits @ np.array(moves, dtype=np.int64).reshape(len(loops), len(space.projection))
    return list(zip(map(tuple, digits.tolist()), map(tuple, points.tolist()), strict=True))


def bounding_box(space: Dataspace, loops: Sequence[Loop]) -> Words:
    """What a buffer allots for all iterations of the loops: every coordinate between the least and the greatest."""
    columns = zip(*(point for _, point in run(space, loops)), strict=True)
    return frozenset(product(*(range(min(column), max(column) + 1) for column in columns)))


def shift(words: Words, move: Point) -> Words:
    """The words moved."""
    return frozenset(tuple(p + m for p, m in zip(word, move, strict=True)) for word in words)


def difference(a: Point, b: Point) -> Point:
    """The move from `b` to `a`."""
    return tuple(p - q for p, q in zip(a, b, strict=True))


class Walker:
    """Executes one dataspace of a mapping under one restart rule.

    Args:
        mapping: what runs.
        space: the dataspace.
        kept: for each level whether it keeps the dataspace.
        restart: "overlap", "refetch" or "timeloop".
    """

    def __init__(self, mapping: Mapping, space: Dataspace, kept: Sequence[bool], restart: str) -> None:
        self.space, self.kept, self.restart = space, tuple(kept), restart
        self.loops = loops_of(mapping)
        self.levels = len(mapping.levels)
        self.top = max(level for level in range(self.levels) if kept[level])

    def counts(self) -> list[Count]:
        """`[levels]` counts; zeros where a level bypasses the dataspace."""
        return [self._count(level) if self.kept[level] else Count() for level in range(self.levels)]

    def tile(self, level: int) -> Words:
        """The box of all loops at and under a level; of a MAC (level -1) a single word."""
        return bounding_box(self.space, [loop for loop in self.loops if loop.level <= level])

    def received(self, level: int) -> int:
        """Words that one instance's tile receives over the execution."""
        return sum(delivery.times * len(delivery.words) for delivery in self._deliveries(level))

    def partition(self, level: int) -> int:
        """Share of the tensor that one instance sees: that of its parent, split over the parent's children.

        In whole words, from the sizes of boxes. Where boxes have no gaps and do not overlap, this is the number of
        distinct words that the instance touches; else an estimate, which may even exceed the number of visits.
        """
        if level == self.levels - 1:
            return len(self.tile(level))
        across = self._across(level + 1)
        if not across:
            return self.partition(level + 1)
        together = bounding_box(self.space, [*(loop for loop in self.loops if loop.level <= level), *across])
        return self.partition(level + 1) * len(self.tile(level)) // len(together)

    def _count(self, level: int) -> Count:
        asked, distinct = self._asked(level)
        received = self.received(level) if level < self.top else 0
        if not self.space.read_write:
            return Count(reads=asked, fills=received)
        first_visits = self.partition(level)
        fills = max(0, received - first_visits) if level < self.top else 0
        return Count(max(0, asked - first_visits), fills, asked, distinct)

    def _asked(self, level: int) -> tuple[int, int]:
        """Words that an instance exchanges with what is below it over the execution, and the different ones of them.

        Children that ask for the same words at the same step are served by one access, and their partial sums are
        added up on the way into one update; this goes for the instances of a level that bypasses, too.
        """
        below = max((lv for lv in range(level) if self.kept[lv]), default=-1)
        spread = [[point for _, point in run(self.space, self._across(lv))] for lv in range(below + 1, level + 1)]
        words = 0
        distinct: set[Point] = set()
        for delivery in self._deliveries(below):
            asked = [delivery.words]
            for moves in spread:
                children = {tuple(shift(part, move) for part in asked) for move in moves}
                asked = [part for child in children for part in child]
            words += delivery.times * sum(len(part) for part in asked)
            for part in asked:
                distinct |= shift(part, delivery.offset)
        return words, len(distinct)

    def _across(self, level: int) -> list[Loop]:
        return [loop for loop in self.loops if loop.level == level and not loop.temporal]

    def _deliveries(self, level: int) -> Iterable[Delivery]:
        """What one instance receives at every step of the loops outside its tile."""
        tile = self.tile(level)
        outside = [loop for loop in self.loops if loop.temporal and loop.level > level]
        if level < 0:  # a MAC takes its operand every cycle
            return (Delivery(1, offset, tile) for _, offset in run(self.space, outside))
        if self.restart == "timeloop":
            return self._two_iterations(tile, outside)
        return self._all_iterations(tile, outside)

    def _all_iterations(self, tile: Words, outside: list[Loop]) -> Iterator[Delivery]:
        """The true execution; "refetch" fetches the whole tile when a loop outside the sliding one steps."""
        moves = [any(run(self.space, [loop])[1][1]) for loop in outside]
        slide = moves.index(True) if any(moves) else len(outside)
        last: Point | None = None
        before: Digits = ()
        for digits, offset in run(self.space, outside):
            if last is None:
                fetched = tile
            else:
                stepped = max(i for i, (now, then) in enumerate(zip(digits, before, strict=True)) if now != then)
                restarted = self.restart == "refetch" and stepped > slide
                fetched = tile if restarted else tile - shift(tile, difference(last, offset))
            yield Delivery(1, offset, fetched)
            last, before = offset, digits

    def _two_iterations(self, tile: Words, outside: list[Loop]) -> Iterator[Delivery]:
        """Timeloop's recursion: every loop runs twice, and the second iteration stands for all but the first.

        The slab is fetched while the tile keeps moving by one and the same step, else the whole tile.
        """
        last: Point | None = None
        step: Point | None = None
        for digits, offset in run(self.space, [replace(loop, bound=2) for loop in outside]):
            times = prod(loop.bound - 1 for loop, digit in zip(outside, digits, strict=True) if digit)
            if last is None:
                fetched = tile
            else:
                move = difference(offset, last)
                fetched = tile - shift(tile, difference(last, offset))
                if any(move) and step is None:
                    step = move
                elif any(move) and move != step:
                    step, fetched = None, tile
            yield Delivery(times, offset, fetched)
            last = offset
