"""The exact front of one layer on any hierarchy where factors need not divide the bounds.

The best-first search of `FrontSearch` over numbers of tiles, from the front of perfect factors on. Bounds are those
of labels of such numbers at best; what they leave is evaluated with all factors that may matter (`last_tiles`).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache, partial
from itertools import count

import numpy as np

from dlco.exact.best_first import WIDTHS, Completions, FrontSearch, Pairs
from dlco.exact.bounds import Bounds, PairTerms
from dlco.exact.counts import tile_count
from dlco.exact.hierarchy import HierarchyTables
from dlco.exact.hierarchy_labels import HierarchyLabels, lowered, passing
from dlco.exact.labels import Labels
from dlco.exact.last_tiles import ways
from dlco.exact.lattice import Bools, Floats, Ints
from dlco.exact.outlook import Outlook
from dlco.exact.wider import WiderSearch
from dlco.mapping.mapping import TEMPORAL

BRIEF = (16,)  # labels of a level grown further, where the search is to be brief
ASKED, EVALUATED = 300, 300_000  # parts of a brief search, and mappings evaluated in it
PARTS = 20  # of other searches, which take as long as one of this
COARSE = 16.0  # between two kappas of the grid
MADE = 1 << 12  # numbers of tiles of which all mappings are made at once


@dataclass(frozen=True, eq=False)
class HierarchyBounds(Bounds):
    """The tables of a problem on a machine over numbers of tiles."""

    tables: HierarchyTables

    def _make_outermost(self) -> tuple[Floats, Floats]:
        """As `Bounds` has it, one set of loops of the outermost level after the other."""
        tables, size = self.tables, self.tables.lattice.size
        code = tables.loops(np.arange(size), np.full(size, size - 1))
        order = np.argsort(code, kind="stable")
        energy, cycles = np.full((2, size), np.inf)
        classes = tables.classes[tables.levels - 2]
        for tiles in np.split(order, np.flatnonzero(np.diff(code[order])) + 1):
            tiles = tiles[tables.shared_tiles[tiles]]
            _, rows = self.outer_orders(tiles[:1])
            fill = lru_cache(maxsize=None)(partial(self.shared_fill, tile=tiles))
            for row in rows.tolist() if len(tiles) else ():
                fills = np.zeros((len(tiles), len(tables.spaces)))
                for t in np.flatnonzero(tables.filled).tolist():
                    still, slide = int(classes.still[row, t]), int(classes.slide[row, t])
                    fills[:, t] = fill(t, still=still, slide=slide)
                energy[tiles] = np.minimum(energy[tiles], fills @ tables.shared_pj)
                cycles[tiles] = np.minimum(cycles[tiles], self.outer_ports(fills))
        return energy, cycles

    def run(self, space: int, kappa: Floats, reached: Ints) -> Floats:  # type: ignore[override]
        """As `Bounds` has it, between two of a coarser grid: least values of linear functions are concave in kappa."""
        step = np.floor(np.log(np.maximum(kappa, COARSE**self._lowest)) / np.log(COARSE))
        found = np.empty(len(kappa))
        for at in np.unique(step).tolist():
            some = np.flatnonzero(step == at)
            ends = [0.0 if one <= self._lowest else COARSE**one for one in (at, at + 1)]
            tables = [self._once(partial(self._make_run, space, one), "run", space, one) for one in ends]
            least, most = (table[reached[some]].astype(float) for table in tables)
            share = np.clip((kappa[some] - ends[0]) / (ends[1] - ends[0]), 0.0, 1.0)
            found[some] = np.where(
                np.isinf(least), np.inf, least + share * np.where(np.isinf(least), 0.0, most - least)
            )
        return found

    @cached_property
    def _lowest(self) -> float:
        """The power of `COARSE` that stands for a kappa of 0."""
        least = self.outer.min(initial=np.inf)
        return float(np.floor(np.log(max(least * 1e-6, 1e-290)) / np.log(COARSE))) if np.isfinite(least) else 0.0

    def energies(self, labels: Labels, label: Ints, vector: Ints, reached: Ints) -> PairTerms:
        """As `Bounds` has it."""
        tables, m = self.tables, self.tables.shared
        some = labels.pick(label).spread_over(tables, m, vector)
        cost = tables.fill_pj + tables.serve_pj * some.share
        instances = np.column_stack([some.instances[:, 1:], np.ones((len(some), tables.levels - m))])
        spread = np.ones((len(some), tables.levels, len(tables.results)))
        spread[:, :m] = some.spread
        fills, loose = self.at_best(some.fills, some.is_open, some.states, reached)
        held = self.by_space(some.is_open * fills * cost)
        constant = tables.architecture.mac_pj - (spread * tables.saved_pj).sum((1, 2))
        leak = (instances * tables.figure("leak_pj")).sum(1)
        total = constant + (fills * cost).sum(1)
        compute = tables.macs / some.instances[:, 0]
        return PairTerms(some.port_share, cost, fills, loose, instances, spread, constant, leak, compute, total, held)


class HierarchySearch(WiderSearch):
    """The search of one problem on one machine; `run` it. Rows of the front end with all temporal factors."""

    tables: HierarchyTables
    labels: HierarchyLabels
    kind = HierarchyLabels

    def __init__(self, tables: HierarchyTables, perfect: FrontSearch, *, brief: bool = False) -> None:
        """Begin.

        Args:
            tables: the problem on the machine.
            perfect: the search among perfect factors, run or not.
            brief: whether to stop, with bounds open, where it would take longer than some seconds.
        """
        self.tables, self.perfect, self.brief = tables, perfect, brief
        self.bounds = HierarchyBounds(tables)
        self.outlook = Outlook(tables, self.bounds)
        self.labels, self._widths = HierarchyLabels.none(tables, tables.shared), BRIEF if brief else WIDTHS
        self.left, self.dropped = Pairs.none(), np.array([[self._floor.energy, self._floor.cycles]])
        self._begun = False
        self._take_perfect()

    def run(self, go_on: Callable[[], bool] = lambda: True) -> None:
        """Search until the front is proved, or until `go_on`, asked `PARTS` times a part, says no."""
        if not self._begun:
            if not self._run_perfect(go_on):
                return
            self._begun = True
        asked, most = count(), self.evaluated + EVALUATED
        if self.brief:
            super().run(lambda: go_on() and next(asked) < ASKED and self.evaluated < most)
        else:
            super().run(lambda: all(go_on() for _ in range(PARTS)))

    def _take_perfect(self) -> None:
        """Make the front that of perfect factors."""
        self.front = self.perfect.front.marked(self.tables.levels * (3 + self.tables.dims))
        self.given, self.evaluated = self.perfect.mappings(), self.perfect.evaluated

    def _tiles(self, pairs: Pairs, terms: PairTerms) -> tuple[Ints, Ints]:
        """As `FrontSearch` has it."""
        tables = self.tables
        pair, tile = super()._tiles(pairs, terms)
        inner = self.labels.whole[pairs.label[pair]] * tables.fans[tables.shared].factors[pairs.spatial[pair]]
        factors = tile_count(tables.lattice.entries[pairs.reached[pair]], tables.lattice.entries[tile])
        fits = tables.held(tables.words_of(np.minimum(inner * factors, tables.whole)))[:, tables.shared]
        return pair[fits], tile[fits]

    def _rest(self, pairs: Pairs, some: Completions) -> Floats:
        """As `FrontSearch` has it."""
        tables, reached = self.tables, pairs.reached[some.pair]
        moved = (tables.loops(reached, some.tile)[:, None] & tables.moving) > 0
        part = passing(tables, self._ragged(pairs, some), reached, some.tile)
        return np.where(moved, 1 / part, tables.irrelevant[reached] / tables.irrelevant[-1])

    def _ragged(self, pairs: Pairs, some: Completions) -> Bools:
        """`[n, dims]` along which dimensions children idle at times."""
        tables, labels, label = self.tables, self.labels, pairs.label[some.pair]
        factors = tables.fans[tables.shared].factors[pairs.spatial[some.pair]]
        return labels.ragged[label] | (tables.lattice.entries[labels.reached[label]] % factors > 0)

    def _passed(
        self, pairs: Pairs, some: Completions, before: Completions, level: int, inner: Ints, row: Ints
    ) -> Completions:
        """As `FrontSearch` has it: as often as tiles are walked at least."""
        tables = self.tables
        outer = some.tile if level == tables.shared else np.full(len(row), tables.lattice.size - 1)
        still = tables.still(level, before.is_open, inner, outer, row)
        fills = lowered(tables, some.fills, still, self._ragged(pairs, some), inner, outer)
        return replace(some, fills=fills)

    # what the points are

    def _join(self, rows: Ints, cycles: Floats, energy: Floats) -> None:
        """As `FrontSearch` has it: with the least factors first, then with all that may matter."""
        tables = self.tables
        left, spread = tables.lattice.entries[rows[:, : tables.levels]], self._spread(rows)
        columns = tables.levels * tables.dims
        least = tile_count(self._before(left, spread), left)
        super()._join(np.column_stack([rows, least.reshape(-1, columns)]), cycles, energy)
        order = np.argsort(cycles * energy, kind="stable")
        for start in range(0, len(rows), MADE):
            some = order[start : start + MADE]
            some = some[~self.front.excludes(cycles[some], energy[some])]
            factors, at, steps = self._others(left[some], spread[some], least[some])
            at, fewest = some[at], np.maximum(cycles[some[at]], steps)
            good = ~self.front.excludes(fewest, energy[at])
            made = np.column_stack([rows[at[good]], factors[good].reshape(-1, columns)])
            super()._join(made, fewest[good], energy[at[good]])

    def _before(self, left: Ints, spread: Ints) -> Ints:
        """`[n, levels, dims]` numbers of tiles before the temporal loops of every level, of those that these leave."""
        inside = np.concatenate([np.tile(self.tables.whole, (len(left), 1, 1)), left[:, :-1]], 1)
        return tile_count(inside, spread)

    def _others(self, left: Ints, spread: Ints, least: Ints) -> tuple[Ints, Ints, Floats]:
        """All mappings `[n]` of numbers of tiles that fit, but those of the least factors.

        Args:
            left: `[m, levels, dims]` numbers of tiles that temporal loops leave.
            spread: the same, spatial factors.
            least: the same, the least temporal factors.

        Returns:
            (temporal factors `[n, levels, dims]`, position among the numbers `[n]`, steps `[n]`).
        """
        tables, levels = self.tables, self.tables.levels
        every = self._windowed(left, spread)
        at, steps = np.arange(len(left)), np.ones(len(left))
        factors = np.ones((len(left), levels, 0), dtype=np.int64)
        for d, bound in enumerate(tables.lattice.bounds):
            keys = np.column_stack([spread[:, :, d], left[:, :, d], every[:, d]])
            once, place = np.unique(keys, axis=0, return_inverse=True)
            found = [ways(bound, tuple(key[:levels]), tuple(key[levels:-1]), key[-1]) for key in once.tolist()]
            number = np.array([len(one) for one in found], dtype=np.int64)
            first = np.cumsum(number) - number
            way = np.array([one for some in found for one, _ in some], dtype=np.int64).reshape(-1, levels)
            took = np.array([one for some in found for _, one in some], dtype=float)
            of = place.ravel()[at]
            pick = np.repeat(np.arange(len(at)), number[of])
            index = np.arange(len(pick)) - np.repeat(np.cumsum(number[of]) - number[of], number[of]) + first[of[pick]]
            factors = np.concatenate([factors[pick], way[index][:, :, None]], 2)
            at, steps = at[pick], steps[pick] * took[index]
            factors, at, steps = self._fitting(factors, spread, at, steps)
        other = np.any(factors != least[at], axis=(1, 2))
        return factors[other], at[other], steps[other]

    def _fitting(self, factors: Ints, spread: Ints, at: Ints, steps: Floats) -> tuple[Ints, Ints, Floats]:
        """Those of the mappings `[n]` that fit, all dimensions without factors yet taken to be 1."""
        tables, known = self.tables, factors.shape[2]
        reach = np.ones((len(at), tables.dims), dtype=np.int64)
        good = np.ones(len(at), dtype=bool)
        for level in range(tables.levels):
            reach[:, :known] = np.minimum(
                reach[:, :known] * spread[at, level, :known] * factors[:, level], tables.whole[:known]
            )
            good &= tables.held(tables.words_of(reach))[:, level]
        return factors[good], at[good], steps[good]

    def _windowed(self, left: Ints, spread: Ints) -> Ints:
        """`[n, dims]` how many levels, from the innermost on, have factors on whose extents words of windows depend.

        They do where both dimensions of a window lie on children of a level: on what lies inside. And where the other
        dimension slides it by more than its tile, some of which are cut short.
        """
        tables = self.tables
        every = np.zeros((len(left), tables.dims), dtype=np.int64)
        before = self._before(left, spread)
        loops = np.any(before[:, 1:] > left[:, 1:], axis=1)
        for slide in tables.slides:
            dims = list(slide.dims)
            both = np.all(spread[:, :, dims] > 1, axis=2)
            inside = np.where(both, np.arange(tables.levels), 0).max(1)
            apart = loops[:, dims] & ((np.array(slide.steps) > 1) | np.any(spread[:, :, dims] > 1, axis=1))
            every[:, dims] = np.maximum(every[:, dims], inside[:, None])
            every[:, dims] = np.maximum(every[:, dims], np.where(apart[:, ::-1], tables.levels, 0))
        return every

    def _spread(self, rows: Ints) -> Ints:
        """`[n, levels, dims]` spatial factors of rows."""
        tables = self.tables
        vectors = rows[:, tables.levels : 2 * tables.levels]
        fans = [fan.factors[vectors[:, level]] for level, fan in enumerate(tables.fans)]
        return np.stack([*fans, np.ones_like(fans[0])], 1)

    def factors(self, rows: Ints) -> tuple[Floats, Ints]:
        """As `FrontSearch` has them."""
        tables = self.tables
        factors, position = super().factors(rows)
        temporal = rows[:, 3 * tables.levels :].reshape(len(rows), tables.levels, tables.dims)
        factors[:, :, TEMPORAL, list(tables.shape.live)] = temporal[:, : factors.shape[1]]
        return factors, position

    def _temporal(self, states: Ints, spread: Ints) -> Ints:
        return np.ones((*states.shape, self.tables.dims), dtype=np.int64)  # they are part of the rows
