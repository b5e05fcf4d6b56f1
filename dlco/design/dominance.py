"""Which points of several objectives count, how much they cover, and where they bend. Less is better on every axis.

Fronts are looked at in logs, so that no unit and no scale matters: a point half as slow counts as much as one that
takes half the power. Searches ask of tables: of energies and cycles, or of rows with any number of figures.
"""

import sys
from collections.abc import Sequence
from math import log

import torch

Values = Sequence[float]

LEAST = sys.float_info.min  # what stands for a figure of 0, such as the area of a machine without areas


def logs(values: Values) -> tuple[float, ...]:
    """Natural logs of a point's figures, to 9 digits behind the point: what differs by less is the same."""
    return tuple(round(log(max(value, LEAST)), 9) for value in values)


def nondominated(points: Sequence[Values]) -> list[int]:
    """Positions of the points that no other one matches on every axis and beats on one; of equals only the first.

    Args:
        points: each with a figure above 0 an axis.

    Returns:
        Positions in `points`, ascending along the first axis, then the second and so on.

    Examples:
        >>> from dlco.design import nondominated
        >>> nondominated([(1.0, 4.0), (2.0, 2.0), (3.0, 3.0), (4.0, 1.0)])
        [0, 1, 3]
    """
    kept: list[int] = []
    table = [logs(point) for point in points]
    # in this order no point is dominated by a later one
    for i in sorted(range(len(table)), key=lambda i: (table[i], i)):
        if not any(all(a <= b for a, b in zip(table[j], table[i], strict=True)) for j in kept):
            kept.append(i)
    return kept


def unbeaten(energy_pj: torch.Tensor, cycles: torch.Tensor, slow: bool = False) -> torch.Tensor:
    """Indices of the points `[n]` that no other beats in energy and cycles, fewest cycles first; of equals the first.

    With `slow` the cheapest of each number of cycles, whatever faster ones cost: where power counts it may be best.
    """
    order = energy_pj.argsort(stable=True)
    order = order[cycles[order].argsort(stable=True)]
    energy, time = energy_pj[order], cycles[order]
    good = torch.ones_like(time, dtype=torch.bool)
    good[1:] = time[1:] != time[:-1] if slow else energy[1:] < energy.cummin(0).values[:-1]
    return order[good]


def undominated(table: torch.Tensor, known: torch.Tensor, tolerance: float = 0.0) -> torch.Tensor:
    """Positions of the rows `[n, axes]` that no known row `[m, axes]` matches, and no other of their own beats.

    What differs by up to the tolerance is the same; of equals the first is kept.
    """
    beaten = (known[:, None] <= table + tolerance).all(-1).any(0)
    places = (~beaten).nonzero()[:, 0]
    rows = table[places]
    matched = (rows[:, None] <= rows + tolerance).all(-1)  # [one, other]: one is as good as the other on all axes
    better = matched & ~matched.T
    earlier = matched & matched.T & (torch.arange(len(rows))[:, None] < torch.arange(len(rows)))
    return places[~(better | earlier).any(0)]


def hypervolume(points: Sequence[Values], reference: Values) -> float:
    """Volume of what the points dominate within the reference point, exactly, on the axes as they are.

    That is the measure of all places that some point beats on every axis and that beat the reference on every axis
    (Zitzler and Thiele, 1998, the "size of the space covered"). Two axes take one sweep; three take slices along the
    last axis, each the area of the points below it.

    Args:
        points: of two or three figures each.
        reference: of as many; points beyond it on some axis add nothing.
    """
    inside = sorted({tuple(point) for point in points if all(a < b for a, b in zip(point, reference, strict=True))})
    if len(reference) == 2:
        volume, ceiling = 0.0, reference[1]
        for x, y in inside:
            if y < ceiling:
                volume += (reference[0] - x) * (ceiling - y)
                ceiling = y
        return volume
    volume = 0.0
    below: list[Values] = []
    inside.sort(key=lambda point: point[-1])
    for i, point in enumerate(inside):
        below.append(point[:-1])
        top = inside[i + 1][-1] if i + 1 < len(inside) else reference[-1]
        volume += (top - point[-1]) * hypervolume(below, reference[:-1])
    return volume


def knee(points: Sequence[Values]) -> int | None:
    """Position of the point where the front bends most, None where there is no point.

    In logs, every axis scaled so that the points reach from 0 to 1, it is the point with the least sum of figures. For
    two axes that is the one farthest below the chord between the ends (after Das, "On characterizing the knee of the
    Pareto curve", Structural Optimization 18, 1999); where none is below it, an end. Of equals it is the first.
    """
    if not points:
        return None
    table = [logs(point) for point in points]
    low, high = ([pick(column) for column in zip(*table, strict=True)] for pick in (min, max))

    def bend(i: int) -> float:
        scaled = (
            (value - least) / (most - least)
            for value, least, most in zip(table[i], low, high, strict=True)
            if most > least
        )
        return round(sum(scaled), 6)

    return min(range(len(table)), key=bend)
