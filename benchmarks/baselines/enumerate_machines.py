"""One enumeration for many machines that differ in capacities and in the energy and leakage of their memories.

Fan-outs, bandwidths and block sizes decide what a mapping does, and how long; capacities only whether it fits, and
energies enter linearly. So each mapping is reduced to a row of numbers, the same for all the machines: its cycles,
the energy that no machine changes, its accesses at every unit cost that differs between machines, and which of the
capacities there are it needs at each level. A row that another is nowhere above can be no machine's best choice;
what is left is a short table, from which any machine's unbeaten mappings are one matrix product away.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from math import inf

import torch

from dlco.cost.accesses import Accesses, count_accesses
from dlco.cost.arithmetic import EXACT
from dlco.cost.nest import Nest
from dlco.cost.performance import performance
from dlco.design.dominance import unbeaten
from dlco.design.objective import Objective
from dlco.errors import InvalidInput
from dlco.exact.combine import combine
from dlco.exact.enumerate import LIMIT, Batch, Listing
from dlco.hardware.architecture import Architecture, Machine
from dlco.hardware.constraints import Constraints
from dlco.mapping.mapping import Mapping
from dlco.mapping.rules import DEFAULT_RULES
from dlco.workload.layer import Layer, check_layers
from dlco.workload.problem import Problem

SHARED = ("fanout_x", "fanout_y", "read_bandwidth", "write_bandwidth", "shared_bandwidth", "block_size", "mac_pj")
ELITE = 64  # rows that every new batch is held against first
POOL = 30_000  # rows gathered before they are held against each other


@dataclass(frozen=True)
class Optima:
    """The optimum of every machine.

    Attributes:
        energy_pj, cycles: of the network, `[machines]`, float64; infinite where some layer has no mapping that fits.
        mappings: for each machine by layer name; empty where there are none.
        evaluated: mappings looked at.
        rows: rows of all layers' tables after reduction.
    """

    energy_pj: torch.Tensor
    cycles: torch.Tensor
    mappings: tuple[dict[str, Mapping], ...]
    evaluated: int
    rows: int


@dataclass(frozen=True)
class UnitCosts:
    """What differs between machines.

    Attributes:
        fixed: `[levels, 4]` pJ a read, fill, update and leaking cycle of an instance where all machines agree, else 0.
        column: `[levels, 4]` the column of accesses at a unit cost that differs, -1 where none does.
        table: `[columns, machines]` those unit costs.
        rooms: for each level its distinct usable capacities, ascending.
    """

    fixed: torch.Tensor
    column: torch.Tensor
    table: torch.Tensor
    rooms: tuple[torch.Tensor, ...]

    @staticmethod
    def of(machines: Machine) -> "UnitCosts":
        """Those of machines of batch shape `[machines]`."""
        table = torch.stack([machines.read_pj, machines.write_pj, machines.update_pj, machines.leak_pj], -1).movedim(
            0, -1
        )
        same = (table == table[..., :1]).all(-1)
        differing = table[~same]
        unit_costs, inverse = differing.unique(dim=0, return_inverse=True)
        column = torch.full(same.shape, -1, dtype=torch.long)
        column[~same] = inverse
        rooms = tuple(machines.capacity[:, level].unique() for level in range(machines.capacity.shape[1]))
        return UnitCosts(torch.where(same, table[..., 0], 0.0), column, unit_costs.view(-1, table.shape[-1]), rooms)


def enumerate_machines(
    layers: Iterable[Layer],
    base: Architecture,
    machines: Machine,
    objective: str = "edp",
    constraints: Constraints | None = None,
    *,
    limit: int = LIMIT,
) -> Optima:
    """The best mappings of a network on each of many machines, with one enumeration a layer.

    Args:
        layers: the network.
        base: names, bypasses and everything that the machines share.
        machines: the machines `[machines]`, on the CPU, such as `HardwareSpace.machine(sizes)` gives.
        objective: "latency", "energy" or "edp" of the whole network.
        constraints: what is fixed of the mappings.
        limit: the most mappings of a layer to look at.

    Raises:
        InvalidInput: another objective, machines that differ in fan-outs, bandwidths, block sizes or the MACs' energy,
            more mappings than `limit`, or constraints that do not fit.
    """
    net = check_layers(layers)
    if objective not in ("latency", "energy", "edp"):
        raise InvalidInput(f"objective is {objective!r}; over many machines it must be latency, energy or edp")
    for name in SHARED:
        values = getattr(machines, name)
        if not bool((values == values[:1]).all()):
            raise InvalidInput(f"{name} of the machines differ; machines of one enumeration must share it")
    unit_costs = UnitCosts.of(machines)
    largest = machines.capacity.amax(0).tolist()
    roomy = replace(
        base,
        levels=tuple(
            replace(level, capacity=room, multiple_buffering=1.0, fanout_x=int(x), fanout_y=int(y))
            for level, room, x, y in zip(
                base.levels, largest, machines.fanout_x[0].tolist(), machines.fanout_y[0].tolist(), strict=True
            )
        ),
    )
    first = machines.select(torch.tensor(0))
    tables: dict[Problem, tuple[Listing, Rows]] = {}
    for layer in net:
        if layer.problem not in tables:
            listing = Listing(layer.problem, roomy, constraints, slow=False, limit=limit)
            tables[layer.problem] = listing, _reduced(listing, first, unit_costs)
    found = [_optimum(net, tables, machines, unit_costs, m, objective) for m in range(len(machines.mac_pj))]
    return Optima(
        torch.tensor([energy for energy, _, _ in found], dtype=torch.float64),
        torch.tensor([cycles for _, cycles, _ in found], dtype=torch.float64),
        tuple(mappings for _, _, mappings in found),
        sum(listing.size for listing, _ in tables.values()),
        sum(len(rows.costs) for _, rows in tables.values()),
    )


@dataclass(frozen=True)
class Rows:
    """Mappings as rows `[n, 2 + columns + levels]`: cycles, fixed pJ, accesses by unit cost, capacities needed by rank.

    `index` `[n]` and `order` `[n, levels - 1]` name the mappings in their listing.
    """

    costs: torch.Tensor
    index: torch.Tensor
    order: torch.Tensor

    def pick(self, rows: torch.Tensor) -> "Rows":
        """Some of the rows."""
        return Rows(self.costs[rows], self.index[rows], self.order[rows])

    @staticmethod
    def join(parts: list["Rows"]) -> "Rows":
        """Rows one after the other."""
        return Rows(*(torch.cat([getattr(p, name) for p in parts]) for name in ("costs", "index", "order")))


def undominated(costs: torch.Tensor) -> torch.Tensor:
    """Indices of the rows `[n, k]` of which no other is nowhere above, one of equals."""
    left = (costs / costs.amax(0).clamp(min=1e-30)).sum(-1).argsort(stable=True) if len(costs) else torch.arange(0)
    costs = costs[left]
    kept = [left[:0]]
    while len(left):  # no row can be dominated by one whose sum is larger
        kept.append(left[:1])
        others = (~(costs >= costs[0]).all(-1)).nonzero().flatten()
        left, costs = left[others], costs[others]
    return torch.cat(kept)


def _reduced(listing: Listing, machine: Machine, unit_costs: UnitCosts) -> Rows:
    """The rows of all mappings that no other row dominates."""
    levels = len(listing.orders)
    empty = torch.zeros(0, dtype=torch.long)
    best = Rows(
        torch.zeros(0, 2 + len(unit_costs.table) + levels + 1, dtype=torch.float64), empty, empty.view(0, levels)
    )
    pool: list[Rows] = []
    held = 0
    with torch.no_grad():
        for batch in listing.batches():
            new = _rows(listing, batch, machine, unit_costs)
            for strong in best.costs[:ELITE]:
                new = new.pick((~(new.costs >= strong).all(-1)).nonzero().flatten())
            pool.append(new)
            held += len(new.index)
            if held > POOL or not len(best.index):
                best = Rows.join([best, *pool])
                best, pool, held = best.pick(undominated(best.costs)), [], 0
    best = Rows.join([best, *pool])
    return best.pick(undominated(best.costs))


def _rows(listing: Listing, batch: Batch, machine: Machine, unit_costs: UnitCosts) -> Rows:
    n = len(batch.index)
    nest = listing.splits.nest(batch.rows, batch.place)
    kept = listing.splits.kept
    accesses = count_accesses(nest, kept, DEFAULT_RULES, EXACT)
    spent = performance(nest, machine, kept, accesses, EXACT)
    columns = torch.zeros(len(unit_costs.table), n, dtype=torch.float64)
    fixed = torch.zeros(n, dtype=torch.float64) + torch.as_tensor(spent.mac_pj)
    for level in range(nest.levels):
        for action, used in enumerate(_used(nest, accesses, machine, spent.cycles, level)):
            if unit_costs.column[level, action] >= 0:
                columns[unit_costs.column[level, action]] += used
            else:
                fixed = fixed + used * unit_costs.fixed[level, action]
    needs = []
    for level, rooms in enumerate(unit_costs.rooms):
        words = sum(
            (torch.as_tensor(w) for w, keep in zip(nest.words[level], kept[level], strict=True) if keep),
            torch.zeros(()),
        )
        rank = torch.searchsorted(rooms, words.to(torch.float64).expand(n).contiguous())
        needs.append(rank.to(torch.float64))
    costs = torch.stack([spent.cycles.expand(n), fixed, *columns, *needs], 1)
    return Rows(costs, batch.index, torch.tensor([batch.order], dtype=torch.long).expand(n, -1))


def _used(nest: Nest, accesses: Accesses, machine: Machine, cycles: torch.Tensor, level: int) -> list[torch.Tensor]:
    """Accesses of all instances of a level (reads, fills, updates), and its instances' cycles."""
    instances, block = torch.as_tensor(nest.instances[level]), machine.block_size[level]
    sums = []
    for table in (accesses.reads, accesses.fills, accesses.updates):
        words = [row for row in table[level] if isinstance(row, torch.Tensor)]
        sums.append(sum(((row / block).ceil() for row in words), torch.zeros(())) * instances)
    return [*sums, cycles * instances]


def _optimum(
    net: tuple[Layer, ...],
    tables: dict[Problem, tuple[Listing, Rows]],
    machines: Machine,
    unit_costs: UnitCosts,
    m: int,
    objective: str,
) -> tuple[float, float, dict[str, Mapping]]:
    """(energy pJ, cycles, mappings) of one machine."""
    ranks = torch.stack([torch.searchsorted(r, machines.capacity[m, lv]) for lv, r in enumerate(unit_costs.rooms)])
    width = len(unit_costs.table)
    fronts: dict[Problem, tuple[torch.Tensor, torch.Tensor, torch.Tensor]] = {}
    for problem, (_, rows) in tables.items():
        fits = (rows.costs[:, 2 + width :] <= ranks).all(-1).nonzero().flatten()
        costs = rows.costs[fits]
        energy = costs[:, 1] + costs[:, 2 : 2 + width] @ unit_costs.table[:, m]
        keep = unbeaten(energy, costs[:, 0]) if len(fits) else fits
        fronts[problem] = energy[keep], costs[keep, 0], fits[keep]
    picked = [fronts[layer.problem] for layer in net]
    point = combine([e for e, _, _ in picked], [t for _, t, _ in picked], [x.count for x in net], Objective(objective))
    if point is None:
        return inf, inf, {}
    mappings = {}
    for layer, (_, _, keep), chosen in zip(net, picked, point.chosen, strict=True):
        listing, table = tables[layer.problem]
        one = keep[chosen : chosen + 1]
        mappings[layer.name] = listing.mappings(table.index[one], table.order[one])[0]
    return point.energy_pj, point.cycles, mappings
