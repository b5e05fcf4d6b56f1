"""Rounding: real factors to exact factorisations, real sizes to the grid."""

import torch

from dlco.hardware.space import HardwareSpace
from dlco.optimize.group import Group


def round_factors(
    group: Group, logs: torch.Tensor, copies: int, generator: torch.Generator, noise: float = 0.35
) -> torch.Tensor:
    """Assignments near real factors: the largest prime goes where it fits or, failing that, most is missing, and so on.

    Args:
        group: the layers.
        logs: `[n, layers, slots, dims]` logs of the factors.
        copies: roundings of each: the first plain, the others after adding noise.
        generator: draws the noise.
        noise: its standard deviation, in logs.

    Returns:
        `[n, layers, copies, units]`.
    """
    n, layers, slots, dims = logs.shape
    shake = torch.randn(n, layers, copies, slots, dims, generator=generator, dtype=logs.dtype) * noise
    shake[:, :, 0] = 0
    missing = logs[:, :, None] + shake
    assignment = torch.zeros(n, layers, copies, group.primes.shape[1], dtype=torch.long)
    rows = torch.arange(layers)
    for unit in group.primes.argsort(dim=1, descending=True, stable=True).t():  # [layers]: the largest unit left
        prime, dim = group.primes[rows, unit], group.unit_dim[rows, unit]
        column = dim[None, :, None, None, None].expand(n, layers, copies, slots, 1)
        left = missing.gather(4, column)
        share = left.exp() / prime[None, :, None, None, None]
        whole = ((share - share.round()).abs() < 0.02) & (share > 0.9)  # the prime divides what is missing there
        slot = (left + 100.0 * whole).argmax(dim=3, keepdim=True)
        taken = torch.zeros_like(left).scatter_(3, slot, 1.0) * prime.log()[None, :, None, None, None]
        missing.scatter_add_(4, column, -taken)
        assignment.scatter_(3, unit[None, :, None, None].expand(n, layers, copies, 1), slot[..., 0])
    return assignment


def round_sizes(space: HardwareSpace, sizes: torch.Tensor, area_mm2: float | None) -> torch.Tensor:
    """Grid indices `[parameters]` of the machine nearest to real sizes `[parameters]` within an area.

    Sizes are rounded to the nearest point in logs; while the machine is too large, the step down that moves least
    away from the real sizes for the area it saves is taken.
    """
    index = space.nearest(sizes)
    if area_mm2 is None:
        return index
    while bool(index.any()):
        area = space.machine(space.index_to_sizes(index)).area_mm2
        if area <= area_mm2:
            break
        lower = [
            index - torch.nn.functional.one_hot(torch.tensor(i), len(index)) for i in range(len(index)) if index[i] > 0
        ]
        options = space.index_to_sizes(torch.stack(lower))
        saved = (area - space.machine(options).area_mm2).clamp(min=1e-9)
        away = (options.log() - sizes.log()).abs().sum(-1)
        index = lower[int((away / saved).argmin())]
    return index
