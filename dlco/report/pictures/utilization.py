"""How much of the machine each layer uses: MACs in space and in time, and room in the buffers."""

import os

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from dlco.design.solution import Solution
from dlco.report.breakdown import Breakdown, breakdowns
from dlco.report.drawing.axes import ROW, layer_rows_axis, style_axes
from dlco.report.drawing.canvas import check_picture, finish, new_figure
from dlco.report.drawing.colours import BLACK, BLUE
from dlco.report.drawing.svg import set_hover
from dlco.report.drawing.words import plain
from dlco.texts import clip

_EDGE = 1.9  # inches of title, axes and legend
_BAR = 0.78  # of a row
_SPACE = "#A9D3EE"
_CLIP = 14  # characters of a level's name


def plot_utilization(solution: Solution, path: str | os.PathLike[str] | None = None, *, title: str = "") -> Figure:
    """Left, MACs in use (pale) and how much of that time they work (dark); right, how full every buffer is.

    The dark bar is the layer's utilisation: MACs in use times the share of the cycles that they are busy. A buffer's
    figure is the words of all tiles that it keeps at once over the words that fit.

    Arguments, result and errors are those of `plot_solution`; by default the title says what is shown.
    """
    check_picture(path)
    rows = breakdowns(solution)
    levels = [
        level.name for level in reversed(solution.architecture.levels) if any(level.name in r.filled for r in rows)
    ]
    figure = new_figure(_EDGE + ROW * len(rows))
    if levels:
        macs, buffers = figure.subplots(1, 2, sharey=True, width_ratios=(3, min(3.5, 0.75 * len(levels))))
        _draw_buffers(buffers, rows, levels)
    else:
        macs = figure.subplots()
    _draw_macs(macs, rows)
    layer_rows_axis(macs, [(row.name, row.count) for row in rows])
    figure.legend(*macs.get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False, fontsize=8)
    return finish(figure, path, title or "Utilisation of the MACs and of the buffers")


def _draw_macs(axes: Axes, rows: tuple[Breakdown, ...]) -> None:
    for i, row in enumerate(rows):
        parts = ((row.spatial, _SPACE, _BAR), (row.spatial * row.temporal, BLUE, _BAR / 2))
        for (share, colour, height), label in zip(parts, ("MACs in use", "MACs at work on average"), strict=True):
            (bar,) = axes.barh(i, 100 * share, height, color=colour, edgecolor=BLACK, lw=0.3)
            bar.set_label("" if i else label)
            set_hover(
                bar,
                f"{row.name}: {100 * row.spatial:.1f} % of the MACs in use, busy {100 * row.temporal:.1f} % of the "
                f"time: {100 * row.spatial * row.temporal:.1f} %",
            )
    axes.set_xlim(0, 100)
    axes.set_xlabel("share of all MACs, %", fontsize=9)
    style_axes(axes)


def _draw_buffers(axes: Axes, rows: tuple[Breakdown, ...], levels: list[str]) -> None:
    """A cell for every layer and level, the darker the fuller, with its figure in it."""
    for i, row in enumerate(rows):
        for k, level in enumerate(levels):
            full = row.filled[level]
            shade = 1 - 0.75 * min(full, 1.0)
            cell = Rectangle((k - 0.5, i - 0.5), 1, 1, facecolor=(shade, shade, 1 - 0.35 * min(full, 1.0)), lw=0)
            axes.add_patch(cell)
            set_hover(cell, f"{row.name}: {level} {100 * full:.1f} % full")
            ink = "white" if full > 0.6 else "black"
            axes.text(k, i, f"{100 * full:.0f}", ha="center", va="center", fontsize=7, color=ink)
    axes.set_xlim(-0.5, len(levels) - 0.5)
    names = [plain(clip(level, _CLIP)) for level in levels]
    axes.set_xticks(range(len(levels)), names, rotation=35, ha="right", rotation_mode="anchor", fontsize=8)
    axes.tick_params(length=0)
    axes.set_xlabel("buffer filled, %", fontsize=9)
    axes.spines[:].set_visible(False)
