"""Labels of all levels inside level m, grown outwards; what a front excludes or another label beats is dropped."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch

from dlco.design.dominance import unbeaten
from dlco.exact.frontier import Frontier
from dlco.exact.labels import Labels
from dlco.exact.lattice import Bools, Floats, Ints
from dlco.exact.outlook import Outlook

CHUNK = 1 << 15  # labels bounded at once
TILED = 256  # labels whose multiples are listed at once
LAST = 10  # times the width may be kept of the last level, whose pairs are bounded well
CROWD = 1_000_000  # labels of a level held at most before those are dropped that another beats


class Stopped(Exception):
    """The growth was told to stop."""


@dataclass(frozen=True, eq=False)
class Bounded:
    """Labels `[n]` with lower bounds of all their completions: pJ a MAC, and cycles."""

    labels: Labels
    energy: Floats
    cycles: Floats

    def pick(self, index: Ints | Bools) -> "Bounded":
        """Some of them."""
        return Bounded(self.labels.pick(index), self.energy[index], self.cycles[index])

    @staticmethod
    def join(parts: "list[Bounded]") -> "Bounded":
        """All of several, at least one."""
        labels = type(parts[0].labels).join([part.labels for part in parts])
        return Bounded(labels, *(np.concatenate([getattr(p, name) for p in parts]) for name in ("energy", "cycles")))


class Growth:
    """One run of growing labels, level by level.

    Attributes:
        outlook: the bounds.
        front: cycles and pJ that labels must be able to better.
        width: most labels of a level that are grown further.
        go_on: asked before every chunk of labels; where it says no, `run` raises `Stopped`.
        kind: of the labels.
    """

    def __init__(
        self, outlook: Outlook, front: Frontier, width: int, go_on: Callable[[], bool], kind: type[Labels] = Labels
    ) -> None:
        self.outlook, self.tables, self.kind = outlook, outlook.tables, kind
        self.front, self.width, self.go_on = front, width, go_on
        self._dropped: list[Floats] = [np.zeros((0, 2))]

    def run(self) -> tuple[Labels, Floats]:
        """(labels of all levels inside level m, `[k, 2]` (pJ, cycles) bounds of what was left out for the width)."""
        labels = self.kind.start(self.tables)
        last = self.tables.shared - 1
        for level in range(self.tables.shared):
            if not self.tables.fans[level].is_given and len(labels):
                labels = self._kept(self._spread(labels, level), level, self.width)
            elif len(labels):
                labels = labels.spread_over_one()
            labels = self._kept(self._tiled(labels, level), level, self.width * (LAST if level == last else 1))
        dropped = np.concatenate(self._dropped)
        return labels, dropped[unbeaten(*torch.from_numpy(dropped.T.copy())).numpy()]

    def _spread(self, labels: Labels, level: int) -> Iterator[Bounded]:
        """The labels with all spatial factors of a level."""
        label, vector, _ = self.outlook.pairs(labels, level, self.front)
        for start in range(0, len(label), CHUNK):
            self._ask()
            some = slice(start, start + CHUNK)
            yield self._bounded(labels.pick(label[some]).spread_over(self.tables, level, vector[some]), level + 1)

    def _tiled(self, labels: Labels, level: int) -> Iterator[Bounded]:
        """The labels with all temporal loops of a level."""
        tables = self.tables
        good = tables.room(level)
        for start in range(0, len(labels), TILED):
            reached = labels.reached[start : start + TILED]
            label, to = tables.lattice.multiples(reached, good, tables.links[level])
            energy, steps = self.outlook.roughly(labels.pick(slice(start, start + TILED)), level)
            open_ = self._open(*self.outlook.with_tiles(energy[label], steps[label], level, to))
            label, to = label[open_], to[open_]
            for first in range(0, len(to), CHUNK):
                self._ask()
                some, tile = labels.pick(start + label[first : first + CHUNK]), to[first : first + CHUNK]
                good_so_far = self._open(*self.outlook.least(some, level + 1, tile))
                some, tile = some.pick(good_so_far), tile[good_so_far]
                row = np.zeros_like(tile)
                if level:
                    at, row = tables.classes[level - 1].of(tables.loops(some.reached, tile))
                    some, tile = some.pick(at), tile[at]
                yield self._bounded(some.tiled(tables, level, tile, row), level + 1)

    def _bounded(self, labels: Labels, ahead: int) -> Bounded:
        """Those of the labels that may better the front, fan-outs from level `ahead` on being to come."""
        energy, cycles = self.outlook.least(labels, ahead)
        good = self._open(energy, cycles)
        some = Bounded(labels.pick(good), energy[good], cycles[good])
        if self.outlook.next_fan(ahead) > self.tables.shared:
            return some
        energy = self.outlook.least_of_vectors(some.labels, ahead, some.cycles)
        some = Bounded(some.labels, energy, some.cycles)
        return some.pick(self._open(energy, some.cycles))

    def _open(self, energy: Floats, cycles: Floats) -> Ints:
        """Which of the bounds, pJ a MAC and cycles, the front leaves."""
        return np.flatnonzero(np.isfinite(energy) & ~self.front.excludes(cycles, energy * self.tables.macs))

    def _ask(self) -> None:
        if not self.go_on():
            raise Stopped

    def _kept(self, parts: Iterator[Bounded], level: int, width: int) -> Labels:
        """The labels of all parts but those that another beats, and no more than a width."""
        found: list[Bounded] = []
        count = 0
        for part in parts:
            if len(part.labels):
                found.append(part)
                count += len(part.labels)
            if count > CROWD:
                found = [self._narrowed(self._thinned(Bounded.join(found)), max(width, CROWD // 2))]
                count = len(found[0].labels)
        if not found:
            return self.kind.none(self.tables, level + 1)
        return self._narrowed(self._thinned(Bounded.join(found)), width).labels

    def _thinned(self, some: Bounded) -> Bounded:
        return some.pick(some.labels.unbeaten(self.tables, some.energy * some.cycles))

    def _narrowed(self, some: Bounded, width: int) -> Bounded:
        """At most `width` of them; the bounds of the others are kept."""
        if len(some.labels) <= width:
            return some
        chosen = varied(some.labels.reached, some.energy * some.cycles, width)
        out = some.pick(~chosen)
        self._dropped.append(np.column_stack([out.energy * self.tables.macs, out.cycles]))
        return some.pick(chosen)


def varied(states: Ints, merit: Floats, width: int) -> Bools:
    """`[n]` which labels to go on with: half of them of the least merit, half the best of their states.

    Bounds far from the end hardly tell apart what labels of different states lead to.
    """
    order = np.argsort(merit, kind="stable")
    chosen = np.zeros(len(merit), dtype=bool)
    chosen[order[: width // 2]] = True
    by_state = order[np.argsort(states[order], kind="stable")]
    first = np.flatnonzero(np.diff(states[by_state], prepend=-1))
    rank = np.arange(len(merit)) - np.repeat(first, np.diff(np.append(first, len(merit))))
    rest = by_state[np.lexsort((merit[by_state], rank))]
    rest = rest[~chosen[rest]]
    chosen[rest[: width - width // 2]] = True
    return chosen
