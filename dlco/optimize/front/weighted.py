"""Fronts by weighted sums, to compare with `pareto`.

The sum of both objectives, each divided by its range over the front and weighted, is minimised for one weight after
another. It is the textbook's other method; it cannot reach a point of the front that lies above a line between two
others, and weights at equal steps say little about where on the front the points will lie (Das and Dennis, "A closer
look at drawbacks of minimizing weighted sums of objectives", Structural Optimization 14, 1997).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from math import hypot, log

import torch

from dlco.hardware.architecture import Architecture
from dlco.hardware.space import HardwareSpace
from dlco.optimize.budget import Budget
from dlco.optimize.effort import SolveEffort
from dlco.optimize.front.attempts import Attempts, FrontEffort, FrontRequest, Question, front_request
from dlco.optimize.front.dominance import logs
from dlco.optimize.front.front import Front
from dlco.optimize.progress import Listener, listening
from dlco.optimize.request import make_request
from dlco.optimize.run import Run
from dlco.optimize.score import Score
from dlco.optimize.solution import Solution
from dlco.workload.layer import Layer

NARROW = 1e-4  # weights closer than this are not told apart


@dataclass(frozen=True)
class WeightedScore(Score):
    """As `Score`, of a sum of objectives.

    Attributes:
        objective: the one of them whose searches of single layers are used besides the prices of time below.
        terms: (objective, factor) of each term, factors above 0, in the units of `NetworkCost.objective`.
    """

    terms: tuple[tuple[str, float], ...] = ()

    def value(self, energy_pj: torch.Tensor, cycles: torch.Tensor, area_mm2: torch.Tensor) -> torch.Tensor:
        """Log of the sum, `[...]`."""
        units = {"latency": log(self.cycle_s), "power": log(1e-12 / self.cycle_s)}
        parts = [
            Score(name, self.budget, self.cycle_s).value(energy_pj, cycles, area_mm2) + log(factor) + units.get(name, 0)
            for name, factor in self.terms
        ]
        return torch.logsumexp(torch.stack(torch.broadcast_tensors(*parts)), 0)

    def prices(self, rates: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The searches of every term, and prices of time between: which one is right depends on the shares."""
        each = [Score(name, self.budget, self.cycle_s).prices(rates) for name, _ in self.terms]
        timed = {"latency", "power", "edp"} & {name for name, _ in self.terms}
        multiples = (0.1, 0.5, 2.0, 8.0) if timed else (0.1,)
        between = torch.stack([rates * multiple for multiple in multiples], -1)
        prices = torch.cat([*(price for price, _ in each), between], -1)
        caps = torch.cat([*(cap for _, cap in each), torch.full_like(between, torch.inf)], -1)
        # the same search twice is once too many
        rows = torch.stack([prices[0], caps[0]]).T.tolist()
        first = [i for i, row in enumerate(rows) if row not in rows[:i]]
        return prices[:, first], caps[:, first]


@dataclass(frozen=True)
class _Tangent(Score):
    """As `Score`, of a product of powers of objectives: what a sum of them is near to where they have these shares.

    The relaxed problem, which is of such products, is solved for it.
    """

    shares: tuple[tuple[str, float], ...] = ()

    def value(self, energy_pj: torch.Tensor, cycles: torch.Tensor, area_mm2: torch.Tensor) -> torch.Tensor:
        each = (Score(name, self.budget, self.cycle_s) for name, _ in self.shares)
        parts = [one.value(energy_pj, cycles, area_mm2) for one in each]
        parts = [share * part for (_, share), part in zip(self.shares, parts, strict=True)]
        return torch.stack(torch.broadcast_tensors(*parts)).sum(0)


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
) -> Front:
    """The designs that weighted sums of two objectives find; arguments and result as of `pareto`.

    Both ends come first, as there. Then three weights at equal steps, and weights halfway between those whose
    designs lie farthest apart, until there are `points` designs or half as many more solves than that. Solves start
    from the designs found at neighbouring weights.

    Raises:
        InvalidInput: as in `pareto`.
    """
    request = front_request(layers, hardware, (x, y), points, budget, seed, False, effort, span)
    with listening(progress) as listener:
        return Attempts(request, listener).run(_sweep)


def _sweep(attempts: Attempts) -> None:
    (least_x, most_x), (least_y, most_y) = attempts.range(0), attempts.range(1)
    if most_x <= least_x or most_y <= least_y:
        return
    scales = (most_x - least_x, most_y - least_y)
    by_weight: dict[float, tuple[float, ...]] = {1.0: (least_x, most_y), 0.0: (most_x, least_y)}
    points = attempts.request.points
    weights = [0.25, 0.5, 0.75][: max(1, points - 2)]
    left = points + points // 2 - 2
    while weights:
        found = attempts.wave([_weighted(attempts, weight, scales, by_weight) for weight in weights])
        left -= len(weights)
        by_weight |= {w: p.values for w, p in zip(weights, found, strict=True) if p is not None}
        missing = min(points - len(attempts.front), left)
        gaps = _gaps(by_weight)
        weights = [w for length, w in gaps if length >= gaps[0][0] / 2][: max(0, missing)]


def _gaps(by_weight: dict[float, tuple[float, ...]]) -> list[tuple[float, float]]:
    """(distance of the designs in logs, weight halfway) of neighbouring weights, the farthest apart first."""
    gaps = []
    for low, high in pairwise(sorted(by_weight)):
        a, b = logs(by_weight[low]), logs(by_weight[high])
        if high - low > NARROW and a != b:
            gaps.append((hypot(a[0] - b[0], a[1] - b[1]), (low + high) / 2))
    return sorted(gaps, key=lambda gap: (-gap[0], gap[1]))


def _weighted(
    attempts: Attempts, weight: float, scales: tuple[float, float], by_weight: dict[float, tuple[float, ...]]
) -> Question:
    request = attempts.request
    factors = weight / scales[0], (1 - weight) / scales[1]
    terms = tuple(zip(request.axes, factors, strict=True))
    best = min(attempts.found, key=lambda point: sum(f * v for f, v in zip(factors, point.values, strict=True)))
    others = [values for w, values in sorted(by_weight.items(), key=lambda item: abs(item[0] - weight))]
    nearest = next((p for values in others for p in attempts.found if p.values == values and p is not best), best)
    starts = (best.solution,) if nearest is best else (best.solution, nearest.solution)
    return Question(_solve_weighted, (request, terms, attempts.budget, request.effort.points, starts))


def _solve_weighted(
    request: FrontRequest,
    terms: tuple[tuple[str, float], ...],
    budget: Budget,
    effort: SolveEffort,
    starts: tuple[Solution, ...],
    *,
    seed: int,
    progress: Listener,
) -> Solution:
    """As `solve`, of a sum of objectives; the solution calls itself one for the last of them, or for power."""
    names = [name for name, _ in terms]
    objective = "power" if "power" in names else names[-1]
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
    run = Run(asked, effort, starts, progress, None)
    run.bench.score = WeightedScore(objective, budget, asked.hardware.base.cycle_s, terms)
    parts = [factor * starts[0].cost.objective(name) for name, factor in terms]
    shares = tuple((name, part / sum(parts)) for name, part in zip(names, parts, strict=True))
    run.score = _Tangent(objective, budget, asked.hardware.base.cycle_s, shares)
    return run.solution(False)
