"""The roofline: what a level's bandwidth lets every layer reach, by how often it uses a word."""

import os
from math import inf

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from dlco.design.solution import Solution
from dlco.errors import InvalidInput
from dlco.hardware.architecture import Architecture, Level
from dlco.report.breakdown import Breakdown, breakdowns
from dlco.report.drawing.axes import style_axes
from dlco.report.drawing.canvas import check_picture, finish, new_figure
from dlco.report.drawing.colours import BLACK, BLUE, DARK, MARKERS, level_colours
from dlco.report.drawing.svg import set_hover
from dlco.report.drawing.words import LOWER_RIGHT, NAME_WIDTH, UPPER_LEFT, name_points, plain
from dlco.texts import clip

_MARGIN = 2.0  # of the axes beyond the points, as a factor
_NAMED = 24  # layers named at most


def plot_roofline(
    solution: Solution, path: str | os.PathLike[str] | None = None, *, level: str | None = None, title: str = ""
) -> Figure:
    """MACs a cycle of every layer over its operational intensity at one level.

    The intensity is MACs a word that the level's busiest port moves (as Williams, Waterman and Patterson's roofline,
    CACM 52(4), 2009, has operations a byte of DRAM traffic). No layer lies above the slanted roof, the bandwidth of
    that port times the intensity, nor above the flat one, all MACs at work. The area of a point is its layer's share
    of the network's cycles; its shape and colour say what sets its cycles.

    The level is by default the outermost one with a limited bandwidth; one without is an `InvalidInput`. Other
    arguments, result and errors are those of `plot_solution`; by default the title says what is shown.
    """
    check_picture(path)
    machine = solution.architecture
    chosen = _chosen(machine, level)
    words_per_cycle = port_bandwidth(chosen) * machine.instances[machine.index(chosen.name)]
    rows = [row for row in breakdowns(solution) if row.level_cycles[chosen.name] > 0]
    points = [(intensity(row, chosen.name, words_per_cycle), row.operations / row.cycles) for row in rows]
    figure = new_figure(4.4)
    axes = figure.subplots()
    _draw_roofs(axes, points, words_per_cycle, machine.macs)
    _draw_layers(axes, solution, rows, points)
    axes.set_xlabel(f"operational intensity, MACs a word through the busiest port of {plain(chosen.name)}", fontsize=9)
    axes.set_ylabel("MACs a cycle", fontsize=9)
    style_axes(axes, "both")
    figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=8)
    order = sorted(range(len(rows)), key=lambda i: -rows[i].cycles * rows[i].count)
    names = [(i, plain(clip(rows[i].name, NAME_WIDTH))) for i in order[:_NAMED]]
    name_points(figure, axes, points, names, (LOWER_RIGHT, UPPER_LEFT))  # off the slanted roof
    return finish(figure, path, title or f"Roofline of {chosen.name}")


def has_roofline(solution: Solution) -> bool:
    """Whether any level's bandwidth has a limit that words pass."""
    return any(port_bandwidth(level) > 0 for level in solution.architecture.levels)


def port_bandwidth(level: Level) -> float:
    """Words a cycle of an instance's widest port."""
    return max(one for one in (level.read_bandwidth, level.write_bandwidth, level.shared_bandwidth, 0.0) if one < inf)


def intensity(row: Breakdown, level: str, words_per_cycle: float) -> float:
    """MACs a word that the busiest port of all instances of a level moves, were they all at work."""
    return row.operations / (row.level_cycles[level] * words_per_cycle)


def _chosen(machine: Architecture, name: str | None) -> Level:
    limited = [level for level in machine.levels if port_bandwidth(level) > 0]
    if name is not None:
        level = machine.level(name)
        if level not in limited:
            raise InvalidInput(f"level is {name!r}, whose bandwidth has no limit; a roofline needs one")
        return level
    if not limited:
        raise InvalidInput(
            f"machine is {machine.name!r}, of which no level has a limited bandwidth; a roofline needs one"
        )
    return limited[-1]


def _draw_roofs(axes: Axes, points: list[tuple[float, float]], words_per_cycle: float, macs: int) -> None:
    ridge = macs / words_per_cycle
    left = min([x for x, _ in points] + [ridge]) / _MARGIN
    right = max([x for x, _ in points] + [ridge]) * _MARGIN
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.plot([left, ridge], [left * words_per_cycle, macs], color=BLUE, lw=1.8, label=_slope(words_per_cycle))
    axes.plot([ridge, right], [macs, macs], color=BLACK, lw=1.8, ls="--", label=f"{macs:,} MACs at work")
    low = min([y for _, y in points] + [macs])
    axes.set_xlim(left, right)
    axes.set_ylim(min(low, left * words_per_cycle) / 1.3, macs * _MARGIN)
    for side in (axes.xaxis, axes.yaxis):
        side.set_major_locator(LogLocator())
        side.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
        side.set_minor_formatter(NullFormatter())


def _slope(words_per_cycle: float) -> str:
    return f"{words_per_cycle:,.4g} words a cycle"


def _draw_layers(axes: Axes, solution: Solution, rows: list[Breakdown], points: list[tuple[float, float]]) -> None:
    colours = {"compute": DARK} | level_colours(solution.architecture)
    shapes = dict(zip(colours, ("o", *MARKERS * len(colours)), strict=False))
    named: set[str] = set()
    for row, (x, y) in zip(rows, points, strict=True):
        share = row.cycles * row.count / solution.cost.cycles
        dot = axes.scatter(
            [x],
            [y],
            s=14 + 500 * share,
            marker=shapes[row.bound_by],
            facecolor=colours[row.bound_by],
            edgecolors=BLACK,
            lw=0.5,
            alpha=0.85,
            zorder=3,
            label=None if row.bound_by in named else plain(f"set by {row.bound_by}"),
        )
        named.add(row.bound_by)
        set_hover(dot, f"{row.name}: {y:.4g} MACs a cycle at {x:.4g} MACs a word, {100 * share:.1f} % of the cycles")
