"""A layer on a fixed machine as tables over the lattice of its tile extents: what the exact search reads.

The machine: levels 0 to m - 1 lie in a processing element, level m is shared and has the whole fan-out, level m + 1 is
the outermost and keeps everything. Every figure is counted for one multiply-accumulate, over all instances. Then a
tile of S words of extents e, fetched at every temporal step outside it but for the `free` ones that do not move it,
takes

    fills = S / (product of e) / free

words whatever is parallel outside, and its parent serves  fills x G / fan  of them where the data fans out over `fan`
children of which G get different words. So energies and words are sums of fills, with coefficients that the spatial
factors alone decide; and no cost falls where a fill grows. Reads of operands by the MACs are such terms too, of one
word each.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations
from math import inf, prod
from typing import Any

import numpy as np

from dlco.bound.compulsory import problem_floor
from dlco.cost.shape import compile_problem
from dlco.exact.case import Case
from dlco.exact.classes import NO_SLIDE, OrderClasses, order_classes
from dlco.exact.lattice import Bools, Floats, Ints, Links
from dlco.exact.masks import Masks
from dlco.exact.tiles import Tiles
from dlco.hardware.architecture import Architecture
from dlco.hardware.constraints import Constraints
from dlco.hardware.space import as_space
from dlco.mapping.kept import Bypass, free_levels, kept_table
from dlco.mapping.orders import Reuse

MAX_STATES = 200_000  # of a lattice: the tables of the bounds take up to 0.5 KB a state and dataspace
MAX_DIMS = 10  # of bound above 1: sets of loops are listed
MAX_CHOICES = 4096  # of what all levels keep, where it is free
MACS = -1  # the level of the terms that are operands of MACs
SHARED = (  # of the tables, those that do not depend on what levels keep
    *("shape", "lattice", "dims", "macs", "extents", "bounds", "volume", "ranks", "written", "relevant", "moving"),
    *("bits", "words", "slides", "slide_of", "irrelevant", "masks", "levels", "links", "begins", "_spatial"),
    *("children", "distinct", "leak_pj", "compute", "compulsory_cycles", "ports", "together", "least_words", "memo"),
)


def why_not_covered(case: Case) -> str | None:
    """Why `LayerTables` do not describe a case, in words that follow "because"; None where they do."""
    problem, architecture = case.problem, case.architecture
    levels = architecture.levels
    if case.imperfect:
        return "factors need not divide the bounds"
    if len(levels) < 2:
        return f"{architecture.name!r} has one storage level; two or more are covered"
    for i, level in enumerate(levels):
        if level.fanout_x * level.fanout_y > 1 and i != len(levels) - 2:
            return f"{level.name} has a fan-out; only the level next to the outermost is covered with one"
    names = {space.name for space in problem.dataspaces}
    if architecture.is_split:
        return f"memories of {architecture.name!r} are in parts"
    out = names & (levels[-1].bypass | case.resolved.bypassed(levels[-1].name))
    if out:
        return f"{levels[-1].name}, the outermost level, bypasses {', '.join(sorted(out))}"
    for space in compile_problem(problem).spaces:
        if any(len(rank) > 2 for rank in space.ranks):
            return f"three dimensions share a rank of {space.name}"
        if space.read_write and any(len(rank) > 1 or rank[0][1] != 1 for rank in space.ranks):
            return f"{space.name} is written with gaps or overlaps"
    if case.keep_free:
        free = free_levels(architecture, case.constraints)
        ways = prod(2 ** len(names - level.bypass) for level in levels if level.name in free)
        if ways > MAX_CHOICES:
            return f"its levels may keep {ways:,} sets of dataspaces; up to {MAX_CHOICES:,} are covered"
    dims = len(compile_problem(problem).live)
    if dims > MAX_DIMS:
        return f"it has {dims} dimensions; up to {MAX_DIMS} are covered"
    states = Tiles(problem).lattice.size
    if states > MAX_STATES:
        return f"its tiles have {states:,} extents; up to {MAX_STATES:,} are covered"
    return case.why_not_uneven if case.uneven else None


@dataclass(frozen=True)
class FillTerm:
    """Words that the tiles of one level take of one dataspace, and where from.

    Attributes:
        level: of the tiles, `MACS` for operands.
        space: index of the dataspace.
        parent: the next level further out that keeps it.
    """

    level: int
    space: int
    parent: int


@dataclass(frozen=True, eq=False)
class LayerTables(Tiles):
    """One problem on one machine that `why_not_covered` lets pass; `K` terms, `S` vectors of spatial factors.

    Attributes:
        architecture: the machine, with the constraints that it carries.
        constraints: others beside them.
        chosen: what every level bypasses beyond the machine, where that is a choice; None where constraints say.
    """

    architecture: Architecture
    constraints: Constraints | None = None
    chosen: Bypass | None = None

    def keeping(self, chosen: Bypass) -> "LayerTables":
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
    def levels(self) -> int:
        """Storage levels."""
        return len(self.architecture.levels)

    @property
    def shared(self) -> int:
        """The level with the fan-out."""
        return self.levels - 2

    @cached_property
    def kept(self) -> Bools:
        """`[levels, T]`."""
        return np.array(kept_table(self.problem, self.architecture, self.bypass))

    @cached_property
    def fits(self) -> Bools:
        """`[states, levels]` whether a level holds such a tile of all that it keeps."""
        room = np.array([level.usable_capacity for level in self.architecture.levels])
        return np.stack([(self.words * row).sum(1) for row in self.kept], 1) <= room

    @cached_property
    def links(self) -> tuple[Links | None, ...]:
        """By level where its temporal loops may lead to; None where to all multiples."""
        return tuple(
            None if all(some.all() for some in factors) else self.lattice.links(factors)
            for factors in self.masks.temporal
        )

    @cached_property
    def begins(self) -> Bools:
        """`[states]` whether the innermost level's temporal loops may be these."""
        return self._meets(self.lattice.digit, self.masks.temporal[0])

    @cached_property
    def shared_tiles(self) -> Bools:
        """`[states]` whether the shared level holds such a tile, and the outermost level's loops may be those left."""
        left = np.array(self.lattice.radix, dtype=np.int64) - 1 - self.lattice.digit  # bound over divisor, by index
        return self.fits[:, self.shared] & self._meets(left, self.masks.temporal[-1])

    def _meets(self, digit: Ints, factors: Sequence[Bools]) -> Bools:
        """`[n]` whether factors, as indices `[n, dims]` of divisors, are among those of each dimension."""
        meets = np.ones(len(digit), dtype=bool)
        for d, some in enumerate(factors):
            meets &= some[digit[:, d]]
        return meets

    def figure(self, name: str) -> Floats:
        """`[levels]` a figure of every level; of an energy an access its least a word."""
        levels = self.architecture.levels
        blocks = [level.block_size if name.endswith("_pj") and name != "leak_pj" else 1 for level in levels]
        return np.array(
            [getattr(level, name) / block for level, block in zip(levels, blocks, strict=True)], dtype=float
        )

    def content_pj(self, level: int, space: int) -> float:
        """Energy of a word that a level exchanges with what lies inside, pJ: read, or written and read back."""
        updated = self.figure("update_pj")[level] if self.written[space] else 0.0
        return float(self.figure("read_pj")[level] + updated)

    @cached_property
    def terms(self) -> tuple[FillTerm, ...]:
        """The MACs' operands, then the tiles kept in a processing element."""
        tiles = [(MACS, t) for t in range(len(self.spaces))]
        tiles += [(lv, t) for lv in range(self.shared) for t in range(len(self.spaces)) if self.kept[lv, t]]
        return tuple(FillTerm(lv, t, next(p for p in range(lv + 1, self.levels) if self.kept[p, t])) for lv, t in tiles)

    @cached_property
    def space_of(self) -> Ints:
        """`[K]` index of each term's dataspace."""
        return np.array([term.space for term in self.terms])

    @cached_property
    def fill_pj(self) -> Floats:
        """`[K]` pJ a word that a term's tiles are filled with."""
        writes = self.figure("write_pj")
        return np.array([0.0 if term.level == MACS else writes[term.level] for term in self.terms])

    @cached_property
    def serve_pj(self) -> Floats:
        """`[K]` pJ a word that a term's parent serves."""
        return np.array([self.content_pj(term.parent, term.space) for term in self.terms])

    @cached_property
    def crosses(self) -> Bools:
        """`[K]` whether a term's words come over the fan-out."""
        return np.array([term.parent >= self.shared for term in self.terms])

    @cached_property
    def inside_pj(self) -> Floats:
        """`[K]` the part of a word's cost that lies inside a processing element, pJ."""
        return self.fill_pj + np.where(self.crosses, 0.0, self.serve_pj)

    @cached_property
    def shared_pj(self) -> Floats:
        """`[T]` pJ a word that tiles of the shared level are filled with from the outermost one; 0 where not kept."""
        writes, top = self.figure("write_pj")[self.shared], self.levels - 1
        costs = [writes + self.content_pj(top, t) for t in range(len(self.spaces))]
        return np.where(self.kept[self.shared], costs, 0.0)

    @cached_property
    def classes(self) -> tuple[OrderClasses, ...]:
        """The loop orders of every level but the innermost, by level - 1."""
        sliding = [frozenset(d for t, d in self.slide_of if t == space) for space in range(len(self.spaces))]
        found = [Reuse(frozenset(np.flatnonzero(self.relevant[t]).tolist()), d) for t, d in enumerate(sliding)]
        return tuple(
            order_classes(
                self.dims,
                tuple(r if self.kept[:lv, t].any() else None for t, r in enumerate(found)),
                self.masks.innermost(lv),
            )
            for lv in range(1, self.levels)
        )

    # spatial factors

    @cached_property
    def _spatial(self) -> tuple[Ints, Ints]:
        level, ext = self.architecture.levels[self.shared], self.lattice.extent
        allowed = self._meets(self.lattice.digit, self.masks.spatial[self.shared])
        small = np.flatnonzero(allowed & (self.volume <= level.fanout_x * level.fanout_y))
        only_x, only_y = self.masks.axes(self.shared)
        along_x = np.full(len(small), -1, dtype=np.int64)
        for mask in range(2**self.dims):
            if only_x & ~mask or only_y & mask:
                continue
            on_x = (mask & self.bits) > 0
            x, y = ext[small][:, on_x].prod(1), ext[small][:, ~on_x].prod(1)
            along_x = np.where((along_x < 0) & (x <= level.fanout_x) & (y <= level.fanout_y), mask, along_x)
        return small[along_x >= 0], along_x[along_x >= 0]

    @property
    def spatial(self) -> Ints:
        """`[S]` states of the spatial factors that the fan-out holds, each dimension along one axis."""
        return self._spatial[0]

    @property
    def along_x(self) -> Ints:
        """`[S]` bits of the dimensions that lie along X there."""
        return self._spatial[1]

    @cached_property
    def children(self) -> Floats:
        """`[S]` processing elements in use."""
        return self.volume[self.spatial]

    @cached_property
    def distinct(self) -> Floats:
        """`[S, T]` children with different words over children, where windows do not overlap."""
        used = self.extents[self.spatial]
        return np.stack([np.where(row, used, 1.0).prod(1) for row in self.relevant], 1) / self.children[:, None]

    @cached_property
    def first_visits(self) -> Floats:
        """`[S, levels, T]` words of results that an instance sees for the first time: neither read nor filled."""
        spread = self.irrelevant[self.spatial]
        part = np.where(self.relevant, 1.0, 1.0 / self.bounds).prod(1) * self.written
        inside = np.arange(self.levels)[:, None] < self.shared
        return np.where(inside, spread[:, None, :], 1.0) * part * self.kept

    @cached_property
    def constant_pj(self) -> Floats:
        """`[S]` energy a MAC besides the terms and leakage, pJ: the MACs, less what first visits save."""
        saved = self.figure("read_pj") + np.where(
            np.arange(self.levels) < self.levels - 1, self.figure("write_pj"), 0.0
        )
        return self.architecture.mac_pj - (self.first_visits * saved[:, None]).sum((1, 2))

    @cached_property
    def leak_pj(self) -> Floats:
        """`[S]` leakage a cycle, pJ."""
        inside = np.arange(self.levels) < self.shared
        return (self.figure("leak_pj") * np.where(inside, self.children[:, None], 1.0)).sum(1)

    @cached_property
    def compute(self) -> Floats:
        """`[S]` cycles of the MACs."""
        return self.macs / self.children

    @cached_property
    def compulsory_cycles(self) -> float:
        """Cycles that no mapping goes below: of the MACs, and of moving every word in use once."""
        return problem_floor(self.problem, as_space(self.architecture)).cycles

    @cached_property
    def ports(self) -> tuple[tuple[int, bool, bool, float], ...]:
        """(level, whether reads use it, whether writes do, words a cycle) of every port that may be short."""
        found = []
        for i, level in enumerate(self.architecture.levels):
            found += [(i, True, False, level.read_bandwidth), (i, False, True, level.write_bandwidth)]
            found += [(i, True, True, level.shared_bandwidth)]
        return tuple(port for port in found if port[-1] < inf)

    def port_cycles(
        self, spatial: Ints, fills: Floats, loose: Floats, share: Floats, shared_fills: Floats | None = None
    ) -> Floats:
        """`[n]` cycles that the narrowest port needs for words that are known; arguments as `port_needs`."""
        return self.port_needs(spatial, fills, loose, share, shared_fills).max(1, initial=0.0)

    def port_needs(
        self, spatial: Ints, fills: Floats, loose: Floats, share: Floats, shared_fills: Floats | None = None
    ) -> Floats:
        """`[n, ports]` cycles that each of `ports` needs for words that are known; the others only add to it.

        Args:
            spatial: `[n]` rows of `spatial`.
            fills: `[n, K]` words a MAC of every term.
            loose: `[n, K]` those of them that loops further out may still save, of one dataspace or, where a dimension
                leaves several in place, of all.
            share: `[n, T]` children with different words over children.
            shared_fills: `[n, T]` words a MAC of the shared level's tiles, None where they are not known.
        """
        cycles = np.zeros((len(spatial), len(self.ports)))
        for port, (level, reads, writes, width) in enumerate(self.ports):
            firm = -self.first_visits[spatial, level].sum(1) * (reads + (writes and level < self.levels - 1))
            savings = np.zeros((len(spatial), len(self.spaces)))
            for j, term in enumerate(self.terms):
                uses: Floats | float = 0.0
                if term.parent == level:
                    crossing = share[:, term.space] if self.crosses[j] else 1.0
                    uses = (reads + (writes and bool(self.written[term.space]))) * crossing
                if term.level == level and writes:
                    uses = uses + 1.0
                if np.any(uses):
                    firm += uses * fills[:, j]
                    savings[:, term.space] += uses * loose[:, j]
            if shared_fills is not None and level == self.shared and writes:
                firm += shared_fills.sum(1)
            if shared_fills is not None and level == self.levels - 1:
                firm += reads * shared_fills.sum(1) + writes * shared_fills[:, self.written].sum(1)
            instances = self.children[spatial] if level < self.shared else 1.0
            cycles[:, port] = self.macs * (firm - self.saved(savings)) / instances / width
        return cycles

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

    def shared_words(self, spatial: Ints, inner: Ints) -> Floats:
        """`[n, T]` children with different words over children, for spatial factors over children of given tiles.

        Windows of neighbours whose steps meet on a grid overlap: of n x m children, steps a and b on a common grid g,
        (n - b/g)+ (m - a/g)+ share another one's words.

        Args:
            spatial: `[n]` rows of `spatial`.
            inner: `[n]` states of the children's tiles.
        """
        share = self.distinct[spatial].copy()
        factors = self.extents[self.spatial[spatial]]
        for slide in self.slides:
            (a, b), (c, k) = slide.dims, slide.steps
            both = np.flatnonzero((factors[:, a] > 1) & (factors[:, b] > 1))
            n, m = factors[both, a], factors[both, b]
            step_a, step_b = (step * self.lattice.extent[inner[both], d] for step, d in ((c, a), (k, b)))
            grid = np.gcd(step_a, step_b)
            repeated = np.maximum(n - step_b // grid, 0) * np.maximum(m - step_a // grid, 0)
            share[both, slide.space] *= 1 - repeated / (n * m)
        return share

    def step(
        self, level: int, fills: Floats, is_open: Bools, inner: Ints, outer: Ints, tile: Ints, row: Ints
    ) -> tuple[Floats, Bools]:
        """The terms `[n, K]`, and which of them may still become smaller, after the temporal loops of a level.

        Args:
            level: above 0.
            fills: `[n, K]` before.
            is_open: `[n, K]` before; a term is open while no loop has moved its tile.
            inner: `[n]` states before the loops.
            outer: `[n]` states after them.
            tile: `[n]` states of the tiles of the level below.
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
            a, b, e = inner[goes_on], outer[goes_on], tile[goes_on]
            moves = (code[goes_on] & self.moving[term.space]) > 0
            still = np.where(moves, classes.still[row[goes_on], term.space], code[goes_on])
            slide = np.where(moves, classes.slide[row[goes_on], term.space], NO_SLIDE)
            fills[goes_on, j] = self.passed(fills[goes_on, j], term.space, a, b, e, still, slide)
            is_open[goes_on[moves], j] = False
        return fills, is_open
