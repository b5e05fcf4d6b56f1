"""Windows over the children of the array where tiles are cut short: the least that children ask for together.

Which loop further out slides the tiles is not known where pairs of labels and spatial factors are bounded. In every
situation of the children of a dimension (`dlco.cost.windows`) they may slide at any number of steps, so that the least
of what is asked for, over what is received, has each slide always or never.
"""

from dataclasses import dataclass, field
from functools import cached_property
from itertools import product

import numpy as np
import torch

from dlco.cost.windows import Line, words_at
from dlco.exact.lattice import Floats, Ints
from dlco.exact.tiles import Slide


def least_share(slide: Slide, bounds: tuple[int, int], tile: Ints, pitch: Ints, spread: Ints) -> Floats:
    """`[n]` words that children ask for together over those that they receive, at the least.

    Args:
        slide: the rank that two dimensions share.
        bounds: of them.
        tile: `[n, 2]` extents of the whole tiles that are filled.
        pitch: `[n, 2]` iterations from a child to the next.
        spread: `[n, 2]` children.
    """
    least = torch.ones(len(tile), dtype=torch.float64)
    lines = []
    for i, (c, bound) in enumerate(zip(slide.steps, bounds, strict=True)):
        inner = pitch[:, i] // tile[:, i]
        steps = np.where(inner > 1, 1, spread[:, i])  # of the loop that slides, among a child's tiles or beyond them
        rows = (np.full_like(steps, c), np.full_like(steps, bound), tile[:, i], steps, inner, inner, spread[:, i])
        lines.append(Line(*(torch.from_numpy(row.astype(float)) for row in rows)))
    for a, b in (lines, lines[::-1]):
        own, other = a.situations.laid(1), b.situations.laid(0)
        often = own.comes * other.comes
        both = [
            [(words * often).sum(1) for words in words_at(a, own, b, other, slides=slides)] for slides in (False, True)
        ]
        for choice in product((0, 1), repeat=len(own.comes)):
            asked, received = (sum(both[on][i][k] for k, on in enumerate(choice)) for i in range(2))
            least = torch.minimum(least, torch.as_tensor(asked) / torch.as_tensor(received))
    return least.numpy()


@dataclass(eq=False)
class Sharing:
    """The least shares of the pairs of labels and spatial factors, of one rank and the tiles of one level.

    Attributes:
        slide: the rank; `bounds`: of its dimensions.
        tile: `[labels, 2]` extents of the whole tiles; `pitch`: of the outermost ones inside a processing element.
        spread: `[S, 2]` spatial factors.
    """

    slide: Slide
    bounds: tuple[int, int]
    tile: Ints
    pitch: Ints
    spread: Ints
    _codes: Ints = field(default_factory=lambda: np.zeros(0, dtype=np.int64))  # those known, in order
    _shares: Floats = field(default_factory=lambda: np.zeros(0))

    @cached_property
    def _labels(self) -> tuple[Ints, Ints]:
        once, place = np.unique(np.column_stack([self.tile, self.pitch]), axis=0, return_inverse=True)
        return once, place.reshape(-1)

    @cached_property
    def _vectors(self) -> tuple[Ints, Ints]:
        once, place = np.unique(self.spread, axis=0, return_inverse=True)
        return once, place.reshape(-1)

    def of(self, label: Ints, vector: Ints) -> Floats:
        """`[n]`."""
        (tiles, tile), (spreads, spread) = self._labels, self._vectors
        share = np.ones(len(label))
        both = np.flatnonzero((self.spread[vector] > 1).all(1))
        codes, place = np.unique(tile[label[both]] * len(spreads) + spread[vector[both]], return_inverse=True)
        new = codes[~np.isin(codes, self._codes, assume_unique=True)]
        if len(new):
            rows, children = tiles[new // len(spreads)], spreads[new % len(spreads)]
            found = least_share(self.slide, self.bounds, rows[:, :2], rows[:, 2:], children)
            known = np.concatenate([self._codes, new])
            order = np.argsort(known)
            self._codes, self._shares = known[order], np.concatenate([self._shares, found])[order]
        share[both] = self._shares[np.searchsorted(self._codes, codes)][place]
        return share
