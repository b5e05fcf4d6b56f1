"""How widely whole factors spread over the children of a level."""

from functools import lru_cache
from itertools import pairwise
from math import log

from dlco.bound.nodes import Range
from dlco.mapping.factors import divisors


@lru_cache(maxsize=4096)
def array_limits(sums: int, rest: int, axes: tuple[float, float], within: Range) -> list[tuple[float, float]]:
    """How widely factors can spread over an array: lines above all splits that fit it.

    Args:
        sums: product of the bounds of the dimensions that sums run over; a split gives J of it to the array.
        rest: that of all other dimensions; a split gives R of it.
        axes: longest X and Y.
        within: range of J.

    Returns:
        (slope a, c) with a log J + log R <= c for all splits with J in the range: the sides of their upper hull.
        Where no split is in the range, one that nothing meets.
    """
    best: dict[int, int] = {}
    for jx in divisors(sums, axes[0]):
        for jy in divisors(sums // jx, axes[1]):
            if not within[0] <= jx * jy <= within[1]:
                continue
            across = max(rx * divisors(rest // rx, axes[1] // jy)[-1] for rx in divisors(rest, axes[0] // jx))
            best[jx * jy] = max(best.get(jx * jy, 0), across)
    if not best:
        return [(0.0, -1.0)]
    points = sorted((log(j), log(r)) for j, r in best.items())
    hull: list[tuple[float, float]] = []
    for point in points:
        while len(hull) > 1 and _turn(hull[-2], hull[-1], point) >= 0:
            hull.pop()
        hull.append(point)
    lines = [(0.0, max(r for _, r in points))]
    for (j0, r0), (j1, r1) in pairwise(hull):
        slope = (r0 - r1) / (j1 - j0)
        lines.append((slope, max(slope * j + r for j, r in points)))
    if len(points) == 1:
        lines.append((1.0, points[0][0] + points[0][1]))
    return lines


def _turn(a: tuple[float, float], b: tuple[float, float], c: tuple[float, float]) -> float:
    """Above 0 where a, b, c turn left."""
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
