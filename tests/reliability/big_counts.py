"""The counts of the cost model's docstrings in Python's integers, which neither round nor overflow."""

from collections.abc import Sequence
from itertools import product
from math import prod

import numpy as np

from dlco.mapping.mapping import Mapping
from dlco.workload import Dataspace, Problem

Extents = dict[str, int]
Table = list[list[int]]


def big_counts(problem: Problem, mapping: Mapping, kept: Sequence[Sequence[str]]) -> dict[str, Table]:
    """`[levels][spaces]` reads, fills and updates an instance, a tile refetched wherever a slide starts anew.

    Args:
        problem: the work.
        mapping: what runs.
        kept: for each level the dataspaces that it keeps.
    """
    columns = [_Space(problem, mapping, space, [space.name in names for names in kept]) for space in problem.dataspaces]
    rows = [one.counts() for one in columns]
    return {name: [list(row) for row in zip(*(one[name] for one in rows), strict=True)] for name in rows[0]}


class _Space:
    def __init__(self, problem: Problem, mapping: Mapping, space: Dataspace, kept: Sequence[bool]) -> None:
        self.problem, self.mapping, self.space, self.kept = problem, mapping, space, kept
        self.levels = len(kept)
        self.spread: list[Extents] = []  # what a level's children cover together
        self.tile: list[Extents] = []
        self.pitch: list[Extents] = []  # tile of a child
        below = dict.fromkeys(problem.dimensions, 1)
        for temporal, x, y in mapping.factors:
            self.pitch.append(below)
            self.spread.append({d: below[d] * x[i] * y[i] for i, d in enumerate(problem.dimensions)})
            below = {d: self.spread[-1][d] * temporal[i] for i, d in enumerate(problem.dimensions)}
            self.tile.append(below)

    def counts(self) -> dict[str, list[int]]:
        """Columns of reads, fills and updates."""
        top = max(level for level in range(self.levels) if self.kept[level])
        asked = prod(n for row in self.mapping.temporal for n in row)
        result = {name: [0] * self.levels for name in ("reads", "fills", "updates")}
        for level in range(top + 1):
            asked *= self.distinct(level)
            if not self.kept[level]:
                continue
            received = self.received(level) if level < top else 0
            if self.space.read_write:
                first = self.partition(level)
                result["updates"][level] = asked
                result["reads"][level] = max(0, asked - first)
                result["fills"][level] = max(0, received - first) if level < top else 0
            else:
                result["reads"][level], result["fills"][level] = asked, received
            asked = self.received(level)
        return result

    def box(self, extents: Extents) -> list[int]:
        return [1 + sum(c * (extents[d] - 1) for d, c in rank) for rank in self.space.projection]

    def moves(self, dim: str, step: int) -> list[int]:
        return [sum(c * step for d, c in rank if d == dim) for rank in self.space.projection]

    def received(self, level: int) -> int:
        """Words served to a tile over the execution."""
        box = self.box(self.tile[level])
        loops = [
            (self.mapping.temporal[outer][self.problem.dimensions.index(d)], self.moves(d, self.spread[outer][d]))
            for outer in range(level + 1, self.levels)
            for d in self.mapping.order[outer]
        ]
        loops = [(n, move) for n, move in loops if n > 1]
        words = prod(box)
        for i, (n, move) in enumerate(loops):
            if any(move):
                overlap = prod(max(0, b - m) for b, m in zip(box, move, strict=True))
                return (words + (n - 1) * (words - overlap)) * prod(m for m, _ in loops[i + 1 :])
        return words

    def distinct(self, level: int) -> int:
        """Children of a level with different words."""
        result = 1
        for rank in self.space.projection:
            offsets = np.zeros(1, dtype=object)
            for d, c in rank:
                i = self.problem.dimensions.index(d)
                n = self.mapping.spatial_x[level][i] * self.mapping.spatial_y[level][i]
                steps = [j * c * self.pitch[level][d] for j in range(n)] if len(rank) > 1 else [0] * n
                if len(rank) == 1:
                    result *= n
                elif n > 1:
                    offsets = np.array(sorted({a + b for a, b in product(offsets.tolist(), steps)}), dtype=object)
            result *= len(offsets)
        return result

    def partition(self, level: int) -> int:
        """Words of the tensor that an instance sees first, in whole words."""
        if level == self.levels - 1:
            return prod(self.box(self.tile[level]))
        if self.spread[level + 1] == self.pitch[level + 1]:
            return self.partition(level + 1)
        together = prod(self.box(self.spread[level + 1]))
        return self.partition(level + 1) * prod(self.box(self.tile[level])) // together
