"""`Front`: designs none of which beats another, what they trade, and how to show and keep them."""

import csv
import io
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import exp, log
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlco.design import dominance
from dlco.design.budget import SAME, Budget, broken_limits
from dlco.design.objective import OBJECTIVES, Objective
from dlco.design.solution import Solution
from dlco.errors import InvalidInput
from dlco.fields import GARBLED, read_figure, read_text, read_word
from dlco.files import check_stamp, read_json, stamp, write_whole
from dlco.hardware.architecture import Architecture
from dlco.texts import guarded, printable
from dlco.workload.problem import check_count

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame

UNITS = {"latency": "s", "energy": "pj", "edp": "pj_cycles", "power": "w", "area": "mm2"}
"""By objective: how a column of its figures is marked, in the unit of `NetworkCost.objective`."""
STATUSES = {
    "solved": "all searches ended by themselves",
    "interrupted": "the search was stopped; these are the points found until then",
    "infeasible": "no design within the budget was found",
}
FORMAT = 1  # of the JSON: goes up when older readers could no longer read it
KIND = "dlco front"
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

    values: tuple[float, ...]
    solution: Solution
    limits: dict[str, float] = field(default_factory=dict)
    evaluations: int = 0


@dataclass(frozen=True)
class Front:
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

    status: str
    message: str
    axes: tuple[str, ...]
    points: tuple[FrontPoint, ...]
    dominated: tuple[FrontPoint, ...]
    budget: Budget
    seed: int
    evaluations: int = 0
    seconds: float = 0.0
    trace: tuple[tuple[int, tuple[float, ...]], ...] = ()

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
            axes=tuple(axes),
            points=tuple(found[i] for i in best),
            dominated=tuple(point for i, point in enumerate(found) if i not in set(best)),
            budget=budget,
            seed=seed,
            evaluations=evaluations,
            seconds=seconds,
            trace=tuple(trace),
        )

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
        text = io.StringIO()
        header, rows = self._rows()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(guarded(printable(name)) for name in header)
        writer.writerows(rows)
        return text.getvalue()

    def to_frame(self) -> "DataFrame":
        """A row a point, with the columns of `to_csv`; `InvalidInput` where pandas is not installed."""
        from dlco.design.frame import to_frame  # tables sit above what they show

        header, rows = self._rows()
        return to_frame([dict(zip(header, row, strict=True)) for row in rows], header).astype({"knee": bool})

    def _rows(self) -> tuple[list[str], list[list[float | None]]]:
        """(header, a row a point) of `to_csv` and `to_frame`."""
        sizes = [_sizes(point.solution.architecture) for point in self.points]
        names = list(sizes[0]) if sizes else []
        costs = ("latency_s", "energy_pj", "edp", "power_w", "area_mm2", "cycles")
        bounds = any(point.solution.lower_bound is not None for point in self.points)
        header = [f"{axis}_{UNITS[axis]}" for axis in self.axes]
        header += ["knee", *(f"network_{name}" for name in costs), *(["lower_bound"] if bounds else []), *names]
        knee = self.knee
        rows: list[list[float | None]] = []
        for point, size in zip(self.points, sizes, strict=True):
            cost = [float(getattr(point.solution.cost, name)) for name in costs]
            bound = [point.solution.lower_bound] if bounds else []
            values = [float(value) for value in point.values]
            rows.append([*values, int(point is knee), *cost, *bound, *(size[name] for name in names)])
        return header, rows

    def table(self) -> str:
        """The front as plain text in fixed width."""
        from dlco.report.front import front_text  # tables sit above what they show

        return front_text(self)

    def __str__(self) -> str:
        return self.table()

    def plot(self, path: str | os.PathLike[str] | None = None, *, title: str = "") -> "Figure":
        """The front as a picture, see `dlco.report.front.plot_front`."""
        from dlco.report.front import plot_front

        return plot_front(self, path, title=title)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the front as JSON, or as CSV where the path ends so; the file is replaced whole or not at all.

        Raises:
            InvalidInput: the path ends in neither .json nor .csv.
        """
        suffix = Path(path).suffix.lower()
        if suffix not in (".json", ".csv"):
            raise InvalidInput(f"front is to be {os.fspath(path)!r}; its suffix must be one of .json, .csv")
        text = self.to_csv() if suffix == ".csv" else json.dumps(self.to_dict(), indent=1)
        write_whole(path, text)

    @staticmethod
    def load(path: str | os.PathLike[str]) -> "Front":
        """Read a front saved as JSON. Raises `InvalidInput` where the file is none or does not add up."""
        return Front.from_dict(read_json("front", path))

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, strings, lists and dictionaries: what `save` writes."""
        return {
            **stamp(KIND, FORMAT),
            "status": self.status,
            "message": self.message,
            "axes": list(self.axes),
            "budget": _budget(self.budget),
            "seed": self.seed,
            "evaluations": self.evaluations,
            "seconds": self.seconds,
            "trace": [[evaluations, list(values)] for evaluations, values in self.trace],
            "points": [_point(point) for point in self.points],
            "dominated": [_point(point) for point in self.dominated],
        }

    @staticmethod
    def from_dict(data: Any) -> "Front":
        """The inverse of `to_dict`. Raises `InvalidInput` for anything else."""
        data = check_stamp("front", KIND, FORMAT, data)
        try:
            axes = check_axes(data["axes"])
            front = Front(
                status=read_word("status of the front", data["status"], STATUSES),
                message=read_text("message of the front", data["message"]),
                axes=axes,
                points=tuple(_read_point(one, axes) for one in data["points"]),
                dominated=tuple(_read_point(one, axes) for one in data["dominated"]),
                budget=Budget(**data["budget"]),
                seed=data["seed"],
                evaluations=data["evaluations"],
                seconds=read_figure("seconds of the front", data["seconds"]),
                trace=tuple((n, _read_values(values, axes)) for n, values in data.get("trace", ())),
            )
            _check_true(front)
        except InvalidInput:
            raise
        except GARBLED as error:
            raise InvalidInput(f"front file lacks or garbles a field: {error}") from None
        return front


def _check_true(front: Front) -> None:
    """Raise `InvalidInput` unless the points are a front within its budget, and all that it says of them holds.

    What each design costs its solution's reader has looked at already.
    """
    check_count("seed of the front", front.seed)
    every = [*front.points, *front.dominated]
    for found in (front.evaluations, *(point.evaluations for point in every), *(n for n, _ in front.trace)):
        check_count("evaluations of the front", found)
        if found > front.evaluations:
            raise InvalidInput(f"evaluations of a design in the front are {found}, of all {front.evaluations}")
    if dominance.nondominated([point.values for point in every]) != list(range(len(front.points))):
        raise InvalidInput("points of the front are not in order, or one dominates another or none of the dominated")
    if front.status == ("infeasible" if every else "solved"):
        raise InvalidInput(f"status of the front is {front.status!r}, but it has {len(every)} designs")
    for point in every:
        one = point.solution
        if one.layers != every[0].solution.layers:
            raise InvalidInput("points of the front are of different networks")
        broken = broken_limits(front.budget, one.architecture, one.layer_costs, one.cost)
        broken += [
            f"{axis} {one.cost.objective(axis):.4g} > {limit:g}"
            for axis, limit in point.limits.items()
            if one.cost.objective(axis) > limit * (1 + SAME)
        ]
        if broken or one.status == "infeasible":
            raise InvalidInput(f"a point of the front breaks its limits: {', '.join(broken) or one.status}")


def check_axes(axes: Sequence[object]) -> tuple[str, ...]:
    """Two or three different objectives, or `InvalidInput` with what is allowed."""
    if not isinstance(axes, Sequence) or len(axes) not in (2, 3) or len({str(axis) for axis in axes}) < len(axes):
        raise InvalidInput(f"axes of the front are {axes!r}; they must be two or three of {', '.join(OBJECTIVES)}")
    return tuple(Objective.parse(axis) for axis in axes)


def spread(low: float, high: float, n: int) -> list[float]:
    """`n` figures strictly between two others, at equal steps in logs."""
    return [exp(log(low) + (log(high) - log(low)) * (i + 1) / (n + 1)) for i in range(n)]


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


def _budget(budget: Budget) -> dict[str, Any]:
    return {name: dict(value) if isinstance(value, Mapping) else value for name, value in vars(budget).items()}


def _point(point: FrontPoint) -> dict[str, Any]:
    return {
        "values": list(point.values),
        "limits": dict(point.limits),
        "evaluations": point.evaluations,
        "solution": point.solution.to_dict(),
    }


def _read_point(data: dict[str, Any], axes: tuple[str, ...]) -> FrontPoint:
    solution = Solution.from_dict(data["solution"])
    values = _read_values(data["values"], axes)
    if values != tuple(solution.cost.objective(axis) for axis in axes):
        raise InvalidInput(f"values of a point are {values}, which is not what its solution costs")
    limits = {
        str(Objective.parse(axis)): read_figure("limit of a point", value) for axis, value in data["limits"].items()
    }
    return FrontPoint(values, solution, limits, data["evaluations"])


def _read_values(values: Sequence[object], axes: Sequence[str]) -> tuple[float, ...]:
    return tuple(read_figure(f"{axis} of a point", value) for axis, value in zip(axes, values, strict=True))
