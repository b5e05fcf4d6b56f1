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
from dlco.mapping.factors import divisors
from dlco.mapping.tiles import tile_words

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

    Such a nest is an even one on a machine where every level stands once an operand, at the price of the one level
    (`judge` sees that they fit it together). Bandwidths inside are unlimited in this comparison, so nothing else
    tells the machines apart.

    Returns:
        That machine and the mapping on it.

    Raises:
        NotExpressible: factors do not multiply to the bounds, or the array would lie both inside and outside a level.
    """
    dims = {"K": "M", "C": "C", "FY": "R", "FX": "S", "OY": "P", "OX": "Q", "B": "N"}
    operands = {"W": "Weights", "I": "Inputs", "O": "Outputs"}
    stacks = {operands[key]: levels for key, levels in found["temporal"].items()}
    (loops,) = {tuple((dims[d], n) for level in levels for d, n in level) for levels in stacks.values()}
    spatial = [{dims[d]: round(n) for d, n in found["spatial"].get(axis, ())} for axis in ("D1", "D2")]
    for dim, bound in layer.problem.sizes.items():
        made = prod(n for d, n in loops if d == dim) * prod(axis.get(dim, 1) for axis in spatial)
        if made != bound:
            raise NotExpressible(f"factors of {dim} multiply to {made}, its bound is {bound}")
    register, buffer, memory = architecture.levels
    ends = {name: (len(stack[0]), len(stack[0]) + len(stack[1])) for name, stack in stacks.items()}
    inside = sorted((end[0], name) for name, end in ends.items())
    outside = sorted((end[1], name) for name, end in ends.items())
    if inside[-1][0] > outside[0][0]:
        raise NotExpressible("a register file's tile reaches beyond another operand's tile in the buffer")
    levels: list[Level] = []
    blocks: list[Loops] = []

    def close(level: Level, start: int, end: int) -> int:
        """Put the loops from `start` to `end` into `level`, and into empty ones inside it where a dimension recurs."""
        *early, last = _segments(loops[start:end])
        levels.extend(_empty(len(levels) + i) for i in range(len(early)))
        levels.append(level)
        blocks.extend([*early, last])
        return end

    done = 0
    for end, name in inside:
        done = close(_copy(register, name), done, end)
    array = len(levels)  # the first level outside the array
    for end, name in outside:
        done = close(_copy(buffer, name), done, end)
    close(memory, done, len(loops))
    levels[array] = replace(levels[array], fanout_x=buffer.fanout_x, fanout_y=buffer.fanout_y)
    along, down = ([axis if i == array else {} for i in range(len(levels))] for axis in spatial)
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
    return replace(architecture, levels=tuple(levels)), mapping


def judge(layer: Layer, physical: Architecture, machine: Architecture, mapping: Mapping) -> Cost:
    """The mapping's cost in dlco's exact model, once its tiles are seen to fit the physical levels together.

    Raises:
        NotExpressible: they do not.
        dlco.InvalidMapping: a single level, or the array, is too small for it.
    """
    tiles = tile_words(layer.problem, mapping)
    for level in physical.levels:
        copies = [one for one in machine.levels if one.name.startswith(f"{level.name}_")]
        if copies:
            kept = [(one.name, name) for one in copies for name in tiles[one.name] if name not in one.bypass]
            needed = sum(tiles[copy][name] for copy, name in kept)
            if needed > level.usable_capacity:
                raise NotExpressible(f"tiles at {level.name} need {needed} words of {level.usable_capacity:.0f}")
    return dlco.evaluate(layer, machine, mapping)


def _segments(block: Sequence[tuple[str, int]]) -> list[Loops]:
    """A block of loops cut where a dimension comes again: a level has each but once. At least one, maybe empty."""
    segments: list[Loops] = [[]]
    for dim, n in block:
        if any(dim == other for other, _ in segments[-1]):
            segments.append([])
        segments[-1].append((dim, n))
    return segments


def _copy(level: Level, operand: str) -> Level:
    """A level that keeps one operand alone, without the array below it."""
    return replace(level, name=f"{level.name}_{operand}", bypass=OPERANDS - {operand}, fanout_x=1, fanout_y=1)


def _empty(index: int) -> Level:
    """A level that keeps nothing, to carry loops."""
    return Level(f"loops_{index}", capacity=inf, bypass=OPERANDS)


def _row(layer: Layer, factors: dict[str, int]) -> tuple[int, ...]:
    return tuple(factors.get(dim, 1) for dim in layer.problem.dimensions)


def _order(layer: Layer, innermost: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys([*innermost, *layer.problem.dimensions]))
