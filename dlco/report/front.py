"""A front as a picture."""

import os
from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from dlco.design.figures import pretty
from dlco.design.front import Front
from dlco.design.front_table import limits_text
from dlco.design.machine_table import machine_sizes, machine_text
from dlco.design.objective import Objective
from dlco.errors import InvalidInput
from dlco.report.drawing.axes import objective_axis, plain_ticks, style_axes
from dlco.report.drawing.canvas import check_picture, finish, new_figure
from dlco.report.drawing.colours import BLACK, BLUE, GREEN, ORANGE, PURPLE, VERMILLION
from dlco.report.drawing.svg import set_hover
from dlco.report.drawing.words import name_points, plain

_FRONT, _KNEE, _OTHER, _BOUND = BLUE, VERMILLION, "#AAAAAA", BLACK
_BESIDE = ((ORANGE, "s"), (GREEN, "^"), (PURPLE, "D"))  # the shapes differ too


def plot_front(
    front: Front,
    path: str | os.PathLike[str] | None = None,
    *,
    title: str = "",
    beside: Mapping[str, Front] | None = None,
) -> Figure:
    """The points over two axes, both logarithmic, with the knee marked and machines named where there is room.

    Two objectives are joined by a staircase: everything above and to the right of it is dominated. The third of
    three is the colour. Where the points have lower bounds, no design under a point's limit lies below its bound.

    Args:
        front: what to draw.
        path: as in `plot_solution`, which returns the same.
        title: what to call the network in the title.
        beside: other fronts over the same axes, by name, to compare with; for two objectives only.

    Raises:
        InvalidInput: another suffix, or a front over other axes.
    """
    check_picture(path)
    beside = beside or {}
    for name, other in beside.items():
        if other.axes != front.axes or len(front.axes) != 2:
            raise InvalidInput(
                f"front {name!r} is over {', '.join(other.axes)}; fronts side by side must be over the same two axes"
            )
    figure = new_figure(5.5, width=8)
    axes = figure.subplots()
    axes.set_xscale("log")
    axes.set_yscale("log")
    style_axes(axes, "both", size=8.5)
    every = [one for each in (front, *beside.values()) for one in each.points]
    divisors = []
    for k, (axis, side) in enumerate(zip(front.axes[:2], (axes.xaxis, axes.yaxis), strict=True)):
        divisors.append(_label(side, axis, [point.values[k] for point in every]))
    for (name, other), (colour, marker) in zip(beside.items(), _BESIDE * len(beside), strict=False):
        _draw_points(axes, other, divisors, colour, marker, name, zorder=2)
    if len(front.axes) == 2:
        _draw_points(axes, front, divisors, _FRONT, "o", "front" if not beside else "constraint", zorder=3)
    elif front.points:
        _draw_colours(figure, axes, front, divisors)
    if not beside:
        _draw_others(axes, front, divisors)
    if (knee := front.knee) is not None and len(front.points) > 2:
        at = [value / divisor for value, divisor in zip(knee.values, divisors, strict=False)]
        axes.plot(*at, "o", ms=14, mfc="none", mec=_KNEE, mew=2, ls="none", label="knee", zorder=4)
    if front.points:
        _hover_points(axes, front, divisors)
        axes.legend(frameon=False, fontsize=9)
        _name_machines(figure, axes, front, divisors)
    limits = limits_text(front)
    heading = f"{title or 'network'}: {front.title}" + (f" within {pretty(limits)}" if limits else "")
    axes.set_title(plain(heading), fontsize=10, loc="left")
    return finish(figure, path)


def _hover_points(axes: Axes, front: Front, divisors: Sequence[float]) -> None:
    """In SVG, each point's figures and machine where a pointer rests on it."""
    for i, point in enumerate(front.points):
        x, y = (point.values[k] / divisors[k] for k in (0, 1))
        dot = axes.scatter([x], [y], s=90, color="none", zorder=5)
        figures = ", ".join(f"{axis.text(v)}" for axis, v in zip(front.axes, point.values, strict=True))
        machine = machine_sizes(point.solution.architecture)
        set_hover(dot, pretty(f"point {i + 1}: {figures}; {machine}"))


def _draw_points(
    axes: Axes, front: Front, divisors: Sequence[float], colour: str, marker: str, name: str, zorder: int
) -> None:
    columns = [
        [point.values[k] / divisor for point in front.points] for k, divisor in zip((0, 1), divisors, strict=True)
    ]
    axes.step(*columns, where="post", color=colour, lw=1, alpha=0.6, zorder=zorder)
    axes.plot(*columns, marker, color=colour, ms=6, ls="none", label=name, zorder=zorder)


def _draw_colours(figure: Figure, axes: Axes, front: Front, divisors: Sequence[float]) -> None:
    third = [point.values[2] for point in front.points]
    divisor, label = objective_axis(front.axes[2], third)
    colours = [value / divisor for value in third]
    norm = LogNorm(min(colours), max(colours) * (1 + 1e-9))
    x, y = ([point.values[k] / divisors[k] for point in front.points] for k in (0, 1))
    dots = axes.scatter(x, y, c=colours, cmap="cividis", norm=norm, s=45, edgecolors="black", lw=0.5, zorder=3)
    bar = figure.colorbar(dots, ax=axes)
    plain_ticks(bar.ax.yaxis, colours)
    bar.set_label(label, fontsize=9)


def _draw_others(axes: Axes, front: Front, divisors: Sequence[float]) -> None:
    """Dominated designs, as far as the front's own range shows them, and bounds."""
    if front.points and front.dominated:
        columns = [[point.values[k] / divisors[k] for point in front.dominated] for k in (0, 1)]
        axes.plot(*columns, "x", color=_OTHER, ms=5, ls="none", label="dominated", zorder=1)
    bounds = [
        (point.limits.get(front.axes[0], point.values[0]), point.solution.lower_bound)
        for point in front.points
        if point.solution.lower_bound is not None and point.solution.objective == front.axes[1] and point.limits
    ]
    if bounds and len(front.axes) == 2:
        columns = [[bound[k] / divisors[k] for bound in bounds] for k in (0, 1)]
        axes.plot(*columns, "_", color=_BOUND, ms=9, ls="none", label="lower bound", zorder=1)


def _name_machines(figure: Figure, axes: Axes, front: Front, divisors: Sequence[float]) -> None:
    """Machines beside their points: the ends, the knee, then the others, as far as there is room."""
    at = [(point.values[0] / divisors[0], point.values[1] / divisors[1]) for point in front.points]
    knee = front.knee
    order = sorted(range(len(at)), key=lambda i: (0 < i < len(at) - 1 and front.points[i] is not knee, i))
    machines = [point.solution.architecture for point in front.points]
    texts = [machine_text(machine.macs, machine.memory_bits) for machine in machines]
    name_points(figure, axes, at, [(i, texts[i]) for i in order])


def _label(side: Axis, axis: Objective, figures: Sequence[float]) -> float:
    """Label and ticks of one side; returns what to divide the axis' figures by."""
    divisor, label = objective_axis(axis, figures)
    side.set_label_text(label, fontsize=9)
    plain_ticks(side, [figure / divisor for figure in figures])
    return divisor
