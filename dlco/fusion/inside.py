"""What the inside of an array costs at least, whichever parts of a layer run on it: per multiply-accumulate.

A layer that runs in parts, each with a mapping of its own, sees inside the memory above the array only tiles and
spatial factors: extents that divide its bounds, or any number where it is cut into parts of any extent. Every part's
energy and cycles a MAC are then no less than those of some such tile under some such spatial factors, counted as
`dlco.exact.tables` counts; those of all parts together no less than some point of the convex hull.

What makes it a bound: of tiles that are fetched again and again, the loops that come next leave in place what the
innermost of them does not index, at best over the whole bound, or slide its window; levels further in choose their
tiles each by itself; words that children share are shared as far as they can be. Long extents are taken in ranges, the
words of the least and the fetches of the greatest.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from itertools import product
from math import ceil, inf, prod

import numpy as np

from dlco.bound.compulsory import used_words
from dlco.exact.lattice import Bools, Floats
from dlco.exact.sums import Hull
from dlco.exact.tables import LayerTables
from dlco.exact.terms import Port
from dlco.exact.tiles import Tiles
from dlco.hardware.architecture import Architecture
from dlco.hardware.network import MACS
from dlco.mapping.constraints import stated
from dlco.mapping.factors import divisors
from dlco.workload.problem import Problem

FINE, RATIO = 16, 1.2  # extents of tiles up to the first each by itself, then in ranges of about this ratio
KNOWN = 32_768  # of spatial factors and tiles of other machines, which have many in common
OPTIONS = 4096  # of the tiles of all levels together; beyond, each level's fetches are taken at their least apart


@dataclass(frozen=True)
class Inside:
    """A layer in parts on a machine.

    Attributes:
        problem: the layer's.
        machine: with one fan-out at most, that of the level next to the outermost.
        cut: dimensions along which parts may have any extent up to the bound.
        again: (dataspace, how often each of its words comes in at least).
    """

    problem: Problem
    machine: Architecture
    cut: frozenset[str] = frozenset()
    again: tuple[tuple[str, float], ...] = ()

    @property
    def is_covered(self) -> bool:
        """Whether the machine is one array under a memory."""
        return bool(_live(self.problem)) and all(
            level.fanout_x * level.fanout_y == 1
            for at, level in enumerate(self.machine.levels)
            if at != len(self.machine.levels) - 2
        )

    @cached_property
    def tables(self) -> LayerTables:
        """What words cost; of a layer of the same shape, since bounds that are cut do not change it."""
        fixed, names = stated(self.machine), [space.name for space in self.problem.dataspaces]
        out = tuple(fixed.bypassed_of(level.name, names) for level in self.machine.levels)
        return LayerTables(_small(self.problem, self.cut), self.machine, chosen=out)

    @property
    def least(self) -> "Least":
        """What each multiply-accumulate costs at least, and each word that comes in."""
        tables = self.tables
        filled = {space.name: float(tables.shared_pj[t]) for t, space in enumerate(tables.spaces) if tables.filled[t]}
        return Least(self.each, filled, tuple(port.writes / port.width for port in self._ports))

    @cached_property
    def each(self) -> Floats:
        """`[2 + ports, n]` pJ and cycles a MAC, but for words that come into the memory above the array.

        Then the cycles a MAC that each of its ports needs for all other words. Of all those that none beats.
        """
        tables = self.tables
        spatial = spatial_factors(self.problem, self.cut, *self._fan)
        fills, saved = self._options
        s, n = len(spatial.children), len(fills)
        space, crosses = tables.space_of, tables.crosses_at(tables.shared)
        low = np.where(crosses, spatial.low[:, space], 1.0)[:, None]
        least = np.where(crosses, spatial.least[space], 1.0)
        share = np.where(saved, least, low).reshape(s * n, -1)  # runs that go on save what the children share
        inside = np.arange(tables.levels) < tables.shared
        instances = np.where(inside, spatial.children[:, None], 1.0).repeat(n, 0)
        alone = np.where(inside[:, None], spatial.alone[:, None, tables.results], 1.0).repeat(n, 0)
        rows = np.tile(fills, (s, 1))
        served = np.maximum(rows * share, self._once)
        taken, saving = rows * tables.fill_pj, alone * tables.saved_pj
        for j, term in enumerate(tables.terms):
            if term.level != MACS and tables.written[term.space]:  # an instance is filled with all that it sees
                r = tables.results.tolist().index(term.space)
                first = tables.first_visits[term.level, r]
                cost = min(tables.fill_pj[j], tables.saved_pj[term.level, r] / first)
                taken[:, j] += np.maximum(alone[:, term.level, r] * first - rows[:, j], 0.0) * cost
        needs = tables.port_needs(rows, np.zeros_like(rows), served / rows, instances, alone)
        needs = needs.T / tables.macs
        at = [level for level, ports in tables.ports.items() for _ in ports]
        shared = [need for level, need in zip(at, needs, strict=True) if level == tables.shared]
        cycles = np.maximum.reduce([(1 / spatial.children).repeat(n), *needs])
        leak = tables.figure("leak_pj")
        energy = (taken + served * tables.serve_pj).sum(1) + tables.architecture.mac_pj - saving.sum((1, 2))
        energy += leak[inside].sum() + leak[~inside].sum() * cycles
        rows = np.stack([energy, cycles, *shared], 1)
        return rows[_unbeaten(rows)].T

    @cached_property
    def _ports(self) -> tuple[Port, ...]:
        """Of the memory above the array."""
        return self.tables.ports.get(self.tables.shared, ())

    @property
    def _fan(self) -> tuple[int, int]:
        level = self.tables.chain[self.tables.shared]
        return level.fanout_x, level.fanout_y

    @cached_property
    def _options(self) -> tuple[Floats, Bools]:
        """(fills a MAC, whether a run saves them), `[n, K]` each, of the tiles of all levels further in."""
        tables, columns = self.tables, []
        levels = sorted({level for level in tables.level_of.tolist() if level != MACS})
        for level in levels:
            kept = tuple(np.flatnonzero(tables.kept[level]).tolist())
            filled = tuple(tables.space_of[tables.level_of == level].tolist())
            room = tables.chain[level].usable_capacity
            columns.append(tile_fills(self.problem, self.cut, kept, filled, room))
        if prod(len(fills) for fills, _ in columns) > OPTIONS:
            columns = [(f.min(0, keepdims=True), np.zeros_like(s[:1])) for f, s in columns]
        grid = [at.ravel() for at in np.meshgrid(*(np.arange(len(f)) for f, _ in columns), indexing="ij")]
        size = len(grid[0]) if grid else 1
        fills, saved = np.ones((size, len(tables.terms))), np.zeros((size, len(tables.terms)), dtype=bool)
        for level, at, (own, runs) in zip(levels, grid, columns, strict=True):
            fills[:, tables.level_of == level], saved[:, tables.level_of == level] = own[at], runs[at]
        return np.maximum(fills, self._once), saved

    @cached_property
    def _once(self) -> Floats:
        """`[K]` words a MAC that there are at least, as often as they come in."""
        times, problem = dict(self.again), self.problem
        words = [times.get(s.name, 1) * used_words(problem, problem.dataspace(s.name)) for s in self.tables.spaces]
        return np.array(words)[self.tables.space_of] / problem.macs


@dataclass(frozen=True, eq=False)
class Least:
    """What a layer in parts costs at least.

    Attributes:
        each: as of `Inside`, a MAC.
        filled: pJ a word that comes into the memory above the array, by dataspace.
        ports: cycles that each port of that memory needs for one.
    """

    each: Floats
    filled: Mapping[str, float]
    ports: tuple[float, ...]

    def hull(self, macs: float, words: Mapping[str, float]) -> Hull:
        """PJ and cycles of parts with so many MACs that bring in so many words of every dataspace, all together."""
        energy, cycles, *ports = self.each
        came = sum(words[name] for name in self.filled)
        for need, own in zip(ports, self.ports, strict=True):
            cycles = np.maximum(cycles, need + own * came / macs)
        return Hull.of(energy * macs + sum(pj * words[name] for name, pj in self.filled.items()), cycles * macs)


def inside_of(
    problem: Problem, machine: Architecture, cut: frozenset[str], again: tuple[tuple[str, float], ...]
) -> Least | None:
    """What a layer in parts costs at least, arguments as of `Inside`; None where that does not cover the machine.

    How large the memory above the array is makes no difference: machines that are alike but for that share it.
    """
    levels = list(machine.levels)
    if len(levels) > 1:
        levels[-2] = replace(levels[-2], capacity=inf, multiple_buffering=1.0, area_um2=0.0)
    return _inside_of(problem, replace(machine, levels=tuple(levels), name="array"), cut, again)


@lru_cache(maxsize=KNOWN)
def _inside_of(
    problem: Problem, machine: Architecture, cut: frozenset[str], again: tuple[tuple[str, float], ...]
) -> Least | None:
    inside = Inside(problem, machine, cut, again)
    return inside.least if inside.is_covered else None


@dataclass(frozen=True, eq=False)
class Spatial:
    """Spatial factors of which no other ones use more children and share all words more.

    Attributes:
        children: `[S]` in use.
        alone: `[S, T]` product of the factors that do not index a dataspace.
        low: `[S, T]` least share of children with different words.
        least: `[T]` the least share that windows leave alone.
    """

    children: Floats
    alone: Floats
    low: Floats
    least: Floats


def spatial_factors(problem: Problem, cut: frozenset[str], size_x: int, size_y: int) -> Spatial:
    """Those of parts of a layer on an array, each dimension along one axis."""
    side, shape = max(size_x, size_y), _small(problem, problem.dimensions)
    extents = [tuple(n for n in _extents(problem, cut, name, side) if n <= side) for name in _live(problem)]
    alike: dict[tuple[bool, ...], list[int]] = {}
    tiles = Tiles(shape)
    for unit in _together(tiles):
        if len(unit) == 1:
            alike.setdefault(tuple(tiles.relevant[:, unit[0]].tolist()), []).append(unit[0])
    for dims in alike.values():  # which of those that are alike has which extents is all the same
        for d, own in zip(dims, sorted(extents[d] for d in dims), strict=True):
            extents[d] = own
    return _spatial_of(shape, tuple(extents), size_x, size_y)


@lru_cache(maxsize=KNOWN)
def _spatial_of(shape: Problem, extents: tuple[tuple[int, ...], ...], size_x: int, size_y: int) -> Spatial:
    """The same of a layer whose dimensions of more than one iteration are laid out by any of some factors each."""
    tiles = Tiles(shape)
    spaces, units = len(tiles.spaces), _together(tiles)
    last = max((unit for unit in units if len(unit) == 1), key=lambda unit: len(extents[unit[0]]), default=None)
    rows = np.ones((1, 2 + 2 * spaces))  # x, y, then of every dataspace: what does not index it, what windows leave
    for unit in units:
        if unit == last:
            continue
        own = np.array(list(product(*(extents[d] for d in unit))), dtype=float)
        own = own[own.prod(1) <= size_x * size_y]
        more = np.ones((len(own), 2 * spaces))
        for t in range(spaces):
            more[:, t] = np.where(tiles.relevant[t, list(unit)], 1.0, own).prod(1)
        for slide in tiles.slides:
            if set(slide.dims) <= set(unit):
                n, m = (own[:, unit.index(d)] for d in slide.dims)
                more[:, spaces + slide.space] *= (n + m - 1) / (n * m)
        laid = []
        for along_x in product((True, False), repeat=len(unit)):
            x, y = own[:, list(along_x)].prod(1), own[:, [not one for one in along_x]].prod(1)
            laid.append(np.column_stack([x, y, more])[(x <= size_x) & (y <= size_y)])
        choices = _unique(np.concatenate(laid))
        fits = np.outer(rows[:, 0], choices[:, 0]) <= size_x
        held, chosen = np.nonzero(fits & (np.outer(rows[:, 1], choices[:, 1]) <= size_y))
        rows = _unique(rows[held] * choices[chosen])
    if last is not None:  # of no window: the more of it the better
        steps, out = np.array(extents[last[0]], dtype=float), ~tiles.relevant[:, last[0]]
        filled = []
        for axis, size in enumerate((size_x, size_y)):
            most = steps[np.searchsorted(steps, size // rows[:, axis], side="right") - 1]
            more = rows.copy()
            more[:, axis] *= most
            more[:, 2 : 2 + spaces] *= np.where(out, most[:, None], 1.0)
            filled.append(more)
        rows = np.concatenate(filled)
    children, alone, windows = rows[:, 0] * rows[:, 1], rows[:, 2 : 2 + spaces], rows[:, 2 + spaces :]
    keep = _unbeaten(np.column_stack([-children, windows / alone]))
    return Spatial(children[keep], alone[keep], (windows / alone)[keep], windows.min(0))


@lru_cache(maxsize=KNOWN)
def tile_fills(
    problem: Problem, cut: frozenset[str], kept: tuple[int, ...], filled: tuple[int, ...], room: float
) -> tuple[Floats, Bools]:
    """(words a MAC, whether a run saves them) of the tiles of a level, `[n, filled]` each; those that none beats.

    Args:
        problem: the layer's.
        cut: dimensions along which its parts may have any extent.
        kept: dataspaces, by position, that share the level.
        filled: those of them that are filled from further out.
        room: words of the level.
    """
    tiles = Tiles(_small(problem, cut))
    names = _live(problem)
    bounds = np.array([problem.sizes[name] for name in names], dtype=float)
    ranges = [
        _ranges(problem, cut, name, room) if tiles.relevant[list(kept), d].any() else [(1, problem.sizes[name])]
        for d, name in enumerate(names)
    ]
    low = high = np.ones((1, 0))
    for d, own in enumerate(ranges):  # one dimension more at a time, as long as there is room
        first, last = (np.array(ends, dtype=float) for ends in zip(*own, strict=True))
        low = np.column_stack([low.repeat(len(own), 0), np.tile(first, len(low))])
        high = np.column_stack([high.repeat(len(own), 0), np.tile(last, len(high))])
        padded = np.column_stack([low, np.ones((len(low), len(names) - d - 1))])
        fits = tiles.words_of(padded)[:, list(kept)].sum(1) <= room
        low, high = low[fits], high[fits]
    words, volume = tiles.words_of(high), high.prod(1)
    found: list[tuple[Floats, Bools]] = []
    for inner in {tuple((~tiles.relevant[list(filled), d]).tolist()): d for d in range(len(names))}.items():
        still, _ = inner
        same = [d for d in range(len(names)) if tuple((~tiles.relevant[list(filled), d]).tolist()) == still]
        for innermost in same if tiles.slides else same[:1]:
            fills = np.stack([words[:, t] / volume for t in filled], 1)
            for at, t in enumerate(filled):
                if still[at]:
                    out = ~tiles.relevant[t]
                    fills[:, at] *= (high[:, out] / bounds[out]).prod(1)
                fills[:, at] *= _slid(tiles, t, high, None if still[at] else innermost)
            keep = _unbeaten(fills)
            found.append((fills[keep], np.tile(np.array(still), (len(keep), 1))))
    return np.concatenate([f for f, _ in found]), np.concatenate([s for _, s in found])


def _slid(tiles: Tiles, space: int, extent: Floats, by: int | None) -> Floats:
    """`[n]` share of its words that a tile takes at least where a loop slides its window: any loop, or this one."""
    best = np.ones(len(extent))
    for (of, d), (slide, step) in tiles.slide_of.items():
        if of == space and by in (None, d):
            box = 1 + sum(c * (extent[:, k] - 1) for k, c in zip(slide.dims, slide.steps, strict=True))
            best = np.minimum(best, step * extent[:, d] / box)
    return best


def _live(problem: Problem) -> list[str]:
    return [name for name, bound in problem.sizes.items() if bound > 1]


def _small(problem: Problem, cut: Collection[str]) -> Problem:
    """A layer of the same shape, of bounds that are cut two iterations."""
    sizes = {name: min(bound, 2) if name in cut else bound for name, bound in problem.sizes.items()}
    return Problem(problem.dimensions, tuple(sizes.values()), problem.dataspaces, problem.name)


def _extents(problem: Problem, cut: Collection[str], name: str, most: float) -> Sequence[int]:
    bound = problem.sizes[name]
    return range(1, int(min(bound, most)) + 1) if name in cut else divisors(bound, most)


def _ranges(problem: Problem, cut: Collection[str], name: str, most: float) -> list[tuple[int, int]]:
    """(first, last) of ranges of the extents of tiles."""
    listed = _extents(problem, cut, name, most)
    return [(n, n) for n in listed] if name not in cut else list(_ranged(len(listed)))


def _ranged(most: int) -> Iterator[tuple[int, int]]:
    first = 1
    while first <= most:
        last = first if first <= FINE else min(most, ceil(first * RATIO))
        yield first, last
        first = last + 1


def rounded_up(extent: int, most: int) -> int:
    """The last extent of its range, of those up to the most."""
    return next(last for _, last in _ranged(most) if last >= extent)


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


def _unbeaten(rows: Floats) -> list[int]:
    """Of rows `[n, columns]` those that no other is below or equal to everywhere."""
    left, kept = np.argsort(rows.sum(1), kind="stable"), list[int]()
    while len(left):
        kept.append(int(left[0]))
        left = left[~(rows[left] >= rows[left[0]]).all(1)]
    return kept
