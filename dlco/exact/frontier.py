"""The unbeaten points found so far: what a bound must undercut for a part of the space to be worth a look."""

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from dlco.exact.lattice import Bools, Floats, Ints

ROUNDING = 1e-12  # relative: a point must be cheaper by more to count as better


class Interest(Protocol):
    """Which points are looked for: where it is known what else a point is for, most are of no use."""

    def excludes(self, cycles: Floats, energy: Floats) -> Bools:
        """Whether no point of at least these cycles and energies, arrays of any shape, is looked for."""


@dataclass(frozen=True)
class AnyPoint:
    """Interest in all points."""

    def excludes(self, cycles: Floats, energy: Floats) -> Bools:
        """No point is excluded."""
        return np.zeros(cycles.shape, dtype=bool)


@dataclass(frozen=True, eq=False)
class Frontier:
    """Points of which none is beaten, fewest cycles first.

    Attributes:
        cycles, energy: `[n]`; energies fall as cycles rise.
        rows: `[n, k]` what each point stands for.
        interest: which points are looked for.
    """

    cycles: Floats
    energy: Floats
    rows: Ints
    interest: Interest = AnyPoint()

    @staticmethod
    def empty(columns: int, interest: Interest | None = None) -> "Frontier":
        """No points yet, of so many columns."""
        nothing = np.zeros((0, columns), dtype=np.int64)
        return Frontier(np.zeros(0), np.zeros(0), nothing, interest or AnyPoint())

    def marked(self, columns: int) -> "Frontier":
        """The same points; the first of so many columns of their rows is -1 - index."""
        rows = np.zeros((len(self.cycles), columns), dtype=np.int64)
        rows[:, 0] = -1 - np.arange(len(rows))
        return replace(self, rows=rows)

    def excludes(self, cycles: Floats, energy: Floats) -> Bools:
        """Whether nothing of at least these cycles and energies `[n]` can be a better point that is looked for."""
        return self.interest.excludes(cycles, energy) | (energy >= self.allowed(cycles))

    def allowed(self, cycles: Floats) -> Floats:
        """The energy `[n]` that a better point of at least so many cycles stays below."""
        return self.least_energy(cycles) * (1 - ROUNDING)

    def excludes_all(self, cycles: Floats, energy: Floats) -> Bools:
        """As `excludes`, for tables `[n, k]` and a few points; what takes infinite energy is excluded as well."""
        excluded = np.isinf(energy) | self.interest.excludes(cycles, energy)
        for fewest, least in zip(self.cycles, self.energy * (1 - ROUNDING), strict=True):
            excluded |= (cycles >= fewest) & (energy >= least)
        return excluded

    def least_energy(self, cycles: Floats) -> Floats:
        """What must be undercut at so many cycles `[n]`; infinite where nothing is so fast."""
        at = np.searchsorted(self.cycles, cycles, side="right") - 1
        return np.where(at >= 0, np.append(self.energy, np.inf)[at], np.inf)

    def joined(self, cycles: Floats, energy: Floats, rows: Ints) -> "Frontier":
        """These points and others, without those that another beats; of equal ones the first."""
        cycles, energy = np.concatenate([self.cycles, cycles]), np.concatenate([self.energy, energy])
        rows = np.concatenate([self.rows, rows])
        order = np.lexsort((energy, cycles))
        cycles, energy, rows = cycles[order], energy[order], rows[order]
        least = np.minimum.accumulate(np.concatenate([[np.inf], energy[:-1]]))
        keep = energy < np.where(np.isinf(least), np.inf, least * (1 - ROUNDING))
        return replace(self, cycles=cycles[keep], energy=energy[keep], rows=rows[keep])
