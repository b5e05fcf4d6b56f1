"""Which machine: generations of machines near the best, the most promising fitted for longer, their sizes stepped."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch

from dlco.bound import BoundEffort
from dlco.optimize.phases.begin import on_the_grid
from dlco.optimize.phases.near_bound import near_bound
from dlco.optimize.phases.shared import Run
from dlco.search.designs import Design, Starts
from dlco.search.evolution import explore
from dlco.search.score import BROKEN

GLANCE = BoundEffort(nodes=60, side=20, boxes=0)  # of a bound that only says where to search
TO_THE_BUDGET = 40  # steps of the hardware that a design outside the budget may take


def choose_machine(run: Run, sizes: torch.Tensor, starts: Starts) -> Design:
    """The best design of all machines, from real sizes `[starts, parameters]` and mappings to begin from.

    The mappings of the most promising machines are handed on to the steps of every later descent.
    """
    effort, state = run.effort, run.state
    # the largest machine within the limits may turn out well too, and so may any other
    rounded = [on_the_grid(run, one) for one in (*sizes, run.hardware.high)]
    random = run.hardware.sample(effort.survey, run.generator("survey", on_cpu=True))
    rounded += [on_the_grid(run, one) for one in random]
    machines = list({tuple(index.tolist()): index for index in rounded}.values())
    state.report("explore", 0.2)
    generator, report = run.generator("fleet", on_cpu=True), state.reports("search", 0.2, 0.45)
    best = explore(
        run.designs, machines, starts, effort.evolution, lambda design: _refined(run, design), generator, report
    )
    state.report("fit", 0.45)
    designs = _fitted(run, best[: 2 * effort.machines], machines, starts)
    state.pool = [design.chosen for design in designs]
    width = 0.25 / effort.descents
    ended = [
        descend(run, design, state.reports("search", 0.45 + i * width, 0.45 + (i + 1) * width))
        for i, design in enumerate(designs[: effort.descents])
    ]
    return min(ended, key=lambda design: design.score)


def descend(run: Run, design: Design, report: Callable[[float], None] = lambda share: None) -> Design:
    """Step the hardware; on the way to a first design within the budget, for as long as it takes."""
    steps = run.effort.steps if design.score < BROKEN else max(run.effort.steps, TO_THE_BUDGET)
    return run.designs.descend(design, run.effort.step, steps, report, run.state.pool)


def _fitted(run: Run, best: Sequence[Design], machines: Sequence[torch.Tensor], starts: Starts) -> list[Design]:
    """The most promising of the best machines, their mappings searched for longer; without any, of all machines."""
    effort = run.effort
    if not best:
        return run.designs.promising(torch.stack(list(machines)), starts, effort.fit, effort.machines)
    shared = Starts.join([*(design.chosen for design in best), best[0].starts])
    own = [replace(shared, rate=design.chosen.rate) for design in best]
    return run.designs.fit(torch.stack([design.index for design in best]), own, effort.fit, effort.machines)


def _refined(run: Run, design: Design) -> Design:
    """The design's machine with better mappings: its own joined by others, searched for by themselves.

    Those others start near a quick lower bound of the machine. Beside mappings already improved they would die out
    before they are as good.
    """
    effort = run.effort.evolution
    others = run.fit(design.index, near_bound(run, design, effort.near_bound, "glance", GLANCE), effort.longer)
    return run.fit(design.index, Starts.join([design.starts, others.starts]), effort.mappings)
