"""One layer's energy and time, bounded from below over every mapping of a class: the terms.

Columns are the logarithms of the temporal and spatial factors (those of one dimension add up to the logarithm of its
bound), then of the free sizes, then the time. A `Node` is a set of mappings; the terms lie below the exact
model's at each of them (default counting rules). What is exact and what is bounded:

* Tiles of dense dataspaces, instances, bandwidths, compute cycles, multicast and reduction: exact monomials. Roundings
  to whole blocks and cycles only add, and are left out.
* Loop order. Of a level's temporal loops let d be the innermost that exists. Every dataspace that d moves is moved by
  the innermost loop, so all other loops of the level repeat its traffic; one that d leaves in place may stay through
  all loops irrelevant to it. So with s(d) the dataspaces that d leaves in place, a level's order matters through s(d)
  alone, and a larger s(d) is never worse: the classes are the maximal s(d). `OrderDecision.stationary` is s(d); what is
  in it is taken to stay through all irrelevant loops. A dataspace that no loop of a level moves (`OrderDecision.moves`
  False) may stay through the next level's loops too. Undecided levels leave everything in place.
* Sliding windows. A rank of extent H = sum_d c_d (n_d - 1) + 1 has a negative constant; with p its longest dimension
  and all others at least their least extents in the node, H >= c_p n_p + K. For K >= 0 that is a posynomial, for K < 0
  log H is concave in log n_p and lies above its chord over the node's range. A tile that slides along one loop of n
  steps receives H + (n - 1) min(H, c step) words, step >= the tile: at least the union of its n positions where they
  touch (K >= 0), n H where they do not (K < 0); see `_rank`.
* First visits. An output's reads and refills are less by W J, J the instances that share a sum: -exp(J) is concave and
  lies above its chord over the node's range of J.
* Children with different data of a window: at least n + m - 1 of n x m offsets.
* Imperfect factors: extents are those of whole tiles, cut at the bound, and the outermost loop has what they leave, a
  fraction. No count of tiles, children or visits is less: of those that come the last, cut one has its share or more.
  Dimensions with strides, whose chords rise, have mean extents and loops.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from math import ceil, exp, inf, log, prod

import numpy as np

from dlco.bound.geometric import Array
from dlco.bound.nodes import Node, Range
from dlco.bound.unit_costs import Sum, UnitCosts
from dlco.mapping.kept import kept_levels
from dlco.workload.problem import Problem


@dataclass(frozen=True)
class IndexedSpace:
    """A dataspace by indices.

    Attributes:
        ranks: each of (dimension, coefficient), dimensions of bound 1 left out; `relevant`: the dimensions.
        kept: levels that keep it, innermost first.
    """

    name: str
    read_write: bool
    ranks: tuple[tuple[tuple[int, int], ...], ...]
    relevant: frozenset[int]
    kept: tuple[int, ...]

    @property
    def dense(self) -> bool:
        """Whether tiles have neither gaps nor overlaps."""
        return all(len(rank) == 1 and rank[0][1] == 1 for rank in self.ranks)


@dataclass(frozen=True)
class Arrivals:
    """Words that all tiles of one dataspace at one level receive, and what is left out of their count.

    Attributes:
        level, space: of the tiles.
        words: an instance's.
        uncounted: for each outer level the column vector of the loops taken to leave the tile in place, if any.
        ranks: (main vector, c_p, K used, `[(c, vector, least)]`) of the windows: to see how far K is from the truth.
    """

    level: int
    space: int
    words: Sum
    uncounted: dict[int, Array]
    ranks: list[tuple[Array, float, float, list[tuple[float, tuple[int, int], Array, float]]]]


def _same(space: IndexedSpace, swap: dict[int, int]) -> bool:
    """Whether a dataspace is the same after dimensions are exchanged."""
    renamed = sorted(tuple(sorted((swap.get(d, d), c) for d, c in rank)) for rank in space.ranks)
    return renamed == sorted(tuple(sorted(rank)) for rank in space.ranks)


class LayerTerms:
    """What the programs of one layer are made of, on a machine or a box of machines.

    Args:
        problem: the layer.
        costs: of the machines.
        imperfect: factors need not divide the bounds: nothing then rests on their being whole.
        scales: (pJ, cycles) that an execution takes about; for numerical scaling alone.
    """

    def __init__(
        self, problem: Problem, costs: UnitCosts, scales: tuple[float, float], imperfect: bool = False
    ) -> None:
        self.problem, self.costs, self.imperfect, self.scales = problem, costs, imperfect, scales
        self.levels = len(costs.levels)
        live = [d for d, bound in enumerate(problem.bounds) if bound > 1]
        index = {dim: d for d, dim in enumerate(problem.dimensions)}
        self.live, self.bounds = live, problem.bounds
        self.column: dict[tuple[int, int, int], int] = {}  # (level, 0 temporal or 1 spatial, dimension)
        for level, own in enumerate(costs.levels):
            for kind in (0, 1) if own.fanout is not None else (0,):
                for d in live:
                    self.column[level, kind, d] = len(self.column)
        self.slots = len(self.column)
        self.sizes = slice(self.slots, self.slots + len(costs.low))
        self.n = self.slots + len(costs.low) + 1
        self.spaces = []
        for space, kept in zip(problem.dataspaces, kept_levels(problem, costs.base), strict=True):
            ranks = tuple(tuple((index[d], c) for d, c in rank if index[d] in live) for rank in space.projection)
            ranks = tuple(rank for rank in ranks if rank)
            relevant = frozenset(d for rank in ranks for d, _ in rank)
            self.spaces.append(IndexedSpace(space.name, space.read_write, ranks, relevant, kept))
        self.chain = {d: self._chain(d) for d in live}
        self.zero = np.zeros(self.n)
        self._vectors: dict[tuple, Array] = {}

    @cached_property
    def box(self) -> tuple[Array, Array]:
        """Least and greatest logarithm of every factor and size, from bounds and arrays."""
        low, high = np.zeros(self.n), np.zeros(self.n)
        for (level, kind, d), column in self.column.items():
            axes = self.costs.levels[level].axes
            high[column] = log(min(self.bounds[d], axes[0] * axes[1]) if kind else self.bounds[d])
        low[self.sizes], high[self.sizes] = self.costs.low, self.costs.high
        return low, high

    @cached_property
    def splits(self) -> tuple[Array, Array]:
        """The factors of each dimension multiply to its bound: E and e of the program."""
        equal = np.array([self.vector([(*place, d) for place in self.chain[d]]) for d in self.live])
        return equal.reshape(-1, self.n), np.array([log(self.bounds[d]) for d in self.live])

    @property
    def names(self) -> tuple[str, ...]:
        """What the columns but the time are called: "level.T.dim", "level.S.dim" of factors, and the free sizes."""
        levels, dims = self.costs.base.levels, self.problem.dimensions
        factors = [f"{levels[level].name}.{'TS'[kind]}.{dims[d]}" for level, kind, d in self.column]
        return (*factors, *self.costs.names)

    @property
    def split_names(self) -> tuple[str, ...]:
        """What the equalities are called."""
        return tuple(f"factors of {self.problem.dimensions[d]}" for d in self.live)

    @cached_property
    def mirrors(self) -> list[dict[int, int]]:
        """Exchanges of dimensions that leave the problem as it is: rows and columns of a square convolution."""
        found = []
        pairs = [(a, b) for a in self.live for b in self.live if a < b and self.bounds[a] == self.bounds[b]]
        for size in (1, 2, 3):
            for chosen in combinations(pairs, size):
                if len({d for pair in chosen for d in pair}) == 2 * size:
                    swap = {a: b for a, b in chosen} | {b: a for a, b in chosen}
                    if all(_same(space, swap) for space in self.spaces):
                        found.append(swap)
        return found

    # --- vectors of log factors -------------------------------------------------------------------------------

    def _chain(self, d: int) -> list[tuple[int, int]]:
        """(level, kind) of a dimension's factors, inside out: spatial ones lie inside their level's temporal one."""
        places = [(level, kind) for level in range(self.levels) for kind in (1, 0)]
        return [place for place in places if (*place, d) in self.column]

    def vector(self, entries: Sequence[tuple[int, int, int]]) -> Array:
        """Sum of the logarithms of some factors."""
        out = np.zeros(self.n)
        for entry in entries:
            if entry in self.column:
                out[self.column[entry]] += 1.0
        return out

    @cached_property
    def tile(self) -> list[dict[int, Array]]:
        """For each level, each dimension's extent of the tile."""
        return [
            {d: self.vector([(i, kind, d) for i in range(level + 1) for kind in (0, 1)]) for d in self.live}
            for level in range(self.levels)
        ]

    def across(self, levels: Sequence[int], dims: Sequence[int] | frozenset[int] | None = None) -> Array:
        """The spatial factors of some levels and dimensions."""
        return self._cached(1, tuple(levels), self.live if dims is None else dims)

    def loops(self, level: int, dims: Sequence[int] | frozenset[int]) -> Array:
        """The temporal factors of some dimensions at one level."""
        return self._cached(0, (level,), dims)

    def _cached(self, kind: int, levels: tuple[int, ...], dims: Sequence[int] | frozenset[int]) -> Array:
        key = (kind, levels, frozenset(dims))
        if key not in self._vectors:
            self._vectors[key] = self.vector([(level, kind, d) for level in levels for d in dims])
        return self._vectors[key]

    def irrelevant(self, space: int) -> list[int]:
        """Dimensions that do not move a dataspace."""
        return self._irrelevant[space]

    @cached_property
    def _irrelevant(self) -> list[list[int]]:
        return [[d for d in self.live if d not in space.relevant] for space in self.spaces]

    def position(self, level: int, kind: int, d: int) -> int:
        """Index into a dimension's chain."""
        return self.chain[d].index((level, kind))

    # --- ranges of extents ------------------------------------------------------------------------------------

    def extent_range(self, node: Node, d: int, position: int) -> Range:
        """Least and greatest product of a dimension's factors up to a position of its chain."""
        if position < 0:
            return (1.0, 1.0)
        if position >= len(self.chain[d]) - 1:
            return (float(self.bounds[d]),) * 2
        values = dict(node.extents)
        low = max((values[d, i][0] for i in range(position + 1) if (d, i) in values), default=1.0)
        top = float(self.bounds[d])
        high = min((values[d, i][1] for i in range(position, len(self.chain[d])) if (d, i) in values), default=top)
        return (low, high)

    def tile_range(self, node: Node, level: int, d: int) -> Range:
        """Least and greatest extent of a level's tile along one dimension."""
        return self.extent_range(node, d, self.position(level, 0, d))

    def factor_low(self, node: Node, level: int, kind: int, d: int) -> float:
        """Least value of one factor in a node."""
        if (level, kind, d) not in self.column:
            return 1.0
        at = self.position(level, kind, d)
        low, below = self.extent_range(node, d, at)[0], self.extent_range(node, d, at - 1)[1]
        return 1.0 if self.imperfect else max(1.0, float(ceil(low / below - 1e-9)))

    def shared_range(self, node: Node, level: int, space: int) -> Range:
        """Least and greatest number of a level's instances that share a sum of the output."""
        most = prod(self.bounds[d] for d in self.irrelevant(space))
        outer = range(level + 1, self.levels)
        room = prod(self.costs.levels[i].axes[0] * self.costs.levels[i].axes[1] for i in outer)
        low, high = dict(node.shared).get(level, (1.0, inf))
        return (low, min(float(most), room, high))

    def level_shares(self, node: Node, level: int, space: int) -> Range:
        """Least and greatest part that one level's array has in the instances that share a sum."""
        low, high = 1.0, inf
        arrays = [i for i, own in enumerate(self.costs.levels) if own.fanout is not None]
        for below in dict(node.shared):
            if level > below:
                ends = self.shared_range(node, below, space)
                high = min(high, ends[1])
                if sum(i > below for i in arrays) == 1:
                    low = max(low, ends[0])
        return (low, high)

    # --- loop orders ------------------------------------------------------------------------------------------

    def signature(self, d: int, spaces: frozenset[int]) -> frozenset[int]:
        """Those of some dataspaces that a loop over `d` leaves in place."""
        return frozenset(t for t in spaces if d not in self.spaces[t].relevant)

    def stays(self, node: Node, level: int, space: int) -> bool:
        """Whether a dataspace may stay in place through the irrelevant loops of a level."""
        order = node.orders[level]
        return order is None or order.empty or space in order.stationary

    def moved(self, node: Node, level: int, space: int) -> bool:
        """Whether loops of a level surely move a dataspace."""
        order = node.orders[level]
        if order is None or order.empty or order.moves is None:
            return False
        if space not in order.stationary:
            return True  # the innermost loop does, and the level is known not to be empty
        return order.moves and len(order.stationary) == 1

    def slides(self, node: Node, level: int, space: int) -> frozenset[int]:
        """Dimensions that may be the innermost loop that moves a dataspace, at the first level that moves it."""
        order = node.orders[level]
        relevant = self.spaces[space].relevant
        if order is None or space in order.stationary:
            return relevant
        return frozenset(d for d in relevant if self.signature(d, order.cared) <= order.stationary)

    def cared(self, node: Node, level: int) -> frozenset[int]:
        """Dataspaces whose traffic depends on the order of a level's loops."""
        return frozenset(
            t
            for t, space in enumerate(self.spaces)
            if any(not any(self.moved(node, i, t) for i in range(k + 1, level)) for k in space.kept[:-1] if k < level)
        )

    # --- posynomials ------------------------------------------------------------------------------------------

    def words(self, node: Node, level: int, space: int) -> Sum:
        """Words of a level's tile, from below."""
        plain = [rank[0][0] for rank in self.spaces[space].ranks if len(rank) == 1 and rank[0][1] == 1]
        total = Sum.monomial(1.0, sum((self.tile[level][d] for d in plain), self.zero))
        for rank in self.spaces[space].ranks:
            if rank[0][0] not in plain:
                total = total * self._box(node, level, rank)[0]
        return total

    def _box(self, node: Node, level: int, rank: tuple[tuple[int, int], ...]) -> tuple[Sum, float]:
        """A tile's extent of one rank, from below, and the constant K of the module's head."""
        main, step = max(rank, key=lambda term: self.bounds[term[0]])
        others = sum(c * (self.tile_range(node, level, d)[0] - 1) for d, c in rank if d != main)
        constant = others + 1 - step
        if constant >= 0:
            extent = Sum.monomial(float(step), self.tile[level][main])
            return (extent + Sum.monomial(constant, self.zero) if constant else extent), constant
        return self._chord(node, level, main, step, constant), constant

    def _chord(self, node: Node, level: int, main: int, step: float, constant: float) -> Sum:
        """The power law below `step n + constant`, constant < 0, through its ends over the range of n."""
        low, high = self.tile_range(node, level, main)
        first, last = log(step * low + constant), log(step * high + constant)
        slope = (last - first) / log(high / low) if high > low else 0.0
        return Sum.monomial(exp(first - slope * log(low)), slope * self.tile[level][main])

    def arrivals(self, node: Node, level: int, space: int) -> Arrivals:
        """Words that an instance's tile receives over the execution, from below."""
        own = self.spaces[space]
        irrelevant = self.irrelevant(space)
        repeats = np.zeros(self.n)
        uncounted: dict[int, Array] = {}
        window: list[tuple[int, frozenset[int]]] = []  # levels, and the loops there that may slide
        moved = False
        for outer in range(level + 1, self.levels):
            repeats += self.loops(outer, own.relevant)
            if moved or not self.stays(node, outer, space):
                repeats += self.loops(outer, irrelevant)
            else:
                uncounted[outer] = self.loops(outer, irrelevant)
            if not moved:
                window.append((outer, self.slides(node, outer, space)))
            moved = moved or self.moved(node, outer, space)
        windows = []
        ranks: list[tuple[Array, float, float, list[tuple[float, tuple[int, int], Array, float]]]] = []
        for rank in own.ranks:
            if len(rank) == 1 and rank[0][1] == 1:
                repeats += self.tile[level][rank[0][0]]
            else:
                factor, inside = self._rank(node, level, rank, window, ranks)
                repeats -= inside
                windows.append(factor)
        words = Sum.monomial(1.0, repeats)
        for factor in windows:
            words = words * factor
        return Arrivals(level, space, words, uncounted, ranks)

    def _rank(
        self,
        node: Node,
        level: int,
        rank: tuple[tuple[int, int], ...],
        window: list[tuple[int, frozenset[int]]],
        ranks: list,
    ) -> tuple[Sum, Array]:
        """Words along one rank over all steps that may slide, from below, and the loops that this counts.

        At most one loop slides: the innermost that moves the tile. Be U_d the extent of a dimension times its loops
        that may slide. With K >= 0 of the tile alone, the tiles along the longest dimension p touch, and
        c_p U_p + K words are received whether a loop over p slides (c_p times the extent, once more K), another
        does (then each of the steps along p brings a tile of c_p n + K at least) or none. Where the tiles along all
        dimensions touch, what is received covers the union of all positions, and K may take all U_d. With K < 0 a step
        along p brings a whole tile of c_p n + K at least.
        """
        box, constant = self._box(node, level, rank)
        if len(rank) == 1:
            return box, np.zeros(self.n)
        main, step = max(rank, key=lambda term: self.bounds[term[0]])
        if constant < 0:
            others = [
                (float(c), (d, self.position(level, 0, d)), self.tile[level][d], self.tile_range(node, level, d)[0])
                for d, c in rank
                if d != main
            ]
            ranks.append((self.tile[level][main], float(step), constant, others))
            inside = np.zeros(self.n)
            for outer, dims in window:
                inside += self.loops(outer, [d for d, _ in rank if d != main and d in dims])
            return box, inside
        least = {d: self.tile_range(node, level, d)[0] for d, _ in rank}
        touch = all(sum(c * (least[o] - 1) for o, c in rank if o != d) + 1 >= cd for d, cd in rank)
        inside, reach = np.zeros(self.n), {d: self.tile[level][d].copy() for d, _ in rank}
        for outer, dims in window:
            for d, _ in rank:
                if d in dims:
                    loop = self.loops(outer, [d])
                    inside += loop
                    reach[d] = reach[d] + loop
                    least[d] *= self.factor_low(node, outer, 0, d)
        if touch:
            constant = sum(c * (least[d] - 1) for d, c in rank if d != main) + 1 - step
        others = [
            (
                float(c),
                (d, self.position(level, 0, d)),
                reach[d],
                least[d] if touch else self.tile_range(node, level, d)[0],
            )
            for d, c in rank
            if d != main
        ]
        ranks.append((reach[main], float(step), constant, others))
        extent = Sum.monomial(float(step), reach[main])
        return (extent + Sum.monomial(constant, self.zero) if constant else extent), inside

    def distinct(self, node: Node, levels: Sequence[int], space: int) -> Sum:
        """Children with different data of one dataspace, over some levels, from below."""
        offsets = self.zero
        windows = []
        for level in levels:
            if self.costs.levels[level].fanout is None:
                continue
            for rank in self.spaces[space].ranks:
                main = max(rank, key=lambda term: self.bounds[term[0]])[0]
                more = sum(self.factor_low(node, level, 1, d) - 1 for d, _ in rank if d != main)
                own = self.across([level], [main])
                if more:
                    windows.append(Sum.monomial(1.0, own) + Sum.monomial(more, self.zero))
                else:
                    offsets = offsets + own
        total = Sum.monomial(1.0, offsets)
        for factor in windows:
            total = total * factor
        return total

    def instances(self, level: int) -> Array:
        """Instances in use of a level."""
        return self.across(range(level + 1, self.levels))

    def factors(self, x: Array) -> Array:
        """The factors of a point: `[levels, 2, dims]`, temporal and (X times Y) spatial, real numbers."""
        table = np.ones((self.levels, 2, len(self.bounds)))
        for (level, kind, d), column in self.column.items():
            table[level, kind, d] = np.exp(x[column])
        return table
