"""A network's least energy + price x time: layers by themselves, machines by boxes of sizes.

On one machine the layers' bounds add up. Of free sizes every layer chooses its own within a box; the sum still bounds
the network, and boxes are cut in two where the layers disagree most, so that they choose within less. The least bound
of all boxes that cover the space bounds the network.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import count
from math import inf, sqrt

import numpy as np

from dlco.bound.branch import LayerBound, Leaf, bound_layer
from dlco.bound.compulsory import Floor
from dlco.bound.geometric import Array
from dlco.bound.program import Aim
from dlco.bound.terms import LayerTerms
from dlco.bound.unit_costs import UnitCosts, unit_costs
from dlco.hardware.space import HardwareSpace
from dlco.workload.layer import Layer

SAFETY = 1e-7  # share taken off every bound of a program, far above rounding errors of its evaluation
SMALLEST = 1e-30  # pJ; an energy below it is no scale for a program


@dataclass(frozen=True)
class NetworkBound:
    """What was proven.

    Attributes:
        value: no design's energy + price x time is below it; infinite where none keeps the limits.
        nodes: programs solved.
        closed: whether branching on mappings went as far as it can make a difference, in every box.
        layers: the loosest box's bound of each layer; none where there is no design.
        factors: for each layer that has them, the real factors, `[levels, 2, dims]` (temporal; X times Y), of the
            loosest node's solution: what a design at the bound would look like. Good mappings are often near it.
        terms: for each layer what `layers` rests on, the layer on the loosest box's machines.
    """

    value: float
    nodes: int
    closed: bool
    layers: tuple[LayerBound, ...] = ()
    factors: tuple[Array | None, ...] = ()
    terms: tuple[LayerTerms, ...] = ()


@dataclass(frozen=True)
class SizeBox:
    """Machines whose sizes lie between two positions, inclusive, of every parameter's grid."""

    low: tuple[int, ...]
    high: tuple[int, ...]


class NetworkBounding:
    """Bounds of one network on the machines of a space, for any prices of time.

    Args:
        layers: the network.
        space: the machines.
        floors: compulsory energy and cycles of each layer.
        imperfect: whether factors need not divide the bounds.
    """

    def __init__(
        self,
        layers: Sequence[Layer],
        space: HardwareSpace,
        floors: Sequence[Floor],
        imperfect: bool = False,
    ) -> None:
        self.layers, self.space, self.floors, self.imperfect = layers, space, floors, imperfect
        self.grids = [np.array(p.grid) for p in space.parameters]
        self.whole = SizeBox((0,) * len(self.grids), tuple(len(grid) - 1 for grid in self.grids))
        self.models: dict[SizeBox, list[LayerTerms]] = {}

    def bound(
        self, aims: Sequence[Aim], nodes: int, boxes: int, tick: Callable[[float], None] = lambda share: None
    ) -> NetworkBound:
        """Least sum of the layers' aims.

        Args:
            aims: of each layer; all of the same price of time.
            nodes: programs to solve at most for the whole space (at least one a layer).
            boxes: how many boxes are cut in two at most, each half with a quarter as many programs.
            tick: told the share of the work done.
        """
        first = self._box(self.whole, aims, nodes, None)
        solved, closed = first.nodes, first.closed
        queue: list[tuple[float, int, SizeBox, NetworkBound]] = []
        ticket = count()  # boxes of one value come in the order in which they were cut
        if first.value < inf:
            queue.append((first.value, next(ticket), self.whole, first))
        for step in range(boxes):
            tick((step + 1) / (boxes + 1))
            halves = self._halves(queue[0][2], queue[0][3], aims) if queue else []
            if not halves:
                break
            value, _, _, parent = heappop(queue)
            for half in halves:
                own = self._box(half, aims, max(nodes // 4, len(self.layers)), parent)
                solved, closed = solved + own.nodes, closed and own.closed
                if own.value < inf:
                    heappush(queue, (max(value, own.value), next(ticket), half, own))
        if not queue:
            return NetworkBound(inf, solved, True)
        value, _, box, own = queue[0]
        return NetworkBound(value, solved, closed, own.layers, own.factors, tuple(self.models[box]))

    def _box(self, box: SizeBox, aims: Sequence[Aim], nodes: int, parent: NetworkBound | None) -> NetworkBound:
        """The sum of the layers' bounds over one box; what a cheap layer leaves of its programs goes to the others."""
        costs = self._costs(box)
        if aims[0].area_um2 < costs.area.least(costs.low, costs.high):
            return NetworkBound(inf, 0, True)
        if aims[0].macs < costs.macs.least(costs.low, costs.high) * (1 - 1e-9):
            return NetworkBound(inf, 0, True)
        if any(limit.least(costs.low, costs.high) > 1 + 1e-9 for limit in costs.limits):
            return NetworkBound(inf, 0, True)
        if box not in self.models:
            self.models[box] = [self._model(*pair, costs) for pair in zip(self.layers, self.floors, strict=True)]
        shares = [
            layer.count * (aim.energy * floor.energy + aim.time * floor.cycles)
            for layer, floor, aim in zip(self.layers, self.floors, aims, strict=True)
        ]
        found: dict[int, LayerBound] = {}
        left, roots = nodes, sum(map(sqrt, shares))
        total = 0.0
        for i in sorted(range(len(shares)), key=lambda i: shares[i]):
            own = max(1, round(left * sqrt(shares[i]) / roots)) if roots > 0 else 1
            roots -= sqrt(shares[i])
            leaves: Sequence[Leaf] | None = None if parent is None else parent.layers[i].leaves
            found[i] = self._layer(self.models[box][i], aims[i], self.floors[i], own, leaves)
            left -= found[i].nodes
            if found[i].value == inf:
                return NetworkBound(inf, nodes - left, True)
            floor = aims[i].energy * self.floors[i].energy + aims[i].time * self.floors[i].cycles
            total += self.layers[i].count * max(found[i].value * (1 - SAFETY), floor)
        bounds = tuple(found[i] for i in range(len(shares)))
        factors = tuple(
            None if one.x is None else model.factors(one.x) for one, model in zip(bounds, self.models[box], strict=True)
        )
        return NetworkBound(total, nodes - left, all(one.closed for one in bounds), bounds, factors)

    @staticmethod
    def _layer(model: LayerTerms, aim: Aim, floor: Floor, nodes: int, leaves: Sequence[Leaf] | None) -> LayerBound:
        if aim.cycles < floor.cycles * (1 - 1e-9):
            return LayerBound(inf, 0, True)
        if model.problem.macs == 1:  # nothing to choose
            return LayerBound(aim.energy * floor.energy + aim.time * floor.cycles, 0, True, leaves=tuple(leaves or ()))
        return bound_layer(model, aim, nodes, leaves)

    def _costs(self, box: SizeBox) -> UnitCosts:
        return unit_costs(self.space, *(np.array(ends) for ends in self._sizes(box)))

    def _sizes(self, box: SizeBox) -> tuple[list[float], list[float]]:
        low = [float(grid[i]) for grid, i in zip(self.grids, box.low, strict=True)]
        return low, [float(grid[i]) for grid, i in zip(self.grids, box.high, strict=True)]

    def _model(self, layer: Layer, floor: Floor, costs: UnitCosts) -> LayerTerms:
        energy = floor.energy if floor.energy > SMALLEST else 1.0
        return LayerTerms(layer.problem, costs, (energy, floor.cycles), self.imperfect)

    def _halves(self, box: SizeBox, bound: NetworkBound, aims: Sequence[Aim]) -> list[SizeBox]:
        """The box cut in two along the size on which the layers disagree most, weighted by what they cost."""
        open_sizes = [p for p in range(len(self.grids)) if box.low[p] < box.high[p]]
        if not open_sizes:
            return []
        low, high = (np.log(ends) for ends in self._sizes(box))
        middle = (low + high) / 2
        weight = [
            layer.count * (aim.energy * floor.energy + aim.time * floor.cycles)
            for layer, floor, aim in zip(self.layers, self.floors, aims, strict=True)
        ]
        chosen = np.array(
            [
                middle if one.x is None else one.x[model.sizes]
                for one, model in zip(bound.layers, self.models[box], strict=True)
            ]
        )
        mean = _mean(chosen, weight)
        spread = _mean((chosen - mean) ** 2, weight)
        p = max(open_sizes, key=lambda p: (spread[p], high[p] - low[p]))
        steps = range(box.low[p], box.high[p])
        cut = min(steps, key=lambda i: abs(mean[p] - np.log(self.grids[p][i] * self.grids[p][i + 1]) / 2))
        ends = ((box.low[p], cut), (cut + 1, box.high[p]))
        return [
            SizeBox((*box.low[:p], first, *box.low[p + 1 :]), (*box.high[:p], last, *box.high[p + 1 :]))
            for first, last in ends
        ]


def _mean(rows: Array, weight: Sequence[float]) -> Array:
    """Weighted mean over the first dimension."""
    shares = np.array(weight) / (sum(weight) or 1.0)
    mean: Array = shares @ rows
    return mean
