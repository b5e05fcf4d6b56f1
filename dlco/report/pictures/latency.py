"""Each layer's cycles beside what bounds them: the loops, and every level's bandwidth."""

import os

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from dlco.design.figures import si
from dlco.design.solution import Solution
from dlco.report.breakdown import Breakdown, breakdowns
from dlco.report.drawing.axes import ROW, axis_unit, layer_rows_axis, style_axes
from dlco.report.drawing.canvas import check_picture, finish, new_figure
from dlco.report.drawing.colours import BLACK, DARK, GREY, MARKERS, level_colours, patch
from dlco.report.drawing.svg import set_hover
from dlco.report.drawing.words import plain

_EDGE = 1.75  # inches of title, axes and legend
_BAR = 0.7  # of a row


def plot_latency(solution: Solution, path: str | os.PathLike[str] | None = None, *, title: str = "") -> Figure:
    """A roofline a layer: its cycles, and beside them each of their bounds as a share of them.

    The bounds are the cycles of the mapping's loops, and those that each level's bandwidth alone would need; whichever
    is at 100 % sets the layer's cycles, and gives the bar its colour. A vertical stroke shows the cycles with every MAC
    busy all the time, which no mapping undercuts.

    Arguments, result and errors are those of `plot_solution`; by default the title says what is shown.
    """
    check_picture(path)
    rows = breakdowns(solution)
    colours = {"compute": GREY} | level_colours(solution.architecture)
    figure = new_figure(_EDGE + ROW * len(rows))
    cycles, bounds = figure.subplots(1, 2, sharey=True, width_ratios=(1, 1))
    _draw_cycles(cycles, rows, colours)
    _draw_bounds(bounds, rows, colours)
    layer_rows_axis(cycles, [(row.name, row.count) for row in rows])
    bounds.tick_params(axis="y", length=0)
    binding = {row.bound_by for row in rows}
    handles = [patch(colour, f"set by {name}") for name, colour in colours.items() if name in binding]
    handles += bounds.get_legend_handles_labels()[0]
    figure.legend(handles=handles, loc="outside lower center", ncols=4, frameon=False, fontsize=8)
    return finish(figure, path, title or "Cycles and their bounds")


def _draw_cycles(axes: Axes, rows: tuple[Breakdown, ...], colours: dict[str, str]) -> None:
    divisor, unit = axis_unit(max(row.cycles * row.count for row in rows), "cycles")
    for i, row in enumerate(rows):
        total = row.cycles * row.count
        (bar,) = axes.barh(i, total / divisor, _BAR, color=colours[row.bound_by], edgecolor=BLACK, lw=0.3)
        set_hover(bar, f"{row.name}: {total:,.0f} cycles, set by {row.bound_by}")
    axes.set_xlim(left=0)
    axes.set_xlabel(f"{unit} of all executions", fontsize=9)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    style_axes(axes)


def _draw_bounds(axes: Axes, rows: tuple[Breakdown, ...], colours: dict[str, str]) -> None:
    """Every bound over its layer's cycles, in percent."""
    places = range(len(rows))
    axes.hlines(places, 0, 100, color=GREY, lw=0.5, zorder=1)
    ideal = [100 * row.ideal_cycles / row.cycles for row in rows]
    axes.plot(ideal, places, "|", ms=9, mew=1.6, color=BLACK, ls="none", label="all MACs busy", zorder=3)
    compute = [100 * row.compute_cycles / row.cycles for row in rows]
    axes.plot(compute, places, "o", ms=6.5, mfc=GREY, mec=BLACK, mew=0.6, ls="none", label="compute", zorder=2)
    levels = list(dict.fromkeys(name for row in rows for name in row.level_cycles))
    for k, name in enumerate(levels):
        points = [
            (100 * row.level_cycles[name] / row.cycles, i) for i, row in enumerate(rows) if name in row.level_cycles
        ]
        axes.plot(
            *zip(*points, strict=True),
            MARKERS[k % len(MARKERS)],
            ms=4.5,
            mfc=colours[name],
            mec=BLACK,
            mew=0.5,
            ls="none",
            label=plain(name),
            zorder=4,
        )
    for i, row in enumerate(rows):
        (area,) = axes.barh(i, 100, 1.0, color="none", zorder=5)
        set_hover(area, _said(row))
    axes.set_xlim(0, 104)
    axes.set_xlabel("bound over the layer's cycles, %", fontsize=9)
    axes.spines["left"].set_color(DARK)
    style_axes(axes)


def _said(row: Breakdown) -> str:
    parts = [f"compute {si(row.compute_cycles)}", *(f"{name} {si(n)}" for name, n in row.level_cycles.items())]
    return f"{row.name}, cycles of one execution: {si(row.cycles)}; alone {', '.join(parts)}"
