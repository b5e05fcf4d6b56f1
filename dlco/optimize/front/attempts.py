"""The solves that make up a front, in waves whose members know nothing of each other.

A wave goes through joblib, so it may use several cores or machines; every solve has its own seed and starts only from
what earlier waves found, so that the front depends neither on where the solves run nor on how many run at once.
"""

import json
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from math import inf
from typing import Any

import joblib

from dlco.errors import InvalidInput
from dlco.hardware.architecture import Architecture
from dlco.hardware.space import HardwareSpace
from dlco.mapping.constraints import Constraints
from dlco.optimize.budget import Budget
from dlco.optimize.effort import SolveEffort
from dlco.optimize.fleet import FleetEffort
from dlco.optimize.front.dominance import Values, logs, nondominated
from dlco.optimize.front.front import Front, FrontPoint, check_axes
from dlco.optimize.front.harvest import Harvest, cell_of
from dlco.optimize.journal import Journal
from dlco.optimize.local_search import Effort
from dlco.optimize.progress import Listener, Progress, silent
from dlco.optimize.request import make_request
from dlco.optimize.run import Run
from dlco.optimize.score import Score
from dlco.optimize.search import Design
from dlco.optimize.solution import Solution, price
from dlco.optimize.tasks import derive_seed, run_tasks
from dlco.workload.layer import Layer, check_layers
from dlco.workload.problem import check_positive_int

STARTS = 2  # machines on either side of a place on the front, from which its solve starts


@dataclass(frozen=True)
class Answer:
    """What one solve found: the design that it was asked for, and others for the front that it came across."""

    solution: Solution
    others: tuple[Solution, ...] = ()


Solver = Callable[..., Answer | None]
"""Takes arguments, then `seed` and `progress` by name; returns None where it proves that no design meets its limits."""


@dataclass(frozen=True)
class FrontEffort:
    """How hard the solves of a front try.

    Attributes:
        ends: for the least of single objectives, from nothing.
        points: for all others, which start from designs already found.
    """

    ends: SolveEffort = field(
        default=SolveEffort(
            starts=1,
            relax_rounds=2,
            survey=16,
            fleet=FleetEffort(generations=20),
            machines=2,
            steps=0,
            fit=Effort(rounds=20, patience=6, islands=2),
            polish=Effort(rounds=60, patience=15, population=8, neighbours=6, islands=12),
            polishes=1,
        )
    )
    points: SolveEffort = field(
        default=SolveEffort(
            starts=0,
            survey=0,
            fleet=FleetEffort(generations=6, machines=6, every=3, mappings=Effort(rounds=6, population=4)),
            machines=2,
            steps=0,
            fit=Effort(rounds=20, patience=6, islands=2),
            polishes=0,
        )
    )

    def __post_init__(self) -> None:
        for name in ("ends", "points"):
            if not isinstance(getattr(self, name), SolveEffort):
                raise InvalidInput(f"{name} of the effort is {getattr(self, name)!r}; it must be a dlco.SolveEffort")


@dataclass(frozen=True)
class FrontRequest:
    """What a front is asked for: as in `pareto`, checked by `front_request`."""

    layers: tuple[Layer, ...]
    hardware: Architecture | HardwareSpace
    axes: tuple[str, ...]
    points: int
    budget: Budget
    seed: int
    bound: bool
    effort: FrontEffort
    span: float
    device: str = "cpu"
    constraints: Constraints | None = None
    imperfect: bool = False


def front_request(
    layers: Iterable[Layer],
    hardware: object,
    axes: Sequence[object],
    points: int,
    budget: object,
    seed: object,
    bound: bool,
    effort: object,
    span: object,
    **others: Any,
) -> FrontRequest:
    """The request, or `InvalidInput` for an argument that no front takes; what solves check is left to them."""
    checked = check_axes(axes)
    net = check_layers(layers)
    check_positive_int("points", points)
    if points < 2:
        raise InvalidInput(f"points is {points}; it must be at least 2")
    if not isinstance(hardware, Architecture | HardwareSpace):
        raise InvalidInput(f"hardware is {hardware!r}; it must be an Architecture or a HardwareSpace")
    if isinstance(hardware, Architecture) and "area" in checked:
        raise InvalidInput(f"area is an axis, but that of machine {hardware.name!r} is fixed; give a HardwareSpace")
    if budget is not None and not isinstance(budget, Budget):
        raise InvalidInput(f"budget is {budget!r}; it must be a dlco.Budget")
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise InvalidInput(f"seed is {seed!r}; it must be an integer of at least 0")
    if effort is not None and not isinstance(effort, FrontEffort):
        raise InvalidInput(f"effort is {effort!r}; it must be a dlco.optimize.FrontEffort")
    if isinstance(span, bool) or not isinstance(span, int | float) or not 1 < span < inf:
        raise InvalidInput(f"span is {span!r}; it must be a finite number above 1")
    budget, effort = budget or Budget(), effort or FrontEffort()
    return FrontRequest(net, hardware, checked, points, budget, seed, bound, effort, span, **others)


@dataclass(frozen=True)
class Question:
    """One solve of a wave.

    Attributes:
        solver: a function of a module, so that it can be sent to another process, and its `arguments` in order.
        limits: what the point is asked beyond the front's budget, by axis.
    """

    solver: Solver
    arguments: tuple[Any, ...]
    limits: dict[str, float] = field(default_factory=dict)


class Attempts:
    """What a front's solves have found so far.

    Args:
        request: what the front is asked for.
        listener: called with every report; `KeyboardInterrupt` raised there stops the front.
        journal: where finished solves are recorded, and found again by a run that is resumed.

    Attributes:
        budget: the request's, with a latency where power needs one (see `ends`).
        answers: the designs that solves were asked for; `aside`: of those come across, the best of each cell.
        trace: (evaluations until then, figures) of every design found, in the order of finding.
        evaluations: mappings evaluated by all solves, those that found nothing included.
    """

    def __init__(self, request: FrontRequest, listener: Listener, journal: Journal | None = None) -> None:
        self.request, self.listener, self.journal = request, listener, journal
        self.budget = request.budget
        self.answers: list[FrontPoint] = []
        self.aside: dict[tuple[int, ...], FrontPoint] = {}
        self.trace: list[tuple[int, tuple[float, ...]]] = []
        self.evaluations = 0
        self.asked = 0
        self.started = time.perf_counter()

    def run(self, search: Callable[["Attempts"], None]) -> Front:
        """Both ends, then what `search` adds to them; what was found as a front, whatever ends the run."""
        interrupted = False
        try:
            if self.ends():
                search(self)
        except KeyboardInterrupt:
            interrupted = True
        return Front.of(
            self.found,
            self.request.axes,
            self.budget,
            self.request.seed,
            interrupted=interrupted,
            trace=self.trace,
            evaluations=self.evaluations,
            seconds=time.perf_counter() - self.started,
        )

    def ends(self) -> bool:
        """Find the least of every axis alone; returns whether there is a design for each.

        Least power alone would be that of a machine that takes for ever: where power is an axis and latency is not
        limited, it is limited to `span` times the least latency.
        """
        axes = self.request.axes
        first: list[FrontPoint | None] = []
        if "power" in axes and self.budget.latency_s is None:
            first = self.wave([self._end("latency")])
            if first[0] is None:
                return False
            slowest = self.request.span * first[0].solution.cost.latency_s
            self.budget = replace(self.budget, latency_s=slowest)
            self.aside = {k: point for k, point in self.aside.items() if point.solution.cost.latency_s <= slowest}
            self.trace = [(point.evaluations, point.values) for point in self.found]
            axes = tuple(axis for axis in axes if axis != "latency")
        return None not in first + self.wave([self._end(axis) for axis in axes])

    @property
    def found(self) -> list[FrontPoint]:
        """The designs that are kept, in the order of finding."""
        return sorted([*self.answers, *self.aside.values()], key=lambda point: point.evaluations)

    @property
    def front(self) -> list[FrontPoint]:
        """The designs found that no other dominates, ascending along the first axis."""
        found = self.found
        return [found[i] for i in nondominated([point.values for point in found])]

    def range(self, axis: int) -> tuple[float, float]:
        """Least and largest figure of the front on an axis."""
        figures = [point.values[axis] for point in self.front]
        return min(figures), max(figures)

    def wave(self, questions: Sequence[Question]) -> list[FrontPoint | None]:
        """Answers in the order of the questions; None where no design within the limits was found.

        Raises:
            KeyboardInterrupt: the solves were stopped; what they had found is among `found`.
        """
        seeds = [derive_seed(self.request.seed, "front", self.asked + i) for i in range(len(questions))]
        if joblib.effective_n_jobs(None) > 1 and len(questions) > 1 and not self._recorded():
            self._tell(0.0)
            answers = run_tasks(_ask, [(one, seed, silent) for one, seed in zip(questions, seeds, strict=True)])
            points = [self._take(one, answer) for one, answer in zip(questions, answers, strict=True)]
            if any(answer is not None and answer.solution.status == "interrupted" for answer in answers):
                raise KeyboardInterrupt  # Ctrl-C reaches the processes of a terminal all at once
        else:  # here, one by one: every step can be told
            points = [self._ask_here(one, seed) for one, seed in zip(questions, seeds, strict=True)]
        self._tell(0.0)
        return points

    def _end(self, objective: str) -> Question:
        starts = tuple(point.solution for point in self.answers)
        arguments = (self.request, objective, self.budget, self.budget, self.request.effort.ends, starts, self.known)
        return Question(solve_from, arguments)

    @property
    def known(self) -> tuple[Values, ...]:
        """The figures of the front's designs."""
        return tuple(point.values for point in self.front)

    def _ask_here(self, question: Question, seed: int) -> FrontPoint | None:
        answer = self._recall()
        if answer is not None:
            return self._take(question, answer)
        watch = _Watch(self._tell)
        answer = _ask(question, seed, watch)
        stopped = answer is not None and (watch.stopped or answer.solution.status == "interrupted")
        point = self._take(question, answer, finished=not stopped)
        if stopped:
            raise KeyboardInterrupt
        return point

    def _take(self, question: Question, answer: Answer | None, *, finished: bool = True) -> FrontPoint | None:
        """Keep an answer, as the points that it is; in the journal only a search that got to its end."""
        if self.journal and finished and answer is not None and answer.solution.status != "interrupted":
            every = [one.to_dict() for one in (answer.solution, *answer.others)]
            self.journal.record(f"solve {self.asked}", json.dumps(every))
        self.asked += 1
        if answer is None:
            return None
        self.evaluations += answer.solution.evaluations
        feasible = answer.solution.status != "infeasible"
        if feasible:
            self.answers.append(self._point(answer.solution, question.limits))
        for other in answer.others:
            point = self._point(other, {})
            cell = cell_of(logs(point.values))
            if cell not in self.aside or point.values[-1] < self.aside[cell].values[-1]:
                self.aside[cell] = point
        return self.answers[-1] if feasible else None

    def _point(self, solution: Solution, limits: dict[str, float]) -> FrontPoint:
        values = tuple(solution.cost.objective(axis) for axis in self.request.axes)
        self.trace.append((self.evaluations, values))
        return FrontPoint(values, solution, limits, self.evaluations)

    def _recorded(self) -> bool:
        return self.journal is not None and self.journal.recall(f"solve {self.asked}") is not None

    def _recall(self) -> Answer | None:
        """The next answer, where an earlier run recorded it."""
        text = self.journal.recall(f"solve {self.asked}") if self.journal else None
        if text is None:
            return None
        solution, *others = map(Solution.from_dict, json.loads(text))
        return Answer(solution, tuple(others))

    def _tell(self, share: float) -> None:
        """Report that so many solves are done, and a share of the next."""
        total = max(self.request.points + 1, self.asked + 1)  # one end is looked at twice
        phase = f"design {self.asked + 1} of {total}"
        done = min(1.0, (self.asked + share) / total)
        self.listener(Progress(phase, done, None, time.perf_counter() - self.started))


class _Watch:
    """Hands on how far a solve is, and remembers whether it got to its end: a stopped one need not say so."""

    def __init__(self, tell: Callable[[float], None]) -> None:
        self.tell, self.stopped = tell, True

    def __call__(self, progress: Progress) -> None:
        self.stopped = progress.done < 1
        self.tell(progress.done)


def first_machines(points: Iterable[FrontPoint], n: int) -> tuple[Solution, ...]:
    """The first designs of the first `n` machines among some points."""
    first: dict[Architecture, Solution] = {}
    for point in points:
        first.setdefault(point.solution.architecture, point.solution)
    return tuple(first.values())[:n]


def solve_from(
    request: FrontRequest,
    objective: str,
    budget: Budget,
    front_budget: Budget,
    effort: SolveEffort,
    starts: tuple[Solution, ...],
    known: tuple[Values, ...],
    *,
    score: Callable[[float], Score] | None = None,
    seed: int,
    progress: Listener,
) -> Answer:
    """The solver of a question: the least of one objective, searched for from designs found before.

    Args:
        request: of the front.
        objective: what this solve is for.
        budget: the limits that it must keep.
        front_budget: those that the front's designs must keep.
        effort: how hard to try.
        starts: designs to begin from.
        known: figures of the front's designs so far.
        score: takes a cycle's seconds; what designs are ranked by instead of the objective.
        seed: of this solve.
        progress: called with every report.

    Raises:
        InvalidInput: as `solve`.
    """
    asked = make_request(
        request.layers,
        request.hardware,
        objective,
        budget,
        request.constraints,
        request.imperfect,
        seed,
        request.device,
    )
    cycle_s = asked.hardware.base.cycle_s
    harvest = Harvest(request.axes, Score(objective, front_budget, cycle_s), known)
    run = Run(asked, effort, starts, progress, None, score(cycle_s) if score else None, harvest)
    solution = run.solution(request.bound, reasons=False)
    others = [_aside(run, design, solution, front_budget) for design in harvest.designs]
    return Answer(solution, tuple(other for other in others if other.cost != solution.cost))


def _aside(run: Run, design: Design, solution: Solution, budget: Budget) -> Solution:
    """A design that a search came across, on its way to a solution."""
    architecture, mappings = run.unfolded(design)
    costs, cost = price(solution.layers, architecture, mappings)
    return replace(
        solution,
        status="solved",
        message="come across in the search for another design; all limits of the front hold",
        budget=budget,
        architecture=architecture,
        mappings=mappings,
        layer_costs=costs,
        cost=cost,
        lower_bound=None,
        imperfect=False,
        trace=(),
    )


def _ask(question: Question, seed: int, listener: Listener) -> Answer | None:
    return question.solver(*question.arguments, seed=seed, progress=listener)
