"""What the pictures share: colours and hatches that any eye and a grey print tell apart, axes, and how they are saved.

The hues are Okabe and Ito's (jfly.uni-koeln.de/color, 2008), ordered so that neighbours in a stack differ in lightness.
"""

import os
from collections.abc import Sequence
from math import floor, isfinite, log10
from pathlib import Path

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from dlco.design.layout import RAISED, clip, scaled
from dlco.errors import InvalidInput
from dlco.hardware.architecture import Architecture
from dlco.report.svg import show_plainly, svg_document
from dlco.texts import printable_lines

PICTURES = (".png", ".svg", ".pdf")
BLUE, ORANGE, GREEN, VERMILLION, PURPLE, SKY, YELLOW = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#D55E00",
    "#CC79A7",
    "#56B4E9",
    "#F0E442",
)
GREY, DARK, BLACK = "#BBBBBB", "#555555", "#000000"
MAC_COLOUR, LEAK_COLOUR, DRAM_COLOUR = GREY, BLACK, BLUE
_LEVELS = (YELLOW, VERMILLION, SKY, GREEN, ORANGE, PURPLE)
HATCHES = ("", "////", "xxxx", "----", "||||")  # one a dataspace; of straight lines, which take little room
MARKERS = ("s", "^", "D", "v", "P", "X")  # one a level
WIDTH = 7.4  # inches: a page of A4 or letter between its margins
ROW = 0.215  # inches of a layer
NAME_WIDTH = 22
DECADE = 3.0  # axes that span less than this factor have even ticks
_HATCH_WIDTH = 0.5


def new_figure(height: float, width: float = WIDTH) -> Figure:
    """A figure that belongs to no window and to no pyplot state, of a size in inches, with a canvas to measure on."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def finish(figure: Figure, path: str | os.PathLike[str] | None) -> Figure:
    """The figure, written to a path where one is given, which `check_picture` has let pass."""
    if path is not None:
        if Path(path).suffix.lower() == ".svg":
            Path(path).write_text(svg_document(figure), encoding="utf-8")
        else:
            with rc_context({"hatch.linewidth": _HATCH_WIDTH}):
                show_plainly(figure)
                figure.savefig(path, dpi=150)
    return figure


def check_picture(path: str | os.PathLike[str] | None) -> None:
    """Raise `InvalidInput` where a path is given whose suffix names no format that pictures can be written in."""
    if path is not None and Path(path).suffix.lower() not in PICTURES:
        raise InvalidInput(f"picture is to be {os.fspath(path)!r}; its suffix must be one of {', '.join(PICTURES)}")


def level_colours(architecture: Architecture) -> dict[str, str]:
    """A colour for every storage level, DRAM always the same."""
    inner = [level.name for level in architecture.levels if level.kind != "DRAM"]
    colours = {name: _LEVELS[i % len(_LEVELS)] for i, name in enumerate(inner)}
    return {level.name: colours.get(level.name, DRAM_COLOUR) for level in architecture.levels}


def hatch_of(index: int) -> str:
    """The hatch of the dataspace at a place among all."""
    return HATCHES[index % len(HATCHES)]


def patch(colour: str, label: str, hatch: str = "") -> Patch:
    """An entry of a legend."""
    return Patch(facecolor=colour, hatch=hatch, edgecolor=BLACK, lw=0.4, label=plain(label))


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


def layer_label(name: str, count: int) -> str:
    """A layer's name, cut where it is long, and how often the network runs it."""
    short = plain(clip(name, NAME_WIDTH))
    return short if count == 1 else f"{short} ×{count}"


def plain(text: str) -> str:
    """The text so that matplotlib shows it as it is: it reads formulas between dollars, and hides labels like _x."""
    shown = printable_lines(text).replace("$", r"\$")
    return f" {shown}" if shown.startswith("_") else shown


def axis_unit(largest: float, unit: str) -> tuple[float, str]:
    """What to divide by, and the unit to print, so that figures up to `largest` read well; "cycles" get words."""
    if unit == "mm2":
        return 1.0, "mm²"
    if unit == "pJ x cycles":  # prefixes of a product would not say of which factor
        power = floor(log10(largest)) if isfinite(largest) and largest > 0 else 0
        return 10.0**power, f"10{str(power).translate(RAISED)} pJ·cycles" if power else "pJ·cycles"
    divisor, prefixed = scaled(largest, "" if unit == "cycles" else unit)
    if unit == "cycles":
        words = {"": "cycles", "k": "thousand cycles", "M": "million cycles", "G": "billion cycles"}
        return divisor, words.get(prefixed, f"{divisor:.0e} cycles")
    return divisor, f"µ{prefixed[1:]}" if prefixed.startswith("u") else prefixed


def set_title(figure: Figure, text: str) -> None:
    """A title at the left, small enough for a page."""
    figure.suptitle(plain(text), fontsize=9.5, x=0.01, ha="left")
