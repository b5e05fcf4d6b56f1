"""What each level keeps as a choice: one front over all bypasses that a machine allows.

Every choice is a machine of its own, and all share one front: a choice that cannot improve it falls to its bounds
alone, before any tiling is made (`Sieve`). The most promising go first. Lattice, spatial factors and what is left
outside a shared level that keeps the same are made once.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations, product

import numpy as np

from dlco.exact.array import ArrayTables
from dlco.exact.best_first import FrontSearch
from dlco.exact.bounds import Bounds
from dlco.exact.case import Case
from dlco.exact.frontier import Frontier
from dlco.exact.lattice import Floats, Ints
from dlco.exact.sieve import Sieve
from dlco.mapping.kept import Bypass, free_levels
from dlco.mapping.mapping import Mapping


def choices(case: Case) -> tuple[Bypass, ...]:
    """What every level may bypass beyond the machine, one set a level; as stated first.

    The levels of `free_levels` may bypass anything that the machine lets them keep.
    """
    names, levels = [space.name for space in case.problem.dataspaces], case.architecture.levels
    free = free_levels(case.architecture, case.constraints)
    sets = []
    for level in levels:
        own = case.resolved.bypassed(level.name)
        may = [name for name in names if level.name in free and name not in level.bypass]
        sets.append([own | set(some) for n in range(len(may) + 1) for some in combinations(may, n)])
    return tuple(product(*sets))


@dataclass(frozen=True, eq=False)
class Choice:
    """One choice of what every level keeps, not yet searched.

    Attributes:
        tables: the problem on the machine that keeps so.
        energy, cycles: `[n]` pJ of one execution and cycles, one of which each of its mappings needs at least.
    """

    tables: ArrayTables
    energy: Floats
    cycles: Floats

    @property
    def merit(self) -> float:
        """Its least bound on EDP; infinite where nothing is left of it."""
        return float((self.energy * self.cycles).min(initial=np.inf))


class KeepSearch:
    """The search of one problem on one machine over all that its levels may keep; `run` it, as a `FrontSearch`.

    Attributes:
        tables: the problem on the machine as stated.
        front: unbeaten points so far; rows are indices of mappings.
        evaluated: mappings evaluated so far.
    """

    def __init__(self, case: Case) -> None:
        chosen = choices(case)
        self.tables = ArrayTables(case.problem, case.architecture, case.constraints, chosen[0])
        self.front = Frontier.empty(1)
        self.evaluated = 0
        self._mappings: list[Mapping] = []
        self._now: FrontSearch | None = FrontSearch(self.tables)
        self._take()
        others = chosen[1:] if len(self.tables.spatial) else ()
        self._todo = [self._choice(bypass) for bypass in others]
        while self._todo and not len(self.front.cycles):
            self._begin()

    def run(self, go_on: Callable[[], bool] = lambda: True) -> None:
        """Search until the front is proved, or until `go_on`, asked before every batch, says no."""
        while self._now or self._todo:
            if not self._now:
                if not go_on():
                    return
                self._begin()
                continue
            self._now.run(go_on)
            self._take()
            if len(self._now.left.label):
                return
            self._now = None

    def _choice(self, bypass: Bypass) -> Choice:
        tables = self.tables.keeping(bypass)
        return Choice(tables, *_least(*_sieve(tables).floor()))

    def _begin(self) -> None:
        """Begin to search the most promising choice, if anything is left of it."""
        best = min(range(len(self._todo)), key=lambda i: self._todo[i].merit)
        choice = self._todo.pop(best)
        if self.front.excludes(choice.cycles, choice.energy).all():
            return
        tables = choice.tables
        ways, _, _ = _sieve(tables).open(self.front)
        if len(ways.states):
            self._now = FrontSearch(tables, self.front, ways)
            self._take()

    def _take(self) -> None:
        """Take over what the present search has found."""
        found = self._now
        assert found is not None
        new = found.front.rows[:, 0] >= 0
        rows = np.where(new, len(self._mappings) + np.cumsum(new) - 1, -1 - found.front.rows[:, 0])
        known = self.front.rows[np.maximum(-1 - found.front.rows[:, 0], 0), 0] if len(self.front.rows) else rows
        self._mappings += found.mappings()
        self.front = Frontier(found.front.cycles, found.front.energy, np.where(new, rows, known)[:, None])
        found.front = self.front.marked(found.front.rows.shape[1])
        self.evaluated += found.evaluated
        found.evaluated = 0

    def open_bounds(self) -> tuple[Floats, Floats]:
        """(pJ of one execution, cycles) that what is left of the space needs at least, `[n]` each."""
        parts = [(choice.energy, choice.cycles) for choice in self._todo]
        parts += [self._now.open_bounds()] if self._now else []
        energy, cycles = (np.concatenate([part[k] for part in parts] or [np.zeros(0)]) for k in (0, 1))
        left = ~self.front.excludes(cycles, energy)
        return energy[left], cycles[left]

    def mappings(self) -> tuple[Mapping, ...]:
        """The mappings of the front's points."""
        return tuple(self._mappings[i] for i in self.front.rows[:, 0].tolist())


def _sieve(tables: ArrayTables) -> Sieve:
    return Sieve(tables, Bounds(tables))


def _least(energy: Floats, cycles: Floats) -> tuple[Floats, Floats]:
    """Those of some bounds that no other is below."""
    order = np.lexsort((energy, cycles))
    energy, cycles = energy[order], cycles[order]
    keep: Ints = np.flatnonzero(energy < np.minimum.accumulate(np.concatenate([[np.inf], energy[:-1]])))
    return energy[keep], cycles[keep]
