"""The exact front of (cycles, energy) of one layer on one machine, by best-first search over proved bounds.

Labels of all levels inside the last two are grown first (`growth`). Every pair of a label and spatial factors of level
m has lower bounds on energy and cycles. The most promising pairs are completed first: all tiles of level m, all order
classes of the two last levels, each step filtered by the same bounds with more of the mapping known; what is left is
evaluated by the cost model itself. A pair is done with once a point of the front has no more cycles and no more energy
than its bounds.

Labels are grown in passes. The first keeps few a level, and its front lets the next leave out most of the many that it
looks at. The search ends when all pairs of a pass are done with and the front excludes all that the pass left out:
then no mapping of the space beats the front. Stopped earlier, or where the widest pass still left something out, the
bounds of what is left over hold.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Self, TypeVar

import numpy as np
import torch

from dlco.cost.model import evaluate_totals
from dlco.exact.bounds import Bounds, PairTerms, whole_cycles
from dlco.exact.frontier import Frontier
from dlco.exact.growth import Growth, Stopped
from dlco.exact.labels import Labels, make_labels
from dlco.exact.lattice import Bools, Floats, Ints
from dlco.exact.outlook import Outlook
from dlco.exact.tables import LayerTables
from dlco.hardware.architecture import Machine
from dlco.mapping.kept import Kept
from dlco.mapping.mapping import SPATIAL_X, SPATIAL_Y, TEMPORAL, Mapping, MappingBatch

CHUNK = 1 << 17  # pairs bounded, or mappings evaluated, at once
FIRST, GROWTH, MOST = 1, 4, 256  # pairs completed at once: few, until the front excludes most completions
WIDTHS = (200, 2_000, 20_000, 200_000)  # labels of a level grown further, by pass
EVALUATED = 512  # mappings evaluated at once, the most promising of a batch; `GROWTH` times as many each further time


@dataclass(frozen=True, eq=False)
class Pairs:
    """Pairs `[n]` of labels and spatial factors that fit, with their bounds.

    Attributes:
        label, spatial: rows of `Labels` and of the vectors of the fan-out of level m.
        reached: states of their products.
        energy: least pJ a MAC; `cycles`: least cycles.
    """

    label: Ints
    spatial: Ints
    reached: Ints
    energy: Floats
    cycles: Floats

    @classmethod
    def none(cls) -> Self:
        """No pairs."""
        kinds = {field.name: float if field.name in ("energy", "cycles") else np.int64 for field in fields(cls)}
        return cls(**{name: np.zeros(0, dtype=kind) for name, kind in kinds.items()})

    def pick(self, index: Ints | Bools) -> Self:
        """Some of the pairs."""
        return type(self)(*(getattr(self, field.name)[index] for field in fields(self)))

    @classmethod
    def join(cls, parts: Sequence[Self]) -> Self:
        """All pairs of some parts."""
        return cls(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(cls)))

    def promising(self, n: int) -> Ints:
        """The `n` pairs of the least bounds on EDP, the least first."""
        merit = self.energy * self.cycles
        some = np.argpartition(merit, n)[:n] if n < len(merit) else np.arange(len(merit))
        return some[np.argsort(merit[some], kind="stable")]


AnyPairs = TypeVar("AnyPairs", bound=Pairs)


@dataclass(frozen=True, eq=False)
class Completions:
    """Mappings `[n]` on the way from pairs to whole ones.

    Attributes:
        pair: index of the pair; `tile`: state of level m's tile.
        row: order class of level m.
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


class FrontSearch:
    """The best-first search of one problem on one machine; `run` it.

    Attributes:
        tables: the problem on the machine.
        front: unbeaten points so far; energies in pJ of one execution. Rows `[n, 3 levels]` are every level's tile,
            then its spatial factors (a row of its fan-out's vectors), then its order class.
        labels: of the last pass; `left`: their pairs not yet done with.
        dropped: `[k, 2]` (pJ, cycles) bounds of labels that the pass left out.
        evaluated: mappings evaluated so far.
        given: the mappings of the points known before, where they were given.
        kind: of the labels.
    """

    kind: type[Labels] = Labels
    given: tuple[Mapping, ...] = ()

    def __init__(
        self,
        tables: LayerTables,
        known: Frontier | None = None,
        ways: Ways | None = None,
        labels: Labels | None = None,
        given: Sequence[Mapping] = (),
    ) -> None:
        """Begin.

        Args:
            tables: the problem on the machine.
            known: points that others have found, which rows of the front show as -1 - index in their first column, or
                none, with an interest in some.
            ways: the only ways out of an array worth a look; all, where they are not given.
            labels: the problem's labels on an array, made here where they are not given.
            given: the mappings of the points known; without them `mappings` leaves these out.
        """
        self.tables, self.given = tables, tuple(given)
        self.bounds = Bounds(tables)
        self.outlook = Outlook(tables, self.bounds)
        columns = 3 * tables.levels
        self.front = Frontier.empty(columns) if known is None else known.marked(columns)
        self.evaluated = 0
        self.left, self.dropped = Pairs.none(), np.zeros((0, 2))
        self._widths: tuple[int, ...] = ()
        if tables.is_array:  # few enough labels to look at them all at once
            self.labels = labels or make_labels(tables, None if ways is None else ways.spare)
            self.left = self._pairs(self._every() if ways is None else ways.pairs(self.labels))
            return
        self.labels, self._widths = Labels.none(tables, tables.shared), WIDTHS
        while self._begin(lambda: True) and not len(self.front.cycles) and len(self.dropped):
            pass

    def run(self, go_on: Callable[[], bool] = lambda: True) -> None:
        """Search until the front is proved, or until `go_on`, asked before every batch, says no."""
        self._finish(go_on)
        while len(self.dropped) and not len(self.left.label) and self._begin(go_on):
            self._finish(go_on)

    def _begin(self, go_on: Callable[[], bool]) -> bool:
        """Begin the next pass; False where it was stopped or there is none, and what was known before holds."""
        if not self._widths:
            return False
        try:
            labels, dropped = Growth(self.outlook, self.front, self._widths[0], go_on, self.kind).run()
        except Stopped:
            return False
        self._widths = self._widths[1:]
        self.labels = labels
        self.left, self.dropped = self._pairs(self._promising_ways()), dropped
        return True

    def _finish(self, go_on: Callable[[], bool]) -> None:
        size = FIRST
        while len(self.left.label) and go_on():
            todo = self.left.promising(size)
            self._complete(self.left.pick(todo))
            rest = np.ones(len(self.left.label), dtype=bool)
            rest[todo] = False
            self.left = self._open(self.left.pick(rest))
            size = min(GROWTH * size, MOST)
        energy, cycles = self.dropped.T
        self.dropped = self.dropped[~self.front.excludes(cycles, energy)]

    def _every(self) -> Iterator[tuple[Ints, Ints]]:
        """(label, spatial factors) of all pairs whose cycles alone do not exclude them."""
        tables, n = self.tables, len(self.labels)
        cycles = tables.macs / tables.fans[tables.shared].children
        vectors = np.flatnonzero(~self.front.excludes(cycles, np.zeros(len(cycles))))
        step = max(1, CHUNK // max(1, n))
        for start in range(0, len(vectors), step):
            some = vectors[start : start + step]
            yield np.tile(np.arange(n), len(some)), np.repeat(some, n)

    def _promising_ways(self) -> Iterator[tuple[Ints, Ints]]:
        """(label, spatial factors) of all pairs that the outlook leaves."""
        label, vector, _ = self.outlook.pairs(self.labels, self.tables.shared, self.front)
        for start in range(0, len(label), CHUNK):
            yield label[start : start + CHUNK], vector[start : start + CHUNK]

    def _pairs(self, ways: Iterator[tuple[Ints, Ints]]) -> Pairs:
        """All pairs among some that the front leaves, once the best of every chunk has joined it."""
        tables, labels, bounds, found = self.tables, self.labels, self.bounds, [Pairs.none()]
        fan = tables.fans[tables.shared]
        for label, vector in ways:
            reached = fan.after(labels.reached[label], vector)
            good = np.flatnonzero((reached >= 0) & np.isfinite(bounds.free[reached]))
            label, vector, reached = label[good], vector[good], reached[good]
            terms = bounds.energies(labels, label, vector, reached)
            energy = bounds.least_energy(terms, reached)
            good = np.flatnonzero(  # ports are dear to bound
                ~self.front.excludes(bounds.least_steps(terms, reached), energy * tables.macs)
            )
            label, vector, reached, energy = label[good], vector[good], reached[good], energy[good]
            terms = terms.pick(good)
            cycles = bounds.least_cycles(terms, reached)
            energy = energy + terms.leak * cycles / tables.macs
            pairs = self._open(Pairs(label, vector, reached, energy, cycles))
            self._complete(pairs.pick(pairs.promising(1)))
            found.append(self._open(pairs))
        return self._open(Pairs.join(found))

    def _open(self, pairs: AnyPairs) -> AnyPairs:
        """The pairs that may still better the front."""
        return pairs.pick(~self.front.excludes(pairs.cycles, pairs.energy * self.tables.macs))

    def _complete(self, pairs: Pairs) -> None:
        """Evaluate every completion of the pairs that may join the front."""
        tables, bounds = self.tables, self.bounds
        terms = bounds.energies(self.labels, pairs.label, pairs.spatial, pairs.reached)
        some = self._with_orders(pairs, self._with_tiles(pairs, terms))
        if not len(some.pair):
            return
        its, tiles = terms.pick(some.pair), self.labels.states[pairs.label[some.pair]]
        fills, loose = bounds.at_best(some.fills, some.is_open, tiles, some.tile)
        energy = its.constant + (fills * its.cost).sum(1) - tables.saved(bounds.by_space(loose * its.cost))
        some = some.slower(tables.port_cycles(fills, loose, its.share, its.instances, its.spread))
        some = some.pick(self._promising(terms, some, energy + bounds.outer[some.tile]))

        at, top = bounds.outer_orders(some.tile)
        some = some.pick(at)
        its, tiles = terms.pick(some.pair), self.labels.states[pairs.label[some.pair]]
        whole = np.full(len(at), tables.lattice.size - 1)
        last = tables.levels - 1
        all_fills, _ = tables.step(last, some.fills, some.is_open, some.tile, whole, tiles, top)
        all_fills = self._passed(pairs, replace(some, fills=all_fills), some, last, some.tile, top).fills
        shared = bounds.shared_fills(some.tile, top)
        energy = its.constant + (all_fills * its.cost).sum(1) + shared @ tables.shared_pj
        some = some.slower(
            tables.port_cycles(all_fills, np.zeros_like(all_fills), its.share, its.instances, its.spread, shared)
        )
        good = self._promising(terms, some, energy)
        rows = self._rows(pairs.pick(some.pair[good]), some.tile[good], some.row[good], top[good])
        self._join(rows, some.cycles[good], self._with_leakage(terms, some, energy)[good])

    def _rows(self, pairs: Pairs, tile: Ints, row: Ints, top: Ints) -> Ints:
        """`[n, 3 levels]` all that a mapping is made of: of every level its tile, its spatial factors, its order."""
        labels, zeros = self.labels, np.zeros_like(tile)
        whole = np.full(len(tile), self.tables.lattice.size - 1)
        parts = [labels.states[pairs.label], tile, whole, labels.vectors[pairs.label], pairs.spatial, zeros]
        return np.column_stack([*parts, labels.rows[pairs.label], row, top])

    def _with_tiles(self, pairs: Pairs, terms: PairTerms) -> Completions:
        """The pairs with every tile of level m that the bounds leave."""
        tables, bounds = self.tables, self.bounds
        pair, tile = self._tiles(pairs, terms)
        label = pairs.label[pair]
        fills, is_open = self.labels.fills[label], self.labels.is_open[label]
        some = Completions(pair, tile, np.zeros_like(pair), fills, is_open, pairs.cycles[pair])
        some = some.slower(tables.macs * bounds.outer_cycles[tile])
        rest = self._rest(pairs, some)
        energy = self._at_tiles(pairs, terms, some, rest)
        good = self._promising(terms, some, energy)
        some, rest, its = some.pick(good), rest[good], terms.pick(pair[good])
        loose = some.is_open * its.fills * (1 - rest[:, tables.space_of])
        some = some.slower(tables.port_cycles(its.fills, loose, its.share, its.instances, its.spread))
        return some.pick(self._promising(terms, some, energy[good]))

    def _tiles(self, pairs: Pairs, terms: PairTerms) -> tuple[Ints, Ints]:
        """(position in the pairs, state) of every tile of level m that fits and that they may grow to."""
        tables = self.tables
        return tables.lattice.multiples(pairs.reached, tables.shared_tiles, tables.links[tables.shared])

    def _at_tiles(self, pairs: Pairs, terms: PairTerms, some: Completions, rest: Floats) -> Floats:
        """`[n]` pJ a MAC that no completion goes below, leakage aside; `rest` as `_rest` has it."""
        total = terms.total[some.pair] + self.bounds.outer[some.tile]
        return total - self.tables.saved(terms.held[some.pair] * (1 - rest))

    def _rest(self, pairs: Pairs, some: Completions) -> Floats:
        """`[n, T]` the share of its fills that the longest run of a dataspace leaves, level m's tile being known."""
        tables, reached = self.tables, pairs.reached[some.pair]
        moved = (tables.loops(reached, some.tile)[:, None] & tables.moving) > 0
        return tables.irrelevant[reached] / np.where(moved, tables.irrelevant[some.tile], tables.irrelevant[-1])

    def _with_orders(self, pairs: Pairs, some: Completions) -> Completions:
        """The completions with every order class of level m."""
        tables, m = self.tables, self.tables.shared
        if not m:  # no tile further in whose fills its order could change
            return some
        reached = pairs.reached[some.pair]
        at, row = tables.classes[m - 1].of(tables.loops(reached, some.tile))
        some, reached = some.pick(at), reached[at]
        tiles = self.labels.states[pairs.label[some.pair]]
        fills, is_open = tables.step(m, some.fills, some.is_open, reached, some.tile, tiles, row)
        return self._passed(pairs, replace(some, row=row, fills=fills, is_open=is_open), some, m, reached, row)

    def _passed(
        self, pairs: Pairs, some: Completions, before: Completions, level: int, inner: Ints, row: Ints
    ) -> Completions:
        """Completions after the loops of a level, from states `[n]` on in orders `[n]`; here they are as they are."""
        return some

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

    def _promising(self, terms: PairTerms, some: Completions, energy: Floats) -> Ints:
        """Which of the completions that need at least `energy` pJ a MAC the front leaves."""
        return np.flatnonzero(~self.front.excludes(some.cycles, self._with_leakage(terms, some, energy)))

    def _with_leakage(self, terms: PairTerms, some: Completions, energy: Floats) -> Floats:
        """`[n]` pJ of completions that need `energy` pJ a MAC without it."""
        return energy * self.tables.macs + terms.leak[some.pair] * some.cycles

    # what the points are

    @cached_property
    def _machine(self) -> Machine:
        return self.tables.architecture.tensors()

    @cached_property
    def _kept(self) -> Kept:
        return self.tables.kept[: len(self.tables.architecture.levels)].tolist()

    def _evaluate(self, rows: Ints) -> tuple[Floats, Floats]:
        """(energy pJ, cycles) `[n]` of mappings, in the exact cost model."""
        factors, position = (torch.from_numpy(table) for table in self.factors(rows))
        with torch.no_grad():
            totals = evaluate_totals(
                self.tables.shape, self._machine, self._kept, factors, position, bounds=self._covered
            )
        return totals.energy_pj.numpy(), totals.cycles.numpy()

    @property
    def _covered(self) -> torch.Tensor | None:
        """The bounds that factors cover, None where they multiply to them."""
        return None

    def factors(self, rows: Ints) -> tuple[Floats, Ints]:
        """(factors `[n, levels, 3, dims]`, places of the temporal loops `[n, levels, dims]`), of all dimensions."""
        tables = self.tables
        live, levels = list(tables.shape.live), len(tables.architecture.levels)  # none has loops beyond the machine
        states, vectors, orders = (rows[:, i * tables.levels :][:, :levels] for i in range(3))
        factors = np.ones((len(rows), levels, 3, tables.shape.dims))
        position = np.tile(np.arange(tables.shape.dims), (len(rows), levels, 1))
        spread = np.ones((len(rows), levels, tables.dims), dtype=np.int64)
        for level, fan in enumerate(tables.fans[:levels]):
            spread[:, level] = fan.factors[vectors[:, level]]
            along_x = (fan.along_x[vectors[:, level]][:, None] & tables.bits) > 0
            factors[:, level, SPATIAL_X, live] = np.where(along_x, spread[:, level], 1)
            factors[:, level, SPATIAL_Y, live] = np.where(along_x, 1, spread[:, level])
        factors[:, :, TEMPORAL, live] = self._temporal(states, spread)
        for level in range(1, levels):
            position[:, level, live] = tables.classes[level - 1].position[orders[:, level]]
        idle = [d for d in range(tables.shape.dims) if d not in live]
        for i, d in enumerate(idle):
            position[..., d] = len(live) + i
        return factors, position

    def _temporal(self, states: Ints, spread: Ints) -> Ints:
        """`[n, levels, dims]` temporal loops of mappings from rows' states `[n, levels]` and spatial factors."""
        extents = self.tables.lattice.extent[states]
        below: Ints = np.concatenate([np.ones_like(extents[:, :1]), extents[:, :-1]], 1) * spread
        return extents // below

    @property
    def is_over(self) -> bool:
        """Whether all passes are done with that there is something left for."""
        return not len(self.left.label) and not (len(self.dropped) and self._widths)

    def open_bounds(self) -> tuple[Floats, Floats]:
        """(pJ of one execution, cycles) that what is left of the space needs at least, `[n]` each."""
        energy, cycles = self.dropped.T
        return np.append(self.left.energy * self.tables.macs, energy), np.append(self.left.cycles, cycles)

    def mappings(self) -> tuple[Mapping, ...]:
        """The mappings of the front's points; of those that others have found where they were given."""
        own, firsts = iter(self._own_mappings()), self.front.rows[:, 0].tolist()
        return tuple(self.given[-1 - row] if row < 0 else next(own) for row in firsts if row >= 0 or self.given)

    def _own_mappings(self) -> tuple[Mapping, ...]:
        """The mappings of the points that this search has found."""
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
