"""A layer on a fixed machine as tables over the lattice of its tile extents: what the exact search reads.

The machine is a chain of levels, each of which may fan out; level m + 1 is the last, level m the one before. A last
level that itself fans out, or that is alone, gets another one beyond it, which keeps nothing and has no loops. Every
figure is counted for one multiply-accumulate, over all instances. Then a tile of S words of extents e, fetched at
every temporal step outside it but for the `free` ones that do not move it, takes

    fills = S / (product of e) / free

words whatever is parallel outside, and its parent serves  fills x share  of them, where the share is the product over
the fan-outs between of G / fan, with G of `fan` children getting different words. So energies and words are sums of
fills, with coefficients that the spatial factors alone decide; and no cost falls where a fill grows. Reads of operands
by the MACs are such terms too, of one word each. A dataspace costs nothing further out than the last level that keeps
it.
"""

from dataclasses import dataclass, replace
from functools import cached_property, reduce
from itertools import combinations
from math import inf
from typing import Any, Self

import numpy as np

from dlco.bound.compulsory import problem_floor
from dlco.exact.classes import NO_SLIDE, OrderClasses, order_classes
from dlco.exact.fanouts import FanOut
from dlco.exact.lattice import Bools, Floats, Ints, Links
from dlco.exact.masks import Masks
from dlco.exact.terms import FillTerm, Port
from dlco.exact.tiles import Tiles
from dlco.exact.wires import wire_tables
from dlco.hardware.architecture import Architecture, Level
from dlco.hardware.constraints import Constraints
from dlco.hardware.network import MACS
from dlco.hardware.space import as_space
from dlco.mapping.kept import Bypass, kept_table
from dlco.mapping.orders import Reuse

SHARED = (  # of the tables, those that do not depend on what levels keep
    *("shape", "lattice", "dims", "macs", "extents", "bounds", "volume", "ranks", "written", "relevant", "moving"),
    *("bits", "words", "slides", "slide_of", "irrelevant", "masks", "chain", "links", "fans", "results"),
    *("compulsory_cycles", "ports", "together", "least_words", "memo"),
)


@dataclass(frozen=True, eq=False)
class LayerTables(Tiles):
    """One problem on one machine that `dlco.exact.covered` lets pass; `K` terms, `R` results.

    Attributes:
        architecture: the machine, with the constraints that it carries.
        constraints: others beside them.
        chosen: what every level bypasses beyond the machine, where that is a choice; None where constraints say.
    """

    architecture: Architecture
    constraints: Constraints | None = None
    chosen: Bypass | None = None

    def keeping(self, chosen: Bypass) -> Self:
        """The same with another choice of what every level bypasses; what does not depend on it is shared."""
        other = replace(self, chosen=tuple(chosen))
        vars(other).update({name: getattr(self, name) for name in SHARED})
        return other

    @cached_property
    def memo(self) -> dict[tuple[object, ...], Any]:
        """What bounds have made of these tables, for all that share them; by name and by what it depends on."""
        return {}

    @property
    def bypass(self) -> Bypass:
        """What every level bypasses beyond the machine."""
        return self.masks.space.bypass if self.chosen is None else self.chosen

    @cached_property
    def masks(self) -> Masks:
        """What the constraints leave."""
        return Masks(self.problem, self.architecture, self.constraints)

    @cached_property
    def chain(self) -> tuple[Level, ...]:
        """The levels, and where needed the one beyond them."""
        levels = self.architecture.levels
        alone = len(levels) == 1 or levels[-1].fanout_x * levels[-1].fanout_y > 1
        return (*levels, Level("beyond", capacity=0)) if alone else levels

    @cached_property
    def levels(self) -> int:
        """Levels of the chain."""
        return len(self.chain)

    @property
    def shared(self) -> int:
        """The last level but one."""
        return self.levels - 2

    @cached_property
    def kept(self) -> Bools:
        """`[levels, T]`."""
        real = kept_table(self.problem, self.architecture, self.bypass)
        return np.array([*real, *[[False] * len(self.spaces)] * (self.levels - len(real))])

    @cached_property
    def outermost(self) -> Ints:
        """`[T]` the last level that keeps each dataspace."""
        return np.array([np.flatnonzero(column)[-1] for column in self.kept.T])

    @cached_property
    def fits(self) -> Bools:
        """`[states, levels]` whether a level holds such a tile of all that it keeps."""
        return self.held(self.words)

    @property
    def tiled(self) -> Bools:
        """`[levels, T]` whether a level has room to make for tiles of a dataspace: of all that it keeps."""
        return self.kept

    def held(self, words: Floats) -> Bools:
        """`[n, levels]` whether a level holds tiles of words `[n, T]`, of all that are `tiled`."""
        room = np.array([level.usable_capacity for level in self.chain])
        return np.stack([(words * row).sum(1) for row in self.tiled], 1) <= room

    def room(self, level: int) -> Bools:
        """`[states]` whether such a tile fits every level from one up to m: tiles only grow on the way out."""
        return np.all(self.fits[:, level : self.shared + 1], axis=1)

    @cached_property
    def links(self) -> tuple[Links | None, ...]:
        """By level up to m where its temporal loops may lead to; None where to all multiples."""
        return tuple(
            None if all(some.all() for some in factors) else self.lattice.links(factors)
            for factors in self.masks.temporal[: self.shared + 1]
        )

    @cached_property
    def shared_tiles(self) -> Bools:
        """`[states]` whether level m holds such a tile, and the last level's loops may be those left."""
        if self.levels > len(self.architecture.levels):  # none lies beyond the machine
            return self.fits[:, self.shared] & (np.arange(self.lattice.size) == self.lattice.size - 1)
        left = np.array(self.lattice.radix, dtype=np.int64) - 1 - self.lattice.digit  # bound over divisor, by index
        return self.fits[:, self.shared] & self.lattice.among(left, self.masks.temporal[-1])

    def figure(self, name: str) -> Floats:
        """`[levels]` a figure of every level; of an energy an access its least a word."""
        blocks = [level.block_size if name.endswith("_pj") and name != "leak_pj" else 1 for level in self.chain]
        return np.array(
            [getattr(level, name) / block for level, block in zip(self.chain, blocks, strict=True)], dtype=float
        )

    def content_pj(self, level: int, space: int) -> float:
        """Energy of a word that a level exchanges with what lies inside, pJ: read, or written and read back."""
        updated = self.figure("update_pj")[level] + self.wires[0][level, space] if self.written[space] else 0.0
        return float(self.figure("read_pj")[level] + self.wires[0][level, space] + updated)

    @cached_property
    def wires(self) -> tuple[Floats, Floats]:
        """PJ a word over networks, of the level that serves it and of the one (or, last, the MACs) that takes it."""
        return wire_tables(self.chain, self.kept)

    def taken_pj(self, level: int, space: int) -> float:
        """Energy of a word of the tiles of a level but for the one that serves it, pJ: filled, and given back."""
        if level == MACS:
            return float(self.wires[1][MACS, space])
        return float(self.figure("write_pj")[level] + self.wires[1][level, space] * (1 + self.written[space]))

    @cached_property
    def terms(self) -> tuple[FillTerm, ...]:
        """The MACs' operands, then the tiles kept further in than level m that are filled from further out."""
        tiles = [(MACS, t) for t in range(len(self.spaces))]
        tiles += [(lv, t) for lv in range(self.shared) for t in range(len(self.spaces)) if self.kept[lv, t]]
        return tuple(
            FillTerm(lv, t, next(p for p in range(lv + 1, self.levels) if self.kept[p, t]))
            for lv, t in tiles
            if lv < self.outermost[t]
        )

    @cached_property
    def space_of(self) -> Ints:
        """`[K]` index of each term's dataspace."""
        return np.array([term.space for term in self.terms])

    @cached_property
    def level_of(self) -> Ints:
        """`[K]` level of each term's tiles."""
        return np.array([term.level for term in self.terms])

    @cached_property
    def parent_of(self) -> Ints:
        """`[K]` level that fills each term's tiles."""
        return np.array([term.parent for term in self.terms])

    @cached_property
    def fill_pj(self) -> Floats:
        """`[K]` pJ a word that a term's tiles are filled with."""
        return np.array([self.taken_pj(term.level, term.space) for term in self.terms])

    @cached_property
    def serve_pj(self) -> Floats:
        """`[K]` pJ a word that a term's parent serves."""
        return np.array([self.content_pj(term.parent, term.space) for term in self.terms])

    def crosses_at(self, level: int) -> Bools:
        """`[K]` whether a term's words come over the fan-out of a level."""
        return (self.level_of < level) & (self.parent_of >= level)

    @cached_property
    def filled(self) -> Bools:
        """`[T]` whether the tiles of level m are filled from the last level."""
        return self.kept[self.shared] & self.kept[-1]

    @cached_property
    def shared_pj(self) -> Floats:
        """`[T]` pJ a word that tiles of level m are filled with from the last level; 0 where they are not."""
        top = self.levels - 1
        costs = [self.taken_pj(self.shared, t) + self.content_pj(top, t) for t in range(len(self.spaces))]
        return np.where(self.filled, costs, 0.0)

    @cached_property
    def classes(self) -> tuple[OrderClasses, ...]:
        """The loop orders of every level but the innermost, by level - 1."""
        sliding = [frozenset(d for t, d in self.slide_of if t == space) for space in range(len(self.spaces))]
        found = [Reuse(frozenset(np.flatnonzero(self.relevant[t]).tolist()), d) for t, d in enumerate(sliding)]
        return tuple(
            order_classes(
                self.dims,
                tuple(r if self.kept[: min(lv, self.outermost[t]), t].any() else None for t, r in enumerate(found)),
                self.masks.innermost(lv) if lv < len(self.architecture.levels) else (),
            )
            for lv in range(1, self.levels)
        )

    # spatial factors

    @cached_property
    def fans(self) -> tuple[FanOut, ...]:
        """The fan-outs of the levels up to m."""
        return tuple(self.fan(level) for level in range(self.levels - 1))

    def fan(self, level: int) -> FanOut:
        """The fan-out of a level, anew."""
        x, y = self.chain[level].fanout_x, self.chain[level].fanout_y
        return FanOut(self, x, y, self.masks.spatial[level], *self.masks.axes(level))

    @cached_property
    def is_array(self) -> bool:
        """Whether no level inside level m has spatial factors to choose: all is one array under level m."""
        return all(fan.is_given for fan in self.fans[: self.shared])

    @cached_property
    def inside_pj(self) -> Floats:
        """`[K]` pJ a word of a term that is paid inside level m, at the least."""
        return self.fill_pj + np.where(self.crosses_at(self.shared), 0.0, self.serve_pj)

    @cached_property
    def results(self) -> Ints:
        """`[R]` indices of the dataspaces that are written."""
        return np.flatnonzero(self.written)

    @cached_property
    def first_visits(self) -> Floats:
        """`[levels, R]` words of results that an instance sees for the first time: neither read nor filled.

        A MAC, over all instances, where all see different ones.
        """
        part = [float(self.words[-1, t]) / self.macs for t in self.results]
        return self.kept[:, self.results] * np.array(part)

    @cached_property
    def saved_pj(self) -> Floats:
        """`[levels, R]` pJ that first visits save, each instance seeing different words."""
        filled = np.arange(self.levels)[:, None] < self.outermost[self.results]
        far, near = self.wires[0][:, self.results], self.wires[1][:-1, self.results]
        write = np.where(filled, self.figure("write_pj")[:, None] + near, 0.0)
        return self.first_visits * (self.figure("read_pj")[:, None] + far + write)

    @cached_property
    def compulsory_cycles(self) -> float:
        """Cycles that no mapping goes below: of the MACs, and of moving every word in use once."""
        return problem_floor(self.problem, as_space(self.architecture)).cycles

    @cached_property
    def ports(self) -> dict[int, tuple[Port, ...]]:
        """The ports that may be short of words, by level."""
        found = {}
        for i, level in enumerate(self.chain):
            ports = (
                Port(1, 0, level.read_bandwidth),
                Port(0, 1, level.write_bandwidth),
                Port(1, 1, level.shared_bandwidth),
            )
            if any(port.width < inf for port in ports):
                found[i] = tuple(port for port in ports if port.width < inf)
        return found

    def port_cycles(
        self,
        fills: Floats,
        loose: Floats,
        share: Floats,
        instances: Floats,
        spread: Floats,
        shared_fills: Floats | None = None,
    ) -> Floats:
        """`[n]` cycles that the narrowest port needs for words that are known; arguments as `port_needs`."""
        needs = self.port_needs(fills, loose, share, instances, spread, shared_fills)
        return reduce(np.maximum, needs.T, np.zeros(len(fills)))

    def port_needs(
        self,
        fills: Floats,
        loose: Floats,
        share: Floats,
        instances: Floats,
        spread: Floats,
        shared_fills: Floats | None = None,
    ) -> Floats:
        """`[n, ports]` cycles that each of `ports` needs for words that are known; the others only add to it.

        Args:
            fills: `[n, K]` words a MAC of every term.
            loose: `[n, K]` those of them that loops further out may still save, of one dataspace or, where a dimension
                leaves several in place, of all.
            share: `[n, K]` words that a term's parent serves over its fills.
            instances: `[n, levels]` of every level, or of some from the innermost on; 0 stands for other ports.
            spread: `[n, levels, R]` how many of them see the same words of each result.
            shared_fills: `[n, T]` words a MAC of the tiles of level m, None where they are not known.
        """
        needs = np.zeros((sum(map(len, self.ports.values())), len(fills)))
        row = iter(needs)
        for level, ports in self.ports.items():
            if level >= instances.shape[1]:
                break
            reads, writes = (-(spread[:, level] @ visits) for visits in self._first_visits[level])
            saved: dict[int, list[Floats | float]] = {}
            for j in np.flatnonzero((self.parent_of == level) | (self.level_of == level)):
                term = self.terms[j]
                own, part = fills[:, j], loose[:, j]
                served = term.parent == level
                writing = not served or bool(self.written[term.space])
                if served:
                    own, part = own * share[:, j], part * share[:, j]
                run = saved.setdefault(term.space, [0.0, 0.0])
                if served:
                    reads, run[0] = reads + own, run[0] + part
                if writing:
                    writes, run[1] = writes + own, run[1] + part
            if shared_fills is not None and level == self.shared:
                writes = writes + shared_fills.sum(1)
            if shared_fills is not None and level == self.levels - 1:
                reads, writes = reads + shared_fills.sum(1), writes + shared_fills[:, self.written].sum(1)
            for port in ports:
                firm = reads * port.reads + writes * port.writes
                runs = [run[0] * port.reads + run[1] * port.writes for run in saved.values()]
                if runs:
                    firm = firm - (sum(runs) if self.together else reduce(np.maximum, runs))
                next(row)[:] = firm * (self.macs / port.width) / instances[:, level]
        return needs.T

    @cached_property
    def _first_visits(self) -> tuple[tuple[Floats, Floats], ...]:
        """By level what first visits of results `[R]` save of reads, and of writes."""
        filled = np.arange(self.levels)[:, None] < self.outermost[self.results]
        return tuple(zip(self.first_visits, self.first_visits * filled, strict=True))

    def saved(self, savings: Floats) -> Floats:
        """`[n]` the most that loops further out save, of what they might save of each dataspace, `[n, T]`.

        At the first level that has loops one run goes on, unless a dimension leaves several dataspaces in place.
        """
        return savings.sum(1) if self.together else np.maximum.reduce([np.zeros(len(savings)), *savings.T])

    @cached_property
    def together(self) -> tuple[tuple[int, ...], ...]:
        """Sets of two dataspaces or more whose tiles one loop leaves in place."""
        sets = set()
        for d in range(self.dims):
            stay = np.flatnonzero(~self.relevant[:, d]).tolist()
            sets |= {some for size in range(2, len(stay) + 1) for some in combinations(stay, size)}
        return tuple(sorted(sets))

    def whole_words(self, fills: Floats) -> Floats:
        """Words `[n, K]` of terms `[n, K]` a MAC, without rounding errors: numbers that compare as the terms do."""
        return np.rint(fills * self.macs)

    def asked_apart(self, labels: Any) -> list[Ints]:
        """What else, beside its words, is to be no larger of a label that beats another, `[n]` each."""
        return []

    def step(
        self, level: int, fills: Floats, is_open: Bools, inner: Ints, outer: Ints, tiles: Ints, row: Ints
    ) -> tuple[Floats, Bools]:
        """The terms `[n, K]`, and which of them may still become smaller, after the temporal loops of a level.

        Args:
            level: above 0.
            fills: `[n, K]` before.
            is_open: `[n, K]` before; a term is open while no loop has moved its tile.
            inner: `[n]` states before the loops.
            outer: `[n]` states after them.
            tiles: `[n, levels further in]` states of the tiles there.
            row: `[n]` rows of the level's `classes`.
        """
        classes, code = self.classes[level - 1], self.loops(inner, outer)
        fills, is_open = fills.copy(), is_open.copy()
        for j, term in enumerate(self.terms):
            if term.level == level:
                fills[:, j], is_open[:, j] = self.words[outer, term.space] / self.volume[outer], True
                continue
            goes_on = np.flatnonzero(is_open[:, j])
            if not len(goes_on):
                continue
            a, b, e = inner[goes_on], outer[goes_on], tiles[goes_on, term.level]
            moves = (code[goes_on] & self.moving[term.space]) > 0
            still = np.where(moves, classes.still[row[goes_on], term.space], code[goes_on])
            slide = np.where(moves, classes.slide[row[goes_on], term.space], NO_SLIDE)
            fills[goes_on, j] = self.passed(fills[goes_on, j], term.space, a, b, e, still, slide)
            is_open[goes_on[moves], j] = False
        return fills, is_open
