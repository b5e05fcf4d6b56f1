"""What energy and time a network may have, from several proven bounds, and the least objective among them.

Every bound is a half-plane a E + b T >= c of the network's energy E (pJ) and time T (cycles), a, b >= 0; limits are
E <= e, T <= t and E <= p T (mean power). The region is convex and the objectives are quasi-concave on it (E, T, E T and
E / T are, for positive E and T), so the least value lies at a corner, or at no point where the region is empty.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import inf

Cut = tuple[float, float, float]  # a, b, c

SLACK = 1e-9  # corners may break a bound or limit by this share: a region that is empty is so by more than rounding


@dataclass(frozen=True)
class Limits:
    """Upper limits: pJ, cycles, pJ a cycle."""

    energy: float = inf
    time: float = inf
    power: float = inf


def least(value: Callable[[float, float], float], cuts: Sequence[Cut], limits: Limits) -> tuple[float, float, float]:
    """(value, E, T) of the corner with the least value; all infinite where no point keeps the limits.

    Args:
        value: of (E, T); it must not fall as both grow along any ray of the region, unless the time is limited.
        cuts: proven bounds, among them one on E alone and one on T alone.
        limits: what must hold.
    """
    lines = [*cuts]
    if limits.energy < inf:
        lines.append((-1.0, 0.0, -limits.energy))
    if limits.time < inf:
        lines.append((0.0, -1.0, -limits.time))
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
