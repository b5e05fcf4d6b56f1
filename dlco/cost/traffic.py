"""Words that every tile receives: stationarity, sliding windows, multicast.

For a tile of S words, take the temporal loops outside it from the inside out, with bounds n, and let k be the first
that moves the tile. Loops inside k leave it in place; every step of k brings what the last tile did not hold, and
every loop outside k starts the slide anew, fetching the whole tile under the "refetch" rule:

    F = prod_{i>k} n_i * (S + (n_k - 1) * (S - O)),    O = overlap of two tiles one step of k apart.

O is zero but for sliding windows. Whether an unrelated loop multiplies F depends on the order alone, so with the
order fixed F is a monomial (times the window's factor): one row of the matrix form.
"""

import torch

from dlco.cost.arithmetic import Arithmetic
from dlco.cost.nest import Nest, Position, Row, is_one, product
from dlco.cost.restarts import restart_savings
from dlco.cost.rules import CountingRules
from dlco.cost.shape import Space

Flag = torch.Tensor | bool

_NOWHERE = 127  # a position beyond every loop


def fills(nest: Nest, rules: CountingRules, arithmetic: Arithmetic) -> tuple[tuple[Row, ...], ...]:
    """`[levels][spaces]` words that one instance's tile receives over the whole execution."""
    return tuple(zip(*(_space_fills(nest, s, rules, arithmetic) for s in range(len(nest.shape.spaces))), strict=True))


def distinct_children(nest: Nest, arithmetic: Arithmetic) -> tuple[tuple[Row, ...], ...]:
    """`[levels][spaces]` number of children with different data; identical data is multicast."""
    return tuple(
        tuple(
            product(_distinct_steps(nest, level, rank, arithmetic) for rank in space.ranks)
            for space in nest.shape.spaces
        )
        for level in range(nest.levels)
    )


def _space_fills(nest: Nest, index: int, rules: CountingRules, arithmetic: Arithmetic) -> list[Row]:
    space = nest.shape.spaces[index]
    first = [_first_relevant(nest, level, space, arithmetic) for level in range(nest.levels)]
    rows: list[Row] = []
    for level in range(nest.levels):
        words = nest.words[level][index]
        repeats: Row = 1.0  # prod_{i>=k} n_i
        slide: Row = 1.0  # n_k where k slides
        overlap: Row = 0.0
        moved: Flag = False  # whether a loop further in, but outside the tile, moves it
        for outer in range(level + 1, nest.levels):
            n = nest.temporal[outer]
            for d in nest.shape.live:
                if is_one(n[d]):
                    continue
                if d in space.relevant:
                    repeats = product((repeats, n[d]))
                else:
                    counts = _either(moved, _before(first[outer], nest.position[outer][d]))
                    repeats = product((repeats, _where(counts, n[d], 1.0)))
            for rank, d, coefficient in space.sliding:
                if is_one(n[d]):
                    continue
                innermost = _both(_negate(moved), _at(first[outer], nest.position[outer][d], n[d], arithmetic))
                if innermost is False:
                    continue
                box = nest.boxes[level][index][rank]
                kept = torch.clamp(torch.as_tensor(box - coefficient * nest.spread[outer][d]), min=0)
                slide = _where(innermost, n[d], slide)
                overlap = _where(innermost, words / box * kept, overlap)
            moved = _either(moved, _found(first[outer]))
        row = product((repeats, words))
        if isinstance(overlap, torch.Tensor):
            row = repeats / slide * (words * slide - overlap * (slide - 1))
        if rules.restart != "refetch" and space.sliding and level + 1 < nest.levels:
            row = row - restart_savings(nest, level, index, rules.restart)
        rows.append(row)
    return rows


def _first_relevant(nest: Nest, level: int, space: Space, arithmetic: Arithmetic) -> Position:
    """Position of the innermost existing loop of a level that moves the dataspace, or `_NOWHERE`."""
    first: Position = _NOWHERE
    for d in space.relevant:
        if is_one(nest.temporal[level][d]):
            continue
        exists = arithmetic.exists(nest.temporal[level][d])  # type: ignore[arg-type]
        here = _where(exists, nest.position[level][d], _NOWHERE)
        if isinstance(first, int) and isinstance(here, int):
            first = min(first, here)
        elif isinstance(first, int):
            first = here.clamp(max=first)  # type: ignore[union-attr]
        else:
            first = torch.minimum(first, torch.as_tensor(here, device=first.device))
    return first


def _distinct_steps(nest: Nest, level: int, rank: tuple, arithmetic: Arithmetic) -> Row:
    """Distinct offsets along one rank over the children of a level.

    Two loops with steps a and b, on a common grid g, meet wherever they differ by (b/g, -a/g); of n x m children
    (n - b/g)+ (m - a/g)+ repeat another one's data (the diagonals of a row-stationary array).
    """
    x, y = nest.spatial[level]
    below = nest.tile[level - 1] if level else (1.0,) * nest.shape.dims
    loops = [(product((x[d], y[d])), product((c, below[d]))) for d, c in rank]
    loops = [(n, step) for n, step in loops if not is_one(n)]
    if len(loops) < 2:
        return product(n for n, _ in loops)
    if len(loops) > 2:
        return _count_offsets(loops)
    (n, a), (m, b) = ((n, torch.as_tensor(step, dtype=n.dtype, device=n.device)) for n, step in loops)  # type: ignore[union-attr]
    grid = arithmetic.common_step(a, b)
    return n * m - torch.clamp(n - b / grid, min=0) * torch.clamp(m - a / grid, min=0)


def _count_offsets(loops: list[tuple[Row, Row]]) -> Row:
    """Distinct offsets of three loops or more in one rank, by listing them (integers only; no gradient)."""
    rows = torch.broadcast_tensors(*(torch.as_tensor(v).detach().round().long() for pair in loops for v in pair))
    counts = []
    for values in torch.stack([row.reshape(-1) for row in rows], dim=-1).tolist():
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
    return torch.where(flag, yes, no)  # type: ignore[arg-type]


def _before(first: Position, position: Position) -> Flag:
    return first < position


def _found(first: Position) -> Flag:
    return first < _NOWHERE


def _at(first: Position, position: Position, bound: Row, arithmetic: Arithmetic) -> Flag:
    return _both(first == position, arithmetic.exists(bound))  # type: ignore[arg-type]


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
