"""Labels over numbers of tiles, and which of them beat others whatever factors leave these numbers.

Where a label can be completed, so can another that reaches the same numbers; and factors may differ dimension by
dimension. One is no worse than another if it is so for each of the other's factors, with the same ones or the least of
its own. Along a dimension that is certain

  - where both have the same numbers everywhere and pass the same loops by: the factors may be the same;
  - where spatial factors so far divide the numbers of tiles, and no loop was counted of words that come through levels
    which bypass them: then words are those of the means, and what else counts is how long the last tile works. It
    does not matter where at most two tiles are left, or no children are to come, as it is never alone then; it is the
    same where the dimension has no spatial factor yet, and the better label one loop at most, in a memory that holds
    its tile as soon as the last level does; and there is nothing to it where neither has a loop.

Words of windows depend on extents: along their dimensions numbers must be the same, or leave the extents no choice.
"""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from dlco.exact.counts import tile_count
from dlco.exact.fanouts import apart, closest
from dlco.exact.hierarchy import HierarchyTables
from dlco.exact.labels import Labels, grouped, unbeaten_of_groups
from dlco.exact.lattice import Bools, Floats, Ints
from dlco.exact.tables import LayerTables
from dlco.hardware.network import MACS

PRIME = 1_000_003
SAME = 1 + 1e-12


@dataclass(frozen=True, eq=False)
class HierarchyLabels(Labels):
    """Labels whose states are numbers of tiles; words, MACs at work and steps are what they are at best.

    Attributes:
        whole: `[n, dims]` the least extents reached, no larger than the bounds.
        full, cut: `[n, dims]` steps of the busiest MAC in a whole tile, and in the last one, at least.
        total: `[n, dims]` its steps in all tiles.
        lanes: `[n, dims]` products of the spatial factors.
        ragged: `[n, dims]` whether some of them do not divide the number of tiles.
        odd: `[n, K]` whether a last tile of a term's window is alone among children: then ports may see fewer of its
            words than on average.
        chain: `[n, dims]` a number for all that was done to a dimension.
        loops: `[n, dims]` how many temporal loops it has; `last`: the level of the outermost.
        counted: `[n, dims]` whether one of them repeats words that are still to be asked for further out.
        crossed: `[n, dims]` whether words of a window may depend on extents.
    """

    whole: Ints
    full: Floats
    cut: Floats
    total: Floats
    lanes: Floats
    ragged: Bools
    odd: Bools
    chain: Ints
    loops: Ints
    last: Ints
    counted: Bools
    crossed: Bools

    @classmethod
    def start(cls, tables: LayerTables) -> Self:
        """One MAC."""
        return cls._fresh(tables, Labels.start(tables))

    @classmethod
    def none(cls, tables: LayerTables, levels: int) -> Self:
        """No labels of so many levels."""
        return cls._fresh(tables, Labels.none(tables, levels))

    @classmethod
    def _fresh(cls, tables: LayerTables, labels: Labels) -> Self:
        """Labels of one MAC each."""
        ones, no = np.ones((len(labels), tables.dims)), np.zeros((len(labels), tables.dims), dtype=bool)
        zeros, odd = no.astype(np.int64), np.zeros(labels.fills.shape, dtype=bool)
        return cls(
            **vars(labels),
            whole=zeros + 1,
            full=ones,
            cut=ones,
            total=ones * tables.bounds,
            lanes=ones,
            ragged=no,
            odd=odd,
            chain=zeros,
            loops=zeros,
            last=zeros,
            counted=no,
            crossed=no,
        )

    @property
    def port_share(self) -> Floats:
        """As `Labels` has it."""
        return self.share * ~self.odd

    def passing(self, tables: LayerTables, at: Ints) -> Floats:
        """As `Labels` has it."""
        assert isinstance(tables, HierarchyTables)
        return passing(tables, self.ragged, self.reached, at)

    def spread_over(self, tables: LayerTables, level: int, vector: Ints) -> Self:
        """As `Labels` has it."""
        assert isinstance(tables, HierarchyTables)
        fan = tables.fans[level]
        factors, to = fan.factors[vector], fan.after(self.reached, vector)
        before, after = tables.lattice.entries[self.reached], tables.lattice.entries[to]
        alone = (factors > 1) & (before - (after - 1) * factors == 1)
        share, odd = self._crossing(tables, level, factors, before / after, alone)
        total = np.where(alone, (after - 1) * self.full + self.cut, after * self.full)
        crossed = self.crossed.copy()
        for slide in tables.slides:
            crossed[:, list(slide.dims)] |= np.all(factors[:, list(slide.dims)] > 1, axis=1)[:, None]
        more = replace(
            self,
            vectors=np.column_stack([self.vectors, vector]),
            reached=to,
            share=self.share * share,
            instances=self.instances * fan.children[vector][:, None],
            spread=self.spread * fan.irrelevant[vector][:, None, tables.results],
            whole=np.minimum(self.whole * factors, tables.whole),
            cut=np.where(alone | (factors == 1), self.cut, self.full),
            total=np.where(factors > 1, total, self.total),
            lanes=self.lanes * factors,
            ragged=self.ragged | (before % factors > 0),
            odd=self.odd | odd,
            chain=self.chain * PRIME + factors,
            crossed=crossed,
        )
        return more._stepped(tables)

    def _crossing(
        self, tables: HierarchyTables, level: int, factors: Ints, children: Floats, alone: Bools
    ) -> tuple[Floats, Bools]:
        """(words that terms' parents serve over their fills, which are odd), `[n, K]`, of the fan-out of a level.

        Args:
            tables: the problem on the machine.
            level: whose children they are.
            factors: `[n, dims]` spatial factors.
            children: `[n, dims]` children there are on average.
            alone: `[n, dims]` whether the last tile is alone in its group.
        """
        lattice = tables.lattice
        share, odd = np.ones(self.share.shape), np.zeros(self.share.shape, dtype=bool)
        for slide in tables.slides:
            some = np.any(alone[:, list(slide.dims)], axis=1)[:, None]
            odd |= some & (tables.space_of == slide.space)
        sure = (lattice.entries[self.reached] * self.whole == tables.whole) & (children == factors)
        sure &= (lattice.largest == lattice.least)[self.reached]
        for j in np.flatnonzero(tables.crosses_at(level)):
            term = tables.terms[j]
            tile = np.zeros_like(self.reached) if term.level == MACS else self.states[:, term.level]
            between = lattice.digit[tile] != lattice.digit[self.reached]
            rate = np.where(alone & between, factors, children)
            share[:, j] = 1 / np.where(tables.relevant[term.space], 1.0, rate).prod(1)
            for slide in tables.slides:
                if slide.space == term.space:
                    n, m = (children[:, d] for d in slide.dims)
                    least = closest(n, m)
                    at = np.flatnonzero(np.all(sure[:, list(slide.dims)], axis=1) & (least < 1))
                    least[at] = apart(slide, children[at], self.whole[at])
                    share[:, j] *= least
        return share, odd

    def tiled(self, tables: LayerTables, level: int, tile: Ints, row: Ints) -> Self:
        """As `Labels` has it; those that do not fit are left out."""
        assert isinstance(tables, HierarchyTables)
        entries = tables.lattice.entries
        factors = tile_count(entries[self.reached], entries[tile])
        whole = np.minimum(self.whole * factors, tables.whole)
        good = np.all(tables.held(tables.words_of(whole))[:, level : tables.shared + 1], axis=1)
        some, tile, row, factors = self.pick(good), tile[good], row[good], factors[good]
        before, after = entries[some.reached], entries[tile]
        last = before - (after - 1) * tables.most(some.reached, tile)
        more = super(HierarchyLabels, some).tiled(tables, level, tile, row)
        loop = before > after
        still = np.zeros(more.fills.shape, dtype=np.int64)
        if level:
            still = tables.still(level, some.is_open, some.reached, tile, row)
        passed = (still[:, :, None] & tables.bits) > 0
        through = (tables.level_of >= 0) & (tables.level_of < level) & (tables.parent_of > level)
        counts = through[:, None] & ~tables.relevant[tables.space_of]
        crossed = some.crossed.copy()
        for slide in tables.slides if level else ():
            crossed[:, list(slide.dims)] |= loop[:, list(slide.dims[::-1])]
        weights = 1 << np.arange(len(tables.terms))
        more = replace(
            more,
            fills=lowered(tables, more.fills, still, some.ragged, some.reached, tile),
            whole=whole[good],
            full=some.full * factors,
            cut=some.full * (last - 1) + some.cut,
            chain=(some.chain * PRIME + tables.lattice.digit[tile]) * PRIME + (passed * weights[:, None]).sum(1),
            loops=some.loops + loop,
            last=np.where(loop, level, some.last),
            counted=some.counted | (loop & (counts & ~passed).any(1)),
            crossed=crossed,
        )
        return more._stepped(tables)

    def _stepped(self, tables: HierarchyTables) -> Self:
        """The same with as many MACs at work as its steps leave."""
        return replace(self, instances=np.column_stack([tables.macs / self.total.prod(1), self.instances[:, 1:]]))

    def unbeaten(self, tables: LayerTables, merit: Floats) -> Ints:
        """As `Labels` has it."""
        assert isinstance(tables, HierarchyTables)
        if not len(self):
            return np.arange(0)
        entries, level = tables.lattice.entries[self.reached], max(self.states.shape[1] - 1, 0)
        decided = self.vectors.shape[1] - 1
        more = -self.spread.reshape(len(self), self.spread[0].size)
        words = np.column_stack([self.fills, self.fills * self.share, more, self.whole, ~self.is_open])
        full, total = self.full * self.lanes, self.total * self.lanes
        words, windows = np.ascontiguousarray(words.T), np.ascontiguousarray(self._windows(tables).T)
        even = ~self.ragged
        short = (entries <= 2) | (not tables.fanned[min(decided + 1, tables.levels - 1)])
        narrow = self.lanes == 1
        simple = narrow & (self.loops <= 1) & self._held_late(tables, level) & ~self.counted
        straight = self.loops == 0
        fixed = np.ones((len(self), tables.dims), dtype=bool)
        for slide in tables.slides:
            at = list(slide.dims)
            choice = np.any((tables.lattice.largest != tables.lattice.least)[self.reached][:, at], axis=1)
            later = np.all(entries[:, at] > 1, axis=1) & tables.fanned[min(decided + 1, tables.levels - 1)]
            fixed[:, at] &= ~(choice & later)[:, None] & ~self.crossed[:, at]

        def beats(rival: Ints, rows: Ints) -> Bools:
            left = np.arange(len(rows))
            for column in words:
                left = left[column[rival[left]] <= column[rows[left]]]
            for column in windows:
                theirs = column[rows[left]]
                left = left[(theirs == 0) | (column[rival[left]] == theirs)]
            for d in range(tables.dims):
                a, b = rival[left], rows[left]
                regular = even[a, d] & even[b, d] & fixed[a, d] & fixed[b, d]
                regular &= (full[a, d] <= full[b, d] * SAME) & (total[a, d] <= total[b, d] * SAME)
                certain = short[b, d] & ~self.counted[a, d]
                certain |= simple[a, d] & narrow[b, d]
                certain |= straight[a, d] & straight[b, d]
                left = left[(self.chain[a, d] == self.chain[b, d]) | (regular & certain)]
            beaten = np.zeros(len(rows), dtype=bool)
            beaten[left] = True
            return beaten

        columns = np.column_stack([self.instances[:, 1:], self.lanes.prod(1)])
        return unbeaten_of_groups(grouped(self.reached, columns), merit, beats)

    def _held_late(self, tables: HierarchyTables, level: int) -> Bools:
        """`[n, dims]` whether no level from that of a dimension's outermost loop up to one has words that depend on it.

        But for that one itself, where loops lie.
        """
        depends = np.any(tables.kept[:, :, None] & tables.relevant, axis=1)
        found = np.zeros((len(self), tables.dims), dtype=bool)
        for d in range(tables.dims):
            free = np.array([not depends[own:level, d].any() for own in range(level + 1)])
            found[:, d] = free[np.clip(self.last[:, d], 0, level)]
        return found

    def _windows(self, tables: HierarchyTables) -> Ints:
        """`[n, K]` a number for what the windows of an open term's tile are like; 0 where nothing slides it."""
        found = np.zeros(self.fills.shape, dtype=np.int64)
        for j, term in enumerate(tables.terms):
            dims = sorted({d for slide in tables.slides if slide.space == term.space for d in slide.dims})
            if not dims or not 0 <= term.level < self.states.shape[1]:
                continue
            tile = self.states[:, term.level]
            choice = np.any((tables.lattice.largest != tables.lattice.least)[tile][:, dims], axis=1)
            alike = 1 + (tables.lattice.digit[tile][:, dims] * tables.lattice.stride[dims]).sum(1)
            same = np.zeros(len(self), dtype=np.int64)
            for d in dims:
                same = same * PRIME + self.chain[:, d]
            found[:, j] = np.where(self.is_open[:, j], np.where(choice, same | 1 << 62, alike), 0)
        return found


def passing(tables: HierarchyTables, ragged: Bools, inner: Ints, outer: Ints) -> Floats:
    """`[n, T]` by how much loops from one state to another that leave a dataspace in place lower its fills, at most.

    `ragged`: `[n, dims]` along which dimensions children idle inside.
    """
    mean = tables.extents[outer] / tables.extents[inner]
    rate = np.where(ragged, tables.rate(inner, outer), mean)
    return np.minimum(tables.alone(rate), tables.irrelevant[-1] / tables.irrelevant[inner])


def lowered(tables: HierarchyTables, fills: Floats, still: Ints, ragged: Bools, inner: Ints, outer: Ints) -> Floats:
    """`[n, K]` words of terms after loops `still` `[n, K]` that pass them by, of those where no child idles inside."""
    if not ragged.any():
        return fills
    more = np.where(ragged, tables.rate(inner, outer) * tables.extents[inner] / tables.extents[outer], 1.0)
    return fills / np.where((still[:, :, None] & tables.bits) > 0, more[:, None], 1.0).prod(2)
