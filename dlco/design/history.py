"""`History`: how a search got on, as its convergence is drawn."""

import time
from dataclasses import dataclass

from dlco.design.codec import Figure


@dataclass(frozen=True)
class HistoryPoint:
    """What was known at one moment of a search; figures are in the unit of `NetworkCost.objective`.

    Attributes:
        seconds: since the start.
        phase: such as "relax" or "search".
        relaxed: objective of the best relaxed design that keeps the limits, None before the first.
        best: the least objective of a whole design within the limits, None before the first.
        bound: what no design goes below, None before a proof.
    """

    seconds: Figure
    phase: str
    relaxed: Figure | None = None
    best: Figure | None = None
    bound: Figure | None = None


class History:
    """The moments of a running search.

    Attributes:
        started: when the search began, by `time.perf_counter`.
        points: one for each change of the phase or of a figure.
    """

    def __init__(self) -> None:
        self.started = time.perf_counter()
        self.points: list[HistoryPoint] = []

    @property
    def seconds(self) -> float:
        """Since the start."""
        return time.perf_counter() - self.started

    def note(
        self, phase: str, *, relaxed: float | None = None, best: float | None = None, bound: float | None = None
    ) -> None:
        """Keep what is new: a phase, any relaxed figure, a better design's, a higher bound."""
        last = self.points[-1] if self.points else HistoryPoint(0.0, phase)
        if best is None or (last.best is not None and last.best <= best):
            best = last.best
        if bound is None or (last.bound is not None and last.bound >= bound):
            bound = last.bound
        relaxed = last.relaxed if relaxed is None else relaxed
        if not self.points or (phase, relaxed, best, bound) != (last.phase, last.relaxed, last.best, last.bound):
            self.points.append(HistoryPoint(self.seconds, phase, relaxed, best, bound))
