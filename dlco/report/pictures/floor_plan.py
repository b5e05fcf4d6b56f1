"""A machine's area as a sketch of its floor plan: rectangles to scale, the array with its grid."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from math import isqrt, sqrt

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch, PathPatch
from matplotlib.path import Path

from dlco.hardware.architecture import Architecture, Level
from dlco.report.drawing.canvas import check_picture, finish, new_figure
from dlco.report.drawing.colours import BLACK, DARK, MAC_COLOUR, hatch_of, level_colours, patch
from dlco.report.drawing.svg import set_hover

_MOST = 1000  # rectangles of a panel; an array of more is a grid
_NAMED = 0.25  # of the panel's side that a grid must have to be named
_LINES = 256  # lines along a side of a grid; of more, some are left out


@dataclass(frozen=True)
class Block:
    """A rectangle of the plan, mm.

    Attributes:
        name: a level, the MACs' name, or "" for the grid over an array of too many parts to draw.
        x, y, width, height: where it lies.
        columns, rows: of an array's grid.
    """

    name: str
    x: float
    y: float
    width: float
    height: float
    columns: int = 1
    rows: int = 1


def plot_floor_plan(
    architecture: Architecture, path: str | os.PathLike[str] | None = None, *, title: str = ""
) -> Figure:
    """The machine as a square of its area, every memory and every MAC to scale; beside it, one child enlarged.

    A sketch of sizes, not of a layout: a level takes the area of its wires too, those to DRAM as DRAM; no pads, no
    room between the parts.

    Path, title, result and errors are those of `plot_solution`; by default the title says what is shown.
    """
    check_picture(path)
    figure = new_figure(4.6)
    total = architecture.area_mm2
    if total <= 0:
        axes = figure.subplots()
        axes.text(0.5, 0.5, "no areas are given of this machine", transform=axes.transAxes, ha="center", color=DARK)
        axes.set_axis_off()
    else:
        child = enlarged(architecture)
        whole, *others = figure.subplots(1, 1 if child is None else 2, squeeze=False)[0]
        _draw(whole, architecture, len(architecture.levels) - 1, "mm", 1.0)
        whole.set_title(f"whole machine, {total:.4g} mm²", fontsize=8.5)
        if child is not None:
            _draw(others[0], architecture, child, "µm", 1e3)
            n = architecture.instances[child] if child >= 0 else architecture.macs
            area = subtree_area(architecture, child)
            others[0].set_title(f"one of its {n:,} elements, {_shown(area)}", fontsize=8.5)
        figure.legend(handles=_legend(architecture), loc="outside lower center", ncols=2, frameon=False, fontsize=8)
    return finish(figure, path, title or f"Area of {architecture.name}, to scale")


def subtree_area(machine: Architecture, level: int) -> float:
    """Area of one instance of a level with all that lies under it, mm2; level -1 is a MAC."""
    if level < 0:
        return machine.mac_area_um2 * 1e-6
    own = machine.levels[level]
    return _own_um2(own) * 1e-6 + own.fanout_x * own.fanout_y * subtree_area(machine, level - 1)


def _own_um2(level: Level) -> float:
    """Area of an instance of a level with its wires."""
    return level.area_um2 + (level.network.area_um2 if level.network else 0.0)


def enlarged(machine: Architecture) -> int | None:
    """The level of which one instance is worth a panel of its own: a child of the outermost array; None without one."""
    for i in reversed(range(len(machine.levels))):
        if machine.levels[i].fanout_x * machine.levels[i].fanout_y > 1 and subtree_area(machine, i - 1) > 0:
            return i - 1
    return None


def blocks(machine: Architecture, level: int) -> list[Block]:
    """The rectangles of one instance of a level and all that lies under it, in a square of its area at the origin.

    The areas of those with a name add up to the square's. An array of too many parts shows their totals as strips,
    and its grid over them.
    """
    side = sqrt(subtree_area(machine, level))
    return list(_blocks(machine, level, (0.0, 0.0, side, side), _MOST))


def _blocks(machine: Architecture, level: int, room: tuple[float, float, float, float], most: int) -> Iterator[Block]:
    x, y, width, height = room
    if level < 0:
        yield Block(machine.mac_name, x, y, width, height)
        return
    own, whole = machine.levels[level], subtree_area(machine, level)
    if whole <= 0:
        return
    share = _own_um2(own) * 1e-6 / whole
    if share > 0:  # a strip across the shorter side
        if width >= height:
            yield Block(own.name, x, y, width * share, height)
            x, width = x + width * share, width * (1 - share)
        else:
            yield Block(own.name, x, y, width, height * share)
            y, height = y + height * share, height * (1 - share)
    n = own.fanout_x * own.fanout_y
    if share == 1:
        return
    columns, rows = _grid(own.fanout_x, own.fanout_y, width / height)
    if n > 1 and n * _parts(machine, level - 1) > most:
        yield from _totals(machine, level - 1, (x, y, width, height))
        yield Block("", x, y, width, height, columns, rows)
        return
    for k in range(n):
        cell = (x + width * (k % columns) / columns, y + height * (k // columns) / rows, width / columns, height / rows)
        yield from _blocks(machine, level - 1, cell, most // n)


def _totals(machine: Architecture, level: int, room: tuple[float, float, float, float]) -> Iterator[Block]:
    """Strips of all that lies under so many instances of a level that they cannot be drawn apart."""
    x, y, width, height = room
    whole = subtree_area(machine, level)
    for name, area in _under(machine, level):
        if area > 0:
            yield Block(name, x, y, width * area / whole, height)
            x += width * area / whole


def _under(machine: Architecture, level: int) -> list[tuple[str, float]]:
    """(name, mm2) of everything in one instance of a level."""
    if level < 0:
        return [(machine.mac_name, subtree_area(machine, level))]
    own = machine.levels[level]
    n = own.fanout_x * own.fanout_y
    return [(own.name, _own_um2(own) * 1e-6), *((name, area * n) for name, area in _under(machine, level - 1))]


def _grid(columns: int, rows: int, aspect: float) -> tuple[int, int]:
    """The array's own grid; one that is much longer than wide is folded to cells that are nearly square."""
    n = columns * rows
    if max(columns, rows) <= 16 * min(columns, rows):
        return columns, rows
    sides = [d for one in range(1, isqrt(n) + 1) if n % one == 0 for d in (one, n // one)]
    best = min(sides, key=lambda c: abs(sqrt(n * aspect) / c - 1))
    return best, n // best


def _parts(machine: Architecture, level: int) -> int:
    """Rectangles that one instance takes at least, the arrays in it as strips."""
    return sum(area > 0 for _, area in _under(machine, level))


def _shown(mm2: float) -> str:
    return f"{mm2:.3g} mm²" if mm2 >= 0.01 else f"{mm2 * 1e6:,.4g} µm²"


def _draw(axes: Axes, machine: Architecture, level: int, unit: str, scale: float) -> None:
    side = sqrt(subtree_area(machine, level)) * scale
    colours = {machine.mac_name: MAC_COLOUR} | level_colours(machine)
    hatches = _hatches(machine)
    drawn = blocks(machine, level)
    line = 0.5 if len(drawn) < 300 else 0.15
    for name in dict.fromkeys(block.name for block in drawn if block.name):
        same = [block for block in drawn if block.name == name]
        shape = PathPatch(
            Path.make_compound_path(*(_outline(block, scale) for block in same)),
            facecolor=colours[name],
            hatch=hatches.get(name, ""),
            edgecolor=BLACK,
            lw=line,
        )
        axes.add_patch(shape)
        set_hover(shape, f"{name}: {_shown(sum(block.width * block.height for block in same))}")
    for block in drawn:
        if not block.name:
            _draw_grid(axes, block, scale, side)
    axes.set_xlim(0, side)
    axes.set_ylim(0, side)
    axes.set_aspect("equal")
    axes.set_xlabel(unit, fontsize=8.5)
    axes.set_ylabel(unit, fontsize=8.5)
    axes.tick_params(labelsize=7.5)
    axes.locator_params(nbins=5)


def _outline(block: Block, scale: float) -> Path:
    left, bottom, right, top = block.x, block.y, block.x + block.width, block.y + block.height
    corners = [(left, bottom), (right, bottom), (right, top), (left, top), (left, bottom)]
    return Path([(x * scale, y * scale) for x, y in corners], closed=True)


def _draw_grid(axes: Axes, block: Block, scale: float, side: float) -> None:
    """The lines of an array's grid, and how many elements it has, where there is room."""
    lines = Path.make_compound_path(*(Path(ends) for ends in _grid_lines(block, scale)))
    axes.add_patch(PathPatch(lines, facecolor="none", edgecolor=BLACK, lw=0.3, alpha=0.6))
    if min(block.width, block.height) * scale >= _NAMED * side:
        x, y = (block.x + block.width / 2) * scale, (block.y + block.height / 2) * scale
        box = {"facecolor": "white", "edgecolor": "none", "pad": 2}
        axes.text(x, y, f"{block.columns} × {block.rows}", ha="center", va="center", fontsize=9, bbox=box)


def _grid_lines(block: Block, scale: float) -> list[list[tuple[float, float]]]:
    lines = []
    for k in range(0, block.columns + 1, max(1, block.columns // _LINES)):
        x = (block.x + block.width * k / block.columns) * scale
        lines.append([(x, block.y * scale), (x, (block.y + block.height) * scale)])
    for k in range(0, block.rows + 1, max(1, block.rows // _LINES)):
        y = (block.y + block.height * k / block.rows) * scale
        lines.append([(block.x * scale, y), ((block.x + block.width) * scale, y)])
    return lines


def _hatches(machine: Architecture) -> dict[str, str]:
    """Memories inside the array are hatched, each another way; what lies around it is plain."""
    inner = [level.name for level, n in zip(machine.levels, machine.instances, strict=True) if n > 1]
    return {name: hatch_of(i + 1) for i, name in enumerate(inner)}


def _legend(machine: Architecture) -> list[Patch]:
    """Every part with its area, outermost first."""
    total, colours, hatches = machine.area_mm2, level_colours(machine), _hatches(machine)
    parts = [
        (level.name, n, _own_um2(level) * n * 1e-6)
        for level, n in reversed(list(zip(machine.levels, machine.instances, strict=True)))
    ]
    parts.append((machine.mac_name, machine.macs, machine.mac_area_um2 * machine.macs * 1e-6))
    return [
        patch(
            colours.get(name, MAC_COLOUR),
            f"{n:,} × {name}: {area:.3g} mm², {100 * area / total:.1f} %"
            if n > 1
            else f"{name}: {area:.3g} mm², {100 * area / total:.1f} %",
            hatches.get(name, ""),
        )
        for name, n, area in parts
        if area > 0
    ]
