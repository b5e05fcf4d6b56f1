"""The solves that make up a front, in waves whose members know nothing of each other.

A wave goes through joblib, so it may use several cores or machines; every solve has its own seed and starts only from
what earlier waves found, so that the front depends neither on where the solves run nor on how many run at once.
"""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import joblib

from dlco.design.dominance import Values, logs, nondominated
from dlco.design.front import Front, FrontPoint
from dlco.design.objective import Objective
from dlco.design.solution import Solution
from dlco.errors import NotSupported
from dlco.interrupts import Interrupts, held
from dlco.journal import Journal
from dlco.optimize.fixed import Fronts, why_not_proved
from dlco.optimize.front.answer import Answer, Solver, solve_from
from dlco.optimize.front.polish import Polish
from dlco.optimize.front.request import FrontRequest
from dlco.optimize.front.visited import cell_of
from dlco.optimize.solve import briefly
from dlco.progress import Listener, Progress, silent
from dlco.tasks import derive_seed, run_tasks, single_thread


def why_not_looked_up(request: FrontRequest) -> str | None:
    """Why the designs of a front are not best choices among proved fronts of layers, in words that follow "because"."""
    if not request.effort.ends.exact:
        return "the effort leaves it out"
    asked = [replace(request.common, objective=axis) for axis in request.axes]
    return next((reason for reason in map(why_not_proved, asked) if reason), None)


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
        visits: (evaluations until then, figures) of every design found, in the order of finding.
        evaluations: mappings evaluated by all solves, those that found nothing included.
    """

    def __init__(self, request: FrontRequest, listener: Listener, journal: Journal | None = None) -> None:
        self.request, self.listener, self.journal = request, listener, journal
        self.budget = request.common.budget
        self.answers: list[FrontPoint] = []
        self.aside: dict[tuple[int, ...], FrontPoint] = {}
        self.visits: list[tuple[int, tuple[float, ...]]] = []
        self.evaluations = 0
        self.asked = 0
        self.interrupts = Interrupts()
        self.started = time.perf_counter()

    def run(self, search: Callable[["Attempts"], None]) -> Front:
        """Both ends, then what `search` adds to them; what was found as a front, whatever ends the run."""
        interrupted = False
        with held() as self.interrupts:  # what is long within hears Ctrl-C
            try:
                self._look_up()
                if self.ends():
                    search(self)
                if self.request.fronts is None:
                    self._polish()
            except KeyboardInterrupt:
                interrupted = True
            return self.interrupts.insist(lambda: self._front(interrupted))

    def _look_up(self) -> None:
        """Search the fronts of all layers, where every answer then is a best choice of their points."""
        if why_not_looked_up(self.request) is not None:
            return
        fronts = Fronts(self.request.common, self.request.effort.ends.batches)
        try:
            with self.interrupts.heard(), single_thread():
                fronts.search(self.journal, lambda share: self._report(0.0))
        except NotSupported:  # nothing fits, which the search for the nearest says
            return
        except KeyboardInterrupt:  # what is known until then has its ends too
            self.interrupts.insist(lambda: fronts.begin(partial(briefly, self.request.common)))
            self.request, self.listener = replace(self.request, fronts=fronts), silent
            self.ends()
            raise
        self.evaluations += sum(found.front.evaluated for found in fronts.optima.values())
        if all(found.proved for found in fronts.optima.values()):
            self.request = replace(self.request, fronts=fronts)

    def _polish(self) -> None:
        """Choose the mappings of the front's designs anew."""
        polish = Polish(self.request, self.journal, lambda: self._report(0.0))
        with self.interrupts.heard(), single_thread():
            for point in self.front:
                better = polish(point, self.budget)
                self.evaluations += polish.evaluations
                polish.evaluations = 0
                if better is not None:
                    self.answers.append(self._point(better, point.limits))

    def _front(self, interrupted: bool) -> Front:
        return Front.of(
            self.found,
            self.request.axes,
            self.budget,
            self.request.common.seed,
            interrupted=interrupted,
            trace=self.visits,
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
        if Objective.POWER in axes and self.budget.latency_s is None:
            first = self.wave([self._end(Objective.LATENCY)])
            if first[0] is None:
                return False
            slowest = self.request.span * first[0].solution.cost.latency_s
            self.budget = replace(self.budget, latency_s=slowest)
            self.aside = {k: point for k, point in self.aside.items() if point.solution.cost.latency_s <= slowest}
            self.visits = [(point.evaluations, point.values) for point in self.found]
            axes = tuple(axis for axis in axes if axis is not Objective.LATENCY)
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
        seeds = [derive_seed(self.request.common.seed, "front", self.asked + i) for i in range(len(questions))]
        if joblib.effective_n_jobs(None) > 1 and len(questions) > 1 and not self._recorded():
            self._report(0.0)
            with self.interrupts.heard():
                answers = run_tasks(_ask, [(one, seed, silent) for one, seed in zip(questions, seeds, strict=True)])
            points = [self._take(one, answer) for one, answer in zip(questions, answers, strict=True)]
            if any(answer is not None and answer.solution.status == "interrupted" for answer in answers):
                raise KeyboardInterrupt  # Ctrl-C reaches the processes of a terminal all at once
        else:  # here, one by one: every step can be told
            points = [self._ask_here(one, seed) for one, seed in zip(questions, seeds, strict=True)]
        self._report(0.0)
        return points

    def _end(self, objective: Objective) -> Question:
        starts = (*self.request.starts, *(point.solution for point in self.answers))
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
        watch = _Watch(self._report)
        answer = _ask(question, seed, watch)
        stopped = answer is not None and (watch.stopped or answer.solution.status == "interrupted")
        point = self._take(question, answer, finished=not stopped)
        if stopped or watch.interrupted:
            raise KeyboardInterrupt
        return point

    def _take(self, question: Question, answer: Answer | None, *, finished: bool = True) -> FrontPoint | None:
        """Keep an answer, as the points that it is; in the journal only a search that got to its end."""
        name = f"solve {self.asked}"
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
        if self.journal and finished and answer.solution.status != "interrupted":
            every = [one.to_dict() for one in (answer.solution, *answer.others)]
            self.journal.record(name, json.dumps(every))
        return self.answers[-1] if feasible else None

    def _point(self, solution: Solution, limits: dict[str, float]) -> FrontPoint:
        values = tuple(solution.cost.objective(axis) for axis in self.request.axes)
        self.visits.append((self.evaluations, values))
        return FrontPoint(values, solution, limits, self.evaluations)

    def _recorded(self) -> bool:
        return self.journal is not None and self.journal.has(f"solve {self.asked}")

    def _recall(self) -> Answer | None:
        """The next answer, where an earlier run recorded it."""
        return self.journal.recall(f"solve {self.asked}", self._read) if self.journal else None

    def _read(self, text: str) -> Answer:
        """The answer that `_take` recorded."""
        solution, *others = map(Solution.from_dict, json.loads(text))
        if any(one.layers != self.request.common.layers for one in (solution, *others)):
            raise ValueError("its solution is of another network")
        return Answer(solution, tuple(others))

    def _report(self, share: float) -> None:
        """Report that so many solves are done, and a share of the next."""
        total = max(self.request.points + 1, self.asked + 1)  # one end is looked at twice
        self.interrupts.check()
        phase = f"design {self.asked + 1} of {total}"
        done = min(1.0, (self.asked + share) / total)
        self.listener(Progress(phase, done, None, time.perf_counter() - self.started))


class _Watch:
    """Hands on how far a solve is, and remembers whether it got to its end: a stopped one need not say so.

    Attributes:
        stopped: whether it did not; `interrupted`: whether a report, perhaps the last, raised `KeyboardInterrupt`.
    """

    def __init__(self, report: Callable[[float], None]) -> None:
        self.report, self.stopped, self.interrupted = report, True, False

    def __call__(self, progress: Progress) -> None:
        self.stopped = progress.done < 1
        try:
            self.report(progress.done)
        except KeyboardInterrupt:
            self.interrupted = True
            raise


def _ask(question: Question, seed: int, listener: Listener) -> Answer | None:
    return question.solver(*question.arguments, seed=seed, progress=listener)
