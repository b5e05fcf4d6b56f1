"""Batched local search: thousands of neighbours of many mappings at once.

An item is one layer on one machine at one price of time; its merit is energy + price x cycles, so that a search
over several prices yields the layer's trade-off between energy and latency (see `Score.prices`). Each item keeps a
small population of distinct mappings; every round draws neighbours of each (a prime moved to another slot, two primes
moved or swapped, two loops of a level swapped) and keeps the best. Mappings that do not fit rank behind all that do,
the less they overflow the better, so a search may start anywhere.
"""

from dataclasses import dataclass, fields

import torch

from dlco.cost.cost import Totals
from dlco.cost.model import evaluate_totals
from dlco.cost.shape import Shape
from dlco.hardware.architecture import Machine
from dlco.mapping.mapping import SPATIAL_X, SPATIAL_Y
from dlco.search.group import Group
from dlco.search.score import unit_of
from dlco.workload.problem import check_positive_int

UNFIT = 1e300  # merits from here on belong to mappings that do not fit
LATE = 10.0  # a mapping that takes twice its time loses this many times its merit


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


@dataclass(frozen=True)
class Items:
    """What is searched side by side.

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

    def slice(self, start: int, stop: int) -> "Items":
        """Items `start` to `stop`."""
        index = torch.arange(start, min(stop, len(self.layer)), device=self.layer.device)
        rows = (self.price[index], self.cap[index], self.deadline[index])
        return Items(self.layer[index], self.machine.select(index), *rows)


@dataclass(frozen=True)
class Population:
    """Mappings of every item, best first.

    Attributes:
        assignment: `[items, n, units]`; `position`: `[items, n, levels, dims]`.
        energy_pj, cycles, merit: `[items, n]`; merit (see `merit_of`) is from `UNFIT` where the mapping does not fit.
    """

    assignment: torch.Tensor
    position: torch.Tensor
    energy_pj: torch.Tensor
    cycles: torch.Tensor
    merit: torch.Tensor

    def pick(self, index: torch.Tensor) -> "Population":
        """The mappings `index` `[items, k]` of each item."""

        def take(table: torch.Tensor) -> torch.Tensor:
            tail = table.shape[2:]
            wide = index.reshape(*index.shape, *([1] * len(tail))).expand(*index.shape, *tail)
            return table.gather(1, wide)

        return Population(*(take(getattr(self, name)) for name in _FIELDS))

    @staticmethod
    def join(parts: list["Population"], dim: int) -> "Population":
        """Populations one after the other, of items (0) or of mappings (1)."""
        return Population(*(torch.cat([getattr(part, name) for part in parts], dim) for name in _FIELDS))


_FIELDS = ("assignment", "position", "energy_pj", "cycles", "merit")


def assess(group: Group, items: Items, assignment: torch.Tensor, position: torch.Tensor) -> Population:
    """Mappings `[items, n, ...]` with their costs, in the order given; loop orders as the constraints have them."""
    shape = group.shape.select(items.layer[:, None])
    return _assess(group, shape, items, assignment, group.ordered(position))


def local_search(
    group: Group, items: Items, start: Population, effort: Effort, generator: torch.Generator
) -> tuple[Population, int]:
    """Improve every item's mappings; returns the population, best first, and how many mappings were evaluated."""
    shape = group.shape.select(items.layer[:, None])
    population = start.pick(best_of(start.merit, effort.population))
    evaluated = 0
    stale = 0
    for _ in range(effort.rounds):
        assignment, position = _neighbours(
            group, items.layer, population.assignment, population.position, effort.neighbours, generator
        )
        born = _assess(group, shape, items, assignment, position)
        before = population.merit[:, 0]
        both = Population.join([population, born], 1)
        population = both.pick(best_of(both.merit, effort.population))
        evaluated += born.merit.numel()
        stale = 0 if bool((population.merit[:, 0] < before * (1 - 1e-9)).any()) else stale + 1
        if stale >= effort.patience:
            break
    return population, evaluated


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


def _assess(group: Group, shape: Shape, items: Items, assignment: torch.Tensor, position: torch.Tensor) -> Population:
    factors = group.factors(items.layer, assignment)
    totals: Totals = evaluate_totals(shape, items.machine, group.kept, factors, position, axes=group.axes)
    two_axes = ((factors[..., SPATIAL_X, :] > 1) & (factors[..., SPATIAL_Y, :] > 1)).any(-1).sum(-1)
    # a dimension on both axes of a level cannot be written down as YAML
    excess = totals.overflow + two_axes + group.breach(items.layer, assignment, factors)
    terms = (row[:, None] for row in (items.price, items.cap, items.deadline))
    merit = merit_of(totals.energy_pj, totals.cycles, excess, *terms)
    return Population(assignment, position, totals.energy_pj, totals.cycles, merit)


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


def _neighbours(
    group: Group,
    layer: torch.Tensor,
    assignment: torch.Tensor,
    position: torch.Tensor,
    each: int,
    generator: torch.Generator,
) -> tuple[torch.Tensor, torch.Tensor]:
    """`each` neighbours of every mapping: assignment `[items, n * each, units]` and the positions with it.

    Units move to slots that the constraints allow them, and only loops whose place is open change places.
    """
    assignment = assignment.repeat_interleave(each, dim=1)
    position = position.repeat_interleave(each, dim=1).flatten(-2)
    items, n, _ = assignment.shape
    width = group.primes.shape[1]
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
    two = torch.where(reorder, two, one)
    places = position.gather(2, one[..., None]), position.gather(2, two[..., None])
    position.scatter_(2, one[..., None], places[1])
    position.scatter_(2, two[..., None], places[0])
    # or the whole level takes another order, of a class that no other dominates
    anew = (chance[3] < 0.25) & ~reorder | (chance[3] < 0.7) & (kind > 0.8)
    cells = level[..., None] * group.dims + torch.arange(group.dims, device=device)
    orders = group.order_table
    drawn = orders[(pick[4] * len(orders)).long()]
    position.scatter_(2, cells, torch.where(anew[..., None], drawn, position.gather(2, cells)))
    return assignment, group.ordered(position.view(items, n, group.levels, group.dims))
