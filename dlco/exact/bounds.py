"""Lower bounds of what is left once the inside of a processing element and the spatial factors are chosen.

A pair (label, spatial factors) reaches the state x. What may follow: temporal loops of the shared level up to a tile e
that x divides, then the loops of the outermost level. Three tables over the lattice bound it:

    outer[e]: least energy of the shared level's tiles e, over the orders of the outermost level; infinite where they
        do not fit. free[x]: its least over the multiples of x.
    run[t, k, x]: the same where the run of dataspace t stays open through the shared level: its terms, worth `held` at
        x, become kappa / irrelevant[t](e) with kappa = held x irrelevant[t](x); the least over e of outer[e] + kappa /
        irrelevant[t](e), for kappa on a geometric grid, rounded down.
    through[t, x]: least of outer over multiples along dimensions that do not index t: the run goes on outside.

At the first level that has loops a dimension leaves one dataspace in place, as a rule; then either no run goes on, or
one does, and the least of these cases is a bound. Where some dimension leaves several in place, their runs may go on
together: each is then let shrink as far as it ever could. A window that slides, at best over the whole bound, is let
slide everywhere. Energies a MAC; cycles are bounded apart, by the MACs, the outermost level's ports (`slowest[x]`) and
the ports inside.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from dlco.exact.labels import Labels
from dlco.exact.lattice import Bools, Floats, Ints, Real
from dlco.exact.tables import LayerTables

RATIO = 1.3  # between two kappas of the grid: finer makes tighter bounds and larger tables
DOWN = 1 - 1e-6  # float32 tables are rounded down
Single = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Bounds:
    """The tables of a problem on a machine, and its labels."""

    tables: LayerTables
    labels: Labels

    def shared_fills(self, tile: Ints, row: Ints) -> Floats:
        """`[n, T]` words a MAC of the shared level's tiles under an order of the outermost level; 0 where not kept."""
        tables = self.tables
        top = tables.levels - 1
        classes = tables.classes[top - 1]
        whole = np.full(len(tile), tables.lattice.size - 1)
        fills = np.zeros((len(tile), len(tables.spaces)))
        for t in np.flatnonzero(tables.kept[tables.shared]).tolist():
            start = tables.words[tile, t] / tables.volume[tile]
            fills[:, t] = tables.passed(start, t, tile, whole, tile, classes.still[row, t], classes.slide[row, t])
        return fills

    def outer_orders(self, tile: Ints) -> tuple[Ints, Ints]:
        """(position in `tile` `[n]`, row) of every order class of the outermost level, `[m]` each."""
        whole = np.full(len(tile), self.tables.lattice.size - 1)
        return self.tables.classes[self.tables.levels - 2].of(self.tables.loops(tile, whole))

    @cached_property
    def _outermost(self) -> tuple[Floats, Floats]:
        tables = self.tables
        fitting = np.flatnonzero(tables.shared_tiles)
        at, row = self.outer_orders(fitting)
        tile = fitting[at]
        fills = self.shared_fills(tile, row)
        energy, cycles = np.full((2, tables.lattice.size), np.inf)
        np.minimum.at(energy, tile, fills @ tables.shared_pj)
        shared, top = tables.architecture.levels[-2:]
        received = (fills - tables.first_visits[0, -2]).sum(1)
        reads = (fills - tables.first_visits[0, -1] * tables.kept[tables.shared]).sum(1)
        writes = fills[:, tables.written].sum(1)
        ports = [received / shared.write_bandwidth, received / shared.shared_bandwidth]
        ports += [reads / top.read_bandwidth, writes / top.write_bandwidth, (reads + writes) / top.shared_bandwidth]
        np.minimum.at(cycles, tile, np.maximum.reduce(ports))
        return energy, cycles

    @property
    def outer(self) -> Floats:
        """`[states]` pJ a MAC."""
        return self._outermost[0]

    @property
    def outer_cycles(self) -> Floats:
        """`[states]` least cycles a MAC that filling tiles of the shared level takes."""
        return self._outermost[1]

    @cached_property
    def free(self) -> Floats:
        """`[states]` pJ a MAC."""
        return self._least(self.outer)

    @cached_property
    def slowest(self) -> Floats:
        """`[states]` the least of `outer_cycles` over the multiples of a state."""
        return self._least(self.outer_cycles)

    @cached_property
    def kappas(self) -> Floats:
        """The grid, 0 first."""
        tables = self.tables
        shares = tables.fill_pj + tables.serve_pj
        most = max((self.labels.fills * shares).sum(1).max(initial=0.0), 1e-300) * tables.irrelevant.max()
        finite = self.outer[np.isfinite(self.outer)]
        least = min(max(finite.min(initial=most) * 1e-6, most * 1e-12), most)
        return np.concatenate([[0.0], least * RATIO ** np.arange(int(np.log(most / least) / np.log(RATIO)) + 2)])

    @cached_property
    def run(self) -> dict[int, Single]:
        """`[kappas, states]` pJ a MAC, by the dataspaces that have terms inside."""
        tables, found = self.tables, {}
        for t in range(len(tables.spaces)):
            if self._runs(t):
                found[t] = np.empty((len(self.kappas), tables.lattice.size), dtype=np.float32)
                for row, kappa in zip(found[t], self.kappas, strict=True):
                    table = (self.outer + kappa / tables.irrelevant[:, t]) * DOWN
                    row[:] = self._least(table.astype(np.float32))
        return found

    @cached_property
    def through(self) -> dict[int, Floats]:
        """`[states]` pJ a MAC, by dataspace as `run`."""
        still = {t: np.flatnonzero(~self.tables.relevant[t]).tolist() for t in self.run}
        return {t: self._least(self.outer, dims) for t, dims in still.items()}

    def _least(self, table: NDArray[Real], dims: Sequence[int] | None = None) -> NDArray[Real]:
        """The least of a table over the tiles that the shared level's loops may lead to from each state."""
        return self.tables.lattice.least_of_multiples(table, dims, self.tables.links[self.tables.shared])

    def _runs(self, space: int) -> bool:
        return bool(self.labels.is_open[:, [term.space == space for term in self.tables.terms]].any())

    def energies(self, label: Ints, spatial: Ints, reached: Ints) -> "PairTerms":
        """What the pairs `[n]` of labels and spatial factors cost so far; `reached`: the states that they reach."""
        tables, labels = self.tables, self.labels
        share = tables.shared_words(spatial, labels.reached[label])
        crossing = np.where(tables.crosses, share[:, tables.space_of], 1.0)
        cost = tables.fill_pj + tables.serve_pj * crossing
        fills, loose = self.at_best(labels.fills[label], labels.is_open[label], label, reached)
        held = self.by_space(labels.is_open[label] * fills * cost)
        return PairTerms(share, cost, fills, loose, tables.constant_pj[spatial] + (fills * cost).sum(1), held)

    def by_space(self, terms: Floats) -> Floats:
        """`[n, T]` sums over the terms `[n, K]` of each dataspace."""
        sums = np.zeros((len(terms), len(self.tables.spaces)))
        for j, term in enumerate(self.tables.terms):
            sums[:, term.space] += terms[:, j]
        return sums

    def at_best(self, fills: Floats, is_open: Bools, label: Ints, reached: Ints) -> tuple[Floats, Floats]:
        """(fills, words loose), `[n, K]` each, of terms so far, as far as loops beyond the states reached may help.

        An open term whose window slides is filled at its best; all of it but the share that the longest run leaves is
        loose.
        """
        tables, fills, loose = self.tables, fills.copy(), np.zeros_like(fills)
        for t in range(len(tables.spaces)):
            columns = [j for j, term in enumerate(tables.terms) if term.space == t and is_open[:, j].any()]
            if not columns:
                continue
            best = self._best_slide(t, label, reached)
            rest = tables.irrelevant[reached, t] / tables.irrelevant[-1, t]
            for j in columns:
                fills[:, j] *= np.where(is_open[:, j], best, 1.0)
                loose[:, j] = np.where(is_open[:, j], fills[:, j] * (1 - rest), 0.0)
        return fills, loose

    def _best_slide(self, space: int, label: Ints, reached: Ints) -> Floats:
        """`[n]` the least share of its words that a tile is filled with by a loop that slides it to the bound."""
        tables, best = self.tables, np.ones(len(label))
        tile = self.labels.reached[label]
        for d in range(tables.dims):
            if (space, d) in tables.slide_of:
                rank, step = tables.slide_of[space, d]
                kept = np.maximum(rank.box[tile] - step * tables.extents[reached, d], 0.0)
                best = np.minimum(best, 1 - kept / rank.box[tile] * (1 - tables.extents[reached, d] / tables.bounds[d]))
        return best

    def least_energy(self, terms: "PairTerms", reached: Ints) -> Floats:
        """`[n]` pJ a MAC that no completion of the pairs goes below, leakage aside."""
        tables, low = self.tables, terms.total + self.free[reached]
        for t, table in self.run.items():
            held = terms.held[:, t]
            kappa = held * tables.irrelevant[reached, t]
            bucket = np.searchsorted(self.kappas, kappa, side="right") - 1
            rest = np.minimum(table[bucket, reached], kappa / tables.irrelevant[-1, t] + self.through[t][reached])
            low = np.minimum(low, np.where(held > 0, terms.total - held + rest, np.inf))
        for some in tables.together:
            rest = self.free[reached] + terms.total
            for t in some:
                rest -= terms.held[:, t] * (1 - tables.irrelevant[reached, t] / tables.irrelevant[-1, t])
            low = np.minimum(low, rest)
        return low

    def least_cycles(self, terms: "PairTerms", spatial: Ints, reached: Ints) -> Floats:
        """`[n]` cycles that no completion of the pairs goes below."""
        tables = self.tables
        needs = (
            tables.compute[spatial],
            tables.macs * self.slowest[reached],
            tables.port_cycles(spatial, terms.fills, terms.loose, terms.share),
        )
        return whole_cycles(np.maximum(np.maximum.reduce(needs), tables.compulsory_cycles))


def whole_cycles(least: Floats) -> Floats:
    """The least whole numbers of cycles from bounds `[n]` that carry rounding errors."""
    return np.ceil(least * (1 - 1e-12))


@dataclass(frozen=True, eq=False)
class PairTerms:
    """Pairs of labels and spatial factors.

    Attributes:
        share: `[n, T]` children with different words over children.
        cost: `[n, K]` pJ a word of each term.
        fills: `[n, K]` words a MAC, windows sliding at their best; `loose`: those that a run going on may save.
        total: `[n]` pJ a MAC of all terms as they are.
        held: `[n, T]` its part that a run going on can still make less.
    """

    share: Floats
    cost: Floats
    fills: Floats
    loose: Floats
    total: Floats
    held: Floats
