"""One search for a design, from the relaxed problem to the proof.

The relaxed problem is solved and rounded; generations of machines begin there; the best of them are fitted for longer
and stepped through the grid; the best one's mappings are searched once more near the design at the bound, and where it
is asked for among imperfect ones; what is left of the gap is proved. Every part is a pure function of the request and
of the parts before, so that a `Journal` can stand in for those that are done. An interrupt ends the run at any moment
with the best design so far.
"""

import logging
from functools import partial
from itertools import product

import torch

from dlco.bound import compulsory_bound
from dlco.design.solution import Solution
from dlco.interrupts import held
from dlco.optimize.finish import finish
from dlco.optimize.phases.free import choose_freely
from dlco.optimize.phases.imperfect import allow_imperfect
from dlco.optimize.phases.prove import prove
from dlco.optimize.phases.reasons import find_reasons
from dlco.optimize.phases.search import search
from dlco.optimize.phases.shared import Run
from dlco.search.local_search import Effort
from dlco.tasks import single_thread

log = logging.getLogger("dlco")

SEARCHING = 0.85  # of the time, where a bound is proved after it
REFINING = 0.7  # of the time that searches take, before imperfect factors are searched


def search_design(run: Run, *, bound: bool, reasons: bool = True) -> Solution:
    """The best design of a run, whatever ends it.

    Args:
        run: that has not begun.
        bound: whether to prove a lower bound.
        reasons: whether to look for the reasons where no design keeps the budget.
    """
    state = run.state
    with held() as state.interrupts, single_thread():
        try:
            with state.interrupts.heard():
                _work(run, bound, reasons)
        except KeyboardInterrupt:
            state.interrupted = True
            log.warning("interrupted; returning the best design so far")
        if not state.is_found:
            _find_any(run)
        return state.interrupts.insist(lambda: _finished(run, bound))


def _work(run: Run, bound: bool, reasons: bool) -> None:
    """All phases; what they find is in the state."""
    request, state = run.request, run.state
    searched = SEARCHING if bound else 1.0
    state.part = 0.0, searched * (REFINING if request.imperfect or request.is_wide else 1.0)
    search(run)
    if request.imperfect:
        state.part = state.part[1], searched
        allow_imperfect(run)
    if request.is_wide:
        state.part = state.part[1], searched
        choose_freely(run)
    if run.best().broken(request.budget):
        state.diagnosis = find_reasons(run) if reasons else None
    elif bound:
        state.part = searched, 1.0
        prove(run)


def _find_any(run: Run) -> None:
    """Some design, where the run ended before its first: after a brief search, unless that is interrupted too.

    On the machine of all least sizes or, where a layer does not fit there, on that of all largest.
    """
    state = run.state
    run.designs.journal, run.designs.on_design = None, run.keep  # this search is not part of the run
    largest = torch.tensor([len(parameter.grid) - 1 for parameter in run.hardware.parameters], dtype=torch.long)
    machines = [largest] if run.hardware.is_fixed else [largest * 0, largest]
    machines = [run.hardware.brought_within(index) for index in machines]
    try:
        with state.interrupts.heard():
            for index in machines:
                run.fit(index, run.random_starts(8), Effort(rounds=20))
                if state.is_found:
                    return
    except KeyboardInterrupt:
        pass
    for index, rounds in product(machines, (1, 100)):
        if not state.is_found:
            effort = Effort(rounds=rounds, population=1, neighbours=1 if rounds == 1 else 16)
            state.interrupts.insist(partial(run.fit, index, run.random_starts(8), effort))


def _finished(run: Run, bound: bool) -> Solution:
    request, lower = run.request, run.state.lower
    if bound and lower is None and run.state.diagnosis is None:
        free = request.free_levels
        lower = compulsory_bound(request.layers, request.hardware, request.objective, request.budget, free) or None
    evaluations = run.designs.evaluations
    return finish(request, run.effort, run.state, run.best(), lower=lower, evaluations=evaluations)
