"""What lies inside the memory above an array costs at least, whichever parts of a layer run on it: by each MAC.

A layer that runs in parts, each with a mapping of its own, sees there only tiles of every level and spatial factors of
every fan-out: extents that divide its bounds, or any number where it is cut into parts of any extent. Every part's
energy and cycles a MAC are then no less than those of some such tiles under some such spatial factors, counted as
`dlco.exact.tables` counts; those of all parts together no less than some point of the convex hull.

What makes it a bound: of tiles that are fetched again and again, the loops that come next leave in place what the
innermost of them does not index, at best over the whole bound, or slide its window; levels further in choose their
tiles each by itself; words that children share are shared as far as they can be. Long extents are taken in ranges, the
words of the least and the fetches of the greatest. Of results a level serves, and is filled with, no fewer words than
its instances see for the first time, whichever of all these are known.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from math import ceil, inf, prod

import numpy as np

from dlco.bound.compulsory import used_words
from dlco.exact.lattice import Bools, Floats
from dlco.exact.sums import Hull
from dlco.exact.tables import LayerTables
from dlco.exact.terms import Port
from dlco.exact.tiles import Tiles
from dlco.fusion.spatial import KNOWN, Spread, extents_of, live, small, spatial_factors, unbeaten
from dlco.hardware.architecture import Architecture
from dlco.hardware.network import MACS
from dlco.mapping.constraints import stated
from dlco.workload.problem import Problem

FINE, RATIO = 16, 1.2  # extents of tiles up to the first each by itself, then in ranges of about this ratio
ROWS = 1 << 16  # tiles under spatial factors that are evaluated at a time
MOST = 4 * ROWS  # of these in all; beyond, what tiles of a level fetch is taken at its least apart


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
        """Whether there is a memory above all that fans out, and one beyond it."""
        levels = self.machine.levels
        return bool(live(self.problem)) and len(levels) > 1 and levels[-1].fanout_x * levels[-1].fanout_y == 1

    @cached_property
    def tables(self) -> LayerTables:
        """What words cost; of a layer of the same shape, since bounds that are cut do not change it."""
        fixed, names = stated(self.machine), [space.name for space in self.problem.dataspaces]
        out = tuple(fixed.bypassed_of(level.name, names) for level in self.machine.levels)
        return LayerTables(small(self.problem, self.cut), self.machine, chosen=out)

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
        spread, tiles = self._spread, self._tiles
        if len(spread.factors) * prod(len(fills) for fills, _ in tiles) > ROWS:
            spread = spread.unbeaten()
        while (n := prod(len(fills) for fills, _ in tiles)) > 1 and n * len(spread.factors) > MOST:
            most = max(range(len(tiles)), key=lambda at: len(tiles[at][0]))
            fills, saved = tiles[most]
            tiles[most] = fills.min(0, keepdims=True), np.zeros_like(saved[:1])
        fills, saved = self._together(tiles)
        some = max(1, ROWS // len(fills))
        firsts = range(0, len(spread.factors), some)
        rows = np.concatenate([self._rows(spread.only(slice(first, first + some)), fills, saved) for first in firsts])
        return rows[unbeaten(rows)].T

    def _rows(self, spread: Spread, fills: Floats, saved: Bools) -> Floats:
        """`[n, 2 + ports]` the same of some spatial factors, each with all tiles."""
        tables = self.tables
        s, n = len(spread.factors), len(fills)
        share = np.where(saved, spread.least, spread.low[:, None])  # runs that go on save what the children share
        share = share.reshape(s * n, -1)
        instances, alone = spread.instances.repeat(n, 0), spread.alone.repeat(n, 0)
        rows = np.tile(fills, (s, 1))
        served = np.maximum(rows * share, self._once)
        energy = (rows * tables.fill_pj + served * tables.serve_pj).sum(1) + tables.architecture.mac_pj
        filled = rows.copy()
        for level, r in np.argwhere(tables.first_visits > 0).tolist():
            first, mine = tables.first_visits[level, r], tables.space_of == tables.results[r]
            serves, fill = mine & (tables.parent_of == level), mine & (tables.level_of == level)
            if not (serves | fill).any():  # words of the memory above that come in and go out
                energy -= alone[:, level, r] * tables.saved_pj[level, r]
                continue
            moved = np.column_stack([served[:, serves], rows[:, fill]])
            costs = np.concatenate([tables.serve_pj[serves], tables.fill_pj[fill]])
            energy += _unvisited(alone[:, level, r] * first, moved, costs, tables.saved_pj[level, r] / first)
            visits = np.minimum.reduce([alone[:, level, r] * first, *served[:, serves].T])
            alone[:, level, r] = visits / first
            filled[:, fill] = np.maximum(filled[:, fill], visits[:, None])
        needs = tables.port_needs(filled, np.zeros_like(rows), served / filled, instances, alone)
        needs = needs.T / tables.macs
        at = [level for level, ports in tables.ports.items() for _ in ports]
        shared = [need for level, need in zip(at, needs, strict=True) if level == tables.shared]
        cycles = np.maximum.reduce([(1 / spread.children).repeat(n), *needs])
        several = instances.max(0) > 1  # of a level whose instances leak no less than they must to do all the work
        leak = tables.figure("leak_pj") * np.where(several, (1 / spread.inside).repeat(n, 0), cycles[:, None])
        found = np.stack([energy + leak.sum(1), cycles, *shared], 1)
        return found[unbeaten(found)]

    @cached_property
    def _spread(self) -> Spread:
        """The spatial factors of all fan-outs."""
        spread = Spread(self.tables, self.problem, self.cut)
        for level, one in enumerate(self.tables.chain):
            if one.fanout_x * one.fanout_y > 1:
                own = spatial_factors(self.problem, self.cut, one.fanout_x, one.fanout_y, spread.among)
                spread = spread.across(level, own)
                spread = spread if len(spread.factors) <= ROWS else spread.unbeaten()
        return spread

    @cached_property
    def _ports(self) -> tuple[Port, ...]:
        """Of the memory above the array."""
        return self.tables.ports.get(self.tables.shared, ())

    @property
    def _filled_levels(self) -> list[int]:
        """Levels whose tiles are filled from further out, inside the memory above the array."""
        return sorted({level for level in self.tables.level_of.tolist() if level != MACS})

    @property
    def _tiles(self) -> list[tuple[Floats, Bools]]:
        """(fills a MAC, whether a run saves them) of the tiles of each of these levels."""
        tables, found = self.tables, []
        for level in self._filled_levels:
            kept = tuple(np.flatnonzero(tables.kept[level]).tolist())
            filled = tuple(tables.space_of[tables.level_of == level].tolist())
            found.append(tile_fills(self.problem, self.cut, kept, filled, tables.chain[level].usable_capacity))
        return found

    def _together(self, tiles: Sequence[tuple[Floats, Bools]]) -> tuple[Floats, Bools]:
        """`[n, K]` each: the same of all tiles of one level with all of the others."""
        tables = self.tables
        grid = [at.ravel() for at in np.meshgrid(*(np.arange(len(f)) for f, _ in tiles), indexing="ij")]
        size = len(grid[0]) if grid else 1
        fills, saved = np.ones((size, len(tables.terms))), np.zeros((size, len(tables.terms)), dtype=bool)
        for level, at, (own, runs) in zip(self._filled_levels, grid, tiles, strict=True):
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
    tiles = Tiles(small(problem, cut))
    names = live(problem)
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
            keep = unbeaten(fills)
            found.append((fills[keep], np.tile(np.array(still), (len(keep), 1))))
    return np.concatenate([f for f, _ in found]), np.concatenate([s for _, s in found])


def _unvisited(most: Floats, moved: Floats, costs: Floats, saved: float) -> Floats:
    """`[n]` pJ that words which a level sees for the first time save, as a number no larger than 0.

    As many as save most: what the level serves, and is filled with, is no less. Beyond what is known of it more moves.

    Args:
        most: `[n]` words.
        moved: `[n, m]` words known to move.
        costs: `[m]` pJ for each.
        saved: pJ a word.
    """
    words = np.minimum(most[:, None], np.column_stack([moved, most]))  # one of these is best
    more = np.maximum(words[:, :, None] - moved[:, None], 0.0) @ costs
    return (more - words * saved).min(1)


def _slid(tiles: Tiles, space: int, extent: Floats, by: int | None) -> Floats:
    """`[n]` share of its words that a tile takes at least where a loop slides its window: any loop, or this one."""
    best = np.ones(len(extent))
    for (of, d), (slide, step) in tiles.slide_of.items():
        if of == space and by in (None, d):
            box = 1 + sum(c * (extent[:, k] - 1) for k, c in zip(slide.dims, slide.steps, strict=True))
            best = np.minimum(best, step * extent[:, d] / box)
    return best


def _ranges(problem: Problem, cut: Collection[str], name: str, most: float) -> list[tuple[int, int]]:
    """(first, last) of ranges of the extents of tiles."""
    listed = extents_of(problem, cut, name, most)
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
