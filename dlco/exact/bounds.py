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

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from functools import cached_property, partial
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from dlco.exact.labels import Labels
from dlco.exact.lattice import Bools, Floats, Ints, Real
from dlco.exact.tables import LayerTables
from dlco.hardware.network import MACS

RATIO = 1.3  # between two kappas of the grid: finer makes tighter bounds and larger tables
DOWN = 1 - 1e-6  # float32 tables are rounded down
Single = NDArray[np.float32]
Made = TypeVar("Made")


@dataclass(frozen=True, eq=False)
class Bounds:
    """The tables of a problem on a machine."""

    tables: LayerTables

    def shared_fills(self, tile: Ints, row: Ints) -> Floats:
        """`[n, T]` words a MAC of the shared level's tiles under an order of the outermost level; 0 where not kept."""
        tables = self.tables
        classes = tables.classes[tables.levels - 2]
        fills = np.zeros((len(tile), len(tables.spaces)))
        for t in np.flatnonzero(tables.filled).tolist():
            fills[:, t] = self.shared_fill(t, tile, classes.still[row, t], classes.slide[row, t])
        return fills

    def shared_fill(self, space: int, tile: Ints, still: Ints | int, slide: Ints | int) -> Floats:
        """`[n]` the same of one dataspace, for loops `still` and `slide` as `Tiles.passed` takes them."""
        tables = self.tables
        whole = np.full(len(tile), tables.lattice.size - 1)
        start = tables.words[tile, space] / tables.volume[tile]
        return tables.passed(start, space, tile, whole, tile, still, slide)

    def outer_orders(self, tile: Ints) -> tuple[Ints, Ints]:
        """(position in `tile` `[n]`, row) of every order class of the outermost level, `[m]` each."""
        whole = np.full(len(tile), self.tables.lattice.size - 1)
        return self.tables.classes[self.tables.levels - 2].of(self.tables.loops(tile, whole))

    def _once(self, make: Callable[[], Made], *name: object) -> Made:
        """What depends on nothing but what the shared level keeps, and on its name: made once for all choices."""
        key = (*name, self.tables.kept[self.tables.shared].tobytes())
        if key not in self.tables.memo:
            self.tables.memo[key] = make()
        found: Made = self.tables.memo[key]
        return found

    @cached_property
    def _outermost(self) -> tuple[Floats, Floats]:
        return self._once(self._make_outermost, "outermost")

    def _make_outermost(self) -> tuple[Floats, Floats]:
        tables = self.tables
        fitting = np.flatnonzero(tables.shared_tiles)
        at, row = self.outer_orders(fitting)
        tile = fitting[at]
        fills = self.shared_fills(tile, row)
        energy, cycles = np.full((2, tables.lattice.size), np.inf)
        np.minimum.at(energy, tile, fills @ tables.shared_pj)
        np.minimum.at(cycles, tile, self.outer_ports(fills))
        return energy, cycles

    def outer_ports(self, fills: Floats) -> Floats:
        """`[n]` cycles a MAC that fills of the shared level take at its ports and at the outermost level's."""
        tables = self.tables
        shared, top = tables.chain[-2:]
        filled = tables.filled[tables.results]
        received = fills.sum(1) - (tables.first_visits[-2] * filled).sum()
        reads = fills.sum(1) - (tables.first_visits[-1] * filled).sum()
        writes = fills[:, tables.written].sum(1)
        ports = [received / shared.write_bandwidth, received / shared.shared_bandwidth]
        ports += [reads / top.read_bandwidth, writes / top.write_bandwidth, (reads + writes) / top.shared_bandwidth]
        return np.maximum.reduce(ports)

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
        return self._once(lambda: self._least(self.outer), "free")

    @cached_property
    def slowest(self) -> Floats:
        """`[states]` the least of `outer_cycles` over the multiples of a state."""
        return self._once(lambda: self._least(self.outer_cycles), "slowest")

    @cached_property
    def beyond(self) -> tuple[Floats, Floats]:
        """`free` and `slowest` over all multiples, whatever loops the shared level may have: neither falls outwards."""
        if self.tables.links[self.tables.shared] is None:
            return self.free, self.slowest
        least = self.tables.lattice.least_of_multiples
        return self._once(lambda: (least(self.outer), least(self.outer_cycles)), "beyond")

    @cached_property
    def through(self) -> dict[int, Floats]:
        """`[states]` pJ a MAC, by the dataspaces that have terms inside."""
        found = {}
        for t in np.flatnonzero([self._runs(t) for t in range(len(self.tables.spaces))]).tolist():
            still = np.flatnonzero(~self.tables.relevant[t]).tolist()
            found[t] = self._once(partial(self._least, self.outer, still), "through", t)
        return found

    def run(self, space: int, kappa: Floats, reached: Ints) -> Single:
        """`[n]` pJ a MAC, for kappas rounded down to the grid; its tables are made when they are first met."""
        step = np.full(len(kappa), self._finest)
        np.maximum(np.floor(np.log(np.maximum(kappa, 1e-300)) / np.log(RATIO)), step, out=step)
        found = np.empty(len(kappa), dtype=np.float32)
        for at in np.unique(step).tolist():
            some = np.flatnonzero(step == at)
            table = self._once(
                partial(self._make_run, space, 0.0 if at == self._finest else RATIO**at), "run", space, at
            )
            found[some] = table[reached[some]]
        return found

    def _make_run(self, space: int, kappa: float) -> Single:
        table = (self.outer + kappa / self.tables.irrelevant[:, space]) * DOWN
        return self._least(table.astype(np.float32))

    @cached_property
    def _finest(self) -> float:
        """The power of `RATIO` that stands for a kappa of 0: what is below changes nothing."""
        least = self.outer.min(initial=np.inf)
        return float(np.floor(np.log(max(least * 1e-6, 1e-290)) / np.log(RATIO))) if np.isfinite(least) else 0.0

    def through_at(self, space: int, kappa: Floats, reached: Ints) -> Floats:
        """`[n]` pJ a MAC of runs that go on outside, at any kappas and states."""
        return kappa / self.tables.irrelevant[-1, space] + self.through[space][reached]

    def _least(self, table: NDArray[Real], dims: Sequence[int] | None = None) -> NDArray[Real]:
        """The least of a table over the tiles that the temporal loops of level m may lead to from each state."""
        return self.tables.lattice.least_of_multiples(table, dims, self.tables.links[self.tables.shared])

    def _runs(self, space: int) -> bool:
        """Whether tiles of a dataspace lie inside level m."""
        return any(term.space == space and term.level != MACS for term in self.tables.terms)

    def energies(self, labels: Labels, label: Ints, vector: Ints, reached: Ints) -> "PairTerms":
        """What the pairs `[n]` of labels and spatial factors cost so far; `reached`: the states that they reach."""
        tables, m = self.tables, self.tables.shared
        fan = tables.fans[m]
        crossing = fan.share(vector, labels.reached[label])[:, tables.space_of]
        share = labels.share[label] * np.where(tables.crosses_at(m), crossing, 1.0)
        cost = tables.fill_pj + tables.serve_pj * share
        instances, spread = (
            np.ones((len(label), tables.levels)),
            np.ones((len(label), tables.levels, len(tables.results))),
        )
        children = fan.children[vector]
        instances[:, :m] = labels.instances[label, 1:] * children[:, None]
        spread[:, :m] = labels.spread[label] * fan.irrelevant[vector][:, None, tables.results]
        fills, loose = self.at_best(labels.fills[label], labels.is_open[label], labels.states[label], reached)
        held = self.by_space(labels.is_open[label] * fills * cost)
        constant = tables.architecture.mac_pj - (spread * tables.saved_pj).sum((1, 2))
        leak = (instances * tables.figure("leak_pj")).sum(1)
        compute = tables.macs / (labels.instances[label, 0] * children)
        total = constant + (fills * cost).sum(1)
        return PairTerms(share, cost, fills, loose, instances, spread, constant, leak, compute, total, held)

    def by_space(self, terms: Floats) -> Floats:
        """`[n, T]` sums over the terms `[n, K]` of each dataspace."""
        sums = np.zeros((len(terms), len(self.tables.spaces)))
        for j, term in enumerate(self.tables.terms):
            sums[:, term.space] += terms[:, j]
        return sums

    def at_best(self, fills: Floats, is_open: Bools, tiles: Ints, reached: Ints) -> tuple[Floats, Floats]:
        """(fills, words loose), `[n, K]` each, of terms so far, as far as loops beyond the states reached may help.

        An open term whose window slides is filled at its best; all of it but the share that the longest run leaves is
        loose. `tiles`: `[n, m]` states of the tiles inside.
        """
        tables, fills, loose = self.tables, fills.copy(), np.zeros_like(fills)
        for j, term in enumerate(tables.terms):
            opened = is_open[:, j]
            if not opened.any():
                continue
            best = self.best_slide(term.space, tiles[:, term.level], reached)
            rest = tables.irrelevant[reached, term.space] / tables.irrelevant[-1, term.space]
            fills[:, j] *= np.where(opened, best, 1.0)
            loose[:, j] = np.where(opened, fills[:, j] * (1 - rest), 0.0)
        return fills, loose

    def best_slide(self, space: int, tile: Ints, reached: Ints) -> Floats:
        """`[n]` the least share of its words that a tile is filled with by a loop that slides it to the bound."""
        tables, best = self.tables, np.ones(len(tile))
        whole = np.full(len(tile), tables.lattice.size - 1)
        for d in range(tables.dims):
            if (space, d) in tables.slide_of:
                rank, step = tables.slide_of[space, d]
                held = tables.held_over(rank, step, d, tile, reached) * tables.slid(d, tile, reached, whole)
                best = np.minimum(best, 1 - held)
        return best

    def least_energy(self, terms: "PairTerms", reached: Ints) -> Floats:
        """`[n]` pJ a MAC that no completion of the pairs goes below, leakage aside."""
        tables, low = self.tables, terms.total + self.free[reached]
        for t in self.through:
            some = np.flatnonzero(terms.held[:, t] > 0)
            held, at = terms.held[some, t], reached[some]
            kappa = held * tables.irrelevant[at, t]
            rest = np.minimum(self.run(t, kappa, at), self.through_at(t, kappa, at))
            low[some] = np.minimum(low[some], terms.total[some] - held + rest)
        for stay in tables.together:
            rest = self.free[reached] + terms.total
            for t in stay:
                rest -= terms.held[:, t] * (1 - tables.irrelevant[reached, t] / tables.irrelevant[-1, t])
            low = np.minimum(low, rest)
        return low

    def least_steps(self, terms: "PairTerms", reached: Ints) -> Floats:
        """`[n]` cycles that no completion of pairs goes below, the ports inside aside."""
        needs = np.maximum(terms.compute, self.tables.macs * self.slowest[reached])
        return whole_cycles(np.maximum(needs, self.tables.compulsory_cycles))

    def least_cycles(self, terms: "PairTerms", reached: Ints) -> Floats:
        """`[n]` cycles that no completion of the pairs goes below."""
        ports = self.tables.port_cycles(terms.fills, terms.loose, terms.share, terms.instances, terms.spread)
        return np.maximum(self.least_steps(terms, reached), whole_cycles(ports))


def whole_cycles(least: Floats) -> Floats:
    """The least whole numbers of cycles from bounds `[n]` that carry rounding errors."""
    return np.ceil(least * (1 - 1e-12))


@dataclass(frozen=True, eq=False)
class PairTerms:
    """Pairs of labels and spatial factors.

    Attributes:
        share: `[n, K]` words that a term's parent serves over its fills.
        cost: `[n, K]` pJ a word of each term.
        fills: `[n, K]` words a MAC, windows sliding at their best; `loose`: those that a run going on may save.
        instances: `[n, levels]`; `spread`: `[n, levels, R]` how many of them see the same results.
        constant: `[n]` pJ a MAC besides the terms and leakage: the MACs, less what first visits save.
        leak: `[n]` leakage a cycle, pJ; `compute`: cycles of the MACs.
        total: `[n]` pJ a MAC of all terms as they are.
        held: `[n, T]` its part that a run going on can still make less.
    """

    share: Floats
    cost: Floats
    fills: Floats
    loose: Floats
    instances: Floats
    spread: Floats
    constant: Floats
    leak: Floats
    compute: Floats
    total: Floats
    held: Floats

    def pick(self, index: Ints) -> "PairTerms":
        """Some of them, or some several times."""
        return PairTerms(*(getattr(self, field.name)[index] for field in fields(self)))
