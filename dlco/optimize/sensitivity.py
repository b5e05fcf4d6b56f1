"""What a little more of each limit, capacity and bandwidth is worth to a solution, between proved ends.

One run of branch and bound on the solution's machine gives, with its multipliers, a bound for every changed figure
(`dlco.bound.nearby`); what the solution's own mappings cost there, or those of a short search where they no longer
fit, is above the best. Another run, over the space that the machine was chosen from, does the same for every limit, a
machine being chosen anew for each. `Sensitivity` says what follows.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from math import exp, inf, log

from dlco.bound.certificate import BoundEffort
from dlco.bound.nearby import NearbyBounds
from dlco.design.budget import Budget, broken_limits
from dlco.design.network_cost import evaluate_network
from dlco.design.objective import Objective
from dlco.design.sensitivity import Sensitivity
from dlco.design.solution import Solution
from dlco.errors import InvalidInput, InvalidMapping
from dlco.hardware.architecture import Architecture
from dlco.hardware.limits import SLACK
from dlco.hardware.space import HardwareSpace, as_space
from dlco.mapping.kept import FREE
from dlco.optimize.effort import SolveEffort
from dlco.optimize.figures import (
    ON_THE_MACHINE,
    Figure,
    budget_figures,
    closed,
    machine_figures,
    space_figures,
)
from dlco.optimize.solve import solve
from dlco.search.earlier import sizes_of
from dlco.search.evolution import EvolutionEffort
from dlco.search.local_search import Effort

EFFORT = BoundEffort(nodes=600, side=60, boxes=0)
SEARCH = SolveEffort(
    starts=0,
    survey=0,
    evolution=EvolutionEffort(generations=0),
    machines=1,
    steps=0,
    fit=Effort(rounds=12, patience=6, population=6),
    polishes=0,
)
SMALL = 1e-4  # a change for a slope
FAR = 0.1  # a change of a logarithm for which programs are solved anew


def sensitivities(
    solution: Solution, effort: BoundEffort | None = None, *, exact: bool = False
) -> tuple[Sensitivity, ...]:
    """What one per cent of every limit, capacity and bandwidth is worth, those that matter most first.

    Where `solve` chose the machine from a space, limits come first: the budget's, those on the machine among them, the
    space's own (`subject_to`) and the ends of its grids. With each of them changed, the machine is chosen anew. On a
    machine that was given, limits on it alone are left out: no mapping has a part in them.

    Capacities and bandwidths follow. They are those of the solution's machine as it is, each changed by itself: a
    larger memory costs here what the present one does.

    A network takes seconds on a machine; in a space some ten, and a short search (seconds) for every limit that the
    solution would break if it were tighter.

    Args:
        solution: within its limits. Of one that does not know its space, as of earlier versions' files, ask
            `dataclasses.replace(solution, space=...)`.
        effort: of the lower bounds.
        exact: whether to solve anew for every change, twice a figure: on a machine where the exact search answers, the
            brackets close on what truly changes; in a space this takes twice as long as `solve` did, for every limit.

    Raises:
        InvalidInput: the solution's status is "infeasible", what levels keep was free, mappings are uneven,
            or results may stay on the chip.
    """
    if solution.status == "infeasible":
        raise InvalidInput(
            "status of the solution is 'infeasible'; sensitivities are those of a design that keeps its limits"
        )
    if solution.keep == FREE:
        raise InvalidInput("keep of the solution is 'free'; sensitivities are of mappings that keep what is stated")
    if solution.course:
        raise InvalidInput("results of the solution may stay on the chip; sensitivities are of layers one by one")
    if solution.uneven:
        raise InvalidInput("the solution has uneven mappings; sensitivities are of even ones")
    space, goal, machine = solution.space, Objective(solution.objective), solution.architecture
    effort, budget = effort or EFFORT, replace(solution.budget, **dict.fromkeys(ON_THE_MACHINE))
    found = []
    if space is not None:
        opened, others, limits = space_figures(space, solution.budget)
        found += _Question(solution, opened, others, effort, exact).answer(limits)
    figures = machine_figures(machine, goal, budget)
    if space is None:
        figures += budget_figures(budget)
    if goal is Objective.AREA:
        figures = [replace(one, moves=False) for one in figures]
    return (*found, *_Question(solution, as_space(machine), budget, effort, exact).answer(figures))


@dataclass(frozen=True)
class _Question:
    """A solution among those of some hardware within a budget, and how hard to try."""

    solution: Solution
    hardware: HardwareSpace
    budget: Budget
    effort: BoundEffort
    exact: bool

    def answer(self, figures: list[Figure]) -> list[Sensitivity]:
        """All figures' sensitivities, those that matter most first, of equals in their order."""
        found = [self.sensitivity(figure) for figure in figures]
        return sorted(found, key=lambda one: -abs(round(one.elasticity, 4)))

    @cached_property
    def nearby(self) -> NearbyBounds:
        """Bounds on the hardware as it is, and near it."""
        asked, goal = self.solution, Objective(self.solution.objective)
        return NearbyBounds(
            asked.layers, self.hardware, goal, self.budget, asked.imperfect, self.effort, asked.constraints
        )

    @cached_property
    def now(self) -> tuple[float, float]:
        """Logs of what the best design lies between."""
        proved = 0.0 if self.solution.imperfect else self.solution.lower_bound or 0.0  # maybe of some layers' alone
        known = max(self.nearby.value(), proved)
        low, high = self.solved(self.hardware, self.budget) if self.exact else (-inf, inf)
        return max(_log(known), low), min(_log(self.solution.value), high)

    def sensitivity(self, figure: Figure) -> Sensitivity:
        """See `Sensitivity`. What helps never makes the best worse, so those slopes are at most 0; others at least."""
        slope, low, high = 0.0, 0.0, 0.0
        if figure.moves:
            ends = [self.bound(figure, exp(sign * SMALL)) for sign in (1, -1)]
            slope = (ends[0] - ends[1]) / (2 * SMALL) if ends[1] > -inf else 0.0
            sides = [self.slopes(figure, factor, slope) for factor in figure.factors]
            low, high = min(side[0] for side in sides), max(side[1] for side in sides)
        signed = ((min if figure.helps else max)(one, 0.0) + 0.0 for one in (slope, low, high))  # no -0.0
        slope, low, high = signed
        return Sensitivity(figure.name, figure.value, slope, low, high, not self.hardware.is_fixed, figure.factors)

    def slopes(self, figure: Figure, factor: float, guess: float) -> tuple[float, float]:
        """What the best design's slope lies between where a figure is changed by a factor; `guess` is the bound's."""
        if factor in figure.still:
            return 0.0, 0.0
        below, above = self.now
        helped = (factor > 1) == figure.helps
        # A machine that is to be chosen better proves something only if its designs are below the present bound.
        promising = not self.hardware.is_fixed and abs(guess * log(factor)) > above - below
        least, most = self.between(figure, factor, helped, search=not helped or promising)
        change = (least - above, min(most, above) - below) if helped else (max(least, below) - above, most - below)
        low, high = sorted(one / log(factor) for one in change)
        return low, high

    def bound(self, figure: Figure, factor: float) -> float:
        """Log of the lower bound once a figure is changed."""
        change, budget = figure.changed(factor, self.budget)
        return _log(self.nearby.value(change, budget, anew=abs(log(factor)) > FAR))

    def between(self, figure: Figure, factor: float, helped: bool, *, search: bool) -> tuple[float, float]:
        """Logs of what the best design lies between once a figure is changed; infinity above where none is known."""
        change, budget = figure.changed(factor, self.budget)
        hardware = self.hardware if change is None else change.hardware(self.hardware)
        low, high = self.solved(hardware, budget) if self.exact else (-inf, inf)
        if low < high:
            low, high = max(low, self.bound(figure, factor)), min(high, self.kept(hardware, budget))
        if search and not self.exact and (helped or high == inf):
            high = min(high, self.found(figure, hardware, budget, helped))
        return low, high

    def kept(self, hardware: HardwareSpace, budget: Budget) -> float:
        """Log of what the solution's own mappings come to; infinity where they do not keep the limits."""
        asked = self.solution
        machine = hardware.base if hardware.is_fixed else asked.architecture
        try:
            costs, cost = evaluate_network(asked.layers, machine, asked.mappings)
        except InvalidMapping:
            return inf
        if bool((hardware.excess(sizes_of(machine, hardware)) > SLACK).any()):
            return inf
        return inf if broken_limits(budget, machine, costs, cost) else _log(cost.objective(asked.objective))

    def found(self, figure: Figure, hardware: HardwareSpace, budget: Budget, helped: bool) -> float:
        """Log of what a brief search comes to; infinity where it finds nothing within the limits.

        Of a space it searches one machine: that with the solution's sizes, the changed one moved as far as it must, or
        into what it may reach now; where a limit is on more than one size, the one that the search steps to.
        """
        if not hardware.is_fixed:
            machine = self.moved(figure, hardware, budget, helped)
            if machine is None and not helped:
                near = self.solve(hardware, budget, replace(SEARCH, exact=False), start=self.solution)
                machine = None if near is None else near.architecture
            if machine is None:
                return inf
            hardware = as_space(machine)
        best = self.solve(hardware, budget, SEARCH, start=self.solution)
        return inf if best is None else _log(best.value)

    def moved(self, figure: Figure, hardware: HardwareSpace, budget: Budget, helped: bool) -> Architecture | None:
        """The solution's machine with one size moved for a changed limit on it; None where that keeps no limits."""
        names = () if figure.limit is None else hardware.limits[figure.limit].names
        if len(names) != 1:
            return None
        at = hardware.names.index(*names)
        sizes = sizes_of(self.solution.architecture, hardware)
        try:
            before, allowed = (closed(one).parameters[at].grid for one in (self.hardware, hardware))
            allowed = tuple(size for size in allowed if not helped or size not in before)
            sizes[at] = min(allowed, key=lambda size: abs(log(size / float(sizes[at]))))
            machine = hardware.architecture(sizes)
        except (InvalidInput, ValueError):  # nothing is allowed, or other limits between sizes are broken
            return None
        return None if any(use.broken for use in budget.machine_uses(machine)) else machine

    def solved(self, hardware: HardwareSpace, budget: Budget) -> tuple[float, float]:
        """Logs of what the best design is proved to lie between, as far as it is."""
        found = self.solve(hardware, budget, None)
        return (-inf, inf) if found is None else (_log(found.lower_bound or 0.0), _log(found.value))

    def solve(
        self, hardware: HardwareSpace, budget: Budget, effort: SolveEffort | None, start: Solution | tuple[()] = ()
    ) -> Solution | None:
        """A solution on some hardware within a budget; None where none was found."""
        asked = self.solution
        try:
            found = solve(
                asked.layers,
                hardware if hardware.is_fixed else closed(hardware),
                asked.objective,
                budget,
                seed=asked.seed,
                bound=effort is None,
                effort=effort,
                constraints=asked.constraints,
                imperfect=asked.imperfect,
                start=start,
            )
        except InvalidInput:  # no room for a word of each dataspace, or a limit that is out of reach
            return None
        return None if found.status == "infeasible" else found


def _log(value: float) -> float:
    return log(value) if 0 < value < inf else value or -inf
