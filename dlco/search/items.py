"""What is searched side by side: layers on machines, at several prices of time, on several islands.

A layer's merit at a price of time is energy + price x cycles, so that searches at several prices yield its trade-off
between energy and latency (see `Score.prices`). Islands are searches of the same item that never mix.
"""

from dataclasses import dataclass

import torch

from dlco.cost.cost import Totals
from dlco.hardware.architecture import Machine
from dlco.mapping.mapping import SPATIAL_X, SPATIAL_Y
from dlco.search.table import MappingTable, merit_of


@dataclass(frozen=True)
class Items:
    """One layer on one machine at one price of time each.

    Attributes:
        layer: `[items]` position of the layer in its group.
        machine: machines of batch shape `[items, 1]`.
        price: `[items]` pJ that a cycle is worth, above 0.
        cap: `[items]` pJ a cycle above which a mapping is charged for being too fast for its energy.
        deadline: `[items]` cycles above which a mapping is charged for being late.
    """

    layer: torch.Tensor
    machine: Machine
    price: torch.Tensor
    cap: torch.Tensor
    deadline: torch.Tensor

    def ranked(
        self,
        coding: torch.Tensor,
        position: torch.Tensor,
        totals: Totals,
        factors: torch.Tensor,
        breach: torch.Tensor,
    ) -> MappingTable:
        """Mappings with their totals and merits.

        Args:
            coding: as the table holds it.
            position: `[items, n, levels, dims]`.
            totals: `[items, n]`.
            factors: `[items, n, levels, 3, dims]`.
            breach: by how much they break constraints, `[items, n]` or `[]`, 0 where all hold.
        """
        # a dimension on both axes of a level cannot be written down as YAML
        two_axes = ((factors[..., SPATIAL_X, :] > 1) & (factors[..., SPATIAL_Y, :] > 1)).any(-1).sum(-1)
        energy, cycles = totals.energy_pj.contiguous(), totals.cycles.contiguous()
        terms = (row[:, None] for row in (self.price, self.cap, self.deadline))
        merit = merit_of(energy, cycles, totals.overflow + two_axes + breach, *terms)
        return MappingTable(coding, position, energy, cycles, merit)


@dataclass(frozen=True)
class Pairs:
    """Layers of a group on machines, each pair to be searched at several prices of time.

    Attributes:
        layer: `[pairs]` position of the layer in its group; `machine`: machines of batch shape `[pairs]`.
        prices, caps: `[pairs, prices]`; `deadline`: `[pairs]`; all as in `Items`.
    """

    layer: torch.Tensor
    machine: Machine
    prices: torch.Tensor
    caps: torch.Tensor
    deadline: torch.Tensor

    def deal(self, islands: int, *, prices_first: bool = False) -> "Deal":
        """Every pair at all its prices on so many islands, pair by pair.

        For each pair all prices of one island follow each other or, with `prices_first`, all islands of one price.
        """
        sizes = {"pair": len(self.layer), "island": islands, "price": self.prices.shape[1]}
        names = ("pair", "price", "island") if prices_first else ("pair", "island", "price")
        axes = (torch.arange(sizes[name], device=self.layer.device) for name in names)
        places = (axis.flatten() for axis in torch.meshgrid(*axes, indexing="ij"))
        return Deal(self, islands, **dict(zip(names, places, strict=True)))


@dataclass(frozen=True)
class Deal:
    """Pairs dealt out to items.

    Attributes:
        pairs: what is searched; `islands`: so many searches of each.
        pair, island, price: `[items]` which of them an item is.
    """

    pairs: Pairs
    islands: int
    pair: torch.Tensor
    island: torch.Tensor
    price: torch.Tensor

    def items(self, rows: slice = slice(None)) -> Items:
        """Some of the items."""
        pair, price, pairs = self.pair[rows], self.price[rows], self.pairs
        terms = pairs.prices[pair, price], pairs.caps[pair, price], pairs.deadline[pair]
        return Items(pairs.layer[pair], pairs.machine.select(pair[:, None]), *terms)

    def starts(self, table: torch.Tensor, rows: slice = slice(None)) -> torch.Tensor:
        """What some of the items start from, `[items, ceil(n / islands), ...]`, of each pair's `[pairs, n, ...]`.

        Islands take turns; what is too little for the last round is dealt twice.
        """
        n = table.shape[1]
        turns = torch.arange(-(-n // self.islands), device=table.device) * self.islands
        return table[self.pair[rows, None], (self.island[rows, None] + turns) % n]
