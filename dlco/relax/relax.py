"""The relaxed problem: real factors and real hardware sizes, solved jointly for all layers by nonlinear programming.

Variables are the logs of all factors, which are at least 0 and add up to the log of the bound in every dimension, and
of the hardware's sizes. Inequalities keep tiles within capacities, fan-outs within the array, and the budget. Loop
orders, and which loops exist, are fixed within a solve (a class), so that nothing jumps where a factor leaves 1. A
primal-dual interior-point method (`dlco.relax.interior`) solves many starts as one batch and ends on the
optimality conditions; between solves, each layer changes to better classes (`dlco.relax.classes`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import log

import torch

from dlco.hardware.architecture import Architecture
from dlco.hardware.space import HardwareSpace
from dlco.relax import interior
from dlco.relax.classes import (
    Classes,
    Merit,
    adopt,
    better_orders,
    draw_classes,
    draw_factors,
    drop_loops,
    inward,
    one_axis,
)
from dlco.relax.iterate import Iterate, Problem, Values, begin, values
from dlco.relax.program import Layers, Linear, Whole
from dlco.search.group import Group
from dlco.search.score import Score

FIRST_MU, COARSE_MU, RESTART_MU = 0.02, 5e-4, 2e-3  # barriers: at the start, between rounds, after a change of class
COARSE = 0.02  # optimality between rounds
INWARD = 0.05  # how far into the interior a start goes after a change of class
WORTHWHILE = 1e-3  # a better class is worth a solve if it lowers the log of the objective by this


@dataclass(frozen=True)
class Relaxed:
    """Solutions of the relaxed problem, one a start.

    Attributes:
        sizes: `[starts, parameters]` real hardware sizes (no columns where the hardware is fixed).
        logs: for each group `[starts, layers, slots, dims]` logs of the factors.
        position: for each group `[starts, layers, levels, dims]`, the loop orders.
        value: `[starts]` log of the objective.
        violation: `[starts]` largest log by which a limit is exceeded.
        stationarity: `[starts]` residual of the optimality (KKT) conditions: the largest entry of the Lagrangian's
            gradient, projected onto the bounds and sums of the variables, or product of a multiplier and its slack.
        rate: `[starts]` pJ a cycle.
        rounds: solves made, with better classes from each to the next.
        converged: BoolTensor `[starts]`, whether both measures are within what was asked for.
        steps: `[starts]` Newton steps.
        multipliers: of the inequalities of each group `[starts, layers, inequalities]` (in the order of
            `Layers.rows`), then of the limits `[starts, limits]` (those of `Score.excess`, then the PE count's).
        cycles: for each group `[starts, layers]` logs of the cycles, the variables that bound every need of them.
        classes: of each group: orders, and which factors may be above 1.
    """

    sizes: torch.Tensor
    logs: list[torch.Tensor]
    position: list[torch.Tensor]
    value: torch.Tensor
    violation: torch.Tensor
    stationarity: torch.Tensor
    rate: torch.Tensor
    rounds: int
    converged: torch.Tensor
    steps: torch.Tensor
    multipliers: list[torch.Tensor]
    cycles: list[torch.Tensor]
    classes: list[Classes]


def relax(
    groups: Sequence[Group],
    hardware: Architecture | HardwareSpace,
    score: Score,
    counts: Sequence[torch.Tensor],
    *,
    starts: int,
    generator: torch.Generator,
    rounds: int = 8,
    steps: int = 60,
    feasibility: float = 1e-3,
    stationarity: float = 1e-2,
    report: Callable[[float, float, float], None] = lambda energy_pj, cycles, area_mm2: None,
) -> Relaxed:
    """Solve the relaxed problem from several starts at once.

    Args:
        groups: the layers.
        hardware: fixed, or a space whose sizes join the problem.
        score: objective and limits.
        counts: `[layers]` executions, for each group.
        starts: how many solves side by side.
        generator: draws their start and their loop-order classes.
        rounds: solves at most, classes improved from each to the next; it ends as soon as none improves.
        steps: Newton steps of a solve at most, as a safety: a solve ends on its optimality conditions.
        feasibility: limits are kept to within this, in logs,
        stationarity: and the optimality conditions to within this.
        report: told the totals of the best start after every solve that has one within the limits.
    """
    problem, at = _begin(groups, hardware, score, counts, starts, generator, feasibility)
    done = 0
    for done in range(1, rounds + 1):
        at = interior.solve(problem, at, tolerance=COARSE, least_mu=COARSE_MU, steps=steps)
        _report(problem, at, feasibility, report)
        if done == rounds:
            break
        problem, at, improved = _reclassify(problem, at, generator, done)
        if not improved:
            break
    if rounds:
        at = interior.solve(problem, at, tolerance=stationarity / 20, least_mu=_last_mu(problem), steps=steps)
        _report(problem, at, feasibility, report)
    return _result(problem, at, done, feasibility, stationarity)


def _begin(
    groups: Sequence[Group],
    hardware: Architecture | HardwareSpace,
    score: Score,
    counts: Sequence[torch.Tensor],
    starts: int,
    generator: torch.Generator,
    feasibility: float,
) -> tuple[Problem, Iterate]:
    """The problems of random classes, and random points; sizes start around the middle of their ranges."""
    device = groups[0].primes.device
    space = hardware if isinstance(hardware, HardwareSpace) else None
    low = torch.zeros(0, dtype=torch.float64, device=device) if space is None else space.low.log().to(device)
    high = low if space is None else space.high.log().to(device)
    classes = [draw_classes(group, starts, generator) for group in groups]
    problem = Problem(
        layers=[Layers(group, hardware, score) for group in groups],
        classes=classes,
        counts=list(counts),
        whole=Whole(hardware, device),
        low=low,
        high=high,
        objective=Linear.of(lambda energy, cycles, area: [score.value(energy, cycles, area)], device),
        limits=Linear.of(score.excess, device),
        pe_limit=None if score.budget.pe_count is None else log(score.budget.pe_count),
        give=feasibility / 4,
    )
    x = [draw_factors(group, one, generator).flatten(2) for group, one in zip(groups, classes, strict=True)]
    spread = torch.rand(starts, len(low), generator=generator, dtype=torch.float64, device=generator.device)
    y = low + (high - low) * (0.2 + 0.6 * spread.to(device))
    return problem, begin(problem, y, x, FIRST_MU)


def _last_mu(problem: Problem) -> float:
    """The barrier at which the objective is within about 1e-3 of its limit: every inequality is worth one mu."""
    inequalities = sum(layers.total.shape[0] * (layers.size + 20) for layers in problem.layers)
    return max(1e-3 / inequalities, 1e-7)


def _reclassify(problem: Problem, at: Iterate, generator: torch.Generator, done: int) -> tuple[Problem, Iterate, bool]:
    """Better classes at the present factors; starts that gain by it begin anew with a larger barrier.

    The first time every dimension also goes to one axis of each level, so that all starts begin anew. Starts learn
    from each other in the first two rounds only: later that would repeat itself. Returns whether any begins anew.
    """
    classes, points = [], []
    gain = torch.zeros_like(at.mu)
    for g, (layers, old) in enumerate(zip(problem.layers, problem.classes, strict=True)):
        group = layers.group
        x = at.v[g][..., :-1].unflatten(-1, (layers.slots, -1))
        merit = _merit(problem, at, g)
        before = merit(x, old)
        x, new = adopt(x, old, merit) if done <= 2 else (x, old)
        new = better_orders(group, x, new, merit)
        if done == 1:
            gain = gain + torch.inf
            x, new = one_axis(group, x, new, _fanouts(layers, at.y), generator)
        else:
            x, new = drop_loops(group, x, new, merit)
            gain = gain + (before - merit(x, new)).sum(-1)
        classes.append(new)
        points.append(inward(group, x, new, INWARD).flatten(2))
    again = gain > WORTHWHILE
    problem = replace(
        problem, classes=[one.where(again, old) for one, old in zip(classes, problem.classes, strict=True)]
    )
    if bool(again.any()):
        anew = begin(problem.select(again), at.y[again], [x[again] for x in points], RESTART_MU)
        at.put(again, replace(anew, steps=at.steps[again]))
    return problem, at, bool(again.any())


def _merit(problem: Problem, at: Iterate, g: int) -> Merit:
    """Log of the objective by what each layer of a group adds to it, limits at their multipliers' prices."""
    now = values(problem, at.y, at.v)
    prices = problem.prices(at.duals[-1])
    counts = problem.counts[g].log()
    energy_price = prices[:, :1] * (now.rows[g][..., 0] + counts - now.totals[:, :1]).exp()
    time_price = prices[:, 1:2] * (at.v[g][..., -1] + counts - now.totals[:, 1:2]).exp()
    y = at.y.mT[..., None]

    def merit(x: torch.Tensor, classes: Classes) -> torch.Tensor:
        rows = x.flatten(-2).movedim(-1, 0)
        sizes = y.view(len(y), *([1] * (rows.dim() - 3)), *y.shape[1:])
        with torch.no_grad():
            energy, cycles, full = problem.layers[g].costs(rows, sizes, classes.position)
        worth = energy_price.abs() + time_price.abs()
        found = energy_price * energy + time_price * cycles + worth * full.clamp(min=0)
        return found.expand(x.shape[:-2])  # where every loop has bound 1, the costs depend on nothing

    return merit


def _fanouts(layers: Layers, y: torch.Tensor) -> torch.Tensor:
    """Logs of the fan-outs, `[starts, levels, 2]`."""
    machine = layers.machines(y.mT)
    return torch.stack([machine.fanout_x, machine.fanout_y], -1).log().expand(len(y), -1, -1)


def _violation(now: Values) -> torch.Tensor:
    """`[starts]` largest log by which a limit is exceeded."""
    inequalities = [*(rows[..., 1:].flatten(1) for rows in now.rows), now.limits]
    return torch.cat(inequalities, 1).clamp(min=0).amax(1)


def _report(problem: Problem, at: Iterate, feasibility: float, report: Callable[[float, float, float], None]) -> None:
    """Tell the totals (pJ, cycles, mm2) of the best start within the limits, where there is one."""
    now = values(problem, at.y, at.v)
    merit = torch.where(_violation(now) <= feasibility, problem.objective(now.totals)[:, 0], torch.inf)
    best = merit.argmin()
    if bool(merit[best] < torch.inf):
        energy, cycles, area = now.totals[best].exp().tolist()
        report(energy, cycles, area)


def _result(problem: Problem, at: Iterate, rounds: int, feasibility: float, stationarity: float) -> Relaxed:
    """The solutions with their measures."""
    now = values(problem, at.y, at.v)
    violation = _violation(now)
    residual = interior.residual(problem, at)
    return Relaxed(
        sizes=at.y.exp(),
        logs=[
            layers.table(v[..., :-1] * classes.open.flatten(2))
            for layers, classes, v in zip(problem.layers, problem.classes, at.v, strict=True)
        ],
        position=[one.position for one in problem.classes],
        value=problem.objective(now.totals)[:, 0],
        violation=violation,
        stationarity=residual,
        rate=(now.totals[:, 0] - now.totals[:, 1]).exp(),
        rounds=rounds,
        converged=(violation <= feasibility) & (residual <= stationarity),
        steps=at.steps,
        multipliers=at.duals,
        cycles=[v[..., -1] for v in at.v],
        classes=list(problem.classes),
    )
