"""A front as a table and as a picture."""

import os
from collections.abc import Mapping, Sequence
from math import inf

from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from dlco.design.front import Front
from dlco.design.layout import Table, pretty, scaled, si
from dlco.design.table import QUANTITIES, byte_size
from dlco.errors import InvalidInput
from dlco.hardware.architecture import Architecture
from dlco.optimize.request import OBJECTIVE_OF, UNIT_OF
from dlco.report.labels import name_points
from dlco.report.style import (
    BLACK,
    BLUE,
    GREEN,
    ORANGE,
    PURPLE,
    VERMILLION,
    check_picture,
    finish,
    new_figure,
    plain,
    plain_ticks,
)
from dlco.report.svg import set_hover

_FRONT, _KNEE, _OTHER, _BOUND = BLUE, VERMILLION, "#AAAAAA", BLACK
_BESIDE = ((ORANGE, "s"), (GREEN, "^"), (PURPLE, "D"))  # the shapes differ too


def front_table(front: Front) -> Table:
    """A row a point, ascending along the first axis, and what they cover."""
    knee = front.knee
    bounds = any(point.solution.lower_bound is not None for point in front.points)
    rows = []
    for i, point in enumerate(front.points):
        machine = point.solution.architecture
        row = [str(i + 1), *(_shown(axis, value) for axis, value in zip(front.axes, point.values, strict=True))]
        if bounds:
            gap = point.solution.gap
            row.append("" if gap is None else f"{100 * gap:.1f}")
        rows.append((*row, f"{machine.macs:,}", _memory(machine), "knee" if point is knee else ""))
    header = ["", *(f"{'EDP' if axis == 'edp' else axis}" for axis in front.axes)]
    header += ["gap %"] * bounds + ["MACs", "memory", ""]
    return Table(
        f"{front.status}: {front.message}",
        tuple(header),
        tuple(rows),
        text_columns=frozenset({len(header) - 1}),
        note=f"{len(front.points)} designs of {len(front.points) + len(front.dominated)} found; hypervolume "
        f"{front.hypervolume():.4g} in logs; {front.evaluations:,} mappings evaluated in {front.seconds:.1f} s, "
        f"seed {front.seed}." + (f"\nWithin {_limits(front)}." if front.budget.limits else ""),
    )


def front_text(front: Front) -> str:
    """The front as plain text in fixed width."""
    return front_table(front).to_text()


def plot_front(
    front: Front,
    path: str | os.PathLike[str] | None = None,
    *,
    title: str = "",
    beside: Mapping[str, Front] | None = None,
) -> Figure:
    """The points over two axes, both logarithmic, with the knee marked and machines named where there is room.

    Two objectives are joined by a staircase: everything above and to the right of it is dominated. The third of
    three is the colour. Where the points have lower bounds, no design under a point's limit lies below its bound.

    Args:
        front: what to draw.
        path: where to write the picture, or None; the suffix says the format, one of `PICTURES`.
        title: what to call the network in the title.
        beside: other fronts over the same axes, by name, to compare with; for two objectives only.

    Returns:
        The figure, which belongs to no window and to no pyplot state.

    Raises:
        InvalidInput: another suffix, or a front over other axes.
    """
    check_picture(path)
    beside = beside or {}
    for name, other in beside.items():
        if other.axes != front.axes or len(front.axes) != 2:
            raise InvalidInput(
                f"front {name!r} is over {', '.join(other.axes)}; fronts side by side must be over the same two axes"
            )
    figure = new_figure(5.5, width=8)
    axes = figure.subplots()
    axes.set_xscale("log")
    axes.set_yscale("log")
    every = [one for each in (front, *beside.values()) for one in each.points]
    divisors = []
    for k, (axis, side) in enumerate(zip(front.axes[:2], (axes.xaxis, axes.yaxis), strict=True)):
        divisors.append(_style(side, axis, [point.values[k] for point in every]))
    for (name, other), (colour, marker) in zip(beside.items(), _BESIDE * len(beside), strict=False):
        _draw_points(axes, other, divisors, colour, marker, name, zorder=2)
    if len(front.axes) == 2:
        _draw_points(axes, front, divisors, _FRONT, "o", "front" if not beside else "constraint", zorder=3)
    elif front.points:
        _draw_colours(figure, axes, front, divisors)
    if not beside:
        _draw_others(axes, front, divisors)
    if (knee := front.knee) is not None and len(front.points) > 2:
        at = [value / divisor for value, divisor in zip(knee.values, divisors, strict=False)]
        axes.plot(*at, "o", ms=14, mfc="none", mec=_KNEE, mew=2, ls="none", label="knee", zorder=4)
    if front.points:
        _hover_points(axes, front, divisors)
        axes.legend(frameon=False, fontsize=9)
        _name_machines(figure, axes, front, divisors)
    names = " and ".join("EDP" if axis == "edp" else axis for axis in front.axes)
    limits = _limits(front).replace(" u", " µ")
    heading = f"{title or 'network'}: {names}" + (f" within {_pretty(limits)}" if limits else "")
    axes.set_title(plain(heading), fontsize=10, loc="left")
    return finish(figure, path)


def machine_sizes(machine: Architecture) -> str:
    """A machine's sizes in a line: MACs, then what an instance of every memory holds, the outermost first."""
    levels = [level for level in reversed(machine.levels) if level.kind != "DRAM" and level.capacity < inf]
    return ", ".join([f"{machine.macs:,} MACs", *(f"{level.name} {byte_size(level)}" for level in levels)])


def _hover_points(axes: Axes, front: Front, divisors: Sequence[float]) -> None:
    """In SVG, each point's figures and machine where a pointer rests on it."""
    for i, point in enumerate(front.points):
        x, y = (point.values[k] / divisors[k] for k in (0, 1))
        dot = axes.scatter([x], [y], s=90, color="none", zorder=5)
        figures = ", ".join(f"{axis} {_shown(axis, v)}" for axis, v in zip(front.axes, point.values, strict=True))
        machine = machine_sizes(point.solution.architecture)
        set_hover(dot, pretty(f"point {i + 1}: {figures}; {machine}"))


def machine_text(machine: Architecture) -> str:
    """A machine in two figures, such as "168 MACs, 182 KiB"."""
    return f"{machine.macs:,} MACs, {_memory(machine)}"


def _draw_points(
    axes: Axes, front: Front, divisors: Sequence[float], colour: str, marker: str, name: str, zorder: int
) -> None:
    columns = [
        [point.values[k] / divisor for point in front.points] for k, divisor in zip((0, 1), divisors, strict=True)
    ]
    axes.step(*columns, where="post", color=colour, lw=1, alpha=0.6, zorder=zorder)
    axes.plot(*columns, marker, color=colour, ms=6, ls="none", label=name, zorder=zorder)


def _draw_colours(figure: Figure, axes: Axes, front: Front, divisors: Sequence[float]) -> None:
    third = [point.values[2] for point in front.points]
    _, unit, scale = QUANTITIES[front.axes[2]]
    divisor, shown = scaled(max(third) * scale, unit) if unit not in ("mm2", QUANTITIES["edp"][1]) else (1.0, unit)
    colours = [value * scale / divisor for value in third]
    norm = LogNorm(min(colours), max(colours) * (1 + 1e-9))
    x, y = ([point.values[k] / divisors[k] for point in front.points] for k in (0, 1))
    dots = axes.scatter(x, y, c=colours, cmap="cividis", norm=norm, s=45, edgecolors="black", lw=0.5, zorder=3)
    bar = figure.colorbar(dots, ax=axes)
    plain_ticks(bar.ax.yaxis, colours)
    bar.set_label(f"{front.axes[2]}, {_pretty(shown)}", fontsize=9)


def _draw_others(axes: Axes, front: Front, divisors: Sequence[float]) -> None:
    """Dominated designs, as far as the front's own range shows them, and bounds."""
    if front.points and front.dominated:
        columns = [[point.values[k] / divisors[k] for point in front.dominated] for k in (0, 1)]
        axes.plot(*columns, "x", color=_OTHER, ms=5, ls="none", label="dominated", zorder=1)
    bounds = [
        (point.limits.get(front.axes[0], point.values[0]), point.solution.lower_bound)
        for point in front.points
        if point.solution.lower_bound is not None and point.solution.objective == front.axes[1] and point.limits
    ]
    if bounds and len(front.axes) == 2:
        columns = [[bound[k] / divisors[k] for bound in bounds] for k in (0, 1)]
        axes.plot(*columns, "_", color=_BOUND, ms=9, ls="none", label="lower bound", zorder=1)


def _name_machines(figure: Figure, axes: Axes, front: Front, divisors: Sequence[float]) -> None:
    """Machines beside their points: the ends, the knee, then the others, as far as there is room."""
    at = [(point.values[0] / divisors[0], point.values[1] / divisors[1]) for point in front.points]
    knee = front.knee
    order = sorted(range(len(at)), key=lambda i: (0 < i < len(at) - 1 and front.points[i] is not knee, i))
    texts = [machine_text(point.solution.architecture) for point in front.points]
    name_points(figure, axes, at, [(i, texts[i]) for i in order])


def _style(side: Axis, axis: str, figures: Sequence[float]) -> float:
    """Label and ticks of one side; returns what to divide the axis' figures by."""
    _, unit, scale = QUANTITIES[axis]
    largest = max(figures, default=1.0) * scale
    divisor, shown = (1.0, unit) if unit in ("mm2", QUANTITIES["edp"][1]) else scaled(largest, unit)
    side.set_label_text(f"{'EDP' if axis == 'edp' else axis}, {_pretty(shown)}", fontsize=9)
    plain_ticks(side, [figure * scale / divisor for figure in figures])
    side.set_tick_params(labelsize=8.5)
    side.axes.spines[["top", "right"]].set_visible(False)
    side.axes.grid(lw=0.5, alpha=0.4)
    side.axes.set_axisbelow(True)
    return divisor / scale


def _pretty(unit: str) -> str:
    return unit.replace("mm2", "mm²").replace(" x ", "·").replace("u", "µ", unit.startswith("u"))


def _shown(axis: str, value: float) -> str:
    _, unit, scale = QUANTITIES[axis]
    return f"{value * scale:.4g} {unit}" if unit in ("mm2", QUANTITIES["edp"][1]) else si(value * scale, unit)


def _limits(front: Front) -> str:
    """The budget's limits on totals, such as "area 4 mm2, latency 41.3 ms"."""
    shown = []
    for limit, value in front.budget.limits.items():
        axis = OBJECTIVE_OF[limit]
        shown.append(f"{axis} {_shown(axis, value / UNIT_OF[limit])}")
    return ", ".join(shown)


def _memory(machine: Architecture) -> str:
    """What all levels above DRAM hold together, over all their instances."""
    return memory_text(machine.memory_bits)


def memory_text(bits: float) -> str:
    """A number of bits as people read the size of a memory, such as "182 KiB"."""
    return f"{bits / 8192:,.3g} KiB" if bits < 8192 * 1024 else f"{bits / 8192 / 1024:.3g} MiB"
