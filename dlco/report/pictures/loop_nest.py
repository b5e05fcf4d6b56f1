"""A layer's loop nest as a picture, coloured by level."""

import os

from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from dlco.design.solution import Solution
from dlco.errors import InvalidInput
from dlco.mapping.loopnest import NestLine, nest_lines
from dlco.report.drawing.canvas import check_picture, finish, new_figure
from dlco.report.drawing.colours import BLACK, level_colours
from dlco.report.drawing.svg import set_hover
from dlco.report.drawing.words import plain
from dlco.texts import clip

_LINE = 0.2  # inches
_EDGE = 0.5
_INDENT = 0.022  # of the width, a loop
_STRIPE = 0.016  # of the width
_ACROSS = 92  # characters that fit side by side
_TINT = 0.22  # of the level's colour behind its lines


def plot_loop_nest(
    solution: Solution, layer: str, path: str | os.PathLike[str] | None = None, *, title: str = ""
) -> Figure:
    """The loops of a layer's mapping, outermost first, on stripes of their level's colour.

    Headers name the level and the words of each tile that it keeps; spatial loops are in italics.

    Path, result and errors are those of `plot_solution`; by default the title is the layer's name. A name that no layer
    has is an `InvalidInput` too.
    """
    check_picture(path)
    lines = layer_nest(solution, layer)
    colours = level_colours(solution.architecture)
    figure = new_figure(_EDGE + _LINE * len(lines))
    axes = figure.subplots()
    for i, line in enumerate(lines):
        head = line.kind == "level"
        colour = colours[line.level]
        axes.add_patch(Rectangle((0, i), 1, 1, facecolor=colour, alpha=_TINT * (1.6 if head else 1.0), lw=0))
        stripe = Rectangle((0, i), _STRIPE, 1, facecolor=colour, edgecolor=BLACK, lw=0.2)
        axes.add_patch(stripe)
        set_hover(stripe, line.level)
        left = _STRIPE + (0.008 if head else 0.02 + _INDENT * line.depth)
        room = int(_ACROSS * (1 - left))
        axes.text(
            left,
            i + 0.52,
            plain(clip(line.text, room)),
            va="center",
            fontsize=8,
            family="monospace",
            weight="bold" if head else "normal",
            style="italic" if line.kind == "spatial" else "normal",
        )
    axes.set_xlim(0, 1)
    axes.set_ylim(len(lines), 0)
    axes.set_axis_off()
    return finish(figure, path, title or f"Loop nest of {layer}")


def layer_nest(solution: Solution, layer: str) -> list[NestLine]:
    """The lines of a layer's loop nest, outermost level first.

    Raises:
        InvalidInput: a name that no layer has.
    """
    for one in solution.layers:
        if one.name == layer:
            return nest_lines(solution.mappings[layer], one.problem, solution.architecture)
    raise InvalidInput(f"layer is {layer!r}; the solution has {', '.join(one.name for one in solution.layers)}")
