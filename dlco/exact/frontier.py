"""The unbeaten points found so far: what a bound must undercut for a part of the space to be worth a look."""

from dataclasses import dataclass, replace

import numpy as np

from dlco.exact.lattice import Bools, Floats, Ints

ROUNDING = 1e-12  # relative: a point must be cheaper by more to count as better


@dataclass(frozen=True, eq=False)
class Frontier:
    """Points of which none is beaten, fewest cycles first.

    Attributes:
        cycles, energy: `[n]`; energies fall as cycles rise.
        rows: `[n, k]` what each point stands for.
    """

    cycles: Floats
    energy: Floats
    rows: Ints

    @staticmethod
    def empty(columns: int) -> "Frontier":
        """No points yet, of so many columns."""
        return Frontier(np.zeros(0), np.zeros(0), np.zeros((0, columns), dtype=np.int64))

    def marked(self, columns: int) -> "Frontier":
        """The same points; the first of so many columns of their rows is -1 - index."""
        rows = np.zeros((len(self.cycles), columns), dtype=np.int64)
        rows[:, 0] = -1 - np.arange(len(rows))
        return replace(self, rows=rows)

    def excludes(self, cycles: Floats, energy: Floats) -> Bools:
        """Whether nothing of at least these cycles and energies `[n]` can be a better point."""
        return energy >= self.least_energy(cycles) * (1 - ROUNDING)

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
        return Frontier(cycles[keep], energy[keep], rows[keep])
