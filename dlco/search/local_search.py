"""Batched local search, the one climb of all searches of mappings: thousands of neighbours of many mappings at once.

Each item (see `dlco.search.items`) keeps a small population of distinct mappings; every round draws neighbours of each
and keeps the best. Mappings that do not fit rank behind all that do, the less they overflow the better, so a search may
start anywhere. What a neighbour is depends on how factors are written down: there are two kinds of `Moves`.
"""

from dataclasses import dataclass, fields
from typing import Protocol

import torch

from dlco.search.items import Items
from dlco.search.table import MappingTable
from dlco.workload.problem import check_positive_int


@dataclass(frozen=True)
class Effort:
    """How long a local search runs.

    Attributes:
        rounds: rounds of neighbours; `patience`: it ends after so many without any improvement.
        population: mappings that each item keeps.
        neighbours: neighbours of each of them a round.
        islands: separate populations an item, which the start is dealt out to; they never mix.
    """

    rounds: int = 100
    patience: int = 12
    population: int = 4
    neighbours: int = 16
    islands: int = 1

    def __post_init__(self) -> None:
        for item in fields(self):
            check_positive_int(f"{item.name} of an effort", getattr(self, item.name))


class Moves(Protocol):
    """One way to write factors down, for the items of one search.

    A mapping is a pair of `coding` `[items, n, ...]` and `position` `[items, n, levels, dims]`, as in `MappingTable`.
    """

    items: Items

    def settled(self, coding: torch.Tensor, position: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Mappings from elsewhere as neighbours are: of those that the constraints leave, the nearest."""
        ...

    def neighbours(
        self, table: MappingTable, each: int, generator: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """`each` neighbours of every mapping, side by side: `[items, n * each, ...]`."""
        ...

    def assess(self, coding: torch.Tensor, position: torch.Tensor) -> MappingTable:
        """Mappings with their costs and merits, in the order given."""
        ...


def local_search(
    moves: Moves, start: MappingTable, effort: Effort, generator: torch.Generator
) -> tuple[MappingTable, int]:
    """Improve every item's mappings; returns the population, best first, and how many mappings were evaluated."""
    table, best = start, start.merit.amin(1)
    evaluated = 0
    stale = 0
    for _ in range(effort.rounds):
        born = moves.assess(*moves.neighbours(table, effort.neighbours, generator))
        table = MappingTable.join([table, born], 1).best(effort.population)
        evaluated += born.merit.numel()
        before, best = best, table.merit[:, 0]
        stale = 0 if bool((best < before * (1 - 1e-9)).any()) else stale + 1
        if stale >= effort.patience:
            break
    return table, evaluated
