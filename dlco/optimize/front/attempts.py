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
from dlco.optimize.front.dominance import nondominated
from dlco.optimize.front.front import Front, FrontPoint, check_axes
from dlco.optimize.journal import Journal
from dlco.optimize.local_search import Effort
from dlco.optimize.progress import Listener, Progress, silent
from dlco.optimize.solution import Solution
from dlco.optimize.solve import solve
from dlco.optimize.tasks import derive_seed, run_tasks
from dlco.workload.layer import Layer, check_layers
from dlco.workload.problem import check_positive_int

Solver = Callable[..., Solution | None]
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
            starts=4,
            relax_rounds=5,
            machines=4,
            descents=1,
            steps=8,
            fit=Effort(rounds=30, patience=8, islands=3),
            step=Effort(rounds=12, patience=5, population=4, neighbours=8),
            polish=Effort(rounds=60, patience=15, population=8, neighbours=6, islands=12),
            polishes=2,
        )
    )
    points: SolveEffort = field(
        default=SolveEffort(
            starts=1,
            relax_rounds=3,
            machines=3,
            roundings=2,
            descents=1,
            steps=4,
            fit=Effort(rounds=20, patience=6, islands=2),
            step=Effort(rounds=10, patience=4, population=4, neighbours=8),
            polish=Effort(rounds=40, patience=12, population=8, neighbours=6, islands=8),
            polishes=1,
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
        found: the designs, in the order of finding.
        evaluations: mappings evaluated by all solves, those that found nothing included.
    """

    def __init__(self, request: FrontRequest, listener: Listener, journal: Journal | None = None) -> None:
        self.request, self.listener, self.journal = request, listener, journal
        self.budget = request.budget
        self.found: list[FrontPoint] = []
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
            axes = tuple(axis for axis in axes if axis != "latency")
        return None not in first + self.wave([self._end(axis) for axis in axes])

    @property
    def front(self) -> list[FrontPoint]:
        """The designs found that no other dominates, ascending along the first axis."""
        return [self.found[i] for i in nondominated([point.values for point in self.found])]

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
            if any(answer is not None and answer.status == "interrupted" for answer in answers):
                raise KeyboardInterrupt  # Ctrl-C reaches the processes of a terminal all at once
        else:  # here, one by one: every step can be told
            points = [self._ask_here(one, seed) for one, seed in zip(questions, seeds, strict=True)]
        self._tell(0.0)
        return points

    def _end(self, objective: str) -> Question:
        return Question(solve_from, (self.request, objective, self.budget, self.request.effort.ends))

    def _ask_here(self, question: Question, seed: int) -> FrontPoint | None:
        answer = self._recall()
        if answer is not None:
            return self._take(question, answer)
        watch = _Watch(self._tell)
        answer = _ask(question, seed, watch)
        stopped = answer is not None and (watch.stopped or answer.status == "interrupted")
        point = self._take(question, answer, finished=not stopped)
        if stopped:
            raise KeyboardInterrupt
        return point

    def _take(self, question: Question, answer: Solution | None, *, finished: bool = True) -> FrontPoint | None:
        """Keep an answer, as the point that it is; in the journal only a search that got to its end."""
        if self.journal and finished and answer is not None and answer.status != "interrupted":
            self.journal.record(f"solve {self.asked}", json.dumps(answer.to_dict()))
        self.asked += 1
        if answer is None:
            return None
        self.evaluations += answer.evaluations
        if answer.status == "infeasible":
            return None
        values = tuple(answer.cost.objective(axis) for axis in self.request.axes)
        self.found.append(FrontPoint(values, answer, question.limits, self.evaluations))
        return self.found[-1]

    def _recorded(self) -> bool:
        return self.journal is not None and self.journal.recall(f"solve {self.asked}") is not None

    def _recall(self) -> Solution | None:
        """The next answer, where an earlier run recorded it."""
        text = self.journal.recall(f"solve {self.asked}") if self.journal else None
        return None if text is None else Solution.from_dict(json.loads(text))

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


def solve_from(
    request: FrontRequest,
    objective: str,
    budget: Budget,
    effort: SolveEffort,
    starts: tuple[Solution, ...] = (),
    *,
    seed: int,
    progress: Listener,
) -> Solution:
    """`solve` as the solver of a question: the least of one objective, searched for from designs found before."""
    return solve(
        request.layers,
        request.hardware,
        objective,
        budget,
        seed=seed,
        device=request.device,
        bound=request.bound,
        progress=progress,
        effort=effort,
        constraints=request.constraints,
        imperfect=request.imperfect,
        start=starts,
    )


def _ask(question: Question, seed: int, listener: Listener) -> Solution | None:
    return question.solver(*question.arguments, seed=seed, progress=listener)
