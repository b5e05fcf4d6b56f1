"""How a search got on: relaxed objective, best whole design and lower bound over time."""

import os

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from dlco.design.figures import pretty
from dlco.design.history import HistoryPoint
from dlco.design.objective import Objective
from dlco.design.solution import Solution
from dlco.report.drawing.axes import DECADE, axis_unit, plain_ticks, style_axes
from dlco.report.drawing.canvas import check_picture, finish, new_figure
from dlco.report.drawing.colours import BLACK, BLUE, DARK, GREEN
from dlco.report.drawing.svg import set_hover
from dlco.report.drawing.words import plain

_SHADES = ("#F4F4F4", "#FFFFFF")
_NAMED = 0.06  # of the width that a phase must have to be named
_LINES = (
    ("relaxed", "relaxed design", GREEN, "^", "--"),
    ("best", "best whole design", BLUE, "o", "-"),
    ("bound", "lower bound", BLACK, "v", ":"),
)


def plot_convergence(solution: Solution, path: str | os.PathLike[str] | None = None, *, title: str = "") -> Figure:
    """The objective over wall-clock time: of the relaxed problem, of the best whole design, and what is proved.

    Sizes and factors of the relaxed design are real numbers, and it is a local optimum: whole designs are mostly worse,
    and may be better. No design lies below the bound. Phases are shaded behind the lines. Solutions saved before a
    history was kept show the best design's improvements alone.

    Arguments, result and errors are those of `plot_solution`; by default the title says what is shown.
    """
    check_picture(path)
    points = moments(solution)
    objective = solution.objective
    every = [value for p in points for value in (p.relaxed, p.best, p.bound) if value is not None and value > 0]
    divisor, shown = axis_unit(max(every, default=1.0) * objective.scale, objective.unit)
    factor = objective.scale / divisor
    end = max([solution.seconds, *(p.seconds for p in points)])
    figure = new_figure(3.6)
    axes = figure.subplots()
    axes.set_yscale("log")
    for name, label, colour, marker, dash in _LINES:
        steps = _steps(points, name, end)
        if steps:
            times, values = zip(*((t, value * factor) for t, value in steps), strict=True)
            axes.plot(
                times,
                values,
                drawstyle="steps-post",
                label=label,
                color=colour,
                marker=marker,
                markevery=range(len(times) - 1),
                ls=dash,
                lw=1.6,
                ms=4.5,
                zorder=3,
            )
            _hover_steps(axes, objective, label, steps[:-1], factor)
    _ticks(axes, [value * factor for value in every])
    axes.set_xlim(0, end * 1.02 or 1.0)
    axes.set_xlabel("time since the start, s", fontsize=9)
    axes.set_ylabel(f"{objective.label}, {shown}", fontsize=9)
    style_axes(axes, "y")
    _shade_phases(axes, points, end)
    if every:
        figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=8)
    else:
        axes.text(0.5, 0.5, "no history was recorded", transform=axes.transAxes, ha="center", color=DARK)
    return finish(figure, path, title or "Convergence")


def moments(solution: Solution) -> tuple[HistoryPoint, ...]:
    """The solution's history; of older files, what their trace and bound tell of it."""
    if solution.history:
        return solution.history
    found = [HistoryPoint(seconds, "search", best=value) for seconds, value in solution.trace]
    best = None if solution.status == "infeasible" else solution.value
    return (*found, HistoryPoint(solution.seconds, "done", best=best, bound=solution.lower_bound))


def _steps(points: tuple[HistoryPoint, ...], name: str, end: float) -> list[tuple[float, float]]:
    """(seconds, figure) of every change of one line, and its last figure at the end."""
    steps: list[tuple[float, float]] = []
    for point in points:
        value = getattr(point, name)
        if value is not None and value > 0 and (not steps or steps[-1][1] != value):
            steps.append((point.seconds, value))
    return [*steps, (end, steps[-1][1])] if steps else []


def _hover_steps(axes: Axes, objective: Objective, label: str, steps: list[tuple[float, float]], factor: float) -> None:
    for seconds, value in steps:
        dot = axes.scatter([seconds], [value * factor], s=60, color="none", zorder=4)
        set_hover(dot, f"{label} after {seconds:.1f} s: {pretty(objective.text(value))}")


def _shade_phases(axes: Axes, points: tuple[HistoryPoint, ...], end: float) -> None:
    """A band for every phase in which something was found, until the next one."""
    phases: list[tuple[str, float]] = []
    for point in points:
        if point.phase != "done" and (not phases or phases[-1][0] != point.phase):
            phases.append((point.phase, point.seconds if phases else 0.0))
    for i, (name, begin) in enumerate(phases):
        until = phases[i + 1][1] if i + 1 < len(phases) else end
        axes.axvspan(begin, until, color=_SHADES[i % 2], lw=0, zorder=0)
        if until - begin > _NAMED * end:
            axes.annotate(
                plain(name),
                ((begin + until) / 2, 1),
                (0, -9),
                axes.get_xaxis_transform(),
                "offset points",
                ha="center",
                fontsize=7.5,
                color=DARK,
            )


def _ticks(axes: Axes, figures: list[float]) -> None:
    low, high = min(figures, default=1.0), max(figures, default=1.0)
    axes.set_ylim(low / (high / low) ** 0.08 / 1.01, high * (high / low) ** 0.18 * 1.01)
    plain_ticks(axes.yaxis, figures, digits=4)
    if high < DECADE * low:
        axes.yaxis.set_minor_locator(NullLocator())
