"""Gradient descent with Gumbel-softmax over the slots of prime units and the values of sizes.

As FADiff (2025) and the differentiable searches before it: every unit of every layer has a logit for each slot, every
size one for each value of its grid; the smooth cost model sees their softmax under Gumbel noise, Adam moves the
logits, the temperature falls. Limits and capacities are penalties whose weight grows. Given beyond that: several
starts run as one batch, and begin anew when they have cooled down; at every rounding several samples of each are
taken beside the likeliest mapping, a machine over the area limit is reduced to it, what does not fit is moved
outwards, loop orders are chosen layer by layer among
the stationary ones, and so is each layer's mapping.
"""

import torch

from baselines.evaluator import Evaluator
from baselines.mappings import move_out, stationary_orders
from baselines.problem import Task
from baselines.smooth import judge, loss, nests, totals
from dlco.hardware.architecture import Machine

STARTS = 4
STEPS = 300  # of one cooling
HOT, COLD = 0.7, 0.2  # temperatures
RATE = 0.3  # of Adam
EVERY = 20  # steps between roundings
SAMPLES = 16  # mappings of each layer at a rounding
ALONE = 1, 1  # starts and samples, where evaluations are made one after the other
LIGHT, HEAVY = 0.1, 2.0  # weights of the penalties


def search(task: Task, evaluator: Evaluator, seed: int) -> None:
    """One cooling after the other until the budget is used up."""
    generator = torch.Generator().manual_seed(seed)
    while True:
        _cool(task, evaluator, generator)


def _cool(task: Task, evaluator: Evaluator, generator: torch.Generator) -> None:
    starts, samples = ALONE if evaluator.alone else (STARTS, SAMPLES)
    slots = [
        torch.randn(starts, *g.primes.shape, len(g.slot_cell), generator=generator, dtype=torch.float64)
        for g in task.groups
    ]
    sizes = [torch.randn(starts, n, generator=generator, dtype=torch.float64) for n in task.lengths.tolist()]
    position = [_draw_orders(task, g, starts, generator) for g in range(len(task.groups))]
    rate = torch.full((starts,), 1e3, dtype=torch.float64)
    variables = [table.requires_grad_() for table in (*slots, *sizes)]
    adam = torch.optim.Adam(variables, lr=RATE)
    for step in range(STEPS):
        share = step / (STEPS - 1)
        temperature = HOT * (COLD / HOT) ** share
        soft = [_gumbel_softmax(table, temperature, generator) for table in slots]
        grid = [_gumbel_softmax(table, temperature, generator) for table in sizes]
        machine = _machines(task, grid, starts)
        area = machine.area_mm2
        sums = totals(
            task, evaluator, nests(task, _logs(task, soft), position), machine.select(torch.arange(starts)[:, None])
        )
        value = loss(task, sums, area, LIGHT * (HEAVY / LIGHT) ** share)
        adam.zero_grad()
        value.sum().backward()
        adam.step()
        if (step + 1) % EVERY == 0:
            with torch.no_grad():
                index = torch.stack([t.argmax(-1) for t in sizes], -1) if sizes else torch.zeros(starts, 0).long()
                index = torch.stack([task.within_area(row) for row in index])
                rounded = []
                for g, table in enumerate(slots):
                    hot = [_gumbel(table, generator).argmax(-1) for _ in range(samples - 1)]
                    hard = torch.stack([table.argmax(-1), *hot], 2)
                    rounded.append(move_out(task, g, index, hard, generator))
                designs, position = judge(task, evaluator, index, rounded, rate)
                rate = designs.rate


def _gumbel(logits: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    noise = torch.rand(logits.shape, generator=generator, dtype=logits.dtype).clamp(1e-12, 1 - 1e-12)
    return logits - (-noise.log()).log()


def _gumbel_softmax(logits: torch.Tensor, temperature: float, generator: torch.Generator) -> torch.Tensor:
    return torch.softmax(_gumbel(logits, generator) / temperature, -1)


def _logs(task: Task, soft: list[torch.Tensor]) -> list[torch.Tensor]:
    """Logs of the factors, `[starts, layers, slots, dims]`, of shares `[starts, layers, units, slots]`."""
    tables = []
    for group, share in zip(task.groups, soft, strict=True):
        where = torch.nn.functional.one_hot(group.unit_dim, group.dims) * group.primes.double().log()[..., None]
        tables.append(share.transpose(-1, -2) @ where)
    return tables


def _machines(task: Task, grid: list[torch.Tensor], starts: int) -> Machine:
    """Machines `[starts]` whose sizes are means, in logs, of their grids."""
    if task.hardware.is_fixed:
        return task.machines(torch.zeros(starts, 0, dtype=torch.long))
    values = [torch.tensor(p.grid, dtype=torch.float64).log() for p in task.hardware.parameters]
    return task.hardware.machine(torch.stack([share @ v for share, v in zip(grid, values, strict=True)], -1).exp())


def _draw_orders(task: Task, g: int, starts: int, generator: torch.Generator) -> torch.Tensor:
    group = task.groups[g]
    orders = stationary_orders(group)
    return orders[torch.randint(len(orders), (starts, len(group.layers), group.levels), generator=generator)]
