"""`evaluate()`: what a mapping costs on a machine, for one mapping or for millions."""

from collections.abc import Sequence
from dataclasses import fields, replace

import torch

from dlco.cost.accesses import count_accesses
from dlco.cost.arithmetic import EXACT, INTEGRAL, SMOOTH, Arithmetic, Exact
from dlco.cost.cost import Cost, Totals
from dlco.cost.crossing import crossing_of
from dlco.cost.executed import executed_cost
from dlco.cost.forwarding import Supply, supply
from dlco.cost.hops import with_hops, without_meshes
from dlco.cost.imperfect import imperfect_cost, imperfect_nests, imperfect_performance
from dlco.cost.nest import Axes, Nest, build_nest, positions
from dlco.cost.performance import performance
from dlco.cost.shape import Shape, bounds_row, compile_problem
from dlco.cost.sparse import Zeros
from dlco.cost.tabulate import overflow, tabulate, tabulate_counts
from dlco.errors import InvalidInput, NotSupported
from dlco.hardware.architecture import Architecture, Machine
from dlco.mapping.checks import check_mapping
from dlco.mapping.kept import Kept, kept_table, machine_of
from dlco.mapping.mapping import Mapping, MappingBatch
from dlco.mapping.rules import DEFAULT_RULES, CountingRules
from dlco.workload.density import DENSE, Density
from dlco.workload.layer import Layer
from dlco.workload.problem import Problem, check_countable, most_words

CHUNK = 65536  # mappings evaluated at once: enough for threads to share, few enough to stay near the caches


def evaluate(
    layer: Layer | Problem,
    architecture: Architecture | Machine,
    mapping: Mapping | MappingBatch,
    rules: CountingRules = DEFAULT_RULES,
    arithmetic: Arithmetic | None = None,
    density: Density = DENSE,
) -> Cost:
    """What `mapping` costs on `architecture`, for one execution of `layer`.

    Args:
        layer: the work.
        architecture: a machine, or its numbers as a `Machine` whose leading dimensions broadcast against the
            mapping's (then the mapping's `bypass` alone says what each level keeps).
        mapping: one mapping (checked), or a batch of shape `[...]` (not checked; see `Cost.valid`). A batch whose
            factors are int64 is counted in int64, as a single mapping is; but not with neighbour forwarding, which
            shares words out in floating point as Timeloop does. Where whole factors multiply to more than a bound
            (imperfect factors) the last tile is cut short: under the default rules counts are then means over the
            instances of a level, in float64 (`dlco.cost.imperfect`), under Timeloop's they are its own integers
            (`dlco.cost.executed`). That is decided once for a batch; its perfect mappings cost the same either way.
        rules: how transfers are counted. Timeloop's count hops over meshes (`dlco.cost.hops`), of an architecture; a
            `Machine` has their reach and step alone, as all other rules do.
        arithmetic: `EXACT` for integer factors, `SMOOTH` for real ones; by default exact where all factors are
            integers and carry no gradient.
        density: of the operands, and what the machine makes of zeros; words, cycles and energies are then those to be
            expected (`dlco.cost.sparse`).

    Returns:
        A `Cost` with leading dimensions `[...]` (none for a single mapping). Gradients flow to the factors and to
        every number of the machine.

    Raises:
        InvalidMapping: a single mapping does not fit the layer or the architecture.
        InvalidInput: the batch does not have the layer's dimensions or the machine's levels, or the layer is so large
            that counts of it could exceed 64 bits.
        NotSupported: imperfect factors under other rules than the default and Timeloop's; with zeros, neighbour
            forwarding; with zeros or memories in parts, meshes under Timeloop's rules.

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
    if rules.restart == "timeloop" and isinstance(architecture, Architecture) and architecture.is_meshed:
        return _meshed_cost(problem, architecture, mapping, rules, arithmetic, density)
    if isinstance(architecture, Architecture):
        architecture = machine_of(problem, architecture, mapping)
    if isinstance(mapping, Mapping):
        if isinstance(architecture, Architecture):
            check_mapping(problem, architecture, mapping)
        check_countable(problem)
        mapping = mapping.batch(torch.int64)
    given, mapping = mapping, _real(mapping)
    machine, kept = _machine(architecture, mapping, problem)
    zeros = _zeros(problem, architecture, rules, density)
    if mapping.dimensions != problem.dimensions:
        raise InvalidInput(f"mapping has dimensions {mapping.dimensions}; the problem has {problem.dimensions}")
    if machine.capacity.shape[-1] != len(mapping.levels):
        raise InvalidInput(f"mapping has {len(mapping.levels)} levels; the machine has {machine.capacity.shape[-1]}")
    factors = mapping.factors
    integral = not factors.requires_grad and bool((factors == factors.round()).all())
    if arithmetic is None:
        arithmetic = EXACT if integral else SMOOTH
    bounds = bounds_row(problem, machine.mac_pj)
    if not (integral and isinstance(arithmetic, Exact) and bool((mapping.reach > bounds).any())):
        return _perfect_cost(problem, machine, kept, given, mapping, rules, arithmetic, zeros)
    if zeros is not None and rules != DEFAULT_RULES:
        raise NotSupported(
            f"factors multiply to more than a bound, there are zeros, and rules are {rules}; that is counted under the "
            "default rules alone"
        )
    if machine.parts and rules != DEFAULT_RULES:
        raise NotSupported(
            f"factors multiply to more than a bound, and rules are {rules}; memories in parts are then counted under "
            "the default rules alone"
        )
    if rules.restart == "timeloop":
        return executed_cost(problem, machine, kept, mapping, rules.neighbour_forwarding)
    if rules != DEFAULT_RULES:
        raise NotSupported(
            f"factors multiply to more than a bound, and rules are {rules}; then only the default rules and "
            "Timeloop's are defined"
        )
    return imperfect_cost(problem, machine, kept, mapping, zeros)


def _meshed_cost(
    problem: Problem,
    architecture: Architecture,
    mapping: Mapping | MappingBatch,
    rules: CountingRules,
    arithmetic: Arithmetic | None,
    density: Density,
) -> Cost:
    """What mappings cost on a machine with meshes under Timeloop's rules."""
    if not density.is_dense:
        raise NotSupported(f"there are zeros, rules are {rules}, and networks are meshes; give the default rules")
    if architecture.is_split:
        raise NotSupported("memories are in parts, and networks are meshes; Timeloop has no uneven mappings")
    plain = evaluate(problem, without_meshes(architecture), mapping, rules, arithmetic)
    batch = mapping.batch(torch.int64) if isinstance(mapping, Mapping) else mapping
    return with_hops(plain, problem, architecture, batch, kept_table(problem, architecture, batch.bypass), rules)


def _perfect_cost(
    problem: Problem,
    machine: Machine,
    kept: Kept,
    given: MappingBatch,
    mapping: MappingBatch,
    rules: CountingRules,
    arithmetic: Arithmetic,
    zeros: Zeros | None,
) -> Cost:
    """What mappings cost whose factors multiply to the bounds.

    `given` is the batch before its integers became real numbers; `zeros` is None where operands are dense.
    """
    shape, bounds = compile_problem(problem), bounds_row(problem, machine.mac_pj)
    if machine.parts and rules.neighbour_forwarding:
        raise NotSupported("rules have neighbour_forwarding; memories in parts are counted without it")
    supplies = _supplies(problem, machine, mapping) if rules.neighbour_forwarding else None
    batch = torch.broadcast_shapes(mapping.batch_shape, machine.capacity.shape[:-1])
    place = positions(mapping.order)
    crossing = crossing_of(shape, machine, kept)
    nest = build_nest(shape, mapping.factors, place, crossing=crossing)
    accesses = count_accesses(nest, kept, rules, arithmetic, supplies)
    if zeros is not None:
        accesses, nest = zeros.left(accesses, kept), zeros.thin(nest)
    spent = performance(nest, machine, kept, accesses, arithmetic)
    covered = ((mapping.reach - bounds).abs() < 1e-6 * bounds).all(-1)
    dtype, counted = machine.mac_pj.dtype, nest
    if given is not mapping and isinstance(arithmetic, Exact) and supplies is None and zeros is None:
        check_countable(problem)
        dtype = torch.int64
        if not _whole_in_float64(problem):
            counted, arithmetic = build_nest(shape, given.factors, place, crossing=crossing), INTEGRAL
            accesses = count_accesses(counted, kept, rules, INTEGRAL)
    counts = tabulate_counts(kept, batch, counted, counted, accesses, arithmetic, dtype)
    return tabulate(machine, kept, batch, nest, counts, spent, covered)


def _zeros(
    problem: Problem, architecture: Architecture | Machine, rules: CountingRules, density: Density
) -> Zeros | None:
    """What zeros change; None where there are none."""
    if not isinstance(density, Density):
        raise InvalidInput(f"density is {density!r}; it must be a dlco.simulate.Density")
    if density.is_dense:
        return None
    if rules.neighbour_forwarding:
        raise NotSupported("rules have neighbour_forwarding, and there are zeros; words are then counted without it")
    if not isinstance(architecture, Architecture):
        raise InvalidInput("density is below 1, and architecture is a Machine, of no word widths; give an Architecture")
    return Zeros(problem, density, tuple(level.word_bits for level in architecture.levels))


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
    bounds: torch.Tensor | None = None,
) -> Totals:
    """Cycles, energy and fit of a batch, as fast as they can be had.

    Args:
        shape: compiled problem (of one layer, or of several alike with coefficients that broadcast).
        machine: its leading dimensions broadcast against the batch.
        kept: `[levels][spaces]` whether a level keeps a dataspace.
        factors: `[..., levels, 3, dims]`, taken to multiply to the bounds, or to cover them where they are given.
        position: `[..., levels, dims]` place of each temporal loop in its level, or one such table for the batch.
        rules: what is kept when a tile moves.
        arithmetic: exact or smooth.
        axes: which spatial loops there may be; all, where it is not given.
        bounds: `[..., dims]` of the problem, where whole factors may multiply to more (the last tiles are cut short);
            only under the default rules, and exact.
    """
    if rules.neighbour_forwarding:
        raise InvalidInput("neighbour_forwarding is True; only evaluate() counts it, not its fast forms for batches")
    sized: Nest
    if bounds is None:
        sized = build_nest(shape, factors, position, axes, crossing_of(shape, machine, kept))
        spent = performance(sized, machine, kept, count_accesses(sized, kept, rules, arithmetic), arithmetic)
    else:
        sized, mean, busy = imperfect_nests(shape, factors, position, bounds, axes)
        _, spent = imperfect_performance(mean, busy, machine, kept)
    batch = torch.broadcast_shapes(factors.shape[:-3], machine.capacity.shape[:-1])
    rows = (spent.cycles, spent.energy_pj, overflow(sized, machine, kept))
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
    if rules.restart == "timeloop" and architecture.is_meshed:
        raise NotSupported(f"rules are {rules}, and networks are meshes; only evaluate() counts their hops")
    shape = compile_problem(problem)
    machine, kept = _machine(architecture, batch, problem)
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


def _whole_in_float64(problem: Problem) -> bool:
    """Whether float64 holds every count, and the product of two tensors' words that shares of them begin with."""
    return all(max(most_words(problem, space), problem.words(space) ** 2) <= 2**53 for space in problem.dataspaces)


def _real(mapping: MappingBatch) -> MappingBatch:
    """The batch itself, or one of integers with its factors in float64."""
    if mapping.factors.is_floating_point():
        return mapping
    return replace(mapping, factors=mapping.factors.to(torch.float64))


def _machine(architecture: Architecture | Machine, mapping: MappingBatch, problem: Problem) -> tuple[Machine, Kept]:
    """The machine's numbers and `[levels][spaces]` whether a level keeps a dataspace."""
    if isinstance(architecture, Machine):
        return architecture, kept_table(problem, None, mapping.bypass)
    if len(architecture.levels) != len(mapping.levels):
        raise InvalidInput(f"mapping has {len(mapping.levels)} levels; the machine has {len(architecture.levels)}")
    machine = architecture.tensors(mapping.factors.dtype, mapping.factors.device)
    return machine, kept_table(problem, architecture, mapping.bypass)


def _supplies(problem: Problem, machine: Machine, batch: MappingBatch) -> list[list[Supply]]:
    if batch.factors.requires_grad:
        raise InvalidInput("neighbour_forwarding is True with real factors; it is defined on integer mappings only")
    if machine.capacity.dim() > 1:
        raise InvalidInput("neighbour_forwarding is True with a batch of machines; it takes one machine at a time")
    return supply(problem, batch, [int(x) for x in machine.fanout_x.tolist()])
