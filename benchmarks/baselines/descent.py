"""Gradient descent from one start with three loop orders, and hardware that follows from the mappings.

As DOSA (Hong et al., MICRO 2023): Adam on the logs of the factors; the outermost temporal loops take the rest of each
dimension, a factor below 1 is penalised; array and capacities are the least that holds all layers' tiles; every so
many steps factors are rounded to the nearest divisors, spatial before temporal, innermost first, and each layer takes
the order that keeps weights, inputs or outputs in place. A start is the best of random mappings on a random machine;
when its steps are done, the next start follows. Given beyond that: bandwidths, which no mapping implies, are
variables; limits and grids are penalties; a loop counts from 1.5 on, not as soon as it leaves 1; orders are chosen
level by level instead of for DRAM alone; and a rounding is also tried on a machine reduced to the area limit, with
what does not fit there moved outwards.
"""

from math import log

import torch

from baselines.evaluator import Evaluator
from baselines.mappings import move_out, random_mappings
from baselines.problem import Task
from baselines.smooth import Totals, judge, loss, nests, totals
from dlco.cost.nest import Nest, product
from dlco.hardware.architecture import Machine
from dlco.mapping.factors import divisors, prime_factors
from dlco.mapping.mapping import TEMPORAL
from dlco.search.group import Group

FANOUTS = ("fanout_x", "fanout_y")  # in the order of a nest's axes
STEPS = 100  # of one start
EVERY = 25  # steps between roundings
RATE = 0.05  # of Adam, on logs
FIRST = 128  # random mappings of every layer that a start chooses from
ALONE = 16  # of these, where evaluations are made one after the other
WEIGHT = 1.0  # of the penalties


def search(task: Task, evaluator: Evaluator, seed: int) -> None:
    """One start after the other until the budget is used up."""
    generator = torch.Generator().manual_seed(seed)
    while True:
        _Start(task, evaluator, generator).descend()


class _Start:
    """One start: its variables are the logs of all factors but the outermost, and of the sizes no mapping implies."""

    def __init__(self, task: Task, evaluator: Evaluator, generator: torch.Generator) -> None:
        self.task, self.evaluator, self.generator = task, evaluator, generator
        index = task.draw_machines(1, generator)
        mapped = []
        for g in range(len(task.groups)):
            assignment, position = random_mappings(task, g, index, ALONE if evaluator.alone else FIRST, generator)
            mapped.append(evaluator.assess(g, index, assignment, position))
        designs = evaluator.settle(index, mapped)
        start = [part.assignment for part in designs.chosen]
        designs, self.position = judge(task, evaluator, index, start, designs.rate)
        self.rate = designs.rate
        self.logs = [
            _factor_logs(g, part.assignment[0, :, 0]) for g, part in zip(task.groups, designs.chosen, strict=True)
        ]
        self.implied: list[tuple[int, str, int]] = []  # parameter, field, level
        self.free: list[int] = []
        for i, parameter in enumerate(task.hardware.parameters):
            if parameter.field == "bandwidth":
                self.free.append(i)
            else:
                self.implied.append((i, parameter.field, task.base.index(parameter.level)))
        self.free_logs = task.hardware.index_to_sizes(index)[0, self.free].log()

    def descend(self) -> None:
        """All steps, with a rounding every so many."""
        variables = [table.requires_grad_() for table in (*self.logs, self.free_logs)]
        adam = torch.optim.Adam(variables, lr=RATE)
        for step in range(1, STEPS + 1):
            full, below = self._whole(self.logs)
            built = nests(self.task, full, self.position)
            machine, beyond = self._machine(built)
            sums = totals(self.task, self.evaluator, built, machine.select(torch.zeros(1, 1, dtype=torch.long)))
            penalised = Totals(sums.energy_pj, sums.cycles, torch.cat([sums.excess, below, beyond], 1))
            adam.zero_grad()
            loss(self.task, penalised, machine.area_mm2, WEIGHT).sum().backward()
            adam.step()
            if step % EVERY == 0:
                with torch.no_grad():
                    self._round()

    def _whole(self, logs: list[torch.Tensor]) -> tuple[list[torch.Tensor], torch.Tensor]:
        """(for each group `[1, layers, slots, dims]` logs, `[1, n]` by how much they are below 0)."""
        full, below = [], []
        for group, table in zip(self.task.groups, logs, strict=True):
            outer = _outer(group)
            inner = table.clamp(min=0.0).index_fill(1, torch.tensor(outer), 0.0)
            rest = group.bounds.log() - inner.sum(1)
            index = torch.tensor([outer])
            full.append(inner.index_copy(1, index, rest.clamp(min=0.0)[:, None])[None])
            below.append(-rest.flatten())
            below.append(-table.flatten())
        return full, torch.cat(below)[None]

    def _machine(self, built: list[Nest]) -> tuple[Machine, torch.Tensor]:
        """(machine of batch shape `[1]` that the mappings imply, `[1, n]` logs by which sizes leave their grids)."""
        if self.task.hardware.is_fixed:
            return self.task.machines(torch.zeros(1, 0, dtype=torch.long)), torch.zeros(1, 0)
        parameters = self.task.hardware.parameters
        sizes = [torch.zeros(())] * len(parameters)
        for i, name, level in self.implied:
            sizes[i] = self._needed(built, name, level).log()
        for i, value in zip(self.free, self.free_logs, strict=True):
            sizes[i] = value
        low, high = self.task.hardware.low.log(), self.task.hardware.high.log()
        wanted = torch.stack(sizes)
        inside = torch.minimum(torch.maximum(wanted, low), high)
        return self.task.hardware.machine(inside.exp()[None]), (wanted - high)[None]

    def _needed(self, built: list[Nest], name: str, level: int) -> torch.Tensor:
        """The least size that holds every layer."""
        needs = []
        for group, nest in zip(self.task.groups, built, strict=True):
            if name in FANOUTS:
                used = product(nest.spatial[level][FANOUTS.index(name)])
            else:
                words = sum(nest.words[level][s] for s, keep in enumerate(group.kept[level]) if keep)
                used = words * self.task.base.levels[level].multiple_buffering
            needs.append(torch.as_tensor(used, dtype=torch.float64).max())
        return torch.stack(needs).max()

    def _round(self) -> None:
        """Round all factors, judge them exactly, and go on from there."""
        assignment = [_rounded(group, table) for group, table in zip(self.task.groups, self.logs, strict=True)]
        index = self._machines(assignment)
        fitting = [
            move_out(self.task, g, index, table[None, :, None].expand(len(index), -1, -1, -1), self.generator)
            for g, table in enumerate(assignment)
        ]
        designs, position = judge(self.task, self.evaluator, index, fitting, self.rate.expand(len(index)))
        best = designs.score.argmin()[None]
        self.rate, self.position = designs.rate[best], [table[best] for table in position]
        for group, table, part in zip(self.task.groups, self.logs, designs.chosen, strict=True):
            table.copy_(_factor_logs(group, part.assignment[best][0, :, 0]))

    def _machines(self, assignment: list[torch.Tensor]) -> torch.Tensor:
        """Grid positions `[2, parameters]`: the least machine that holds rounded mappings, and that within the area."""
        hardware = self.task.hardware
        if hardware.is_fixed:
            return torch.zeros(1, 0, dtype=torch.long)
        logs = [_factor_logs(g, table)[None] for g, table in zip(self.task.groups, assignment, strict=True)]
        built = nests(self.task, logs, self.position)
        sizes = hardware.low.clone()
        sizes[self.free] = self.free_logs.exp()
        index = hardware.nearest(torch.minimum(torch.maximum(sizes, hardware.low), hardware.high))
        for i, name, level in self.implied:
            needed = float(self._needed(built, name, level)) * (1 - 1e-9)
            grid = hardware.parameters[i].grid
            index[i] = min(sum(value < needed for value in grid), len(grid) - 1)
        return torch.stack([index, self.task.within_area(index)])


def _outer(group: Group) -> int:
    """The slot that takes what the others leave: the outermost temporal loops."""
    return group.space.slots.index((group.levels - 1, TEMPORAL))


def _factor_logs(group: Group, assignment: torch.Tensor) -> torch.Tensor:
    """`[layers, slots, dims]` of mappings `[layers, units]`."""
    factors = group.factors(torch.arange(len(assignment)), assignment[:, None])[:, 0]
    return factors.flatten(1, 2)[:, group.slot_cell].log()


def _rounded(group: Group, logs: torch.Tensor) -> torch.Tensor:
    """Assignments `[layers, units]`: in every slot the divisor nearest to its factor of what the slots before left."""
    outer = _outer(group)
    order = sorted(
        range(len(group.slot_cell)), key=lambda s: (group.space.slots[s][1] == TEMPORAL, group.space.slots[s])
    )
    assignment = torch.full_like(group.primes, outer)
    for layer in range(len(logs)):
        for dim in range(group.dims):
            units = [u for u in range(int(group.units[layer])) if int(group.unit_dim[layer, u]) == dim]
            for slot in (s for s in order if s != outer):
                left = 1
                for u in units:
                    left *= int(group.primes[layer, u])
                wanted = float(logs[layer, slot, dim])
                divisor = min(divisors(left), key=lambda d: abs(log(d) - wanted))
                for prime in prime_factors(divisor):
                    unit = next(u for u in units if int(group.primes[layer, u]) == prime)
                    units.remove(unit)
                    assignment[layer, unit] = slot
    return assignment
