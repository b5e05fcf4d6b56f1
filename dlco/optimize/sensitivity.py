"""What a little more of each limit, capacity and bandwidth is worth to a solution, between proved ends.

One run of branch and bound on the solution's machine gives, with its multipliers, a bound for every changed figure
(`dlco.bound.nearby`); what the solution's own mappings cost there, or those of a short search where they no longer
fit, is above the best. `Sensitivity` says what follows.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from math import exp, inf, log, log1p

from dlco.bound.certificate import BoundEffort
from dlco.bound.nearby import Change, NearbyBounds
from dlco.design.budget import Budget, broken_limits
from dlco.design.network_cost import evaluate_network
from dlco.design.objective import Objective
from dlco.design.sensitivity import STEP, Sensitivity
from dlco.design.solution import Solution
from dlco.errors import InvalidInput, InvalidMapping
from dlco.hardware.architecture import Architecture
from dlco.hardware.parameter import PORTS
from dlco.mapping.kept import FREE
from dlco.optimize.effort import SolveEffort
from dlco.optimize.solve import solve
from dlco.search.local_search import Effort

EFFORT = BoundEffort(nodes=600, side=60, boxes=0)
SEARCH = SolveEffort(starts=0, fit=Effort(rounds=12, patience=6, population=6), polishes=0, exact=False)
SMALL = 1e-4  # a change for a slope
UP, DOWN = log1p(STEP), -log1p(-STEP)
ON_THE_MACHINE = ("area_mm2", "pe_count", "capacity", "bandwidth")  # limits that no mapping has a part in


@dataclass(frozen=True)
class Figure:
    """What is changed.

    Attributes:
        name, value: as in `Sensitivity`.
        size: whether it is a size of the machine; otherwise it is a limit of the budget.
        moves: whether a change changes anything for any mapping.
        steps: whether one of 5 % up does.
    """

    name: str
    value: float
    size: bool
    moves: bool = True
    steps: bool = True


def sensitivities(
    solution: Solution, effort: BoundEffort | None = None, *, exact: bool = False
) -> tuple[Sensitivity, ...]:
    """What one per cent of every capacity, bandwidth and limit is worth, those that matter most first.

    The machine is the solution's, and each figure is changed by itself: a larger memory costs here what the present one
    does. So limits on the machine alone (area, MAC units, sizes) are left out; no mapping has a part in them.
    Constraints that `solve` was given beside the hardware's own are not in a solution, and left out too.

    Args:
        solution: within its limits.
        effort: of the lower bound.
        exact: whether to solve anew for every change, twice a figure: where the exact search answers, the brackets
            close on what truly changes.

    Raises:
        InvalidInput: the solution's status is "infeasible", what levels keep was free, or mappings are uneven.
    """
    if solution.status == "infeasible":
        raise InvalidInput(
            "status of the solution is 'infeasible'; sensitivities are those of a design that keeps its limits"
        )
    if solution.keep == FREE:
        raise InvalidInput("keep of the solution is 'free'; sensitivities are of mappings that keep what is stated")
    if solution.uneven:
        raise InvalidInput("the solution has uneven mappings; sensitivities are of even ones")
    budget = replace(solution.budget, **dict.fromkeys(ON_THE_MACHINE))
    question = _Question(solution, budget, effort or EFFORT, exact)
    found = [question.sensitivity(figure) for figure in _figures(solution, budget)]
    return tuple(sorted(found, key=lambda one: (round(one.elasticity, 6), one.name)))


def _figures(solution: Solution, budget: Budget) -> list[Figure]:
    """All that is changed."""
    machine, goal = solution.architecture, Objective(solution.objective)
    timed = goal is not Objective.ENERGY or any(level.leak_pj > 0 for level in machine.levels)
    timed = timed or any(name != "energy_j" for name in budget.limits) or budget.layer_latency_s is not None
    found = []
    for level in machine.levels:
        room = level.usable_capacity
        if 0 < room < inf:
            found.append(Figure(f"{level.name}.capacity", room, True, steps=room * (1 + STEP) // 1 > room))
        for port in PORTS:
            if getattr(level, port) < inf:
                found.append(Figure(f"{level.name}.{port}", getattr(level, port), True, moves=timed))
    found += [Figure(name, limit, False) for name, limit in budget.limits.items()]
    layers = budget.layer_latency_s
    if isinstance(layers, Mapping):
        found += [Figure(f"layer_latency_s of {layer}", limit, False) for layer, limit in layers.items()]
    elif layers is not None:
        found.append(Figure("layer_latency_s", layers, False))
    return [replace(one, moves=one.moves and goal is not Objective.AREA) for one in found]


@dataclass(frozen=True)
class _Question:
    """A solution, the limits that mappings have a part in, and how hard to try."""

    solution: Solution
    budget: Budget
    effort: BoundEffort
    exact: bool

    @cached_property
    def nearby(self) -> NearbyBounds:
        """Bounds on the machine as it is, and near it."""
        asked, goal = self.solution, Objective(self.solution.objective)
        return NearbyBounds(asked.layers, asked.architecture, goal, self.budget, asked.imperfect, self.effort)

    @cached_property
    def now(self) -> tuple[float, float]:
        """Logs of what the best design on the machine lies between."""
        known = max(self.nearby.value(), self.solution.lower_bound or 0.0)
        best = self.solved(self.solution.architecture, self.budget) if self.exact else None
        return (_log(known), _log(self.solution.value)) if best is None else (best, best)

    def sensitivity(self, figure: Figure) -> Sensitivity:
        """See `Sensitivity`. Making a figure larger never makes the best worse, so all slopes are at most 0."""
        if not figure.moves:
            return Sensitivity(figure.name, figure.value, 0.0, 0.0, 0.0)
        ends = (_log(self.nearby.value(*self.changed(figure, exp(sign * SMALL)))) for sign in (1, -1))
        slope = (next(ends) - next(ends)) / (2 * SMALL)
        below, above = self.now
        least, most = self.between(figure, 1 - STEP)
        low, high = (below - most) / DOWN, (above - max(least, below)) / DOWN
        least, most = self.between(figure, 1 + STEP) if figure.steps else (above, below)  # the same, whatever it is
        low, high = min(low, (least - above) / UP), max(high, (min(most, above) - below) / UP)
        return Sensitivity(figure.name, figure.value, *(min(one, 0.0) for one in (slope, low, high)))

    def changed(self, figure: Figure, factor: float) -> tuple[Change | None, Budget]:
        """A figure times a factor, as a change of the machine or of the budget."""
        if figure.size:
            return Change(figure.name, factor), self.budget
        field, _, layer = figure.name.partition(" of ")
        limit = getattr(self.budget, field)
        return None, replace(
            self.budget, **{field: limit | {layer: limit[layer] * factor} if layer else limit * factor}
        )

    def between(self, figure: Figure, factor: float) -> tuple[float, float]:
        """Logs of what the best design lies between once a figure is changed; infinity above where none is known."""
        change, budget = self.changed(figure, factor)
        machine = self.solution.architecture if change is None else change.machine(self.solution.architecture)
        best = self.solved(machine, budget) if self.exact else None
        if best is not None:
            return best, best
        return _log(self.nearby.value(change, budget)), _log(self.reached(machine, budget, search=factor < 1))

    def reached(self, machine: Architecture, budget: Budget, *, search: bool) -> float:
        """What the solution's mappings come to, or those that another search finds; infinity where nothing fits."""
        asked = self.solution
        try:
            costs, cost = evaluate_network(asked.layers, machine, asked.mappings)
            if not broken_limits(budget, machine, costs, cost):
                return cost.objective(asked.objective)
        except InvalidMapping:
            pass
        proved = asked.gap == 0  # so the exact search answers in about the time that it took then
        found = self.solve(machine, budget, replace(SEARCH, exact=proved), start=asked) if search else None
        return found.value if found is not None else inf

    def solved(self, machine: Architecture, budget: Budget) -> float | None:
        """Log of the objective that the exact search proves; None where it does not answer."""
        found = self.solve(machine, budget, None)
        return _log(found.value) if found is not None and found.gap == 0 else None

    def solve(
        self, machine: Architecture, budget: Budget, effort: SolveEffort | None, start: Solution | tuple[()] = ()
    ) -> Solution | None:
        """A solution on a machine within a budget; None where none was found."""
        asked = self.solution
        try:
            found = solve(
                asked.layers,
                machine,
                asked.objective,
                budget,
                seed=asked.seed,
                bound=effort is None,
                effort=effort,
                imperfect=asked.imperfect,
                start=start,
            )
        except InvalidInput:  # no room for a word of each dataspace, or a limit that is out of reach
            return None
        return None if found.status == "infeasible" else found


def _log(value: float) -> float:
    return log(value) if 0 < value < inf else inf
