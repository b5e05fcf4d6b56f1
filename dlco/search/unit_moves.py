"""Moves of perfect mappings: prime units, each in a slot, and loop orders.

The factors of a mapping are the products of the units in its slots (see `Group`), so they multiply to the bounds
whatever is moved. A neighbour has a prime moved to another slot, two primes moved or swapped, or two loops of a level
swapped.
"""

import torch

from dlco.cost.model import evaluate_totals
from dlco.search.group import Group
from dlco.search.items import Items
from dlco.search.table import MappingTable


class UnitMoves:
    """As `Moves`; `coding` is the slot of each prime unit, `[items, n, units]`."""

    def __init__(self, group: Group, items: Items) -> None:
        self.group, self.items = group, items
        self.shape = group.shape.select(items.layer[:, None])

    def settled(self, coding: torch.Tensor, position: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Loop orders as the constraints have them; units stay where they are."""
        return coding, self.group.ordered(position)

    def assess(self, coding: torch.Tensor, position: torch.Tensor) -> MappingTable:
        """As in `Moves`."""
        group, items = self.group, self.items
        factors = group.factors(items.layer, coding)
        totals = evaluate_totals(self.shape, items.machine, group.kept, factors, position, axes=group.axes)
        breach = group.misplaced(items.layer, coding) + group.beyond(factors)
        return items.ranked(coding, position, totals, factors, breach)

    def neighbours(
        self, table: MappingTable, each: int, generator: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """As in `Moves`: units go where constraints let them, and only loops whose place is open change places."""
        group, layer = self.group, self.items.layer
        assignment = table.coding.repeat_interleave(each, dim=1)
        position = table.position.repeat_interleave(each, dim=1).flatten(-2)
        items, n, width = assignment.shape
        device = layer.device

        def draw(*shape: int) -> torch.Tensor:
            return torch.rand(*shape, generator=generator, device=device)

        chance, pick = draw(4, items, n), draw(6, items, n)
        row = layer[:, None].expand(items, n)
        first, second = group.unit_menu.pick(row, pick[0]), group.unit_menu.pick(row, pick[1])
        came_from = assignment.gather(2, first[..., None])[..., 0]
        other = assignment.gather(2, second[..., None])[..., 0]
        # of all neighbours: one unit moved 40 %, two moved 20 %, two swapped 20 %, loops reordered alone 20 %
        kind = chance[0]
        swap = (kind > 0.6) & (kind <= 0.8)
        one, two = row * width + first, row * width + second
        # a swap that the constraints do not allow becomes a move
        target = torch.where(swap & group.allows(one, other), other, group.slot_menu.pick(one, pick[2]))
        target = torch.where(kind > 0.8, came_from, target)
        assignment.scatter_(2, first[..., None], target[..., None])
        kept = assignment.gather(2, second[..., None])[..., 0]  # the second may be the first
        again = torch.where((kind <= 0.2) | swap, group.slot_menu.pick(two, pick[3]), kept)
        again = torch.where(swap & group.allows(two, came_from), came_from, again)
        assignment.scatter_(2, second[..., None], again[..., None])

        reorder = (kind > 0.8) | (chance[1] < 0.25)
        level = group.level_menu.pick(torch.zeros_like(row), chance[2])
        one = level * group.dims + group.loop_menu.pick(level, pick[4])
        two = level * group.dims + group.loop_menu.pick(level, pick[5])
        swap_loops(position, one, torch.where(reorder, two, one))
        # or the whole level takes another order, of a class that no other dominates
        anew = (chance[3] < 0.25) & ~reorder | (chance[3] < 0.7) & (kind > 0.8)
        cells = level[..., None] * group.dims + torch.arange(group.dims, device=device)
        orders = group.order_table
        drawn = orders[(pick[4] * len(orders)).long()]
        position.scatter_(2, cells, torch.where(anew[..., None], drawn, position.gather(2, cells)))
        return self.settled(assignment, position.view(items, n, group.levels, group.dims))


def swap_loops(position: torch.Tensor, one: torch.Tensor, two: torch.Tensor) -> None:
    """Change the places of loops `one` and `two` `[items, n]` in flattened tables `[items, n, levels * dims]`."""
    places = position.gather(2, one[..., None]), position.gather(2, two[..., None])
    position.scatter_(2, one[..., None], places[1]).scatter_(2, two[..., None], places[0])


def random_start(
    group: Group, layer: torch.Tensor, n: int, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """`n` mappings of each item: assignment `[items, n, units]` and position `[items, n, levels, dims]`.

    Every unit lies in a slot that the constraints allow it. The first mapping has all loops as far out as they may
    be: without constraints at the outermost level, where it fits if any mapping does. The others are random.
    """
    items, units = len(layer), group.primes.shape[1]
    rows = layer[:, None, None] * units + torch.arange(units, device=layer.device)
    chance = torch.rand(items, n, units, generator=generator, device=layer.device)
    assignment = group.slot_menu.pick(rows.expand(items, n, units), chance)
    assignment[:, 0] = group.outermost[layer]
    noise = torch.rand(items, n, group.levels, group.dims, generator=generator, device=layer.device)
    return assignment, group.ordered(noise.argsort(-1).to(torch.int8))
