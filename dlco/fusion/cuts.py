"""A dimension of a chain's last result cut into tiles of every size at once: what `Chain.spans` says of one size.

Going backwards from each place where a tile may end, windows say up to where a layer computes and from where on the
next tile needs elements; tiles of one size end at its multiples.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import prod

import numpy as np

from dlco.exact.lattice import Floats
from dlco.workload.chain import Axis, Chain


@dataclass(frozen=True, eq=False)
class Cuts:
    """A dimension in tiles of some sizes, `[layers, sizes]` each.

    Attributes:
        dims: `[layers]` its name.
        whole: `[layers, 1]` elements of each result along it.
        box: the longest stretch of a result that is there while it is written or read.
        overlap: the most elements that a later tile reads of what earlier ones keep for it.
        extent: the most elements that a tile computes.
        runs: tiles that compute any.
        computed: elements that all tiles compute together.
    """

    dims: tuple[str, ...]
    whole: Floats
    box: Floats
    overlap: Floats
    extent: Floats
    runs: Floats
    computed: Floats

    def only(self, least: int, most: int) -> "Cuts":
        """Of all sizes those from the least to the most."""
        figures = (self.box, self.overlap, self.extent, self.runs, self.computed)
        return Cuts(self.dims, self.whole, *(values[:, least - 1 : most] for values in figures))

    def ranged(self, ranges: Sequence[tuple[int, int]]) -> "Cuts":
        """By (first, last) of ranges of the sizes: the least of all, but for extents the greatest."""

        def of(values: Floats, some: Callable[..., Floats]) -> Floats:
            return np.stack([some(values[:, first : last + 1], axis=1) for first, last in ranges], 1)

        box, overlap, runs, computed = (of(own, np.min) for own in (self.box, self.overlap, self.runs, self.computed))
        return Cuts(self.dims, self.whole, box, overlap, of(self.extent, np.max), runs, computed)


@lru_cache(maxsize=4096)
def cuts_of(chain: Chain, dim: str, *, kept: bool) -> Cuts:
    """A dimension of a chain's last result in tiles of one element, of two, up to all of it.

    Halos are kept or computed again.
    """
    axis, bound = chain.axes[dim], chain.problems[-1].sizes[dim]
    whole = np.array([p.sizes[own] for p, own in zip(chain.problems, axis.dims, strict=True)])
    stop, reach, start, begin = _ends(axis, whole, bound, kept=kept)
    rows = []
    for size in range(1, bound + 1):
        first = np.arange(0, bound, size)
        last = np.minimum(first + size, bound)
        extent = stop[:, last] - begin[:, first]
        box = np.maximum(reach[:, last], stop[:, last]) - np.minimum(start, begin)[:, first]
        overlap = stop[:, first] - np.maximum(start[:, first], 0) if kept else np.zeros_like(extent)
        rows.append(
            (box.max(1), overlap.max(1), extent.max(1), (extent > 0).sum(1), np.maximum(extent, 0).sum(1)),
        )
    box, overlap, extent, runs, computed = (np.stack(some, 1).astype(float) for some in zip(*rows, strict=True))
    return Cuts(axis.dims, whole[:, None].astype(float), box, overlap, extent, runs, computed)


def uncut(chain: Chain) -> Cuts:
    """No dimension at all, in one tile."""
    ones = np.ones((len(chain.problems), 1))
    return Cuts(("",) * len(ones), ones, ones, 0 * ones, ones, ones, ones)


def rooms(chain: Chain, outer: Cuts, inner: Cuts) -> Floats:
    """`[outer sizes, inner sizes]` words of a memory that tiles of two cuts take, as `Tiled.held`: while most are."""
    layers = len(chain.problems)
    there, passed = [], []
    for source in range(layers - 1):
        problem, cut = chain.problems[source], {outer.dims[source], inner.dims[source]}
        ranks = [*zip(problem.dataspace(problem.result).projection, chain.full[source], strict=True)]
        rest = prod(extent for rank, extent in ranks if not cut & {dim for dim, _ in rank})
        along = [extent for rank, extent in ranks if inner.dims[source] in dict(rank)]
        a, ahead = outer.box[source][:, None], outer.overlap[source][:, None]
        b, beside = inner.box[source][None], inner.overlap[source][None]
        whole = np.maximum(max(along, default=1), b)
        there.append(rest * (a * b + ahead * (whole - b)))
        passed.append(rest * (a * beside + ahead * (whole - beside)))
    most = np.zeros((outer.box.shape[1], inner.box.shape[1]))
    for layer in range(layers):
        words = [
            there[source] if source <= layer <= chain.last_reader(source) else passed[source]
            for source in range(layers - 1)
        ]
        most = np.maximum(most, sum(words))
    return most


def _ends(
    axis: Axis, whole: np.ndarray, bound: int, *, kept: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """By where a tile of the last result ends: ends of what is computed and read, and where the next tile begins.

    `[layers, bound + 1]`: the ends of what is computed and of what is read, padding included; then, of the next tile,
    the starts of what it reads and of what it computes.
    """
    stop = np.tile(np.arange(bound + 1), (len(whole), 1))
    reach, start, begin = stop.copy(), stop.copy(), stop.copy()
    for layer in reversed(range(len(whole) - 1)):
        windows = [window for window in axis.windows if window.link.source == layer]
        far, near = [], []
        for window in windows:
            reader = window.link.target
            far.append(window.step * (stop[reader] - 1) + window.span - window.before)
            some = window.step * begin[reader] - window.before
            near.append(np.where(begin[reader] < whole[reader], some, np.iinfo(np.int64).max))
        reach[layer] = np.max(far, 0)
        stop[layer] = np.maximum.accumulate(np.clip(reach[layer], 0, whole[layer]))
        stop[layer, 0], stop[layer, -1] = 0, whole[layer]
        least = np.min(near, 0)
        start[layer] = np.where(least == np.iinfo(np.int64).max, stop[layer], least)
        begin[layer] = stop[layer] if kept else np.minimum(np.maximum(start[layer], 0), stop[layer])
    return stop, reach, start, begin
