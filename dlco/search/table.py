"""`MappingTable`: mappings of many items side by side, what they cost, and how they rank.

An item is one layer on one machine at one price of time (see `dlco.search.items`). How the factors of a mapping are
written down is the business of the moves that change them: prime units in slots (`dlco.search.unit_moves`), or the
factors themselves (`dlco.search.factor_moves`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields

import torch

from dlco.search.score import unit_of

UNFIT = 1e300  # merits from here on belong to mappings that do not fit
LATE = 10.0  # a mapping that takes twice its time loses this many times its merit


@dataclass(frozen=True)
class MappingTable:
    """`n` mappings of every item; of a single item without the first axis.

    Attributes:
        coding: the factors, `[items, n, units]` slots of prime units or `[items, n, levels, 3, dims]` themselves.
        position: `[items, n, levels, dims]` place of each temporal loop in its level.
        energy_pj, cycles: `[items, n]` of one execution.
        merit: `[items, n]` what they are ranked by (see `merit_of`), from `UNFIT` where a mapping does not fit.
    """

    coding: torch.Tensor
    position: torch.Tensor
    energy_pj: torch.Tensor
    cycles: torch.Tensor
    merit: torch.Tensor

    def each(self, change: Callable[[torch.Tensor], torch.Tensor]) -> "MappingTable":
        """The same change to all tensors."""
        return MappingTable(*(change(getattr(self, f.name)) for f in fields(self)))

    def to(self, device: torch.device | str) -> "MappingTable":
        """The same table on a device."""
        return self.each(lambda table: table.to(device))

    def pick(self, index: torch.Tensor) -> "MappingTable":
        """The mappings `index` `[items, k]` of each item."""

        def take(table: torch.Tensor) -> torch.Tensor:
            tail = table.shape[2:]
            wide = index.reshape(*index.shape, *([1] * len(tail))).expand(*index.shape, *tail)
            return table.gather(1, wide)

        return self.each(take)

    def best(self, n: int) -> "MappingTable":
        """The `n` best mappings of each item, the best first (see `best_of`)."""
        return self.pick(best_of(self.merit, n))

    def side_by_side(self, *shape: int, each: int) -> "MappingTable":
        """The mappings of `each` neighbouring items as those of one; `shape` is that of the items that are left."""
        return self.each(lambda table: table.reshape(*shape, each * table.shape[1], *table.shape[2:]))

    @staticmethod
    def join(parts: Sequence["MappingTable"], dim: int) -> "MappingTable":
        """Tables one after the other, of items (0) or of mappings (1)."""
        return MappingTable(*(torch.cat([getattr(p, f.name) for p in parts], dim) for f in fields(MappingTable)))


def merit_of(
    energy_pj: torch.Tensor,
    cycles: torch.Tensor,
    excess: torch.Tensor,
    price: torch.Tensor,
    cap: torch.Tensor,
    deadline: torch.Tensor,
) -> torch.Tensor:
    """What mappings are ranked by, lower is better; all `[items, n]` or broadcast to it.

    Energy and the price of the cycles, with charges for being too fast for the cap on energy a cycle and for being
    late (see `Items`), in the unit of `unit_of`; a mapping that does not fit, whose `excess` is above 0, ranks behind
    all that do.
    """
    unit = unit_of(price)
    energy, price, limit = energy_pj / unit, price / unit, cap.nan_to_num(posinf=0) / unit
    hurry = (energy_pj / cap - cycles).clamp(min=0)  # cycles missing to the cap
    merit = energy + price * cycles + (2 * price + limit) * hurry
    merit = merit * (1 + LATE * (cycles / deadline - 1).clamp(min=0))
    return torch.where(excess > 0, UNFIT * (1 + excess.log1p()), merit.clamp(max=UNFIT / 2))


def best_of(merit: torch.Tensor, n: int) -> torch.Tensor:
    """Positions `[items, n]` of the `n` best of each item by merit `[items, m]`, equals once."""
    merit, index = merit.sort(dim=1, stable=True)
    repeated = torch.zeros_like(merit, dtype=torch.bool)
    repeated[:, 1:] = merit[:, 1:] == merit[:, :-1]
    order = torch.where(repeated, torch.inf, merit).sort(dim=1, stable=True).indices[:, :n]
    return index.gather(1, order)
