"""Lower bounds of pairs where factors need not divide the bounds, and coarser ones of all pairs at once.

`Bounds` holds as it is over the lattice of numbers of tiles. There are too many pairs to bound each by itself, so that
a coarse bound comes first, of two numbers that are looked up: what a label costs inside its processing element, and
what its words cost from there on at best, a function of the state that the pair reaches. Words that a tile of dataspace
t takes over the fan-out are, a MAC, at least 1 / irrelevant[t](state reached); where a window may slide, fewer.
"""

from dataclasses import dataclass
from functools import cached_property, lru_cache, partial

import numpy as np

from dlco.exact.bounds import DOWN, Bounds, PairTerms, Single
from dlco.exact.count_tables import CountLabels, CountTables
from dlco.exact.count_windows import Sharing, least_share
from dlco.exact.counts import tile_count
from dlco.exact.fanouts import overlapped
from dlco.exact.labels import Labels
from dlco.exact.lattice import Floats, Ints
from dlco.exact.tiles import Slide
from dlco.hardware.network import MACS

FACTOR = 2.0  # between two kappas of the grid
WAYS = 1 << 20  # of two dimensions looked at together


@dataclass(frozen=True, eq=False)
class CountBounds(Bounds):
    """The tables of a problem on a machine over numbers of tiles.

    Attributes:
        labels: the tilings inside a processing element.
    """

    tables: CountTables
    labels: CountLabels

    @cached_property
    def kappas(self) -> Floats:
        """The grid, 0 first."""
        tables, labels = self.tables, self.labels
        level = tables.architecture.levels[tables.shared]
        fills = np.where(labels.is_open, labels.fills, 0.0) * tables.irrelevant[labels.reached][:, tables.space_of]
        most = (fills * (tables.fill_pj * level.fanout_x * level.fanout_y + tables.serve_pj)).sum(1).max(initial=0.0)
        served = (fills * (tables.fill_pj + tables.serve_pj))[labels.is_open]
        least = served.min(initial=most, where=served > 0) / 2
        if not most:
            return np.zeros(1)
        return np.concatenate([[0.0], least * FACTOR ** np.arange(int(np.log(most / least) / np.log(FACTOR)) + 2)])

    @cached_property
    def _outermost(self) -> tuple[Floats, Floats]:
        """(energy, cycles) `[states]` as in `Bounds`."""
        return self._outside[:2]

    @cached_property
    def _outside(self) -> tuple[Floats, Floats, dict[int, Single]]:
        """(energy, cycles, `onward`), one set of loops of the outermost level after the other."""
        tables, size = self.tables, self.tables.lattice.size
        code = tables.loops(np.arange(size), np.full(size, size - 1))
        order = np.argsort(code, kind="stable")
        energy, cycles = np.full((2, size), np.inf)
        onward = {t: np.full((len(self.kappas), size), np.inf, dtype=np.float32) for t in self._running}
        classes = tables.classes[tables.levels - 2]
        for tiles in np.split(order, np.flatnonzero(np.diff(code[order])) + 1):
            tiles = tiles[tables.shared_tiles[tiles]]
            _, rows = self.outer_orders(tiles[:1])
            fill = lru_cache(maxsize=None)(partial(self.shared_fill, tile=tiles))
            under: dict[tuple[int, int], Floats] = {}
            for row in rows.tolist() if len(tiles) else ():
                still, slide = classes.still[row].tolist(), classes.slide[row].tolist()
                fills = np.zeros((len(tiles), len(tables.spaces)))
                for t in np.flatnonzero(tables.kept[tables.shared]).tolist():
                    fills[:, t] = fill(t, still=still[t], slide=slide[t])
                cost = fills @ tables.shared_pj
                energy[tiles] = np.minimum(energy[tiles], cost)
                cycles[tiles] = np.minimum(cycles[tiles], self.outer_ports(fills))
                for t in onward:
                    under[t, still[t]] = np.minimum(under.get((t, still[t]), np.inf), cost)
            for (t, bits), cost in under.items():
                left = (tables.bounds / tables.extents[tiles])[:, (bits & tables.bits) > 0].prod(1)
                share = 1 / (tables.irrelevant[tiles, t] * left)
                for row, kappa in zip(onward[t], self.kappas, strict=True):
                    row[tiles] = np.minimum(row[tiles], (cost + kappa * share) * DOWN)
        return energy, cycles, onward

    @cached_property
    def _run_tables(self) -> dict[int, Single]:
        """`[kappas, states]` pJ a MAC of runs that end at the shared level, by dataspace."""
        tables, found = self.tables, {}
        for t in self._running:
            found[t] = np.empty((len(self.kappas), tables.lattice.size), dtype=np.float32)
            for row, kappa in zip(found[t], self.kappas, strict=True):
                row[:] = self._make_run(t, kappa)
        return found

    def run(self, space: int, kappa: Floats, reached: Ints) -> Floats:  # type: ignore[override]
        """`[n]` pJ a MAC of runs that end at the shared level, at any kappas and states."""
        return self.on_chord(self._run_tables[space], kappa, reached)

    def on_chord(self, table: Single, kappa: Floats, reached: Ints) -> Floats:
        """`[n]` entries of a table `[kappas, states]` at any kappas, or less.

        Least values of linear functions of kappa are concave in it: between two of the grid they lie above the chord.
        """
        last = len(self.kappas) - 1
        below = np.minimum(np.searchsorted(self.kappas, kappa, side="right") - 1, last)
        above = np.minimum(below + 1, last)
        low, high = self.kappas[below], self.kappas[above]
        share = np.where(high > low, (kappa - low) / np.where(high > low, high - low, 1.0), 0.0)
        least, most = table[below, reached], table[above, reached]
        return np.where(np.isinf(least), np.inf, (1 - share) * least + share * np.where(np.isinf(least), 0.0, most))

    @property
    def onward(self) -> dict[int, Single]:
        """`[kappas, states]` pJ a MAC of the shared level's tiles and of a run that goes on outside, by dataspace."""
        return self._outside[2]

    @cached_property
    def _running(self) -> tuple[int, ...]:
        return tuple(t for t in range(len(self.tables.spaces)) if self._runs(t))

    @cached_property
    def _onward_from(self) -> dict[int, Single]:
        """The same, at best over the loops of the shared level that leave the dataspace in place."""
        still = {t: np.flatnonzero(~self.tables.relevant[t]).tolist() for t in self.onward}
        return {t: self._least(table, still[t]) for t, table in self.onward.items()}

    def through_at(self, space: int, kappa: Floats, reached: Ints) -> Floats:
        """`[n]` pJ a MAC of runs that go on outside, at any kappas and states."""
        return self.on_chord(self._onward_from[space], kappa, reached)

    # pairs

    def energies(self, labels: Labels, label: Ints, vector: Ints, reached: Ints) -> PairTerms:
        """What the pairs `[n]` of labels and spatial factors cost so far; `reached`: the states that they reach."""
        assert isinstance(labels, CountLabels)
        tables = self.tables
        pitch, factors = labels.outermost[label], tables.factors[vector]
        mean = tables.extents[reached] / tables.extents[labels.reached[label]]  # children in use
        served = np.where(tables.crosses, 1 / tables.alone(mean)[:, tables.space_of], 1.0)
        for j, sharing in self._sharing:
            served[:, j] *= sharing.of(label, vector)
        served = np.where(tables.through, served * tables.asked(pitch, factors)[:, tables.space_of], served)
        cost = tables.fill_pj + tables.serve_pj * served
        fills, loose = self.at_best(labels.fills[label], labels.is_open[label], labels.states[label], reached)
        held = self.by_space(labels.is_open[label] * fills * cost)
        inside = np.arange(tables.levels)[:, None] < tables.shared
        seen = np.where(inside, tables.alone(factors)[:, None, tables.results], 1.0)
        constant = tables.architecture.mac_pj - (seen * tables.saved_pj).sum((1, 2))
        crossing = overlapped(tables, tables.distinct[vector], factors, pitch)
        share = np.where(tables.crosses, crossing[:, tables.space_of], 1.0)
        share *= tables.even(pitch, factors)[:, tables.space_of] | ((tables.level_of == MACS) & ~tables.crosses)
        instances, spread = tables.instances[vector], tables.spread[vector]
        leak, compute = tables.leak_pj[vector], tables.compute[vector]
        total = constant + (fills * cost).sum(1)
        return PairTerms(share, cost, fills, loose, instances, spread, constant, leak, compute, total, held)

    @cached_property
    def _sharing(self) -> list[tuple[int, Sharing]]:
        """What children share of windows, by the term whose words come over the fan-out."""
        tables, labels, found = self.tables, self.labels, []
        for j in np.flatnonzero(tables.crosses).tolist():
            term, pitch = tables.terms[j], labels.outermost
            tile = np.ones_like(pitch) if term.level == MACS else labels.whole[:, term.level]
            for slide in (one for one in tables.slides if one.space == term.space):
                a, b = dims = list(slide.dims)
                bounds = tables.lattice.bounds[a], tables.lattice.bounds[b]
                found.append((j, Sharing(slide, bounds, tile[:, dims], pitch[:, dims], tables.factors[:, dims])))
        return found

    # all pairs at once

    @cached_property
    def coarse(self) -> tuple["Coarse", ...]:
        """One bound for every set of dataspaces whose runs may go on beyond a pair: the least of them holds."""
        single = [(t,) for t in self._running]
        return tuple(self._coarse(some) for some in [(), *single, *self.tables.together])

    def _coarse(self, some: tuple[int, ...]) -> "Coarse":
        tables, lattice = self.tables, self.tables.lattice
        inner, held, _ = self._inner_pj
        beyond = self._run_on(*some) if len(some) == 1 else self.free.copy()
        for t, words in enumerate(self._crossing.T):
            if t not in some:
                beyond += words
            elif len(some) > 1:
                beyond += words * tables.irrelevant[:, t] / tables.irrelevant[-1, t]
        inner = inner.sum(1) - held[:, list(some)].sum(1)
        least = np.full(lattice.size, np.inf)
        np.minimum.at(least, self.labels.reached, inner)
        on = np.isin(np.arange(len(tables.spaces)), some)
        saved = np.where(on, self.visits_pj - self._first_fills, self.visits_pj) / tables.irrelevant[-1]
        most = np.minimum(tables.alone(tables.lattice.largest), tables.children.max())
        follows = beyond - most @ saved
        least = lattice.least_of_sources(least) + follows
        return Coarse(inner, beyond, least, lattice.least_of_multiples(follows), saved)

    @cached_property
    def visits_pj(self) -> Floats:
        """`[T]` pJ a word that first visits save inside a processing element."""
        tables = self.tables
        inside = tables.kept[: tables.shared] * tables.written
        far, near = tables.wires
        saved = (tables.figure("read_pj") + tables.figure("write_pj"))[:, None] + far + near[:-1]
        return (inside * saved[: tables.shared]).sum(0)

    @cached_property
    def _first_fills(self) -> Floats:
        """`[T]` pJ a word of `visits_pj` that tiles are filled with at least, though their run goes on to the bound."""
        return np.minimum(self.visits_pj, self._inner_pj[2])

    def _run_on(self, space: int) -> Floats:
        """`[states]` pJ a MAC of words over the fan-out whose run goes on, and of the shared level's tiles."""
        tables = self.tables
        kappa = self._crossing[:, space] * tables.irrelevant[:, space] + (self._inner_pj[2] - self._first_fills)[space]
        if np.ptp(kappa) < 1e-9 * kappa[0]:
            kappa = np.full_like(kappa, kappa.min())
            on = tables.lattice.least_of_multiples(self.outer + kappa / tables.irrelevant[:, space])
        else:
            on = self.run(space, kappa, np.arange(len(kappa)))
        return np.minimum(on, self.through_at(space, kappa, np.arange(len(kappa))))

    @cached_property
    def _crossing(self) -> Floats:
        """`[states, T]` least pJ a MAC of the words that the parent serves over the fan-out."""
        tables = self.tables
        words = np.zeros((tables.lattice.size, len(tables.spaces)))
        for j in np.flatnonzero(tables.crosses).tolist():
            words[:, tables.space_of[j]] = tables.serve_pj[j]
            for slide in tables.slides:
                if slide.space == tables.space_of[j]:
                    words[:, slide.space] *= self._window(slide, tables.terms[j].level)
        return words / tables.irrelevant

    def _window(self, slide: Slide, level: int) -> Floats:
        """`[states]` least words over the fan-out of a rank with a window, over the iterations that need them.

        The least over all tiles and spatial factors of the two dimensions that lead to a state. Tiles of a level inside
        a processing element that are smaller than its outermost, or slide there, are filled with no fewer words. Of
        MACs every iteration takes its own.
        """
        tables, lattice = self.tables, self.tables.lattice
        a, b = slide.dims
        ways, others = self._ways(a), self._ways(b)
        least = np.full((lattice.radix[a], lattice.radix[b]), np.inf)
        for start in range(0, len(ways.whole), max(1, WAYS // len(others.whole))):
            one = ways.some(slice(start, start + max(1, WAYS // len(others.whole))))
            rate = _words_over(slide, one, others, level, outermost=tables.shared - 1)
            np.minimum.at(least, (one.digit, others.digit), rate)
        return least[lattice.digit[:, a], lattice.digit[:, b]]

    def _ways(self, d: int) -> "Ways":
        """All tiles and spatial factors of a dimension."""
        tables, bound = self.tables, self.tables.lattice.bounds[d]
        level = tables.architecture.levels[tables.shared]
        whole = np.unique(self.labels.outermost[:, d])
        spread = np.arange(1, min(bound, max(level.fanout_x, level.fanout_y)) + 1)
        whole, spread = np.repeat(whole, len(spread)), np.tile(spread, len(whole))
        tiles = tile_count(bound, whole)
        whole, spread, tiles = (row[spread <= tiles] for row in (whole, spread, tiles))
        left = tile_count(tiles, spread)
        return Ways(bound, whole, spread, tiles, left, tables.lattice.digit_of[d][left])

    @cached_property
    def _inner_pj(self) -> tuple[Floats, Floats, Floats]:
        """Least pJ a MAC of words inside a processing element, and what of it open runs may save, `[labels, T]` each.

        Then `[T]` the least of the latter for a tile that no loop leaves in place.
        """
        tables, labels = self.tables, self.labels
        costs = labels.fills * (tables.fill_pj + np.where(tables.crosses, 0.0, tables.serve_pj))
        best = np.ones((len(labels), len(tables.spaces)))
        for (t, d), (rank, step) in tables.slide_of.items():
            new = 1 - tables.held_over(rank, step, d, labels.reached, labels.reached)
            slides = tables.extents[labels.reached, d] < tables.bounds[d]
            best[:, t] = np.minimum(best[:, t], np.where(slides, new, 1.0))
        costs = np.where(labels.is_open, costs * best[:, tables.space_of], costs)
        costs, held = self.by_space(costs), self.by_space(np.where(labels.is_open, costs, 0.0))
        return costs, held, (held * tables.irrelevant[labels.reached]).min(0)


@dataclass(frozen=True, eq=False)
class Coarse:
    """A bound of pairs, pJ a MAC without what `constant_pj` has: of the label, and of the state reached.

    Attributes:
        inner: `[labels]`.
        beyond: `[states]`.
        least: `[states]` the least of their sum over all labels that lead to a state, less what first visits save.
        follows: `[states]` the least of `beyond` over all states that a state leads to, less that.
        saved: `[T]` pJ a MAC that first visits save at most for each child with the same words.
    """

    inner: Floats
    beyond: Floats
    least: Floats
    follows: Floats
    saved: Floats

    def least_of(self, reached: Ints) -> Floats:
        """`[labels]` the least of all pairs of a label, of the states that labels reach."""
        return self.inner + self.follows[reached]


@dataclass(frozen=True, eq=False)
class Ways:
    """Tiles `[n]` of a dimension inside a processing element, with spatial factors.

    Attributes:
        bound: of the dimension.
        whole: extents of the whole tiles; `spread`: spatial factors; `tiles`: their number; `left`: groups of children.
        digit: index of `left` in the lattice.
    """

    bound: int
    whole: Ints
    spread: Ints
    tiles: Ints
    left: Ints
    digit: Ints

    @property
    def extent(self) -> Floats:
        """Of tiles on average."""
        return self.bound / self.tiles

    @property
    def last(self) -> Ints:
        """Extent of the last tile."""
        return self.bound - (self.tiles - 1) * self.whole

    def some(self, rows: slice) -> "Ways":
        """Some of them, `[n, 1]`."""
        kept = (self.whole, self.spread, self.tiles, self.left, self.digit)
        return Ways(self.bound, *(row[rows, None] for row in kept))


def _words_over(slide: Slide, one: Ways, other: Ways, level: int, outermost: int) -> Floats:
    """`[n, m]` words that a rank's tiles of two dimensions take over the fan-out at best, over iterations.

    Args:
        slide: the dimensions.
        one: `[n, 1]` of the first.
        other: `[m]` of the second.
        level: of the tiles; of MACs every iteration takes one word.
        outermost: the outermost level inside a processing element; tiles may have slid further in.
    """
    both = (one.spread > 1) & (other.spread > 1)
    share = np.ones(both.shape)
    whole = np.stack(np.broadcast_arrays(one.whole, other.whole), -1)[both]
    spread = np.stack(np.broadcast_arrays(one.spread, other.spread), -1)[both]
    if level in (MACS, outermost):
        tile = np.ones_like(whole) if level == MACS else whole
        share[both] = least_share(slide, (one.bound, other.bound), tile, whole, spread)
    else:  # tiles of any extent: no more children have the same words than lie along either dimension
        share[both] = 1 / spread.min(1)
    if level == MACS:
        return share
    c, k = slide.steps
    box = 1 + c * (one.extent - 1) + k * (other.extent - 1)
    least = box
    for step, way, across, far in ((c, one, other, k), (k, other, one, c)):
        new = step * (way.extent + (0 if outermost else way.whole * (way.spread - 1)))
        full, cut = (np.minimum(1 + step * (way.extent - 1) + far * (n - 1), new) for n in (across.whole, across.last))
        slid = (full * (across.tiles - 1) + cut) / across.tiles
        least = np.where((outermost > 0) | (way.left > 1), np.minimum(least, slid), least)
    return least * share / (one.extent * other.extent)
