"""The pairs of labels and spatial factors that coarse bounds leave, without looking at each pair by itself.

For every vector of spatial factors, the most promising first: what the best of its cycles and energies is at most
allowed to leave; the labels that may cost so little inside a processing element, which lie sorted; and for each of them
the state that it reaches, a sum of one number a dimension, at which the rest of the bound is looked up.

Spatial factors larger than the least that leave as many groups of children are dropped, but where the last tile is cut
short and alone in its group, where more children that add up a result read back fewer of its words, and where windows
lie or slide over them.
"""

from collections.abc import Sequence
from functools import cached_property, lru_cache
from itertools import permutations
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from dlco.exact.bounds import DOWN, whole_cycles
from dlco.exact.count_bounds import CountBounds
from dlco.exact.count_tables import CountTables
from dlco.exact.counts import tile_count
from dlco.exact.frontier import Frontier
from dlco.exact.lattice import Bools, Floats, Ints

SHRUNK = 0.8  # share of labels below which the others are forgotten
FIRST, STEP = 16, 256  # vectors of spatial factors between two looks at what is allowed
NONE = -(1 << 28)  # of a sum that stands for no state


class Points(Protocol):
    """Who knows the points found so far."""

    front: Frontier


class PairScan:
    """The scan of one problem on one machine.

    Attributes:
        least: `[states]` the least pJ a MAC of the pairs that reach a state, `fixed_pj` aside.
    """

    def __init__(self, tables: CountTables, bounds: CountBounds, points: "Points") -> None:
        """`points`: whose front says what is excluded; asked anew at every step."""
        self.tables, self.bounds, self._points = tables, bounds, points
        self.least = np.min([one.least for one in bounds.coarse], axis=0)
        self.of_label = np.min([one.least_of(bounds.labels.reached) for one in bounds.coarse], axis=0)
        self.reach = np.inf  # pJ a MAC at which states and labels were last excluded
        self.good, self._below = np.append(False, np.isfinite(self.least)), np.ones(len(self.least), dtype=bool)
        self._start, self._size = 0, FIRST
        self._take(np.arange(len(bounds.labels)))

    def _take(self, label: Ints) -> None:
        """Look at these labels from now on."""
        self.label, whole = label, self.bounds.labels.outermost[label]
        self.whole = [np.ascontiguousarray(whole[:, d]) - 1 for d in range(self.tables.dims)]
        self.column, self.steps = lru_cache(maxsize=1024)(self._column), lru_cache(maxsize=1024)(self._steps)
        self.rows = [
            ((one.inner[label] * DOWN).astype(np.float32), (one.beyond * DOWN).astype(np.float32))
            for one in self.bounds.coarse
        ]

    @cached_property
    def cycles(self) -> Floats:
        """`[S]` least cycles of every vector of spatial factors."""
        tables = self.tables
        slowest = tables.macs * self.bounds.slowest[self.tables.spatial]
        return whole_cycles(np.maximum(np.maximum(tables.macs / tables.children, slowest), tables.compulsory_cycles))

    @cached_property
    def saved_pj(self) -> Floats:
        """`[S, bounds]` pJ a MAC that first visits save at most under every coarse bound."""
        alike = self.tables.fans[self.tables.shared].irrelevant
        return np.stack([alike @ one.saved for one in self.bounds.coarse], 1)

    @cached_property
    def fixed_pj(self) -> Floats:
        """`[S]` pJ a MAC that each of them costs whatever the label, before first visits save any."""
        tables = self.tables
        visits = tables.fans[tables.shared].irrelevant @ (self.bounds.visits_pj / tables.irrelevant[-1])
        cycles = np.where(np.isfinite(self.cycles), self.cycles, 0.0)  # infinite where no tile fits that follows
        return tables.constant_pj + visits + tables.leak_pj * cycles / tables.macs

    @cached_property
    def _beyond(self) -> Floats:
        """`[S]` least pJ a MAC of all pairs of each of them."""
        return self.fixed_pj + self.tables.lattice.least_of_multiples(self.least)[self.tables.spatial]

    @cached_property
    def _order(self) -> Ints:
        rows = np.flatnonzero(np.isfinite(self._beyond) & np.isfinite(self.cycles))
        return rows[np.argsort(self._beyond[rows] * self.cycles[rows], kind="stable")]

    @property
    def done(self) -> bool:
        """Whether all spatial factors have been looked at."""
        return self._start >= len(self._order)

    @property
    def left(self) -> tuple[Floats, Floats]:
        """(pJ, cycles) `[k]` least of the spatial factors that have not been looked at."""
        rest = self._order[self._start :]
        return self._beyond[rest] * self.tables.macs, self.cycles[rest]

    def next(self) -> tuple[Ints, Ints, Ints]:
        """(label, row of spatial factors, state reached) of pairs of the next ones that may be better points."""
        some = self._order[self._start : self._start + self._size]
        self._exclude()
        limit = self._points.front.allowed(self.cycles[some]) / self.tables.macs - self.fixed_pj[some]
        below = self._below[self.tables.spatial[some]] | (self.cycles[some] < self._fastest)
        none = np.zeros(0, dtype=np.int64)
        found = [(none, none, none)]
        for s, most_pj in zip(some[below].tolist(), limit[below].tolist(), strict=True):
            label, reached = self._left(s, most_pj)
            found.append((label, np.full(len(label), s), reached))
        label, spatial, reached = (np.concatenate(part) for part in zip(*found, strict=True))
        return label, spatial, reached

    def advance(self) -> None:
        """Go on to those after the ones that `next` has given."""
        self._start, self._size = self._start + self._size, STEP

    @property
    def _fastest(self) -> float:
        """The fewest cycles of a point."""
        return float(self._points.front.cycles[0])

    def _exclude(self) -> None:
        """Leave out states and labels that cost more than the fastest point, whatever leads to them or follows."""
        tables, fastest = self.tables, self._fastest
        reach = float(self._points.front.allowed(np.array([fastest]))[0]) / tables.macs - float(self.fixed_pj.min())
        if reach >= self.reach:
            return
        self.reach = reach
        good = self.least < reach + np.abs(self.least) * (1 - DOWN)
        self.good = np.append(False, good)
        self._below = tables.lattice.least_of_multiples(np.where(good, 0, 1).astype(np.float32)) < 1
        if not (self.cycles < fastest).any():
            least = self.of_label[self.label]
            left = self.label[least < reach + np.abs(least) * (1 - DOWN)]
            if len(left) < SHRUNK * len(self.label):
                self._take(left)

    def _left(self, spatial: int, limit: float) -> tuple[Ints, Ints]:
        """(label, state reached) of the labels that may cost less than the limit, pJ a MAC, with spatial factors."""
        tables, fastest = self.tables, self._fastest
        factors = tables.factors[spatial].tolist()
        reached = np.ones(len(self.label), dtype=np.int32)  # the state, and 1
        for d, factor in enumerate(factors):
            reached += self.column(d, factor, self._beside(d, factors))
        good = self.good.take(reached, mode="clip")
        if self.cycles[spatial] < fastest:  # whatever is faster than all points is a better one
            steps = np.ones(len(self.label), dtype=np.float32)
            for d, factor in enumerate(factors):
                steps *= self.steps(d, factor)
            good |= (steps * DOWN < fastest) & (reached > 0)
            position = np.flatnonzero(good)
            limits = (
                self._points.front.allowed(np.maximum(np.ceil(steps[position] * DOWN), self.cycles[spatial]))
                / tables.macs
            )
            limits -= self.fixed_pj[spatial]
        else:
            position = np.flatnonzero(good)
            limits = np.full(len(position), limit)
        reached = reached[position] - 1
        good = np.zeros(len(position), dtype=bool)
        for (inner, beyond), saved in zip(self.rows, self.saved_pj[spatial].tolist(), strict=True):
            good |= inner[position] + beyond[reached] < limits + saved
        return self.label[position[good]], reached[good].astype(np.int64)

    @cached_property
    def _sums(self) -> Bools:
        """`[dims]` whether results kept inside processing elements are added up along a dimension."""
        return np.any(~self.tables.relevant[self.bounds.visits_pj > 0], axis=0)

    def _beside(self, d: int, factors: Sequence[int]) -> bool:
        """Whether another dimension of a window of `d` lies over children, too."""
        return any(factors[e] > 1 for slide in self.tables.slides if d in slide.dims for e in slide.dims if e != d)

    def _column(self, d: int, factor: int, beside: bool) -> NDArray[np.int32]:
        """`[labels]` what a dimension adds to the number of the state reached; `beside`: as `_beside` has it."""
        tables, bound = self.tables, self.tables.lattice.bounds[d]
        whole = np.arange(1, bound + 1)
        tiles = tile_count(bound, whole)
        groups = tile_count(tiles, factor)
        cut = (factor > 1) & (tiles % factor == 1) & (tiles * tables.largest(whole, d) > bound)
        every = beside or self._sums[d]
        for slide in self.tables.slides:
            for (a, c), (b, k) in permutations(zip(slide.dims, slide.steps, strict=True)):
                if a == d:  # tiles that slide over children keep some of their words
                    every |= k * (tables.lattice.bounds[b] - 1) + 1 > c * (whole * (factor - 1) + 1)
        useful = (factor <= tiles) & ((tile_count(tiles, groups) == factor) | cut | every)
        adds = np.where(useful, tables.lattice.digit_of[d][groups] * tables.lattice.stride[d], NONE)
        return adds.astype(np.int32)[self.whole[d]]

    def _steps(self, d: int, factor: int) -> NDArray[np.float32]:
        """`[labels]` least temporal iterations of a dimension."""
        whole = np.arange(1, self.tables.lattice.bounds[d] + 1)
        return self.tables.least_steps(whole, np.full_like(whole, factor), d).astype(np.float32)[self.whole[d]]
