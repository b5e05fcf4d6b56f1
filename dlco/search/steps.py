"""Steps of the hardware: the machines of a grid to try next to one."""

from collections.abc import Callable

import torch

from dlco.hardware.space import HardwareSpace


def longest_reach(space: HardwareSpace) -> int:
    """Grid steps that a descent begins with: a quarter of the longest grid."""
    return max(1, max((len(parameter.grid) for parameter in space.parameters), default=1) // 4)


def steps(
    space: HardwareSpace, index: torch.Tensor, reach: int, within: Callable[[torch.Tensor], torch.Tensor]
) -> torch.Tensor:
    """Machines near one machine, all within the limits.

    Every size moved by `reach` grid steps and by twice that, up and down, to the end of its grid at most; and every
    size moved so with one other the other way: by as many steps, and, where the limits say so, trading one for the
    other: up, and the other down by as few steps as make the machine fit; down, and the other up by as many as fit.
    (One step of the array's side may cost as much area as ten of a buffer.)

    Args:
        space: the grid.
        index: `[parameters]` grid positions of the machine.
        reach: grid steps, at least 1.
        within: whether machines at grid positions `[n, parameters]` keep the limits, BoolTensor `[n]`.

    Returns:
        `[n, parameters]` grid positions, each once and none of them `index`; none on a fixed machine.
    """
    if space.is_fixed:
        return index[None][:0]
    n = len(index)
    last = torch.tensor([len(parameter.grid) - 1 for parameter in space.parameters])
    unit = torch.eye(n, dtype=torch.long)
    moves = torch.cat([sign * far * unit for far in (reach, 2 * reach) for sign in (-1, 1)])
    pairs = (reach * (unit[:, None] - unit)).flatten(0, 1)
    near = (index + torch.cat([moves, pairs])).clamp(min=0).minimum(last)
    near = near[within(near)]
    found = torch.cat([near, _trades(index, reach, last, within)]).unique(dim=0)
    return found[(found != index).any(-1)]


def _trades(
    index: torch.Tensor, reach: int, last: torch.Tensor, within: Callable[[torch.Tensor], torch.Tensor]
) -> torch.Tensor:
    """One size `reach` up (or down) and one other the other way, as far as the limits ask (or let) it."""
    n, longest = len(index), int(last.max()) + 1
    unit = torch.eye(n, dtype=torch.long)
    found = [index[None][:0]]
    for sign in (1, -1):
        moved = (index + sign * reach * unit).clamp(min=0).minimum(last)
        back = sign * torch.arange(longest)[:, None] * unit[:, None]  # [other, steps, parameters]
        rows = moved[:, None, None] - back
        there = ((rows >= 0) & (rows <= last)).all(-1) & ~torch.eye(n, dtype=torch.bool)[..., None]
        fits = there.clone()
        fits[there] = within(rows[there])
        binds = fits.any(-1) & (fits != there).any(-1)
        # up: the fewest steps back that fit; down: the most
        order = torch.arange(longest, 0, -1) if sign > 0 else torch.arange(1, longest + 1)
        steps_back = (fits * order).argmax(-1)
        chosen = rows.gather(2, steps_back[..., None, None].expand(n, n, 1, n))[:, :, 0]
        found.append(chosen[binds])
    return torch.cat(found)
