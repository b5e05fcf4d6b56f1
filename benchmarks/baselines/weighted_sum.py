"""Fronts by weighted sums, to compare with `pareto`.

The sum of both objectives, each divided by its range over the front and weighted, is minimised for one weight after
another. It is the textbook's other method; it cannot reach a point of the front that lies above a line between two
others, and weights at equal steps say little about where on the front the points will lie (Das and Dennis, "A closer
look at drawbacks of minimizing weighted sums of objectives", Structural Optimization 14, 1997).
"""

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from itertools import pairwise
from math import hypot, log

import torch

from dlco.design.budget import Budget
from dlco.design.dominance import Values, logs
from dlco.design.front import Front, FrontPoint
from dlco.design.objective import Objective
from dlco.design.solution import Solution
from dlco.hardware.architecture import Architecture
from dlco.hardware.space import HardwareSpace
from dlco.interrupts import held
from dlco.journal import recording
from dlco.optimize.effort import SolveEffort
from dlco.optimize.front.answer import STARTS, Answer, answer_of, first_machines
from dlco.optimize.front.attempts import Attempts, Question
from dlco.optimize.front.request import FrontEffort, FrontRequest, front_request
from dlco.optimize.front.visited import Visited
from dlco.optimize.phases.shared import make_run
from dlco.progress import Listener
from dlco.progress_bar import listening
from dlco.search.score import Score
from dlco.workload.layer import Layer

Terms = tuple[tuple[Objective, float], ...]
NARROW = 1e-4  # weights closer than this are not told apart


@dataclass(frozen=True)
class WeightedScore(Score):
    """As `Score`, of a sum of objectives.

    Attributes:
        objective: what the solutions call themselves for.
        terms: (objective, factor) of each term, factors above 0, in the units of `NetworkCost.objective`.
    """

    terms: Terms = ()

    def value(self, energy_pj: torch.Tensor, cycles: torch.Tensor, area_mm2: torch.Tensor) -> torch.Tensor:
        """Log of the sum, `[...]`."""
        return self._sum(lambda score: score.value(energy_pj, cycles, area_mm2))

    def floor(self, cycles: torch.Tensor, area_mm2: torch.Tensor) -> torch.Tensor:
        """As `Score.floor`, of the terms together."""
        return self._sum(lambda score: score.floor(cycles, area_mm2))

    def _sum(self, term: Callable[[Score], torch.Tensor]) -> torch.Tensor:
        """Log of the weighted sum of what `term` is the log of, for the score of each objective."""
        parts = [
            term(Score(name, self.budget, self.cycle_s)) + log(factor) + log(name.unit_of_product(self.cycle_s))
            for name, factor in self.terms
        ]
        return torch.logsumexp(torch.stack(torch.broadcast_tensors(*parts)), 0)

    def prices(self, rates: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The searches of every term, and prices of time between: which one is right depends on the shares."""
        each = [Score(name, self.budget, self.cycle_s).prices(rates) for name, _ in self.terms]
        timed = any(name.powers[1] for name, _ in self.terms)
        multiples = (0.1, 0.5, 2.0, 8.0) if timed else (0.1,)
        between = torch.stack([rates * multiple for multiple in multiples], -1)
        prices = torch.cat([*(price for price, _ in each), between], -1)
        caps = torch.cat([*(cap for _, cap in each), torch.full_like(between, torch.inf)], -1)
        # the same search twice is once too many
        rows = torch.stack([prices[0], caps[0]]).T.tolist()
        first = [i for i, row in enumerate(rows) if row not in rows[:i]]
        return prices[:, first], caps[:, first]


def weighted_sum_front(
    layers: Iterable[Layer],
    hardware: Architecture | HardwareSpace,
    x: str = "latency",
    y: str = "power",
    points: int = 16,
    *,
    budget: Budget | None = None,
    seed: int = 0,
    progress: bool | Listener = False,
    effort: FrontEffort | None = None,
    span: float = 10.0,
    checkpoint: str | os.PathLike[str] | None = None,
    resume: str | os.PathLike[str] | None = None,
) -> Front:
    """The designs that weighted sums of two objectives find; arguments and result as of `pareto`.

    Both ends come first, as there, and what searches come across joins the front here too. Then three weights at
    equal steps, and weights halfway between those whose designs lie farthest apart, until there were `points`
    solves. Each starts from the designs found so far whose weighted sums are least.

    Raises:
        InvalidInput: as in `pareto`.
    """
    request = front_request(layers, hardware, (x, y), points, budget, seed, False, effort, span)
    asked = ("weighted sum", request)
    with held(), listening(progress) as listener, recording(checkpoint, resume, asked) as journal:
        return Attempts(request, listener, journal).run(_sweep)


def _sweep(attempts: Attempts) -> None:
    (least_x, most_x), (least_y, most_y) = attempts.range(0), attempts.range(1)
    if most_x <= least_x or most_y <= least_y:
        return
    scales = (most_x - least_x, most_y - least_y)
    by_weight: dict[float, tuple[float, ...]] = {1.0: (least_x, most_y), 0.0: (most_x, least_y)}
    left = attempts.request.points - 2
    weights = [0.25, 0.5, 0.75][:left]
    while weights:
        found = attempts.wave([_weighted(attempts, weight, scales) for weight in weights])
        left -= len(weights)
        by_weight |= {w: p.values for w, p in zip(weights, found, strict=True) if p is not None}
        gaps = _gaps(by_weight)
        weights = [w for length, w in gaps if length >= gaps[0][0] / 2][:left]


def _gaps(by_weight: dict[float, tuple[float, ...]]) -> list[tuple[float, float]]:
    """(distance of the designs in logs, weight halfway) of neighbouring weights, the farthest apart first."""
    gaps = []
    for low, high in pairwise(sorted(by_weight)):
        a, b = logs(by_weight[low]), logs(by_weight[high])
        if high - low > NARROW and a != b:
            gaps.append((hypot(a[0] - b[0], a[1] - b[1]), (low + high) / 2))
    return sorted(gaps, key=lambda gap: (-gap[0], gap[1]))


def _weighted(attempts: Attempts, weight: float, scales: tuple[float, float]) -> Question:
    request, budget = attempts.request, attempts.budget
    factors = weight / scales[0], (1 - weight) / scales[1]
    terms = tuple(zip(request.axes, factors, strict=True))

    def parts(point: FrontPoint) -> list[float]:
        return [factor * value for factor, value in zip(factors, point.values, strict=True)]

    starts = first_machines(sorted(attempts.found, key=lambda point: sum(parts(point))), 2 * STARTS)
    objective = Objective.POWER if Objective.POWER in request.axes else request.axes[-1]
    # neither the relaxed problem nor the exact search knows of sums
    effort = replace(request.effort.points, starts=0, exact=False)
    return Question(_solve, (request, objective, budget, effort, starts, attempts.known, terms))


def _solve(
    request: FrontRequest,
    objective: Objective,
    budget: Budget,
    effort: SolveEffort,
    starts: tuple[Solution, ...],
    known: tuple[Values, ...],
    terms: Terms,
    *,
    seed: int,
    progress: Listener,
) -> Answer:
    """As `solve_from`, of a weighted sum."""
    asked = request.common.asking(objective, budget, seed)
    visited = Visited(request.axes, Score(objective, budget, asked.hardware.base.cycle_s), known)
    run = make_run(asked, effort, starts, progress, on_candidates=visited)
    run.designs.score = WeightedScore(**vars(run.score), terms=terms)
    return answer_of(run, visited, False, budget)
