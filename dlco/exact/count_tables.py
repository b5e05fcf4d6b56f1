"""A layer on a fixed machine as tables where factors need not divide the bounds.

Costs are those of `LayerTables` over the lattice of numbers of tiles (`counts`), but for five things.

* N tiles over spatial factors s leave ceil(N / s) groups of n = N / ceil(N / s) children on average. Energies are
  counted with n children; ports, leakage and what must fit with all s.
* The busiest child gets the first tile of every group: groups x T steps of a dimension, or, where the last group has
  that one tile alone, what the others leave: B - (N - groups) T.
* A loop that leaves tiles in place over children that idle in its last iteration fills all s of them. That costs more
  than n children would, and is left to the cost model: bounds do without.
* What children share of windows, and how many of them slide, depends on s and T: bounds have the least (`held_over`,
  `slid`, `count_windows`), and all s and T are tried where windows lie or slide over children.
* Of a result, s children see a word for the first time. And through levels further in that bypass the words, children
  ask as often as the first of them: that is less than the mean where the last tile is alone (`asked`).

At a port, words of the busiest instance are at least their mean over all s instances. Only a window whose dimension has
its last tile alone in a group may be filled with less, by rounding of overlaps: those words are not counted there.
"""

from dataclasses import dataclass, field, fields
from functools import cached_property
from math import inf

import numpy as np

from dlco.exact.array import ArrayTables
from dlco.exact.counts import CountLattice, Growth, WholeLattice, tile_count
from dlco.exact.fanouts import FanOut
from dlco.exact.labels import Labels, make_labels
from dlco.exact.lattice import Bools, Floats, Ints
from dlco.exact.tables import LayerTables
from dlco.exact.tiles import Slide
from dlco.hardware.network import MACS

SAME = 1e-12  # relative difference of words that are the same but for rounding


@dataclass(frozen=True, eq=False)
class CountFan(FanOut):
    """The children of a level, with factors of which there are no more than children; states are numbers of tiles."""

    tiles: "CountTables"

    @cached_property
    def _listed(self) -> tuple[Ints, Ints]:
        """(factors, bits of the dimensions along X) of all that the fan-out holds."""
        factors = self.listed()
        along_x = self.laid(factors)
        return factors[along_x >= 0], along_x[along_x >= 0]

    def listed(self, most: float = inf) -> Ints:
        """`[n, dims]` factors of which there are not more than children; some of them, where beyond `most`."""
        rows = np.ones((1, self.tiles.dims), dtype=np.int64)
        for d, bound in enumerate(self.tiles.lattice.bounds):
            if len(rows) > most:
                break
            rows = _crossed(rows, d, np.arange(1, min(bound, max(self.size_x, self.size_y)) + 1))
            rows = rows[rows.prod(1) <= self.size_x * self.size_y]
        return rows

    @property
    def factors(self) -> Ints:
        """`[S, dims]`."""
        return self._listed[0]

    @cached_property
    def _vectors(self) -> tuple[Ints, Ints]:
        """States that single iterations reach, in place of those of the factors."""
        lattice, (factors, along_x) = self.tiles.lattice, self._listed
        return lattice.state_of(tile_count(np.array(lattice.bounds), factors)), along_x


@dataclass(frozen=True, eq=False)
class CountedTables(LayerTables):
    """What tables over numbers of tiles have alike, whatever fans out."""

    @cached_property
    def lattice(self) -> CountLattice:
        """The lattice of numbers of tiles."""
        return CountLattice(tuple(self.problem.bounds[d] for d in self.shape.live))

    @cached_property
    def fits(self) -> Bools:
        """`[states, levels]` whether a level holds the least whole tiles of all that it keeps."""
        return self.held(self.words_of(self.lattice.least))

    @property
    def links(self) -> tuple[None, ...]:
        """No temporal loop is constrained."""
        return (None,) * self.levels

    def held_over(self, rank: Slide, step: int, d: int, tile: Ints, inner: Ints) -> Floats:
        """As `Tiles` has it; tiles of the rank's other dimension as uneven as so many of them can be."""
        return held_over(self, rank, step, d, tile, inner, self.lattice.largest)

    def port_needs(
        self,
        fills: Floats,
        loose: Floats,
        share: Floats,
        instances: Floats,
        spread: Floats,
        shared_fills: Floats | None = None,
    ) -> Floats:
        """As `LayerTables` has it; words of terms without a `share` are not counted."""
        counted = share > 0
        return super().port_needs(fills * counted, loose * counted, share, instances, spread, shared_fills)


@dataclass(frozen=True, eq=False)
class CountTables(CountedTables, ArrayTables):
    """One problem on one machine, with tiles that need not divide the bounds; states are numbers of tiles."""

    @property
    def shared_tiles(self) -> Bools:
        """`[states]` whether the shared level holds the least whole tiles."""
        return self.fits[:, self.shared]

    def fan(self, level: int) -> CountFan:
        """The fan-out of a level, anew."""
        x, y = self.chain[level].fanout_x, self.chain[level].fanout_y
        return CountFan(self, x, y, (), *self.masks.axes(level))

    @property
    def factors(self) -> Ints:
        """`[S, dims]` the spatial factors that the fan-out holds, each dimension along one axis."""
        return self.fans[self.shared].factors

    def steps(self, whole: Ints, spread: Ints, d: int | None = None) -> Ints:
        """`[n, dims]` temporal iterations of the busiest processing element.

        Args:
            whole: `[n, dims]` extents of its tiles.
            spread: `[n, dims]` spatial factors.
            d: the only dimension, `[n]` each; else all are.
        """
        bounds = self._bounds_of(d)
        tiles = tile_count(bounds, whole)
        groups = tile_count(tiles, spread)
        alone = tiles - (groups - 1) * spread == 1
        return np.where(alone, bounds - (tiles - groups) * whole, groups * whole)

    def least_steps(self, whole: Ints, spread: Ints, d: int | None = None) -> Ints:
        """As `steps`, or fewer: with the largest tiles of which there are as many."""
        return np.minimum(self.steps(whole, spread, d), self.steps(self.largest(whole, d), spread, d))

    def largest(self, whole: Ints, d: int | None = None) -> Ints:
        """`[n, dims]` extents of the largest whole tiles of which there are as many; those given, if all are listed."""
        bounds, every = self._bounds_of(d), np.array([growth.every for growth in self.growth], dtype=bool)
        others = tile_count(bounds, whole) - 1
        return np.where((every if d is None else every[d]) | (others < 1), whole, (bounds - 1) // np.maximum(others, 1))

    def _bounds_of(self, d: int | None) -> Ints:
        bounds = np.array(self.lattice.bounds, dtype=np.int64)
        return bounds if d is None else bounds[d]

    @cached_property
    def through(self) -> Bools:
        """`[K]` whether a term's words come over the fan-out through levels further in that bypass them."""
        return self.crosses & (self.level_of + 1 < self.shared)

    def asked(self, whole: Ints, spread: Ints) -> Floats:
        """`[n, T]` how often the first of the children with the same words asks for them over their mean, at least.

        Less than 1 where the last tile is alone in its group. Arguments as `steps`.
        """
        bounds = self._bounds_of(None)
        tiles = tile_count(bounds, whole)
        mean = bounds * tile_count(tiles, spread) / tiles
        return self.alone(np.minimum(self.least_steps(whole, spread) / mean, 1.0))

    def even(self, whole: Ints, spread: Ints) -> Bools:
        """`[n, T]` whether a port sees no fewer words of a dataspace than its instances do on average."""
        bounds = self._bounds_of(None)
        tiles = tile_count(bounds, whole)
        odd = (spread > 1) & (tiles % spread == 1) & (tiles * whole > bounds)
        even = np.ones((len(whole), len(self.spaces)), dtype=bool)
        for slide in self.slides:
            even[:, slide.space] &= ~odd[:, list(slide.dims)].any(1)
        return even

    def slid(self, d: int, tile: Ints, inner: Ints, outer: Ints) -> Floats:
        """As `Tiles` has it; groups of as many children as leave so many."""
        tiles, groups, left = (self.lattice.entries[states, d] for states in (tile, inner, outer))
        most = np.where(groups > 1, (tiles - 1) // np.maximum(groups - 1, 1), tiles)
        return (groups - left) * most / tiles

    @cached_property
    def windows(self) -> Bools:
        """`[dims]` whether a dimension shares a rank with another."""
        return np.isin(np.arange(self.dims), [d for slide in self.slides for d in slide.dims])

    # inside a processing element

    @cached_property
    def growth(self) -> tuple[Growth, ...]:
        """How the whole tiles of each dimension grow; where windows overlap between children, in every way."""
        return tuple(Growth(bound, bool(self.windows[d])) for d, bound in enumerate(self.lattice.bounds))

    @cached_property
    def inside(self) -> "InsideTables":
        """The same over the whole tiles of a processing element."""
        return InsideTables(
            self.problem, self.architecture, self.constraints, growth=self.growth, whole=self.whole_tiles()
        )

    def whole_tiles(self, most: float = inf) -> Ints:
        """`[n, dims]` whole tiles that a processing element may hold; some of them, where beyond `most`.

        They fit its outermost level and the shared one.
        """
        rows = np.ones((1, self.dims), dtype=np.int64)
        for d, growth in enumerate(self.growth if self.shared else ()):
            if len(rows) > most:
                break
            rows = _crossed(rows, d, growth.after(self.shared))
            rows = rows[self.held(self.words_of(rows))[:, self.shared - 1 : self.shared + 1].all(1)]
        return rows

    def labels(self) -> "CountLabels":
        """The tilings inside a processing element."""
        inside = self.inside
        labels = make_labels(inside)
        counts = self.lattice.state_of(tile_count(np.array(self.lattice.bounds), inside.whole))
        given = {name: getattr(labels, name) for name in (one.name for one in fields(Labels))}
        given |= {"states": counts[labels.states], "reached": counts[labels.reached]}
        return CountLabels(**given, whole=inside.whole[labels.states])


@dataclass(frozen=True, eq=False)
class CountLabels(Labels):
    """Labels whose states are numbers of tiles.

    Attributes:
        whole: `[n, m, dims]` extents of the whole tiles of every level.
    """

    whole: Ints

    @property
    def outermost(self) -> Ints:
        """`[n, dims]` extents of the outermost whole tiles, of single iterations where no level lies inside."""
        return self.whole[:, -1] if self.whole.shape[1] else np.ones((len(self), self.whole.shape[2]), dtype=np.int64)


@dataclass(frozen=True, eq=False)
class InsideTables(LayerTables):
    """One problem on one machine over whole tiles that a processing element may hold.

    Attributes:
        growth: how they grow; `whole`: `[states, dims]` their extents.
    """

    growth: tuple[Growth, ...] = field(kw_only=True)
    whole: Ints = field(kw_only=True)

    @cached_property
    def lattice(self) -> WholeLattice:  # type: ignore[override]
        """The lattice of whole tiles."""
        return WholeLattice(self.growth, self.whole)

    @property
    def links(self) -> tuple[None, ...]:
        """No temporal loop is constrained."""
        return (None,) * self.levels

    @cached_property
    def fits(self) -> Bools:
        """`[states, levels]` whether a level holds such a tile of all that it keeps."""
        return self.held(self.words_of(self.whole))

    def held_over(self, rank: Slide, step: int, d: int, tile: Ints, inner: Ints) -> Floats:
        """As `Tiles` has it, exactly."""
        return held_over(self, rank, step, d, tile, inner, self.whole)

    def asked_apart(self, labels: Labels) -> list[Ints]:
        """As `LayerTables` has it: extents at which the runs of terms end that come through levels that bypass them.

        What their parent serves is asked for by first children, along every dimension by itself less often where the
        extent is larger; means say so of the product alone.
        """
        found, level = [], labels.states.shape[1] - 1
        for term in self.terms:
            if term.level == MACS or term.level >= level or term.parent < self.shared:
                continue
            space, tile = term.space, self.whole[labels.states[:, term.level]]
            runs = np.ones(len(labels), dtype=bool)
            for outer in range(term.level + 1, level + 1):
                states, row = labels.states[:, outer], labels.rows[:, outer]
                code = self.loops(labels.states[:, outer - 1], states)
                moves = (code & self.moving[space]) > 0
                still = np.where(moves, self.classes[outer - 1].still[row, space], code)
                tile = np.where(runs[:, None] & ((still[:, None] & self.bits) > 0), self.whole[states], tile)
                runs &= ~moves
            found += [-tile[:, d] for d in np.flatnonzero(~self.relevant[space])]
            own = self.whole[labels.states[:, term.level]]
            for d in {d for slide in self.slides if slide.space == space for d in slide.dims}:
                found += [own[:, d], -own[:, d]]  # what children share of windows depends on their tiles
        return found

    def whole_words(self, fills: Floats) -> Floats:
        """Numbers that compare as words do, which are no whole ones here."""
        return np.rint(np.log(np.maximum(fills, 1e-300)) / SAME)


def held_over(tables: LayerTables, rank: Slide, step: int, d: int, tile: Ints, inner: Ints, whole: Ints) -> Floats:
    """`[n]` share of its words that a tile holds already, of tiles of the rank's other dimension, the last cut short.

    Args:
        tables: the problem.
        rank: as in `Tiles.held_over`.
        step: as there.
        d: as there.
        tile: as there.
        inner: as there.
        whole: `[states, dims]` extents of whole tiles.
    """
    (other, c), *_ = [(e, c) for e, c in zip(rank.dims, rank.steps, strict=True) if e != d]
    bound, extent = tables.lattice.bounds[other], whole[tile, other]
    tiles = tile_count(bound, extent)
    begins = step * (tables.extents[tile, d] - tables.extents[inner, d] - 1) + 1
    full, cut = (np.maximum(begins + c * (n - 1), 0.0) for n in (extent, bound - (tiles - 1) * extent))
    return (full * (tiles - 1) + cut) / tiles / rank.box[tile]


def _crossed(rows: Ints, d: int, options: Ints) -> Ints:
    """All rows `[n, dims]` with each of some values in column `d`."""
    rows = np.repeat(rows, len(options), axis=0)
    rows[:, d] = np.tile(options, len(rows) // len(options))
    return rows
