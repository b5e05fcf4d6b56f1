"""Local search over imperfect factors: whole numbers that cover each bound instead of dividing it.

A mapping is a table of factors, brought to a normal form: going outwards no factor is larger than the number of tiles
it counts, nor than the number that leaves as many tiles for the loops further out, and the outermost temporal loop
counts what is left. So every table stands for one mapping that covers its bounds, and a move may change any factor.

As in `local_search`, an item is one layer at one price of time with a small population of its own, and all items of
a group of layers go through the cost model together.
"""

from collections.abc import Callable, Iterator, Sequence
from collections.abc import Mapping as Dict
from dataclasses import dataclass, fields, replace

import torch

from dlco.cost.model import evaluate_totals
from dlco.cost.shape import Shape
from dlco.errors import InvalidInput
from dlco.hardware.architecture import Architecture, Machine
from dlco.hardware.constraints import Constraints
from dlco.mapping.mapping import SPATIAL_X, SPATIAL_Y, TEMPORAL, Mapping, MappingBatch
from dlco.mapping.mapspace import AXES
from dlco.search.group import Group, make_groups
from dlco.search.local_search import UNFIT, Effort, best_of, merit_of
from dlco.search.score import Score, choose, rate_of
from dlco.workload.layer import Layer

SLICE = 8192  # mappings evaluated at once: their rows stay near the caches
PRIMES = (2.0, 2.0, 3.0, 5.0, 7.0)
CHOSEN = ("factors", "order", "spatial_order")
TURNS = 2  # searches of the whole network; the second at the rate of the first one's result
EFFORT = Effort(rounds=150, patience=30, population=8, neighbours=64, islands=4)


@dataclass(frozen=True)
class Tables:
    """Mappings of every item, best first.

    Attributes:
        factors: `[items, n, levels, 3, dims]`; `position`: `[items, n, levels, dims]`.
        energy_pj, cycles, merit: `[items, n]`; merit is from `UNFIT` where the mapping does not fit.
    """

    factors: torch.Tensor
    position: torch.Tensor
    energy_pj: torch.Tensor
    cycles: torch.Tensor
    merit: torch.Tensor

    def pick(self, index: torch.Tensor) -> "Tables":
        """The mappings `index` `[items, k]` of each item."""
        rows = torch.arange(len(index), device=index.device)[:, None]
        return self.each(lambda table: table[rows, index])

    def each(self, change: Callable[[torch.Tensor], torch.Tensor]) -> "Tables":
        """The same change to all tensors."""
        return Tables(*(change(getattr(self, f.name)) for f in fields(self)))

    @staticmethod
    def join(parts: Sequence["Tables"], dim: int) -> "Tables":
        """Tables one after the other, of items (0) or of mappings (1)."""
        return Tables(*(torch.cat([getattr(part, f.name) for part in parts], dim) for f in fields(Tables)))


@dataclass(frozen=True)
class Terms:
    """What the items `[items]` of one group are searched for.

    Attributes:
        layer: position of the layer in its group.
        price: pJ that a cycle is worth; `cap`: pJ a cycle above which a mapping is charged for being too fast.
        deadline: cycles above which it is charged for being late.
    """

    layer: torch.Tensor
    price: torch.Tensor
    cap: torch.Tensor
    deadline: torch.Tensor

    def slice(self, start: int, stop: int) -> "Terms":
        """Items `start` to `stop`."""
        return Terms(*(getattr(self, f.name)[start:stop] for f in fields(self)))


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
        (mappings by layer name, how many were evaluated). `dlco.evaluate` prices them; the
        network never has more layers over their own limits than at the start, and as many only with no worse score.

    Raises:
        InvalidInput: a mapping keeps other dataspaces than the constraints let it.
    """
    effort = effort or EFFORT
    machine = architecture.tensors(device=generator.device)
    groups = make_groups(layers, architecture, constraints=constraints)
    searches = [_Search(group.to(generator.device), machine, generator, mappings) for group in groups]
    best = _Network.of(searches, score, machine.area_mm2.cpu())

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
                for share in search.run(best.parts[g], score, best.rate, effort):
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

    parts: list[Tables]
    score: Score
    counts: torch.Tensor
    deadlines: torch.Tensor
    area_mm2: torch.Tensor

    @staticmethod
    def of(searches: "Sequence[_Search]", score: Score, area_mm2: torch.Tensor) -> "_Network":
        """The mappings that the searches start from."""
        layers = [layer for search in searches for layer in search.group.layers]
        counts = torch.tensor([float(layer.count) for layer in layers], dtype=torch.float64)
        limits = [score.budget.layer_limit(layer.name) / score.cycle_s * (1 + 1e-9) for layer in layers]
        deadlines = torch.tensor(limits, dtype=torch.float64)[:, None]
        return _Network([search.start for search in searches], score, counts, deadlines, area_mm2[None])

    @property
    def totals(self) -> tuple[torch.Tensor, torch.Tensor]:
        """(energy pJ, cycles), scalars."""
        energy = torch.cat([part.energy_pj[:, 0] for part in self.parts])
        cycles = torch.cat([part.cycles[:, 0] for part in self.parts])
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

    def improved(self, found: Sequence[Tables]) -> "_Network":
        """The best choice of one mapping a layer among its own and those found, where that is better; else this.

        Args:
            found: for each group `[layers, candidates]`.
        """
        trial = [Tables.join(pair, 1) for pair in zip(self.parts, found, strict=True)]
        width = max(part.merit.shape[1] for part in trial)
        # a group whose search has not begun has fewer: some of them again
        trial = [part.pick(torch.arange(width).expand(len(part.merit), -1) % part.merit.shape[1]) for part in trial]
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


class _Search:
    """One group of layers on one machine.

    Attributes:
        group: the layers.
        start: `[layers, 1]` the given mappings, on the CPU.
        evaluated: mappings evaluated so far.
    """

    def __init__(
        self, group: Group, machine: Machine, generator: torch.Generator, mappings: Dict[str, Mapping]
    ) -> None:
        self.group, self.machine, self.generator = group, machine, generator
        self.evaluated = 0
        device = group.bounds.device
        self.open = torch.zeros(
            len(group.layers), group.levels * len(AXES), group.dims, dtype=torch.bool, device=device
        )
        self.open[:, group.slot_cell] = group.open_slots
        self.limits = group.space.limits.to(device, torch.float64)
        self.start = self._begin = self._given(mappings)
        self._parts: list[Tables] = []
        self._each = 1

    def _given(self, mappings: Dict[str, Mapping]) -> Tables:
        mine = [mappings[layer.name] for layer in self.group.layers]
        for layer, mapping in zip(self.group.layers, mine, strict=True):
            if mapping.bypass != self.group.space.bypass:
                raise InvalidInput(f"bypass of the mapping of {layer.name!r} is not that of the constraints")
        batch = MappingBatch.stack(mine, device=self.group.bounds.device)
        place = batch.order.argsort(-1).to(torch.int8)
        n = len(self.group.layers)
        free = torch.full((n,), torch.inf, dtype=torch.float64, device=place.device)
        terms = Terms(torch.arange(n, device=place.device), torch.ones_like(free), free, free)
        return self._assess(terms, batch.factors[:, None], place[:, None]).each(torch.Tensor.cpu)

    def run(self, start: Tables, score: Score, rate: float, effort: Effort) -> Iterator[float]:
        """Search from mappings `[layers, 1]` at a rate, pJ a cycle; yields the share done."""
        self._begin, self._parts = start, []
        prices, caps = score.prices(torch.tensor([rate], dtype=torch.float64))
        axes = (len(self.group.layers), effort.islands, prices.shape[1])
        self._each = axes[1] * axes[2]
        device = self.group.bounds.device
        layer, island, price = (
            axis.flatten() for axis in torch.meshgrid(*(torch.arange(n, device=device) for n in axes), indexing="ij")
        )
        limits = [score.budget.layer_limit(one.name) / score.cycle_s for one in self.group.layers]
        deadline = torch.tensor(limits, dtype=torch.float64, device=device)[layer]
        terms = Terms(layer, prices[0].to(device)[price], caps[0].to(device)[price], deadline)
        factors, position = self._starts(start.each(lambda table: table.to(device)), layer, island, effort.population)
        width = max(1, SLICE // (effort.population * effort.neighbours))
        for first in range(0, len(layer), width):
            rows = slice(first, first + width)
            some = terms.slice(first, first + width)
            climbed = self._climb(some, self._assess(some, factors[rows], position[rows]), effort)
            self._parts.append(climbed.each(torch.Tensor.cpu))
            yield min(1.0, (first + width) / len(layer))

    @property
    def found(self) -> Tables:
        """`[layers, candidates]` what the last search has found so far, on the CPU.

        A layer whose items have not all been searched has the mapping that it began with, all over.
        """
        if not self._parts:
            return self._begin
        items = Tables.join(self._parts, 0)
        layers, width = len(items.merit) // self._each, self._each * items.merit.shape[1]
        done = items.each(lambda table: table[: layers * self._each].reshape(layers, width, *table.shape[2:]))
        left = self._begin.each(lambda table: table[layers:].expand(-1, width, *table.shape[2:]))
        return Tables.join([done, left], 0)

    def mappings(self, best: Tables) -> dict[str, Mapping]:
        """The mappings `[layers, 1]` of the group by layer name."""
        group = self.group
        batch = MappingBatch(
            group.space.problem.dimensions,
            group.space.levels,
            group.space.bypass,
            best.factors[:, 0],
            best.position[:, 0].long().argsort(-1),
            group.space.spatial_order.cpu().expand(len(group.layers), -1, -1),
        )
        return {layer.name: batch.mapping(i) for i, layer in enumerate(group.layers)}

    def _starts(
        self, start: Tables, layer: torch.Tensor, island: torch.Tensor, n: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """`[items, n]` starts: the given mapping first; on all islands but the first the others are random."""
        factors = start.factors[layer].expand(-1, n, -1, -1, -1).clone()
        position = start.position[layer].expand(-1, n, -1, -1).clone()
        random = (self._draw(*factors.shape) * self.group.bounds[layer][:, None, None, None].log()).exp().floor()
        random = random * (self._draw(*factors.shape) < 0.4)
        fresh = (island > 0)[:, None] & (torch.arange(n, device=layer.device) > 0)
        factors = torch.where(fresh[..., None, None, None], random, factors)
        shuffled = self._draw(*position.shape).argsort(-1).to(position.dtype)
        position = torch.where(fresh[..., None, None], shuffled, position)
        return self._settled(layer, factors, position)

    def _climb(self, terms: Terms, tables: Tables, effort: Effort) -> Tables:
        """The best mappings of each item after rounds of neighbours."""
        stale = 0
        for _ in range(effort.rounds):
            before = tables.merit.amin(1)
            born = self._assess(terms, *self._neighbours(terms.layer, tables, effort.neighbours))
            both = Tables.join([tables, born], 1)
            tables = both.pick(best_of(both.merit, effort.population))
            stale = 0 if bool((tables.merit[:, 0] < before * (1 - 1e-9)).any()) else stale + 1
            if stale >= effort.patience:
                break
        return tables

    def _neighbours(self, layer: torch.Tensor, tables: Tables, each: int) -> tuple[torch.Tensor, torch.Tensor]:
        """`each` neighbours of every mapping: one or two factors changed, or two loops of a level, or both."""
        group = self.group
        factors = tables.factors.repeat_interleave(each, 1).flatten(2)
        position = tables.position.repeat_interleave(each, 1).flatten(-2)
        shape = factors.shape[:2]
        bound = group.bounds[layer]
        chance = self._draw(3, *shape)
        for turn in range(2):
            dim = group.live[(self._draw(*shape) * len(group.live)).long()]
            one, two = self._two_cells(dim)
            a, b = factors.gather(2, one[..., None])[..., 0], factors.gather(2, two[..., None])[..., 0]
            prime = torch.tensor(PRIMES, dtype=a.dtype, device=a.device)[(self._draw(*shape) * len(PRIMES)).long()]
            anything = (self._draw(*shape) * bound.gather(1, dim).log()).exp().round()
            kind = (self._draw(*shape) * 7).long()
            new_a = torch.stack([a + 1, a - 1, a * prime, (a / prime).ceil(), (a / prime).ceil(), b, anything])
            new_b = torch.stack([b, b, b, b, b * prime, a, b])
            active = (chance[0] < 0.85) & (chance[1] < (1.0, 0.4)[turn])
            kind = kind[None]
            a = torch.where(active, new_a.gather(0, kind)[0].clamp(min=1), a)
            b = torch.where(active, new_b.gather(0, kind)[0], b)
            factors.scatter_(2, two[..., None], b[..., None])
            factors.scatter_(2, one[..., None], a[..., None])
        reorder = (chance[0] >= 0.85) | (chance[2] < 0.25)
        level = (self._draw(*shape) * group.levels).long() * group.dims
        first = level + group.live[(self._draw(*shape) * len(group.live)).long()]
        second = level + group.live[(self._draw(*shape) * len(group.live)).long()]
        second = torch.where(reorder, second, first)
        places = position.gather(2, first[..., None]), position.gather(2, second[..., None])
        position.scatter_(2, first[..., None], places[1]).scatter_(2, second[..., None], places[0])
        return self._settled(
            layer,
            factors.view(*shape, group.levels, len(AXES), group.dims),
            position.view(*shape, group.levels, group.dims),
        )

    def _two_cells(self, dim: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Two places in flattened tables of factors where a dimension's loops may be, `[items, n]` each."""
        cells = self.group.slot_cell
        one, two = (cells[(self._draw(*dim.shape) * len(cells)).long()] * self.group.dims + dim for _ in range(2))
        return one, two

    def _settled(
        self, layer: torch.Tensor, factors: torch.Tensor, position: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Factors in normal form, 1 where no loop may be, and orders as constraints have them."""
        shut = ~self.open[layer][:, None].view(len(layer), 1, *factors.shape[2:])
        factors = normal_form(factors.masked_fill(shut, 1.0), self.group.bounds[layer][:, None])
        return factors, self.group.ordered(position)

    def _assess(self, terms: Terms, factors: torch.Tensor, position: torch.Tensor) -> Tables:
        group, layer = self.group, terms.layer
        shape: Shape = group.shape.select(layer[:, None])
        totals = evaluate_totals(
            shape, self.machine, group.kept, factors, position, axes=group.axes, bounds=group.bounds[layer][:, None]
        )
        self.evaluated += totals.cycles.numel()
        energy, cycles = totals.energy_pj.contiguous(), totals.cycles.contiguous()
        excess = totals.overflow + self._breach(layer, factors)
        columns = (row[:, None] for row in (terms.price, terms.cap, terms.deadline))
        return Tables(factors, position, energy, cycles, merit_of(energy, cycles, excess, *columns))

    def _breach(self, layer: torch.Tensor, factors: torch.Tensor) -> torch.Tensor:
        """By how much factors break the constraints, `[items, n]`; 0 where all hold."""
        spatial = factors[..., SPATIAL_X, :] * factors[..., SPATIAL_Y, :]
        by_kind = torch.stack([factors[..., TEMPORAL, :], spatial], -2)
        over = (by_kind / self.limits - 1).clamp(min=0)
        exact = self.group.exact[layer][:, None]
        wrong = torch.where(exact > 0, (by_kind / exact.clamp(min=1) - 1).abs(), 0.0)
        shut = (factors.flatten(2, 3) > 1) & ~self.open[layer][:, None]
        # a dimension on both axes of a level cannot be written down as YAML
        two_axes = ((factors[..., SPATIAL_X, :] > 1) & (factors[..., SPATIAL_Y, :] > 1)).flatten(2)
        return (over + wrong).flatten(2).sum(-1) + shut.flatten(2).sum(-1) + two_axes.sum(-1)

    def _draw(self, *shape: int) -> torch.Tensor:
        return torch.rand(*shape, generator=self.generator, device=self.group.bounds.device)
