"""Tilings of a chain in ranges of sizes, halved again and again down to single ones, and what all of a range need.

What `Uncut` says of every tiling, said of those that cut the same dimensions in the same order, keep or compute again
the same elements and hold the same weights: tiles are no larger than the largest, run no more seldom, and compute and
fetch again no less than whichever sizes do so least.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from math import inf, isqrt, prod

import numpy as np

from dlco.fusion.chains import Part, Uncut, manners_of
from dlco.fusion.cuts import Cuts, cuts_of, rooms, uncut
from dlco.fusion.inside import rounded_up
from dlco.fusion.retained import Residence
from dlco.workload.chain import Chain
from dlco.workload.problem import Dataspace, Problem
from dlco.workload.sumset import distinct_sums
from dlco.workload.tiling import KEPT, Tiled, Tiling

DEEP = 8  # splits in a row of the ranges of a chain that seem to cost least
PATIENCE, RISE = 400, 1e-3  # limited splits end where so many raise the bound by less than this share


class Patience:
    """When to split no more ranges.

    Args:
        splits: at most; infinite where it does not matter whether the bound rises.
        lower: the bound before any.
    """

    def __init__(self, splits: float, lower: float = 0.0) -> None:
        self._most, self._mark, self._lower = splits, PATIENCE, lower

    def lasts(self, splits: int, lower: float) -> bool:
        """Whether more are worth it after so many, the bound being what it is."""
        if self._most < inf and splits >= self._mark:
            self._most = splits if lower < self._lower * (1 + RISE) else self._most
            self._mark, self._lower = splits + PATIENCE, lower
        return splits < self._most


@dataclass(frozen=True)
class Sizes:
    """Sizes of tiles along a dimension of a chain's last result, from the least to the most."""

    dim: str
    least: int
    most: int


@dataclass(frozen=True)
class Ranged:
    """The tilings of a chain in ranges of sizes.

    Attributes:
        uncut: the chain, where its results stay, and what may stay there too.
        sizes: of every cut, the outermost first.
        halo, weights: as of `Tiling`.
    """

    uncut: Uncut
    sizes: tuple[Sizes, ...]
    halo: str
    weights: str

    @property
    def first(self) -> int:
        """The position of its first step."""
        return self.uncut.first

    @property
    def last(self) -> int:
        """The position of its last step."""
        return self.uncut.last

    @property
    def chain(self) -> Chain:
        """Its layers."""
        return self.uncut.chain

    @property
    def level(self) -> str:
        """The memory where its results stay."""
        return self.uncut.level

    @property
    def tiling(self) -> Tiling | None:
        """The only one; None where there are more."""
        if any(own.least < own.most for own in self.sizes):
            return None
        return Tiling(tuple((own.dim, own.most) for own in self.sizes), self.halo, self.weights)

    def halves(self) -> "list[Ranged]":
        """Those below and above the middle of the widest range."""
        at = max(range(len(self.sizes)), key=lambda i: self.sizes[i].most / self.sizes[i].least)
        own = self.sizes[at]
        middle = min(isqrt(own.least * own.most), own.most - 1)
        halves = (replace(own, most=middle), replace(own, least=middle + 1))
        return [replace(self, sizes=(*self.sizes[:at], half, *self.sizes[at + 1 :])) for half in halves]

    def trimmed(self, homes: Mapping[tuple[int, str], str], room: float) -> "Ranged | None":
        """Without the least and the largest sizes for which there is no room; None where there is for none.

        Args:
            homes: by (step, dataspace) the memories of what is retained whole beside the chain's own results.
            room: words that this leaves of the chain's memory.
        """
        loaded = zip(self.chain.problems, self._loaded(homes), strict=True)
        left = room - sum(problem.words(space) for problem, own in loaded for space in own)
        outer, inner, *_ = (*self._each, uncut(self.chain))
        fits = rooms(self.chain, outer, inner) <= left
        if not fits.any():
            return None
        ends = [np.flatnonzero(fits.any(1 - axis))[[0, -1]] for axis in range(len(self.sizes))]
        sizes = (
            replace(own, least=own.least + int(first), most=own.least + int(last))
            for own, (first, last) in zip(self.sizes, ends, strict=True)
        )
        return replace(self, sizes=tuple(sizes))

    def parts(self, homes: Mapping[tuple[int, str], str]) -> tuple[Part, ...]:
        """As of `Uncut`: every layer, with tiles of these sizes inside."""
        chain, found = self.chain, []
        for layer, (problem, loaded) in enumerate(zip(chain.problems, self._loaded(homes), strict=True)):
            own = {space: level for (step, space), level in homes.items() if step == self.first + layer}
            own |= dict.fromkeys(chain.inner(layer), self.level)
            outside = [s for s in problem.dataspaces if not s.read_write and s.name not in {*own, *loaded}]
            often = ((space.name, self._times(layer, space)) for space in outside)
            again = tuple((name, times) for name, times in often if times > 1)
            tile, work = self._largest(layer), prod(float((c.computed / c.whole)[layer, 0]) for c in self._cuts)
            cut = frozenset(cuts.dims[layer] for cuts in self._cuts)
            residence = Residence(tuple(sorted(own.items())))
            found.append(Part(self.first + layer, problem, 1, residence, again, tile, cut, work))
        return tuple(found)

    def _loaded(self, homes: Mapping[tuple[int, str], str]) -> list[tuple[str, ...]]:
        """`[layers]` the weights that stay, but those that are retained anyway."""
        tiled = Tiled(self.chain, Tiling(tuple((own.dim, own.most) for own in self.sizes), self.halo, self.weights))
        whole = {(step - self.first, space) for step, space in homes}
        return [tiled.loaded(layer, whole) for layer in range(len(self.chain.problems))]

    @property
    def _each(self) -> tuple[Cuts, ...]:
        """By dimension what tiles of each size are."""
        kept = self.halo == KEPT
        return tuple(cuts_of(self.chain, own.dim, kept=kept).only(own.least, own.most) for own in self.sizes)

    @cached_property
    def _cuts(self) -> tuple[Cuts, ...]:
        """`[layers, 1]` by dimension what tiles of any of the sizes are at least, extents at most."""
        return tuple(cuts.ranged([(0, cuts.box.shape[1] - 1)]) for cuts in self._each)

    def _largest(self, layer: int) -> Problem:
        """A tile that is no smaller than any; sizes rounded up, that there be few."""
        problem = self.chain.problems[layer]
        sizes = problem.sizes
        for own in self._cuts:
            dim = own.dims[layer]
            sizes = sizes | {dim: rounded_up(int(own.extent[layer, 0]), problem.sizes[dim])}
        return Problem(problem.dimensions, tuple(sizes.values()), problem.dataspaces, problem.name)

    def _times(self, layer: int, space: Dataspace) -> float:
        """How often each word of an operand from outside comes in at least, on average."""
        problem = self.chain.problems[layer]
        cut = {own.dims[layer]: own for own in self._cuts}
        times = prod(float(own.runs[layer, 0]) for dim, own in cut.items() if dim not in space.dimensions)
        for rank in space.projection:
            at = [(dim, step) for dim, step in rank if dim in cut]
            if len(at) != 1:
                continue
            ((dim, step),) = at
            rest = [(c, problem.sizes[d]) for d, c in rank if d != dim]
            span = 1 + sum(c * (n - 1) for c, n in rest)
            if distinct_sums(rest) == span >= step:  # windows without gaps, which meet
                own = cut[dim]
                runs, computed, whole = (float(some[layer, 0]) for some in (own.runs, own.computed, own.whole))
                times *= (runs * (span - step) + step * computed) / (span - step + step * whole)
        return times


def ranges_of(uncut: Uncut) -> Iterator[Ranged]:
    """All tilings of a chain along one dimension or two of its last result, in the widest ranges."""
    last = uncut.chain.problems[-1].sizes
    for cut, halo, weights in manners_of(uncut.chain):
        if uncut.allows(Tiling(tuple((dim, last[dim] - 1) for dim in cut), halo, weights)):
            yield Ranged(uncut, tuple(Sizes(dim, 1, last[dim] - 1) for dim in cut), halo, weights)
