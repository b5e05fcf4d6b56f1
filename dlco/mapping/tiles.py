"""Tiles: what all loops at and under a level reach over, and how far the last one of a dimension goes."""

from collections.abc import Sequence
from math import prod

from dlco.mapping.mapping import OUTWARDS, TEMPORAL, Mapping
from dlco.workload.problem import Problem


def tile_extents(mapping: Mapping, ranks: Sequence[int] = ()) -> tuple[tuple[int, ...], ...]:
    """`[levels][dims]` extents of each level's tile: the product of its own loops, spatial ones too, and all inside.

    `ranks`: of a machine with memories in parts, `Architecture.ranks`. Then the spatial loops of a level lie inside the
    tiles of its own memory and of those further out, wherever their levels stand.
    """
    ranks = ranks or tuple(range(len(mapping.levels)))
    found = []
    for level, own in enumerate(ranks):
        loops = [
            slots[slot]
            for i, slots in enumerate(mapping.factors)
            for slot in OUTWARDS
            if (i <= level if slot == TEMPORAL else ranks[i] <= own)
        ]
        found.append(tuple(prod(factors) for factors in zip(*loops, strict=True)))
    return tuple(found)


def tile_words(problem: Problem, mapping: Mapping, ranks: Sequence[int] = ()) -> dict[str, dict[str, int]]:
    """Words of every dataspace's tile at every level, as `words[level][dataspace]`, levels innermost first.

    A level's tile is what all loops at and under it touch (its own spatial and temporal ones included), as a
    bounding box: gaps that strides leave are counted. It ends where the problem does. Bypassed tiles are listed too.
    `ranks` as in `tile_extents`.
    """
    words = {}
    for level, extents in zip(mapping.levels, tile_extents(mapping, ranks), strict=True):
        inside = dict(zip(problem.dimensions, map(min, extents, problem.bounds), strict=True))
        words[level] = {space.name: prod(space.box(inside)) for space in problem.dataspaces}
    return words


def residuals(bound: int, ends: Sequence[int]) -> list[int]:
    """Iterations of the last run of every loop over one dimension, innermost first.

    The indices of the loops at the last place, `bound` - 1, are its digits in the mixed radix of their ends. Where
    the outermost residual is larger than its end, the loops do not cover the bound.
    """
    digits, place = [], bound - 1
    for end in ends[:-1]:
        digits.append(place % end + 1)
        place //= end
    return [*digits, place + 1]


def last_factors(mapping: Mapping, problem: Problem | None) -> list[list[list[int]]]:
    """`[levels][3][dims]` iterations of each loop's last run; those of all runs where no problem says otherwise."""
    table = [[list(row) for row in level] for level in mapping.factors]
    for d, (dim, bound) in enumerate(problem.sizes.items() if problem else ()):
        if mapping.reach[d] > bound:
            loops = mapping.loops(dim)
            for (i, slot, _), residual in zip(loops, residuals(bound, [n for _, _, n in loops]), strict=True):
                table[i][slot][d] = residual
    return table
