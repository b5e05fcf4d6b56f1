"""Exact answers for small map spaces: every mapping that fits a fixed machine, listed; what is best is so by proof.

Under the default counting rules. The space is first made smaller without losing anything:

* dimensions and loops of bound 1 have no order;
* factorings that do not fit are dropped before orders are crossed with them (`factorings`);
* of each level's orders one of every class that costs the same is listed, and where faster and cheaper is never
  worse only the classes that no other beats (`orders`, with the proofs).

The rest goes through the cost model in cache-sized batches, one loop order at a time.
"""

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import prod

import torch

from dlco.cost.accesses import count_accesses
from dlco.cost.arithmetic import EXACT
from dlco.cost.model import evaluate_totals
from dlco.cost.performance import performance
from dlco.cost.shape import bounds_row
from dlco.cost.tabulate import overflow
from dlco.design.budget import Budget
from dlco.design.dominance import unbeaten
from dlco.design.network_cost import evaluate_network
from dlco.design.objective import Objective
from dlco.design.solution import Solution
from dlco.errors import InvalidInput
from dlco.exact.combine import best_points
from dlco.exact.factorings import Splits
from dlco.exact.layer_front import LayerFront
from dlco.hardware.architecture import Architecture
from dlco.hardware.constraints import Constraints
from dlco.mapping.mapping import Mapping, MappingBatch
from dlco.mapping.orders import LevelOrders, Reuse, level_orders
from dlco.mapping.rules import DEFAULT_RULES
from dlco.workload.layer import Layer, check_layers
from dlco.workload.problem import Problem

LIMIT = 50_000_000
BATCH = 32_768  # mappings evaluated at once: their rows stay near the caches


@dataclass(frozen=True)
class Batch:
    """Mappings of one loop order.

    Attributes:
        rows: for each dimension of bound above 1 the rows `[n]` of its table of splits.
        place: `[levels][dims]` positions of the temporal loops, as `Nest` takes them.
        index: `[n]` positions in the list of factorings.
        order: index of the order of every level but the innermost.
    """

    rows: dict[int, torch.Tensor]
    place: list[list[int]]
    index: torch.Tensor
    order: tuple[int, ...]


class Listing:
    """All mappings of one problem on one machine, ready to be run through in batches.

    Attributes:
        splits: the tables of factors; `found`: the factorings that fit, rows `[n]` of every table.
        orders: for each level but the innermost.
        size: how many mappings `batches` yields.
    """

    def __init__(
        self,
        problem: Problem,
        architecture: Architecture,
        constraints: Constraints | None,
        *,
        slow: bool,
        limit: int,
        device: torch.device | str = "cpu",
        both_axes: bool = False,
        imperfect: bool = False,
    ) -> None:
        self.splits = Splits.of(problem, architecture, constraints, device, both_axes=both_axes, imperfect=imperfect)
        self.machine = architecture.tensors(device=device)
        self.found = self.splits.fitting(self.machine, limit)
        levels = range(1, len(architecture.levels))
        self.orders = [level_orders(*_order_problem(self.splits, level), slow or imperfect) for level in levels]
        self._codes = [self._existing(level, orders) for level, orders in zip(levels, self.orders, strict=True)]
        needs = [
            orders.needed.sum(-1).to(code.device)[code] for orders, code in zip(self.orders, self._codes, strict=True)
        ]
        self.size = int(prod(needs, start=torch.ones(self.factorings, dtype=torch.long, device=device)).sum())
        if self.size > limit:
            raise InvalidInput(
                f"limit is {limit:,} mappings; the space has {self.size:,}; constrain it further or raise the limit"
            )

    @property
    def factorings(self) -> int:
        """How many factorings fit."""
        if self.found:
            return len(next(iter(self.found.values())))
        return int(bool((overflow(self.splits.nest({}), self.machine, self.splits.kept) <= 0).all()))

    def batches(self) -> Iterator[Batch]:
        """Every mapping, one loop order after the other, at most `BATCH` at once."""
        device = self.machine.mac_pj.device
        yield from self._batches((), torch.arange(self.factorings, device=device))

    def costs(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """(energy pJ, cycles) of the mappings of a batch, `[n]` each, in the exact cost model."""
        splits, n = self.splits, batch.index.shape
        if splits.imperfect:
            factors = splits.factors(batch.rows).to(self.machine.mac_pj.device)
            bounds = bounds_row(splits.space.problem, self.machine.mac_pj)
            found = evaluate_totals(splits.shape, self.machine, splits.kept, factors, batch.place, bounds=bounds)
            return found.energy_pj.expand(n), found.cycles.expand(n)
        nest = splits.nest(batch.rows, batch.place)
        accesses = count_accesses(nest, splits.kept, DEFAULT_RULES, EXACT)
        spent = performance(nest, self.machine, splits.kept, accesses, EXACT)
        return spent.energy_pj.expand(n), spent.cycles.expand(n)

    def mappings(self, index: torch.Tensor, orders: torch.Tensor) -> tuple[Mapping, ...]:
        """The mappings of factorings `[n]` with the orders `[n, levels - 1]`, both as batches name them."""
        space = self.splits.space
        tables = [torch.tensor([space.order_key[0].argsort(stable=True).tolist()])]
        tables += [torch.tensor(self._full_orders(level)) for level in range(1, len(space.levels))]
        ids = torch.cat([torch.zeros(len(index), 1, dtype=torch.long), orders.cpu()], 1)
        order = torch.stack([table[ids[:, level]] for level, table in enumerate(tables)], 1)
        batch = MappingBatch(
            dimensions=space.problem.dimensions,
            levels=space.levels,
            bypass=space.bypass,
            factors=self.splits.factors({d: rows[index] for d, rows in self.found.items()}).expand(
                len(index), -1, -1, -1
            ),
            order=order,
            spatial_order=space.spatial_order.cpu().expand_as(order),
        )
        return tuple(batch.mapping(i) for i in range(len(index)))

    def _batches(self, chosen: tuple[int, ...], index: torch.Tensor) -> Iterator[Batch]:
        level = len(chosen)
        if level == len(self.orders):
            place = [[row.index(d) for d in range(len(row))] for row in self._rows_of(chosen)]
            for some in index.split(BATCH):
                rows = {d: table[some] for d, table in self.found.items()}
                yield Batch(rows, place, some, chosen)
            return
        needed = self.orders[level].needed.to(index.device)
        for i in range(needed.shape[1]):
            mine = index[needed[:, i][self._codes[level][index]]]
            if len(mine):
                yield from self._batches((*chosen, i), mine)

    def _existing(self, level: int, orders: LevelOrders) -> torch.Tensor:
        """`[factorings]` number whose bits say which of the level's temporal loops exist."""
        rows = {d: index.long() for d, index in self.found.items()}
        nest = self.splits.nest(rows)
        code = torch.zeros(self.factorings, dtype=torch.long, device=self.machine.mac_pj.device)
        for bit, d in enumerate(orders.dims):
            code += (torch.as_tensor(nest.temporal[level][d]) > 1).long() << bit
        return code

    def _full_orders(self, level: int) -> list[list[int]]:
        """The orders of a level over all dimensions, innermost first, as constraints want them."""
        key = self.splits.space.order_key[level].tolist()
        dims = self.splits.shape.dims
        fixed = [d for d in sorted(range(dims), key=lambda d: key[d]) if key[d] < dims]
        return [list(dict.fromkeys([*fixed, *order, *range(dims)])) for order in self.orders[level - 1].orders]

    def _rows_of(self, chosen: Sequence[int]) -> list[list[int]]:
        first = list(range(self.splits.shape.dims))
        return [first, *(self._full_orders(level)[i] for level, i in enumerate(chosen, start=1))]


def enumerate_layer(
    layer: Layer | Problem,
    architecture: Architecture,
    constraints: Constraints | None = None,
    *,
    imperfect: bool = False,
    slow: bool = False,
    limit: int = LIMIT,
    device: torch.device | str = "cpu",
    both_axes: bool = False,
) -> LayerFront:
    """Every mapping of a layer that no other beats in energy and cycles, by looking at all of them.

    Args:
        layer: the work.
        architecture: the machine.
        constraints: what is fixed of the mappings.
        imperfect: whether factors need not divide the bounds: all that cover them.
        slow: list the cheapest mapping of every number of cycles instead, for where mean power counts and to be
            slower at the same energy is better; many more.
        limit: the most mappings to look at.
        device: where to compute.
        both_axes: whether a dimension may lie along both X and Y of a level, which Timeloop cannot write.

    Returns:
        The `LayerFront`; of mappings that cost the same it holds one.

    Raises:
        InvalidInput: the space has more mappings than `limit` (said before they are evaluated), no mapping fits, or
            the constraints do not fit the layer.
    """
    problem = layer.problem if isinstance(layer, Layer) else layer
    how = {"slow": slow, "both_axes": both_axes, "imperfect": imperfect}
    listing = Listing(problem, architecture, constraints, limit=limit, device=device, **how)
    if not listing.size:
        raise InvalidInput(f"no mapping of the problem with bounds {problem.sizes} fits {architecture.name!r}")
    kept = Points.empty(len(listing.orders), listing.machine.mac_pj.device)
    with torch.no_grad():
        for batch in listing.batches():
            kept = kept.with_batch(batch, *listing.costs(batch), slow)
    return LayerFront(kept.energy_pj.cpu(), kept.cycles.cpu(), listing.mappings(kept.index, kept.order), listing.size)


def enumerate_network(
    layers: Iterable[Layer],
    architecture: Architecture,
    objective: str = "edp",
    budget: Budget | None = None,
    constraints: Constraints | None = None,
    *,
    limit: int = LIMIT,
    device: torch.device | str = "cpu",
) -> Solution:
    """The best mappings of a network on a fixed machine, by looking at all of them.

    Args:
        layers: the network; layers of one problem are enumerated once.
        architecture: the machine.
        objective: what to minimise for the whole network, one of `OBJECTIVES` ("area", which is given, means EDP).
        budget: limits on the network and on single layers; those on the machine must hold as it is.
        constraints: what is fixed of the mappings.
        limit: the most mappings of a layer to look at.
        device: where to compute.

    Returns:
        A `Solution` whose `lower_bound` is its own objective: no mappings of these spaces do better.

    Raises:
        InvalidInput: as `enumerate_layer` does, or no choice of mappings meets the budget.
    """
    started = time.perf_counter()
    net, goal, budget = check_layers(layers), Objective.parse(objective), budget or Budget()
    _check_machine(architecture, budget)
    slow = goal is Objective.POWER or budget.power_w is not None
    fronts: dict[Problem, LayerFront] = {}
    for layer in net:
        if layer.problem not in fronts:
            fronts[layer.problem] = enumerate_layer(
                layer, architecture, constraints, slow=slow, limit=limit, device=device
            )
    best = best_points(net, fronts, architecture, goal, budget)
    if best is None:
        raise InvalidInput(f"budget is {budget}; no choice of mappings on {architecture.name!r} meets it")
    mappings = {
        layer.name: fronts[layer.problem].mappings[chosen] for layer, chosen in zip(net, best.chosen, strict=True)
    }
    costs, cost = evaluate_network(net, architecture, mappings)
    return Solution(
        status="solved",
        message="all mappings were enumerated: this is the best there is",
        objective=goal,
        budget=budget,
        seed=0,
        layers=net,
        architecture=architecture,
        mappings=mappings,
        layer_costs=costs,
        cost=cost,
        lower_bound=cost.objective(goal),
        evaluations=sum(front.evaluated for front in fronts.values()),
        seconds=time.perf_counter() - started,
    )


@dataclass(frozen=True)
class Points:
    """The points kept so far, fewest cycles first; `[n]` each, `order` `[n, levels - 1]`."""

    energy_pj: torch.Tensor
    cycles: torch.Tensor
    index: torch.Tensor
    order: torch.Tensor

    @staticmethod
    def empty(levels: int, device: torch.device) -> "Points":
        """None yet."""
        rows = torch.zeros(0, dtype=torch.float64, device=device)
        return Points(rows, rows, rows.long(), rows.long().view(0, levels))

    def with_batch(self, batch: Batch, energy_pj: torch.Tensor, cycles: torch.Tensor, slow: bool) -> "Points":
        """These points and the batch's, without those that another beats."""
        if len(self.cycles):  # most are beaten by a point that is already here
            place = torch.searchsorted(self.cycles, cycles, right=True) - 1
            beaten = (place >= 0) & (self.energy_pj[place.clamp(min=0)] <= energy_pj)
            if slow:
                beaten &= self.cycles[place.clamp(min=0)] == cycles
            fresh = (~beaten).nonzero().flatten()
        else:
            fresh = torch.arange(len(cycles), device=cycles.device)
        if not len(fresh):
            return self
        order = torch.tensor([batch.order], dtype=torch.long, device=fresh.device).expand(len(fresh), -1)
        energy = torch.cat([self.energy_pj, energy_pj[fresh]])
        time = torch.cat([self.cycles, cycles[fresh]])
        keep = unbeaten(energy, time, slow)
        index = torch.cat([self.index, batch.index[fresh]])[keep]
        return Points(energy[keep], time[keep], index, torch.cat([self.order, order])[keep])


def _check_machine(architecture: Architecture, budget: Budget) -> None:
    """Raise `InvalidInput` where the machine itself exceeds the budget."""
    for use in budget.machine_uses(architecture):
        if use.broken:
            raise InvalidInput(
                f"budget {use.limit} is {use.most:g}; the machine {architecture.name!r} has {use.used:g}"
            )


def _order_problem(splits: Splits, level: int) -> tuple[tuple[int, ...], tuple[Reuse, ...], tuple[int, ...]]:
    """(dimensions that may have a loop at a level, dataspaces its order matters to, dimensions that come first)."""
    spaces = []
    for s, space in enumerate(splits.shape.spaces):
        if any(splits.kept[inner][s] for inner in range(level)):
            spaces.append(Reuse(space.relevant, frozenset(d for _, d, _ in space.sliding)))
    key = splits.space.order_key[level].tolist()
    fixed = sorted((d for d in range(len(key)) if key[d] < len(key)), key=lambda d: key[d])
    return splits.temporal(level), tuple(spaces), tuple(fixed)
