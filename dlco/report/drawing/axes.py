"""Axes: how they look, what their ticks say, and the units that they are in."""

from collections.abc import Sequence
from math import floor, isfinite, log10

from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from dlco.design.figures import RAISED, pretty, scaled
from dlco.design.objective import Objective
from dlco.report.drawing.words import layer_label

ROW = 0.215  # inches of a layer
DECADE = 3.0  # axes that span less than this factor have even ticks


def style_axes(axes: Axes, grid: str = "x", size: float = 8) -> None:
    """Small ticks, no frame on the right and at the top, and a pale grid along "x", "y" or "both"."""
    axes.tick_params(labelsize=size)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis=grid, lw=0.5, alpha=0.4)  # type: ignore[arg-type]
    axes.set_axisbelow(True)


def plain_ticks(side: Axis, figures: Sequence[float], digits: int = 6) -> None:
    """Plain numbers along an axis: even ones, unless the figures span much."""
    low, high = min(figures, default=1.0), max(figures, default=1.0)
    wide = low > 0 and high / low >= DECADE
    side.set_major_locator(LogLocator(subs=(1.0, 2.0, 3.0, 5.0)) if wide else MaxNLocator(6))
    side.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.{digits}g}"))
    side.set_minor_formatter(NullFormatter())


def layer_rows_axis(axes: Axes, names: Sequence[tuple[str, int]]) -> None:
    """A row for each (name, count) of a layer, the first at the top."""
    axes.set_yticks(range(len(names)), [layer_label(*one) for one in names])
    axes.set_ylim(len(names) - 0.45, -0.55)
    axes.tick_params(axis="y", length=0)


def objective_axis(objective: Objective, figures: Sequence[float]) -> tuple[float, str]:
    """What to divide figures of an objective by, and the label of their axis, such as "latency, ms"."""
    divisor, unit = scaled(max(figures, default=1.0) * objective.scale, objective.unit)
    return divisor / objective.scale, f"{objective.label}, {printed_unit(unit)}"


def axis_unit(largest: float, unit: str) -> tuple[float, str]:
    """What to divide by, and the unit to print, so that figures up to `largest` read well; "cycles" get words."""
    if unit == "pJ x cycles":  # prefixes of a product would not say of which factor
        power = floor(log10(largest)) if isfinite(largest) and largest > 0 else 0
        return 10.0**power, f"10{str(power).translate(RAISED)} pJ·cycles" if power else "pJ·cycles"
    divisor, prefixed = scaled(largest, "" if unit == "cycles" else unit)
    if unit == "cycles":
        words = {"": "cycles", "k": "thousand cycles", "M": "million cycles", "G": "billion cycles"}
        return divisor, words.get(prefixed, f"{divisor:.0e} cycles")
    return divisor, printed_unit(prefixed)


def printed_unit(unit: str) -> str:
    """A prefixed unit by itself, as it is printed."""
    return f"µ{unit[1:]}" if unit.startswith("u") else pretty(unit)
