"""Sums of what the layers of a network need at least, and which points of one layer a better network can still have.

Of every layer a set of points (energy, cycles) is known such that each of its mappings needs no less of both than some
point. Whatever the layers choose, their totals are then no less in both than some point of the lower convex hull of all
sums of these. Objectives are quasi-concave in (energy, cycles) and limits straight lines, so the least objective lies
at a corner of what the limits leave of the hull. That bounds a network; and with one layer's own point beside the hull
of the others it says whether the point is of any use.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import inf

import numpy as np

from dlco.bound.region import TotalLimits
from dlco.design.objective import Objective
from dlco.exact.lattice import Bools, Floats

ROUNDING = 1e-12  # values are compared with this relative tolerance, in favour of what is possible
TINY = 1e-300  # in place of nothing
MOST = 1e100  # of cycles or pJ, in place of infinitely many
SLACK = 1 + 2e-9  # by which limits may be broken: more than `Budget` lets pass


@dataclass(frozen=True, eq=False)
class Hull:
    """The lower convex hull of points: of all that need no less, the least of both.

    Attributes:
        energy, cycles: `[n]` of its corners, fewest cycles first; energies fall.
    """

    energy: Floats
    cycles: Floats

    @staticmethod
    def of(energy: Floats, cycles: Floats) -> "Hull":
        """The hull of points `[n]`."""
        order = np.lexsort((energy, cycles))
        corners: list[tuple[float, float]] = []
        for e, t in zip(energy[order].tolist(), cycles[order].tolist(), strict=True):
            if corners and e >= corners[-1][0]:
                continue
            while len(corners) > 1:
                (a, s), (b, u) = corners[-2:]
                if (b - a) * (t - s) < (e - a) * (u - s):
                    break
                corners.pop()
            corners.append((e, t))
        both = np.array(corners, dtype=float).reshape(-1, 2)
        return Hull(both[:, 0], both[:, 1])

    @staticmethod
    def total(hulls: Sequence["Hull"]) -> "Hull":
        """The hull of all sums of a point of each."""
        energy, cycles = sum(h.energy[0] for h in hulls), sum(h.cycles[0] for h in hulls)
        bent = [h for h in hulls if len(h.energy) > 1]
        if not bent:
            return Hull(np.array([energy]), np.array([cycles]))
        if len(bent) == 1:
            (one,) = bent
            return Hull(one.energy + (energy - one.energy[0]), one.cycles + (cycles - one.cycles[0]))
        falls, rises, slopes = (np.concatenate(rows) for rows in zip(*(h._edges for h in bent), strict=True))
        steepest = slopes.argsort(kind="stable")
        both = np.array([falls[steepest], rises[steepest]]).cumsum(1)
        return Hull(np.append(energy, energy + both[0]), np.append(cycles, cycles + both[1]))

    @cached_property
    def _edges(self) -> tuple[Floats, Floats, Floats]:
        """From each corner to the next: energy, cycles, and the one over the other."""
        falls, rises = np.diff(self.energy), np.diff(self.cycles)
        with np.errstate(divide="ignore", invalid="ignore"):  # corners that rounding has brought together
            return falls, rises, falls / rises

    def above(self, energy: float, cycles: float) -> "Hull":
        """The hull of points that need no less than this one does, and so much at least."""
        return Hull.of(np.maximum(self.energy, energy), np.maximum(self.cycles, cycles))

    def cut(self, energy: float, cycles: float) -> "Hull":
        """The hull of what is left of all that it bounds, sums of points too, where so much at least is needed."""
        energy, cycles = max(energy, self.energy[-1]), max(cycles, self.cycles[0])
        at_cycles, at_energy = self.energy_at(np.array([cycles])), self.cycles_at(np.array([energy]))
        energies = np.concatenate([self.energy, at_cycles, [energy]])
        return Hull.of(energies, np.concatenate([self.cycles, [cycles], at_energy])).above(energy, cycles)

    def times(self, count: int) -> "Hull":
        """The hull of what so many executions need."""
        return Hull(self.energy * count, self.cycles * count)

    @property
    def empty(self) -> bool:
        """Whether there are no points at all."""
        return not len(self.energy)

    def energy_at(self, cycles: Floats) -> Floats:
        """`[n]` least energy within cycles; of fewer cycles than there must be, that of the fewest."""
        return np.interp(cycles, self.cycles, self.energy)

    def cycles_at(self, energy: Floats) -> Floats:
        """`[n]` least cycles within energies, likewise."""
        return np.interp(energy, self.energy[::-1], self.cycles[::-1])


@dataclass(frozen=True)
class Goal:
    """What is asked of a network's totals.

    Attributes:
        objective: what is to be small. Of an area, which totals do not change, whether limits can be kept at all.
        limits: what must hold.
    """

    objective: Objective
    limits: TotalLimits

    def least(self, hull: Hull) -> float:
        """The least objective, as `Objective.product`, of totals that need no less than a hull within the limits.

        0 for an area; infinite where nothing keeps the limits.
        """
        best = self.best(hull)
        return inf if best is None else self._value(*best)

    def best(self, hull: Hull) -> tuple[float, float] | None:
        """Where that is, in pJ and cycles; None where nothing keeps the limits."""
        limits, points = self.limits, [*zip(hull.energy.tolist(), hull.cycles.tolist(), strict=True)]
        if limits.cycles < inf:
            points.append((float(hull.energy_at(np.array(limits.cycles))), limits.cycles))
        if limits.energy_pj < inf:
            points.append((limits.energy_pj, float(hull.cycles_at(np.array(limits.energy_pj)))))
        if limits.power < inf:
            points += self._at_power(hull)
        kept = (point for point in points if self._keeps(*point, hull))
        return min(kept, key=lambda point: self._value(*point), default=None)

    def prices(self, hull: Hull) -> tuple[float, float]:
        """What a pJ and a cycle are worth, such that totals of the least objective are worth 1, and no others less.

        Of totals that need no less than a hull, within the limits where something keeps them.
        """
        best = np.array(self.best(hull) or (hull.energy[0], hull.cycles[0]))
        corners = np.stack([hull.energy, hull.cycles])
        worth = np.maximum(self.objective.powers[:2], 0) / np.maximum(best, TINY)
        if (worth @ corners).min() < worth @ best * (1 - ROUNDING):  # limits are in the way
            at = max(1, int(np.searchsorted(hull.cycles, best[1])))
            energy, cycles = np.diff(corners[:, at - 1 : at + 1]) if at < len(hull.cycles) else (0.0, 1.0)
            worth = np.array([cycles, -energy], dtype=float).ravel()
        of_energy, of_cycles = (worth / (worth @ best or 1.0)).tolist()
        return of_energy, of_cycles

    def _at_power(self, hull: Hull) -> list[tuple[float, float]]:
        """Where the hull, which goes on at its least energy, has the power allowed."""
        over = hull.energy - self.limits.power * hull.cycles
        found = [(float(hull.energy[-1]), max(float(hull.cycles[-1]), float(hull.energy[-1] / self.limits.power)))]
        for i in np.flatnonzero((over[:-1] > 0) & (over[1:] <= 0)).tolist():
            share = over[i] / (over[i] - over[i + 1])
            cycles = float(hull.cycles[i] + share * (hull.cycles[i + 1] - hull.cycles[i]))
            found.append((self.limits.power * cycles, cycles))
        return found

    def _keeps(self, energy: float, cycles: float, hull: Hull) -> bool:
        limits, slack = self.limits, SLACK
        return bool(
            cycles >= hull.cycles[0] / slack
            and energy >= hull.energy[-1] / slack
            and energy <= limits.energy_pj * slack
            and cycles <= limits.cycles * slack
            and energy <= limits.power * cycles * slack
        )

    def _value(self, energy: float, cycles: float) -> float:
        if self.objective is Objective.AREA:
            return 0.0
        if self.objective is Objective.POWER:  # whoever may take longer needs less
            return energy / self.limits.cycles if self.limits.cycles < inf else 0.0
        return self.objective.product(energy, cycles, 0.0)


@dataclass(frozen=True, eq=False)
class Use:
    """A layer of the network.

    Attributes:
        others: the hull of what all other layers need together.
        count: how often the network has it.
        cycles: the most cycles that one execution may take.
    """

    others: Hull
    count: int
    cycles: float = inf


@dataclass(frozen=True, eq=False)
class Useful:
    """Which points of one problem's mappings a network better than a target can have.

    Attributes:
        goal: what is asked of the network.
        target: as `Goal.least`; networks that are no better are not looked for.
        own: what is known of the points, one execution each.
        uses: the network's layers of this problem.
    """

    goal: Goal
    target: float
    own: Hull
    uses: tuple[Use, ...]

    def excludes(self, cycles: Floats, energy: Floats) -> Bools:
        """Whether no point of at least these cycles and energies, arrays of any shape, is of use."""
        energy, fast = np.maximum(energy, self.own.energy[-1]), np.maximum(cycles, self.own.cycles[0])
        target = self.target * (1 - ROUNDING) if self.target < inf else inf
        useless = np.ones(cycles.shape, dtype=bool)
        for use in self.uses:
            late = cycles > use.cycles * SLACK
            useless &= late | (self._least(energy * use.count, fast * use.count, use.others) >= target)
        return useless

    def _least(self, energy: Floats, cycles: Floats, others: Hull) -> Floats:
        """`[n]` the least objective of the network with these of one layer; limits on power are left out."""
        limits = self.goal.limits
        cycles, energy = np.minimum(cycles, MOST), np.minimum(energy, MOST)
        within_t, within_e = limits.cycles * SLACK - cycles, limits.energy_pj * SLACK - energy
        corners = [*zip(others.energy.tolist(), others.cycles.tolist(), strict=True)]
        best = np.full(cycles.shape, inf)
        for e, t in corners:
            self._better(best, energy + e, cycles + t, (t <= within_t) & (e <= within_e))
        if limits.cycles < inf:
            e = others.energy_at(within_t)
            self._better(best, energy + e, cycles + within_t, (within_t >= corners[0][1]) & (e <= within_e))
        if limits.energy_pj < inf:
            t = others.cycles_at(within_e)
            self._better(best, energy + within_e, cycles + t, (within_e >= corners[-1][0]) & (t <= within_t))
        return best

    def _better(self, best: Floats, energy: Floats, cycles: Floats, allowed: Bools) -> None:
        objective = self.goal.objective
        if objective is Objective.AREA:
            value = np.zeros(energy.shape)
        elif objective is Objective.POWER:
            value = energy / self.goal.limits.cycles
        else:
            value = {Objective.ENERGY: energy, Objective.LATENCY: cycles, Objective.EDP: energy * cycles}[objective]
        np.minimum(best, np.where(allowed, value, inf), out=best)
