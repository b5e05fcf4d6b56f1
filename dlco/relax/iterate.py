"""A batch of relaxed problems, and a point of each with its multipliers, for `dlco.relax.interior`."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from math import log
from typing import Any

import torch

from dlco.hardware.space import HardwareSpace
from dlco.relax.classes import Classes, draw_classes, draw_factors
from dlco.relax.program import Linear, RelaxedLayers, machine_rows
from dlco.search.group import Group
from dlco.search.score import Score

SOFT, HARD = 1e2, 1e4  # weights of exceeding an inequality by 1 in its log, in logs of the objective


@dataclass(frozen=True)
class RelaxedProblem:
    """The relaxed problems of several starts.

    Attributes:
        space: the machines.
        layers: for each group; `classes`: of each; `counts`: `[layers]` executions of each.
        low, high: `[parameters]` logs of the smallest and largest sizes.
        objective: a row of the totals; `limits`: rows, each at most 0.
        pe_limit: log of the MAC units allowed, or None.
        give: by how much the inequalities may be exceeded, in logs, so that they have an interior.
    """

    space: HardwareSpace
    layers: Sequence[RelaxedLayers]
    classes: Sequence[Classes]
    counts: Sequence[torch.Tensor]
    low: torch.Tensor
    high: torch.Tensor
    objective: Linear
    limits: Linear
    pe_limit: float | None
    give: float

    @staticmethod
    def of(
        groups: Sequence[Group],
        space: HardwareSpace,
        score: Score,
        counts: Sequence[torch.Tensor],
        starts: int,
        generator: torch.Generator,
        give: float,
    ) -> "RelaxedProblem":
        """The problems of random classes."""
        device = groups[0].primes.device
        return RelaxedProblem(
            space=space,
            layers=[RelaxedLayers(group, space, score) for group in groups],
            classes=[draw_classes(group, starts, generator) for group in groups],
            counts=list(counts),
            low=space.low.log().to(device),
            high=space.high.log().to(device),
            objective=Linear.of(lambda energy, cycles, area: [score.value(energy, cycles, area)], device),
            limits=Linear.of(score.excess, device),
            pe_limit=None if score.budget.pe_count is None else log(score.budget.pe_count),
            give=give,
        )

    def select(self, starts: torch.Tensor) -> "RelaxedProblem":
        """The problems of some starts."""
        return replace(self, classes=[one.select(starts) for one in self.classes])

    def excess_weights(self) -> list[torch.Tensor]:
        """Weight of exceeding each inequality of a layer, `[m]` for each group, and of the limits, `[1]`."""
        weights = [torch.full((layers.inequalities,), HARD, dtype=torch.float64) for layers in self.layers]
        for one in weights:
            one[-1] = SOFT  # the layer's latency
        return [one.to(self.low.device) for one in (*weights, torch.full((1,), SOFT, dtype=torch.float64))]

    def weights(self, duals: torch.Tensor) -> torch.Tensor:
        """What the totals weigh in the Lagrangian, `[starts, 3]`, at multipliers `[starts, limits]` of the limits."""
        return self.objective.slope[0] + duals[:, : len(self.limits.offset)] @ self.limits.slope


@dataclass
class Iterate:
    """A point of every start with its multipliers.

    Attributes:
        y: `[starts, parameters]`; `v`: for each group `[starts, layers, slots * live + 1]`, x and tau.
        slacks, excesses, duals: s, t and multipliers of the inequalities, for each group `[starts, layers, m]`, then
            of the limits `[starts, limits]`.
        pull: multipliers of x >= 0, for each group `[starts, layers, slots * live]`.
        below, above: multipliers of the ends of y, `[starts, parameters]`.
        mu: `[starts]` barrier; `penalty`: weight of the inequalities in the merit; `shift`: least regularisation.
        error: `[starts]` largest violation of the optimality conditions of the problem itself (mu = 0).
        steps: `[starts]` Newton steps made.
    """

    y: torch.Tensor
    v: list[torch.Tensor]
    slacks: list[torch.Tensor]
    excesses: list[torch.Tensor]
    duals: list[torch.Tensor]
    pull: list[torch.Tensor]
    below: torch.Tensor
    above: torch.Tensor
    mu: torch.Tensor
    penalty: torch.Tensor
    shift: torch.Tensor
    error: torch.Tensor
    steps: torch.Tensor

    def select(self, starts: torch.Tensor) -> "Iterate":
        """Those of some starts (their numbers, or a mask)."""
        chosen: dict[str, Any] = {}
        for f in fields(self):
            value = getattr(self, f.name)
            chosen[f.name] = [one[starts] for one in value] if isinstance(value, list) else value[starts]
        return Iterate(**chosen)

    def put(self, starts: torch.Tensor, other: "Iterate") -> None:
        """Write `other` over those starts."""
        for f in fields(self):
            mine, theirs = getattr(self, f.name), getattr(other, f.name)
            pairs = zip(mine, theirs, strict=True) if isinstance(mine, list) else [(mine, theirs)]
            for a, b in pairs:
                a[starts] = b


@dataclass(frozen=True)
class PointValues:
    """Functions at a point.

    Attributes:
        rows: for each group `[starts, layers, 1 + m]`, log energy first.
        totals: `[starts, 3]`.
        limits: `[starts, limits]`.
    """

    rows: list[torch.Tensor]
    totals: torch.Tensor
    limits: torch.Tensor

    @property
    def inequalities(self) -> list[torch.Tensor]:
        """Each at most 0: for each group `[starts, layers, m]`, then the limits."""
        return [*(rows[..., 1:] for rows in self.rows), self.limits]


def values(problem: RelaxedProblem, y: torch.Tensor, v: Sequence[torch.Tensor]) -> PointValues:
    """The functions of the problem at log sizes `[starts, parameters]` and layer variables."""
    with torch.no_grad():
        rows = [
            layers.rows(stacked(one, y), classes.position).detach().movedim(0, -1)
            for layers, classes, one in zip(problem.layers, problem.classes, v, strict=True)
        ]
        machine = machine_rows(problem.space, problem.pe_limit, y.mT)
        energy = torch.cat([r[..., 0] + n.log() for r, n in zip(rows, problem.counts, strict=True)], -1).logsumexp(-1)
        cycles = torch.cat([one[..., -1] + n.log() for one, n in zip(v, problem.counts, strict=True)], -1).logsumexp(-1)
        totals = torch.stack([energy, cycles, machine[0]], -1)
        limits = torch.cat([problem.limits(totals), machine[1:].mT], -1)
    return PointValues(rows, totals, limits)


def draw_point(problem: RelaxedProblem, starts: int, generator: torch.Generator, mu: float) -> Iterate:
    """An iterate at random factors, of sizes around the middle of their ranges."""
    pairs = zip(problem.layers, problem.classes, strict=True)
    x = [draw_factors(layers.group, classes, generator) for layers, classes in pairs]
    low, high = problem.low, problem.high
    spread = torch.rand(starts, len(low), generator=generator, dtype=torch.float64, device=generator.device)
    return begin(problem, low + (high - low) * (0.2 + 0.6 * spread.to(low.device)), x, mu)


def begin(problem: RelaxedProblem, y: torch.Tensor, x: Sequence[torch.Tensor], mu: float) -> Iterate:
    """An iterate at log sizes `[starts, parameters]` and logs of the factors `[starts, layers, slots, live]`."""
    v = []
    for layers, classes, one in zip(problem.layers, problem.classes, x, strict=True):
        with torch.no_grad():
            cycles = layers.costs(one, y, classes.position)[1]
        v.append(torch.cat([one.flatten(2), (cycles + 0.1)[..., None]], -1))
    like = y.new_full((len(y),), 1.0)
    empty = Iterate(y, v, [], [], [], [], y, y, like * mu, like, like * 0, like * torch.inf, (like * 0).long())
    return reset(problem, empty, mu)


def reset(problem: RelaxedProblem, at: Iterate, mu: float) -> Iterate:
    """The same point with slacks and multipliers of a barrier `mu`, such as after a change of class."""
    now = values(problem, at.y, at.v)
    slacks = [(problem.give - c).clamp(min=0.05) for c in now.inequalities]
    room = rooms(problem, at.y)
    return Iterate(
        y=at.y.clone(),
        v=[one.clone() for one in at.v],
        slacks=slacks,
        excesses=[(mu / one).expand_as(s).clone() for s, one in zip(slacks, problem.excess_weights(), strict=True)],
        duals=[mu / s for s in slacks],
        pull=[mu / p for p in inside(problem, at.v)],
        below=mu / room[0],
        above=mu / room[1],
        mu=torch.full_like(at.mu, mu),
        penalty=torch.ones_like(at.mu),
        shift=torch.zeros_like(at.mu),
        error=torch.full_like(at.mu, torch.inf),
        steps=at.steps.clone(),
    )


def inside(problem: RelaxedProblem, v: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """X of open slots, 1 of closed ones."""
    return [
        torch.where(classes.open.flatten(-2), one[..., :-1], 1.0)
        for classes, one in zip(problem.classes, v, strict=True)
    ]


def rooms(problem: RelaxedProblem, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Distances of y to its ends; 1 where it cannot move."""
    moving = problem.high > problem.low
    return torch.where(moving, y - problem.low, 1.0), torch.where(moving, problem.high - y, 1.0)


def gaps_of(problem: RelaxedProblem, now: PointValues, at: Iterate) -> list[torch.Tensor]:
    """`c - give + s - t` of all inequalities, in the shapes of `Iterate.slacks`."""
    return [c - problem.give + s - t for c, s, t in zip(now.inequalities, at.slacks, at.excesses, strict=True)]


def shares(problem: RelaxedProblem, now: PointValues, at: Iterate, g: int) -> tuple[torch.Tensor, torch.Tensor]:
    """What part of the network's energy and of its cycles each layer of a group has, `[starts, layers]` each."""
    counts = problem.counts[g].log()
    energy = (now.rows[g][..., 0] + counts - now.totals[:, :1]).exp()
    return energy, (at.v[g][..., -1] + counts - now.totals[:, 1:2]).exp()


def stacked(v: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """One point `[n + 1 + parameters, starts, layers]`."""
    wide = y[:, None].expand(-1, v.shape[1], -1)
    return torch.cat([v, wide], -1).movedim(-1, 0)


def wide(row: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """A row `[starts]` with as many dimensions as `like` `[starts, ...]`."""
    return row.view(-1, *([1] * (like.dim() - 1)))
