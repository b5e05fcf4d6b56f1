"""`evaluate()`: what a mapping costs on a machine, for one mapping or for millions."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import torch

from dlco.cost.accesses import Accesses, Kept, count_accesses, partition_sizes
from dlco.cost.arithmetic import EXACT, SMOOTH, WHOLE, Arithmetic, Exact, total
from dlco.cost.forwarding import Supply, supply
from dlco.cost.nest import Nest, Position, Row, is_one, product
from dlco.cost.performance import Performance, kept_table, performance
from dlco.cost.rules import DEFAULT_RULES, CountingRules
from dlco.cost.shape import Shape, compile_problem
from dlco.errors import InvalidInput
from dlco.hardware.architecture import Architecture, Machine
from dlco.mapping.checks import check_mapping
from dlco.mapping.mapping import Mapping, MappingBatch
from dlco.workload.layer import Layer
from dlco.workload.problem import Problem, check_countable, most_words

Axes = Sequence[tuple[bool, bool]]  # for each level, whether there may be loops over its children along X and Y

CHUNK = 65536  # mappings evaluated at once: enough for threads to share, few enough to stay near the caches


@dataclass(frozen=True)
class Counts:
    """Accesses per instance of a level, words. All `[..., levels, spaces]`, 0 where a level bypasses.

    Integers, exact to the last digit, where the factors are: in a `Mapping`, and in a batch of int64. Else of the
    factors' type, and float64 has gaps beyond 2^53.

    Attributes:
        reads, fills, updates: as Timeloop counts them.
        partition: share of the tensor that an instance sees.
        tile: words of the tile kept.
        instances: `[..., levels]` instances in use.
    """

    reads: torch.Tensor
    fills: torch.Tensor
    updates: torch.Tensor
    partition: torch.Tensor
    tile: torch.Tensor
    instances: torch.Tensor

    @property
    def address_generations(self) -> torch.Tensor:
        """Reads and fills of what is only read, updates and fills of what is written, `[..., levels, spaces]`."""
        return self.fills + torch.where(self.updates > 0, self.updates, self.reads)


@dataclass(frozen=True)
class Cost:
    """What an execution costs. Totals are `[...]`, one a mapping.

    Attributes:
        cycles: clock cycles; `level_cycles`: `[..., levels]` of what each level's bandwidth alone would need.
        energy_pj: total, pJ. Its parts: `access_pj` `[..., levels, spaces]`, `leak_pj` `[..., levels]`, `mac_pj`.
        latency_s: seconds. `power_w`: energy over latency, W. `edp`: energy times cycles, pJ x cycles.
        area_mm2: of the machine, mm2.
        utilization: MACs done over MACs that the machine could have done.
        valid: whether the factors multiply to the bounds and every tile and fan-out fits.
        counts: accesses behind the energy.
    """

    cycles: torch.Tensor
    energy_pj: torch.Tensor
    latency_s: torch.Tensor
    area_mm2: torch.Tensor
    utilization: torch.Tensor
    valid: torch.Tensor
    level_cycles: torch.Tensor
    access_pj: torch.Tensor
    leak_pj: torch.Tensor
    mac_pj: torch.Tensor
    counts: Counts

    @property
    def power_w(self) -> torch.Tensor:
        """Mean power, W, `[...]`."""
        return self.energy_pj * 1e-12 / self.latency_s

    @property
    def edp(self) -> torch.Tensor:
        """Energy-delay product, pJ x cycles, `[...]`."""
        return self.energy_pj * self.cycles


@dataclass(frozen=True)
class Totals:
    """The part of `Cost` that a search ranks by, all `[...]`.

    Attributes:
        cycles: clock cycles.
        energy_pj: pJ.
        overflow: by how much, as a share of what there is, tiles and fan-outs exceed the machine, added up.
    """

    cycles: torch.Tensor
    energy_pj: torch.Tensor
    overflow: torch.Tensor

    @property
    def valid(self) -> torch.Tensor:
        """Whether every tile and fan-out fits."""
        return self.overflow <= 0


def evaluate(
    layer: Layer | Problem,
    architecture: Architecture | Machine,
    mapping: Mapping | MappingBatch,
    rules: CountingRules = DEFAULT_RULES,
    arithmetic: Arithmetic | None = None,
) -> Cost:
    """What `mapping` costs on `architecture`, for one execution of `layer`.

    Args:
        layer: the work.
        architecture: a machine, or its numbers as a `Machine` whose leading dimensions broadcast against the
            mapping's (then the mapping's `bypass` alone says what each level keeps).
        mapping: one mapping (checked), or a batch of shape `[...]` (not checked; see `Cost.valid`). A batch whose
            factors are int64 is counted in int64, as a single mapping is; but not with neighbour forwarding, which
            shares words out in floating point as Timeloop does.
        rules: how transfers are counted.
        arithmetic: `EXACT` for integer factors, `SMOOTH` for real ones; by default exact where all factors are
            integers and carry no gradient.

    Returns:
        A `Cost` with leading dimensions `[...]` (none for a single mapping). Gradients flow to the factors and to
        every number of the machine.

    Raises:
        InvalidMapping: a single mapping does not fit the layer or the architecture.
        InvalidInput: the batch does not have the layer's dimensions or the machine's levels, or the layer is so large
            that counts of it could exceed 64 bits.

    Examples:
        >>> layer = dlco.matmul("mm", M=2, K=3, N=4)
        >>> machine = dlco.Architecture((dlco.Level("buffer"), dlco.Level("DRAM", "DRAM")))
        >>> ones, order = ((1, 1, 1, 1),) * 2, (("N", "K", "M", "B"),) * 2
        >>> keeps = (frozenset(),) * 2
        >>> mapping = dlco.Mapping(
        ...     ("B", "M", "K", "N"), ("buffer", "DRAM"), ((1, 1, 3, 4), (1, 2, 1, 1)), ones, ones, order, order, keeps
        ... )
        >>> cost = dlco.evaluate(layer, machine, mapping)
        >>> cost.cycles.item()
        24.0
        >>> cost.counts.reads[1].tolist()  # from DRAM: weights stay while M steps, sums are written only
        [12, 6, 0]
    """
    _check_arguments(layer, architecture, mapping, rules)
    problem = layer.problem if isinstance(layer, Layer) else layer
    if isinstance(mapping, Mapping):
        if isinstance(architecture, Architecture):
            check_mapping(problem, architecture, mapping)
        check_countable(problem)
        mapping = mapping.batch(torch.int64)
    whole, mapping = mapping, _real(mapping)
    machine, bypasses = _machine(architecture, mapping)
    if mapping.dimensions != problem.dimensions:
        raise InvalidInput(f"mapping has dimensions {mapping.dimensions}; the problem has {problem.dimensions}")
    if machine.capacity.shape[-1] != len(mapping.levels):
        raise InvalidInput(f"mapping has {len(mapping.levels)} levels; the machine has {machine.capacity.shape[-1]}")
    factors = mapping.factors
    if arithmetic is None:
        integral = not factors.requires_grad and bool((factors == factors.round()).all())
        arithmetic = EXACT if integral else SMOOTH
    shape = compile_problem(problem)
    kept = kept_table([space.name for space in problem.dataspaces], bypasses)
    supplies = _supplies(problem, machine, mapping) if rules.neighbour_forwarding else None
    batch = torch.broadcast_shapes(mapping.batch_shape, machine.capacity.shape[:-1])
    place = positions(mapping.order)
    nest = build_nest(shape, factors, place)
    accesses = count_accesses(nest, kept, rules, arithmetic, supplies)
    spent = performance(nest, machine, accesses, arithmetic)
    bounds = torch.tensor(problem.bounds, dtype=machine.mac_pj.dtype, device=machine.mac_pj.device)
    covered = ((factors.flatten(-3, -2).prod(-2) - bounds).abs() < 1e-6 * bounds).all(-1)
    dtype, counted = machine.mac_pj.dtype, nest
    if whole is not mapping and isinstance(arithmetic, Exact) and supplies is None:
        check_countable(problem)
        dtype = torch.int64
        if not _whole_in_float64(problem):
            counted, arithmetic = build_nest(shape, whole.factors, place), WHOLE
            accesses = count_accesses(counted, kept, rules, WHOLE)
    counts = tabulate_counts(kept, batch, counted, counted, accesses, arithmetic, dtype)
    return tabulate(machine, kept, batch, nest, counts, spent, covered)


def _check_arguments(layer: object, architecture: object, mapping: object, rules: object) -> None:
    for name, value, kinds in (
        ("layer", layer, (Layer, Problem)),
        ("architecture", architecture, (Architecture, Machine)),
        ("mapping", mapping, (Mapping, MappingBatch)),
        ("rules", rules, (CountingRules,)),
    ):
        if not isinstance(value, kinds):
            raise InvalidInput(
                f"{name} is {value!r}; it must be a dlco.{' or a '.join(kind.__name__ for kind in kinds)}"
            )


def evaluate_totals(
    shape: Shape,
    machine: Machine,
    kept: Kept,
    factors: torch.Tensor,
    position: torch.Tensor | Sequence[Sequence[int]],
    rules: CountingRules = DEFAULT_RULES,
    arithmetic: Arithmetic = EXACT,
    axes: Axes | None = None,
) -> Totals:
    """Cycles, energy and fit of a batch, as fast as they can be had.

    Args:
        shape: compiled problem (of one layer, or of several alike with coefficients that broadcast).
        machine: its leading dimensions broadcast against the batch.
        kept: `[levels][spaces]` whether a level keeps a dataspace.
        factors: `[..., levels, 3, dims]`, taken to multiply to the bounds.
        position: `[..., levels, dims]` place of each temporal loop in its level, or one such table for the batch.
        rules: what is kept when a tile moves.
        arithmetic: exact or smooth.
        axes: which spatial loops there may be; all, where it is not given.
    """
    if rules.neighbour_forwarding:
        raise InvalidInput("neighbour_forwarding is True; only evaluate() counts it, not its fast forms for batches")
    nest = build_nest(shape, factors, position, axes)
    accesses = count_accesses(nest, kept, rules, arithmetic)
    spent = performance(nest, machine, accesses, arithmetic)
    batch = torch.broadcast_shapes(factors.shape[:-3], machine.capacity.shape[:-1])
    rows = (spent.cycles, spent.energy_pj, overflow(nest, machine, kept))
    return Totals(*(row.expand(batch) for row in rows))


def evaluate_many(
    problem: Problem,
    architecture: Architecture,
    batch: MappingBatch,
    rules: CountingRules = DEFAULT_RULES,
    chunk: int = CHUNK,
) -> Totals:
    """Exact `Totals` of a batch `[n]` of integer mappings, a cache-sized chunk at a time.

    Factors are taken to multiply to the bounds, and to be 1 along axes without fan-out (as `MapSpace` makes them);
    `evaluate` checks that too. Factors whose batch dimension is the innermost in memory are read without a copy.
    Where all orders of the batch are the same the order is taken as fixed, which is several times faster.
    """
    shape = compile_problem(problem)
    machine, bypasses = _machine(architecture, batch)
    kept = kept_table([space.name for space in problem.dataspaces], bypasses)
    axes = [(x > 1, y > 1) for x, y in zip(machine.fanout_x.tolist(), machine.fanout_y.tolist(), strict=True)]
    same = len(batch.order) > 0 and bool((batch.order == batch.order[:1]).all())
    shared = positions(batch.order[0]).tolist() if same else None
    parts = []
    with torch.no_grad():
        for start in range(0, len(batch.factors), chunk):
            rows = slice(start, start + chunk)
            place = positions(batch.order[rows]) if shared is None else shared
            parts.append(evaluate_totals(shape, machine, kept, batch.factors[rows], place, rules, axes=axes))
    return Totals(*(torch.cat([getattr(part, f.name) for part in parts]) for f in fields(Totals)))


def positions(order: torch.Tensor) -> torch.Tensor:
    """Place of every dimension in an order: the inverse permutation, `[..., levels, dims]` of int8."""
    places = torch.arange(order.shape[-1], dtype=torch.int8, device=order.device).expand(order.shape)
    return torch.empty_like(order, dtype=torch.int8).scatter_(-1, order, places)


def build_nest(
    shape: Shape,
    factors: torch.Tensor,
    position: torch.Tensor | Sequence[Sequence[int]],
    axes: Axes | None = None,
) -> Nest:
    """The rows of a batch of factors `[..., levels, 3, dims]`; see `Nest`.

    Spatial loops along axes that `axes` denies are left out (their factors are taken to be 1).
    """
    levels = factors.shape[-3]
    live = frozenset(shape.live)
    axes = axes or [(True, True)] * levels
    rows = factors.movedim((-3, -2, -1), (0, 1, 2))
    if factors.dim() > 3 and not factors.requires_grad and rows.stride(-1) != 1:
        rows = rows.contiguous()  # the batch's values of one loop side by side in memory

    def loops(level: int, slot: int, there: bool = True) -> tuple[Row, ...]:
        return tuple(rows[level, slot, d] if there and d in live else 1.0 for d in range(shape.dims))

    place: tuple[tuple[Position, ...], ...]
    if isinstance(position, torch.Tensor):
        turned = position.to(torch.int8).movedim((-2, -1), (0, 1)).contiguous()
        place = tuple(tuple(turned[lv, d] for d in range(shape.dims)) for lv in range(levels))
    else:
        place = tuple(tuple(row) for row in position)
    return Nest(
        shape,
        temporal=tuple(loops(lv, 0) for lv in range(levels)),
        spatial=tuple((loops(lv, 1, x), loops(lv, 2, y)) for lv, (x, y) in enumerate(axes)),
        position=place,
    )


def occupancies(nest: Nest, machine: Machine, kept: Kept) -> list[torch.Tensor]:
    """What tiles and fan-outs use as a share of what there is, a `[...]` row each; none may exceed 1."""
    shares = []
    for level in range(nest.levels):
        x, y = (product(axis) for axis in nest.spatial[level])
        for used, there in ((x, machine.fanout_x[..., level]), (y, machine.fanout_y[..., level])):
            if not is_one(used):
                shares.append(used / there)
        room = machine.capacity[..., level]
        tiles = [torch.as_tensor(nest.words[level][s]) for s in range(len(kept[level])) if kept[level][s]]
        if tiles and not bool(torch.isinf(room).all()):
            shares.append(total(tiles) / room)
    return shares


def overflow(nest: Nest, machine: Machine, kept: Kept) -> torch.Tensor:
    """By how much `occupancies` exceed 1, added up, `[...]`; 0 where all fits."""
    return total(
        [torch.zeros_like(machine.mac_pj), *((share - 1).clamp(min=0) for share in occupancies(nest, machine, kept))]
    )


def tabulate(
    machine: Machine,
    kept: Kept,
    batch: torch.Size,
    sized: Nest,
    counts: Counts,
    spent: Performance,
    covered: torch.Tensor,
) -> Cost:
    """The `Cost` of a batch of shape `batch` from its rows.

    Args:
        machine: its leading dimensions broadcast against the batch.
        kept: `[levels][spaces]` whether a level keeps a dataspace.
        batch: leading dimensions of the result.
        sized: the loops whose tiles and fan-outs must fit.
        counts: accesses behind the energies.
        spent: cycles and energies.
        covered: BoolTensor `[...]`, whether the loops do all the work.
    """
    rows = _Rows(batch, machine.mac_pj.dtype, machine.mac_pj.device)
    cycles, energy = rows.full(spent.cycles), rows.full(spent.energy_pj)
    return Cost(
        cycles=cycles,
        energy_pj=energy,
        latency_s=cycles * machine.cycle_s,
        area_mm2=rows.full(machine.area_mm2),
        utilization=rows.full(product(sized.tile[-1])) / machine.macs / cycles,
        valid=(overflow(sized, machine, kept) <= 0).expand(batch) & covered,
        level_cycles=rows.column(spent.level_cycles),
        access_pj=rows.table(spent.level_pj),
        leak_pj=rows.column(spent.leak_pj),
        mac_pj=rows.full(spent.mac_pj),
        counts=counts,
    )


def tabulate_counts(
    kept: Kept,
    batch: torch.Size,
    nest: Nest,
    sized: Nest,
    accesses: Accesses,
    arithmetic: Arithmetic,
    dtype: torch.dtype,
) -> Counts:
    """The `Counts` of a batch of shape `batch` from its rows.

    Args:
        kept: `[levels][spaces]` whether a level keeps a dataspace.
        batch: leading dimensions of the result.
        nest: the loops that `accesses` were counted on.
        sized: the loops whose tiles must fit.
        accesses: per instance.
        arithmetic: that of the rows.
        dtype: of the result.
    """
    rows = _Rows(batch, dtype, nest.one.device)
    mask = torch.tensor(kept, dtype=dtype, device=nest.one.device)
    return Counts(
        reads=rows.table(accesses.reads),
        fills=rows.table(accesses.fills),
        updates=rows.table(accesses.updates),
        partition=rows.table(partition_sizes(nest, arithmetic)) * mask,
        tile=rows.table(sized.words) * mask,
        instances=rows.column(nest.instances),
    )


@dataclass(frozen=True)
class _Rows:
    """Rows as tensors of one shape, type and device."""

    batch: torch.Size
    dtype: torch.dtype
    device: torch.device

    def full(self, row: Row) -> torch.Tensor:
        return torch.as_tensor(row, dtype=self.dtype, device=self.device).expand(self.batch)

    def column(self, rows: Sequence[Row]) -> torch.Tensor:
        return torch.stack([self.full(row) for row in rows], dim=-1)

    def table(self, rows: Sequence[Sequence[Row]]) -> torch.Tensor:
        return torch.stack([self.column(row) for row in rows], dim=-2)


def _whole_in_float64(problem: Problem) -> bool:
    """Whether float64 holds every count, and the product of two tensors' words that shares of them begin with."""
    return all(max(most_words(problem, space), problem.words(space) ** 2) <= 2**53 for space in problem.dataspaces)


def _real(mapping: MappingBatch) -> MappingBatch:
    """The batch itself, or one of integers with its factors in float64."""
    if mapping.factors.is_floating_point():
        return mapping
    return replace(mapping, factors=mapping.factors.to(torch.float64))


def _machine(architecture: Architecture | Machine, mapping: MappingBatch) -> tuple[Machine, Sequence[frozenset[str]]]:
    if isinstance(architecture, Machine):
        return architecture, mapping.bypass
    if len(architecture.levels) != len(mapping.levels):
        raise InvalidInput(f"mapping has {len(mapping.levels)} levels; the machine has {len(architecture.levels)}")
    machine = architecture.tensors(mapping.factors.dtype, mapping.factors.device)
    return machine, [own | lv.bypass for own, lv in zip(mapping.bypass, architecture.levels, strict=True)]


def _supplies(problem: Problem, machine: Machine, batch: MappingBatch) -> list[list[Supply]]:
    if batch.factors.requires_grad:
        raise InvalidInput("neighbour_forwarding is True with real factors; it is defined on integer mappings only")
    if machine.capacity.dim() > 1:
        raise InvalidInput("neighbour_forwarding is True with a batch of machines; it takes one machine at a time")
    return supply(problem, batch, [int(x) for x in machine.fanout_x.tolist()])
