"""A picture to draw on, and the file that it is written to."""

import os
from pathlib import Path

from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from dlco.errors import InvalidInput
from dlco.report.drawing.svg import show_plainly, svg_document
from dlco.report.drawing.words import plain

PICTURES = (".png", ".svg", ".pdf")
WIDTH = 7.4  # inches: a page of A4 or letter between its margins
_HATCH_WIDTH = 0.5


def new_figure(height: float, width: float = WIDTH) -> Figure:
    """A figure that belongs to no window and to no pyplot state, of a size in inches, with a canvas to measure on."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def finish(figure: Figure, path: str | os.PathLike[str] | None, title: str = "") -> Figure:
    """The figure, titled and written to a path where they are given; `check_picture` has let the path pass."""
    if title:
        figure.suptitle(plain(title), fontsize=9.5, x=0.01, ha="left")  # small enough for a page
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
