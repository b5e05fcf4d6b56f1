"""`History`: how a search got on, as its convergence is drawn."""

import time
from dataclasses import dataclass
from typing import Any

from dlco.errors import InvalidInput
from dlco.fields import read_figure, read_text


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

    seconds: float
    phase: str
    relaxed: float | None = None
    best: float | None = None
    bound: float | None = None


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


def read_history(rows: Any) -> tuple[HistoryPoint, ...]:
    """The inverse of `dataclasses.asdict` for a list of points.

    Raises:
        InvalidInput: a figure is no number, or one of the past is ahead; `TypeError`: it is no list of points at all.
    """
    points = tuple(HistoryPoint(**row) for row in rows)
    last = 0.0
    for point in points:
        read_text("phase in the history of the solution", point.phase)
        for name in ("relaxed", "best", "bound"):
            if getattr(point, name) is not None:
                read_figure(f"{name} in the history of the solution", getattr(point, name))
        seconds = read_figure("seconds in the history of the solution", point.seconds)
        if seconds < last:
            raise InvalidInput(f"seconds in the history of the solution go back from {last!r} to {seconds!r}")
        last = seconds
    return points
