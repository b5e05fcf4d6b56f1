"""Words that every tile receives: stationarity, sliding windows, multicast.

For a tile of S words, take the temporal loops outside it from the inside out, with bounds n, and let k be the first
that moves the tile. Loops inside k leave it in place; every step of k brings what the last tile did not hold, and
every loop outside k starts the slide anew, fetching the whole tile under the "refetch" rule:

    F = prod_{i>k} n_i * (S + (n_k - 1) * (S - O)),    O = overlap of two tiles one step of k apart.

O is zero but for sliding windows. Whether an unrelated loop multiplies F depends on the order alone, so with the
order fixed F is a monomial (times the window's factor): one row of the matrix form.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import prod

import torch

from dlco.cost.arithmetic import Arithmetic
from dlco.cost.nest import NOWHERE, Flag, Nest, Position, Row, Slide, both, either, is_one, negate, product, where
from dlco.cost.restarts import restart_savings
from dlco.cost.shape import Coefficient, Operand
from dlco.errors import NotSupported
from dlco.mapping.kept import Kept
from dlco.mapping.rules import CountingRules

MOST_OFFSETS = 2**20  # children that are listed one by one


def fills(
    nest: Nest, kept: Kept, rules: CountingRules, arithmetic: Arithmetic
) -> tuple[tuple[tuple[Row, ...], ...], tuple[tuple[Row, ...], ...]]:
    """Words of one instance's tile over the execution: (asked of the level that fills it, served to it).

    `[levels][spaces]` both; the plain 0 where no level further out has the words, or the level does not keep them. They
    are the same but where imperfect loops give instances that share their words different things to do: then the
    first is that of the busiest of them, and the second their mean.
    """
    spaces = [_space_fills(nest.of_space(s), s, kept, rules, arithmetic) for s in range(len(nest.shape.spaces))]
    return (
        tuple(zip(*(asked for asked, _ in spaces), strict=True)),
        tuple(zip(*(served for _, served in spaces), strict=True)),
    )


def distinct_children(nest: Nest, arithmetic: Arithmetic) -> tuple[tuple[Row, ...], ...]:
    """`[levels][spaces]` number of children with different data; identical data is multicast."""
    return tuple(
        tuple(
            product(distinct_steps(nest.of_space(s), level, rank, arithmetic) for rank in space.ranks)
            for s, space in enumerate(nest.shape.spaces)
        )
        for level in range(nest.levels)
    )


def _space_fills(
    nest: Nest, index: int, kept: Kept, rules: CountingRules, arithmetic: Arithmetic
) -> tuple[list[Row], list[Row]]:
    space = nest.shape.spaces[index]
    reuse = [_reuse(nest, level, space, arithmetic) for level in range(nest.levels)]
    asked: list[Row] = [0] * nest.levels
    served: list[Row] = [0] * nest.levels
    for level, parent in pairwise(level for level in range(nest.levels) if kept[level][index]):
        fetches = _fetches(nest, level, index, reuse, arithmetic)
        served[level] = fetches.words_of(level, arithmetic)
        if rules.restart != "refetch" and space.sliding:
            served[level] = served[level] - restart_savings(nest, level, index, rules.restart)
        asked[level] = served[level]
        if not nest.even:
            asked[level] = product(
                (fetches.words_of(parent, arithmetic), nest.shared(space, level, parent, fetches.slides))
            )
    return asked, served


@dataclass(frozen=True)
class _Fetches:
    """When one tile of a dataspace is fetched, and how much of it.

    Attributes:
        nest: the loops; `level`: of the tile; `words`: its size.
        moves: their product is prod_{i>=k} n_i over the loops that move the tile.
        counted: for every dimension that does not, whether its loop at an outer level repeats the traffic.
        slide: n_k where k slides; `again`: steps of it that fetch what is new alone; `overlap`: words they leave out,
            None where no loop may slide; `slides`: the loops that may, where instances have different things to do.
    """

    nest: Nest
    level: int
    words: Row
    moves: list[Row]
    counted: dict[int, dict[int, Flag]]
    slide: Row
    again: Row
    overlap: torch.Tensor | None
    slides: list[Slide]

    def words_of(self, among: int, arithmetic: Arithmetic) -> Row:
        """Words fetched, those that tiles within an instance of level `among` share once, over its instances."""
        nest = self.nest
        repeats = product((*self.moves, *(nest.repeats(self.level, d, on, among) for d, on in self.counted.items())))
        if self.overlap is None:
            return product((repeats, self.words))
        return arithmetic.quotient(repeats, self.slide) * (self.words * self.slide - self.overlap * self.again)


def _fetches(nest: Nest, level: int, index: int, reuse: "list[_Reuse]", arithmetic: Arithmetic) -> _Fetches:
    space, words = nest.shape.spaces[index], nest.words[level][index]
    moves: list[Row] = []
    counted: dict[int, dict[int, Flag]] = {d: {} for d in nest.shape.live if d not in space.relevant}
    slide: Row = 1
    whole: Row = 1  # tiles of a slide that are fetched whole: 1, or more where instances take turns
    overlap: torch.Tensor | None = None
    slides: list[Slide] = []
    moved: Flag = False  # whether a loop further in, but outside the tile, moves it
    for outer in range(level + 1, nest.levels):
        n, here = nest.temporal[outer], reuse[outer]
        moves.append(here.relevant)
        for d, flag in here.inside.items():
            counted[d][outer] = either(moved, flag)
        for rank, d, coefficient in space.sliding:
            innermost = both(negate(moved), here.innermost.get(d, False))
            if innermost is False:
                continue
            box = nest.boxes[level][index][rank]
            shared = box - coefficient * nest.slide_step(level, outer, d)
            shared = nest.overlap(level, space.ranks[rank], d, shared)
            kept = arithmetic.quotient(words, box) * shared  # the box divides the tile's words
            slide = where(innermost, n[d], nest.one if is_one(slide) else slide)
            if not nest.even:
                whole = where(innermost, nest.begun(level, outer, d), nest.one if is_one(whole) else whole)
                slides.append(Slide(rank, d, outer, innermost))
            overlap = torch.as_tensor(where(innermost, kept, nest.zero if overlap is None else overlap))
        moved = either(moved, here.moves)
    return _Fetches(nest, level, words, moves, counted, slide, slide - whole, overlap, slides)


@dataclass(frozen=True)
class _Reuse:
    """One dataspace at the temporal loops of one level.

    Attributes:
        relevant: product of the bounds of the loops that move it.
        inside: for every other loop, whether one that moves it lies inside (then the loop repeats the traffic).
        innermost: for every loop that slides it, whether no other that moves it lies inside.
        moves: whether any loop of the level moves it.
    """

    relevant: Row
    inside: dict[int, Flag]
    innermost: dict[int, Flag]
    moves: Flag


def _reuse(nest: Nest, level: int, space: Operand, arithmetic: Arithmetic) -> _Reuse:
    n, place = nest.temporal[level], nest.position[level]
    loops = [d for d in nest.shape.live if not is_one(n[d])]
    relevant = [d for d in loops if d in space.relevant]
    exists = {d: arithmetic.exists(n[d]) for d in relevant}  # type: ignore[arg-type]
    moves: Flag
    inside: dict[int, Flag] = {}
    if all(isinstance(place[d], int) for d in loops):
        moves = False
        for d in sorted(loops, key=lambda d: place[d]):
            inside[d] = moves
            moves = either(moves, exists.get(d, False))
    else:
        first = _first_relevant(nest, level, exists)
        inside = {d: first < place[d] for d in loops}
        moves = first < NOWHERE
    sliding = [d for _, d, _ in space.sliding if d in exists]
    return _Reuse(
        relevant=product(n[d] for d in relevant),
        inside={d: inside[d] for d in loops if d not in space.relevant},
        innermost={d: both(exists[d], negate(inside[d])) for d in sliding},
        moves=moves,
    )


def _first_relevant(nest: Nest, level: int, exists: dict[int, Flag]) -> Position:
    """Position of the innermost existing loop that moves the dataspace, or `NOWHERE`."""
    first: Position = NOWHERE
    for d, flag in exists.items():
        place = nest.position[level][d]
        here = place if flag is True else torch.where(flag, place, nest.nowhere)  # type: ignore[arg-type]
        first = here if isinstance(first, int) else torch.minimum(first, here)  # type: ignore[arg-type]
    return first


def distinct_steps(nest: Nest, level: int, rank: Sequence[tuple[int, Coefficient]], arithmetic: Arithmetic) -> Row:
    """Distinct offsets along one rank over the children of a level.

    Two loops with steps a and b, on a common grid g, meet wherever they differ by (b/g, -a/g); of n x m children
    (n - b/g)+ (m - a/g)+ repeat another one's data (the diagonals of a row-stationary array).
    """
    loops = [(nest.across[level][d], product((c, nest.pitch[level][d]))) for d, c in rank]
    loops = [(n, step) for n, step in loops if not is_one(n)]
    if len(loops) < 2:
        return product(n for n, _ in loops)
    if len(loops) > 2:
        return _count_offsets(loops)
    (n, a), (m, b) = ((torch.as_tensor(n), step) for n, step in loops)
    a, b = (torch.as_tensor(step, dtype=n.dtype, device=n.device) for step in (a, b))
    grid = arithmetic.common_step(a, b)
    apart = (arithmetic.quotient(b, grid), arithmetic.quotient(a, grid))
    return n * m - torch.clamp(n - apart[0], min=0) * torch.clamp(m - apart[1], min=0)


def _count_offsets(loops: list[tuple[Row, Row]]) -> Row:
    """Distinct offsets of three loops or more in one rank, by listing them (bounds rounded up; no gradient).

    Raises `NotSupported` where there are too many of them to list.
    """
    given = torch.broadcast_tensors(*(torch.as_tensor(v).detach() for pair in loops for v in pair))
    rows = [row.ceil().long() for row in given]
    counts = []
    for values in torch.stack([row.reshape(-1) for row in rows], dim=-1).tolist():
        if prod(values[::2]) > MOST_OFFSETS:
            raise NotSupported(
                f"three loops of {values[::2]} children move one rank of a dataspace; dlco counts which of them share "
                f"their words for up to {MOST_OFFSETS} children"
            )
        offsets = {0}
        for n, step in zip(values[::2], values[1::2], strict=True):
            offsets = {o + i * step for o in offsets for i in range(n)}
        counts.append(len(offsets))
    bounds = torch.stack(given[::2])
    listed = torch.tensor(counts, dtype=bounds.dtype, device=bounds.device).reshape(bounds.shape[1:])
    return torch.where((bounds > 1).sum(0) > 1, listed, bounds.prod(0))  # one loop alone is its own number
