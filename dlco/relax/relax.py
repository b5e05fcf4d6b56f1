"""The relaxed problem: real factors and real hardware sizes, solved jointly for all layers by nonlinear programming.

Variables are the logs of all factors, which are at least 0 and add up to the log of the bound in every dimension, and
of the hardware's sizes. Inequalities keep tiles within capacities, fan-outs within the array, and the budget. Loop
orders, and which loops exist, are fixed within a solve (a class), so that nothing jumps where a factor leaves 1. A
primal-dual interior-point method (`dlco.relax.interior`) solves many starts as one batch and ends on the
optimality conditions; between solves, each layer changes to better classes (`dlco.relax.classes`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch

from dlco.hardware.architecture import Architecture
from dlco.hardware.space import HardwareSpace, as_space
from dlco.relax import interior
from dlco.relax.classes import Classes, Merit, adopt, better_orders, drop_loops, inward, one_axis
from dlco.relax.iterate import Iterate, PointValues, RelaxedProblem, begin, draw_point, shares, values
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
        sizes: `[starts, parameters]` real hardware sizes (no columns on a fixed machine).
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
            `RelaxedLayers.rows`), then of the limits `[starts, limits]` (of `Score.excess`, then
            the PE count's, then the space's).
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
        hardware: a machine, or a space whose sizes join the problem.
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
    problem = RelaxedProblem.of(groups, as_space(hardware), score, counts, starts, generator, give=feasibility / 4)
    at = draw_point(problem, starts, generator, FIRST_MU)
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


def _last_mu(problem: RelaxedProblem) -> float:
    """The barrier at which the objective is within about 1e-3 of its limit: every inequality is worth one mu."""
    inequalities = sum(layers.total.shape[0] * (layers.size + 20) for layers in problem.layers)
    return max(1e-3 / inequalities, 1e-7)


def _reclassify(
    problem: RelaxedProblem, at: Iterate, generator: torch.Generator, done: int
) -> tuple[RelaxedProblem, Iterate, bool]:
    """Better classes at the present factors; starts that gain by it begin anew with a larger barrier.

    The first time every dimension also goes to one axis of each level, so that all starts begin anew. Starts learn
    from each other in the first two rounds only: later that would repeat itself. Returns whether any begins anew.
    """
    classes, points = [], []
    gain = torch.zeros_like(at.mu)
    for g, (layers, old) in enumerate(zip(problem.layers, problem.classes, strict=True)):
        group = layers.group
        x = layers.factors(at.v[g])
        merit = _merit(problem, at, g)
        before = merit(x, old)
        x, new = adopt(x, old, merit) if done <= 2 else (x, old)
        new = better_orders(group, x, new, merit)
        if done == 1:
            gain = gain + torch.inf
            x, new = one_axis(group, x, new, _fanouts(problem.space, at.y), generator)
        else:
            x, new = drop_loops(group, x, new, merit)
            gain = gain + (before - merit(x, new)).sum(-1)
        classes.append(new)
        points.append(inward(group, x, new, INWARD))
    again = gain > WORTHWHILE
    problem = replace(
        problem, classes=[one.where(again, old) for one, old in zip(classes, problem.classes, strict=True)]
    )
    if bool(again.any()):
        anew = begin(problem.select(again), at.y[again], [x[again] for x in points], RESTART_MU)
        at.put(again, replace(anew, steps=at.steps[again]))
    return problem, at, bool(again.any())


def _merit(problem: RelaxedProblem, at: Iterate, g: int) -> Merit:
    """Log of the objective by what each layer of a group adds to it, limits at their multipliers."""
    weights = problem.weights(at.duals[-1])
    energy_share, time_share = shares(problem, values(problem, at.y, at.v), at, g)
    energy_weight, time_weight = weights[:, :1] * energy_share, weights[:, 1:2] * time_share

    def merit(x: torch.Tensor, classes: Classes) -> torch.Tensor:
        with torch.no_grad():
            energy, cycles, full = problem.layers[g].costs(x, at.y, classes.position)
        worth = energy_weight.abs() + time_weight.abs()
        return energy_weight * energy + time_weight * cycles + worth * full.clamp(min=0)

    return merit


def _fanouts(space: HardwareSpace, y: torch.Tensor) -> torch.Tensor:
    """Logs of the fan-outs, `[starts, levels, 2]`."""
    machine = space.machine(y.exp())
    return torch.stack([machine.fanout_x, machine.fanout_y], -1).log()


def _violation(now: PointValues) -> torch.Tensor:
    """`[starts]` largest log by which a limit is exceeded."""
    return torch.cat([one.flatten(1) for one in now.inequalities], 1).clamp(min=0).amax(1)


def _report(
    problem: RelaxedProblem, at: Iterate, feasibility: float, report: Callable[[float, float, float], None]
) -> None:
    """Tell the totals (pJ, cycles, mm2) of the best start within the limits, where there is one."""
    now = values(problem, at.y, at.v)
    merit = torch.where(_violation(now) <= feasibility, problem.objective(now.totals)[:, 0], torch.inf)
    best = merit.argmin()
    if bool(merit[best] < torch.inf):
        energy, cycles, area = now.totals[best].exp().tolist()
        report(energy, cycles, area)


def _result(problem: RelaxedProblem, at: Iterate, rounds: int, feasibility: float, stationarity: float) -> Relaxed:
    """The solutions with their measures."""
    now = values(problem, at.y, at.v)
    violation = _violation(now)
    residual = interior.residual(problem, at)
    return Relaxed(
        sizes=at.y.exp(),
        logs=[
            layers.table(layers.factors(v) * classes.open)
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
