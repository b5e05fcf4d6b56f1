"""The lattice of numbers of tiles: where factors need not divide the bounds, costs depend on these alone.

With tiles of T iterations a dimension of bound B has N = ceil(B / T) of them, B / N iterations each on average, and a
factor f further out leaves ceil(N / f), as ceil(ceil(B / T) / f) = ceil(B / (T f)). Every mean count of
`dlco.cost.imperfect` is that of perfect factors with tiles of B / N (what children share or add up aside, of which
`dlco.exact.count_tables` speaks). So the search needs the numbers N only, some
2 sqrt(B) of a dimension, in place of divisors. What must fit, cycles, and where children lie depend on T itself:
`WholeTiles` lists those that lie inside a processing element.
"""

from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import isqrt
from typing import overload

import numpy as np
from numpy.typing import NDArray

from dlco.exact.lattice import Bools, Floats, Ints, Lattice, Real


@overload
def tile_count(bound: int, extent: int) -> int: ...  # type: ignore[overload-overlap]
@overload
def tile_count(bound: Ints | int, extent: Ints | int) -> Ints: ...
def tile_count(bound: Ints | int, extent: Ints | int) -> Ints | int:
    """How many tiles of an extent cover a bound: the quotient, rounded up."""
    return -(-bound // extent)


@lru_cache(maxsize=1024)
def tile_counts(bound: int) -> tuple[int, ...]:
    """The numbers of tiles that a bound can be cut into, the most first.

    They are 1 + (bound - 1) // tile: quotients up to the root of bound - 1 all occur, those beyond for tiles up to it.
    """
    last, root = bound - 1, isqrt(bound - 1)
    return tuple(sorted({1 + n for n in range(root + 1)} | {1 + last // t for t in range(1, root + 1)}, reverse=True))


def how_many_tile_counts(bound: int) -> int:
    """How many numbers `tile_counts` has, without listing them."""
    root = isqrt(bound - 1)
    return 1 + 2 * root - (root > 0 and (bound - 1) // root == root)


@dataclass(frozen=True)
class CountLattice(Lattice):
    """All vectors of numbers of tiles of some bounds, from single iterations to the whole problem."""

    @cached_property
    def factors(self) -> tuple[tuple[int, ...], ...]:
        """The numbers of tiles of each dimension, in descending order."""
        return tuple(tile_counts(bound) for bound in self.bounds)

    @cached_property
    def radix(self) -> tuple[int, ...]:
        """How many numbers of tiles each dimension has."""
        return tuple(how_many_tile_counts(bound) for bound in self.bounds)

    @cached_property
    def extent(self) -> Floats:  # type: ignore[override]
        """`[states, dims]` mean extents of the tiles."""
        return np.array(self.bounds, dtype=float) / self.entries

    @cached_property
    def least(self) -> Ints:
        """`[states, dims]` extents of the least whole tiles of which there are so many."""
        return tile_count(np.array(self.bounds, dtype=np.int64), self.entries)

    @cached_property
    def largest(self) -> Ints:
        """`[states, dims]` the largest factors that leave so many."""
        bounds = np.array(self.bounds, dtype=np.int64)
        return np.where(self.entries > 1, (bounds - 1) // np.maximum(self.entries - 1, 1), bounds)

    @cached_property
    def _multiples(self) -> tuple[tuple[Ints, ...], ...]:
        """For each dimension and number of tiles the indices of the numbers that some factor leaves of it."""
        tables = []
        for row in self.factors:
            at = {n: i for i, n in enumerate(row)}
            tables.append(tuple(np.array([at[m] for m in tile_counts(n)], dtype=np.int64) for n in row))
        return tuple(tables)

    @cached_property
    def digit_of(self) -> tuple[Ints, ...]:
        """For each dimension `[bound + 1]` the index of every number of tiles, -1 where there is none."""
        tables = []
        for bound, row in zip(self.bounds, self.factors, strict=True):
            table = np.full(bound + 1, -1, dtype=np.int64)
            table[list(row)] = np.arange(len(row))
            tables.append(table)
        return tuple(tables)

    def state_of(self, counts: Ints) -> Ints:
        """`[n]` states of numbers of tiles `[n, dims]`."""
        state = np.zeros(len(counts), dtype=np.int64)
        for d, table in enumerate(self.digit_of):
            state += table[counts[:, d]] * self.stride[d]
        return state

    @cached_property
    def _sources(self) -> tuple[tuple[Ints, ...], ...]:
        """For each dimension and number of tiles the indices of those of which some factor leaves it."""
        return tuple(
            tuple(np.array([i for i, above in enumerate(row) if j in above], dtype=np.int64) for j in range(len(row)))
            for row in self._multiples
        )

    def least_of_sources(self, table: NDArray[Real]) -> NDArray[Real]:
        """For each state the least entry of a table `[states]` over the states that lead to it."""
        shaped = table.reshape(self.radix).copy()
        for d in range(len(self.bounds)):
            rows = np.moveaxis(shaped, d, 0)
            for j in reversed(range(self.radix[d])):  # none lies above j: what is overwritten is not read again
                rows[j] = rows[self._sources[d][j]].min(0)
        return shaped.reshape(table.shape)


@dataclass(frozen=True)
class Growth:
    """Whole extents of one dimension that a factor leads to from another.

    Attributes:
        bound: of the dimension; extents beyond it count as the bound.
        every: whether by all factors; else by the least of those that leave as many tiles.
    """

    bound: int
    every: bool

    def of(self, inner: int) -> Bools:
        """`[bound + 1]` whether an extent leads to each."""
        return _grown(self.bound, self.every, inner)

    def after(self, levels: int) -> Ints:
        """Extents that so many factors, one after the other, may lead to."""
        found = {1}
        for _ in range(levels):
            found = {outer for inner in found for outer in np.flatnonzero(self.of(inner)).tolist()}
        return np.array(sorted(found), dtype=np.int64)


@lru_cache(maxsize=4096)
def _grown(bound: int, every: bool, inner: int) -> Bools:
    outer = np.arange(1, bound + 1)
    tiles = tile_count(bound, outer)
    least = inner * tile_count(tile_count(bound, inner), tiles)
    good = outer % inner == 0 if every else outer == least
    return np.concatenate([[False], good | (tiles == 1) & (outer == bound)])


class WholeLattice:
    """Some vectors of whole extents, those of tiles that lie inside a processing element.

    It answers what `Lattice` does of its states.

    Attributes:
        bounds: one a dimension.
        growth: the same, how it grows.
        whole: `[states, dims]` extents of whole tiles.
    """

    def __init__(self, growth: tuple[Growth, ...], whole: Ints) -> None:
        self.growth, self.whole = growth, whole
        self.bounds = tuple(one.bound for one in growth)

    @property
    def size(self) -> int:
        """How many states there are."""
        return len(self.whole)

    @cached_property
    def extent(self) -> Floats:
        """`[states, dims]` mean extents of the tiles."""
        bounds = np.array(self.bounds, dtype=np.int64)
        return bounds / tile_count(bounds, self.whole)

    def multiples(self, states: Ints, allowed: Bools, links: None = None) -> tuple[Ints, Ints]:
        """(position in `states` `[n]`, state) of all allowed states that factors lead to, `[m]` each."""
        if not self.bounds:
            return np.arange(len(states)), states
        once, place = np.unique(states, return_inverse=True)
        most = max(range(len(self.bounds)), key=lambda d: len(np.unique(self.whole[:, d])))
        others = [d for d in range(len(self.bounds)) if d != most]
        every, found = np.flatnonzero(allowed), []
        every = every[np.argsort(self.whole[every, most], kind="stable")]
        first = np.searchsorted(self.whole[every, most], np.arange(self.bounds[most] + 2))
        for state in once.tolist():
            grown = np.flatnonzero(self.growth[most].of(int(self.whole[state, most])))
            left = np.concatenate([every[first[n] : first[n + 1]] for n in grown.tolist()])
            for d in others:
                left = left[self.growth[d].of(int(self.whole[state, d]))[self.whole[left, d]]]
            found.append(np.sort(left))
        lists = [found[k] for k in place.tolist()]
        at = np.repeat(np.arange(len(lists)), [len(one) for one in lists])
        return at, np.concatenate([*lists, np.zeros(0, dtype=np.int64)])
