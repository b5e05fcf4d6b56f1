"""What a little more of each capacity, bandwidth and limit is worth: bars with brackets."""

import os
from collections.abc import Sequence
from math import inf, isinf

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from dlco.design.sensitivity import Sensitivity
from dlco.design.sensitivity_table import sensitivity_groups
from dlco.design.solution import Solution
from dlco.report.drawing.axes import ROW, style_axes
from dlco.report.drawing.canvas import check_picture, finish, new_figure
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
    larger or smaller (`dlco.design.sensitivity.Sensitivity`). One that ends nowhere, or far beyond all bars, has an
    arrow. Computes the solution's sensitivities where they are not known yet.

    Arguments, result and errors are those of `plot_solution`; by default the title says what is shown. A solution whose
    status is "infeasible" is an `InvalidInput` too.
    """
    check_picture(path)
    groups = sensitivity_groups(solution.sensitivities)
    rows: list[Sensitivity | str] = []  # or what those below it are
    for what, own in groups:
        rows += [what, *own] if len(groups) > 1 else own
    figure = new_figure(_EDGE + ROW * len(rows))
    axes = figure.subplots()
    left, right = _reach([one for one in rows if isinstance(one, Sensitivity)])
    for i, one in enumerate(rows):
        if isinstance(one, Sensitivity):
            _draw(axes, i, one, left, right)
    axes.set_yticks(range(len(rows)), [one if isinstance(one, str) else plain(clip(one.name, _CLIP)) for one in rows])
    for label, one in zip(axes.get_yticklabels(), rows, strict=True):
        label.set_fontstyle("italic" if isinstance(one, str) else "normal")
    axes.set_ylim(len(rows) - 0.45, -0.55)
    axes.tick_params(axis="y", length=0)
    axes.set_xlim(left * _MARGIN, right * _MARGIN)
    axes.set_xlabel(f"{solution.objective.label} saved by one per cent more, %", fontsize=9)
    axes.xaxis.set_major_locator(MaxNLocator(7))
    style_axes(axes)
    return finish(figure, path, title or "What one per cent more is worth")


def _draw(axes: Axes, row: int, one: Sensitivity, left: float, right: float) -> None:
    """The bar and bracket of one figure, between the ends of the axis."""
    ends = -one.high, -one.low
    (bar,) = axes.barh(row, -one.elasticity, _BAR, color=BLUE, edgecolor=BLACK, lw=0.3)
    between = " and ".join("what nobody knows" if isinf(end) else f"{end:.3f} %" for end in ends)
    set_hover(bar, f"{one.name}: {-one.elasticity:.3f} % for one per cent more, between {between}")
    shown = [min(max(end, left), right) for end in ends]
    axes.plot(shown, [row, row], color=BLACK, lw=1.0, solid_capstyle="butt")
    for end, at, arrow in zip(ends, shown, "<>", strict=True):
        beyond = end != at
        axes.plot([at], [row], color=BLACK, marker=arrow if beyond else "|", ms=4 if beyond else 7, mew=1.0)


def _reach(rows: Sequence[Sensitivity]) -> tuple[float, float]:
    """Where the axis ends: at the last bracket, or well beyond the longest bar where brackets go further."""
    ends = []
    for sign in (1, -1):
        steepest = max((sign * one.elasticity for one in rows), default=0.0)
        proved = max((sign * (one.low if sign == 1 else one.high) for one in rows), default=0.0)
        outer = [sign * (one.high if sign == 1 else one.low) for one in rows]
        finite = [end for end in outer if 0 < end < inf]
        within = max(_MOST * steepest, 1.2 * proved, min(finite, default=0.0))
        ends.append(min(max(finite, default=within), within))
    left, right = ends
    return (-left, right) if left or right else (0.0, 1.0)
