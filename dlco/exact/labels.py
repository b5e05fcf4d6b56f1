"""Tilings inside a processing element, those that may be part of an optimum: one label each.

Labels grow outwards level by level over the lattice. Of two that reach the same state, one that fills no tile with more
words and leaves every run of free loops open that the other leaves open can be completed like the other at no more
cost, whatever the machine's energies and bandwidths; the other is dropped.
"""

from dataclasses import dataclass
from itertools import pairwise

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


def make_labels(tables: LayerTables, ends: Ints | None = None) -> Labels:
    """The labels of a problem on a machine; none where a processing element holds no tile.

    Args:
        tables: the problem on the machine.
        ends: the only states that are worth reaching; all, where they are not given.
    """
    lattice, m, terms = tables.lattice, tables.shared, tables.terms
    fits = tables.fits[:, : m + 1]  # tiles only grow on the way out, so all levels' room counts at once
    operands = np.array([term.level == MACS for term in terms])
    useful = np.ones(lattice.size, dtype=bool) if ends is None else np.isin(np.arange(lattice.size), ends)
    leads = useful if m < 2 else np.isfinite(lattice.least_of_multiples(np.where(useful, 0.0, np.inf)))
    found = np.flatnonzero(fits.all(1) & tables.begins & leads) if m else np.zeros(1, dtype=np.int64)
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
        label, to = lattice.multiples(
            reached, np.all(fits[:, level:], axis=1) & (leads if level < m - 1 else useful), tables.links[level]
        )
        at, row = tables.classes[level - 1].of(tables.loops(reached[label], to))
        label, to = label[at], to[at]
        inner = reached[label]
        fills, is_open = tables.step(level, labels.fills[label], labels.is_open[label], inner, to, inner, row)
        keep = _unbeaten(to, np.rint(fills * tables.macs), is_open)
        label = label[keep]
        labels = Labels(
            np.column_stack([labels.states[label], to[keep]]),
            np.column_stack([labels.rows[label], row[keep]]),
            fills[keep],
            is_open[keep],
        )
    return labels


def _unbeaten(group: Ints, words: Floats, is_open: Bools) -> Ints:
    """Indices of the rows that no other of their `group` `[n]` beats, by `words` `[n, K]`; of equal ones the first."""
    order = np.lexsort((*words.T, group))
    starts = np.flatnonzero(np.diff(group[order], prepend=-1, append=-1))
    kept = []
    for start, end in pairwise(starts):
        rows = order[start:end]
        rows = rows[np.sort(np.unique(np.column_stack([words[rows], is_open[rows]]), axis=0, return_index=True)[1])]
        less = (words[rows][:, None] <= words[rows][None]).all(-1)
        less &= (is_open[rows][:, None] >= is_open[rows][None]).all(-1)
        earlier = np.arange(len(rows))[:, None] < np.arange(len(rows))
        kept.append(rows[~(less & (earlier | ~less.T)).any(0)])
    return np.concatenate(kept) if kept else np.zeros(0, dtype=np.int64)
