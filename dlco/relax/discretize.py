"""Rounding: real factors to exact factorisations, real sizes to the grid."""

from collections.abc import Callable

import torch

from dlco.cost.nest import build_nest
from dlco.cost.tabulate import overflow
from dlco.hardware.architecture import Machine
from dlco.hardware.space import HardwareSpace
from dlco.search.group import Group

REPAIRS = 6  # primes that a mapping that does not fit may move further out


def round_factors(
    group: Group,
    logs: torch.Tensor,
    copies: int,
    generator: torch.Generator,
    noise: float = 0.35,
    machine: Machine | None = None,
) -> torch.Tensor:
    """Assignments near real factors: the largest prime goes where it fits or, failing that, most is missing, and so on.

    Primes lie where the constraints allow. Factors that are exactly 1 (slots closed in the relaxed problem, such as
    the other axis of a level) stay 1 under noise.

    Args:
        group: the layers.
        logs: `[n, layers, slots, dims]` logs of the factors.
        copies: roundings of each: the first plain, the others after adding noise.
        generator: draws the noise.
        noise: its standard deviation, in logs.
        machine: where given (of batch shape `[n, 1, 1, 1]`, or one for all), mappings that do not fit it are repaired
            as far as `repair` can.

    Returns:
        `[n, layers, copies, units]`.
    """
    n, layers, slots, dims = logs.shape
    shape = (n, layers, copies, slots, dims)
    shake = torch.randn(shape, generator=generator, device=generator.device, dtype=logs.dtype).to(logs.device) * noise
    shake[:, :, 0] = 0
    missing = logs[:, :, None] + torch.where(logs[:, :, None] > 0, shake, 0.0)
    assignment = torch.zeros(n, layers, copies, group.primes.shape[1], dtype=torch.long, device=logs.device)
    rows = torch.arange(layers, device=logs.device)
    for unit in group.primes.argsort(dim=1, descending=True, stable=True).t():  # [layers]: the largest unit left
        prime, dim = group.primes[rows, unit], group.unit_dim[rows, unit]
        column = dim[None, :, None, None, None].expand(n, layers, copies, slots, 1)
        left = missing.gather(4, column)
        share = left.exp() / prime[None, :, None, None, None]
        whole = ((share - share.round()).abs() < 0.02) & (share > 0.9)  # the prime divides what is missing there
        may = group.allowed[rows, unit][None, :, None, :, None]
        slot = torch.where(may, left + 100.0 * whole, -torch.inf).argmax(dim=3, keepdim=True)
        taken = torch.zeros_like(left).scatter_(3, slot, 1.0) * prime.log()[None, :, None, None, None]
        missing.scatter_add_(4, column, -taken)
        assignment.scatter_(3, unit[None, :, None, None].expand(n, layers, copies, 1), slot[..., 0])
    return assignment if machine is None else repair(group, assignment, machine)


def repair(group: Group, assignment: torch.Tensor, machine: Machine) -> torch.Tensor:
    """Mappings that fit, where a few primes moved further out make them fit.

    Each turn moves, in every mapping that overflows, the one prime to its outermost slot that leaves the least
    overflow; among equals the smallest prime, which moves the mapping least.

    Args:
        group: the layers.
        assignment: `[n, layers, copies, units]`.
        machine: machines of a batch shape that broadcasts against `[n, layers, copies, 1]`.

    Returns:
        `[n, layers, copies, units]`.
    """
    units = assignment.shape[-1]
    moves = torch.eye(units, dtype=torch.bool, device=assignment.device)
    for _ in range(REPAIRS):
        now = _overflow(group, assignment[..., None, :], machine)[..., 0]
        if not bool((now > 0).any()):
            break
        moved = torch.where(moves, group.outermost[:, None, None], assignment[..., None, :])  # [..., units, units]
        cost = _overflow(group, moved, machine) + 1e-9 * group.primes[:, None]
        best = cost.argmin(-1)
        taken = moved.gather(-2, best[..., None, None].expand(*best.shape, 1, units))[..., 0, :]
        assignment = torch.where((now > 0)[..., None], taken, assignment)
    return assignment


def _overflow(group: Group, assignment: torch.Tensor, machine: Machine) -> torch.Tensor:
    """By how much mappings `[n, layers, copies, k, units]` overflow, `[n, layers, copies, k]`."""
    layer = torch.arange(len(group.layers), device=assignment.device)
    rows = assignment.movedim(1, 0)
    factors = group.factors(layer, rows.flatten(1, 3)).unflatten(1, rows.shape[1:4]).movedim(0, 1)
    shape = group.shape.select(layer[:, None, None])
    position = [list(range(group.dims))] * group.levels
    return overflow(build_nest(shape, factors, position, group.axes), machine, group.kept)


def round_sizes(space: HardwareSpace, sizes: torch.Tensor, excess: Callable[[Machine], torch.Tensor]) -> torch.Tensor:
    """Grid indices `[parameters]` of the machine nearest to real sizes `[parameters]` within the limits on machines.

    Sizes are rounded to the nearest point in logs, and to one near that within the space's own limits; while the
    machine breaks another, the step down that moves least away from the real sizes for the excess it saves is taken.

    Args:
        space: the machines.
        sizes: `[parameters]` real sizes.
        excess: by how much machines `[...]` break limits, `[...]`, 0 where they keep them (`Score.machine_excess`).
    """
    index = space.brought_within(space.nearest(sizes))
    while bool(index.any()):
        over = excess(space.machine(space.index_to_sizes(index)))
        if over <= 0:
            break
        units = torch.eye(len(index), dtype=index.dtype, device=index.device)
        lower = (index - units)[index > 0]
        kept = space.within(lower)
        lower = lower[kept] if bool(kept.any()) else lower
        options = space.index_to_sizes(lower)
        saved = (over - excess(space.machine(options))).clamp(min=1e-9)
        away = (options.log() - sizes.log()).abs().sum(-1)
        index = lower[int((away / saved).argmin())]
    return space.brought_within(index)
