"""Words that every tile receives: stationarity, sliding windows, multicast.

For a tile of S words, take the temporal loops outside it from the inside out, with bounds n, and let k be the first
that moves the tile. Loops inside k leave it in place; every step of k brings what the last tile did not hold, and
every loop outside k starts the slide anew, fetching the whole tile under the "refetch" rule:

    F = prod_{i>k} n_i * (S + (n_k - 1) * (S - O)),    O = overlap of two tiles one step of k apart.

O is zero but for sliding windows. Whether an unrelated loop multiplies F depends on the order alone, so with the
order fixed F is a monomial (times the window's factor): one row of the matrix form.
"""

from dataclasses import dataclass
from math import prod

import torch

from dlco.cost.arithmetic import Arithmetic
from dlco.cost.nest import NOWHERE, Nest, Position, Row, is_one, product
from dlco.cost.restarts import restart_savings
from dlco.cost.shape import Operand
from dlco.errors import NotSupported
from dlco.mapping.rules import CountingRules

Flag = torch.Tensor | bool

MOST_OFFSETS = 2**20  # children that are listed one by one


def fills(
    nest: Nest, rules: CountingRules, arithmetic: Arithmetic
) -> tuple[tuple[tuple[Row, ...], ...], tuple[tuple[Row, ...], ...]]:
    """(words served to one instance's tile over the execution, instances filled over instances used on average).

    `[levels][spaces]` both. The second is 1 but where an imperfect loop leaves the tile in place while some of the
    instances lie idle in its last iteration: they were filled all the same, by the same words.
    """
    spaces = [_space_fills(nest.of_space(s), s, rules, arithmetic) for s in range(len(nest.shape.spaces))]
    return (
        tuple(zip(*(rows for rows, _ in spaces), strict=True)),
        tuple(zip(*(surplus for _, surplus in spaces), strict=True)),
    )


def distinct_children(nest: Nest, arithmetic: Arithmetic) -> tuple[tuple[Row, ...], ...]:
    """`[levels][spaces]` number of children with different data; identical data is multicast."""
    return tuple(
        tuple(
            product(_distinct_steps(nest.of_space(s), level, rank, arithmetic) for rank in space.ranks)
            for s, space in enumerate(nest.shape.spaces)
        )
        for level in range(nest.levels)
    )


def _space_fills(nest: Nest, index: int, rules: CountingRules, arithmetic: Arithmetic) -> tuple[list[Row], list[Row]]:
    space = nest.shape.spaces[index]
    others = [d for d in nest.shape.live if d not in space.relevant]
    reuse = [_reuse(nest, level, space, arithmetic) for level in range(nest.levels)]
    rows: list[Row] = []
    surplus: list[Row] = []
    for level in range(nest.levels):
        words = nest.words[level][index]
        idle = _Idle(nest, level, others, arithmetic)
        repeats: list[Row] = []  # their product is prod_{i>=k} n_i
        slide: Row = 1  # n_k where k slides
        whole: Row = 1  # tiles of a slide that are fetched whole: 1, or more where instances take turns
        overlap: Row = 0
        moved: Flag = False  # whether a loop further in, but outside the tile, moves it
        for outer in range(level + 1, nest.levels):
            n, here = nest.temporal[outer], reuse[outer]
            repeats.append(here.relevant)
            repeats += [_where(_either(moved, flag), n[d], nest.one) for d, flag in here.inside.items()]
            repeats += idle.passing(outer, {d: _either(moved, flag) for d, flag in here.inside.items()})
            for rank, d, coefficient in space.sliding:
                innermost = _both(_negate(moved), here.innermost.get(d, False))
                if innermost is False:
                    continue
                box = nest.boxes[level][index][rank]
                kept = torch.as_tensor(box - coefficient * nest.slide_step(level, outer, d))
                kept = arithmetic.quotient(words, box) * kept.clamp(min=0)  # the box divides the tile's words
                slide = _where(innermost, n[d], nest.one if is_one(slide) else slide)
                if nest.idle is not None:
                    filled = product(nest.idle[lv][d] for lv in range(level + 1, outer + 1))
                    whole = _where(innermost, filled, nest.one if is_one(whole) else whole)
                overlap = _where(innermost, kept, overlap if isinstance(overlap, torch.Tensor) else nest.zero)
            moved = _either(moved, here.moves)
        row = product((*repeats, words))
        if isinstance(overlap, torch.Tensor):
            again = slide - whole
            again = again if nest.idle is None else torch.as_tensor(again).clamp(min=0)
            row = arithmetic.quotient(product(repeats), slide) * (words * slide - overlap * again)
        if rules.restart != "refetch" and space.sliding and level + 1 < nest.levels:
            row = row - restart_savings(nest, level, index, rules.restart)
        rows.append(row)
        surplus.append(idle.surplus())
    return rows, surplus


class _Idle:
    """Instances that lie idle in the last iteration of a loop that leaves their tile in place, but were filled.

    Per instance in use on average, such a loop over children further in serves more fills, by f / n at every level of
    children that it passes: f are filled, n are in use on average. Children of the tile's own parent share one read;
    only their fills count each (`surplus`).
    """

    def __init__(self, nest: Nest, level: int, others: list[int], arithmetic: Arithmetic) -> None:
        self.nest, self.arithmetic = nest, arithmetic
        self.parent = level + 1
        self.idle = nest.idle or ()
        self.others = [d for d in others if any(not is_one(row[d]) for row in self.idle[level + 1 :])]
        self.pending: dict[int, Row] = dict.fromkeys(self.others, 1.0)
        self.stayed: dict[int, Flag] = dict.fromkeys(self.others, False)

    def passing(self, outer: int, counted: dict[int, Flag]) -> list[Row]:
        """What the loops of level `outer`, those `counted` repeating the traffic, multiply it by."""
        found: list[Row] = []
        for d in self.others:
            if outer > self.parent:
                self.pending[d] = product((self.pending[d], self.idle[outer][d]))
            if d not in counted:
                continue
            stays = _both(self.arithmetic.exists(self.nest.temporal[outer][d]), _negate(counted[d]))  # type: ignore[arg-type]
            found.append(_where(stays, self.pending[d], self.nest.one))
            self.pending[d] = _where(stays, self.nest.one, self.pending[d])
            self.stayed[d] = _either(self.stayed[d], stays)
        return found

    def surplus(self) -> Row:
        """Instances filled over instances in use, among the children of one parent."""
        return product(_where(self.stayed[d], self.idle[self.parent][d], self.nest.one) for d in self.others)


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
            moves = _either(moves, exists.get(d, False))
    else:
        first = _first_relevant(nest, level, exists)
        inside = {d: first < place[d] for d in loops}
        moves = first < NOWHERE
    sliding = [d for _, d, _ in space.sliding if d in exists]
    return _Reuse(
        relevant=product(n[d] for d in relevant),
        inside={d: inside[d] for d in loops if d not in space.relevant},
        innermost={d: _both(exists[d], _negate(inside[d])) for d in sliding},
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


def _distinct_steps(nest: Nest, level: int, rank: tuple, arithmetic: Arithmetic) -> Row:
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
    (n, a), (m, b) = ((n, torch.as_tensor(step, dtype=n.dtype, device=n.device)) for n, step in loops)
    grid = arithmetic.common_step(a, b)
    apart = (arithmetic.quotient(b, grid), arithmetic.quotient(a, grid))
    return n * m - torch.clamp(n - apart[0], min=0) * torch.clamp(m - apart[1], min=0)


def _count_offsets(loops: list[tuple[Row, Row]]) -> Row:
    """Distinct offsets of three loops or more in one rank, by listing them (bounds rounded up; no gradient).

    Raises `NotSupported` where there are too many of them to list.
    """
    rows = torch.broadcast_tensors(*(torch.as_tensor(v).detach().ceil().long() for pair in loops for v in pair))
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
    like = next(n for n, _ in loops if isinstance(n, torch.Tensor))
    return torch.tensor(counts, dtype=like.dtype, device=like.device).reshape(rows[0].shape)


# Flags and positions are plain values while the order is one for the whole batch, so that a fixed order costs nothing.


def _where(flag: Flag, yes: Row, no: Row) -> Row:
    if isinstance(flag, bool):
        return yes if flag else no
    return torch.where(flag, yes, no)


def _either(a: Flag, b: Flag) -> Flag:
    if isinstance(a, bool):
        return True if a else b
    if isinstance(b, bool):
        return True if b else a
    return a | b


def _both(a: Flag, b: Flag) -> Flag:
    if isinstance(a, bool):
        return b if a else False
    if isinstance(b, bool):
        return a if b else False
    return a & b


def _negate(a: Flag) -> Flag:
    return not a if isinstance(a, bool) else ~a
