"""Moves of imperfect mappings: whole factors that cover each bound instead of dividing it, and loop orders.

A mapping is a table of factors, brought to a normal form: going outwards no factor is larger than the number of tiles
it counts, nor than the number that leaves as many tiles for the loops further out, and the outermost temporal loop
counts what is left. So every table stands for one mapping that covers its bounds, and a move may change any factor.
"""

import torch

from dlco.cost.model import evaluate_totals
from dlco.mapping.mapping import SPATIAL_X, SPATIAL_Y, TEMPORAL
from dlco.mapping.mapspace import AXES
from dlco.search.group import Group
from dlco.search.items import Items
from dlco.search.table import MappingTable
from dlco.search.unit_moves import swap_loops

PRIMES = (2.0, 2.0, 3.0, 5.0, 7.0)


class FactorMoves:
    """As `Moves`; `coding` is the factors, `[items, n, levels, 3, dims]`."""

    def __init__(self, group: Group, items: Items) -> None:
        self.group, self.items = group, items
        self.shape = group.shape.select(items.layer[:, None])
        self.bounds = group.bounds[items.layer]
        self.shut = ~group.open_cells[items.layer][:, None]

    def settled(self, coding: torch.Tensor, position: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Factors in normal form, 1 where no loop may be, and orders as constraints have them."""
        shut = self.shut.view(len(self.shut), 1, *coding.shape[2:])
        return normal_form(coding.masked_fill(shut, 1.0), self.bounds[:, None]), self.group.ordered(position)

    def assess(self, coding: torch.Tensor, position: torch.Tensor) -> MappingTable:
        """As in `Moves`; factors need not be in normal form."""
        group, items = self.group, self.items
        totals = evaluate_totals(
            self.shape, items.machine, group.kept, coding, position, axes=group.axes, bounds=self.bounds[:, None]
        )
        astray = ((coding.flatten(2, 3) > 1) & self.shut).flatten(2).sum(-1)
        breach = astray + group.missed(items.layer, coding) + group.beyond(coding)
        return items.ranked(coding, position, totals, coding, breach)

    def neighbours(
        self, table: MappingTable, each: int, generator: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """As in `Moves`: one or two factors changed, or two loops of a level, or both."""
        group, bound = self.group, self.bounds
        factors = table.coding.repeat_interleave(each, 1).flatten(2)
        position = table.position.repeat_interleave(each, 1).flatten(-2)
        shape = factors.shape[:2]

        def draw(*more: int) -> torch.Tensor:
            return torch.rand(*more, *shape, generator=generator, device=bound.device)

        def one_of(n: int) -> torch.Tensor:
            return (draw() * n).long()

        chance = draw(3)
        for turn in range(2):
            dim = group.live[one_of(len(group.live))]
            one, two = (group.slot_cell[one_of(len(group.slot_cell))] * group.dims + dim for _ in range(2))
            a, b = factors.gather(2, one[..., None])[..., 0], factors.gather(2, two[..., None])[..., 0]
            prime = torch.tensor(PRIMES, dtype=a.dtype, device=a.device)[one_of(len(PRIMES))]
            anything = (draw() * bound.gather(1, dim).log()).exp().round()
            kind = one_of(7)[None]
            new_a = torch.stack([a + 1, a - 1, a * prime, (a / prime).ceil(), (a / prime).ceil(), b, anything])
            new_b = torch.stack([b, b, b, b, b * prime, a, b])
            active = (chance[0] < 0.85) & (chance[1] < (1.0, 0.4)[turn])
            a = torch.where(active, new_a.gather(0, kind)[0].clamp(min=1), a)
            b = torch.where(active, new_b.gather(0, kind)[0], b)
            factors.scatter_(2, two[..., None], b[..., None])
            factors.scatter_(2, one[..., None], a[..., None])
        reorder = (chance[0] >= 0.85) | (chance[2] < 0.25)
        level = one_of(group.levels) * group.dims
        first, second = (level + group.live[one_of(len(group.live))] for _ in range(2))
        swap_loops(position, first, torch.where(reorder, second, first))
        return self.settled(
            factors.view(*shape, group.levels, len(AXES), group.dims),
            position.view(*shape, group.levels, group.dims),
        )


def random_factors(
    group: Group, layer: torch.Tensor, n: int, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """`n` random mappings of each item, factors and position as in `FactorMoves`, not yet settled."""

    def draw(*shape: int) -> torch.Tensor:
        return torch.rand(len(layer), n, group.levels, *shape, group.dims, generator=generator, device=layer.device)

    factors = (draw(len(AXES)) * group.bounds[layer][:, None, None, None].log()).exp().floor()
    factors = factors * (draw(len(AXES)) < 0.4)
    return factors, draw().argsort(-1).to(torch.int8)


def normal_form(factors: torch.Tensor, bounds: torch.Tensor) -> torch.Tensor:
    """The tables of least factors that stand for the same tiles.

    Going outwards through the slots of a dimension, with t tiles to count, a factor n leaves ceil(t / n) of them; the
    least factor that leaves as many is ceil(t / ceil(t / n)). It changes no number of tiles, so no mean count either,
    and the tiles get no larger. The outermost temporal factor is what is left.

    Args:
        factors: `[..., levels, 3, dims]` whole numbers.
        bounds: `[..., dims]`.
    """
    out = torch.empty_like(factors)
    tiles = bounds.expand(*factors.shape[:-3], -1)
    outermost = factors.shape[-3] - 1
    for level in range(outermost + 1):
        for axis in (SPATIAL_X, SPATIAL_Y, TEMPORAL):
            if (level, axis) == (outermost, TEMPORAL):
                out[..., level, axis, :] = tiles
                break
            left = (tiles / torch.minimum(factors[..., level, axis, :].clamp(min=1), tiles)).ceil()
            out[..., level, axis, :] = (tiles / left).ceil()
            tiles = left
    return out
