"""Which machines of a grid keep limits on their sizes, found by intervals: without listing the grid.

A limit's left side over its right is a sum of products of powers, so over a box of sizes it is at least the sum of what
each product is at its own best corner. That rules values out one grid at a time (as in interval constraint propagation;
Benhamou and Granvilliers, "Continuous and interval constraints", Handbook of Constraint Programming, 2006), and what is
left is split until a machine is found or none can be.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dlco.errors import Infeasible, InvalidInput
from dlco.hardware.limits import SLACK, Limit, rows_of

TRIES = 20_000  # boxes at most

Box = tuple[NDArray[np.int64], NDArray[np.int64]]
"""The first and last position of each grid."""


class Reach:
    """The grids of sizes of some names, and limits on these.

    Attributes:
        rows: the limits over the logs of the sizes.
    """

    def __init__(self, grids: Sequence[Sequence[float]], names: Sequence[str], limits: Sequence[Limit]) -> None:
        self.grids = [np.log(np.array(grid, dtype=float)) for grid in grids]
        self.limits, self.rows = limits, rows_of(limits, names)

    @property
    def whole(self) -> Box:
        """All of the grids."""
        return np.zeros(len(self.grids), np.int64), np.array([len(grid) - 1 for grid in self.grids], np.int64)

    def trimmed(self, box: Box) -> Box | None:
        """The box without values at the ends of its grids that no machine within the limits has; None: no machine.

        What is left may still have none.
        """
        low, high = box[0].copy(), box[1].copy()
        moved = True
        while moved:
            moved = False
            if self._least(low, high).max(initial=-np.inf) > SLACK:
                return None
            for p in range(len(self.grids)):
                for end, step in ((low, 1), (high, -1)):
                    while low[p] <= high[p] and self._excluded(low, high, p, end[p]):
                        end[p] += step
                        moved = True
                if low[p] > high[p]:
                    return None
        return low, high

    def ends(self) -> tuple[list[int], list[int]]:
        """First and last positions `[parameters]` of what is left of all grids, which have a machine in the limits."""
        box = self.trimmed(self.whole)
        assert box is not None
        return box[0].tolist(), box[1].tolist()

    def nearest(self, index: Sequence[int]) -> list[int]:
        """A machine within the limits that is near grid positions.

        Sizes are settled one after the other, each as near as the others leave it.

        Raises:
            Infeasible: there is none.
            InvalidInput: after `TRIES` boxes it is not known.
        """
        aim = np.array(index, np.int64)
        queue = [self.whole]
        for _ in range(TRIES):
            if not queue:
                raise Infeasible(f"no machine on the grid keeps the limits {self._spelled}")
            box = self.trimmed(queue.pop())
            if box is None:
                continue
            low, high = box
            near = aim.clip(low, high)
            if self._least(near, near).max(initial=-np.inf) <= SLACK:
                return [int(at) for at in near]
            # the size that can move furthest is settled next: half a grid at a time, the nearer half first
            p = int((high - low).argmax())
            middle = int(low[p] + high[p]) // 2
            halves = [(low, _with(high, p, middle)), (_with(low, p, middle + 1), high)]
            queue += halves if aim[p] > middle else halves[::-1]
        raise InvalidInput(f"no machine was found that keeps the limits {self._spelled}; fewer may do")

    @property
    def _spelled(self) -> str:
        return "; ".join(map(str, self.limits))

    def _excluded(self, low: NDArray[np.int64], high: NDArray[np.int64], p: int, at: int) -> bool:
        """Whether no machine of a box with one size at a position keeps the limits, by intervals."""
        return bool(self._least(_with(low, p, at), _with(high, p, at)).max(initial=-np.inf) > SLACK)

    def _least(self, low: NDArray[np.int64], high: NDArray[np.int64]) -> NDArray[np.float64]:
        """What the logs of the limits' left over right are at least in a box, `[limits]`."""
        first = np.array([grid[i] for grid, i in zip(self.grids, low, strict=True)])
        last = np.array([grid[i] for grid, i in zip(self.grids, high, strict=True)])
        exponents = self.rows.exponents
        terms = (exponents.clip(min=0) @ first + exponents.clip(max=0) @ last) + self.rows.logs
        found = np.full(len(self.limits), -np.inf)
        np.logaddexp.at(found, self.rows.row, terms)
        return found


def _with(ends: NDArray[np.int64], p: int, at: int) -> NDArray[np.int64]:
    changed = ends.copy()
    changed[p] = at
    return changed
