"""A loop nest of imperfect factors executed step by step: loops are clipped where a dimension ends.

Nothing here knows a formula for traffic or for means. Every temporal iteration of every instance is visited, every
tile is a set of coordinates cut off at the bounds, and what arrives is a set difference, or the whole tile when a loop
outside the first one that moves it steps ("refetch"). All counts are totals over all instances.
"""

from collections import defaultdict
from dataclasses import dataclass
from itertools import product
from math import prod

from dlco.mapping.mapping import Mapping
from dlco.workload.problem import Dataspace, Problem

from .walker import Loop, loops_of

Point = tuple[int, ...]
Words = frozenset[Point]


@dataclass(frozen=True)
class Visit:
    """One temporal step at one instance: what it newly receives."""

    step: Point
    instance: Point
    received: Words


class ImperfectWalker:
    """Executes one dataspace of a mapping.

    Args:
        problem: the work; its bounds clip the loops.
        mapping: what runs.
        space: the dataspace, kept at every level.
    """

    def __init__(self, problem: Problem, mapping: Mapping, space: Dataspace) -> None:
        self.sizes, self.space = problem.sizes, space
        self.loops = loops_of(mapping)  # innermost first
        self.levels = len(mapping.levels)

    def macs(self) -> int:
        """Points of the nest that lie inside the bounds."""
        return len(self._offsets(self.loops))

    def cycles(self) -> int:
        """Temporal steps at which at least one MAC has work."""
        temporal = [i for i, loop in enumerate(self.loops) if loop.temporal]
        return len({tuple(digits[i] for i in temporal) for digits in self._offsets(self.loops)})

    def largest_tile(self, level: int) -> int:
        """Words of the largest tile of a level."""
        outside = [loop for loop in self.loops if loop.level > level]
        return max(len(self._tile(level, offset)) for offset in self._offsets(outside).values())

    def fills(self, level: int) -> int:
        """Words that all tiles of a level receive."""
        return sum(len(visit.received) for visit in self._visits(level))

    def most_filled(self, level: int) -> int:
        """Words that the busiest instance of a level receives."""
        received: dict[Point, int] = defaultdict(int)
        for visit in self._visits(level):
            received[visit.instance] += len(visit.received)
        return max(received.values())

    def asked(self, level: int) -> int:
        """Words that a level's instances exchange with their children; what another child gets at the step once."""
        groups = defaultdict(set)
        below = [loop for loop in self.loops if loop.level >= level and not loop.temporal]
        above = [i for i, loop in enumerate(below) if loop.level > level]
        for visit in self._visits(level - 1):
            parent = tuple(visit.instance[i] for i in above)
            groups[visit.step, parent].add(visit.received)
        return sum(len(one) for sets in groups.values() for one in sets if not any(one < other for other in sets))

    def first_visits(self, level: int) -> int:
        """Distinct words that each instance of a level sees, added up."""
        seen = defaultdict(set)
        for visit in self._visits(level):
            seen[visit.instance] |= visit.received
        return sum(map(len, seen.values()))

    def _offsets(self, loops: list[Loop]) -> dict[Point, dict[str, int]]:
        """Digits (innermost loop first) and offsets of the iterations inside the bounds, in order of execution."""
        found = {}
        for reverse in product(*(range(loop.bound) for loop in reversed(loops))):
            digits = reverse[::-1]
            offset = dict.fromkeys(self.sizes, 0)
            for loop, digit in zip(loops, digits, strict=True):
                offset[loop.dim] += digit * loop.step
            if all(offset[dim] < size for dim, size in self.sizes.items()):
                found[digits] = offset
        return found

    def _tile(self, level: int, offset: dict[str, int]) -> Words:
        ends = {}
        for dim, size in self.sizes.items():
            reach = prod(loop.bound for loop in self.loops if loop.level <= level and loop.dim == dim)
            ends[dim] = min(offset[dim] + reach, size) - 1
        ranges = [
            range(sum(c * offset[d] for d, c in rank), sum(c * ends[d] for d, c in rank) + 1)
            for rank in self.space.projection
        ]
        return frozenset(product(*ranges))

    def _visits(self, level: int) -> list[Visit]:
        """What every instance receives, in order of execution; below level 0 are the MACs."""
        outside = [loop for loop in self.loops if loop.level > level]
        time = [i for i, loop in enumerate(outside) if loop.temporal]
        place = [i for i, loop in enumerate(outside) if not loop.temporal]
        moves = [any(outside[i].dim == d for rank in self.space.projection for d, _ in rank) for i in time]
        slide = moves.index(True) if any(moves) else len(time)
        last: dict[Point, tuple[Point, Words]] = {}
        visits = []
        steps = sorted(self._offsets(outside).items(), key=lambda item: tuple(item[0][i] for i in reversed(time)))
        for digits, offset in steps:
            step, instance = tuple(digits[i] for i in time), tuple(digits[i] for i in place)
            tile = self._tile(level, offset)
            received = tile
            if level >= 0 and instance in last:
                before, held = last[instance]
                stepped = max(i for i in range(len(step)) if step[i] != before[i])
                received = tile if stepped > slide else tile - held
            last[instance] = (step, tile)
            visits.append(Visit(step, instance, received))
        return visits
