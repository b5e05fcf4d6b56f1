"""`pareto()`: what two or three objectives trade, by the epsilon-constraint method.

One objective is minimised under limits on the others; moving the limits moves along the front (Haimes, Lasdon and
Wismer, 1971). Unlike a weighted sum it reaches points where the front is not convex, and the limits say where on it
a point is to lie. Every solve starts from the designs found at neighbouring limits.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from math import dist, exp, hypot, inf, isqrt, log
from typing import Any, Unpack

from dlco.design.budget import Budget
from dlco.design.dominance import logs
from dlco.design.front import Front, FrontPoint
from dlco.design.objective import LIMITED, Objective
from dlco.design.solution import Solution
from dlco.errors import Infeasible, InvalidInput
from dlco.hardware.architecture import Architecture
from dlco.hardware.space import HardwareSpace
from dlco.interrupts import held
from dlco.mapping.constraints import announce
from dlco.optimize.front.answer import STARTS, Answer, first_machines, solve_from
from dlco.optimize.front.attempts import Attempts, Question, why_not_looked_up
from dlco.optimize.front.polish import TIE
from dlco.optimize.front.request import FrontEffort, front_request
from dlco.optimize.options import Options, RunOptions
from dlco.optimize.request import check_room
from dlco.progress import Listener
from dlco.progress_bar import listening
from dlco.workload.layer import Layer

NARROW = 0.01  # gaps below this, in logs, are not searched any further


def pareto(
    layers: Iterable[Layer],
    hardware: Architecture | HardwareSpace,
    x: str = "latency",
    y: str = "power",
    z: str | None = None,
    points: int = 16,
    *,
    budget: Budget | None = None,
    span: float = 10.0,
    seed: int = 0,
    bound: bool = False,
    progress: bool | Listener = False,
    effort: FrontEffort | None = None,
    **options: Unpack[RunOptions],
) -> Front:
    """The designs that two or three objectives leave: none of them is better than another on all.

    Both ends come first, the least x and the least y alone. Then y is minimised under limits on x: at the least x
    itself (which breaks ties there), at a few between the ends, evenly in logs, and then in the middle of the
    longest stretches of the front between limits. Solves after the ends are short: each starts from the designs
    found so far on either side of its limit. What their searches come across between the limits joins the front at
    no cost (see `dlco.optimize.front.visited`), so that it may have several times as many points. With a third
    objective, y is minimised under a grid of limits on x and z, and then between the points that stand most alone.
    Area is better limited than minimised, since it takes few values: rather x than y.

    Least power alone would mean a machine that takes for ever: where power is an objective and the budget has no
    latency, latency is limited to `span` times the least.

    On a fixed machine whose layers the exact search covers, every point is the proved optimum within its limits, unless
    power is among the objectives. Otherwise each design's mappings are chosen anew at the end, among the exact fronts
    of its machine's layers; with `keep="free"` or `uneven` these are then of all such mappings.

    Independent solves go through joblib: under `joblib.parallel_config(n_jobs=2)` two run at once, with the same
    result.

    Args:
        layers: the network.
        hardware: a machine, or a space of them.
        x: limited objective: "latency", "energy", "power" or "area".
        y: minimised objective: any of them, or "edp".
        z: another limited objective, or None.
        points: designs to search for; others are come across on the way.
        budget: limits that every design must keep.
        span: slowest design over fastest, see above.
        seed: the same seed gives the same front.
        bound: whether to compute a lower bound on y for every design searched for, given its limits.
        progress: True for a progress bar (where stderr is a terminal), or a callable that takes `Progress`.
        effort: how hard the solves try.
        **options: device, constraints, imperfect, keep, uneven, start, checkpoint, resume: see `RunOptions`. Both
            ends are searched for from the solutions to start from.

    Returns:
        A `Front`. Its status is "interrupted" after Ctrl-C; it then has what was found until then.

    Raises:
        InvalidInput: an argument is not what it should be, or a limit of the budget is below what any design needs.
    """
    for name, axis in (("x", x), ("z", z)):
        if axis == Objective.EDP:
            raise InvalidInput(f"{name} is {axis!r}, which no budget limits; allowed: {', '.join(LIMITED)}")
    others = Options(**options)
    others.refuse_fused("pareto")
    axes = (x, y) if z is None else (x, y, z)
    request = front_request(layers, hardware, axes, points, budget, seed, bound, effort, span, others)
    question = request.common
    announce(question.hardware.base, question.layers, question.constraints)
    if question.is_wide and why_not_looked_up(request) is not None:  # as stated is where the searches begin
        check_room(replace(question, keep_free=False))
    with held(), listening(progress) as listener, others.recording(("pareto", request)) as journal:
        return Attempts(request, listener, journal).run(_pair if z is None else _triple)


def _pair(attempts: Attempts) -> None:
    """Limits on x: its least first, a few evenly between the ends, then in the middle of the longest stretches."""
    x, y = attempts.request.axes
    low, high = attempts.range(0)
    ties = [_within(attempts, {x: low * TIE})]
    if y is Objective.AREA:  # machines of one area are many, and the least was found for its EDP
        ties.append(_within(attempts, {y: attempts.range(1)[0] * TIE}, x))
    left = attempts.request.points - 2
    limits = spread(low, high, min(3, left)) if high > low * (1 + NARROW) else []
    questions, tried = ties, []
    while questions := questions + [_within(attempts, {x: limit}) for limit in limits]:
        attempts.wave(questions)
        tried += limits
        stretches = _stretches(attempts.front, tried)
        limits = [middle for length, middle in stretches if length >= stretches[0][0] / 2][: left - len(tried)]
        questions = []


def spread(low: float, high: float, n: int) -> list[float]:
    """`n` figures strictly between two others, at equal steps in logs."""
    return [exp(log(low) + (log(high) - log(low)) * (i + 1) / (n + 1)) for i in range(n)]


def _stretches(front: Sequence[FrontPoint], tried: Sequence[float]) -> list[tuple[float, float]]:
    """(length, limit on x in the middle) of the front's stretches between neighbouring limits, the longest first.

    A stretch is as long as the straight line from its beginning to its end, in logs, both axes scaled to the front's
    own ranges. Where y is the same at both, nothing is to be found between.
    """
    table, ranges = _scales(front)
    ends = table[0][0], table[-1][0]
    limits = sorted({*ends, *(one for one in logs(tried) if ends[0] < one < ends[1])})
    floors = [min(y for x, y in table if x <= limit) for limit in limits]
    stretches = []
    for (begin, top), (end, bottom) in pairwise(zip(limits, floors, strict=True)):
        if end - begin > NARROW and top > bottom:
            length = hypot((end - begin) / ranges[0], (top - bottom) / ranges[1])
            stretches.append((length, exp((begin + end) / 2)))
    return sorted(stretches, key=lambda stretch: (-stretch[0], stretch[1]))


def _triple(attempts: Attempts) -> None:
    """A grid of limits on x and z, a wave for each limit on z, then between the points that stand most alone."""
    x, _, z = attempts.request.axes
    points = attempts.request.points
    attempts.wave([_within(attempts, {axis: attempts.range(k)[0] * TIE}) for axis, k in ((x, 0), (z, 2))])
    cells = max(1, points - 2)  # with the loosest, which is the least y alone
    rows = isqrt(cells)
    for slack in _steps(attempts, 2, rows):
        row: list[dict[str, float]] = [{z: slack, x: limit} for limit in _steps(attempts, 0, cells // rows)]
        finite = [{axis: limit for axis, limit in limits.items() if limit < inf} for limits in row]
        attempts.wave([_within(attempts, limits) for limits in finite if limits])
    tried: list[dict[str, float]] = []
    while len(tried) <= points // 2 and len(attempts.front) < points:
        limits = next((one for one in _lonely(attempts.front, x, z) if one not in tried), None)
        if limits is None:
            break
        attempts.wave([_within(attempts, limits)])
        tried.append(limits)


def _steps(attempts: Attempts, axis: int, n: int) -> list[float]:
    """`n` limits on an axis, from none at all down towards its least figure, evenly in logs."""
    low, high = attempts.range(axis)
    return [inf, *reversed(spread(low, high, n - 1))] if high > low * (1 + NARROW) else [inf]


def _lonely(front: Sequence[FrontPoint], x: str, z: str) -> list[dict[str, float]]:
    """Limits on x and z halfway between each point and its nearest neighbour, those farthest apart first."""
    table, ranges = _scales(front)
    scaled = [[value / extent for value, extent in zip(row, ranges, strict=True)] for row in table]
    pairs = []
    for i, one in enumerate(scaled):
        others = [(dist(one, other), j) for j, other in enumerate(scaled) if j != i]
        if others:
            pairs.append((*min(others), i))
    halfway = []
    for _, i, j in sorted(pairs, key=lambda pair: (-pair[0], pair[1:])):
        ends = {axis: (front[i].values[k], front[j].values[k]) for axis, k in ((x, 0), (z, 2))}
        halfway.append({axis: spread(*pair, 1)[0] for axis, pair in ends.items()})
    return halfway


def _scales(front: Sequence[FrontPoint]) -> tuple[list[tuple[float, ...]], list[float]]:
    """Logs of the points' figures, and how far they reach on every axis."""
    table = [logs(point.values) for point in front]
    return table, [max(max(column) - min(column), NARROW) for column in zip(*table, strict=True)]


def _within(attempts: Attempts, limits: dict[str, float], objective: Objective | None = None) -> Question:
    """The least y (or another objective) within limits by axis, from what was found nearby."""
    request = attempts.request
    objective = objective or request.axes[1]
    starts = near(attempts.found, request.axes, limits, objective)
    budget = attempts.budget.tightened(limits)
    arguments = (request, objective, budget, attempts.budget, request.effort.points, starts, attempts.known)
    return Question(_solve_within, arguments, limits)


def _solve_within(*arguments: Any, seed: int, progress: Listener) -> Answer | None:
    """As `solve_from`; None where the limits are proved out of reach."""
    try:
        return solve_from(*arguments, seed=seed, progress=progress)
    except Infeasible:
        return None


def near(
    found: Sequence[FrontPoint], axes: Sequence[Objective], limits: Mapping[str, float], objective: Objective
) -> tuple[Solution, ...]:
    """Where to start from: the best designs within the limits, and those nearest to them, in logs, of the others.

    Of each the first on `STARTS` different machines.
    """

    def beyond(point: FrontPoint) -> float:
        excess = zip(logs([point.values[axes.index(axis)] for axis in limits]), logs([*limits.values()]), strict=True)
        return sum(max(0.0, value - limit) for value, limit in excess)

    excess = [(beyond(point), point) for point in found]
    column = axes.index(objective)
    inside = sorted((point for one, point in excess if one == 0), key=lambda point: point.values[column])
    outside = [point for one, point in sorted(excess, key=lambda pair: pair[0]) if one > 0]
    return (*first_machines(inside, STARTS), *first_machines(outside, STARTS))
