"""Co-search in pictures: the front of accuracy and energy with its machines, and how each method got there."""

import os
from collections.abc import Mapping, Sequence
from itertools import cycle

from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from dlco.design.codesign import CoPoint, FoundPair
from dlco.design.dominance import nondominated
from dlco.design.figures import pretty
from dlco.design.machine_table import machine_text
from dlco.design.objective import ACCURACY, Objective
from dlco.design.weighted_sum import SUM
from dlco.errors import InvalidInput
from dlco.report.drawing.axes import DECADE, objective_axis, plain_ticks, style_axes
from dlco.report.drawing.canvas import check_picture, finish, new_figure
from dlco.report.drawing.colours import BLACK, BLUE, DARK, GREEN, ORANGE, PURPLE, SKY, VERMILLION
from dlco.report.drawing.svg import set_hover
from dlco.report.drawing.words import name_points, plain

# Dashes differ beside colour and lightness, for print in grey.
_COLOURS = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY, BLACK, "#999999")
_DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (8, 2)), (0, (1, 1)), (0, (3, 1)))
_CHOSEN, _LIMIT, _STAIRS = VERMILLION, BLACK, DARK
_NAMED = 14  # machines named at most: more cannot be told apart


def plot_codesign(
    found: FoundPair | Sequence[FoundPair], path: str | os.PathLike[str] | None = None, *, title: str = ""
) -> Figure:
    """Accuracy over energy of the pairs on the front, each with its machine where there is room.

    The front is over accuracy, energy and latency: the colour is the latency, and the staircase joins those that no
    other beats in accuracy and energy alone. The pair chosen has a ring. A search looks at pairs near the accuracy
    asked for, so several searches that ask for different ones show more of the front; theirs is drawn as one.

    Args:
        found: one search or several.
        path: as in `plot_solution`, which returns the same.
        title: what to call the space in the title; its name unless given.

    Raises:
        InvalidInput: another suffix, or no search.
    """
    check_picture(path)
    designs = [found] if isinstance(found, FoundPair) else list(found)
    if not designs:
        raise InvalidInput("found is empty; it must hold at least one co-design")
    figure = new_figure(5.5, width=8)
    axes = figure.subplots()
    style_axes(axes, "both", size=8.5)
    points = _joined(designs)
    divisor, label = _axis(Objective.ENERGY, [point.energy_pj for point in points])
    at = [(point.energy_pj / divisor, point.accuracy) for point in points]
    axes.set_xlabel(label, fontsize=9)
    axes.set_ylabel("accuracy, %", fontsize=9)
    axes.set_xscale("log")
    plain_ticks(axes.xaxis, [x for x, _ in at])
    stairs = sorted(nondominated([(x, 100 - y) for x, y in at]), key=lambda i: at[i])
    if points:
        columns = list(zip(*(at[i] for i in stairs), strict=True))
        axes.step(*columns, where="post", color=_STAIRS, lw=1, label="most accurate for its energy", zorder=2)
        _draw_points(figure, axes, points, at)
    chosen = _chosen(designs, points)
    if chosen:
        axes.plot(
            *zip(*(at[i] for i in chosen), strict=True),
            "o",
            ms=15,
            mfc="none",
            mec=_CHOSEN,
            mew=2,
            ls="none",
            label="chosen",
            zorder=4,
        )
    asked = {design.least_accuracy for design in designs if design.least_accuracy is not None}
    for i, least in enumerate(sorted(asked)):
        axes.axhline(least, color=_LIMIT, lw=1, ls=":", label="" if i else "accuracy asked for", zorder=1)
    if axes.get_legend_handles_labels()[1]:
        figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    axes.set_title(_heading(designs, title), fontsize=10, loc="left")
    order = list(dict.fromkeys([*chosen, *stairs[:1], *stairs[-1:], *_spread(stairs), *range(len(points))]))
    name_points(figure, axes, at, [(i, _machine(points[i])) for i in order[:_NAMED]])
    return finish(figure, path)


def plot_progress(
    searches: Mapping[str, FoundPair | Sequence[FoundPair]],
    path: str | os.PathLike[str] | None = None,
    *,
    title: str = "",
) -> Figure:
    """The best pair found over the pairs evaluated, a line a method.

    Of several searches by one method, such as those of several seeds, the line is the median and the band runs from
    the best to the worst. A line begins where every one of its searches has a pair within the limits.

    Args:
        searches: by the name in the legend; all with one objective.
        path: as in `plot_solution`, which returns the same.
        title: of the picture.

    Raises:
        InvalidInput: another suffix, nothing to draw, or searches with different objectives.
    """
    check_picture(path)
    lists = {name: [one] if isinstance(one, FoundPair) else list(one) for name, one in searches.items()}
    asked = {(design.objective, design.weights) for designs in lists.values() for design in designs}
    objectives = {objective for objective, _ in asked}
    if len(asked) != 1 or not all(lists.values()):
        named = ", ".join(sorted(objectives)) or "none"
        raise InvalidInput(f"searches have the objectives {named}; they must be one or more, with one objective")
    (objective,) = objectives
    lines = {name: _lines(designs) for name, designs in lists.items()}
    figures = [value for _, rows in lines.values() for row in rows for value in row]
    accurate = objective == ACCURACY
    units = {ACCURACY: (1.0, "accuracy, %"), SUM: (1.0, "weighted sum")}
    divisor, label = units.get(objective) or objective_axis(Objective(objective), figures)
    figure = new_figure(4.5, width=8)
    axes = figure.subplots()
    style_axes(axes, "both", size=8.5)
    shown: list[float] = []
    for (name, (steps, rows)), colour, dash in zip(lines.items(), cycle(_COLOURS), cycle(_DASHES)):
        ordered = [sorted(value / divisor for value in column) for column in zip(*rows, strict=True)]
        middle = [(column[(len(column) - 1) // 2] + column[len(column) // 2]) / 2 for column in ordered]
        axes.step(steps, middle, where="post", color=colour, ls=dash, lw=1.8, label=name)
        if len(rows) > 1:
            low, high = [column[0] for column in ordered], [column[-1] for column in ordered]
            axes.fill_between(steps, low, high, step="post", color=colour, alpha=0.15, lw=0)
        shown += [value for column in ordered for value in column]
    if not accurate:
        axes.set_yscale("log")
        plain_ticks(axes.yaxis, shown)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("pairs evaluated", fontsize=9)
    axes.set_ylabel(f"best {label}", fontsize=9)
    axes.legend(frameon=False, fontsize=9)
    axes.set_title(plain(title), fontsize=10, loc="left")
    return finish(figure, path)


def _lines(designs: Sequence[FoundPair]) -> tuple[list[int], list[list[float]]]:
    """(steps, for each design its best figure at each step); no steps where a design has nothing within the limits."""
    traces = [design.progress() for design in designs]
    if not all(steps for steps, _ in traces):
        return [], [[] for _ in traces]
    first, last = max(steps[0] for steps, _ in traces), max(design.evaluations for design in designs)
    joined = sorted({first, last, *(step for steps, _ in traces for step in steps if step > first)})
    rows = [[values[sum(at <= step for at in steps) - 1] for step in joined] for steps, values in traces]
    return joined, rows


def _axis(objective: Objective, figures: Sequence[float]) -> tuple[float, str]:
    """What to divide the pairs' figures by, and the axis' label, such as "energy of one run, mJ"."""
    divisor, label = objective_axis(objective, figures)
    return divisor, label.replace(",", " of one run,")


def _draw_points(figure: Figure, axes: Axes, points: Sequence[CoPoint], at: Sequence[tuple[float, float]]) -> None:
    divisor, label = _axis(Objective.LATENCY, [point.latency_s for point in points])
    latencies = [point.latency_s / divisor for point in points]
    low, high = min(latencies), max(latencies)
    norm: Normalize = LogNorm(low, high * (1 + 1e-9)) if high / low >= DECADE else Normalize(low, high * (1 + 1e-9))
    x, y = zip(*at, strict=True)
    dots = axes.scatter(x, y, c=latencies, cmap="cividis", norm=norm, s=45, edgecolors="black", lw=0.5, zorder=3)
    for point, (at_x, at_y) in zip(points, at, strict=True):
        energy, latency = Objective.ENERGY.shown(point.energy_pj), Objective.LATENCY.shown(point.latency_s)
        set_hover(
            axes.scatter([at_x], [at_y], s=90, color="none", zorder=5),
            f"{point.accuracy:.2f} %, {pretty(f'{energy}, {latency}')}, {point.area_mm2:.3g} mm²; {_machine(point)}; "
            f"{point.network}",
        )
    bar = figure.colorbar(dots, ax=axes)
    plain_ticks(bar.ax.yaxis, latencies)
    bar.set_label(label, fontsize=9)


def _joined(designs: Sequence[FoundPair]) -> list[CoPoint]:
    """The pairs of all fronts that no other beats, each once."""
    every = list({(p.network, p.sizes): p for design in designs for p in design.front}.values())
    return [every[i] for i in nondominated([(100 - p.accuracy, p.energy_pj, p.latency_s) for p in every])]


def _chosen(designs: Sequence[FoundPair], points: Sequence[CoPoint]) -> list[int]:
    """Which points are what a search chose; where another search beats that, it is none of them."""
    wanted = {(design.trace[-1].network, design.trace[-1].sizes) for design in designs if design.trace}
    return [i for i, point in enumerate(points) if (point.network, point.sizes) in wanted]


def _machine(point: CoPoint) -> str:
    return machine_text(point.macs, point.memory_bits)


def _heading(designs: Sequence[FoundPair], title: str) -> str:
    names = ", ".join(dict.fromkeys(design.method for design in designs))
    goals = dict.fromkeys(design.aim for design in designs)
    pairs = sum(design.evaluations for design in designs)
    heading = f"{title or designs[0].space}: {', '.join(goals)}, {names}, {pairs:,} pairs"
    return plain(
        f"{heading} evaluated" + ("" if any(design.front for design in designs) else "; none keeps the limits")
    )


def _spread(order: Sequence[int]) -> list[int]:
    """Some of a sequence, evenly: those whose names hardly crowd each other."""
    return list(order[:: max(1, len(order) // 6)])
