"""The search for a design: where it begins, which machine, and the best machine's mappings at their best."""

import torch

from dlco.optimize.fixed import solve_on
from dlco.optimize.phases.begin import begin
from dlco.optimize.phases.machines import choose_machine, descend
from dlco.optimize.phases.near_bound import near_bound
from dlco.optimize.phases.shared import Run
from dlco.search.designs import Design, Starts
from dlco.search.earlier import starts_of
from dlco.search.local_search import Effort

AS_IT_IS = Effort(rounds=1, population=1, neighbours=1)  # mappings that are at their best already


def search(run: Run) -> None:
    """Search; the best design found is in the state, whatever ends the search."""
    sizes, starts = begin(run)
    if run.hardware.is_fixed:
        run.state.report("search", 0.3)
        best = run.fit(torch.zeros(0, dtype=torch.long), starts, run.effort.fit)
    else:
        best = choose_machine(run, sizes, starts)
    for turn in range(run.effort.polishes):
        if turn and not run.hardware.is_fixed:  # better mappings may want other sizes
            best = descend(run, best)
        run.state.report("polish", 0.7 + 0.3 * turn / run.effort.polishes)
        best = min(best, polished(run, best), key=lambda design: design.score)


def polished(run: Run, best: Design) -> Design:
    """The design's machine with its proved optimum or, where the exact search covers none, the longest search's."""
    effort = run.effort
    if effort.exact:
        proved = proved_design(run, best.index)
        if proved is not None:
            return proved
    fresh = effort.polish.islands * effort.polish.population // 2
    near = near_bound(run, best, 2 * fresh, "guide", effort.bound)
    starts = Starts.join([best.chosen, near, run.random_starts(fresh)])  # dealt out to all islands
    return run.fit(best.index, starts, effort.polish)


def proved_design(run: Run, index: torch.Tensor) -> Design | None:
    """The proved optimum of the machine at grid positions; None where the exact search does not cover it."""
    machine = run.machine_at(index)
    proved = solve_on(machine, run.request, run.effort, run.journal, run.state.report_again)
    return None if proved is None else run.fit(index, starts_of(proved, run.groups), AS_IT_IS)
