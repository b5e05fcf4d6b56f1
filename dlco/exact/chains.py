"""Chains of tiles with cuts, as uneven mappings of one choice of spatial factors grow: from the inside out.

Of a chain's cuts the price is known once its place is, but for that of a tile with windows, which the next loop slides;
a chain is all its cuts so far with the words that tiles were filled with. Where no loop may be gained by moving a cut
outwards, which costs nothing over loops that do not index the dataspace, orders of loops do not matter; so the loops up
to the next cut must move whatever was cut last.
"""

from dataclasses import dataclass, fields, replace
from functools import cached_property

import numpy as np

from dlco.exact.array import ArrayTables
from dlco.exact.bounds import whole_cycles
from dlco.exact.cut_bounds import ArrayBounds, SharedBounds
from dlco.exact.cuts import best_slide
from dlco.exact.lattice import Bools, Floats, Ints, Lattice

ROUNDS = 12  # how many others each chain is compared with


@dataclass(frozen=True, eq=False)
class Chains:
    """Chains `[n]` as far as they have grown.

    Attributes:
        made: bits of the cuts so far.
        state: the last one's place, a state of the spot's lattice.
        fills: `[n, K]` words a MAC of the tables' terms, 0 where not cut yet; `shared`: `[n, T]` of the shared level's.
        used: `[n, levels]` words that each memory holds.
        resting: `[n, T]` whether no loop lies outside the last cut of a dataspace yet.
        fanned: whether the array's loops are inside the last cut.
        share: children with different words of the sliding dataspace over children, at least.
        order: `[n, cuts]` the cuts in sequence; `places`: their states.
    """

    made: Ints
    state: Ints
    fills: Floats
    shared: Floats
    used: Floats
    resting: Bools
    fanned: Bools
    share: Floats
    order: Ints
    places: Ints

    def pick(self, index: Ints | Bools) -> "Chains":
        """Some of them, or some several times."""
        return Chains(*(getattr(self, field.name)[index] for field in fields(self)))

    def __len__(self) -> int:
        return len(self.made)

    @staticmethod
    def joined(some: "list[Chains]") -> "Chains":
        """Several lots of chains as one."""
        return Chains(*(np.concatenate([getattr(one, field.name) for one in some]) for field in fields(Chains)))


def operands(tables: ArrayTables) -> Floats:
    """`[K]` words a MAC of the tables' terms before any cut: one of each operand."""
    return np.array([1.0 if term.level < 0 else 0.0 for term in tables.terms])


def share_at_least(tables: ArrayTables, spatial: int) -> Floats:
    """`[T]` children with different words over children for a row of spatial factors, wherever its loops are."""
    share = tables.distinct[spatial].copy()
    used = tables.extents[tables.spatial[spatial]]
    for slide in tables.slides:  # steps alike share the most words: of n x m children n + m - 1 are different
        n, m = (used[d] for d in slide.dims)
        share[slide.space] *= (n + m - 1) / (n * m)
    return share


class Spot:
    """The chains of one choice of spatial factors.

    Attributes:
        cuts: of the problem on the machine; `bounds`: of those of the shared level; `tables`: of the problem.
        spatial: the row of `ArrayTables.spatial`.
        lattice: of the temporal extents; `whole`: its states in the tables' lattice, `reach`: with the array's loops.
    """

    def __init__(self, bounds: SharedBounds, spatial: int) -> None:
        self.bounds, self.spatial = bounds, spatial
        self.cuts, self.tables = bounds.cuts, bounds.tables
        tables = self.tables
        self.spread = tables.lattice.extent[tables.spatial[spatial]]
        left = tuple((np.array(tables.lattice.bounds, dtype=np.int64) // self.spread).tolist())
        self.lattice = Lattice(left)
        digits = [
            np.searchsorted(np.array(tables.lattice.factors[d]), self.lattice.extent[:, d]) for d in range(tables.dims)
        ]
        self.whole = sum((digit * tables.lattice.stride[d] for d, digit in enumerate(digits)), np.zeros(1, np.int64))
        self.reach = tables.lattice.times(self.whole, np.full(len(self.whole), tables.spatial[spatial]))
        self.share = share_at_least(tables, spatial)
        self._above: dict[int, Ints] = {}

    @cached_property
    def array(self) -> ArrayBounds:
        """Bounds of the cuts inside the array."""
        tables = self.tables
        crossing = np.where(tables.crosses, self.share[tables.space_of], 1.0)
        cost = tables.fill_pj + tables.serve_pj * crossing
        price = np.array([cost[j] if j >= 0 else 0.0 for j in self.cuts.term])
        return ArrayBounds(self.cuts, self.lattice, self.whole, price)

    def root(self) -> Chains:
        """The chain without cuts."""
        tables, n = self.tables, len(self.cuts)
        fills = operands(tables)[None]
        spaces = len(tables.spaces)
        none = np.full((1, n), -1, dtype=np.int64)
        zero = np.zeros(1, dtype=np.int64)
        share = np.ones(1) if self.cuts.sliding is None else self.share[[self.cuts.sliding]]
        return Chains(
            zero,
            zero,
            fills,
            np.zeros((1, spaces)),
            np.zeros((1, tables.levels)),
            np.zeros((1, spaces), dtype=bool),
            np.zeros(1, dtype=bool),
            share,
            none,
            none,
        )

    # growing

    def grown(self, chains: Chains) -> "list[Chains]":
        """Chains with one more cut."""
        found = []
        for made in np.unique(chains.made).tolist():
            own = chains.pick(chains.made == made)
            for cut, inner in enumerate(self.cuts.inner):
                if not made >> cut & 1 and inner & ~made == 0:
                    found += [self._cut(own, made, cut)]
        return found

    def _multiples(self, state: int) -> Ints:
        if state not in self._above:
            everything = np.ones(self.lattice.size, dtype=bool)
            self._above[state] = self.lattice.multiples(np.array([state]), everything)[1]
        return self._above[state]

    def _cut(self, chains: Chains, made: int, cut: int) -> Chains:
        """Chains, all with the same cuts, with one more wherever it may be."""
        tables, cuts, one = self.tables, self.cuts, self.cuts.all[cut]
        allowed = self._room(made, cut)
        once, place = np.unique(chains.state, return_inverse=True)
        above = [self._multiples(state) for state in once.tolist()]
        above = [row[allowed[row]] for row in above]
        every = [above[k] for k in place.tolist()]
        at = np.repeat(np.arange(len(every)), [len(row) for row in every])
        to = np.concatenate([*every, np.zeros(0, dtype=np.int64)])
        # The same tiles cut at one place: in order, but that the array's loops may go between.
        last = self._last(chains)
        empty = to == chains.state[at]
        ordered = last[at] < cut
        if cuts.sliding is not None and not cuts.shared[cut]:
            ordered |= np.array([*cuts.shared, False])[last[at]]
        moved = self._moved(chains.state[at], to)
        loops = ((chains.resting[at] & ~moved)[:, self._outwards].any(1) == 0) | empty
        keep = np.flatnonzero((~empty | ordered) & loops & self._holds(chains, made, at, to))
        at, to, empty, moved = at[keep], to[keep], empty[keep], moved[keep]
        chains = chains.pick(at)
        fans = cuts.shared[cut] & (cuts.bound_for_array & ~made == 0) & ~chains.fanned
        chains = self._slid(chains, to, chains.fanned | fans)
        fills, shared, used = chains.fills.copy(), chains.shared.copy(), chains.used.copy()
        states = self.reach if cuts.shared[cut] else self.whole
        words = tables.words[states[to], one.space]
        if cuts.shared[cut]:
            shared[:, one.space] = words / tables.volume[states[to]]
        else:
            fills[:, cuts.term[cut]] = words / tables.volume[states[to]]
        used[:, one.level] += words
        resting = np.where(empty[:, None], chains.resting, False)
        resting[:, one.space] = True
        share = chains.share
        if cuts.sliding is not None and fans.any():
            inner = self.whole[chains.state]
            seen = tables.fans[tables.shared].share(np.full(len(chains), self.spatial), inner)[:, cuts.sliding]
            share = np.where(fans, seen, share)
        order, places = chains.order.copy(), chains.places.copy()
        depth = made.bit_count()
        order[:, depth], places[:, depth] = cut, to
        return Chains(
            chains.made | 1 << cut,
            to,
            fills,
            shared,
            used,
            resting,
            chains.fanned | fans,
            share,
            order,
            places,
        )

    @cached_property
    def _outwards(self) -> Ints:
        """Dataspaces whose cuts may move outwards over loops that do not move their tiles: then these need not be.

        One with windows that the shared level bypasses may not pass all of that level's cuts.
        """
        tables, t = self.tables, self.cuts.sliding
        return np.array([s for s in range(len(tables.spaces)) if s != t or tables.kept[tables.shared, s]], dtype=int)

    def _last(self, chains: Chains) -> Ints:
        """`[n]` the last cut, -1 where there is none."""
        depth = (chains.order >= 0).sum(1)
        return np.where(depth > 0, chains.order[np.arange(len(chains)), np.maximum(depth - 1, 0)], -1)

    def _moved(self, inner: Ints, outer: Ints) -> Bools:
        """`[n, T]` whether a loop between two states moves a dataspace's tiles."""
        code = ((self.lattice.extent[outer] > self.lattice.extent[inner]) * self.tables.bits).sum(1)
        return (code[:, None] & self.tables.moving) > 0

    def _room(self, made: int, cut: int) -> Bools:
        """`[states]` where a cut may be: there is room for it and for all that must be at its place or beyond."""
        tables, cuts = self.tables, self.cuts
        good = self.array.fits(made)
        shared = [one.space for i, one in enumerate(cuts.all) if cuts.shared[i] and not made >> i & 1]
        held = tables.words[self.reach][:, shared].sum(1) + sum(
            made >> i & 1 for i, is_shared in enumerate(cuts.shared) if is_shared
        )
        return good & (held <= tables.architecture.levels[tables.shared].usable_capacity)

    def _holds(self, chains: Chains, made: int, at: Ints, to: Ints) -> Bools:
        """`[n]` whether each memory holds what it has and what must still be at these places or beyond."""
        tables, cuts = self.tables, self.cuts
        good = np.ones(len(to), dtype=bool)
        for level in range(tables.levels - 1):
            states = self.reach if level == tables.shared else self.whole
            spaces = [one.space for i, one in enumerate(cuts.all) if one.level == level and not made >> i & 1]
            words = chains.used[at, level] + tables.words[states[to]][:, spaces].sum(1)
            good &= words <= tables.architecture.levels[level].usable_capacity
        return good

    def _slid(self, chains: Chains, to: Ints, fanned: Bools) -> Chains:
        """The chains with the sliding dataspace's last tile, where it rests, slid by the loops up to other states."""
        t = self.cuts.sliding
        if t is None:
            return chains
        rows = np.flatnonzero(chains.resting[:, t] & (to != chains.state))
        if not len(rows):
            return chains
        inner, outer = self.lattice.extent[chains.state[rows]], self.lattice.extent[to[rows]]
        level = self._level_of(chains, t)[rows]
        beyond = level == self.tables.shared
        tile = inner * np.where(beyond[:, None], self.spread, 1)
        step = inner * np.where(fanned[rows, None], self.spread, 1)
        share, _ = best_slide(self.cuts, tile, step, outer / inner)
        return self._times(chains, t, rows, level, share)

    def _times(self, chains: Chains, t: int, rows: Ints, level: Ints, share: Floats) -> Chains:
        """The chains with the fills of some rows' tiles of a dataspace, at `level` each, multiplied."""
        fills, shared = chains.fills.copy(), chains.shared.copy()
        for j, term in enumerate(self.tables.terms):
            if term.space == t and term.level >= 0:
                own = level == term.level
                fills[rows[own], j] *= share[own]
        own = level == self.tables.shared
        shared[rows[own], t] *= share[own]
        return replace(chains, fills=fills, shared=shared)

    def _level_of(self, chains: Chains, t: int) -> Ints:
        """`[n]` level of a dataspace's outermost cut so far, -1 where there is none."""
        found = np.full(len(chains), -1, dtype=np.int64)
        for i, cut in enumerate(self.cuts.all):
            if cut.space == t:
                found = np.where(chains.made >> i & 1, cut.level, found)
        return found

    # bounds

    def least(self, chains: Chains) -> tuple[Floats, Floats]:
        """(pJ a MAC, cycles) `[n]` that no completion of the chains goes below."""
        tables = self.tables
        best = self._at_best(chains)
        share = self._shares(best)
        energy = self._spent(best, share)
        traffic, rest = best.shared.copy(), np.zeros(len(chains))
        for made in np.unique(chains.made).tolist():
            own = np.flatnonzero(chains.made == made)
            state = chains.state[own]
            shared = frozenset(
                c.space for i, c in enumerate(self.cuts.all) if self.cuts.shared[i] and not made >> i & 1
            )
            level = tables.architecture.levels[tables.shared]
            room = self.bounds.room(level.usable_capacity - chains.used[own, tables.shared])
            rest[own] = self.array.least(made)[state] + self.bounds.energy[shared][room, self.reach[state]]
            if self.bounds.traffic is not None:
                column = int(np.flatnonzero(~tables.written)[0]) if (~tables.written).any() else 0
                traffic[own, column] += self.bounds.traffic[shared][room, self.reach[state]]
        traffic[~np.isfinite(traffic)] = 0.0
        spatial = np.full(len(chains), self.spatial)
        none = np.zeros_like(best.fills)
        needs = tables.needs_of(spatial, best.fills, none, share, traffic).max(1, initial=0.0)
        least = max(tables.compute[self.spatial], tables.compulsory_cycles)
        cycles = whole_cycles(np.maximum(needs, least))
        return energy + rest + tables.leak_pj[self.spatial] * cycles / tables.macs, cycles

    def _shares(self, chains: Chains) -> Floats:
        """`[n, T]` children with different words over children."""
        share = np.tile(self.share, (len(chains), 1))
        if self.cuts.sliding is not None:
            share[:, self.cuts.sliding] = chains.share
        return share

    def _spent(self, chains: Chains, share: Floats) -> Floats:
        """`[n]` pJ a MAC of what has been cut, without leakage."""
        tables = self.tables
        crossing = np.where(tables.crosses, share[:, tables.space_of], 1.0)
        cost = tables.fill_pj + tables.serve_pj * crossing
        return tables.constant_pj[self.spatial] + (chains.fills * cost).sum(1) + chains.shared @ tables.shared_pj

    def _at_best(self, chains: Chains) -> Chains:
        """The chains with the window of a tile that rests sliding as well as it may."""
        t = self.cuts.sliding
        if t is None:
            return chains
        rows = np.flatnonzero(chains.resting[:, t])
        if not len(rows):
            return chains
        level = self._level_of(chains, t)[rows]
        beyond, state = level == self.tables.shared, chains.state[rows]
        return self._times(chains, t, rows, level, np.where(beyond, self._slides[1][state], self._slides[0][state]))

    @cached_property
    def _slides(self) -> tuple[Floats, Floats]:
        """`[states]` the least share of a tile's words that a window's loop leaves: in the array, and beyond it."""
        inner = self.lattice.extent
        ratio = np.array(self.lattice.bounds) / inner
        return tuple(best_slide(self.cuts, inner * k, inner * k, ratio)[0] for k in (1, self.spread))  # type: ignore

    def unbeaten(self, chains: Chains) -> Ints:
        """Indices of chains, without many that others beat: the same cuts up to one place at no more cost."""
        tables = self.tables
        share = self._shares(chains)
        spatial, none = np.full(len(chains), self.spatial), np.zeros_like(chains.fills)
        needs = tables.needs_of(spatial, chains.fills, none, share, chains.shared)
        resting = (chains.resting << np.arange(len(tables.spaces))).sum(1)
        key = (chains.made * self.lattice.size + chains.state) * 2 ** len(tables.spaces) + resting
        key = key * 2 + chains.fanned
        cost = np.column_stack([self._spent(chains, share), chains.used, needs])
        order = np.lexsort((*cost.T[::-1], key))
        key, cost = key[order], cost[order]
        beaten = np.zeros(len(order), dtype=bool)
        for back in range(1, min(ROUNDS, len(order) - 1) + 1):
            less = (key[back:] == key[:-back]) & (cost[:-back] <= cost[back:]).all(1) & ~beaten[:-back]
            beaten[back:] |= less
        return order[~beaten]

    def closed(self, chains: Chains) -> Chains:
        """Chains with all cuts as mappings: the loops left over are outside.

        Those without a place for the array's loops are left out.
        """
        top = np.full(len(chains), self.lattice.size - 1)
        chains = self._slid(chains, top, np.ones(len(chains), dtype=bool))
        chains = replace(chains, resting=np.zeros_like(chains.resting))
        return (
            chains.pick(chains.fanned) if self.tables.architecture.levels[self.tables.shared].children > 1 else chains
        )
