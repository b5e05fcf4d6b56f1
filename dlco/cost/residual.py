"""The steps that Timeloop takes through loops whose last run is cut short, and the words that move at each of them.

Timeloop writes such a loop as `for M in [0:4,3)`: it runs to its end, 4, and to its residual, 3, where all loops
further out over its dimension are in their last iteration. It does not run the whole nest. Of a loop's iterations it
takes the first, the second for all those between, and, where a loop inside has a residual that its last iteration
comes to, the last one too (and the one before, where the loop has a residual itself). Of a level's children it follows
the first; the others do the same some way off.

Here every subtree of loops is walked once for every state in which it is entered: the box that the first child held,
relative to where the subtree begins, the step that it slid by, and what the children received last. A box as large as
the last one and shifted by the same step as before takes only what is new; a tile that changes its step is fetched
whole. Steps go from centre to centre, rounded.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import prod

import numpy as np
from numpy.typing import NDArray

from dlco.cost.forwarding import from_neighbours
from dlco.mapping.mapping import OUTWARDS, SPATIAL_X, SPATIAL_Y, TEMPORAL, Mapping
from dlco.mapping.tiles import last_factors
from dlco.workload.problem import Dataspace, Problem

Vector = tuple[int, ...]
Box = tuple[tuple[int, int], ...]  # from, to (excluded) along every rank
Boxes = tuple[Box, ...]  # that do not overlap
Groups = Counter[tuple[int, int]]  # words read out, by (children served at once, such groups of children)
Hops = dict[tuple[int, int], float]  # what these words, each of them, walk from child to child, added up


@dataclass(frozen=True)
class CutLoop:
    """One loop of more than one iteration.

    Attributes:
        level: of the storage level that it belongs to, innermost 0; `slot`: temporal, or spatial along X or Y.
        dim: index of its dimension; `stride`: what one iteration adds to it.
        end: iterations; `residual`: those of its last run.
    """

    level: int
    slot: int
    dim: int
    stride: int
    end: int
    residual: int

    @property
    def temporal(self) -> bool:
        """Whether its iterations follow each other."""
        return self.slot == TEMPORAL

    @property
    def cut(self) -> bool:
        """Whether its last run is shorter."""
        return self.end != self.residual


@dataclass(frozen=True)
class CutNest:
    """The loops of a mapping and what its tiles reach over.

    Attributes:
        problem: the work; `mapping`: factors that cover its bounds.
        loops: innermost first: of every level the spatial ones, X inside Y, inside the temporal ones.
    """

    problem: Problem
    mapping: Mapping
    loops: tuple[CutLoop, ...]

    @staticmethod
    def of(problem: Problem, mapping: Mapping) -> "CutNest":
        """The loops of a mapping."""
        last = last_factors(mapping, problem)
        loops, strides = [], [1] * len(problem.dimensions)
        for level, slots in enumerate(mapping.factors):
            for slot in OUTWARDS:
                for dim in (mapping.order if slot == TEMPORAL else mapping.spatial_order)[level]:
                    d = problem.dimensions.index(dim)
                    if (end := slots[slot][d]) > 1:
                        loops.append(CutLoop(level, slot, d, strides[d], end, last[level][slot][d]))
                        strides[d] *= end
        return CutNest(problem, mapping, tuple(loops))

    @property
    def levels(self) -> int:
        """Number of storage levels."""
        return len(self.mapping.levels)

    @cached_property
    def innermost_cut(self) -> dict[int, CutLoop]:
        """By dimension, its innermost loop that is cut short."""
        return {loop.dim: loop for loop in reversed(self.loops) if loop.cut}

    def spatial(self, level: int) -> tuple[CutLoop, ...]:
        """Loops over the children of a level, innermost first."""
        return tuple(loop for loop in self.loops if loop.level == level and not loop.temporal)

    def outside(self, level: int) -> tuple[CutLoop, ...]:
        """Loops that move the children of a level, outermost first, up to its own spatial ones."""
        return tuple(
            loop for loop in reversed(self.loops) if loop.level > level or (loop.level == level and loop.temporal)
        )

    def extents(self, loops: Iterable[CutLoop], last: Sequence[bool]) -> list[int]:
        """How far loops reach together in every dimension; to their residuals where it is in its last place."""
        whole, cut = [1] * len(last), [1] * len(last)
        for loop in loops:
            whole[loop.dim] *= loop.end
            cut[loop.dim] += loop.stride * (loop.residual - 1)
        return [c if at_end else w for w, c, at_end in zip(whole, cut, last, strict=True)]


@dataclass(frozen=True)
class Tally:
    """What a level's children were served.

    Attributes:
        groups: words read out for them.
        linked: words that they took from neighbours, all together.
        hops: of the words read out.
        runs: children times steps; `most`: children at once.
        tile: words of the largest tile of a child; `spread`: of the largest box around all of them.
    """

    groups: Groups = field(default_factory=Counter)
    linked: int = 0
    runs: int = 0
    most: int = 0
    tile: int = 0
    spread: int = 0
    hops: Hops = field(default_factory=dict)


def added(tallies: Iterable[tuple[int, int, Tally]]) -> Tally:
    """Tallies taken together, each as (times its words count, times its steps count, tally)."""
    groups: Groups = Counter()
    hops: Hops = {}
    linked = runs = most = tile = spread = 0
    for words, steps, one in tallies:
        for key, count in one.groups.items():
            groups[key] += words * count
            hops[key] = hops.get(key, 0.0) + words * one.hops[key]
        linked += words * one.linked
        runs += steps * one.runs
        most, tile, spread = max(most, one.most), max(tile, one.tile), max(spread, one.spread)
    return Tally(groups, linked, runs, most, tile, spread, hops)


@dataclass(frozen=True)
class _State:
    """What a level's children hold, seen from the place that is visited next.

    Attributes:
        held: box of the first child; `slide`: the step by which it slid.
        received: boxes that the first child received last; `ends`: of the spatial loops then.
    """

    held: Box | None = None
    slide: Vector | None = None
    received: Boxes = ()
    ends: Vector = ()

    def seen_from(self, step: Vector) -> "_State":
        """The state as it looks from a place that lies a step further on."""
        back = tuple(-x for x in step)
        return _State(
            None if self.held is None else _moved(self.held, back),
            self.slide,
            tuple(_moved(box, back) for box in self.received),
            self.ends,
        )


class Walk:
    """All steps that move one dataspace at the children of one level.

    Args:
        nest: the loops.
        level: whose children; those of level 0 are MACs, which take one word of everything at every step.
        space: the dataspace.
        width, height: children along X and Y of the mesh; more where the mapping has more.
        forwarding: whether neighbours pass words on.
    """

    def __init__(
        self, nest: CutNest, level: int, space: Dataspace, width: int, forwarding: bool, height: int = 1
    ) -> None:
        self.nest, self.level, self.forwarding = nest, level, forwarding
        self.outer = nest.outside(level)
        self.across = nest.spatial(level)
        self.width = max(width, prod(loop.end for loop in self.across if loop.slot == SPATIAL_X))
        self.height = max(height, prod(loop.end for loop in self.across if loop.slot == SPATIAL_Y))
        self.space = space
        self.inside = [loop for loop in nest.loops if loop.level < level]
        self.seen: dict[tuple[int, tuple[bool, ...], _State], tuple[Tally, _State]] = {}
        self.children: dict[Vector, NDArray[np.int64]] = {}
        self.shared: dict[tuple[Vector, bytes], tuple[Groups, Hops]] = {}

    def tally(self) -> Tally:
        """What the children are served in all."""
        return self._visit(0, (True,) * len(self.nest.problem.dimensions), _State())[0]

    def _visit(self, depth: int, last: tuple[bool, ...], state: _State) -> tuple[Tally, _State]:
        """Tally and state at the end of the loops from `depth` on; `last`: dimensions that are in their last place."""
        key = (depth, last, state)
        if key not in self.seen:
            self.seen[key] = self._run(depth, last, state) if depth < len(self.outer) else self._serve(last, state)
        return self.seen[key]

    def _run(self, depth: int, last: tuple[bool, ...], state: _State) -> tuple[Tally, _State]:
        loop = self.outer[depth]
        if not loop.temporal:  # the first child stands for all
            return self._visit(depth + 1, _entered(last, loop, 0), state)
        to_the_end = last[loop.dim] and self._cut_inside(loop)
        n = loop.residual if last[loop.dim] else loop.end
        buffered = depth == len(self.outer) - 1 and loop.level == self.level and not self.across
        parts, at = [], 0
        for index, steps, words in _schedule(n, to_the_end, loop.cut):
            state = state.seen_from(self._step(loop, index - at))
            at = index
            tally, state = self._visit(depth + 1, _entered(last, loop, index), state)
            parts.append((words if buffered else steps, steps, tally))
        return added(parts), state.seen_from(self._step(loop, -at))

    def _cut_inside(self, loop: CutLoop) -> bool:
        """Whether a loop of the same dimension is cut short inside this one."""
        inner = self.nest.innermost_cut.get(loop.dim)
        return inner is not None and inner.stride < loop.stride

    def _serve(self, last: tuple[bool, ...], state: _State) -> tuple[Tally, _State]:
        """One step: what is delivered, and the state after it."""
        ends, first = [], last
        for loop in reversed(self.across):
            ends.append(loop.residual if first[loop.dim] else loop.end)
            first = _entered(first, loop, 0)
        box = self._box(self.nest.extents(self.inside, first))
        spread = self._box(self.nest.extents((*self.inside, *self.across), last))
        received, after = ((box,), state) if self.level == 0 else _received(box, state)
        words, children = sum(map(_words, received)), prod(ends)
        all_ids = np.arange(children)
        (groups, hops), linked = self._groups(tuple(ends), all_ids), 0
        if self.forwarding and self.across and received:
            offsets, move = self._offsets(tuple(ends)), _shift(state.received, received)
            from_peer = np.zeros(len(offsets), dtype=bool)
            if move is not None:
                from_peer = from_neighbours(offsets, self._offsets(state.ends), self.width, move)
            fewer, shorter = self._groups(tuple(ends), all_ids[~from_peer])
            if sum(scatter for _, scatter in fewer) < sum(scatter for _, scatter in groups):
                groups, hops, linked = fewer, shorter, int(from_peer.sum()) * words
        served: Groups = Counter({key: words * key[1] for key in groups}) if words else Counter()
        walked = {key: words * hops[key] if self.across else 0.0 for key in served}
        if self.forwarding and self.across:
            after = _State(after.held, after.slide, received, tuple(ends) if received else ())
        return Tally(served, linked, children, children, _words(box), _words(spread), walked), after

    def _offsets(self, ends: Vector) -> NDArray[np.int64]:
        """`[children, ranks]` how far each child lies from the first, by linear id; `ends` outermost first."""
        if ends not in self.children:
            offsets = np.zeros((1, len(self.space.projection)), dtype=np.int64)
            for loop, n in zip(self.across, reversed(ends), strict=True):
                steps = np.arange(n)[:, None] * np.array(self._step(loop, 1), dtype=np.int64)
                offsets = (steps[:, None, :] + offsets[None, :, :]).reshape(-1, len(self.space.projection))
            self.children[ends] = offsets
        return self.children[ends]

    def _groups(self, ends: Vector, ids: NDArray[np.int64]) -> tuple[Groups, Hops]:
        """How many of some children share an offset, in how many such groups, and what one word each walks to these."""
        key = ends, ids.tobytes()
        if key not in self.shared:
            self.shared[key] = _grouped(self._offsets(ends)[ids], ids % self.width, ids // self.width, self.height)
        return self.shared[key]

    def _step(self, loop: CutLoop, iterations: int) -> Vector:
        """How far iterations of a loop move the dataspace."""
        return self.space.move(self.nest.problem.dimensions[loop.dim], loop.stride * iterations)

    def _box(self, extents: Sequence[int]) -> Box:
        """The words over the given extents, from the origin."""
        named = dict(zip(self.nest.problem.dimensions, extents, strict=True))
        return tuple((0, end) for end in self.space.box(named))


def _entered(last: tuple[bool, ...], loop: CutLoop, index: int) -> tuple[bool, ...]:
    """Which dimensions are in their last place inside an iteration of a loop."""
    ends = last[loop.dim] and index + 1 >= loop.residual
    return tuple(ends if d == loop.dim else flag for d, flag in enumerate(last))


def _schedule(n: int, to_the_end: bool, cut: bool) -> list[tuple[int, int, int]]:
    """Iterations of a loop of `n` that are run: (index, iterations it stands for, words count so often in a buffer).

    A buffer without spatial loops takes the words of an iteration between for those of the last, if that is alike.
    """
    if n == 1:
        return [(0, 1, 1)]
    if not to_the_end:
        return [(0, 1, 1), (1, n - 1, n - 1)]
    if n == 2:
        return [(0, 1, 1), (1, 1, 1)]
    if not cut:
        return [(0, 1, 1), (1, n - 2, n - 1), (n - 1, 1, 0)]
    if n == 3:
        return [(0, 1, 1), (1, 1, 1), (2, 1, 1)]
    return [(0, 1, 1), (1, n - 3, n - 2), (n - 2, 1, 0), (n - 1, 1, 1)]


def _received(box: Box, state: _State) -> tuple[Boxes, _State]:
    """Words of a tile that were not there, and the state after it."""
    if state.held is None:
        return (box,), _State(box)
    step = tuple(_rounded(sum(now) - sum(then)) for now, then in zip(box, state.held, strict=True))
    if not any(step):
        return _difference(box, state.held), _State(box, state.slide)
    if state.slide is None or step == state.slide:
        return _difference(box, state.held), _State(box, step)
    return (box,), _State(box)


def _rounded(twice: int) -> int:
    """Half of a number, halves away from zero."""
    return (twice + 1) // 2 if twice >= 0 else -((1 - twice) // 2)


def _difference(box: Box, other: Box) -> Boxes:
    """The words of a box outside another, as boxes: rank by rank, what lies before the other and what lies after."""
    if any(to <= start or end <= low for (low, to), (start, end) in zip(box, other, strict=True)):
        return (box,)
    parts, middle = [], list(box)
    for rank, (start, end) in enumerate(other):
        low, to = middle[rank]
        if low < start:
            parts.append((*middle[:rank], (low, start), *middle[rank + 1 :]))
        if end < to:
            parts.append((*middle[:rank], (end, to), *middle[rank + 1 :]))
        middle[rank] = (max(low, start), min(to, end))
    return tuple(parts)


def _shift(before: Boxes, now: Boxes) -> Vector | None:
    """The move that takes boxes to others; None where they differ in more than their place."""
    if not now or len(before) != len(now):
        return None
    old, new = sorted(before), sorted(now)
    move = tuple(b[0] - a[0] for a, b in zip(old[0], new[0], strict=True))
    return move if [_moved(box, move) for box in old] == new else None


def _moved(box: Box, step: Vector) -> Box:
    return tuple((a + x, b + x) for (a, b), x in zip(box, step, strict=True))


def _words(box: Box) -> int:
    return prod(b - a for a, b in box)


def _grouped(
    offsets: NDArray[np.int64], column: NDArray[np.int64], row: NDArray[np.int64], height: int
) -> tuple[Groups, Hops]:
    """Children that share an offset: by (children, groups of so many), 1; and the hops of a word to each group.

    A word enters at the middle of the side where X is 0, goes along X to the last column that takes it, and in every
    column up and down from the middle to the last rows that do. (Without spatial loops it takes no hops.)
    """
    if not len(offsets):
        return Counter(), {}
    _, group, sizes = np.unique(offsets, axis=0, return_inverse=True, return_counts=True)
    group = group.reshape(-1)
    middle, width = (height - 1) / 2, int(column.max()) + 1
    up, down = np.zeros((2, len(sizes) * width))
    np.maximum.at(down, group * width + column, row - middle)
    np.maximum.at(up, group * width + column, middle - row)
    along = np.zeros(len(sizes))
    np.maximum.at(along, group, column)
    hops = along + (up + down).reshape(-1, width).sum(-1)
    scatter = Counter(sizes.tolist())
    return (
        Counter(dict.fromkeys(scatter.items(), 1)),
        {(size, groups): float(hops[sizes == size].sum()) for size, groups in scatter.items()},
    )
