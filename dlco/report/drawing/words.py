"""Words in a picture: names as they are, beside points where there is room."""

from collections.abc import Iterable, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from dlco.texts import clip, printable_lines

NAME_WIDTH = 22
_POINT = 7  # pixels around a point's centre that no name may touch
Side = tuple[tuple[int, int], str, str]  # offset in points, and which edges of the name lie there
UPPER_RIGHT: Side = ((9, 5), "left", "bottom")
LOWER_LEFT: Side = ((-9, -5), "right", "top")
LOWER_RIGHT: Side = ((9, -5), "left", "top")
UPPER_LEFT: Side = ((-9, 5), "right", "bottom")
_SIDES = (UPPER_RIGHT, LOWER_LEFT, LOWER_RIGHT, UPPER_LEFT)


def plain(text: str) -> str:
    """The text so that matplotlib shows it as it is: it reads formulas between dollars, and hides labels like _x."""
    shown = printable_lines(text).replace("$", r"\$")
    return f" {shown}" if shown.startswith("_") else shown


def layer_label(name: str, count: int) -> str:
    """A layer's name, cut where it is long, and how often the network runs it."""
    short = plain(clip(name, NAME_WIDTH))
    return short if count == 1 else f"{short} ×{count}"


def name_points(
    figure: Figure,
    axes: Axes,
    points: Sequence[tuple[float, float]],
    names: Iterable[tuple[int, str]],
    sides: Sequence[Side] = _SIDES,
) -> None:
    """Write names beside points, none over another, over a point, over the legend or beyond the frame.

    A name that has room on no side of its point is left out.

    Args:
        figure: with a canvas that has a renderer.
        axes: drawn already, limits and legend included.
        points: where they are, in the axes' data.
        names: which point, and what to write; the first are the first to find room.
        sides: of a point where a name may be, the most wanted first.
    """
    figure.draw_without_rendering()
    renderer = figure.canvas.get_renderer()  # type: ignore[attr-defined]
    spots = [axes.transData.transform(point) for point in points]
    taken = [Bbox.from_extents(x - _POINT, y - _POINT, x + _POINT, y + _POINT) for x, y in spots]
    legend = axes.get_legend()
    if legend is not None:
        taken.append(legend.get_window_extent(renderer))
    for i, name in names:
        for offset, horizontal, vertical in sides:
            text = axes.annotate(
                name, points[i], offset, textcoords="offset points", fontsize=7.5, ha=horizontal, va=vertical
            )
            text.set_in_layout(False)
            box = text.get_window_extent(renderer)
            inside = axes.bbox.x0 <= box.x0 and box.x1 <= axes.bbox.x1
            inside = inside and axes.bbox.y0 <= box.y0 and box.y1 <= axes.bbox.y1
            if inside and not any(box.overlaps(other) for other in taken):
                taken.append(box)
                break
            text.remove()
