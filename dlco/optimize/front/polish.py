"""The designs of a front with the best mappings of their machines: what solves and sweeps leave to be gained.

A solve of a front is short, and what it comes across is what one price of time explains. So at the end every design's
mappings are chosen anew, within what it has of the other objectives, among the exact fronts of its machine's layers,
which are searched for once a machine. Nothing becomes worse, and designs that others now beat leave the front.
"""

from collections.abc import Callable
from dataclasses import replace

from dlco.design.budget import Budget
from dlco.design.front import FrontPoint
from dlco.design.objective import Objective
from dlco.design.solution import Solution
from dlco.exact.layer_front import LayerFront
from dlco.hardware.architecture import Architecture
from dlco.hardware.space import as_space
from dlco.journal import Journal
from dlco.mapping.kept import FREE, STATED
from dlco.optimize.choices import chosen_anew
from dlco.optimize.finish import Costed
from dlco.optimize.fixed import fronts_on
from dlco.optimize.front.request import FrontRequest
from dlco.workload.problem import Problem

TIE = 1 + 1e-10  # what a limit at a figure already reached leaves to rounding


class Polish:
    """Chooses mappings of a front's designs anew.

    Args:
        request: of the front.
        journal: where fronts of layers are kept.
        report: called now and then; it may raise `KeyboardInterrupt`.
    """

    def __init__(self, request: FrontRequest, journal: Journal | None, report: Callable[[], None]) -> None:
        self.request, self.journal, self.report = request, journal, report
        self.evaluations = 0
        self._known: dict[Architecture, dict[Problem, LayerFront] | None] = {}

    def __call__(self, point: FrontPoint, budget: Budget) -> Solution | None:
        """A design of the front with better mappings, None where there are none.

        Args:
            point: the design.
            budget: of the front.
        """
        solution, request = point.solution, self.request
        fronts = self._fronts(solution.architecture)
        if fronts is None:
            return None
        objective, budget = self._asked(point, budget)
        found = Costed(solution.architecture, solution.mappings, solution.layer_costs, solution.cost)
        better = chosen_anew(solution.layers, found, fronts, objective, budget)
        if better is None or better.value(objective) >= found.value(objective):
            return None
        wide = request.common.keep_free
        imperfect = request.common.imperfect or better.is_imperfect(solution.layers)
        return replace(solution, **vars(better), keep=FREE if wide else STATED, imperfect=imperfect)

    def _asked(self, point: FrontPoint, budget: Budget) -> tuple[Objective, Budget]:
        """What is to be small, within what a design has of the other axes; no mapping changes an area."""
        axes = self.request.axes
        goal = axes[1] if axes[1] is not Objective.AREA else axes[0]
        limits: dict[str, float] = {
            axis: value * TIE
            for axis, value in zip(axes, point.values, strict=True)
            if axis is not goal and axis is not Objective.AREA
        }
        return goal, budget.tightened(limits)

    def _fronts(self, machine: Architecture) -> dict[Problem, LayerFront] | None:
        if machine not in self._known:
            request = self.request
            found = fronts_on(as_space(machine), request.common, request.effort.points, self.journal, self.report)
            optima = {} if found is None else found.optima
            self._known[machine] = {problem: one.front for problem, one in optima.items()} or None
            self.evaluations += sum(one.front.evaluated for one in optima.values())
        return self._known[machine]
