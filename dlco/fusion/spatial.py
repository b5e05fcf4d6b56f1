"""Spatial factors of layers that run in parts, on one fan-out and on all of a machine: those that none beats."""

from collections.abc import Collection, Sequence
from copy import copy
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from math import inf
from typing import Self

import numpy as np

from dlco.exact.lattice import Bools, Floats, Ints
from dlco.exact.tables import LayerTables
from dlco.exact.tiles import Tiles
from dlco.mapping.factors import divisors
from dlco.workload.problem import Problem

KNOWN = 32_768  # of spatial factors and tiles of other machines, which have many in common
FEW = 4  # factors of a dimension that shares a window, at most, for it to be a kind of its own


@dataclass(frozen=True, eq=False)
class Spatial:
    """Spatial factors of one fan-out, of which no other ones use more children and share all words more.

    Attributes:
        kinds: `[S, kinds]` children in use along dimensions of each kind; of kinds of a single one all that there are.
        low: `[S, T]` least share of children with different words.
        least: `[T]` the least share that windows leave alone.
    """

    kinds: Floats
    low: Floats
    least: Floats


@dataclass(frozen=True, eq=False)
class Kinds:
    """Dimensions of more than one iteration, those together that index the same dataspaces, but some each by itself.

    Attributes:
        of: `[dims]` the kind of each.
        outside: `[kinds, T]` whether it does not index a dataspace.
        single: kinds of one dimension by itself.
    """

    of: Ints
    outside: Bools
    single: tuple[int, ...]

    @classmethod
    def among(cls, tiles: Tiles, apart: Sequence[int]) -> Self:
        """The kinds of a problem's dimensions, of which some are each by itself."""
        patterns = [(*row, d if d in apart else -1) for d, row in enumerate((~tiles.relevant).T.tolist())]
        listed = sorted(set(patterns))
        of, single = [listed.index(own) for own in patterns], [k for k, own in enumerate(listed) if own[-1] >= 0]
        return cls(np.array(of), np.array([own[:-1] for own in listed], dtype=bool), tuple(single))

    def alone(self, kinds: Floats) -> Floats:
        """`[..., T]` product of the factors `[..., kinds]` that do not index a dataspace."""
        return np.where(self.outside, kinds[..., None], 1.0).prod(-2)


class Spread:
    """The spatial factors of all fan-outs of a machine together; `S` choices.

    Those of one dimension at several fan-outs make no more than its bound.

    Args:
        tables: of a layer of the same shape on the machine.
        problem: the layer.
        cut: dimensions along which its parts may have any extent.
    """

    def __init__(self, tables: LayerTables, problem: Problem, cut: frozenset[str]) -> None:
        fans = [level.fanout_x * level.fanout_y > 1 for level in tables.chain]
        self.among = few(problem, cut) if sum(fans) > 1 else None  # what fan-outs have in common
        self.tables, self.kinds = tables, Kinds.among(tables, self.among or ())
        self.most = np.ones(len(self.kinds.outside))  # along the dimensions of each kind
        np.multiply.at(self.most, self.kinds.of, [problem.sizes[name] for name in live(problem)])
        self.factors = np.ones((1, tables.levels, len(self.most)))
        self._low, self.least = np.ones((1, len(tables.terms))), np.ones(len(tables.terms))

    def across(self, level: int, own: Spatial) -> "Spread":
        """With the fan-out of one more level."""
        at, of = (some.ravel() for some in np.indices((len(self.factors), len(own.kinds))))
        single = list(self.kinds.single)
        fits = (self.most[single] % (self.factors.prod(1)[:, single][at] * own.kinds[:, single][of]) == 0).all(1)
        at, of = at[fits], of[fits]
        crosses, space_of = self.tables.crosses_at(level), self.tables.space_of
        found = self.only(at)
        found.factors[:, level] = own.kinds[of]
        found._low = found._low * np.where(crosses, own.low[of][:, space_of], 1.0)
        found.least = self.least * np.where(crosses, own.least[space_of], 1.0)
        return found

    def only(self, rows: Ints | Sequence[int] | slice) -> "Spread":
        """Some of the choices."""
        found = copy(self)
        found.factors, found._low = self.factors[rows], self._low[rows]
        return found

    def unbeaten(self) -> "Spread":
        """Without those that others are as good as everywhere, whatever fan-outs come yet."""
        size, together = len(self.factors), self.factors.prod(1)
        inside = np.cumprod(self.factors, 1)
        columns = [-inside, -(together[:, None] / inside)]
        every = np.column_stack(
            [*(own.reshape(size, -1) for own in columns), self._low, together[:, self.kinds.single]]
        )
        varied = np.unique(every[:, (every != every[:1]).any(0)], axis=1)
        return self.only(unbeaten(varied) if varied.shape[1] else [0])

    @property
    def children(self) -> Floats:
        """`[S]` MACs in use."""
        return np.minimum(self.factors.prod(1), self.most).prod(-1)

    @property
    def inside(self) -> Floats:
        """`[S, levels]` MACs in use of an instance of a level."""
        return np.minimum(np.cumprod(self.factors, 1), self.most).prod(-1)

    @property
    def instances(self) -> Floats:
        """`[S, levels]` of a level that are in use."""
        return self._outside.prod(-1)

    @property
    def alone(self) -> Floats:
        """`[S, levels, R]` how many of them see the same words of a result at most."""
        return self.kinds.alone(self._outside)[..., self.tables.results]

    @property
    def low(self) -> Floats:
        """`[S, K]` least share of children with different words, over all fan-outs that a term's words cross."""
        if self.among is None:
            return self._low
        crosses = np.stack([self.tables.crosses_at(level) for level in range(self.tables.levels)])
        least = np.empty_like(self._low)
        for crossed in {tuple(own) for own in crosses.T.tolist()}:
            kinds = np.minimum(self.factors[:, list(crossed)].prod(1), self.most)
            terms = (crosses.T == crossed).all(1)
            least[:, terms] = 1 / self.kinds.alone(kinds)[:, self.tables.space_of[terms]]
        return np.maximum(self._low, least * self.least)

    @property
    def _outside(self) -> Floats:
        """`[S, levels, kinds]` factors of all fan-outs further out than a level's own children."""
        beyond = np.concatenate([self.factors[:, 1:], np.ones_like(self.factors[:, :1])], 1)
        return np.minimum(np.flip(np.cumprod(np.flip(beyond, 1), 1), 1), self.most)


def spatial_factors(
    problem: Problem, cut: frozenset[str], size_x: int, size_y: int, among: tuple[int, ...] | None
) -> Spatial:
    """Those of parts of a layer on a fan-out, each dimension along one axis.

    Args:
        problem: the layer.
        cut: dimensions along which its parts may have any extent.
        size_x: children along X.
        size_y: children along Y.
        among: where there are other fan-outs, dimensions whose factors there depend on those here; None where not.
    """
    side, shape = max(size_x, size_y), small(problem, problem.dimensions)
    extents = [tuple(n for n in extents_of(problem, cut, name, side) if n <= side) for name in live(problem)]
    alike: dict[tuple[bool, ...], list[int]] = {}
    tiles = Tiles(shape)
    for unit in _together(tiles):
        if len(unit) == 1:
            alike.setdefault(tuple(tiles.relevant[:, unit[0]].tolist()), []).append(unit[0])
    for dims in alike.values():  # which of those that are alike has which extents is all the same
        for d, own in zip(dims, sorted(extents[d] for d in dims), strict=True):
            extents[d] = own
    return _spatial_of(shape, tuple(extents), among, size_x, size_y)


def few(problem: Problem, cut: frozenset[str]) -> tuple[int, ...]:
    """Dimensions, among those of more than one iteration, that share a window and have few factors."""
    tiles, names = Tiles(small(problem, problem.dimensions)), live(problem)
    return tuple(
        sorted(
            d
            for unit in _together(tiles)
            for d in (unit if len(unit) > 1 else ())
            if names[d] not in cut and len(divisors(problem.sizes[names[d]], inf)) <= FEW
        )
    )


@lru_cache(maxsize=KNOWN)
def _spatial_of(
    shape: Problem, extents: tuple[tuple[int, ...], ...], among: tuple[int, ...] | None, size_x: int, size_y: int
) -> Spatial:
    """The same of a layer whose dimensions of more than one iteration are laid out by any of some factors each."""
    tiles = Tiles(shape)
    spaces, kinds, units = len(tiles.spaces), Kinds.among(tiles, among or ()), _together(tiles)
    ours = len(kinds.outside)
    last = max((unit for unit in units if len(unit) == 1), key=lambda unit: len(extents[unit[0]]), default=None)
    rows = np.ones((1, 2 + ours + spaces))  # x, y, of every kind, then what windows leave of every dataspace
    for unit in units:
        if unit == last:
            continue
        own = np.array(list(product(*(extents[d] for d in unit))), dtype=float)
        own = own[own.prod(1) <= size_x * size_y]
        more = np.ones((len(own), ours + spaces))
        for at, d in enumerate(unit):
            more[:, kinds.of[d]] *= own[:, at]
        for slide in tiles.slides:
            if set(slide.dims) <= set(unit):
                n, m = (own[:, unit.index(d)] for d in slide.dims)
                more[:, ours + slide.space] *= (n + m - 1) / (n * m)
        laid = []
        for along_x in product((True, False), repeat=len(unit)):
            x, y = own[:, list(along_x)].prod(1), own[:, [not one for one in along_x]].prod(1)
            laid.append(np.column_stack([x, y, more])[(x <= size_x) & (y <= size_y)])
        choices = _unique(np.concatenate(laid))
        fits = np.outer(rows[:, 0], choices[:, 0]) <= size_x
        held, chosen = np.nonzero(fits & (np.outer(rows[:, 1], choices[:, 1]) <= size_y))
        rows = _unique(rows[held] * choices[chosen])
    if last is not None:  # of no window: the more of it the better
        steps = np.array(extents[last[0]], dtype=float)
        filled = []
        for axis, size in enumerate((size_x, size_y)):
            most = steps[np.searchsorted(steps, size // rows[:, axis], side="right") - 1]
            more = rows.copy()
            more[:, axis] *= most
            more[:, 2 + kinds.of[last[0]]] *= most
            filled.append(more)
        rows = np.concatenate(filled)
    along, windows = rows[:, 2 : 2 + ours], rows[:, 2 + ours :]
    low = windows / kinds.alone(along)
    what = [-along.prod(1)] if among is None else [-along, along[:, kinds.single]]
    keep = unbeaten(np.column_stack([*what, low]))
    return Spatial(along[keep], low[keep], windows.min(0))


def live(problem: Problem) -> list[str]:
    """The dimensions of more than one iteration."""
    return [name for name, bound in problem.sizes.items() if bound > 1]


def small(problem: Problem, cut: Collection[str]) -> Problem:
    """A layer of the same shape, of bounds that are cut two iterations."""
    sizes = {name: min(bound, 2) if name in cut else bound for name, bound in problem.sizes.items()}
    return Problem(problem.dimensions, tuple(sizes.values()), problem.dataspaces, problem.name)


def extents_of(problem: Problem, cut: Collection[str], name: str, most: float) -> Sequence[int]:
    """What a tile, or a spatial factor, may have of a dimension: any number where it is cut, else a divisor."""
    bound = problem.sizes[name]
    return range(1, int(min(bound, most)) + 1) if name in cut else divisors(bound, most)


def _together(tiles: Tiles) -> list[tuple[int, ...]]:
    """The dimensions, those that share a window together."""
    groups = [{d} for d in range(tiles.dims)]
    for slide in tiles.slides:
        some = [group for group in groups if group & set(slide.dims)]
        groups = [group for group in groups if group not in some] + [set().union(*some)]
    return [tuple(sorted(group)) for group in groups]


def _unique(rows: Floats) -> Floats:
    """Each of some rows once."""
    ids = np.zeros(len(rows), dtype=np.int64)
    for column in rows.T:  # rows that were alike so far and are so here
        values, own = np.unique(column.round(12), return_inverse=True)
        ids = ids * len(values) + own
        if ids.max(initial=0) > 2**31:
            ids = np.unique(ids, return_inverse=True)[1]
    return rows[np.unique(ids, return_index=True)[1]]


def unbeaten(rows: Floats) -> list[int]:
    """Of rows `[n, columns]` those that no other is below or equal to everywhere."""
    left, kept = np.argsort(rows.sum(1), kind="stable"), list[int]()
    while len(left):
        kept.append(int(left[0]))
        left = left[~(rows[left] >= rows[left[0]]).all(1)]
    return kept
