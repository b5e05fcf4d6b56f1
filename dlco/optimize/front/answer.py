"""One solve of a front: the design that it was asked for, and what it came across on the way."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial

from dlco.bound import compulsory_bound
from dlco.design.budget import Budget
from dlco.design.dominance import Values
from dlco.design.front import FrontPoint
from dlco.design.objective import Objective
from dlco.design.solution import Solution
from dlco.hardware.architecture import Architecture
from dlco.optimize.effort import SolveEffort
from dlco.optimize.fixed import Fronts, best_choice, why_no_fronts
from dlco.optimize.front.request import FrontRequest
from dlco.optimize.front.visited import Visited
from dlco.optimize.phases.shared import Run, make_run
from dlco.optimize.request import Request, some_mapping
from dlco.optimize.run import search_design
from dlco.optimize.state import State
from dlco.progress import Listener
from dlco.search.designs import Design
from dlco.search.score import Score

STARTS = 2  # machines on either side of a place on the front, from which its solve starts


@dataclass(frozen=True)
class Answer:
    """What one solve found: the design that it was asked for, and others for the front that it came across."""

    solution: Solution
    others: tuple[Solution, ...] = ()


Solver = Callable[..., Answer | None]
"""Takes arguments, then `seed` and `progress` by name; returns None where it proves that no design meets its limits."""


def first_machines(points: Iterable[FrontPoint], n: int) -> tuple[Solution, ...]:
    """The first designs of the first `n` machines among some points."""
    first: dict[Architecture, Solution] = {}
    for point in points:
        first.setdefault(point.solution.architecture, point.solution)
    return tuple(first.values())[:n]


def solve_from(
    request: FrontRequest,
    objective: Objective,
    budget: Budget,
    front_budget: Budget,
    effort: SolveEffort,
    starts: tuple[Solution, ...],
    known: tuple[Values, ...],
    *,
    seed: int,
    progress: Listener,
) -> Answer | None:
    """The solver of a question: the least of one objective, searched for from designs found before.

    Args:
        request: of the front.
        objective: what this solve is for.
        budget: the limits that it must keep.
        front_budget: those that the front's designs must keep.
        effort: how hard to try.
        starts: designs to begin from.
        known: figures of the front's designs so far.
        seed: of this solve.
        progress: called with every report.

    Returns:
        What it finds; None where it proves that no design keeps the limits.

    Raises:
        InvalidInput: as `solve`.
    """
    asked = request.common.asking(objective, budget, seed)
    if request.fronts is not None:
        return _looked_up(request.fronts, asked, effort, request.bound, progress)
    visited = Visited(request.axes, Score(objective, front_budget, asked.hardware.base.cycle_s), known)
    aside = asked.is_wide and effort.exact and why_no_fronts(asked) is None  # mappings are chosen at the front's end
    searched = replace(asked, keep_free=False, uneven=False) if aside else asked
    run = make_run(searched, effort, starts, progress, on_candidates=visited)
    answer = answer_of(run, visited, request.bound and not aside, front_budget)
    if not (aside and request.bound):
        return answer
    least = compulsory_bound(asked.layers, asked.hardware, objective, budget, asked.free_levels) or None
    return replace(answer, solution=replace(answer.solution, lower_bound=least))


def _looked_up(fronts: Fronts, asked: Request, effort: SolveEffort, bound: bool, progress: Listener) -> Answer | None:
    """The proved answer to a question on a fixed machine, None where no mapping keeps the limits."""
    found = best_choice(replace(fronts, request=asked), effort, State(progress))
    if found is None:
        return None
    return Answer(replace(found, lower_bound=found.lower_bound if bound else None, evaluations=0))


def answer_of(run: Run, visited: Visited, bound: bool, budget: Budget) -> Answer:
    """What a run finds, with a lower bound where it is asked for, and what it came across within the front's budget."""
    with some_mapping():
        solution = search_design(run, bound=bound, reasons=False)
    aside = partial(_aside, run, solution, budget)
    others = [run.state.interrupts.insist(partial(aside, design)) for design in visited.designs]
    return Answer(solution, tuple(other for other in others if other.cost != solution.cost))


def _aside(run: Run, solution: Solution, budget: Budget, design: Design) -> Solution:
    """A design that a search came across, on its way to a solution."""
    return replace(
        solution,
        status="solved",
        message="come across in the search for another design; all limits of the front hold",
        budget=budget,
        **vars(run.costed(design)),
        lower_bound=None,
        imperfect=False,
        trace=(),
        history=(),
    )
