"""The exact front of (cycles, energy) of one layer on one machine, by best-first search over proved bounds.

Every pair of a tiling inside a processing element and spatial factors has lower bounds on energy and cycles. The most
promising pairs are completed first: all tiles of the shared level, all order classes of the two outer levels, each
step filtered by the same bounds with more of the mapping known; what is left is evaluated by the cost model itself. A
pair is done with once a point of the front has no more cycles and no more energy than its bounds. The search ends when
all pairs are: then no mapping of the space beats the front. Stopped earlier, the bounds of the pairs left over hold.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from functools import cached_property

import numpy as np
import torch

from dlco.cost.model import evaluate_totals
from dlco.exact.bounds import Bounds, PairTerms, whole_cycles
from dlco.exact.frontier import Frontier
from dlco.exact.labels import Labels, make_labels
from dlco.exact.lattice import Bools, Floats, Ints
from dlco.exact.tables import LayerTables
from dlco.hardware.architecture import Machine
from dlco.mapping.kept import Kept
from dlco.mapping.mapping import SPATIAL_X, SPATIAL_Y, TEMPORAL, Mapping, MappingBatch

CHUNK = 1 << 17  # pairs bounded, or mappings evaluated, at once
FIRST, GROWTH, MOST = 1, 4, 256  # pairs completed at once: few, until the front excludes most completions
EVALUATED = 512  # mappings evaluated at once, the most promising of a batch; `GROWTH` times as many each further time


@dataclass(frozen=True, eq=False)
class Pairs:
    """Pairs `[n]` of labels and spatial factors that fit, with their bounds.

    Attributes:
        label, spatial: rows of `Labels` and of `LayerTables.spatial`.
        reached: states of their products.
        energy: least pJ a MAC; `cycles`: least cycles.
    """

    label: Ints
    spatial: Ints
    reached: Ints
    energy: Floats
    cycles: Floats

    @staticmethod
    def none() -> "Pairs":
        """No pairs."""
        none = np.zeros(0, dtype=np.int64)
        return Pairs(none, none, none, np.zeros(0), np.zeros(0))

    def pick(self, index: Ints | Bools) -> "Pairs":
        """Some of the pairs."""
        return Pairs(*(getattr(self, field.name)[index] for field in fields(self)))

    def promising(self, n: int) -> Ints:
        """The `n` pairs of the least bounds on EDP, the least first."""
        merit = self.energy * self.cycles
        some = np.argpartition(merit, n)[:n] if n < len(merit) else np.arange(len(merit))
        return some[np.argsort(merit[some], kind="stable")]


@dataclass(frozen=True, eq=False)
class Completions:
    """Mappings `[n]` on the way from pairs to whole ones.

    Attributes:
        pair: index of the pair; `tile`: state of the shared level's tile.
        row: order class of the shared level.
        fills: `[n, K]` words a MAC of the terms so far; `is_open`: which may still become smaller.
        cycles: least cycles.
    """

    pair: Ints
    tile: Ints
    row: Ints
    fills: Floats
    is_open: Bools
    cycles: Floats

    def pick(self, index: Ints) -> "Completions":
        """Some of them, or some several times."""
        return Completions(*(getattr(self, field.name)[index] for field in fields(self)))

    def slower(self, cycles: Floats) -> "Completions":
        """The same with another lower bound on their cycles, carrying rounding errors."""
        return replace(self, cycles=np.maximum(self.cycles, whole_cycles(cycles)))


@dataclass(frozen=True, eq=False)
class Ways:
    """Ways out of a processing element: pairs `[n]` of states that tilings inside reach and of spatial factors.

    Attributes:
        states: those reached; `spatial`: rows of the factors.
        spare: see `make_labels`.
    """

    states: Ints
    spatial: Ints
    spare: Floats

    def pairs(self, labels: Labels) -> Iterator[tuple[Ints, Ints]]:
        """(label, spatial factors) of all labels that reach these states, at most `CHUNK` or so at once."""
        order = np.argsort(labels.reached, kind="stable")
        first, last = (np.searchsorted(labels.reached[order], self.states, side) for side in ("left", "right"))
        ends = np.cumsum(last - first)
        for some in np.split(np.arange(len(ends)), np.flatnonzero(np.diff(ends // CHUNK)) + 1):
            count = (last - first)[some]
            place = np.repeat(first[some] - (np.cumsum(count) - count), count) + np.arange(count.sum())
            yield order[place], np.repeat(self.spatial[some], count)


def _every(labels: Labels, vectors: Ints) -> Iterator[tuple[Ints, Ints]]:
    """(label, spatial factors) of all pairs with some spatial factors, at most `CHUNK` or so at once."""
    step = max(1, CHUNK // max(1, len(labels)))
    for start in range(0, len(vectors), step):
        some = vectors[start : start + step]
        yield np.tile(np.arange(len(labels)), len(some)), np.repeat(some, len(labels))


class FrontSearch:
    """The best-first search of one problem on one machine; `run` it.

    Attributes:
        tables: the problem on the machine.
        front: unbeaten points so far; energies in pJ of one execution. Rows are (label, spatial factors, tile of the
            shared level, order class of the shared level, of the outermost one).
        left: pairs not yet done with.
        evaluated: mappings evaluated so far.
    """

    def __init__(
        self,
        tables: LayerTables,
        known: Frontier | None = None,
        ways: Ways | None = None,
        labels: Labels | None = None,
    ) -> None:
        """Begin.

        Args:
            tables: the problem on the machine.
            known: points that others have found, which rows of the front show as -1 - index in their first column, or
                none, with an interest in some.
            ways: the only ways out of a processing element worth a look; all, where they are not given.
            labels: the problem's labels on the machine, made here where they are not given.
        """
        self.tables = tables
        self.labels = labels or make_labels(tables, None if ways is None else ways.spare)
        self.bounds = Bounds(tables, self.labels)
        self.front = Frontier.empty(5) if known is None else known.marked(5)
        self.evaluated = 0
        self.left = self._pairs(ways)

    def run(self, go_on: Callable[[], bool] = lambda: True) -> None:
        """Search until the front is proved, or until `go_on`, asked before every batch, says no."""
        size = FIRST
        while len(self.left.label) and go_on():
            todo = self.left.promising(size)
            self._complete(self.left.pick(todo))
            rest = np.ones(len(self.left.label), dtype=bool)
            rest[todo] = False
            self.left = self._open(self.left.pick(rest))
            size = min(GROWTH * size, MOST)

    def _pairs(self, ways: Ways | None) -> Pairs:
        """All pairs that the front leaves, once the best of every chunk has joined it."""
        tables, labels, found = self.tables, self.labels, [Pairs.none()]
        for label, spatial in _every(labels, self._useful) if ways is None else ways.pairs(labels):
            reached = tables.lattice.times(labels.reached[label], tables.spatial[spatial])
            good = np.flatnonzero((reached >= 0) & np.isfinite(self.bounds.free[reached]))
            label, spatial, reached = label[good], spatial[good], reached[good]
            terms = self.bounds.energies(label, spatial, reached)
            energy = self.bounds.least_energy(terms, reached)
            good = np.flatnonzero(  # ports are dear to bound
                ~self.front.excludes(self.bounds.least_steps(spatial, reached), energy * tables.macs)
            )
            label, spatial, reached, energy = label[good], spatial[good], reached[good], energy[good]
            cycles = self.bounds.least_cycles(terms.pick(good), spatial, reached)
            energy = energy + tables.leak_pj[spatial] * cycles / tables.macs
            pairs = self._open(Pairs(label, spatial, reached, energy, cycles))
            self._complete(pairs.pick(pairs.promising(1)))
            found.append(self._open(pairs))
        return self._open(Pairs(*(np.concatenate([getattr(p, field.name) for p in found]) for field in fields(Pairs))))

    @property
    def _useful(self) -> Ints:
        """Spatial factors that may be of use by their cycles alone."""
        cycles = self.tables.compute
        return np.flatnonzero(~self.front.excludes(cycles, np.zeros(len(cycles))))

    def _open(self, pairs: Pairs) -> Pairs:
        """The pairs that may still better the front."""
        return pairs.pick(~self.front.excludes(pairs.cycles, pairs.energy * self.tables.macs))

    def _complete(self, pairs: Pairs) -> None:
        """Evaluate every completion of the pairs that may join the front."""
        tables, bounds = self.tables, self.bounds
        terms = bounds.energies(pairs.label, pairs.spatial, pairs.reached)
        some = self._with_orders(pairs, self._with_tiles(pairs, terms))
        spatial, cost, share = pairs.spatial[some.pair], terms.cost[some.pair], terms.share[some.pair]
        fills, loose = bounds.at_best(some.fills, some.is_open, pairs.label[some.pair], some.tile)
        energy = tables.constant_pj[spatial] + (fills * cost).sum(1) - tables.saved(bounds.by_space(loose * cost))
        some = some.slower(tables.port_cycles(spatial, fills, loose, share))
        some = some.pick(self._promising(pairs, some, energy + bounds.outer[some.tile]))

        at, top = bounds.outer_orders(some.tile)
        some = some.pick(at)
        spatial, own = pairs.spatial[some.pair], self.labels.reached[pairs.label[some.pair]]
        whole = np.full(len(own), tables.lattice.size - 1)
        all_fills, _ = tables.step(tables.levels - 1, some.fills, some.is_open, some.tile, whole, own, top)
        shared = bounds.shared_fills(some.tile, top)
        energy = tables.constant_pj[spatial] + (all_fills * terms.cost[some.pair]).sum(1) + shared @ tables.shared_pj
        some = some.slower(
            tables.port_cycles(spatial, all_fills, np.zeros_like(all_fills), terms.share[some.pair], shared)
        )
        good = self._promising(pairs, some, energy)
        rows = np.stack([pairs.label[some.pair], spatial, some.tile, some.row, top], 1)
        self._join(rows[good], some.cycles[good], self._with_leakage(pairs, some, energy)[good])

    def _with_tiles(self, pairs: Pairs, terms: PairTerms) -> Completions:
        """The pairs with every tile of the shared level that the bounds leave."""
        tables, bounds = self.tables, self.bounds
        pair, tile = tables.lattice.multiples(pairs.reached, tables.shared_tiles, tables.links[tables.shared])
        label = pairs.label[pair]
        fills, is_open = self.labels.fills[label], self.labels.is_open[label]
        some = Completions(pair, tile, np.zeros_like(pair), fills, is_open, pairs.cycles[pair])
        some = some.slower(tables.macs * bounds.outer_cycles[tile])
        rest = self._rest(pairs, some)
        energy = terms.total[pair] + bounds.outer[tile] - tables.saved(terms.held[pair] * (1 - rest))
        good = self._promising(pairs, some, energy)
        some, rest, pair = some.pick(good), rest[good], pair[good]
        loose = some.is_open * terms.fills[pair] * (1 - rest[:, tables.space_of])
        some = some.slower(tables.port_cycles(pairs.spatial[pair], terms.fills[pair], loose, terms.share[pair]))
        return some.pick(self._promising(pairs, some, energy[good]))

    def _rest(self, pairs: Pairs, some: Completions) -> Floats:
        """`[n, T]` the share of its fills that the longest run of a dataspace leaves, the shared tile being known."""
        tables, reached = self.tables, pairs.reached[some.pair]
        moved = (tables.loops(reached, some.tile)[:, None] & tables.moving) > 0
        return tables.irrelevant[reached] / np.where(moved, tables.irrelevant[some.tile], tables.irrelevant[-1])

    def _with_orders(self, pairs: Pairs, some: Completions) -> Completions:
        """The completions with every order class of the shared level."""
        tables, m = self.tables, self.tables.shared
        if not m:  # no tile further in whose fills its order could change
            return some
        reached = pairs.reached[some.pair]
        at, row = tables.classes[m - 1].of(tables.loops(reached, some.tile))
        some, reached = some.pick(at), reached[at]
        own = self.labels.reached[pairs.label[some.pair]]
        fills, is_open = tables.step(m, some.fills, some.is_open, reached, some.tile, own, row)
        return replace(some, row=row, fills=fills, is_open=is_open)

    def _join(self, rows: Ints, cycles: Floats, energy: Floats) -> None:
        """Evaluate mappings of at least these cycles and pJ, the most promising first, and let them join the front."""
        left, size = np.argsort(cycles * energy), EVALUATED
        while len(left):
            some, left = left[:size], left[size:]
            found, taken = self._evaluate(rows[some])
            self.evaluated += len(some)
            better = ~self.front.excludes(taken, found)
            self.front = self.front.joined(taken[better], found[better], rows[some][better])
            left = left[~self.front.excludes(cycles[left], energy[left])]
            size = min(GROWTH * size, CHUNK)

    def _promising(self, pairs: Pairs, some: Completions, energy: Floats) -> Ints:
        """Which of the completions that need at least `energy` pJ a MAC the front leaves."""
        return np.flatnonzero(~self.front.excludes(some.cycles, self._with_leakage(pairs, some, energy)))

    def _with_leakage(self, pairs: Pairs, some: Completions, energy: Floats) -> Floats:
        """`[n]` pJ of completions that need `energy` pJ a MAC without it."""
        return energy * self.tables.macs + self.tables.leak_pj[pairs.spatial[some.pair]] * some.cycles

    # what the points are

    @cached_property
    def _machine(self) -> Machine:
        return self.tables.architecture.tensors()

    @cached_property
    def _kept(self) -> Kept:
        return self.tables.kept.tolist()

    def _evaluate(self, rows: Ints) -> tuple[Floats, Floats]:
        """(energy pJ, cycles) `[n]` of mappings, in the exact cost model."""
        tables = self.tables
        factors, position = self.factors(rows)
        with torch.no_grad():
            totals = evaluate_totals(
                tables.shape, self._machine, self._kept, torch.from_numpy(factors), torch.from_numpy(position)
            )
        return totals.energy_pj.numpy(), totals.cycles.numpy()

    def factors(self, rows: Ints) -> tuple[Floats, Ints]:
        """(factors `[n, levels, 3, dims]`, places of the temporal loops `[n, levels, dims]`), of all dimensions."""
        tables = self.tables
        live, m = list(tables.shape.live), tables.shared
        label, spatial, tile, row, top = rows.T
        extents, spread = tables.lattice.extent, tables.lattice.extent[tables.spatial[spatial]]
        factors = np.ones((len(rows), tables.levels, 3, tables.shape.dims))
        position = np.tile(np.arange(tables.shape.dims), (len(rows), tables.levels, 1))
        below = np.ones_like(spread)
        states = [*self.labels.states[label].T, tile, np.full(len(rows), tables.lattice.size - 1)]
        orders = [*self.labels.rows[label].T, row, top]
        for level, state in enumerate(states):
            if level == m:
                along_x = (tables.along_x[spatial][:, None] & tables.bits) > 0
                factors[:, level, SPATIAL_X, live] = np.where(along_x, spread, 1)
                factors[:, level, SPATIAL_Y, live] = np.where(along_x, 1, spread)
                below = below * spread
            factors[:, level, TEMPORAL, live] = extents[state] // below
            below = extents[state]
            if level:
                place = tables.classes[level - 1].position[orders[level - 1 if m else level]]
                position[:, level, live] = place
        idle = [d for d in range(tables.shape.dims) if d not in live]
        for i, d in enumerate(idle):
            position[..., d] = len(live) + i
        return factors, position

    def open_bounds(self) -> tuple[Floats, Floats]:
        """(pJ of one execution, cycles) that what is left of the space needs at least, `[n]` each."""
        return self.left.energy * self.tables.macs, self.left.cycles

    def mappings(self) -> tuple[Mapping, ...]:
        """The mappings of the front's points, but for those that others have found."""
        tables = self.tables
        factors, position = self.factors(self.front.rows[self.front.rows[:, 0] >= 0])
        position = tables.masks.places_of(position)
        batch = MappingBatch(
            tables.problem.dimensions,
            tuple(level.name for level in tables.architecture.levels),
            tuple(tables.bypass),
            torch.from_numpy(factors),
            torch.from_numpy(position).argsort(-1),
            tables.masks.space.spatial_order.expand(*position.shape),
        )
        return tuple(batch.mapping(i) for i in range(len(factors)))
