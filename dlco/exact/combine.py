"""The best choice of one point (energy, cycles) a layer for a whole network, exactly.

Layers are added one at a time, keeping the sums that can still become the best: no other sum beats them in both, every
limit can still be met, and the bound is no worse than the best known choice. The bound: whatever the layers to come
choose, their sum lies in the convex hull of all their sums; every objective here is quasi-concave in (energy, cycles),
so its least over that hull lies at a corner; and a corner of a sum of hulls is the sum of corners met along one
direction, so the corners are had by sorting edges.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf

import torch

from dlco.bound.region import TotalLimits
from dlco.design.budget import Budget
from dlco.design.dominance import unbeaten
from dlco.design.objective import Objective
from dlco.errors import InvalidInput
from dlco.exact.layer_front import LayerFront, corners, least_of
from dlco.hardware.architecture import Architecture
from dlco.workload.layer import Layer
from dlco.workload.problem import Problem

SUMS = 4_000_000  # partial sums held at most
ROUNDING = 1e-12  # sums of layers are compared with this relative tolerance, in favour of keeping


@dataclass(frozen=True)
class Choice:
    """A network's totals and the point that each layer contributes, by index."""

    energy_pj: float
    cycles: float
    chosen: tuple[int, ...]

    def rank(self, objective: Objective) -> tuple[float, float, float]:
        """The objective, then energy, then cycles."""
        return least_of(objective, self.energy_pj, self.cycles), self.energy_pj, self.cycles

    def keeps(self, limits: TotalLimits) -> bool:
        """Whether the totals are within limits."""
        return (
            self.energy_pj <= limits.energy_pj * (1 + ROUNDING)
            and self.cycles <= limits.cycles * (1 + ROUNDING)
            and self.energy_pj <= limits.power * self.cycles * (1 + ROUNDING)
        )


def combine(
    energy_pj: Sequence[torch.Tensor],
    cycles: Sequence[torch.Tensor],
    counts: Sequence[int],
    objective: Objective,
    limits: TotalLimits | None = None,
) -> Choice | None:
    """The choice of one point a layer with the least objective of the sums, within the limits.

    Args:
        energy_pj: for each layer the points `[n]` of one execution, float64 on the CPU. Where power counts, as
            objective or limit, they must hold the cheapest of every number of cycles, else an unbeaten set is enough.
        cycles: the same, cycles.
        counts: executions of each layer.
        objective: what to minimise; `AREA`, which is given, means EDP.
        limits: what the sums must not exceed.

    Returns:
        The best choice (of equals, any), or None where no choice meets the limits.

    Raises:
        InvalidInput: more partial sums are in the running than memory should hold.
    """
    limits = limits or TotalLimits()
    powered = objective is Objective.POWER or limits.power < inf
    layers = [(e * n, t * n) for e, t, n in zip(energy_pj, cycles, counts, strict=True)]
    if any(not len(e) for e, _ in layers):
        return None
    rests = _hulls_of_rests(layers)
    best = _best_corner(layers, objective, limits)
    energy = time = torch.zeros(1, dtype=torch.float64)
    steps: list[tuple[torch.Tensor, torch.Tensor]] = []  # for each layer (partial sum, point) of the sums kept
    for (e, t), rest in zip(layers, rests[1:], strict=True):
        held, point = (
            axis.flatten() for axis in torch.meshgrid(*map(torch.arange, (len(energy), len(e))), indexing="ij")
        )
        energy, time = energy[held] + e[point], time[held] + t[point]
        known = inf if best is None else best.rank(objective)[0]
        running = still_open(energy, time, rest, objective, limits, known).nonzero().flatten()
        keep = running[unbeaten(energy[running], time[running], powered)]
        energy, time = energy[keep], time[keep]
        steps.append((held[keep], point[keep]))
        if len(energy) * max(len(x) for x, _ in layers) > SUMS:
            raise InvalidInput(
                f"the network has {len(energy):,} sums of layers in the running; limit the layers' fronts"
            )
    return _traced_back(energy, time, steps, objective, best)


def best_points(
    layers: Sequence[Layer],
    fronts: Mapping[Problem, LayerFront],
    architecture: Architecture,
    objective: Objective,
    budget: Budget,
) -> Choice | None:
    """The best choice of one point of its front for every layer of a network within a budget, None where none is.

    Args:
        layers: the network.
        fronts: by problem.
        architecture: whose cycle the budget's seconds are counted in.
        objective: as in `combine`.
        budget: limits on the network and on single layers.

    Returns:
        The choice; `chosen` are indices into the fronts.
    """
    allowed = [
        (fronts[one.problem].cycles * architecture.cycle_s <= budget.layer_limit(one.name)).nonzero().flatten()
        for one in layers
    ]
    best = combine(
        [fronts[one.problem].energy_pj[rows] for one, rows in zip(layers, allowed, strict=True)],
        [fronts[one.problem].cycles[rows] for one, rows in zip(layers, allowed, strict=True)],
        [one.count for one in layers],
        objective,
        TotalLimits.of(budget, architecture.cycle_s),
    )
    if best is None:
        return None
    chosen = tuple(int(rows[k]) for rows, k in zip(allowed, best.chosen, strict=True))
    return replace(best, chosen=chosen)


def _hulls_of_rests(layers: Sequence[tuple[torch.Tensor, torch.Tensor]]) -> list[torch.Tensor]:
    """`[corners, 2]` (energy, cycles) of the hull of the sums of the layers from each one on; of none: a zero."""
    starts = torch.zeros(1, 2, dtype=torch.float64)
    edges = torch.zeros(0, 2, dtype=torch.float64)
    hulls = [starts]
    for energy, time in reversed(layers):
        corner = corners(energy, time)
        chain = torch.stack([energy[corner], time[corner]], 1)
        starts = starts + chain[:1]
        edges = torch.cat([edges, chain.diff(dim=0)])
        steepest = (edges[:, 0] / edges[:, 1]).argsort()
        hulls.append(torch.cat([starts, starts + edges[steepest].cumsum(0)]))
    return hulls[::-1]


def still_open(
    energy: torch.Tensor, time: torch.Tensor, rest: torch.Tensor, objective: Objective, limits: TotalLimits, best: float
) -> torch.Tensor:
    """Whether a partial sum may still become the best choice, BoolTensor `[n]`."""
    slack = 1 + ROUNDING
    good = (energy + rest[:, 0].min() <= limits.energy_pj * slack) & (time + rest[:, 1].min() <= limits.cycles * slack)
    if limits.power < inf:
        least = (rest[:, 0] - limits.power * rest[:, 1]).min()
        good &= energy + least <= limits.power * time + ROUNDING * energy
    bound = torch.full_like(energy, inf)
    for e, t in rest.tolist():
        bound = torch.minimum(bound, least_of(objective, energy + e, time + t))
    return good & (bound <= best * slack)


def _best_corner(
    layers: Sequence[tuple[torch.Tensor, torch.Tensor]], objective: Objective, limits: TotalLimits
) -> Choice | None:
    """The best choice within the limits among the corners of the hull of all sums."""
    chains = [corners(*layer) for layer in layers]
    place = [0] * len(layers)
    steps = []
    for i, (chain, (energy, time)) in enumerate(zip(chains, layers, strict=True)):
        slopes = (energy[chain].diff() / time[chain].diff()).tolist()
        steps += [(slope, i) for slope in slopes]
    found: Choice | None = None
    for _, moved in [(-inf, -1), *sorted(steps)]:
        if moved >= 0:
            place[moved] += 1
        chosen = tuple(int(chain[k]) for chain, k in zip(chains, place, strict=True))
        corner = Choice(
            sum(float(e[k]) for (e, _), k in zip(layers, chosen, strict=True)),
            sum(float(t[k]) for (_, t), k in zip(layers, chosen, strict=True)),
            chosen,
        )
        if corner.keeps(limits) and (found is None or corner.rank(objective) < found.rank(objective)):
            found = corner
    return found


def _traced_back(
    energy: torch.Tensor,
    time: torch.Tensor,
    steps: Sequence[tuple[torch.Tensor, torch.Tensor]],
    objective: Objective,
    best: Choice | None,
) -> Choice | None:
    """The best of the full sums, with its points; the known best where none is left."""
    if not len(energy):
        return best
    last = min(range(len(energy)), key=lambda i: Choice(float(energy[i]), float(time[i]), ()).rank(objective))
    chosen = []
    at = last
    for held, point in reversed(steps):
        chosen.append(int(point[at]))
        at = int(held[at])
    found = Choice(float(energy[last]), float(time[last]), tuple(reversed(chosen)))
    return found if best is None or found.rank(objective) <= best.rank(objective) else best
