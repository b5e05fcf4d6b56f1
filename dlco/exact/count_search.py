"""The exact front of one layer on one machine where factors need not divide the bounds.

The best-first search of `FrontSearch`, over numbers of tiles. It begins with the front of perfect factors: most spatial
factors are then excluded by what they cost at best, and most labels with the others, by two numbers looked up, before
a pair is formed.

Whole tiles are the least of which there are so many. Larger ones serve only where the last tile is cut short and alone
in its group of children: then the busiest child has less to do, and asks less often. Such chains of tiles are tried
where a pair is completed; its bound on cycles has them already.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from dlco.exact.best_first import CHUNK, Completions, FrontSearch, Pairs
from dlco.exact.bounds import PairTerms
from dlco.exact.count_bounds import CountBounds
from dlco.exact.count_scan import PairScan
from dlco.exact.count_tables import CountLabels, CountTables
from dlco.exact.counts import tile_count
from dlco.exact.lattice import Bools, Floats, Ints
from dlco.exact.wider import WiderSearch
from dlco.mapping.mapping import Mapping

LEFT, BOUNDED = 1 << 15, 4_000_000  # pairs left over, or completions to be bounded in all, that are too many in brief
SAMPLE = 400_000  # completions bounded that tell how many there are to be


@dataclass(frozen=True, eq=False)
class CountPairs(Pairs):
    """Pairs `[n]`; `chain`: row of the whole tiles of the label, or of others of which there are as many."""

    chain: Ints


class CountSearch(WiderSearch):
    """The search of one problem on one machine; `run` it.

    Attributes:
        chains: `[n, m, dims]` whole tiles of every level inside a processing element: those of the labels, then others.
        turns: `[n, dims]` temporal factors of the shared level that are larger than they need be; the first stand for
            the least.
    """

    tables: CountTables
    labels: CountLabels
    bounds: CountBounds
    left: CountPairs

    def __init__(self, tables: CountTables, perfect: FrontSearch, *, brief: bool = False) -> None:
        """Begin.

        Args:
            tables: the problem on the machine.
            perfect: the search among perfect factors, run or not.
            brief: whether to stop, with bounds open, where it would take longer than some seconds.
        """
        self.tables, self.perfect, self.brief = tables, perfect, brief
        self._completed = self._bounded_so_far = 0
        self._take_perfect()
        self._scan: PairScan | None = None
        self._widths = ()  # no pass leaves labels out
        self.left, self.dropped = CountPairs.none(), np.zeros((0, 2))

    def run(self, go_on: Callable[[], bool] = lambda: True) -> None:
        """Search until the front is proved, or until `go_on`, asked now and then, says no."""
        if self._scan is None:
            if not self._run_perfect(go_on):
                return
            self._prepare()
        assert self._scan is not None
        while not self._scan.done:
            if self._takes_long or not go_on():
                return
            self._look_at(*self._scan.next())
            self._scan.advance()
        super().run(lambda: not self._takes_long and go_on())

    @property
    def _takes_long(self) -> bool:
        """Whether a brief search is to stop."""
        left, so_far = len(self.left.label), self._bounded_so_far
        return self.brief and (
            left > LEFT or (so_far > SAMPLE and so_far * (1 + left / max(1, self._completed)) > BOUNDED)
        )

    def _promising(self, terms: PairTerms, some: Completions, energy: Floats) -> Ints:
        self._bounded_so_far += len(energy)
        return super()._promising(terms, some, energy)

    def open_bounds(self) -> tuple[Floats, Floats]:
        """As `FrontSearch` has them; spatial factors that have not been looked at are among what is left."""
        if self._scan is None:
            return np.array([self._floor.energy]), np.array([self._floor.cycles])
        (energy, cycles), (more, times) = super().open_bounds(), self._scan.left
        return np.concatenate([energy, more]), np.concatenate([cycles, times])

    def _take_perfect(self) -> None:
        """Make the front that of perfect factors."""
        self.front, self.evaluated = self.perfect.front.marked(3 * self.tables.levels), self.perfect.evaluated

    def _prepare(self) -> None:
        """Make the tables."""
        self.labels = labels = self.tables.labels()
        self.bounds = CountBounds(self.tables, labels)
        self.chains = labels.whole
        self.turns = np.zeros((1, self.tables.dims), dtype=np.int64)
        self._scan = PairScan(self.tables, self.bounds, self)

    def _look_at(self, label: Ints, spatial: Ints, reached: Ints) -> None:
        """Add pairs to those left, once the best of every part of them has joined the front."""
        for start in range(0, len(label), CHUNK):
            part = slice(start, start + CHUNK)
            pairs = self._open(self._bounded(label[part], spatial[part], reached[part]))
            self._complete(pairs.pick(pairs.promising(1)))
            self.left = self._open(CountPairs.join([self.left, self._open(pairs)]))

    def _bounded(self, label: Ints, spatial: Ints, reached: Ints) -> CountPairs:
        """Pairs that fit, with their bounds."""
        tables, bounds = self.tables, self.bounds
        whole, factors = self.labels.outermost[label], tables.factors[spatial]
        good = np.flatnonzero(self._fits_shared(whole * factors))
        label, spatial, reached = label[good], spatial[good], reached[good]
        steps = tables.least_steps(whole[good], factors[good]).astype(float).prod(1)
        terms = bounds.energies(self.labels, label, spatial, reached)
        cycles = np.maximum(bounds.least_cycles(terms, reached), steps)
        energy = bounds.least_energy(terms, reached) + terms.leak * cycles / tables.macs
        return CountPairs(label, spatial, reached, energy, cycles, label)

    def _complete(self, pairs: Pairs) -> None:
        """Evaluate every completion of the pairs that may join the front."""
        assert isinstance(pairs, CountPairs)
        self._completed += len(pairs.label)
        super()._complete(self._open(self._with_chains(pairs)))

    def _with_chains(self, pairs: CountPairs) -> CountPairs:
        """The pairs with every chain of whole tiles, and the cycles that each takes."""
        tables = self.tables
        whole, factors = self.labels.outermost[pairs.label], tables.factors[pairs.spatial]
        steps = tables.steps(whole, factors)
        at, chain = [np.arange(len(steps))], [pairs.label]
        for i in np.flatnonzero((tables.least_steps(whole, factors) < steps).any(1)).tolist():
            fewer = tables.least_steps(whole[i : i + 1], factors[i : i + 1])[0] < steps[i]
            others = self._chains(int(pairs.label[i]), np.flatnonzero(fewer).tolist())
            at.append(np.full(len(others), i))
            chain.append(np.arange(len(others)) + len(self.chains))
            self.chains = np.concatenate([self.chains, others])
        some = replace(pairs.pick(np.concatenate(at)), chain=np.concatenate(chain))
        steps = tables.steps(self._outermost(some.chain), tables.factors[some.spatial])
        return replace(some, cycles=np.maximum(some.cycles, steps.astype(float).prod(1)))

    def _chains(self, label: int, dims: Sequence[int]) -> Ints:
        """`[n, m, dims]` chains of whole tiles beside a label's own, of as many tiles, larger along some dimensions."""
        tables, own = self.tables, self.labels.whole[label]
        options = [[tuple(own[:, d].tolist())] for d in range(tables.dims)]
        for d in dims:
            options[d] = _chains_like(tables.lattice.bounds[d], options[d][0])
        found = np.array(list(product(*options)), dtype=np.int64).transpose(0, 2, 1)[1:]
        fits = [tables.held(tables.words_of(found[:, level]))[:, level] for level in range(found.shape[1])]
        return found[np.all(fits, axis=0)]

    def _outermost(self, chain: Ints) -> Ints:
        """`[n, dims]` extents of the outermost whole tiles inside a processing element."""
        if not self.chains.shape[1]:
            return np.ones((len(chain), self.tables.dims), dtype=np.int64)
        return self.chains[chain, -1]

    def _at_tiles(self, pairs: Pairs, terms: PairTerms, some: Completions, rest: Floats) -> Floats:
        """As `FrontSearch` has it; a run that goes on outside shares the order there with the shared level's tiles."""
        tables, bounds = self.tables, self.bounds
        if tables.together:
            return super()._at_tiles(pairs, terms, some, rest)
        reached, total, held = pairs.reached[some.pair], terms.total[some.pair], terms.held[some.pair]
        moved = (tables.loops(reached, some.tile)[:, None] & tables.moving) > 0
        low = total + bounds.outer[some.tile]
        for t in bounds.onward:
            inside = bounds.outer[some.tile] + held[:, t] * rest[:, t]
            outside = bounds.on_chord(bounds.onward[t], held[:, t] * tables.irrelevant[reached, t], some.tile)
            low = np.minimum(low, total - held[:, t] + np.where(moved[:, t], inside, outside))
        return low

    def _tiles(self, pairs: Pairs, terms: PairTerms) -> tuple[Ints, Ints]:
        """(position in the pairs, state) of the tiles of the shared level that fit and may leave a better point."""
        assert isinstance(pairs, CountPairs)
        tables, outer = self.tables, self.bounds.outer
        rest = tables.irrelevant[pairs.reached] / tables.irrelevant[-1]
        allowed = (self.front.allowed(pairs.cycles) - terms.leak * pairs.cycles) / tables.macs
        slack = allowed + terms.total * 1e-12 - terms.total + tables.saved(terms.held * (1 - rest))
        once, place = np.unique(pairs.reached, return_inverse=True)
        most = np.full(len(once), -np.inf)
        np.maximum.at(most, place, slack)
        state, above = tables.lattice.multiples(once, np.isfinite(outer))
        cost = outer[above]
        good = cost <= most[state]
        state, above, cost = state[good], above[good], cost[good]
        first = np.searchsorted(state, np.arange(len(once) + 1))
        size = np.diff(first)[place]
        at = np.repeat(np.arange(len(place)), size)
        index = np.repeat(first[place] - np.cumsum(size) + size, size) + np.arange(size.sum())
        left = np.flatnonzero(cost[index] <= slack[at])
        at, tile = at[left], above[index[left]]
        factors = tile_count(tables.lattice.entries[pairs.reached[at]], tables.lattice.entries[tile])
        inner = self._outermost(pairs.chain) * tables.factors[pairs.spatial]
        left = np.flatnonzero(self._fits_shared(inner[at] * factors))
        return at[left], tile[left]

    def _fits_shared(self, whole: Ints) -> Bools:
        """`[n]` whether the shared level holds whole tiles `[n, dims]`, cut short at the bounds."""
        tables = self.tables
        words = tables.words_of(np.minimum(whole, np.array(tables.lattice.bounds)))
        return (words * tables.kept[tables.shared]).sum(1) <= tables.architecture.levels[tables.shared].usable_capacity

    # what the points are

    def _rows(self, pairs: Pairs, tile: Ints, row: Ints, top: Ints) -> Ints:
        """As `FrontSearch` has them, but with the chain of whole tiles for the states inside."""
        assert isinstance(pairs, CountPairs)
        rows = super()._rows(pairs, tile, row, top)
        rows[:, : self.tables.shared] = pairs.chain[:, None]
        rows[:, self.tables.levels - 1] = 0
        return rows

    def _join(self, rows: Ints, cycles: Floats, energy: Floats) -> None:
        """As `FrontSearch` has it, with larger temporal factors of the shared level, too, where that may be better."""
        shared, spread = self.tables.shared, self.tables.factors[rows[:, self.tables.levels + self.tables.shared]]
        inner = self._outermost(rows[:, 0]) * spread
        bounds, left = np.array(self.tables.lattice.bounds), self.tables.lattice.entries[rows[:, shared]]
        groups = tile_count(tile_count(bounds, self._outermost(rows[:, 0])), spread)
        least, most = tile_count(groups, left), np.where(left > 1, (groups - 1) // np.maximum(left - 1, 1), 0)
        last_first = self.tables.windows & (spread > 1) & ((groups - 1) % np.maximum(left - 1, 1) == 0)
        uneven = self._uneven(left)
        more = (most > least) & (last_first | uneven)
        parts = [(rows, cycles, energy)]
        for i in np.flatnonzero(more.any(1)).tolist():
            ends = [range(n + 1, m + 1) if u else (m,) for n, m, u in zip(least[i], most[i], uneven[i], strict=True)]
            options = [(0, *map(int, some)) if on else (0,) for some, on in zip(ends, more[i], strict=True)]
            turns = np.array(list(product(*options))[1:], dtype=np.int64)
            turns = turns[self._fits_shared(inner[i] * np.maximum(turns, least[i]))]
            others = np.repeat(rows[i : i + 1], len(turns), axis=0)
            others[:, shared + 1] = len(self.turns) + np.arange(len(turns))
            self.turns = np.concatenate([self.turns, turns])
            parts.append((others, np.full(len(turns), cycles[i]), np.full(len(turns), energy[i])))
        super()._join(*(np.concatenate(column) for column in zip(*parts, strict=True)))

    def _uneven(self, left: Ints) -> Bools:
        """`[n, dims]` whether what the outermost loops keep of the shared tiles depends on the whole extents of these.

        They keep nothing of the last tile where their step, of more than one word, is wider than its window.
        """
        tables, uneven = self.tables, np.zeros(left.shape, dtype=bool)
        for slide in (slide for slide in tables.slides if tables.filled[slide.space]):
            for (a, b), step in zip((slide.dims, slide.dims[::-1]), slide.steps, strict=True):
                uneven[:, b] |= (step > 1) & (left[:, a] > 1)
        return uneven

    def mappings(self) -> tuple[Mapping, ...]:
        """The mappings of the front's points."""
        given, own = self.perfect.mappings(), iter(super().mappings() if (self.front.rows[:, 0] >= 0).any() else ())
        return tuple(given[-1 - first] if first < 0 else next(own) for first in self.front.rows[:, 0].tolist())

    def _temporal(self, states: Ints, spread: Ints) -> Ints:
        tables, bounds = self.tables, np.array(self.tables.lattice.bounds, dtype=np.int64)
        loops, tiles = [], np.tile(bounds, (len(states), 1))
        below = np.ones_like(tiles)
        for level in range(tables.shared):
            whole = self.chains[states[:, level], level]
            loops.append(np.where(whole < bounds, whole // below, tiles))
            below, tiles = whole, tile_count(bounds, whole)
        tiles, left = tile_count(tiles, spread[:, tables.shared]), tables.lattice.entries[states[:, tables.shared]]
        turns = np.maximum(tile_count(tiles, left), self.turns[states[:, tables.shared + 1]])
        return np.stack([*loops, turns, left], 1)


def _chains_like(bound: int, chain: Sequence[int]) -> list[tuple[int, ...]]:
    """The chain of extents, first, and all others of as many tiles at every level."""
    chains: list[tuple[int, ...]] = [()]
    for whole in chain:
        tiles, grown = tile_count(bound, whole), []
        largest = (bound - 1) // (tiles - 1) if tiles > 1 else bound
        for one in chains:
            inner = one[-1] if one else 1
            fitting = [n for n in range(tile_count(bound, tiles), largest + 1) if n % inner == 0 or tiles == 1]
            grown += [(*one, n) for n in fitting]
        chains = grown
    return [tuple(chain), *(one for one in chains if one != tuple(chain))]
