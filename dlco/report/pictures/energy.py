"""Where each layer's energy goes: every level's share of it, and the dataspaces' shares of those."""

import os

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from dlco.design.figures import pretty, si
from dlco.design.objective import JOULES
from dlco.design.solution import Solution
from dlco.report.breakdown import Breakdown, breakdowns, dataspaces
from dlco.report.drawing.axes import ROW, axis_unit, layer_rows_axis, style_axes
from dlco.report.drawing.canvas import check_picture, finish, new_figure
from dlco.report.drawing.colours import BLACK, LEAK_COLOUR, MAC_COLOUR, WIRE_COLOUR, hatch_of, level_colours, patch
from dlco.report.drawing.svg import set_hover

_EDGE = 1.7  # inches of title, axis and legend
_BAR = 0.78  # of a row


def plot_energy(solution: Solution, path: str | os.PathLike[str] | None = None, *, title: str = "") -> Figure:
    """A bar a layer: the energy of its executions, coloured by level and hatched by dataspace.

    From the left: MACs, then the levels from the innermost outwards, wires, leakage. The bars add up to the network's
    energy.

    Arguments, result and errors are those of `plot_solution`; by default the title says what is shown.
    """
    check_picture(path)
    rows = breakdowns(solution)
    colours = level_colours(solution.architecture)
    spaces, others = dataspaces(rows), {"MACs": MAC_COLOUR, "wires": WIRE_COLOUR}
    figure = new_figure(_EDGE + ROW * len(rows))
    axes = figure.subplots()
    largest = max(sum(pj for *_, pj in energy_parts_of(row)) * row.count for row in rows) * JOULES
    divisor, unit = axis_unit(largest, "J")
    for i, row in enumerate(rows):
        left = 0.0
        for level, space, pj in energy_parts_of(row):
            joules = pj * row.count * JOULES
            colour = colours.get(level, others.get(level, LEAK_COLOUR))
            hatch = hatch_of(spaces.index(space)) if space else ""
            text = f"{row.name}: {_named(level, space)} {pretty(si(joules, 'J'))}"
            _bar(axes, i, left, joules / divisor, colour, hatch, text)
            left += joules / divisor
    layer_rows_axis(axes, [(row.name, row.count) for row in rows])
    axes.set_xlim(left=0)
    axes.set_xlabel(f"energy of all executions, {unit}", fontsize=9)
    axes.xaxis.set_major_locator(MaxNLocator(7))
    style_axes(axes)
    _legends(figure, rows, colours, spaces)
    return finish(figure, path, title or "Energy by level and dataspace")


def energy_parts_of(row: Breakdown) -> list[tuple[str, str, float]]:
    """(level, dataspace, pJ of one execution) of all that is not 0, in the order of the bars.

    "MACs" come first, "wires" and "leakage" last, without a dataspace.
    """
    parts = [("MACs", "", row.mac_pj)]
    parts += [(level, space, pj) for level, spaces in row.energy_pj.items() for space, pj in spaces.items()]
    parts += [("wires", "", row.wire_pj), ("leakage", "", row.leak_pj)]
    return [part for part in parts if part[2] > 0]


def _bar(axes: Axes, row: int, left: float, width: float, colour: str, hatch: str, text: str) -> None:
    edge = "#FFFFFF" if colour == BLACK else BLACK
    (bar,) = axes.barh(row, width, _BAR, left, color=colour, hatch=hatch, edgecolor=edge, lw=0.3)
    set_hover(bar, text)


def _named(level: str, space: str) -> str:
    return f"{space} in {level}" if space else level


def _legends(figure: Figure, rows: tuple[Breakdown, ...], colours: dict[str, str], spaces: tuple[str, ...]) -> None:
    """Levels by colour, dataspaces by hatch: only those that cost anything."""
    present = {(level, space) for row in rows for level, space, _ in energy_parts_of(row)}
    levels = {"MACs": MAC_COLOUR} | colours | {"wires": WIRE_COLOUR, "leakage": LEAK_COLOUR}
    handles = [patch(colour, name) for name, colour in levels.items() if any(name == level for level, _ in present)]
    handles += [
        patch("#FFFFFF", name, hatch_of(i))
        for i, name in enumerate(spaces)
        if any(name == space for _, space in present)
    ]
    if handles:
        figure.legend(
            handles=handles, loc="outside lower center", ncols=min(len(handles), 5), frameon=False, fontsize=8
        )
