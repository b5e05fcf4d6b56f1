"""What energy and time a network may have, from several proven bounds, and the least objective among them.

Every bound is a half-plane a E + b T >= c of the network's energy E (pJ) and time T (cycles), a, b >= 0; limits are
E <= e, T <= t and E <= p T (mean power). The region is convex and the objectives are quasi-concave on it (E, T, E T and
E / T are, for positive E and T), so the least value lies at a corner, or at no point where the region is empty.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import inf

from dlco.design.budget import Budget
from dlco.design.objective import PICOJOULES

Cut = tuple[float, float, float]  # a, b, c

SLACK = 1e-9  # corners may break a bound or limit by this share: a region that is empty is so by more than rounding


@dataclass(frozen=True)
class TotalLimits:
    """Upper limits on a network's totals: pJ, cycles, and mean power in pJ a cycle; infinite where there is none."""

    energy_pj: float = inf
    cycles: float = inf
    power: float = inf

    @staticmethod
    def of(budget: Budget, cycle_s: float) -> "TotalLimits":
        """Those of a budget, on machines of such a cycle."""
        return TotalLimits(
            energy_pj=inf if budget.energy_j is None else budget.energy_j * PICOJOULES,
            cycles=inf if budget.latency_s is None else budget.latency_s / cycle_s,
            power=inf if budget.power_w is None else budget.power_w * PICOJOULES * cycle_s,
        )


def least(
    value: Callable[[float, float], float], cuts: Sequence[Cut], limits: TotalLimits
) -> tuple[float, float, float]:
    """(value, E, T) of the corner with the least value; all infinite where no point keeps the limits.

    Args:
        value: of (E, T); it must not fall as both grow along any ray of the region, unless the time is limited.
        cuts: proven bounds, among them one on E alone and one on T alone.
        limits: what must hold.
    """
    lines = [*cuts]
    if limits.energy_pj < inf:
        lines.append((-1.0, 0.0, -limits.energy_pj))
    if limits.cycles < inf:
        lines.append((0.0, -1.0, -limits.cycles))
    if limits.power < inf:
        lines.append((-1.0, limits.power, 0.0))
    best = (inf, inf, inf)
    for (a, b, c), (d, e, f) in combinations(lines, 2):
        determinant = a * e - b * d
        size = abs(a * e) + abs(b * d)
        if abs(determinant) <= 1e-12 * size:
            continue
        energy, time = (c * e - b * f) / determinant, (a * f - c * d) / determinant
        if energy < 0 or time < 0:
            continue
        if all(p * energy + q * time >= r - SLACK * (abs(p) * energy + abs(q) * time + abs(r)) for p, q, r in lines):
            best = min(best, (value(energy, time), energy, time))
    return best
