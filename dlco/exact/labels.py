"""Partial tilings, from the MACs outwards: labels, the steps that make them grow, and which of them can be dropped."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Self

import numpy as np

from dlco.exact.lattice import Bools, Floats, Ints
from dlco.exact.tables import LayerTables
from dlco.hardware.network import MACS

ROUNDS = 24  # in which labels are held against the best of their states: what is left beaten only takes time


@dataclass(frozen=True, eq=False)
class Labels:
    """Tilings `[n]` of the levels up to some level.

    Attributes:
        states: `[n, levels]` extents of every level's tile.
        vectors: `[n, levels]` rows of the fan-outs' vectors; the fan-out next to come may be decided already.
        rows: `[n, levels]` order classes of every level; 0 at the innermost.
        reached: `[n]` states reached: of the last tile, or spread over the children of the next level.
        fills: `[n, K]` words a MAC of every term so far; `is_open`: which may still become smaller.
        share: `[n, K]` words that a term's parent serves over its fills, as far as its fan-outs are decided.
        instances: `[n, 1 + levels]` MACs, and instances of every level, that lie in one instance of the last level.
        spread: `[n, levels, R]` how many instances of every level see the same words of each result there.
    """

    states: Ints
    vectors: Ints
    rows: Ints
    reached: Ints
    fills: Floats
    is_open: Bools
    share: Floats
    instances: Floats
    spread: Floats

    @classmethod
    def start(cls, tables: LayerTables) -> Self:
        """One MAC."""
        operands = np.array([[1.0 if term.level == MACS else 0.0 for term in tables.terms]])
        none = np.zeros((1, 0), dtype=np.int64)
        return cls(
            *(none, none, none, np.zeros(1, dtype=np.int64)),
            *(operands, np.zeros(operands.shape, dtype=bool), np.ones(operands.shape)),
            *(np.ones((1, 1)), np.ones((1, 0, len(tables.results)))),
        )

    @classmethod
    def none(cls, tables: LayerTables, levels: int) -> Self:
        """No labels of so many levels."""
        ints = np.zeros((0, levels), dtype=np.int64)
        words = np.zeros((0, len(tables.terms)))
        return cls(
            *(ints, ints, ints, np.zeros(0, dtype=np.int64)),
            *(words, words > 0, words),
            *(np.zeros((0, 1 + levels)), np.zeros((0, levels, len(tables.results)))),
        )

    def __len__(self) -> int:
        return len(self.reached)

    def pick(self, index: Ints | Bools | slice) -> Self:
        """Some of them, or some several times."""
        return type(self)(*(getattr(self, field.name)[index] for field in fields(self)))

    @classmethod
    def join(cls, parts: Sequence[Self]) -> Self:
        """All of several, at least one."""
        return cls(*(np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(cls)))

    @property
    def port_share(self) -> Floats:
        """`[n, K]` words that a term's parent serves over its fills, as far as its ports are known to be asked."""
        return self.share

    def passing(self, tables: LayerTables, at: Ints) -> Floats:
        """`[n, T]` by how much loops up to other states that leave a dataspace in place lower its fills, at most."""
        return tables.irrelevant[at] / tables.irrelevant[self.reached]

    def unbeaten(self, tables: LayerTables, merit: Floats) -> Ints:
        """Indices of labels of one level, without most of those that another beats; `merit` as `unbeaten_labels`."""
        return unbeaten_labels(tables, self, merit)

    def spread_over_one(self) -> Self:
        """Under a level that has no spatial factors: as its one child."""
        return replace(self, vectors=np.column_stack([self.vectors, np.zeros(len(self), dtype=np.int64)]))

    def spread_over(self, tables: LayerTables, level: int, vector: Ints) -> Self:
        """With spatial factors `[n]` of the next level, rows of its fan-out's vectors, which lead to a state."""
        fan = tables.fans[level]
        share, crosses = fan.share(vector, self.reached), tables.crosses_at(level)
        children = fan.children[vector]
        return replace(
            self,
            vectors=np.column_stack([self.vectors, vector]),
            reached=fan.after(self.reached, vector),
            share=self.share * np.where(crosses, share[:, tables.space_of], 1.0),
            instances=self.instances * children[:, None],
            spread=self.spread * fan.irrelevant[vector][:, None, tables.results],
        )

    def tiled(self, tables: LayerTables, level: int, tile: Ints, row: Ints) -> Self:
        """With the temporal loops of the level whose fan-out was decided, up to tiles `[n]` in orders `[n]`."""
        if level:
            fills, is_open = tables.step(level, self.fills, self.is_open, self.reached, tile, self.states, row)
        else:
            fills, is_open = self.fills.copy(), self.is_open.copy()
            for j in np.flatnonzero(tables.level_of == 0):
                space = tables.terms[j].space
                fills[:, j], is_open[:, j] = tables.words[tile, space] / tables.volume[tile], True
        return replace(
            self,
            states=np.column_stack([self.states, tile]),
            rows=np.column_stack([self.rows, row]),
            reached=tile,
            fills=fills,
            is_open=is_open,
            instances=np.column_stack([self.instances, np.ones(len(self))]),
            spread=np.concatenate([self.spread, np.ones((len(self), 1, len(tables.results)))], 1),
        )


class LabelStore:
    """The labels of problems on many machines, each made once: they depend on what fits and is kept inside alone."""

    def __init__(self) -> None:
        self._made: dict[tuple[object, ...], Labels] = {}

    def __call__(self, tables: LayerTables) -> Labels:
        """As `make_labels`."""
        inside = slice(0, tables.shared + 1)
        room = np.packbits(tables.fits[:, inside], axis=None).tobytes()
        allowed = tuple(row.tobytes() for rows in tables.masks.temporal[inside] for row in rows)
        leading = tuple(map(tables.masks.innermost, range(tables.shared + 1)))
        key = tables.problem, tables.kept.tobytes(), room, allowed, leading
        if key not in self._made:
            self._made[key] = make_labels(tables)
        return self._made[key]


def make_labels(tables: LayerTables, spare: Floats | None = None) -> Labels:
    """All labels of a problem on a machine that has no spatial factors inside level m, but for those beaten.

    Of two that reach the same state, one that fills no tile with more words and leaves every run of free loops open
    that the other leaves open can be completed like the other at no more cost, whatever the energies and bandwidths.

    Args:
        tables: the problem on the machine.
        spare: `[states]` pJ a MAC by which tilings that reach a state may exceed the least that there is, -inf for
            states that need not be reached; all tilings are made where it is not given.
    """
    m, labels = tables.shared, Labels.start(tables)
    most: list[Floats] = []
    useful = [np.ones(tables.lattice.size, dtype=bool)] * m
    if spare is not None:
        most = [-tables.lattice.least_of_multiples(-spare)] * (m - 1) + [spare]
        useful = [one > -np.inf for one in most]
    for level in range(m):
        labels = labels.spread_over_one()
        label, to = tables.lattice.multiples(labels.reached, tables.room(level) & useful[level], tables.links[level])
        row = np.zeros_like(to)
        if level:
            at, row = tables.classes[level - 1].of(tables.loops(labels.reached[label], to))
            label, to = label[at], to[at]
        grown = labels.pick(label).tiled(tables, level, to, row)
        if most:
            excess = _excess(tables, level, grown.fills, grown.is_open, grown.reached)
            grown = grown.pick(excess <= most[level][grown.reached])
        words = np.column_stack([tables.whole_words(grown.fills), *tables.asked_apart(grown)])
        labels = grown.pick(_unbeaten(grown.reached, words, grown.is_open))
    return labels


def _excess(tables: LayerTables, level: int, fills: Floats, is_open: Bools, reached: Ints) -> Floats:
    """`[n]` pJ a MAC by which tiles whose runs have ended exceed the least that reaches a state or beyond."""
    excess = np.zeros(len(fills))
    for j, term in enumerate(tables.terms):
        if MACS < term.level <= level:
            over = fills[:, j] - tables.least_words[reached, term.space]
            excess += np.where(is_open[:, j], 0.0, over) * tables.inside_pj[j]
    return excess


def _unbeaten(group: Ints, words: Floats, is_open: Bools) -> Ints:
    """Indices of the rows that none of their `group` `[n]` beats, by `words` `[n, ...]`; of equal ones the first."""
    order = np.lexsort((*is_open.T, *words.T, group))
    same = np.zeros(len(order), dtype=bool)
    same[1:] = np.all([np.diff(one[order]) == 0 for one in (group, *words.T, *is_open.astype(np.int8).T)], 0)
    order = order[~same]
    starts = np.flatnonzero(np.diff(group[order], prepend=-1, append=-1))
    alone = np.diff(starts) == 1
    kept = [order[starts[:-1][alone]]]
    for start, end in zip(starts[:-1][~alone].tolist(), starts[1:][~alone].tolist(), strict=True):
        rows = order[start:end]
        less = (words[rows][:, None] <= words[rows][None]).all(-1)
        less &= (is_open[rows][:, None] >= is_open[rows][None]).all(-1)
        kept.append(rows[less.sum(0) == 1])  # each is no worse than itself, and none equals another
    return np.concatenate(kept)


def unbeaten_labels(tables: LayerTables, labels: Labels, merit: Floats) -> Ints:
    """Indices of labels of one level, without most of those that another beats, whatever follows.

    Of two that reach the same state with as many MACs at work and instances of every level, one beats the other that
    has no more words in any term, as filled and as served, no fewer instances that see the same results, and every run
    of free loops open that the other has open; where windows slide in such a run, over tiles that slide alike. More
    MACs at work would do as well, but for rounding errors of the cycles that ports need, which depend on them; and
    instances decide what whole blocks and ports of each count.

    Args:
        tables: the problem on the machine.
        labels: of one level.
        merit: `[n]` small for labels that are likely to beat others.
    """
    more = -labels.spread.reshape(len(labels), labels.spread[0].size)
    words = np.column_stack([labels.fills, labels.fills * labels.share, more, ~labels.is_open])
    windows = _windows(tables, labels)

    def beats(rival: Ints, rows: Ints) -> Bools:
        beaten = np.ones(len(rows), dtype=bool)
        for column in words.T:
            beaten &= column[rival] <= column[rows]
        for column in windows.T:
            beaten &= (column[rival] == column[rows]) | (column[rows] == 0)
        return beaten

    return unbeaten_of_groups(grouped(labels.reached, labels.instances), merit, beats)


def grouped(states: Ints, columns: Floats) -> Ints:
    """`[n]` numbers of groups whose members have the same state and columns `[n, ...]`."""
    group = states
    for column in columns.T:
        values, place = np.unique(column, return_inverse=True)
        group = group * len(values) + place
        group = np.unique(group, return_inverse=True)[1]
    return group


def unbeaten_of_groups(group: Ints, merit: Floats, beats: Callable[[Ints, Ints], Bools]) -> Ints:
    """Indices without most of those that another of their group beats: in rounds, the best are held against the others.

    Args:
        group: `[n]` numbers.
        merit: `[n]` small for what is likely to beat others.
        beats: of indices `[k]` each, whether the one is no worse than the other.
    """
    order = np.lexsort((merit, group))
    group = np.unique(group[order], return_inverse=True)[1]
    left, tried = np.arange(len(order)), np.zeros(len(order), dtype=bool)
    for _ in range(ROUNDS):
        fresh = left[~tried[left]]
        if not len(fresh):
            break
        best = fresh[np.flatnonzero(np.diff(group[fresh], prepend=-1))]
        tried[best] = True
        of_group = np.full(group[-1] + 1, -1)
        of_group[group[best]] = best
        rival = of_group[group[left]]
        others = (rival >= 0) & (rival != left)
        rival, rows = rival[others], left[others]
        gone = np.zeros(len(order), dtype=bool)
        gone[rows[beats(order[rival], order[rows])]] = True
        left = left[~gone[left]]
    return np.sort(order[left])


def _windows(tables: LayerTables, labels: Labels) -> Ints:
    """`[n, K]` a number for what the windows of an open term's tile are like; 0 where nothing slides it."""
    found = np.zeros(labels.fills.shape, dtype=np.int64)
    for j, term in enumerate(tables.terms):
        alike = tables.alike(term.space)
        if alike is not None and 0 <= term.level < labels.states.shape[1]:
            found[:, j] = np.where(labels.is_open[:, j], alike[labels.states[:, term.level]], 0)
    return found
