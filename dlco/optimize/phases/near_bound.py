"""Mappings to start from near the design at which the lower bound lies.

The geometric programs behind a bound end at real factors that cost no more than any mapping. Whole mappings near them
are often the best there are, and hard to reach by small moves from anywhere else.
"""

import numpy as np
import torch

from dlco.bound import BoundEffort
from dlco.mapping.mapping import SPATIAL_X, SPATIAL_Y, TEMPORAL
from dlco.optimize.phases.shared import Run
from dlco.relax import round_factors
from dlco.search.designs import Design, Starts
from dlco.search.group import Group
from dlco.search.unit_moves import random_start

NOISY = 4  # roundings of each draw of axes: one plain, the others with noise


def near_bound(run: Run, design: Design, copies: int, part: str, effort: BoundEffort) -> Starts:
    """Mappings near a lower bound of a design's machine, made to fit it.

    They are roundings of the bound's real factors, each with loop orders drawn among those that no other is always
    better than; a layer without any factors starts at random.

    Args:
        run: what is searched.
        design: whose machine it is, and whose price of time is the unit of prices.
        copies: mappings a layer.
        part: of the run, for its randomness.
        effort: of the bound.
    """
    factors = run.proofs(run.machine_of(design), effort).real_factors
    machine, generator = run.machine(design.index), run.generator(part, run.designs.searches)
    assignment, position = [], []
    draws = -(-copies // NOISY)
    for group in run.groups:
        device = group.primes.device
        layers = len(group.layers)
        logs = torch.stack([_logs(factors.get(x.name), group, draws, generator) for x in group.layers], dim=1)
        rounded = round_factors(group, logs, NOISY, generator, machine=machine)  # [draws, layers, NOISY, units]
        rounded = rounded.transpose(0, 1).flatten(1, 2)[:, :copies]
        loose, _ = random_start(group, torch.arange(layers, device=device), copies, generator)
        bounded = torch.tensor([x.name in factors for x in group.layers], device=device)
        pick = torch.randint(len(group.order_table), (layers, copies, group.levels), generator=generator, device=device)
        assignment.append(torch.where(bounded[:, None, None], rounded, loose))
        position.append(group.ordered(group.order_table[pick]))
    return Starts(assignment, position, design.chosen.rate)


def _logs(real: np.ndarray | None, group: Group, draws: int, generator: torch.Generator) -> torch.Tensor:
    """Logs `[draws, slots, dims]` of one layer's real factors, in each draw every dimension on X or Y at random."""
    device = group.primes.device
    slots = list(group.space.slots)
    logs = torch.zeros(draws, len(slots), group.dims, dtype=torch.float64, device=device)
    if real is None:
        return logs
    factors = torch.as_tensor(real, dtype=torch.float64, device=device).clamp(min=1.0).log()
    on_x = torch.rand(draws, group.levels, group.dims, generator=generator, device=device) < 0.5
    for slot, (level, axis) in enumerate(slots):
        if axis == TEMPORAL:
            logs[:, slot] = factors[level, 0]
        else:
            other = (level, SPATIAL_Y if axis == SPATIAL_X else SPATIAL_X)
            here = on_x[:, level] == (axis == SPATIAL_X) if other in slots else torch.ones_like(on_x[:, level])
            logs[:, slot] = torch.where(here, factors[level, 1], 0.0)
    return logs
