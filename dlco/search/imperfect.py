"""Mappings of a whole network on one machine refined by imperfect factors, which need not divide the bounds.

The search of each group of layers begins with the mappings given; the choice of one mapping a layer is the network's,
as everywhere (`choose`), and never worse than what was given.
"""

from collections.abc import Callable, Iterator, Sequence
from collections.abc import Mapping as Dict
from dataclasses import dataclass, replace

import torch

from dlco.design.budget import SAME
from dlco.errors import InvalidInput
from dlco.hardware.architecture import Architecture, Machine
from dlco.hardware.constraints import Constraints
from dlco.hardware.space import as_space
from dlco.mapping.mapping import Mapping, MappingBatch
from dlco.search.factor_moves import FactorMoves, random_factors
from dlco.search.group import Group, make_groups
from dlco.search.items import Deal, Items, Pairs
from dlco.search.local_search import Effort, local_search
from dlco.search.score import Score, choose, rate_of
from dlco.search.table import UNFIT, MappingTable
from dlco.workload.layer import Layer

SLICE = 8192  # mappings evaluated at once: their rows stay near the caches
CHOSEN = ("factors", "order", "spatial_order")
TURNS = 2  # searches of the whole network; the second at the rate of the first one's result
EFFORT = Effort(rounds=150, patience=30, population=8, neighbours=64, islands=4)


def refine(
    layers: Sequence[Layer],
    architecture: Architecture,
    mappings: Dict[str, Mapping],
    score: Score,
    generator: torch.Generator,
    effort: Effort | None = None,
    constraints: Constraints | None = None,
    *,
    keep: Callable[[dict[str, Mapping]], None] = lambda mappings: None,
    tick: Callable[[float], None] = lambda share: None,
) -> tuple[dict[str, Mapping], int]:
    """Imperfect mappings that serve the network better than the given ones, or those themselves.

    Args:
        layers: the network.
        architecture: the machine.
        mappings: where to start, perfect or imperfect, by layer name; all of them valid.
        score: what counts.
        generator: source of randomness.
        effort: how long to search; `EFFORT` by default.
        constraints: what is fixed of the mappings.
        keep: told the best mappings whenever better ones are found, also where `KeyboardInterrupt` ends the search.
        tick: told the share of the work done.

    Returns:
        (mappings by layer name, how many were evaluated). `dlco.evaluate` says what they cost; the
        network never has more layers over their own limits than at the start, and as many only with no worse score.

    Raises:
        InvalidInput: a mapping keeps other dataspaces than the constraints let it.
    """
    effort = effort or EFFORT
    groups = make_groups(layers, architecture, constraints=constraints)
    space = as_space(architecture)
    searches = []
    for group in (group.to(generator.device) for group in groups):
        machines = space.machines_at(torch.zeros(len(group.layers), 0, dtype=torch.long, device=generator.device))
        searches.append(_Search(group, machines, score, effort, generator, mappings))
    best = _Network.of(searches, score, architecture.tensors().area_mm2)

    def improve() -> None:
        nonlocal best
        better = best.improved([search.found for search in searches])
        if better is not best:
            best = better
            keep(named())

    def named() -> dict[str, Mapping]:
        results: dict[str, Mapping] = {}
        for search, part in zip(searches, best.parts, strict=True):
            results |= search.mappings(part)
        return {layer.name: results[layer.name] for layer in layers}

    try:
        for turn in range(TURNS):
            for g, search in enumerate(searches):
                for share in search.run(best.parts[g], best.rate):
                    tick((turn + (g + share) / len(searches)) / TURNS)
            improve()
    except KeyboardInterrupt:
        improve()
        raise
    return named(), sum(search.evaluated for search in searches)


@dataclass(frozen=True)
class _Network:
    """One mapping for every layer.

    Attributes:
        parts: for each group the mappings `[layers, 1]`.
        score: what counts; `counts`: `[layers]` executions; `deadlines`: `[layers, 1]` cycles; `area_mm2`: `[1]`.
    """

    parts: list[MappingTable]
    score: Score
    counts: torch.Tensor
    deadlines: torch.Tensor
    area_mm2: torch.Tensor

    @staticmethod
    def of(searches: "Sequence[_Search]", score: Score, area_mm2: torch.Tensor) -> "_Network":
        """The mappings that the searches start from."""
        deadlines = torch.cat([search.deadlines for search in searches])[:, None] * (1 + SAME)
        counts = torch.cat([search.group.counts.cpu() for search in searches])
        return _Network([search.start for search in searches], score, counts, deadlines, area_mm2[None])

    @property
    def totals(self) -> tuple[torch.Tensor, torch.Tensor]:
        """(energy pJ, cycles), scalars."""
        energy, cycles = (torch.cat([getattr(p, name)[:, 0] for p in self.parts]) for name in ("energy_pj", "cycles"))
        return (energy * self.counts).sum(), (cycles * self.counts).sum()

    @property
    def rate(self) -> float:
        """PJ a cycle, the unit of prices."""
        return float(rate_of(*self.totals))

    @property
    def rank(self) -> tuple[int, float]:
        """How many layers take more cycles than they may, and the score; lower is better."""
        late = torch.cat([part.cycles for part in self.parts]) > self.deadlines
        return int(late.sum()), float(self.score(*self.totals, self.area_mm2))

    def improved(self, found: Sequence[MappingTable]) -> "_Network":
        """The best choice of one mapping a layer among its own and those found, where that is better; else this.

        Args:
            found: for each group `[layers, candidates]`.
        """
        trial = [MappingTable.join(pair, 1) for pair in zip(self.parts, found, strict=True)]
        energy, cycles, merit = (
            torch.cat([getattr(part, name) for part in trial]) for name in ("energy_pj", "cycles", "merit")
        )
        fits = merit < UNFIT
        in_time = fits & (cycles <= self.deadlines)
        fits = torch.where(in_time.any(1, keepdim=True), in_time, fits)
        picked = choose(self.score, energy[None], cycles[None], fits[None], self.counts, self.area_mm2)[0][0]
        rows = picked.split([len(part.merit) for part in trial])
        chosen = replace(self, parts=[part.pick(row[:, None]) for part, row in zip(trial, rows, strict=True)])
        return chosen if chosen.rank < self.rank else self


def to_tables(mappings: Dict[str, Mapping]) -> dict[str, dict[str, torch.Tensor]]:
    """What a search chose of mappings, by layer name, for a `Journal`."""
    batches = {name: mapping.batch() for name, mapping in mappings.items()}
    return {name: {chosen: getattr(batch, chosen) for chosen in CHOSEN} for name, batch in batches.items()}


def from_tables(tables: Dict[str, Dict[str, torch.Tensor]], like: Dict[str, Mapping]) -> dict[str, Mapping]:
    """The inverse of `to_tables`, for mappings of the same layers on the same levels as `like`."""
    return {
        name: replace(
            like[name].batch(), factors=of["factors"], order=of["order"], spatial_order=of["spatial_order"]
        ).mapping()
        for name, of in tables.items()
    }


class _Search:
    """One group of layers on one machine.

    Attributes:
        group: the layers.
        deadlines: `[layers]` cycles; `start`: `[layers, 1]` the given mappings; both on the CPU.
        evaluated: mappings evaluated so far.
    """

    def __init__(
        self,
        group: Group,
        machines: Machine,
        score: Score,
        effort: Effort,
        generator: torch.Generator,
        mappings: Dict[str, Mapping],
    ) -> None:
        self.group, self.machines, self.score = group, machines, score
        self.effort, self.generator = effort, generator
        self.layer = torch.arange(len(group.layers), device=generator.device)
        self.deadlines = score.deadlines(group.layers)
        self.start = self._begun = self._given(mappings)
        self.evaluated = len(group.layers)
        self._parts: list[MappingTable] = []  # of items, as far as they are searched
        self._each = effort.islands * score.prices(torch.ones(1))[0].shape[1]  # items of a layer

    def _given(self, mappings: Dict[str, Mapping]) -> MappingTable:
        mine = [mappings[layer.name] for layer in self.group.layers]
        for layer, mapping in zip(self.group.layers, mine, strict=True):
            if mapping.bypass != self.group.space.bypass:
                raise InvalidInput(f"bypass of the mapping of {layer.name!r} is not that of the constraints")
        batch = MappingBatch.stack(mine, device=self.layer.device)
        place = batch.order.argsort(-1).to(torch.int8)
        free = torch.full(self.layer.shape, torch.inf, dtype=torch.float64, device=self.layer.device)
        items = Items(self.layer, self.machines.select(self.layer[:, None]), torch.ones_like(free), free, free)
        return FactorMoves(self.group, items).assess(batch.factors[:, None], place[:, None]).to("cpu")

    def run(self, start: MappingTable, rate: float) -> Iterator[float]:
        """Search from mappings `[layers, 1]` at a rate, pJ a cycle; yields the share done."""
        self._begun, self._parts = start, []
        device, effort = self.layer.device, self.effort
        rates = torch.full(self.layer.shape, rate, dtype=torch.float64, device=device)
        pairs = Pairs(self.layer, self.machines, *self.score.prices(rates), self.deadlines.to(device))
        deal = pairs.deal(effort.islands)
        factors, position = self._starts(start.to(device), deal)
        width = max(1, SLICE // (effort.population * effort.neighbours))
        for first in range(0, len(factors), width):
            rows = slice(first, first + width)
            moves = FactorMoves(self.group, deal.items(rows))
            begun = moves.assess(factors[rows], position[rows])
            climbed, evaluated = local_search(moves, begun, effort, self.generator)
            self.evaluated += begun.merit.numel() + evaluated
            self._parts.append(climbed.to("cpu"))
            yield min(1.0, (first + width) / len(factors))

    @property
    def found(self) -> MappingTable:
        """`[layers, candidates]` what the last search has found so far, on the CPU.

        Items not yet searched have the mapping that their layer began with, all over.
        """
        done, n = sum(len(part.merit) for part in self._parts), self.effort.population
        left = self._begun.each(
            lambda table: table.repeat_interleave(self._each, 0)[done:].expand(-1, n, *table.shape[2:])
        )
        return MappingTable.join([*self._parts, left], 0).side_by_side(len(self.layer), each=self._each)

    def mappings(self, best: MappingTable) -> dict[str, Mapping]:
        """The mappings `[layers, 1]` of the group by layer name."""
        group = self.group
        batch = MappingBatch(
            group.space.problem.dimensions,
            group.space.levels,
            group.space.bypass,
            best.coding[:, 0],
            best.position[:, 0].long().argsort(-1),
            group.space.spatial_order.cpu().expand(len(group.layers), -1, -1),
        )
        return {layer.name: batch.mapping(i) for i, layer in enumerate(group.layers)}

    def _starts(self, start: MappingTable, deal: Deal) -> tuple[torch.Tensor, torch.Tensor]:
        """A population for each item: the given mapping first; on all islands but the first the others are random."""
        layer, n = self.layer[deal.pair], self.effort.population
        fresh = (deal.island > 0)[:, None] & (torch.arange(n, device=layer.device) > 0)
        factors, position = random_factors(self.group, layer, n, self.generator)
        factors = torch.where(fresh[..., None, None, None], factors, start.coding[layer])
        position = torch.where(fresh[..., None, None], position, start.position[layer])
        return FactorMoves(self.group, deal.items()).settled(factors, position)
