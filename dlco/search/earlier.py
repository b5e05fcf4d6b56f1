"""Earlier solutions, as the places where a new search begins."""

from collections.abc import Sequence

import torch

from dlco.design.solution import Solution
from dlco.hardware.architecture import Architecture
from dlco.hardware.space import HardwareSpace
from dlco.mapping.mapping import Mapping
from dlco.search.designs import Starts
from dlco.search.group import Group
from dlco.search.score import rate_of


def starts_of(solution: Solution, groups: Sequence[Group]) -> Starts:
    """The solution's mappings, one a layer; a layer that it does not have starts with all loops at the top."""
    assignment, position = [], []
    for group in groups:
        pairs = [_start(solution.mappings.get(layer.name), group, i) for i, layer in enumerate(group.layers)]
        assignment.append(torch.stack([a for a, _ in pairs])[:, None].to(group.primes.device))
        position.append(torch.stack([p for _, p in pairs])[:, None].to(group.primes.device))
    cost = solution.cost
    rate = rate_of(*(torch.tensor(one, dtype=torch.float64) for one in (cost.energy_pj, cost.cycles)))
    return Starts(assignment, position, float(rate))


def sizes_of(architecture: Architecture, space: HardwareSpace) -> torch.Tensor:
    """The sizes `[parameters]` of a space's machine that an architecture has; the base's for levels it lacks."""
    levels = {level.name for level in architecture.levels}
    sizes = [p.of(architecture if p.level in levels else space.base) for p in space.parameters]
    return torch.tensor(sizes, dtype=torch.float64)


def _start(mapping: Mapping | None, group: Group, layer: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Assignment `[units]` and position `[levels, dims]` of a mapping; what may not go where it was goes to the top."""
    assignment = group.outermost[layer].clone()
    position = torch.arange(group.dims, dtype=torch.int8).expand(group.levels, -1)
    problem = group.layers[layer].problem
    if mapping is None or mapping.levels != group.space.levels or mapping.dimensions != problem.dimensions:
        return assignment, position
    left = [[mapping.factors[level][axis][d] for d in range(group.dims)] for level, axis in group.space.slots]
    for unit in range(int(group.units[layer])):
        prime, dim = int(group.primes[layer, unit]), int(group.unit_dim[layer, unit])
        for slot, row in enumerate(left):
            if prime > 1 and row[dim] % prime == 0 and bool(group.allowed[layer, unit, slot]):
                row[dim] //= prime
                assignment[unit] = slot
                break
    order = [[problem.dimensions.index(dim) for dim in level] for level in mapping.order]
    return assignment, torch.tensor(order).argsort(-1).to(torch.int8)
