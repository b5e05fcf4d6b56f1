"""Which ways out of a processing element are worth a look: bounds that need no tilings inside, in two meshes.

Whatever tiles lie inside, those of a dataspace take at least `Tiles.least_words` of the state x that they reach, but
for the one dataspace (or, where a dimension leaves several in place, all of them) whose run goes on further out. So x
and the spatial factors alone bound energy and cycles. States that bound alike are first taken together, with the least
that is left to any of them outside; those that pass are looked at one by one.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from dlco.exact.array import ArrayTables
from dlco.exact.best_first import Ways
from dlco.exact.bounds import Bounds, whole_cycles
from dlco.exact.frontier import Frontier
from dlco.exact.lattice import Floats, Ints
from dlco.hardware.network import MACS

SLACK = 1 - 1e-9  # sums are made in another order than elsewhere


@dataclass(frozen=True, eq=False)
class Sieve:
    """The bounds of a problem on a machine; `G` groups of states.

    Attributes:
        tables: the problem on the machine.
        bounds: what is left outside.
    """

    tables: ArrayTables
    bounds: Bounds

    @cached_property
    def _ends(self) -> tuple[Ints, Floats, Ints]:
        """(states that tilings inside may reach `[n]`, least words of a group's `[G, T]`, group of each state)."""
        tables, m = self.tables, self.tables.shared
        last = tables.fits[:, m - 1] if m else np.arange(tables.lattice.size) == 0
        ends = np.flatnonzero(last & tables.fits[:, m] & np.isfinite(self.bounds.beyond[0]))
        inside = tables.kept[:m].any(0)
        least, group = np.unique(np.where(inside, tables.least_words[ends], 1.0), axis=0, return_inverse=True)
        return ends, least, group.ravel()

    @property
    def _share(self) -> Floats:
        """`[S, T]` the least share of children with different words, windows overlapping as far as they can."""
        return self.tables.fans[self.tables.shared].low_share

    def _fills(self, least: Floats) -> Floats:
        """`[n, K]` words a MAC of every term from those of each dataspace's tiles `[n, T]`."""
        operands = np.array([term.level == MACS for term in self.tables.terms])
        return np.where(operands, 1.0, least[:, self.tables.space_of])

    @cached_property
    def _energy(self) -> Floats:
        """`[G, S]` least pJ a MAC of what lies inside and crosses the fan-out."""
        tables, least = self.tables, self._ends[1]
        fills, low = self._fills(least), self._fills(np.minimum(least, tables.least_words[-1]))
        inside = tables.inside_pj
        over = np.where(tables.crosses, tables.serve_pj, 0.0)
        spaces = np.arange(len(tables.spaces)) == tables.space_of[:, None]
        total = ((fills * inside).sum(1))[:, None] + tables.constant_pj
        total += ((fills * over) @ spaces) @ self._share.T
        saved = np.zeros_like(total)
        for t in range(len(tables.spaces)):
            loose = np.where(spaces[:, t], fills - low, 0.0)
            part = (loose * inside).sum(1)[:, None] + np.outer((loose * over).sum(1), self._share[:, t])
            saved = saved + part if tables.together else np.maximum(saved, part)
        return total - saved

    @cached_property
    def _free(self) -> Floats:
        """`[G]` least pJ a MAC that is left outside to any state of a group."""
        ends, least, group = self._ends
        free = np.full(len(least), np.inf)
        np.minimum.at(free, group, self.bounds.beyond[0][ends])
        return free

    @cached_property
    def _fast(self) -> Floats:
        """`[S]` least cycles, of the MACs and the outermost level's ports."""
        tables = self.tables
        needs = (tables.compute, tables.macs * self.bounds.beyond[1][tables.spatial])
        return whole_cycles(np.maximum(np.maximum(*needs), tables.compulsory_cycles))

    @cached_property
    def _total(self) -> Floats:
        """`[G, S]` least pJ of one execution."""
        tables = self.tables
        total = self._energy + np.maximum(self._free[:, None], self.bounds.beyond[0][tables.spatial])
        total *= SLACK * tables.macs
        total += tables.leak_pj * self._fast
        return total

    def floor(self) -> tuple[Floats, Floats]:
        """(least pJ of one execution, least cycles) `[S]` with any of the spatial factors, roughly."""
        return self._total.min(0, initial=np.inf), self._fast

    def open(self, front: Frontier) -> tuple[Ways, Floats, Floats]:
        """(ways that the front leaves, their least pJ of one execution, their least cycles), `[n]` each."""
        tables, bounds, fast = self.tables, self.bounds, self._fast
        ends, least, group = self._ends
        row, spatial = np.nonzero(self._total < front.least_energy(fast))
        fills, low = self._fills(least[row]), self._fills(np.minimum(least[row], tables.least_words[-1]))
        needs = tables.needs_of(spatial, fills, fills - low, self._share[spatial])
        cycles = np.maximum(fast[spatial], whole_cycles(needs.max(1, initial=0.0) * SLACK))
        energy = self._energy[row, spatial]

        def leaves(cycles: Floats, energy: Floats, spatial: Ints) -> Floats:
            return energy * SLACK * tables.macs + tables.leak_pj[spatial] * cycles

        rest = np.maximum(self._free[row], bounds.beyond[0][tables.spatial[spatial]])
        good = np.flatnonzero(~front.excludes(cycles, leaves(cycles, energy + rest, spatial)))
        row, spatial, cycles, energy = row[good], spatial[good], cycles[good], energy[good]
        order = np.argsort(group, kind="stable")
        first, last = (np.searchsorted(group[order], row, side) for side in ("left", "right"))
        at = np.repeat(np.arange(len(row)), last - first)
        states = ends[order[np.arange(len(at)) - np.repeat(np.cumsum(last - first) - last, last - first)]]
        reached = tables.lattice.times(states, tables.spatial[spatial[at]])
        good = np.flatnonzero((reached >= 0) & np.isfinite(bounds.free[reached]))
        states, at, reached = states[good], at[good], reached[good]
        cycles = np.maximum(cycles[at], whole_cycles(tables.macs * bounds.slowest[reached]))
        total = leaves(cycles, energy[at] + bounds.free[reached], spatial[at])
        left = front.least_energy(cycles) / SLACK - total
        good = np.flatnonzero(left > 0)
        states, spatial = states[good], spatial[at[good]]
        spare = np.full(tables.lattice.size, -np.inf)
        np.maximum.at(spare, states, left[good] / tables.macs)
        return Ways(states, spatial, spare), total[good], cycles[good]
