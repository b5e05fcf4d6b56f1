"""The network through the smooth cost model, for the baselines that descend its gradient."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from baselines.evaluator import Designs, Evaluator, Mapped
from baselines.mappings import stationary_orders
from baselines.problem import Task
from dlco.cost.accesses import count_accesses
from dlco.cost.arithmetic import EXACT, Arithmetic, Smooth
from dlco.cost.nest import Nest, build_nest
from dlco.cost.performance import performance
from dlco.cost.tabulate import occupancies
from dlco.hardware.architecture import Machine
from dlco.mapping.mapspace import AXES
from dlco.mapping.rules import DEFAULT_RULES


class Relaxed(Smooth):
    """The smooth model but for loops that would round to 1: these are not there, so what lies inside is reused.

    DOSA's model has the same jump, at 1 itself, where the first step of a descent crosses it.
    """

    def exists(self, bound: torch.Tensor) -> torch.Tensor:
        """Whether a loop rounds to more than 1."""
        return bound > 1.5


RELAXED = Relaxed(sharpness=32.0)


@dataclass(frozen=True)
class Totals:
    """What relaxed mappings of all layers come to, for each of several starts.

    Attributes:
        energy_pj, cycles: `[starts]` of the network.
        excess: `[starts, n]` logs of what tiles and fan-outs use over what there is.
    """

    energy_pj: torch.Tensor
    cycles: torch.Tensor
    excess: torch.Tensor


def nests(task: Task, logs: Sequence[torch.Tensor], position: Sequence[torch.Tensor]) -> list[Nest]:
    """The loop nests of relaxed mappings.

    Args:
        task: the network.
        logs: for each group `[starts, layers, slots, dims]` logs of the factors.
        position: for each group `[starts, layers, levels, dims]`.
    """
    built = []
    for group, table, places in zip(task.groups, logs, position, strict=True):
        empty = torch.zeros(*table.shape[:2], group.levels * len(AXES), group.dims, dtype=table.dtype)
        factors = empty.index_copy(2, group.slot_cell, table).exp()
        factors = factors.view(*table.shape[:2], group.levels, len(AXES), group.dims)
        shape = group.shape.select(torch.arange(len(group.layers))[None])
        built.append(build_nest(shape, factors, places, group.axes))
    return built


def totals(task: Task, evaluator: Evaluator, built: Sequence[Nest], machine: Machine) -> Totals:
    """Costs of nests on machines of batch shape `[starts, 1]`; each layer and start is an evaluation."""
    starts = len(machine.mac_pj)
    evaluator.spend(starts * len(task.counts))
    energy, cycles, excess = [], [], []
    for group, nest in zip(task.groups, built, strict=True):
        shape = starts, len(group.layers)
        accesses = count_accesses(nest, group.kept, DEFAULT_RULES, RELAXED)
        spent = performance(nest, machine, group.kept, accesses, RELAXED)
        energy.append(spent.energy_pj.expand(shape))
        cycles.append(spent.cycles.expand(shape))
        excess += [share.log().expand(shape) for share in occupancies(nest, machine, group.kept)]
    return Totals(
        (torch.cat(energy, 1) * task.counts).sum(-1),
        (torch.cat(cycles, 1) * task.counts).sum(-1),
        torch.cat(excess, 1) if excess else torch.zeros(starts, 1, dtype=torch.float64),
    )


def loss(task: Task, sums: Totals, area_mm2: torch.Tensor, weight: float) -> torch.Tensor:
    """`[starts]`: log of the objective, plus penalties for what does not fit and for broken limits."""
    value = task.score.value(sums.energy_pj, sums.cycles, area_mm2)
    broken = [sums.excess, *(e[:, None] for e in task.score.excess(sums.energy_pj, sums.cycles, area_mm2))]
    hinge = torch.cat(broken, 1).clamp(min=0)
    return value + weight * (hinge + hinge**2).sum(-1)


def judge(
    task: Task, evaluator: Evaluator, index: torch.Tensor, assignment: Sequence[torch.Tensor], rate: torch.Tensor
) -> tuple[Designs, list[torch.Tensor]]:
    """Rounded mappings in the exact model, with the loop orders that suit them.

    Args:
        task: the network.
        evaluator: counts and keeps.
        index: `[starts, parameters]`.
        assignment: for each group `[starts, layers, n, units]`, mappings that fit.
        rate: `[starts]` pJ a cycle, what prices of time are multiples of.

    Returns:
        (the designs; for each group the orders to descend with from there, `[starts, layers, levels, dims]`: those
        that suit the chosen mappings in the smooth model, where a loop of bound 1 still has its place).
    """
    cap = torch.full_like(rate, torch.inf)
    if task.score.budget.power_w is not None:
        cap = torch.full_like(rate, task.score.budget.power_w * task.score.cycle_s * 1e12)
    price = {"latency": 1e3, "energy": 1e-3, "power": 1e-3}.get(task.score.objective, 1.0) * rate
    ordered = [_ordered(task, evaluator, g, index, table, price, cap, EXACT) for g, table in enumerate(assignment)]
    designs = evaluator.settle(index, ordered)
    smooth = [
        _ordered(task, evaluator, g, index, part.assignment, price, cap, RELAXED)
        for g, part in enumerate(designs.chosen)
    ]
    return designs, [part.position[:, :, 0] for part in smooth]


def _ordered(
    task: Task,
    evaluator: Evaluator,
    g: int,
    index: torch.Tensor,
    assignment: torch.Tensor,
    price: torch.Tensor,
    cap: torch.Tensor,
    arithmetic: Arithmetic,
) -> Mapped:
    """Mappings whose levels take, the outermost first and then once more, the best of the stationary orders."""
    orders = stationary_orders(task.groups[g])
    levels, n = task.groups[g].levels, assignment.shape[2]
    mapped = None
    position = orders[torch.zeros(*assignment.shape[:3], levels, dtype=torch.long)]
    for level in (*reversed(range(levels)), *reversed(range(levels))):
        trials = []
        for order in orders:
            places = position.clone()
            places[..., level, :] = order
            trials.append(evaluator.assess(g, index, assignment, places, arithmetic))
        together = Mapped.join(trials)
        best = together.merit(price, cap).unflatten(2, (len(trials), n)).argmin(2)
        mapped = together.pick(best * n + torch.arange(n))
        position = mapped.position
    assert mapped is not None
    return mapped
