"""Best-first branch and bound over the classes of one layer's mappings.

Every node is a set of mappings with a proven bound, that of its program (`dlco.bound.program`). Its children cover it,
so the least bound of all open nodes bounds the layer. A node is split where its program is furthest below the exact
model at the program's own solution: loops taken to leave a tile in place that have to move something, windows taken to
be short, first visits.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from heapq import heappop, heappush
from itertools import count
from math import exp, inf

import numpy as np

from dlco.bound.geometric import Array, DualBound, solve
from dlco.bound.nodes import Node, OrderDecision, Range
from dlco.bound.program import Aim, Draft, draft
from dlco.bound.terms import LayerTerms
from dlco.mapping.factors import divisors

WORTH = 2e-4  # a split that cannot raise a bound by this share is not made


Leaf = tuple[float, Node]  # a bound, and the mappings that it holds for
Split = tuple[float, Callable[[], list[Node]]]  # what a split is worth, and the children that it makes


@dataclass(frozen=True)
class LayerBound:
    """What was proven of one layer.

    Attributes:
        value: no mapping's `energy` x pJ + `time` x cycles is below it; infinite where none keeps the limits.
        nodes: programs solved.
        closed: whether every open node was as tight as this relaxation gets.
        x: `[n]` columns of the loosest node's solution, and `node` that node; None where there is none.
        leaves: all open nodes: what a search on part of the machines starts from.
        proofs: nodes that cover all mappings, those without any within the limits included, and what was proved of
            each; None where only what a larger node has is known.
    """

    value: float
    nodes: int
    closed: bool
    x: Array | None = None
    node: Node | None = None
    leaves: tuple[Leaf, ...] = ()
    proofs: tuple[tuple[Node, DualBound | None], ...] = ()


def bound_layer(model: LayerTerms, aim: Aim, nodes: int, leaves: Sequence[Leaf] | None = None) -> LayerBound:
    """A lower bound over all mappings of a layer.

    Args:
        model: the layer on its machine.
        aim: what to minimise.
        nodes: programs to solve at most, at least 1.
        leaves: nodes that cover all mappings, with bounds known of them; where not given, one of all mappings.
    """
    tree = _Tree(model, aim)
    for value, node in leaves if leaves is not None else [(-inf, Node((None,) * model.levels))]:
        tree.push(value, node)
    return tree.grow(nodes)


class _Tree:
    """The open nodes of one search, loosest first; a node's program is solved once it comes to the front."""

    def __init__(self, model: LayerTerms, aim: Aim) -> None:
        self.model, self.aim = model, aim
        self.numbers = count()
        self.queue: list[tuple[float, int, Node, Draft | None, DualBound | None]] = []
        self.empty: list[tuple[Node, DualBound | None]] = []  # without a mapping within the limits
        self.seen: set[Node] = set()
        self.solved = 0

    def push(self, value: float, node: Node) -> None:
        """Add mappings whose bound is known from elsewhere."""
        if value < inf:
            self.seen.add(node)
            heappush(self.queue, (value, next(self.numbers), node, None, None))

    def solve(self, node: Node, least: float) -> None:
        """Add mappings with their program's bound, or a better one known already."""
        self.solved += 1
        own = draft(self.model, node, self.aim)
        solved = solve(own.program)
        value = least if solved is None else max(least, solved.bound * own.scale)
        if value < inf:
            heappush(self.queue, (value, next(self.numbers), node, own, solved))
        else:
            self.empty.append((node, solved))

    def grow(self, nodes: int) -> LayerBound:
        """Split the loosest node until it is tight or enough programs are solved."""
        closed = False
        while self.queue and not closed:
            value, _, node, own, solved = self.queue[0]
            if own is None:
                if self.solved >= nodes:
                    break
                heappop(self.queue)
                self.solve(node, value)
                continue
            children = [] if solved is None else split(self.model, node, own, solved)
            closed = not children
            if closed or self.solved + len(children) > nodes:
                break
            heappop(self.queue)
            for child in children:
                # A mirror image has the same bound, and stands for the node.
                if not any(child.mirrored(swap) in self.seen for swap in self.model.mirrors):
                    self.seen.add(child)
                    self.solve(child, value)
        if not self.queue:
            return LayerBound(inf, self.solved, True, proofs=tuple(self.empty))
        value, _, node, _, solved = self.queue[0]
        leaves = tuple((one[0], one[2]) for one in self.queue)
        proofs = (*((one[2], one[4]) for one in self.queue), *self.empty)
        return LayerBound(value, self.solved, closed, None if solved is None else solved.x, node, leaves, proofs)


def split(model: LayerTerms, node: Node, draft: Draft, solved: DualBound) -> list[Node]:
    """The children of the most promising split of a node; none where no split is worth it."""
    x = solved.x
    cost = np.zeros(len(draft.arrivals) + 1)
    np.add.at(cost, draft.source, solved.weights)  # the last entry collects what has no source
    options = [*_orders(model, node, draft, x, cost)]
    if not model.imperfect:
        options += [*_windows(model, node, draft, x, cost), *_shares(model, node, draft, x)]
    if not options:
        return []
    worth, make = max(options, key=lambda option: option[0])
    return make() if worth > WORTH * max(abs(solved.bound), 1e-3) else []


def _orders(model: LayerTerms, node: Node, draft: Draft, x: Array, cost: Array) -> Iterator[Split]:
    """(worth, children) of deciding each open level's order."""
    for level in range(1, model.levels):
        cared = model.cared(node, level)
        order = node.orders[level]
        if order is not None or not cared:
            continue
        classes = _classes(model, cared)
        if not classes:
            continue
        stuck = []
        for stationary in classes:
            total = 0.0
            for i, arrivals in enumerate(draft.arrivals):
                if level not in arrivals.uncounted:
                    continue
                outer = sum(float(v @ x) for at, v in arrivals.uncounted.items() if at > level)
                own = float(arrivals.uncounted[level] @ x)
                if arrivals.space not in stationary:
                    total += cost[i] * (exp(own + outer) - 1)
                else:
                    moving = float(model.loops(level, model.spaces[arrivals.space].relevant) @ x)
                    total += cost[i] * (exp(outer) - 1) * min(1.0, moving / 0.7)
            stuck.append(total)
        yield min(stuck), partial(_order_children, model, node, level, cared)


def _order_children(model: LayerTerms, node: Node, level: int, cared: frozenset[int]) -> list[Node]:
    """The classes of a level's loops; where further levels follow, whether anything moves matters too."""
    classes = _classes(model, cared)
    if level == model.levels - 1:
        return [node.with_order(level, OrderDecision(stationary, cared)) for stationary in classes]
    children = [node.with_order(level, OrderDecision(empty=True))]
    for stationary in classes:
        moving = any(model.spaces[t].relevant for t in stationary)
        children += [
            node.with_order(level, OrderDecision(stationary, cared, moves=moves))
            for moves in (False, True)[: 1 + moving]
        ]
    return children


def _classes(model: LayerTerms, cared: frozenset[int]) -> list[frozenset[int]]:
    """The maximal sets of dataspaces that an innermost loop leaves in place."""
    signatures = {model.signature(d, cared) for d in model.live}
    return sorted((s for s in signatures if not any(s < other for other in signatures)), key=sorted)


def _windows(model: LayerTerms, node: Node, draft: Draft, x: Array, cost: Array) -> Iterator[Split]:
    """(worth, children) of narrowing the extents of the short dimensions of windows."""
    for i, arrivals in enumerate(draft.arrivals):
        for main, step, constant, others in arrivals.ranks:
            extent = step * exp(float(main @ x))
            for c, (d, position), vector, least in others:
                now = exp(float(vector @ x))
                worth = cost[i] * c * max(now - least, 0.0) / max(extent + constant, 1.0)
                if worth <= 0:
                    continue
                for at in (position, position + 1, position + 2):
                    if at >= len(model.chain[d]) - 1:
                        break
                    low, high = model.extent_range(node, d, at)
                    if high > low:
                        own = exp(float(sum(x[model.column[(*place, d)]] for place in model.chain[d][: at + 1])))
                        yield worth, partial(_halves, model, node, d, at, (low, high), own)
                        break


def _halves(model: LayerTerms, node: Node, d: int, at: int, ends: Range, own: float) -> list[Node]:
    """A range of an extent cut in two between divisors of the bound."""
    values = [v for v in divisors(model.bounds[d], ends[1]) if v >= ends[0]]
    return [node.with_extent((d, at), part) for part in _cut(values, np.log(own))]


def _cut(values: Sequence[int], log: float) -> list[Range]:
    """The ranges of the values, ascending, on either side of a logarithm; one range of a single value."""
    if len(values) < 2:
        return [(value, value) for value in values]
    cut = min(range(1, len(values)), key=lambda i: abs(log - np.log(values[i - 1] * values[i]) / 2))
    return [(values[0], values[cut - 1]), (values[cut], values[-1])]


def _shares(model: LayerTerms, node: Node, draft: Draft, x: Array) -> Iterator[Split]:
    """(worth, children) of narrowing how many instances share a sum of the output."""
    if sum(space.read_write for space in model.spaces) != 1:
        return
    (t,) = (i for i, space in enumerate(model.spaces) if space.read_write)
    worth: dict[int, float] = {}
    at: dict[int, float] = {}
    for level, vector, factor, (low, high) in draft.chords:
        now = min(max(float(vector @ x), low), high)
        chord = exp(low) + (exp(high) - exp(low)) * ((now - low) / (high - low) if high > low else 0.0)
        worth[level] = worth.get(level, 0.0) + factor * (chord - exp(now))
        at[level] = now
    for level, gain in worth.items():
        low, high = model.shared_range(node, level, t)
        reducible = int(np.prod([model.bounds[d] for d in model.irrelevant(t)]))
        values = [v for v in divisors(reducible, high) if v >= low]
        if len(values) > 1:
            ranges = _cut(values, at[level])
            yield gain, partial(_shared, node, level, ranges)


def _shared(node: Node, level: int, ranges: Sequence[Range]) -> list[Node]:
    """A node by how many instances of a level share a sum."""
    return [node.with_shared(level, one) for one in ranges]
