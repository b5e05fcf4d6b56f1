"""Lower bounds of labels: what all that lies ahead of them costs at least, level by level.

`free[k][x]`: least energy of the tiles of the levels k to m, over all chains of multiples of the state x; the tiles of
each level below m at their best alone: served over the fan-outs ahead at the least share that the state leaves room
for, with the longest run of free loops for one dataspace (or, where a dimension leaves several in place, for all).

What a label's own tiles take is linear in the shares of the next fan-out, which is either not decided (then each
dataspace's least share counts, and no vector's shares are all that small) or listed, all vectors at once. The fan-outs
beyond count with their least shares. At most one dataspace's open run goes on (or all, there), as far as it ever could.
Cycles: the most children that the fan-outs ahead can still use, and the ports as far as words are known.
"""

from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np

from dlco.exact.bounds import Bounds, whole_cycles
from dlco.exact.frontier import Frontier
from dlco.exact.labels import Labels
from dlco.exact.lattice import Floats, Ints
from dlco.exact.tables import LayerTables

LISTED = 1 << 18  # pairs of labels and spatial factors looked at together


class Ahead(NamedTuple):
    """What the fan-outs from some level on can still do for a state.

    Attributes:
        share: `[states, K]` least share of a term's words that its parent serves.
        children: `[states]` most children.
        spread: `[states, R]` most instances that see the same results.
    """

    share: Floats
    children: Floats
    spread: Floats


class Forms(NamedTuple):
    """Energies of labels `[n]` at shares y `[T]`, pJ a MAC: `still + over . y - saved(loose_still + loose_over y)`.

    Attributes:
        still: `[n]`; `over`: `[n, T]`.
        loose_still, loose_over: `[n, T]` parts of a dataspace's run that going on saves.
    """

    still: Floats
    over: Floats
    loose_still: Floats
    loose_over: Floats


@dataclass(frozen=True, eq=False)
class Outlook:
    """The bounds of a problem on a machine.

    Attributes:
        tables: the problem on the machine.
        bounds: those of level m and beyond.
    """

    tables: LayerTables
    bounds: Bounds
    _most_saved: dict[tuple[int, int], Floats] = field(default_factory=dict)
    _near: dict[int, Floats] = field(default_factory=dict)

    # tables over the lattice

    @cached_property
    def _tiles(self) -> tuple[Floats, ...]:
        """`[states]` least energy of such tiles of each level below m, pJ a MAC."""
        return tuple(self._least_of_tiles(level) for level in range(self.tables.shared))

    def _least_of_tiles(self, level: int) -> Floats:
        tables = self.tables
        every = np.arange(tables.lattice.size)
        total, saving = np.zeros(len(every)), np.zeros((len(every), len(tables.spaces)))
        for j in np.flatnonzero(tables.level_of == level):
            t = tables.terms[j].space
            cost = tables.fill_pj[j] + tables.serve_pj[j] * self.ahead[level + 1].share[:, j]
            cost = cost * tables.words[:, t] / tables.volume * self.bounds.best_slide(t, every, every)
            total += cost
            saving[:, t] += cost * (1 - tables.irrelevant[:, t] / tables.irrelevant[-1, t])
        return total - tables.saved(saving)

    @cached_property
    def free(self) -> tuple[Floats, ...]:
        """`[states]` pJ a MAC, by level up to m."""
        tables = self.tables
        found = [self.bounds.beyond[0]]  # spatial factors lead to any multiple
        for level in reversed(range(tables.shared)):
            tiles = np.where(tables.fits[:, level], self._tiles[level] + found[0], np.inf)
            found.insert(0, tables.lattice.least_of_multiples(tiles))
        return tuple(found)

    @cached_property
    def _slowest(self) -> Floats:
        """`[states]` the least of `bounds.outer_cycles` over the multiples of a state; 0 where none fits."""
        slowest = self.bounds.beyond[1]
        return np.where(np.isfinite(slowest), slowest, 0.0)

    @cached_property
    def ahead(self) -> tuple[Ahead, ...]:
        """By the level from which on fan-outs are ahead, up to m + 1, where none is."""
        tables = self.tables
        n = tables.lattice.size
        found = [Ahead(np.ones((n, len(tables.terms))), np.ones(n), np.ones((n, len(tables.results))))]
        for level in reversed(range(tables.shared + 1)):
            fan, rest = tables.fans[level], found[0]
            if not fan.is_given:
                share = np.where(tables.crosses_at(level), fan.least_share[:, tables.space_of], 1.0)
                spread = fan.most_irrelevant[:, tables.results]
                rest = Ahead(rest.share * share, rest.children * fan.most_children, rest.spread * spread)
            found.insert(0, rest)
        return tuple(found)

    def next_fan(self, ahead: int) -> int:
        """The first level from `ahead` on that has a choice of spatial factors; m + 1 where none has."""
        fans = self.tables.fans
        return next((level for level in range(ahead, len(fans)) if not fans[level].is_given), len(fans))

    def _shares(self, ahead: int, near: bool) -> Floats:
        """`[states, K]` least share of a term's words that its parent serves over the fan-outs from `ahead` on.

        `near`: whether the states are those of the children of the first of them.
        """
        if not near:
            return self.ahead[ahead].share
        if ahead not in self._near:
            tables = self.tables
            share = np.where(tables.crosses_at(ahead), tables.fans[ahead].least_share_here[:, tables.space_of], 1.0)
            self._near[ahead] = self.ahead[ahead + 1].share * share
        return self._near[ahead]

    def _beyond(self, ahead: int, level: int) -> Ahead:
        """What fan-outs can do that are ahead, being those of the levels `ahead` on, and lie outside a level."""
        return self.ahead[min(max(ahead, level + 1), self.tables.shared + 1)]

    def most_saved(self, ahead: int, level: int) -> Floats:
        """`[states]` pJ a MAC that first visits at the levels from `level` on save at most; arguments as `_beyond`."""
        tables = self.tables
        if (ahead, level) not in self._most_saved:
            saved = (
                (self._beyond(ahead, one).spread * tables.saved_pj[one]).sum(1) for one in range(level, tables.levels)
            )
            self._most_saved[ahead, level] = sum(saved, np.zeros(tables.lattice.size))
        return self._most_saved[ahead, level]

    # bounds of labels

    def least(self, labels: Labels, ahead: int, tile: Ints | None = None) -> tuple[Floats, Floats]:
        """(energy pJ a MAC with leakage, cycles) `[n]` that no completion of labels goes below.

        Args:
            labels: all of the same level.
            ahead: the level from which on spatial factors are to come.
            tile: `[n]` states up to which the temporal loops of the level go that comes next, where they are chosen.
        """
        tables = self.tables
        done = labels.states.shape[1]
        at = labels.reached if tile is None else tile
        near = (tile is not None or ahead == done) and self.next_fan(ahead) == ahead <= tables.shared
        forms = self._forms(labels, ahead, at)
        energy = self._at_shares(forms, self._next_share(ahead, near)[at])
        energy += self.free[done][at] if tile is None else self._tiles[done][at] + self.free[done + 1][at]
        cycles = np.maximum(self._compute(labels, ahead, at), self._port_cycles(labels, ahead, at, near))
        return energy + self._leakage(labels, cycles), cycles

    def roughly(self, labels: Labels, level: int) -> tuple[Floats, Floats]:
        """(pJ a MAC of their own words, cycles times children still to be used) `[n]` at least, for `with_tiles`.

        Args:
            labels: with the spatial factors of a level, whose temporal loops are to come.
            level: the level.
        """
        tables, x, ahead = self.tables, labels.reached, level + 1
        energy = self._at_shares(self._forms(labels, ahead, x), self._next_share(ahead, False)[x])
        compute = tables.macs / labels.instances[:, 0]
        instances = np.column_stack([labels.instances[:, 1:], np.ones(len(labels))])
        most = self.ahead[ahead].spread[x][:, None]
        spread = np.concatenate([labels.spread * most, np.ones((len(labels), 1, len(tables.results))) * most], 1)
        ports = tables.port_cycles(*self._at_best(labels, x), labels.port_share, instances, spread)
        return energy + self._leakage(labels, np.zeros(len(labels))), np.maximum(compute, ports)

    def with_tiles(self, energy: Floats, steps: Floats, level: int, tile: Ints) -> tuple[Floats, Floats]:
        """(pJ a MAC with leakage, cycles) `[n]` at least, of what `roughly` says with tiles `[n]` of the level."""
        tables = self.tables
        cycles = np.maximum(steps / self.ahead[level + 1].children[tile], tables.macs * self._slowest[tile])
        cycles = whole_cycles(np.maximum(cycles, tables.compulsory_cycles))
        outer = tables.figure("leak_pj")[level:].sum() / tables.macs
        return energy + self._tiles[level][tile] + self.free[level + 1][tile] + cycles * outer, cycles

    def _compute(self, labels: Labels, ahead: int, at: Ints) -> Floats:
        """`[n]` cycles that no completion goes below, the ports inside aside; `at`: states reached or chosen."""
        tables = self.tables
        cycles = tables.macs / (labels.instances[:, 0] * self.ahead[ahead].children[at])
        cycles = np.maximum(cycles, tables.macs * self._slowest[at])
        return whole_cycles(np.maximum(cycles, tables.compulsory_cycles))

    def _port_cycles(self, labels: Labels, ahead: int, at: Ints, near: bool) -> Floats:
        """`[n]` cycles that the ports need at least; arguments as `_compute`."""
        tables = self.tables
        done, n = labels.states.shape[1], len(labels)
        instances, spread = np.ones((n, tables.levels)), np.ones((n, tables.levels, len(tables.results)))
        instances[:, :done], spread[:, :done] = labels.instances[:, 1:], labels.spread
        for level in range(tables.levels):
            beyond = self._beyond(ahead, level)
            if level < max(ahead, done) or level < tables.shared:
                instances[:, level] *= beyond.children[at]
                spread[:, level] *= beyond.spread[at]
        fills, loose = self._at_best(labels, at)
        share = labels.port_share * self._shares(ahead, near)[at]
        return whole_cycles(tables.port_cycles(fills, loose, share, instances, spread))

    def _leakage(self, labels: Labels, cycles: Floats) -> Floats:
        """`[n]` pJ a MAC; what lies inside leaks in more instances where more work at once."""
        tables, done = self.tables, labels.states.shape[1]
        leak = tables.figure("leak_pj")
        inside = labels.instances[:, 1:] @ leak[:done]
        slow = np.maximum(cycles, tables.macs / labels.instances[:, 0])
        return (slow * inside + cycles * leak[done:].sum()) / tables.macs

    def pairs(self, labels: Labels, level: int, front: Frontier) -> tuple[Ints, Ints, Ints]:
        """(label, vector of spatial factors of a level, state reached) `[n]` of all that may better a front.

        Args:
            labels: that have the levels further in.
            level: whose fan-out it is.
            front: cycles and pJ.
        """
        tables = self.tables
        fan, reached = tables.fans[level], labels.reached
        least = np.maximum(self._compute(labels, level, reached), self._port_cycles(labels, level, reached, True))
        leak = tables.figure("leak_pj")[labels.states.shape[1] :].sum() / tables.macs
        forms, relaxed = self._forms(labels, level, reached), self.free[level][reached]
        forms = forms._replace(still=forms.still + self._leakage(labels, least) - leak * least + relaxed)
        compute = tables.macs / (labels.instances[:, 0] * self.ahead[level + 1].children[reached])
        free = self.bounds.free if level == tables.shared else self.free[level]
        room, none = tables.room(level), np.zeros(0, dtype=np.int64)
        found = [(none, none, none)]
        apart = (fan.overlap[reached] == 1).all(1)
        step = max(1, LISTED // max(1, len(fan.vectors)))
        for group, share in ((np.flatnonzero(apart), fan.distinct), (np.flatnonzero(~apart), fan.low_share)):
            for some in np.split(group, range(step, len(group), step)):
                energy = self._of_all_shares(Forms(*(one[some] for one in forms)), share)
                cycles = np.maximum(compute[some, None] / fan.children, least[some, None])
                energy += cycles * leak
                row, vector = np.nonzero(~front.excludes_all(cycles, energy * tables.macs))
                label = some[row]
                to = fan.after(reached[label], vector)
                energy = energy[row, vector] + free[to] - relaxed[label]
                good = (to >= 0) & room[to] & ~front.excludes(cycles[row, vector], energy * tables.macs)
                good &= np.isfinite(energy)
                found.append((label[good], vector[good], to[good]))
        label, vector, to = (np.concatenate(one) for one in zip(*found, strict=True))
        return label, vector, to

    def _of_all_shares(self, forms: Forms, share: Floats) -> Floats:
        """`[n, S]` energies at all of several shares `[S, T]`."""
        energy = forms.over @ share.T
        energy += forms.still[:, None]
        saved = np.zeros_like(energy)
        for still, over, column in zip(forms.loose_still.T, forms.loose_over.T, share.T, strict=True):
            part = still[:, None] + over[:, None] * column
            saved = saved + part if self.tables.together else np.maximum(saved, part)
        return energy - saved

    def _forms(self, labels: Labels, ahead: int, at: Ints) -> Forms:
        """The energies of labels, leakage further out aside, with the fan-outs from level `ahead` on to come."""
        tables = self.tables
        done, n = labels.states.shape[1], len(labels)
        turn = self.next_fan(ahead)
        beyond = self._beyond(turn + 1, 0).share
        crosses = tables.crosses_at(turn)
        saved = np.einsum("nlr,lr->nr", labels.spread, tables.saved_pj[:done])
        still = tables.architecture.mac_pj - np.einsum("nr,nr->n", saved, self.ahead[ahead].spread[at])
        still -= self.most_saved(ahead, done)[at]
        over, loose_still, loose_over = np.zeros((3, n, len(tables.spaces)))
        fills, loose = self._at_best(labels, at)
        for j in np.flatnonzero(tables.level_of < done):
            t, serve = tables.space_of[j], tables.serve_pj[j] * labels.share[:, j]
            if tables.parent_of[j] > turn:
                serve = serve * beyond[at, j]
            if crosses[j]:
                over[:, t] += fills[:, j] * serve
                loose_over[:, t] += loose[:, j] * serve
                serve = 0.0
            still += fills[:, j] * (serve + tables.fill_pj[j])
            loose_still[:, t] += loose[:, j] * (serve + tables.fill_pj[j])
        return Forms(still, over, loose_still, loose_over)

    def _at_best(self, labels: Labels, at: Ints) -> tuple[Floats, Floats]:
        """(fills, words loose), `[n, K]` each, as far as loops up to states `[n]` and beyond may help."""
        tables, x = self.tables, labels.reached
        fills, loose = labels.fills.copy(), np.zeros(labels.fills.shape)
        moved = (tables.loops(x, at)[:, None] & tables.moving) > 0
        rest = 1 / labels.passing(tables, at)
        for j in np.flatnonzero((tables.level_of >= 0) & (tables.level_of < labels.states.shape[1])):
            t, opened = tables.space_of[j], labels.is_open[:, j]
            fills[:, j] *= np.where(opened, self.bounds.best_slide(t, labels.states[:, tables.level_of[j]], x), 1.0)
            run = np.where(moved[:, t], rest[:, t], tables.irrelevant[x, t] / tables.irrelevant[-1, t])
            loose[:, j] = np.where(opened, fills[:, j] * (1 - run), 0.0)
        return fills, loose

    def _next_share(self, ahead: int, near: bool) -> Floats:
        """`[states, T]` least shares of the next fan-out; 1 where there is none. `near` as for `_shares`."""
        tables, turn = self.tables, self.next_fan(ahead)
        if turn > tables.shared:
            return np.ones((tables.lattice.size, len(tables.spaces)))
        return tables.fans[turn].least_share_here if near else tables.fans[turn].least_share

    def _at_shares(self, forms: Forms, share: Floats) -> Floats:
        """`[n]` energies at shares `[n, T]`."""
        energy = forms.still + np.einsum("nt,nt->n", forms.over, share)
        return energy - self.tables.saved(forms.loose_still + forms.loose_over * share)

    def least_of_vectors(self, labels: Labels, ahead: int, cycles: Floats) -> Floats:
        """`[n]` the least energy over the vectors of the next fan-out, pJ a MAC, for at least so many cycles."""
        forms, at, done = self._forms(labels, ahead, labels.reached), labels.reached, labels.states.shape[1]
        turn = self.next_fan(ahead)
        fan, near = self.tables.fans[turn], ahead == done == turn
        share, overlap = self._next_share(ahead, near)[at], fan.overlap[at] if near else None
        least = np.full(len(labels), np.inf)
        for one in fan.frugal:
            shares = np.maximum(share, fan.low_share[one])
            shares = shares if overlap is None else np.maximum(shares, fan.distinct[one] * overlap)
            np.minimum(least, self._at_shares(forms, shares), out=least)
        return least + self.free[done][at] + self._leakage(labels, cycles)
