"""A solution as a picture: where each layer's energy goes, and what its cycles are."""

import os
from math import ceil, inf
from textwrap import wrap

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dlco.design.figures import si
from dlco.design.machine_table import byte_size
from dlco.design.objective import JOULES
from dlco.design.solution import Solution
from dlco.report.drawing.axes import axis_unit, style_axes
from dlco.report.drawing.canvas import check_picture, finish, new_figure
from dlco.report.drawing.colours import DARK, LEAK_COLOUR, MAC_COLOUR, WIRE_COLOUR, level_colours
from dlco.report.drawing.words import layer_label, plain

_CYCLES = DARK
_ROW_INCHES = 0.27
_EDGE_INCHES = 1.9  # title, legend, axis labels
_BAR = 0.72  # of a row's height
_LINE = 130  # characters that fit side by side


def plot_solution(solution: Solution, path: str | os.PathLike[str] | None = None, *, title: str = "") -> Figure:
    """One row a layer: its energy, stacked by where it goes, and its cycles, with the utilisation beside them.

    Energy and cycles are those of all executions of a layer, so that the rows add up to the network's totals.

    Args:
        solution: what to draw.
        path: where to write the picture, or None; the suffix says the format, one of `PICTURES`.
        title: what to call the network in the title.

    Returns:
        The figure, which belongs to no window and to no pyplot state.

    Raises:
        InvalidInput: another suffix.
    """
    check_picture(path)
    rows = len(solution.layers)
    height = _EDGE_INCHES + _ROW_INCHES * rows
    figure = new_figure(height, width=10)
    energy, cycles = figure.subplots(1, 2, sharey=True, width_ratios=(3, 2))
    _draw_energy(energy, solution)
    _draw_cycles(cycles, solution)
    energy.set_yticks(range(rows), [layer_label(layer.name, layer.count) for layer in solution.layers])
    energy.set_ylim(rows - 0.45, -0.55)  # the first layer at the top
    figure.suptitle(_title(solution, title), fontsize=10, x=0.01, ha="left", linespacing=1.5)
    if names := energy.get_legend_handles_labels()[1]:
        lines = 1 + sum(len(name) + 8 for name in names) // _LINE
        figure.legend(loc="outside lower center", ncols=ceil(len(names) / lines), frameon=False, fontsize=9)
    return finish(figure, path)


def energy_parts(solution: Solution) -> dict[str, list[float]]:
    """Where the energy of each layer's executions goes, pJ: MACs, every level from the innermost, wires, leakage."""
    costs = [solution.layer_costs[layer.name] for layer in solution.layers]
    parts = {"MACs": [one.mac_pj * one.count for one in costs]}
    for level in solution.architecture.levels:
        parts[level.name] = [one.level_pj[level.name] * one.count for one in costs]
    parts["wires"] = [one.wire_pj * one.count for one in costs]
    parts["leakage"] = [one.leak_pj * one.count for one in costs]
    return {name: values for name, values in parts.items() if any(values)}


def _draw_energy(axes: Axes, solution: Solution) -> None:
    parts = energy_parts(solution)
    left = [0.0] * len(solution.layers)
    sums = [sum(values) * JOULES for values in zip(*parts.values(), strict=True)]
    divisor, unit = axis_unit(max(sums, default=0.0), "J")
    colours = {"MACs": MAC_COLOUR, "wires": WIRE_COLOUR, "leakage": LEAK_COLOUR} | level_colours(solution.architecture)
    for name, values in parts.items():
        widths = [value * JOULES / divisor for value in values]
        bars = axes.barh(range(len(left)), widths, _BAR, left, color=colours[name], edgecolor="white", lw=0.4)
        bars.set_label(plain(name))
        left = [start + width for start, width in zip(left, widths, strict=True)]
    axes.set_xlim(left=0)
    _style(axes, f"energy, {unit}")


def _draw_cycles(axes: Axes, solution: Solution) -> None:
    costs = [solution.layer_costs[layer.name] for layer in solution.layers]
    cycles = [one.cycles * one.count for one in costs]
    divisor, unit = axis_unit(max(cycles), "cycles")
    bars = axes.barh(range(len(cycles)), [one / divisor for one in cycles], _BAR, color=_CYCLES)
    axes.bar_label(bars, [f"{100 * one.utilization:.1f} %" for one in costs], padding=3, fontsize=8)
    axes.set_xlim(0, 1.22 * max(cycles) / divisor)  # room for the labels
    _style(axes, f"{unit}, and share of the MACs at work")
    axes.tick_params(axis="y", length=0)


def _style(axes: Axes, label: str) -> None:
    axes.set_xlabel(label, fontsize=9)
    style_axes(axes, size=8.5)
    axes.locator_params(axis="x", nbins=7)


def _title(solution: Solution, network: str) -> str:
    """The totals, and below them the sizes of the machine, from the outermost level inwards."""
    cost, machine = solution.cost, solution.architecture
    totals = (
        si(cost.energy_pj * JOULES, "J"),
        si(cost.latency_s, "s"),
        si(cost.power_w, "W"),
        f"{cost.area_mm2:#.3g} mm²",
        f"EDP {cost.edp:.3g} pJ·cycles",
    )
    sizes = [
        (level.name if level.capacity == inf else f"{level.name} {byte_size(level)}")
        + (f" over {level.fanout_x}×{level.fanout_y}" if level.fanout_x * level.fanout_y > 1 else "")
        for level in reversed(machine.levels)
        if level.kind != "DRAM" or level.fanout_x * level.fanout_y > 1
    ]
    first = f"{network or 'network'} on {machine.name}: {' · '.join(totals)}".replace(" u", " µ")
    unbroken = [size.replace(" ", "\N{NO-BREAK SPACE}") for size in [*sizes, f"{machine.macs:,} MACs"]]
    return plain("\n".join([first, *wrap(" · ".join(unbroken), _LINE)]))
