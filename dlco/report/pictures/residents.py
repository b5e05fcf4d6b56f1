"""What stays on the chip, step by step."""

import os
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from dlco.design.fused_chain import FusedChain
from dlco.design.resident import Resident, words_retained
from dlco.design.solution import Solution
from dlco.errors import InvalidInput
from dlco.report.drawing.axes import style_axes
from dlco.report.drawing.canvas import check_picture, finish, new_figure
from dlco.report.drawing.colours import BLACK, BLUE, GREEN, ORANGE, PURPLE, SKY, VERMILLION
from dlco.report.drawing.svg import set_hover
from dlco.report.drawing.words import plain

_EDGE, _PANEL = 0.9, 2.1  # inches of title and axis, and of every memory
_NAMED = 0.3  # of the capacity: the least height of a bar that has room for its name
_COLOURS = (SKY, ORANGE, GREEN, PURPLE, BLUE, VERMILLION)


def plot_residents(solution: Solution, path: str | os.PathLike[str] | None = None, *, title: str = "") -> Figure:
    """For every memory that retains results a timeline: which are there while each step runs, and how much they take.

    Of chains that run tile by tile, what parts of their results and weights take there is hatched.

    Arguments, result and errors are those of `plot_solution`; by default the title says what is shown. A solution in
    which nothing stays on the chip is an `InvalidInput` too.
    """
    check_picture(path)
    used = {one.level for one in solution.residents} | {one.level for one in solution.chains}
    levels = [level for level in solution.architecture.levels if level.name in used]
    if not levels:
        raise InvalidInput("nothing stays on the chip in this solution; there is no timeline of it")
    figure = new_figure(_EDGE + _PANEL * len(levels))
    panels = figure.subplots(len(levels), 1, sharex=True, squeeze=False)[:, 0]
    for axes, level in zip(panels, levels, strict=True):
        own = [one for one in solution.residents if one.level == level.name]
        _draw(axes, own, solution.course, _NAMED * level.usable_capacity)
        _draw_chains(axes, own, [one for one in solution.chains if one.level == level.name])
        axes.axhline(level.usable_capacity, color=BLACK, lw=1.0)
        axes.annotate("capacity", (1, level.usable_capacity), (4, -3), textcoords="offset points", va="top", fontsize=8)
        axes.set_ylim(0, 1.05 * level.usable_capacity)
        axes.set_ylabel(f"words in {plain(level.name)}", fontsize=9)
        style_axes(axes, "y")
    panels[-1].set_xlim(0.5, len(solution.course) + 0.5)
    panels[-1].set_xlabel("step", fontsize=9)
    panels[-1].xaxis.set_major_locator(MaxNLocator(integer=True))
    return finish(figure, path, title or "What stays on the chip")


def _draw(axes: Axes, residents: Sequence[Resident], course: Sequence[str], named: float) -> None:
    """A bar for every result, those of one step on top of each other; names on those of at least so many words."""
    for number, one in enumerate(residents):
        label = f"{course[one.first]}, step {one.first + 1} to {one.last + 1}: {one.words:,} words"
        for step in range(one.first, one.last + 1):
            below = words_retained(residents[:number], one.level, step)
            bar = Rectangle((step + 0.5, below), 1, one.words, color=_COLOURS[number % len(_COLOURS)], lw=0)
            axes.add_patch(bar)
            set_hover(bar, label)
        if one.words >= named:
            middle = words_retained(residents[:number], one.level, one.first) + one.words / 2
            at = one.first + 1 + (one.last - one.first) / 2
            axes.text(at, middle, plain(course[one.first]), rotation=90, ha="center", va="center", fontsize=7)


def _draw_chains(axes: Axes, residents: Sequence[Resident], chains: Sequence[FusedChain]) -> None:
    """A hatched bar for every step of a chain, on top of all that is there while the chain runs."""
    for one in chains:
        steps = range(one.first, one.last + 1)
        below = sum(own.words for own in residents if any(own.is_there(step) for step in steps))
        for step in steps:
            bar = Rectangle((step + 0.5, below), 1, one.words(step), fc="none", ec=BLACK, lw=0, hatch="///")
            axes.add_patch(bar)
            set_hover(bar, f"steps {one.first + 1} to {one.last + 1} in tiles, {one.tiling}: {one.words(step):,} words")
