"""Neighbour forwarding: Timeloop's link transfers between the children of a level.

A child whose new words equal those that a mesh neighbour received one step earlier takes them from the neighbour.
The transitions of a loop nest fall into one class a loop, so counting is linear in the loops: for every class the
words received now are compared with those the neighbours received before, moved by the step between. Taken only
where it lowers the parent's accesses of that class. An integer effect: one mapping at a time, no gradient.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
import torch
from numpy.typing import NDArray

from dlco.errors import NotSupported
from dlco.mapping.mapping import SPATIAL_X, SPATIAL_Y, Mapping, MappingBatch
from dlco.mapping.tiles import tile_extents
from dlco.workload.problem import Dataspace, Problem

MOST_CHILDREN = 2**20  # each is listed with its offsets


@dataclass(frozen=True)
class Supply:
    """How a level serves its children over the whole execution, per instance of the level; all `[...]`.

    Attributes:
        accesses: words it reads out for them (identical words once).
        delivered: words they receive from it, all children together.
        share: the same for one child on average, in Timeloop's floating point: it adds up one term for every number
            of children served at once, and where the sum falls short of a whole number by a rounding error, its
            fills of what is only read are one less.
        linked: words they take from neighbours instead.
    """

    accesses: torch.Tensor
    delivered: torch.Tensor
    share: torch.Tensor
    linked: torch.Tensor


def supply(problem: Problem, batch: MappingBatch, fanout_x: Sequence[int]) -> list[list[Supply]]:
    """`[levels][spaces]` supplies of mappings with forwarding.

    Args:
        problem: the work.
        batch: mappings whose integer factors multiply to the bounds, of any leading shape.
        fanout_x: physical children along X of each level; the mesh is folded at that width.

    Raises:
        NotSupported: a level with more children than can be listed.
    """
    shape = batch.batch_shape
    mappings = [batch.mapping(*index) for index in np.ndindex(*shape)]
    for mapping in mappings:
        check_children(mapping)

    def one(level: int, space: Dataspace) -> Supply:
        counts = [_supply(_Children(problem, m, level, space), fanout_x[level]) for m in mappings]
        return Supply(
            *(torch.tensor(column, dtype=torch.float64).reshape(shape) for column in zip(*counts, strict=True))
        )

    return [[one(level, space) for space in problem.dataspaces] for level in range(len(batch.levels))]


def check_children(mapping: Mapping) -> None:
    """Raise `NotSupported` where a level has more children than can be listed."""
    for level, (_, x, y) in zip(mapping.levels, mapping.factors, strict=True):
        if prod((*x, *y)) > MOST_CHILDREN:
            raise NotSupported(
                f"{level} serves {prod((*x, *y))} children; Timeloop's rules count them one by one, up to "
                f"{MOST_CHILDREN} (the default rules have no limit)"
            )


@dataclass(frozen=True)
class _Children:
    """One dataspace at the children of one level: their tile, their offsets, and the loops that move them."""

    problem: Problem
    mapping: Mapping
    level: int
    space: Dataspace

    def extents(self, through: int) -> dict[str, int]:
        """Extent of each dimension in the tile of a level; a point below level 0."""
        row = tile_extents(self.mapping)[through] if through >= 0 else (1,) * len(self.problem.dimensions)
        return dict(zip(self.problem.dimensions, row, strict=True))

    def tile(self) -> tuple[int, ...]:
        """Rank extents of a child's tile."""
        return self.space.box(self.extents(self.level - 1))

    def offsets(self) -> tuple[np.ndarray, int]:
        """(`[children, ranks]` offsets by linear id, children along X)."""
        below = self.extents(self.level - 1)
        offsets = np.zeros((1, len(self.space.projection)), dtype=np.int64)
        width = 1
        for slot in (SPATIAL_X, SPATIAL_Y):
            row = dict(zip(below, self.mapping.factors[self.level][slot], strict=True))
            for dim in self.mapping.spatial_order[self.level]:
                steps = np.arange(row[dim])[:, None] * np.array(self.space.move(dim, below[dim]), dtype=np.int64)
                offsets = (steps[:, None, :] + offsets[None, :, :]).reshape(-1, offsets.shape[1])
                below[dim] *= row[dim]
            if slot == SPATIAL_X:
                width = len(offsets)
        return offsets, width

    def loops(self) -> list[tuple[int, tuple[int, ...]]]:
        """(bound, displacement) of the temporal loops outside the children, innermost first."""
        found = []
        for lv in range(self.level, len(self.mapping.levels)):
            through = self.extents(lv)
            bounds = dict(zip(through, self.mapping.temporal[lv], strict=True))
            for dim in self.mapping.order[lv]:
                if (n := bounds[dim]) > 1:
                    found.append((n, self.space.move(dim, through[dim] // n)))
        return found


def _supply(children: _Children, fanout_x: int) -> tuple[int, int, float, int]:
    tile = children.tile()
    offsets, width = children.offsets()
    stats: Counter[tuple[int, int]] = Counter()  # accesses by (children served at once, such groups)
    linked = 0
    for times, region, move, before in _events(children, tile):
        words = prod(region)
        served = offsets
        if before == region and move is not None and len(offsets) > 1:
            from_peer = from_neighbours(offsets, offsets, max(fanout_x, width), move)
            if len(_group_sizes(offsets[~from_peer])) < len(_group_sizes(offsets)):
                served = offsets[~from_peer]
        for size, groups in Counter(_group_sizes(served)).items():
            stats[size, groups] += times * words * groups
        linked += times * words * (len(offsets) - len(served))
    accesses = sum(stats.values())
    delivered = sum(size * count for (size, _), count in stats.items())
    share = sum(float(count * size) / len(offsets) for (size, _), count in sorted(stats.items()))
    return accesses, delivered, share, linked


def _events(
    children: _Children, tile: tuple[int, ...]
) -> list[tuple[int, tuple[int, ...], tuple[int, ...] | None, tuple[int, ...] | None]]:
    """(how often, extents of the words received, move since the last step, extents of those received then)."""
    loops = children.loops()
    point = children.level == 0
    stay = (0,) * len(tile)
    travelled = np.zeros(len(tile), dtype=np.int64)
    slide: tuple[int, ...] | None = None
    classes: list[tuple[int, tuple[int, ...], tuple[int, ...]]] = []  # (transitions, move, extents received)
    for i, (n, step) in enumerate(loops):
        move = tuple(int(m) for m in np.array(step) - travelled)
        travelled += step
        if slide is None and any(step):
            slide = step
        if point:
            received = tile
        elif move == stay:
            received = stay
        elif move == slide:
            received = _slab(tile, step if slide is step else slide)
        else:
            received = tile
        classes.append(((n - 1) * prod(m for m, _ in loops[i + 1 :]), move, received))
    events: list = [(1, tile, None, None)]
    if not classes:
        return events
    _, first_move, first_region = classes[0]
    once = loops[0][0] - 1
    events.append((once, first_region, first_move, tile))
    for times, move, region in classes[1:]:
        events.append((times, region, move, first_region))
        events.append((once * times, first_region, first_move, region))
    return [event for event in events if prod(event[1])]


def _slab(tile: tuple[int, ...], step: tuple[int, ...]) -> tuple[int, ...]:
    """Extents of what a tile does not share with itself one step earlier (a loop moves along one rank)."""
    return tuple(min(b, abs(s)) if s else b for b, s in zip(tile, step, strict=True))


def from_neighbours(
    offsets: NDArray[np.int64], before: NDArray[np.int64], width: int, move: tuple[int, ...]
) -> NDArray[np.bool_]:
    """`[children]` whether a mesh neighbour received, one step earlier, what the child needs now.

    Args:
        offsets: `[children, ranks]` where the children's words lie, by linear id.
        before: the same of those who were served one step earlier.
        width: of the mesh, filled row by row.
        move: what the step adds to every offset.
    """
    ids = np.arange(len(offsets))
    column, row = ids % width, ids // width
    found = np.zeros(len(offsets), dtype=bool)
    for dx, dy in ((0, -1), (0, 1), (-1, 0), (1, 0)):
        x, y = column + dx, row + dy
        there = y * width + x
        exists = (x >= 0) & (x < width) & (y >= 0) & (there < len(before))
        found |= exists & (before[np.where(exists, there, 0)] - np.array(move, dtype=np.int64) == offsets).all(-1)
    return found


def _group_sizes(offsets: np.ndarray) -> list[int]:
    """How many children share each of the distinct offsets."""
    return np.unique(offsets, axis=0, return_counts=True)[1].tolist() if len(offsets) else []
