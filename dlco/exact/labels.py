"""Tilings inside a processing element, those that may be part of an optimum: one label each.

Labels grow outwards level by level over the lattice. Of two that reach the same state, one that fills no tile with more
words and leaves every run of free loops open that the other leaves open can be completed like the other at no more
cost, whatever the machine's energies and bandwidths; the other is dropped.
"""

from dataclasses import dataclass

import numpy as np

from dlco.exact.lattice import Bools, Floats, Ints
from dlco.exact.tables import MACS, LayerTables


@dataclass(frozen=True, eq=False)
class Labels:
    """Tilings `[n]` of the levels inside a processing element.

    Attributes:
        states: `[n, m]` extents of every level's tile; none where no level lies inside.
        rows: `[n, m - 1]` order classes of every level but the innermost.
        fills: `[n, K]` words a MAC of every term so far; `is_open`: which may still become smaller.
    """

    states: Ints
    rows: Ints
    fills: Floats
    is_open: Bools

    @staticmethod
    def none(tables: LayerTables) -> "Labels":
        """No labels yet."""
        none, fills = np.zeros((0, 0), dtype=np.int64), np.zeros((0, len(tables.terms)))
        return Labels(none, none, fills, fills > 0)

    @property
    def reached(self) -> Ints:
        """`[n]` states of the outermost tiles; that of a single iteration where no level lies inside."""
        return self.states[:, -1] if self.states.shape[1] else np.zeros(len(self.states), dtype=np.int64)

    def __len__(self) -> int:
        return len(self.states)


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
    """The labels of a problem on a machine; none where a processing element holds no tile.

    Args:
        tables: the problem on the machine.
        spare: `[states]` pJ a MAC by which tilings that reach a state may exceed the least that there is, -inf for
            states that need not be reached; all tilings are made where it is not given.
    """
    lattice, m, terms = tables.lattice, tables.shared, tables.terms
    fits = tables.fits[:, : m + 1]  # tiles only grow on the way out, so all levels' room counts at once
    operands = np.array([term.level == MACS for term in terms])
    useful = [np.ones(lattice.size, dtype=bool)] * m
    if spare is not None:
        inside = -lattice.least_of_multiples(-spare)
        most = [inside] * (m - 1) + [spare]
        useful = [one > -np.inf for one in most]
    found = np.flatnonzero(fits.all(1) & tables.begins & useful[0]) if m else np.zeros(1, dtype=np.int64)
    fills = np.tile(np.where(operands, 1.0, 0.0), (len(found), 1))
    is_open = np.zeros(fills.shape, dtype=bool)
    none = np.zeros((len(found), 0), dtype=np.int64)
    if not m:
        return Labels(none, none, fills, is_open)
    for j, term in enumerate(terms):
        if term.level == 0:
            fills[:, j], is_open[:, j] = tables.words[found, term.space] / tables.volume[found], True
    labels = Labels(found[:, None], none, fills, is_open)
    for level in range(1, m):
        reached = labels.reached
        fitting = np.all(fits[:, level:], axis=1) & useful[level]
        label, to = lattice.multiples(reached, fitting, tables.links[level])
        at, row = tables.classes[level - 1].of(tables.loops(reached[label], to))
        label, to = label[at], to[at]
        inner = reached[label]
        fills, is_open = tables.step(level, labels.fills[label], labels.is_open[label], inner, to, inner, row)
        if spare is not None:
            good = np.flatnonzero(_excess(tables, level, fills, is_open, to) <= most[level][to])
            label, to, row, fills, is_open = label[good], to[good], row[good], fills[good], is_open[good]
        keep = _unbeaten(to, np.rint(fills * tables.macs), is_open)
        label = label[keep]
        labels = Labels(
            np.column_stack([labels.states[label], to[keep]]),
            np.column_stack([labels.rows[label], row[keep]]),
            fills[keep],
            is_open[keep],
        )
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
    """Indices of the rows that no other of their `group` `[n]` beats, by `words` `[n, K]`; of equal ones the first."""
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
