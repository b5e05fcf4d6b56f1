"""Other tools' mappings in dlco's terms: loop nests over storage levels, so that one exact model judges them all."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product
from math import inf, prod
from typing import Any

import dlco
from dlco import Architecture, Layer, Level, Mapping
from dlco.cost.cost import Cost
from dlco.cost.model import evaluate
from dlco.hardware import split
from dlco.mapping.factors import divisors

OPERANDS = frozenset({"Weights", "Inputs", "Outputs"})
Loops = list[tuple[str, int]]


class NotExpressible(Exception):
    """The mapping is no loop nest of whole factors over the machine's levels; the message says why."""


def row_stationary(layer: Layer, architecture: Architecture, scheme: dict[str, Any]) -> Iterator[Mapping]:
    """Every loop nest on register file, buffer and memory that nn-dataflow's row-stationary scheme may stand for.

    In each PE one filter row meets one input row; R runs down the array and P along it, what is left of the array
    takes further P, C and M. The solver's blocks are the temporal loops over C, M and folds of P. It does not say
    where among them a row's pixels Q run (its model holds one pixel's sums in the register file, and takes them to
    stay there while other loops step): each part of Q in the register file and each place outside it for the rest
    gives one nest. Where its steps do not divide a dimension, the last one is cut short.

    Raises:
        NotExpressible: the filter's rows do not fit the array.
    """
    bounds = layer.problem.sizes
    whole = {dim: prod(block[dim] for block in scheme["factors"]) for dim in "CMP"}
    side_by_side = {dim: -(-bounds[dim] // done) for dim, done in whole.items()}
    array = architecture.levels[1]
    along = {"P": divisors(side_by_side["P"], array.fanout_x)[-1]}
    room = array.fanout_x // along["P"]
    for along["M"] in (divisors(side_by_side["M"], room)[-1], min(side_by_side["M"], room)):
        down = {dim: -(-n // along.get(dim, 1)) for dim, n in side_by_side.items()} | {"R": bounds["R"]}
        if prod(down.values()) <= array.fanout_y:
            break
    if prod(down.values()) > array.fanout_y:
        raise NotExpressible(f"its array is {prod(down.values())} PEs high, the machine's {array.fanout_y}")
    outer, middle, inner = scheme["factors"]
    for held in divisors(bounds["Q"]):
        for level, place in product((1, 2), range(4)):
            rest = bounds["Q"] // held
            temporal = [inner | {"S": bounds["S"], "Q": held}, middle | {"Q": 1}, outer | {"Q": 1}]
            temporal[level]["Q"] = rest
            orders = [["S", "Q", *"CMP"], list(scheme["orders"][1]), list(scheme["orders"][0])]
            orders[level].insert(place, "Q")
            yield Mapping(
                dimensions=layer.problem.dimensions,
                levels=tuple(one.name for one in architecture.levels),
                temporal=tuple(_row(layer, factors) for factors in temporal),
                spatial_x=tuple(_row(layer, factors) for factors in ({}, along, {})),
                spatial_y=tuple(_row(layer, factors) for factors in ({}, down, {})),
                order=tuple(_order(layer, order) for order in orders),
                spatial_order=(layer.problem.dimensions,) * 3,
                bypass=(frozenset(), frozenset(scheme["bypass"]), frozenset()),
            )


def best_cost(layer: Layer, architecture: Architecture, mappings: Iterator[Mapping]) -> Cost:
    """The cost of the mapping of least EDP among those that fit, in dlco's exact model.

    Raises:
        NotExpressible: none fits; with the first one's reason.
    """
    costs, reasons = [], []
    for mapping in mappings:
        try:
            costs.append(evaluate(layer, architecture, mapping))
        except dlco.InvalidMapping as error:
            reasons.append(str(error))
    if not costs:
        raise NotExpressible(reasons[0])
    return min(costs, key=lambda cost: float(cost.edp))


def uneven(layer: Layer, architecture: Architecture, found: dict[str, Any]) -> tuple[Architecture, Mapping]:
    """What zigzag found, where each operand has its own place for each level's boundary in one order of loops.

    Such a nest is a mapping on the machine with its memories taken apart by operand (`dlco.hardware.split`), whose
    parts share each memory's room; a register file's part may stand outside the buffer's of another operand. Where the
    loops between two boundaries have a dimension twice, a level that keeps nothing carries the inner ones.

    Returns:
        That machine and the mapping on it.

    Raises:
        NotExpressible: factors multiply to less than a bound.
    """
    dims = {"K": "M", "C": "C", "FY": "R", "FX": "S", "OY": "P", "OX": "Q", "B": "N"}
    operands = {"W": "Weights", "I": "Inputs", "O": "Outputs"}
    stacks = {operands[key]: levels for key, levels in found["temporal"].items()}
    (loops,) = {tuple((dims[d], n) for level in levels for d, n in level) for levels in stacks.values()}
    spatial = [{dims[d]: round(n) for d, n in found["spatial"].get(axis, ())} for axis in ("D1", "D2")]
    for dim, bound in layer.problem.sizes.items():
        made = prod(n for d, n in loops if d == dim) * prod(axis.get(dim, 1) for axis in spatial)
        if made < bound:
            raise NotExpressible(f"factors of {dim} multiply to {made}, its bound is {bound}")
    register, buffer, _ = architecture.levels
    cuts = sorted(
        (sum(len(level) for level in stack[: inside + 1]), inside, name)
        for name, stack in stacks.items()
        for inside in (0, 1)
    )
    order = [((register, buffer)[inside].name, name) for _, inside, name in cuts]
    inputs = order.index((register.name, "Inputs"))
    fan = next(name for level, name in order[inputs:] if level == buffer.name)  # outside the tiles with windows
    apart = split(architecture, order, {buffer.name: fan})
    levels: list[Level] = []
    blocks: list[Loops] = []
    start = 0
    for level, end in zip(apart.levels, [*(cut[0] for cut in cuts), len(loops)], strict=True):
        *early, last = _segments(loops[start:end])
        levels += [_empty(len(levels) + i) for i in range(len(early))] + [level]
        blocks += [*early, last]
        start = end
    names = [level.memory or level.name for level in levels]
    inside_out = [level.name for level in architecture.levels]
    machine = replace(
        apart,
        levels=tuple(levels),
        memories=(*inside_out, *(name for name in names if name not in inside_out)),
    )
    fanned = [level.children > 1 for level in levels]
    along, down = ([axis if there else {} for there in fanned] for axis in spatial)
    mapping = Mapping(
        dimensions=layer.problem.dimensions,
        levels=tuple(level.name for level in levels),
        temporal=tuple(_row(layer, dict(block)) for block in blocks),
        spatial_x=tuple(_row(layer, factors) for factors in along),
        spatial_y=tuple(_row(layer, factors) for factors in down),
        order=tuple(_order(layer, [dim for dim, _ in block]) for block in blocks),
        spatial_order=(layer.problem.dimensions,) * len(levels),
        bypass=(frozenset(),) * len(levels),
    )
    return machine, mapping


def _segments(block: Sequence[tuple[str, int]]) -> list[Loops]:
    """A block of loops cut where a dimension comes again: a level has each but once. At least one, maybe empty."""
    segments: list[Loops] = [[]]
    for dim, n in block:
        if any(dim == other for other, _ in segments[-1]):
            segments.append([])
        segments[-1].append((dim, n))
    return segments


def _empty(index: int) -> Level:
    """A level that keeps nothing, to carry loops."""
    return Level(f"loops_{index}", capacity=inf, bypass=OPERANDS)


def _row(layer: Layer, factors: dict[str, int]) -> tuple[int, ...]:
    return tuple(factors.get(dim, 1) for dim in layer.problem.dimensions)


def _order(layer: Layer, innermost: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys([*innermost, *layer.problem.dimensions]))
