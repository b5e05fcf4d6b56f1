"""`Front`: designs none of which beats another, what they trade, and how to show and keep them."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import log
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlco.design import dominance
from dlco.design.above import shown_by
from dlco.design.budget import Budget, broken_limits
from dlco.design.codec import Count, Figure, check_word
from dlco.design.document import Document
from dlco.design.frame import Rows, to_csv, to_frame
from dlco.design.objective import OBJECTIVES, Objective
from dlco.design.solution import Solution
from dlco.errors import InvalidInput
from dlco.files import write_whole
from dlco.hardware.architecture import Architecture

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Picture
    from pandas import DataFrame

STATUSES = {
    "solved": "all searches ended by themselves",
    "interrupted": "the search was stopped; these are the points found until then",
    "infeasible": "no design within the budget was found",
}
MARGIN = 1.1  # of the default reference point over the worst figures


@dataclass(frozen=True)
class FrontPoint:
    """One design of a front.

    Attributes:
        values: its figure on every axis, in the unit of `NetworkCost.objective`: s, pJ, pJ x cycles, W, mm2.
        solution: the design in full; its budget holds the limits that it was found under.
        limits: what was asked of this point beyond the front's budget, by axis; a point at an end has none, nor has
            one that was come across in the search for another.
        evaluations: mappings evaluated until it was found, by all searches of the front together.
    """

    values: tuple[Figure, ...]
    solution: Solution
    limits: dict[str, Figure] = field(default_factory=dict)
    evaluations: Count = 0


@dataclass(frozen=True)
class Front(Document):
    """What `pareto()` found: designs of which none is better than another on all axes.

    Attributes:
        status: one of `STATUSES`; `message` says in a sentence what that means here.
        axes: two or three objectives, all of them to be small.
        points: the designs that no other found dominates, ascending along the first axis; equals only once.
        dominated: other designs found, in the order of finding; of those come across, the best alone.
        budget: the limits that every design keeps, with the latency that the front was given where it had none.
        seed: what was asked for.
        evaluations: mappings evaluated; `seconds`: wall clock.
        trace: (evaluations until then, values) of every design found, in the order of finding, kept or not.
    """

    KIND = "dlco front"
    LATER = frozenset({"trace"})

    status: str
    message: str
    axes: tuple[Objective, ...]
    points: tuple[FrontPoint, ...]
    dominated: tuple[FrontPoint, ...]
    budget: Budget
    seed: Count
    evaluations: Count = 0
    seconds: Figure = 0.0
    trace: tuple[tuple[Count, tuple[Figure, ...]], ...] = ()

    @staticmethod
    def of(
        found: Sequence[FrontPoint],
        axes: Sequence[str],
        budget: Budget,
        seed: int,
        *,
        trace: Sequence[tuple[int, tuple[float, ...]]] = (),
        interrupted: bool = False,
        evaluations: int = 0,
        seconds: float = 0.0,
    ) -> "Front":
        """The front among all designs found, given in the order of finding."""
        best = dominance.nondominated([point.values for point in found])
        status = "interrupted" if interrupted else "solved" if found else "infeasible"
        message = STATUSES[status] if len(best) != 1 or interrupted else "one design is best on all axes"
        return Front(
            status=status,
            message=message,
            axes=check_axes(axes),
            points=tuple(found[i] for i in best),
            dominated=tuple(point for i, point in enumerate(found) if i not in set(best)),
            budget=budget,
            seed=seed,
            evaluations=evaluations,
            seconds=seconds,
            trace=tuple(trace),
        )

    @property
    def title(self) -> str:
        """What it trades, such as "latency and EDP"."""
        return " and ".join(axis.label for axis in self.axes)

    @property
    def knee(self) -> FrontPoint | None:
        """The point where the front bends most, see `dominance.knee`; None where there is none."""
        index = dominance.knee([point.values for point in self.points])
        return None if index is None else self.points[index]

    @property
    def reference(self) -> tuple[float, ...]:
        """The default reference point of `hypervolume`: the points' worst figure on every axis, times `MARGIN`."""
        return tuple(MARGIN * max(column) for column in zip(*(point.values for point in self.points), strict=True))

    def hypervolume(self, reference: Sequence[float] | None = None) -> float:
        """How much the points cover, in natural logs of the axes: a number without unit, the larger the better.

        A point that is better by a factor of e than the reference on both axes covers 1 by itself. Fronts compare
        only at the same reference.

        Args:
            reference: a figure an axis, in the unit of `values`; by default `reference`, which is this front's own.

        Raises:
            InvalidInput: not one figure above 0 an axis.
        """
        if reference is not None:
            numbers = [isinstance(one, int | float) and not isinstance(one, bool) and one > 0 for one in reference]
            if len(numbers) != len(self.axes) or not all(numbers):
                raise InvalidInput(
                    f"reference is {reference!r}; it must be a figure above 0 for each of {', '.join(self.axes)}"
                )
        if not self.points:
            return 0.0
        corner = [log(max(one, dominance.LEAST)) for one in (self.reference if reference is None else reference)]
        return dominance.hypervolume([dominance.logs(point.values) for point in self.points], corner)

    def to_csv(self) -> str:
        """A line a point: its figures (units in the names), whether it is the knee, and its machine's sizes."""
        return to_csv(*self._rows())

    def to_frame(self) -> "DataFrame":
        """A row a point, with the columns of `to_csv`; `InvalidInput` where pandas is not installed."""
        return to_frame(*self._rows()).astype({"knee": bool})

    def _rows(self) -> tuple[list[str], Rows]:
        """(columns, a row a point) of `to_csv` and `to_frame`."""
        sizes = [_sizes(point.solution.architecture) for point in self.points]
        names = list(sizes[0]) if sizes else []
        costs = ("latency_s", "energy_pj", "edp", "power_w", "area_mm2", "cycles")
        bounds = any(point.solution.lower_bound is not None for point in self.points)
        columns = [axis.column for axis in self.axes]
        columns += ["knee", *(f"network_{name}" for name in costs), *(["lower_bound"] if bounds else []), *names]
        knee = self.knee
        rows = []
        for point, size in zip(self.points, sizes, strict=True):
            cost = [float(getattr(point.solution.cost, name)) for name in costs]
            bound = [point.solution.lower_bound] if bounds else []
            values = [float(value) for value in point.values]
            rows.append([*values, int(point is knee), *cost, *bound, *(size[name] for name in names)])
        return columns, rows

    def table(self) -> str:
        """The front as plain text in fixed width."""
        return str(shown_by("front_text")(self))

    def __str__(self) -> str:
        return self.table()

    def plot(self, path: str | os.PathLike[str] | None = None, *, title: str = "") -> "Picture":
        """The front as a picture, see `dlco.report.front.plot_front`."""
        figure: Picture = shown_by("plot_front")(self, path, title=title)
        return figure

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the front as JSON, or as CSV where the path ends so; the file is replaced whole or not at all.

        Raises:
            InvalidInput: the path ends in neither .json nor .csv.
        """
        suffix = Path(path).suffix.lower()
        if suffix not in (".json", ".csv"):
            raise InvalidInput(f"front is to be {os.fspath(path)!r}; its suffix must be one of .json, .csv")
        if suffix == ".csv":
            write_whole(path, self.to_csv())
        else:
            super().save(path)

    def _check_true(self, data: dict[str, Any]) -> None:
        """Raise `InvalidInput` unless the points are a front within its budget, and all that it says of them holds.

        What each design costs its solution's reader has looked at already.
        """
        check_word("status of the front", self.status, STATUSES)
        check_axes(self.axes)
        every = [*self.points, *self.dominated]
        for point in every:
            self._check_point(point)
        for found in (*(point.evaluations for point in every), *(n for n, _ in self.trace)):
            if found > self.evaluations:
                raise InvalidInput(f"evaluations of a design in the front are {found}, of all {self.evaluations}")
        for _, values in self.trace:
            if len(values) != len(self.axes):
                raise InvalidInput(f"trace of the front has the values {values}, not one for each of its axes")
        if dominance.nondominated([point.values for point in every]) != list(range(len(self.points))):
            raise InvalidInput(
                "points of the front are not in order, or one dominates another or none of the dominated"
            )
        if self.status == ("infeasible" if every else "solved"):
            raise InvalidInput(f"status of the front is {self.status!r}, but it has {len(every)} designs")

    def _check_point(self, point: FrontPoint) -> None:
        """Raise `InvalidInput` unless a point is what its solution costs, on the front's network within its limits."""
        one = point.solution
        if point.values != tuple(one.cost.objective(axis) for axis in self.axes):
            raise InvalidInput(f"values of a point are {point.values}, which is not what its solution costs")
        if one.layers != [*self.points, *self.dominated][0].solution.layers:
            raise InvalidInput("points of the front are of different networks")
        broken = broken_limits(self.budget.tightened(point.limits), one.architecture, one.layer_costs, one.cost)
        if broken or one.status == "infeasible":
            raise InvalidInput(f"a point of the front breaks its limits: {', '.join(broken) or one.status}")


def check_axes(axes: Sequence[object]) -> tuple[Objective, ...]:
    """Two or three different objectives, or `InvalidInput` with what is allowed."""
    if not isinstance(axes, Sequence) or len(axes) not in (2, 3) or len({str(axis) for axis in axes}) < len(axes):
        raise InvalidInput(f"axes of the front are {axes!r}; they must be two or three of {', '.join(OBJECTIVES)}")
    return tuple(Objective.parse(axis) for axis in axes)


def _sizes(machine: Architecture) -> dict[str, float]:
    """What `to_csv` says of a machine."""
    sizes: dict[str, float] = {"macs": machine.macs}
    for level in machine.levels:
        if level.kind != "DRAM":
            sizes[f"{level.name}_words"] = level.capacity
            sizes[f"{level.name}_fanout_x"] = level.fanout_x
            sizes[f"{level.name}_fanout_y"] = level.fanout_y
            sizes[f"{level.name}_words_per_cycle"] = level.read_bandwidth
    return sizes
