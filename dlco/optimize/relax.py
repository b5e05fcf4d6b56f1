"""The relaxed problem: real factors and real hardware sizes, solved jointly for all layers by nonlinear programming.

Variables are logs. The factors of a dimension share its bound, `log n = softmax(z) log bound` over the slots, so
they always multiply to it and never fall below 1; each hardware size moves between its ends. What remains are
inequalities (tiles within capacities, fan-outs within the array, the budget), which an augmented Lagrangian holds
(Nocedal and Wright, chapter 17): minimise by L-BFGS, update the multipliers, tighten, until the largest violation
and the gradient of the Lagrangian are both small. The loop-order class of every layer and level is fixed within a
solve, so that nothing jumps where a factor leaves 1; between rounds each layer may change to a better class.
Several starts, with different classes, run as one batch.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from dlco.cost.accesses import count_accesses
from dlco.cost.arithmetic import Smooth
from dlco.cost.model import build_nest, occupancies
from dlco.cost.performance import performance
from dlco.cost.rules import DEFAULT_RULES
from dlco.hardware.architecture import Architecture, Machine
from dlco.hardware.space import HardwareSpace
from dlco.mapping.mapspace import AXES
from dlco.optimize.group import Group
from dlco.optimize.lbfgs import minimize
from dlco.optimize.score import Score

SMOOTH_MAX = Smooth(sharpness=32.0)


@dataclass(frozen=True)
class Relaxed:
    """Solutions of the relaxed problem, one a start.

    Attributes:
        sizes: `[starts, parameters]` real hardware sizes (no columns where the hardware is fixed).
        logs: for each group `[starts, layers, slots, dims]` logs of the factors.
        position: for each group `[starts, layers, levels, dims]`, the loop orders.
        value: `[starts]` log of the objective.
        violation: `[starts]` largest log by which a limit is exceeded.
        stationarity: `[starts]` largest entry of the Lagrangian's gradient.
        rate: `[starts]` pJ a cycle.
        rounds: multiplier updates made.
    """

    sizes: torch.Tensor
    logs: list[torch.Tensor]
    position: list[torch.Tensor]
    value: torch.Tensor
    violation: torch.Tensor
    stationarity: torch.Tensor
    rate: torch.Tensor
    rounds: int


def relax(
    groups: Sequence[Group],
    hardware: Architecture | HardwareSpace,
    score: Score,
    counts: Sequence[torch.Tensor],
    *,
    starts: int,
    generator: torch.Generator,
    rounds: int = 10,
    iterations: int = 25,
    feasibility: float = 1e-3,
    stationarity: float = 1e-2,
) -> Relaxed:
    """Solve the relaxed problem from several starts at once.

    Args:
        groups: the layers.
        hardware: fixed, or a space whose sizes join the problem.
        score: objective and limits.
        counts: `[layers]` executions, for each group.
        starts: how many solves side by side.
        generator: draws their start and their loop-order classes.
        rounds: multiplier updates at most.
        iterations: L-BFGS steps between two of them at most.
        feasibility: it ends once no start exceeds a limit by more than this, in logs,
        stationarity: and no gradient of the Lagrangian has an entry above this.
    """
    program = _Program(groups, hardware, score, counts, starts, generator)
    point = program.start(generator)
    multipliers = torch.zeros_like(program.constraints(point))
    weight = torch.full((starts,), 4.0, dtype=point.dtype)
    last = torch.full((starts,), torch.inf, dtype=point.dtype)
    slope = last
    done = 0
    for done in range(1, rounds + 1):

        def lagrangian(
            x: torch.Tensor, multipliers: torch.Tensor = multipliers, weight: torch.Tensor = weight
        ) -> torch.Tensor:
            value, limits = program(x)
            raised = (multipliers + weight[:, None] * limits).clamp(min=0)
            return value + ((raised**2 - multipliers**2) / (2 * weight[:, None])).sum(-1)

        point, slope = minimize(lagrangian, point, iterations=iterations, tolerance=stationarity / 3)
        limits = program.constraints(point)
        violation = limits.clamp(min=0).amax(-1)
        if bool(((violation <= feasibility) & (slope <= stationarity)).all()):
            break
        multipliers = (multipliers + weight[:, None] * limits).clamp(min=0)
        weight = torch.where(violation > 0.5 * last, weight * 3, weight).clamp(max=1e4)
        last = violation
        if done in (2, 4):
            program.improve_classes(point)
    with torch.no_grad():
        value, limits = program(point)
    return Relaxed(
        sizes=program.sizes(point).detach(),
        logs=[table.detach() for table in program.logs(point)],
        position=program.position,
        value=value,
        violation=limits.clamp(min=0).amax(-1),
        stationarity=slope,
        rate=program.rate(point),
        rounds=done,
    )


class _Program:
    """The relaxed problem as a function of one vector a start."""

    def __init__(
        self,
        groups: Sequence[Group],
        hardware: Architecture | HardwareSpace,
        score: Score,
        counts: Sequence[torch.Tensor],
        starts: int,
        generator: torch.Generator,
    ) -> None:
        self.groups, self.hardware, self.score, self.counts, self.starts = groups, hardware, score, counts, starts
        self.parameters = len(hardware.parameters) if isinstance(hardware, HardwareSpace) else 0
        self.classes = [_order_classes(group) for group in groups]
        self.position = [
            table[torch.randint(len(table), (starts, len(g.layers), g.levels), generator=generator)]
            for g, table in zip(groups, self.classes, strict=True)
        ]
        self.free = [_free_slots(group, starts, generator) for group in groups]
        self.shapes = [g.shape.select(torch.arange(len(g.layers))[None]) for g in groups]

    def start(self, generator: torch.Generator) -> torch.Tensor:
        """A random point, `[starts, n]`; sizes start around the middle of their ranges."""
        n = sum(free[0].numel() for free in self.free)
        spread = torch.rand(self.starts, self.parameters, generator=generator, dtype=torch.float64) * 3 - 1.5
        return torch.cat([spread, torch.randn(self.starts, n, generator=generator, dtype=torch.float64)], dim=-1)

    def sizes(self, point: torch.Tensor) -> torch.Tensor:
        """Hardware sizes, `[starts, parameters]`, between the ends of their grids."""
        if not isinstance(self.hardware, HardwareSpace):
            return point[:, :0]
        low, high = self.hardware.low.log(), self.hardware.high.log()
        return (low + (high - low) * torch.sigmoid(point[:, : self.parameters])).exp()

    def logs(self, point: torch.Tensor) -> list[torch.Tensor]:
        """Logs of the factors of each group, `[starts, layers, slots, dims]`."""
        tables = []
        used = self.parameters
        for group, free in zip(self.groups, self.free, strict=True):
            z = point[:, used : used + free[0].numel()].view(free.shape)
            used += free[0].numel()
            share = torch.softmax(z.masked_fill(~free, -torch.inf), dim=2)
            tables.append(share * group.bounds.log()[None, :, None, :])
        return tables

    def machine(self, point: torch.Tensor) -> tuple[Machine, torch.Tensor]:
        """(machines of batch shape `[starts, 1]`, area `[starts]`)."""
        if isinstance(self.hardware, HardwareSpace):
            machine = self.hardware.machine(self.sizes(point))
            return machine.select(torch.arange(self.starts)[:, None]), machine.area_mm2
        machine = self.hardware.tensors()
        return machine, machine.area_mm2.expand(self.starts)

    def __call__(self, point: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(log objective `[starts]`, constraints `[starts, m]`, each at most 0)."""
        energy, cycles, area, limits = self._totals(point)
        value = self.score.value(energy, cycles, area)
        limits += [excess[:, None] for excess in self.score.excess(energy, cycles, area)]
        return value, torch.cat(limits, dim=-1) if limits else torch.zeros(self.starts, 1, dtype=point.dtype)

    def rate(self, point: torch.Tensor) -> torch.Tensor:
        """Energy a cycle, pJ, `[starts]`."""
        with torch.no_grad():
            energy, cycles, _, _ = self._totals(point)
            return energy / cycles

    def _totals(self, point: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, list[torch.Tensor]]:
        """(energy pJ `[starts]`, cycles, area mm2, log occupancies `[starts, layers]` each)."""
        machine, area = self.machine(point)
        energy = cycles = torch.zeros(self.starts, dtype=point.dtype)
        limits: list[torch.Tensor] = []
        for g, logs in enumerate(self.logs(point)):
            cost = self._group(g, machine, logs, self.position[g])
            energy = energy + (cost[0] * self.counts[g]).sum(-1)
            cycles = cycles + (cost[1] * self.counts[g]).sum(-1)
            limits += [share.expand(self.starts, len(self.counts[g])) for share in cost[2]]
        return energy, cycles, area, limits

    def constraints(self, point: torch.Tensor) -> torch.Tensor:
        """The constraints alone, without gradient."""
        with torch.no_grad():
            return self(point)[1]

    def improve_classes(self, point: torch.Tensor) -> None:
        """Give every layer of every start the loop-order class that is best at the present factors.

        Best by the objective, of the layer alone; levels in turn, all classes of a level side by side.
        """
        with torch.no_grad():
            machine, area = self.machine(point)
            for g, logs in enumerate(self.logs(point)):
                for level in range(1, self.groups[g].levels):
                    tried = []
                    for one in self.classes[g]:
                        position = self.position[g].clone()
                        position[:, :, level] = one
                        energy, cycles, _ = self._group(g, machine, logs, position)
                        tried.append(self.score.value(energy, cycles, area[:, None]))
                    best = torch.stack(tried).argmin(0)
                    self.position[g] = self.position[g].clone()
                    self.position[g][:, :, level] = self.classes[g][best]

    def _group(
        self, g: int, machine: Machine, logs: torch.Tensor, position: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, list[torch.Tensor]]:
        """(energy `[starts, layers]`, cycles, log occupancies) of one group."""
        group = self.groups[g]
        table = torch.zeros(*logs.shape[:2], group.levels * len(AXES), group.dims, dtype=logs.dtype)
        factors = table.index_copy(2, group.slot_cell, logs).exp()
        nest = build_nest(
            self.shapes[g], factors.view(*logs.shape[:2], group.levels, len(AXES), group.dims), position, group.axes
        )
        accesses = count_accesses(nest, group.kept, DEFAULT_RULES, SMOOTH_MAX)
        spent = performance(nest, machine, accesses, SMOOTH_MAX)
        shares = [share.log() for share in occupancies(nest, machine, group.kept)]
        return spent.energy_pj, spent.cycles, shares


def _order_classes(group: Group) -> torch.Tensor:
    """`[classes, dims]` positions: for each dataspace an order that keeps it in place for as long as possible.

    The loops that a dataspace lacks come innermost; among the rest, those of sliding windows come first, so that
    windows slide.
    """
    orders = []
    for space in group.shape.spaces:
        sliding = [d for other in group.shape.spaces for _, d, _ in other.sliding]
        key = [(d in space.relevant) * 4 - (d in sliding) * 1.0 + d * 1e-3 for d in range(group.dims)]
        orders.append(torch.tensor(key).argsort().argsort())
        # the same stationarity with windows outermost
        key = [(d in space.relevant) * 4 + (d in sliding) * 1.0 + d * 1e-3 for d in range(group.dims)]
        orders.append(torch.tensor(key).argsort().argsort())
    return torch.unique(torch.stack(orders), dim=0).to(torch.int8)


def _free_slots(group: Group, starts: int, generator: torch.Generator) -> torch.Tensor:
    """BoolTensor `[starts, layers, slots, dims]`: each dimension may lie on one axis of a level, drawn at random."""
    layers = len(group.layers)
    free = torch.ones(starts, layers, len(group.slot_cell), group.dims, dtype=torch.bool)
    slots = list(group.space.slots)
    for level in range(group.levels):
        if (level, 1) in slots and (level, 2) in slots:
            on_x = torch.rand(starts, layers, group.dims, generator=generator) < 0.5
            free[:, :, slots.index((level, 1))] = on_x
            free[:, :, slots.index((level, 2))] = ~on_x
    return free
