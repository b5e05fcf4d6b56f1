"""The fan-out of one level as tables: which spatial factors it holds, and what they do to words and to bounds."""

from dataclasses import dataclass
from functools import cached_property
from math import gcd

import numpy as np

from dlco.exact.lattice import Bools, Floats, Ints, Lattice
from dlco.exact.tiles import Slide, Tiles
from dlco.mapping.factors import divisors


@dataclass(frozen=True, eq=False)
class FanOut:
    """The children of a level; `S` vectors of spatial factors, each dimension along one axis.

    Attributes:
        tiles: the problem.
        size_x, size_y: children along X and Y.
        allowed: for each dimension `[divisors]` which may be its factor.
        only_x, only_y: bits of the dimensions that may lie along X alone, and along Y alone.
    """

    tiles: Tiles
    size_x: int
    size_y: int
    allowed: tuple[Bools, ...]
    only_x: int
    only_y: int

    @cached_property
    def _vectors(self) -> tuple[Ints, Ints]:
        tiles = self.tiles
        allowed = tiles.lattice.among(tiles.lattice.digit, self.allowed)
        small = np.flatnonzero(allowed & (tiles.volume <= self.size_x * self.size_y))
        along_x = self.laid(tiles.lattice.extent[small])
        return small[along_x >= 0], along_x[along_x >= 0]

    def laid(self, factors: Ints) -> Ints:
        """`[n]` bits of the dimensions that lie along X for factors `[n, dims]`; -1 where they do not fit."""
        along_x = np.full(len(factors), -1, dtype=np.int64)
        for mask in range(2**self.tiles.dims):
            if self.only_x & ~mask or self.only_y & mask:
                continue
            on_x = (mask & self.tiles.bits) > 0
            x, y = factors[:, on_x].prod(1), factors[:, ~on_x].prod(1)
            along_x = np.where((along_x < 0) & (x <= self.size_x) & (y <= self.size_y), mask, along_x)
        return along_x

    @property
    def vectors(self) -> Ints:
        """`[S]` their states."""
        return self._vectors[0]

    @cached_property
    def factors(self) -> Ints:
        """`[S, dims]`."""
        return self.tiles.lattice.extent[self.vectors]

    @cached_property
    def is_given(self) -> bool:
        """Whether there is nothing to choose: all factors are 1."""
        return self.vectors.tolist() == [0]

    @property
    def along_x(self) -> Ints:
        """`[S]` bits of the dimensions that lie along X."""
        return self._vectors[1]

    @cached_property
    def children(self) -> Floats:
        """`[S]` children in use."""
        return self.factors.astype(float).prod(1)

    @cached_property
    def irrelevant(self) -> Floats:
        """`[S, T]` product of the factors that do not index a dataspace."""
        return self.tiles.alone(self.factors)

    @cached_property
    def distinct(self) -> Floats:
        """`[S, T]` children with different words over children, where windows do not overlap."""
        return 1 / self.irrelevant

    def after(self, states: Ints, vector: Ints) -> Ints:
        """`[n]` states that factors, rows of `vectors`, lead to; -1 where they do not lead to any."""
        return self.tiles.lattice.times(states, self.vectors[vector])

    def share(self, vector: Ints, inner: Ints) -> Floats:
        """`[n, T]` children with different words over children, for factors over children of given tiles.

        Args:
            vector: `[n]` rows of `vectors`.
            inner: `[n]` states of the children's tiles.
        """
        share = self.distinct[vector]
        some = np.flatnonzero(self._overlaps_in[vector])
        if len(some):
            pitch = self.tiles.lattice.extent[inner[some]]
            share[some] = overlapped(self.tiles, share[some], self.factors[vector[some]], pitch)
        return share

    @cached_property
    def _overlaps_in(self) -> Bools:
        """`[S]` whether some window has children along both of its dimensions."""
        both = [(self.factors[:, slide.dims] > 1).all(1) for slide in self.tiles.slides]
        return np.any(both, axis=0) if both else np.zeros(len(self.factors), dtype=bool)

    # what a state leaves room for

    def _best(self, value: Floats) -> Floats:
        """`[states, ...]` the least of a value `[S, ...]` over the vectors that a state may still be multiplied by.

        1 or -1 where there is none.
        """
        lattice = self.tiles.lattice
        table = np.full((*value.shape[1:], lattice.size), np.inf)
        table[..., lattice.size - 1 - self.vectors] = np.moveaxis(value, 0, -1)
        least = np.moveaxis(lattice.least_of_multiples(table), -1, 0)
        return np.where(np.isfinite(least), least, np.sign(value.flat[0]) if value.size else 1.0)

    @cached_property
    def most_children(self) -> Floats:
        """`[states]` the most children that can be used from there on."""
        return -self._best(-self.children)

    @cached_property
    def most_irrelevant(self) -> Floats:
        """`[states, T]` the largest factor that does not index a dataspace."""
        return -self._best(-self.irrelevant)

    @cached_property
    def low_share(self) -> Floats:
        """`[S, T]` the least share of children with different words, windows overlapping as far as they can."""
        share = self.distinct.copy()
        for slide in self.tiles.slides:
            n, m = (self.factors[:, d].astype(float) for d in slide.dims)
            share[:, slide.space] *= closest(n, m)
        return share

    @cached_property
    def frugal(self) -> Ints:
        """`[k]` rows of `vectors`: for any other, one of these has no larger shares, windows overlapping or not."""
        both = np.column_stack([self.low_share, self.distinct])
        once, first = np.unique(both, axis=0, return_index=True)
        smaller = (once[:, None] <= once[None]).all(-1) & ~np.eye(len(once), dtype=bool)
        return first[~smaller.any(0)]

    @cached_property
    def overlap(self) -> Floats:
        """`[states, T]` least share of words that windows leave which overlap, of children whose tiles such are."""
        return self._overlaps(False)

    @cached_property
    def least_share(self) -> Floats:
        """`[states, T]` the least share of children with different words, over children of these tiles or multiples."""
        return np.maximum(self._best(self.low_share), self._best(self.distinct) * self._overlaps(True))

    @cached_property
    def least_share_here(self) -> Floats:
        """`[states, T]` the same over children of these tiles."""
        return np.maximum(self._best(self.low_share), self._best(self.distinct) * self.overlap)

    def _overlaps(self, multiples: bool) -> Floats:
        tiles = self.tiles
        lattice = tiles.lattice
        share = np.ones((lattice.size, len(tiles.spaces)))
        for slide in tiles.slides:
            (a, b), (c, k) = slide.dims, slide.steps
            small = Lattice((lattice.bounds[a], lattice.bounds[b]))
            least = np.ones(small.size)
            for state, (x, y) in enumerate(small.extent.tolist()):
                n, m = (np.array(divisors(bound // e)) for bound, e in zip(small.bounds, (x, y), strict=True))
                grid = gcd(c * x, k * y)
                repeated = np.maximum(n[:, None] - k * y // grid, 0) * np.maximum(m - c * x // grid, 0)
                there = n[:, None] * m
                left = np.where(there <= self.size_x * self.size_y, 1 - repeated / there, 1.0)
                least[state] = left.min()
            least = small.least_of_multiples(least) if multiples else least
            share[:, slide.space] *= least[lattice.digit[:, a] * small.radix[1] + lattice.digit[:, b]]
        return share


def closest(n: Floats, m: Floats) -> Floats:
    """The least share of n x m children along a window's two dimensions with different words: all as near as can be."""
    return (n + m - 1) / (n * m)


def overlapped(tiles: Tiles, share: Floats, children: Floats | Ints, pitch: Ints) -> Floats:
    """`[n, T]` children with different words over children.

    Windows of neighbours whose steps meet on a grid overlap: of n x m children, steps a and b on a common grid g,
    (n - b/g)+ (m - a/g)+ share another one's words.

    Args:
        tiles: the problem.
        share: `[n, T]` the same where windows do not overlap.
        children: `[n, dims]` along every dimension.
        pitch: `[n, dims]` iterations from one of them to the next.
    """
    share = share.copy()
    for slide in tiles.slides:
        a, b = slide.dims
        both = np.flatnonzero((children[:, a] > 1) & (children[:, b] > 1))
        share[both, slide.space] *= apart(slide, children[both], pitch[both])
    return share


def apart(slide: Slide, children: Floats | Ints, pitch: Ints) -> Floats:
    """`[n]` the same of one window; arguments as `overlapped`."""
    (a, b), (c, k) = slide.dims, slide.steps
    n, m = children[:, a], children[:, b]
    step_a, step_b = c * pitch[:, a], k * pitch[:, b]
    grid = np.gcd(step_a, step_b)
    repeated = np.maximum(n - step_b // grid, 0) * np.maximum(m - step_a // grid, 0)
    return 1 - repeated / (n * m)
