"""What a little more of each capacity, bandwidth and limit is worth: bars with brackets."""

import os
from math import inf

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from dlco.design.sensitivity import Sensitivity
from dlco.design.solution import Solution
from dlco.report.drawing.axes import ROW, style_axes
from dlco.report.drawing.canvas import check_picture, finish, new_figure, set_title
from dlco.report.drawing.colours import BLACK, BLUE
from dlco.report.drawing.svg import set_hover
from dlco.report.drawing.words import plain
from dlco.texts import clip

_EDGE = 1.4  # inches of title and axis
_BAR = 0.62  # of a row
_CLIP = 36  # characters of a name
_MARGIN = 1.08  # of what the axis shows
_MOST = 3.0  # times the steepest slope: brackets that reach further end in an arrow


def plot_sensitivities(solution: Solution, path: str | os.PathLike[str] | None = None, *, title: str = "") -> Figure:
    """A bar for each figure: by how many per cent one per cent more of it lowers the objective, with what is proved.

    The bar is the slope of the lower bound, the bracket what the best design's change lies between where the figure is
    5 % larger or smaller (`dlco.design.sensitivity.Sensitivity`). One that ends nowhere, or far beyond all bars, has an
    arrow. Computes the solution's sensitivities where they are not known yet.

    Args:
        solution: what to draw.
        path: where to write the picture, or None; the suffix says the format, one of `PICTURES`.
        title: of the picture, by default what it shows.

    Returns:
        The figure, which belongs to no window and to no pyplot state.

    Raises:
        InvalidInput: another suffix, or a solution whose status is "infeasible".
    """
    check_picture(path)
    rows = solution.sensitivities
    figure = new_figure(_EDGE + ROW * len(rows))
    axes = figure.subplots()
    furthest = _furthest(rows)
    for i, one in enumerate(rows):
        low, high = -one.high, min(-one.low, furthest)
        (bar,) = axes.barh(i, -one.elasticity, _BAR, color=BLUE, edgecolor=BLACK, lw=0.3)
        set_hover(bar, f"{one.name}: {-one.elasticity:.3f} % for one per cent more, between {low:.3f} and {_end(one)}")
        axes.plot([low, high], [i, i], color=BLACK, lw=1.0, solid_capstyle="butt")
        axes.plot([low], [i], color=BLACK, marker="|", ms=7, mew=1.0)
        beyond = -one.low > furthest
        axes.plot([high], [i], color=BLACK, marker=">" if beyond else "|", ms=4 if beyond else 7)
    axes.set_yticks(range(len(rows)), [plain(clip(one.name, _CLIP)) for one in rows])
    axes.set_ylim(len(rows) - 0.45, -0.55)
    axes.tick_params(axis="y", length=0)
    axes.set_xlim(0, furthest * _MARGIN)
    axes.set_xlabel(f"{solution.objective.label} saved by one per cent more, %", fontsize=9)
    axes.xaxis.set_major_locator(MaxNLocator(7))
    style_axes(axes)
    set_title(figure, title or "What one per cent more is worth")
    return finish(figure, path)


def _furthest(rows: tuple[Sensitivity, ...]) -> float:
    """Where the axis ends: at the last bracket, or well beyond the longest bar where brackets go further."""
    steepest = max((-one.elasticity for one in rows), default=0.0)
    proved = max((-one.high for one in rows), default=0.0)
    ends = [-one.low for one in rows if one.low > -inf]
    within = max(_MOST * steepest, 1.2 * proved, min(ends, default=0.0))
    return min(max(ends, default=within), within) or 1.0


def _end(one: Sensitivity) -> str:
    return f"{-one.low:.3f} %" if one.low > -inf else "what nobody knows"
