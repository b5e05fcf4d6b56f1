"""A primal-dual interior-point method for a batch of relaxed problems.

Every start is a problem of its own (Nocedal and Wright, Numerical Optimization, chapter 19):

    minimise f(w) + weight . t    subject to   c(w) + s - t = 0,  s, t >= 0,
                                               x >= 0,  low <= y <= high,  sum of x over slots = log bound.

The excesses t are 0 at the solution wherever the inequalities can be kept (their weight is above every multiplier);
where a limit is out of reach they say by how much, and multipliers stay finite. Limits have the lower weight, so they
give way rather than tiles and fan-outs.

A Newton step on the conditions of the barrier problem (all complementarity products equal to mu) is cut so that
everything stays positive and an l1 merit function falls; mu shrinks as soon as those conditions hold to within a
multiple of it, and the method ends on the conditions themselves. Layers meet only in the machine's sizes and in the
three totals (energy, cycles, area), so the Newton matrix is block-arrow plus a term of rank three: one small dense
system a layer, a Schur complement of the sizes, and Woodbury's identity. Curvature that is not convex is shifted,
layer by layer, until its matrix is positive definite.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import torch

from dlco.relax.arrow import onto_simplex, solve_arrow, woodbury
from dlco.relax.iterate import Iterate, RelaxedProblem, gaps_of, inside, rooms, shares, stacked, values, wide
from dlco.relax.program import TOTALS, derivatives, machine_rows

BOUNDARY = 0.995  # share of the way to the boundary that a step may go
CLOSE = 10.0  # conditions that hold to this multiple of mu allow a smaller mu


def solve(problem: RelaxedProblem, start: Iterate, *, tolerance: float, least_mu: float, steps: int) -> Iterate:
    """Newton steps until every start meets the optimality conditions.

    Args:
        problem: what is solved.
        start: where from.
        tolerance: a start rests once its conditions hold to this, with a barrier of at most `least_mu`.
        least_mu: the barrier ends here.
        steps: at most so many, as a safety.
    """
    done = start.select(torch.arange(len(start.y), device=start.y.device))
    active = torch.arange(len(start.y), device=start.y.device)
    for step in range(steps + 1):
        part, at = problem.select(active), done.select(active)
        newton = _Newton(part, at)
        newton.lower(least_mu, tolerance)
        rests = (at.error <= tolerance) & (at.mu <= least_mu)
        if step < steps and not bool(rests.all()):
            _advance(part, at, newton)
        done.put(active[~rests], at.select(~rests))
        done.error[active[rests]] = at.error[rests]
        done.mu[active[rests]] = at.mu[rests]
        active = active[~rests]
        if not len(active):
            break
    return done


def residual(problem: RelaxedProblem, at: Iterate) -> torch.Tensor:
    """How far each start is from the optimality conditions, `[starts]`, free of the multipliers of bounds and sums.

    The largest of: the step along the negative gradient of the Lagrangian after projection onto the sums and bounds
    of the variables; its derivative along tau; products of multipliers and slacks.
    """
    newton = _Newton(problem, at)
    base = problem.objective.slope[0].expand(len(at.y), -1)
    at_v, at_y = newton.slope(base, at.duals)
    parts = [torch.minimum(torch.maximum(at.y - at_y, problem.low), problem.high) - at.y]
    for g, (layers, classes) in enumerate(zip(problem.layers, problem.classes, strict=True)):
        x, slope = layers.factors(at.v[g]), layers.factors(at_v[g])
        parts += [onto_simplex(x - slope, layers.total, classes.open) - x, at_v[g][..., -1]]
    parts += [d * (c - problem.give) for c, d in zip(newton.now.inequalities, at.duals, strict=True)]
    return torch.cat([part.flatten(1).abs() for part in parts], 1).amax(1)


class _Newton:
    """Derivatives at an iterate, its errors, and the Newton direction."""

    def __init__(self, problem: RelaxedProblem, at: Iterate) -> None:
        self.problem, self.at = problem, at
        self.now = values(problem, at.y, at.v)
        self.room = rooms(problem, at.y)
        self.left = [weight - d for weight, d in zip(problem.excess_weights(), at.duals, strict=True)]
        self.moving = (problem.high > problem.low).expand_as(at.y)
        own = len(problem.limits.offset)
        self.weight = problem.weights(at.duals[-1])
        p = at.y.shape[-1]
        machine_weights = torch.cat([self.weight[:, 2:], at.duals[-1][:, own:]], -1).mT
        self.machine_slope, self.machine_curve = derivatives(
            partial(machine_rows, problem.space, problem.pe_limit), at.y.mT, machine_weights
        )
        self.jacobian: list[torch.Tensor] = []  # [starts, layers, m, n + 1 + p]
        self.energy: list[torch.Tensor] = []  # [starts, layers, n + 1 + p], of log energy
        self.curve: list[torch.Tensor] = []
        self.share: list[tuple[torch.Tensor, torch.Tensor]] = []  # of energy and of cycles
        for g, (layers, classes) in enumerate(zip(problem.layers, problem.classes, strict=True)):
            part_e, part_t = shares(problem, self.now, at, g)
            weights = torch.cat([(self.weight[:, :1] * part_e)[..., None], at.duals[g]], -1).movedim(-1, 0)
            point = stacked(at.v[g], at.y)
            jacobian, hessian = derivatives(partial(layers.rows, position=classes.position), point, weights)
            slope = jacobian[..., 0, :]
            weight = (self.weight[:, :1] * part_e).clamp(min=0)[..., None, None]
            hessian = hessian + weight * slope[..., :, None] * slope[..., None, :]
            tau = layers.size
            hessian[..., tau, tau] += self.weight[:, 1:2].clamp(min=0) * part_t
            self.jacobian.append(jacobian[..., 1:, :])
            self.energy.append(slope)
            self.curve.append(hessian)
            self.share.append((part_e, part_t))
        self.totals_v, self.totals_y = self._totals_slope(p)
        self.null = [_null_space(problem, g, one) for g, one in enumerate(at.v)]

    def multipliers(self) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        """The new multipliers as `a + b J step`, slacks and excesses eliminated: the lists (a, b)."""
        stiff, pushed = [], []
        rows = zip(self.at.slacks, self.at.excesses, self.at.duals, self.left, self.gaps(), strict=True)
        for s, t, d, left, gap in rows:
            mu = wide(self.at.mu, s)
            stiff.append(1 / (s / d + t / left))
            pushed.append(d + stiff[-1] * (gap + mu / d - s - mu / left + t))
        return pushed, stiff

    def _totals_slope(self, p: int) -> tuple[list[torch.Tensor], torch.Tensor]:
        """Gradients of the totals: for each group `[starts, layers, n + 1, 3]`, and `[starts, p, 3]`."""
        at_v = []
        at_y = self.at.y.new_zeros(len(self.at.y), p, TOTALS)
        for slope, (part_e, part_t) in zip(self.energy, self.share, strict=True):
            n = slope.shape[-1] - p
            table = slope.new_zeros(*slope.shape, TOTALS)
            table[..., 0] = part_e[..., None] * slope
            table[..., n - 1, 1] = part_t
            at_v.append(table[..., :n, :])
            at_y = at_y + table[..., n:, :].sum(1)
        at_y[..., 2] += self.machine_slope[:, 0]
        return at_v, at_y

    def _limit_slope(self, weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Weights of the limits as (weights of the totals `[starts, 3]`, slope along y `[starts, p]`)."""
        own = len(self.problem.limits.offset)
        along = (self.machine_slope[:, 1:].mT @ weight[:, own:, None])[..., 0]
        return weight[:, :own] @ self.problem.limits.slope, along

    def slope(self, weight: torch.Tensor, rows: Sequence[torch.Tensor]) -> tuple[list[torch.Tensor], torch.Tensor]:
        """Gradient of (weight . totals + rows' weights . inequalities), along v of each group and along y."""
        extra, along = self._limit_slope(rows[-1])
        weight = weight + extra
        p = self.at.y.shape[-1]
        along = along + (self.totals_y @ weight[..., None])[..., 0]
        at_v = []
        for g, jacobian in enumerate(self.jacobian):
            n = jacobian.shape[-1] - p
            pulled = (jacobian.mT @ rows[g][..., None])[..., 0]
            at_v.append((self.totals_v[g] @ weight[:, None, :, None])[..., 0] + pulled[..., :n])
            along = along + pulled[..., n:].sum(1)
        return at_v, along

    def gaps(self) -> list[torch.Tensor]:
        """`c - give + s - t` of all inequalities."""
        return gaps_of(self.problem, self.now, self.at)

    def errors(self, mu: torch.Tensor) -> torch.Tensor:
        """Largest violation of the conditions of the barrier problem `mu` `[starts]`, `[starts]`."""
        at = self.at
        base = self.problem.objective.slope[0].expand(len(at.y), -1)
        at_v, at_y = self.slope(base, at.duals)
        parts = [torch.where(self.moving, at_y - at.below + at.above, 0.0)]
        for g, one in enumerate(at_v):
            one = one - torch.nn.functional.pad(at.pull[g], (0, 1))
            parts.append((self.null[g].mT @ one[..., None])[..., 0])
        pairs = [
            *zip(at.slacks, at.duals, strict=True),
            *zip(at.excesses, self.left, strict=True),
            *zip(inside(self.problem, at.v), at.pull, strict=True),
            (self.room[0], at.below),
            (self.room[1], at.above),
        ]
        products = [a * b - wide(mu, a) for a, b in pairs]
        k = 2 * len(at.slacks)
        alive = [*(c.open.flatten(-2) for c in self.problem.classes), self.moving, self.moving]
        parts += products[:k]
        parts += [torch.where(there, one, 0.0) for there, one in zip(alive, products[k:], strict=True)]
        parts += self.gaps()
        return torch.cat([part.flatten(1).abs() for part in parts], 1).amax(1)

    def lower(self, least: float, tolerance: float) -> None:
        """Shrink the barrier of starts that are near its solution, and note the errors."""
        at = self.at
        at.error = self.errors(torch.zeros_like(at.mu))
        for _ in range(4):
            near = (self.errors(at.mu) <= (CLOSE * at.mu).clamp(min=tolerance / 20)) & (at.mu > least)
            if not bool(near.any()):
                break
            smaller = torch.minimum(0.2 * at.mu, at.mu**1.5).clamp(min=least)
            at.mu = torch.where(near, smaller, at.mu)
            at.penalty = torch.where(near, 1e-3, at.penalty)

    def direction(self) -> tuple[list[torch.Tensor], torch.Tensor]:
        """The Newton step along v of each group and along y."""
        at, problem = self.at, self.problem
        p = at.y.shape[-1]
        starts = len(at.y)
        pushed, stiff = self.multipliers()
        base = problem.objective.slope[0].expand(starts, -1)
        slope_v, slope_y = self.slope(base, pushed)
        within = inside(problem, at.v)
        right_y = -slope_y + at.mu[:, None] / self.room[0] - at.mu[:, None] / self.room[1]
        core = self.machine_curve + torch.diag_embed(at.below / self.room[0] + at.above / self.room[1])
        own = len(problem.limits.offset)
        limited = self.machine_slope[:, 1:]
        core = core + (limited.mT * stiff[-1][:, None, own:]) @ limited
        blocks, couplings, rights = [], [], []
        for g, jacobian in enumerate(self.jacobian):
            n = jacobian.shape[-1] - p
            whole = self.curve[g] + jacobian.mT @ (stiff[g][..., None] * jacobian)
            barrier = torch.nn.functional.pad(at.pull[g] / within[g], (0, 1))
            null = self.null[g]
            fixed = (null.diagonal(dim1=-2, dim2=-1) == 0).to(null.dtype)
            matrix = null.mT @ (whole[..., :n, :n] + torch.diag_embed(barrier)) @ null + torch.diag_embed(fixed)
            right = -slope_v[g] + torch.nn.functional.pad(wide(at.mu, within[g]) / within[g], (0, 1))
            blocks.append(matrix)
            couplings.append(null.mT @ whole[..., :n, n:])
            rights.append(null.mT @ torch.cat([right[..., None], self.totals_v[g]], -1))
            core = core + whole[..., n:, n:].sum(1)
        core = torch.where(self.moving[:, :, None] & self.moving[:, None, :], core, 0.0)
        core = core + torch.diag_embed((~self.moving).to(core.dtype))
        couplings = [torch.where(self.moving[:, None, None, :], one, 0.0) for one in couplings]
        right_y = torch.where(self.moving[..., None], torch.cat([right_y[..., None], self.totals_y], -1), 0.0)
        steps, step_y = solve_arrow(blocks, couplings, core, rights, right_y, at.shift)
        # Woodbury: the totals' own curvature
        limit = problem.limits.slope
        inner = (limit.mT * stiff[-1][:, None, :own]) @ limit - torch.diag_embed(
            self.weight * torch.tensor([1.0, 1.0, 0.0], dtype=at.y.dtype, device=at.y.device)
        )
        spread = right_y[..., 1:].mT @ step_y
        for right, step in zip(rights, steps, strict=True):
            spread = spread + (right[..., 1:].mT @ step).sum(1)
        small = woodbury(inner, spread[..., 1:], spread[..., :1])
        step_y = step_y[..., 0] - (step_y[..., 1:] @ small)[..., 0]
        moved = [
            (null @ (step[..., :1] - step[..., 1:] @ small[:, None]))[..., 0]
            for null, step in zip(self.null, steps, strict=True)
        ]
        return moved, step_y


def _advance(problem: RelaxedProblem, at: Iterate, newton: _Newton) -> None:
    """One Newton step of every start, in place."""
    p = at.y.shape[-1]
    step_v, step_y = newton.direction()
    gaps = newton.gaps()
    within = inside(problem, at.v)
    open_ = [c.open.flatten(-2) for c in problem.classes]
    step_x = [torch.where(o, one[..., :-1], 0.0) for o, one in zip(open_, step_v, strict=True)]
    # changes of the inequalities, then of slacks and multipliers
    changes = []
    totals = (newton.totals_y.mT @ step_y[..., None])[..., 0]
    for g, jacobian in enumerate(newton.jacobian):
        joint = torch.cat([step_v[g], step_y[:, None].expand(-1, step_v[g].shape[1], p)], -1)
        changes.append((jacobian @ joint[..., None])[..., 0])
        totals = totals + (newton.totals_v[g].mT @ step_v[g][..., None])[..., 0].sum(1)
    alone = (newton.machine_slope[:, 1:] * step_y[:, None]).sum(-1)
    changes.append(torch.cat([totals @ problem.limits.slope.mT, alone], -1))
    bounds, pulls, step_b = [*within, *newton.room], [*at.pull, at.below, at.above], [*step_x, step_y, -step_y]
    step_pull = [wide(at.mu, a) / a - d - d / a * move for a, d, move in zip(bounds, pulls, step_b, strict=True)]
    pushed, stiff = newton.multipliers()
    step_d = [a + b * change - d for a, b, change, d in zip(pushed, stiff, changes, at.duals, strict=True)]
    step_s = [wide(at.mu, s) / d - s - s / d * m for s, d, m in zip(at.slacks, at.duals, step_d, strict=True)]
    left = newton.left
    step_t = [wide(at.mu, t) / w - t + t / w * m for t, w, m in zip(at.excesses, left, step_d, strict=True)]
    primal, step_p = [*at.slacks, *at.excesses, *bounds], [*step_s, *step_t, *step_b]
    reach = _reach(primal, step_p)
    reach_d = _reach([*at.duals, *left, *pulls], [*step_d, *(-m for m in step_d), *step_pull])
    # merit: objective, barrier, and the l1 norm of what the inequalities lack
    lack = _sum([gap.abs() for gap in gaps])
    tilt = (
        totals @ problem.objective.slope[0]
        + _cost(problem, step_t)
        - at.mu * _sum([m / a for m, a in zip(step_p, primal, strict=True)])
    )
    needed = tilt / (0.7 * lack.clamp(min=1e-12))
    at.penalty = torch.where((lack > 1e-10) & (needed > at.penalty), needed * 1.5, at.penalty)
    decrease = tilt - at.penalty * lack
    before = _merit(problem, newton.now.totals, primal, gaps, at)
    length, chosen = reach, torch.zeros_like(reach)
    searching = torch.ones_like(reach, dtype=torch.bool)
    for _ in range(12):
        trial = _moved(at, length, step_y, step_v, step_s, step_t)
        now = values(problem, trial.y, trial.v)
        inner = [*trial.slacks, *trial.excesses, *inside(problem, trial.v), *rooms(problem, trial.y)]
        gaps = gaps_of(problem, now, trial)
        merit = _merit(problem, now.totals, inner, gaps, trial)
        good = searching & (merit <= before + 1e-4 * length * decrease.clamp(max=0) + 1e-9 * before.abs().clamp(min=1))
        chosen = torch.where(good, length, chosen)
        searching = searching & ~good
        if not bool(searching.any()):
            break
        length = torch.where(searching, length * 0.5, length)
    chosen = torch.where(searching, length, chosen)
    best = _moved(at, chosen, step_y, step_v, step_s, step_t)
    at.y, at.v, at.excesses = best.y, best.v, best.excesses
    lacking = gaps_of(problem, values(problem, at.y, at.v), best)
    at.slacks = [s - gap.clamp(max=0) for s, gap in zip(best.slacks, lacking, strict=True)]  # no slack idles
    at.duals = [
        torch.minimum(_near(d + wide(reach_d, d) * m, at.mu, s), weight * (1 - 1e-9))
        for d, m, s, weight in zip(at.duals, step_d, at.slacks, problem.excess_weights(), strict=True)
    ]
    bounds = [*inside(problem, at.v), *rooms(problem, at.y)]
    pulls = [_near(d + wide(reach_d, d) * m, at.mu, a) for d, m, a in zip(pulls, step_pull, bounds, strict=True)]
    at.pull, (at.below, at.above) = pulls[:-2], pulls[-2:]
    at.shift = torch.where(chosen < 0.05 * reach, (at.shift * 10).clamp(min=1e-4, max=1e2), at.shift / 10)
    at.shift = torch.where(at.shift < 1e-7, 0.0, at.shift)
    at.steps = at.steps + 1


def _moved(
    at: Iterate,
    length: torch.Tensor,
    step_y: torch.Tensor,
    step_v: Sequence[torch.Tensor],
    step_s: Sequence[torch.Tensor],
    step_t: Sequence[torch.Tensor],
) -> Iterate:
    return replace(
        at,
        y=at.y + length[:, None] * step_y,
        v=[one + wide(length, one) * step for one, step in zip(at.v, step_v, strict=True)],
        slacks=[one + wide(length, one) * step for one, step in zip(at.slacks, step_s, strict=True)],
        excesses=[one + wide(length, one) * step for one, step in zip(at.excesses, step_t, strict=True)],
    )


def _cost(problem: RelaxedProblem, excesses: Sequence[torch.Tensor]) -> torch.Tensor:
    return _sum([weight * t for weight, t in zip(problem.excess_weights(), excesses, strict=True)])


def _near(multiplier: torch.Tensor, mu: torch.Tensor, slack: torch.Tensor) -> torch.Tensor:
    """Multipliers kept within a factor of mu / slack: far from it they mislead the next step."""
    centre = wide(mu, slack) / slack
    return torch.minimum(torch.maximum(multiplier, centre * 1e-8), centre * 1e8)


def _merit(
    problem: RelaxedProblem,
    totals: torch.Tensor,
    primal: Sequence[torch.Tensor],
    gaps: Sequence[torch.Tensor],
    at: Iterate,
) -> torch.Tensor:
    barrier = _sum([a.clamp(min=1e-300).log() for a in primal])
    value = problem.objective(totals)[:, 0] + _cost(problem, at.excesses)
    return value - at.mu * barrier + at.penalty * _sum([gap.abs() for gap in gaps])


def _null_space(problem: RelaxedProblem, g: int, v: torch.Tensor) -> torch.Tensor:
    """Directions that keep the sums of logs, `[starts, layers, n + 1, n + 1]`; a column of zeros where there is none.

    In each dimension the largest factor gives way to all the others; tau moves freely.
    """
    layers, open_ = problem.layers[g], problem.classes[g].open
    x = layers.factors(v)
    gives = torch.nn.functional.one_hot(torch.where(open_, x, -1.0).argmax(-2), layers.slots).mT.bool() & open_
    live = torch.arange(len(layers.live), device=v.device).repeat(layers.slots)
    same = (live[:, None] == live[None, :]).to(v.dtype)
    free = torch.nn.functional.pad((open_ & ~gives).flatten(-2).to(v.dtype), (0, 1), value=1.0)
    table = torch.diag_embed(free)
    n = x.shape[-1] * layers.slots
    table[..., :n, :n] -= gives.flatten(-2).to(v.dtype)[..., :, None] * same * free[..., None, :n]
    return table


def _reach(values: Sequence[torch.Tensor], steps: Sequence[torch.Tensor]) -> torch.Tensor:
    """`[starts]` the longest step, at most 1, that keeps all values positive."""
    shares = [torch.where(step < 0, step / a, 0.0).flatten(1) for a, step in zip(values, steps, strict=True)]
    least = torch.cat(shares, 1).amin(1)
    return (-BOUNDARY / least.clamp(max=-1e-12)).clamp(max=1.0)


def _sum(parts: Sequence[torch.Tensor]) -> torch.Tensor:
    return torch.stack([part.flatten(1).sum(1) for part in parts]).sum(0)
