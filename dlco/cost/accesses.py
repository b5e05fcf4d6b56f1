"""From words that tiles receive to reads, fills and updates of every level and dataspace.

Rules (per instance of a level; Timeloop's, with its first-read elision):

    content accesses  c_l = G_l F_{l-1}, or G_l c_{l-1} where level l-1 bypasses the dataspace; c_0 = G_0 cycles
    read-only         reads c_l, fills F_l
    read-write        updates c_l, reads c_l - part_l, fills F_l - part_l

G_l counts the children with different data (identical data is multicast, partial sums of one output are added on
the way), part_l is the share of the tensor that an instance sees: the first visit of an output word is written
without being read. The outermost level that keeps a dataspace has no fills.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from dlco.cost.arithmetic import Arithmetic
from dlco.cost.forwarding import Supply
from dlco.cost.nest import Nest, Row, is_one, product
from dlco.cost.shape import Operand
from dlco.cost.traffic import distinct_children, fills
from dlco.errors import InvalidMapping
from dlco.mapping.kept import Kept
from dlco.mapping.rules import CountingRules

Table = list[list[Row]]


@dataclass(frozen=True)
class Accesses:
    """`[levels][spaces]` rows of reads, fills and updates per instance; plain 0 where a level bypasses.

    `drains`: words of results that an instance gives back to the level that fills it, over the network alone.
    """

    reads: Table
    fills: Table
    updates: Table
    drains: Table


def count_accesses(
    nest: Nest,
    kept: Kept,
    rules: CountingRules,
    arithmetic: Arithmetic,
    supplies: Sequence[Sequence[Supply]] | None = None,
) -> Accesses:
    """Accesses of every level and dataspace.

    Args:
        nest: the loops.
        kept: `[levels][spaces]` whether a level keeps a dataspace.
        rules: what is kept when a tile moves.
        arithmetic: exact or smooth.
        supplies: with neighbour forwarding, `[levels][spaces]` from `dlco.cost.forwarding`.
    """
    distinct, asked, served, linked = (
        _served(nest, kept, rules, arithmetic) if supplies is None else _forwarded(nest, supplies)
    )
    reads: Table = [[0 for _ in row] for row in kept]
    filled: Table = [[0 for _ in row] for row in kept]
    updates: Table = [[0 for _ in row] for row in kept]
    drains: Table = [[0 for _ in row] for row in kept]
    for s, space in enumerate(nest.shape.spaces):
        keepers = [level for level in range(nest.levels) if kept[level][s]]
        if not keepers:
            raise InvalidMapping(f"{space.name} is kept at no level; at least one must keep it")
        top = keepers[-1]
        content: Row = (
            nest.asked_by_macs(space, keepers[0]) if supplies is None else received_by_macs(supplies, s, nest)
        )
        part = _partitions(nest.of_space(s), s, arithmetic) if space.read_write else [0] * nest.levels
        for level in range(top + 1):
            content = product((distinct[level][s], content))
            if not kept[level][s]:
                continue
            peer = linked[level][s] if level < top else 0
            arriving = served[level][s] + peer if level < top else peer
            reads[level][s] = _row(content + peer, nest)
            filled[level][s] = _row(arriving, nest)
            if space.read_write:
                updates[level][s] = _row(content, nest)
                reads[level][s] = _less(reads[level][s], part[level], space)
                if level < top:
                    drains[level][s] = filled[level][s]
                    filled[level][s] = _less(filled[level][s], part[level], space)
            content = asked[level][s]
        if supplies is not None:
            for level in range(top + 1):
                if level < top and not space.read_write and kept[level][s]:
                    filled[level][s] = supplies[level + 1][s].share + linked[level][s]
                reads[level][s] = _round(reads[level][s])
                updates[level][s] = _round(updates[level][s])
                round_fills = _round if space.read_write else _truncate
                filled[level][s] = round_fills(filled[level][s])
    return Accesses(reads, filled, updates, drains)


def partition_sizes(nest: Nest, arithmetic: Arithmetic) -> Table:
    """`[levels][spaces]` share of each tensor that one instance sees over the execution (Timeloop's estimate)."""
    columns = [_partitions(nest.of_space(s), s, arithmetic) for s in range(len(nest.shape.spaces))]
    return [[column[level] for column in columns] for level in range(nest.levels)]


def _partitions(nest: Nest, index: int, arithmetic: Arithmetic) -> list[Row]:
    space = nest.shape.spaces[index]
    dense = is_dense(space)
    part: Row = nest.words[-1][index]
    parts = [part]
    for level in range(nest.levels - 2, -1, -1):
        if dense:  # the children split the words evenly
            split = product(nest.across[level + 1][d] for d in space.relevant)
            part = part if is_one(split) else arithmetic.quotient(part, split)
            others = (d for d in nest.shape.live if d not in space.relevant)
            parts.append(product((part, *(nest.repeats(level, d, {}, level) for d in others))))
            continue
        if not is_one(nest.fanout[level + 1]):
            union = product(nest.box(space, nest.spread[level + 1]))
            part = arithmetic.share(part, nest.words[level][index], union)
        parts.append(part)
    if dense:
        return parts[::-1]
    return [nest.first_visits(space, level, one) for level, one in enumerate(reversed(parts))]


def is_dense(space: Operand) -> bool:
    """Whether tiles have neither gaps nor overlaps, so that children split them evenly."""
    coefficients = [c for rank in space.ranks for _, c in rank]
    return not space.sliding and not any(isinstance(c, torch.Tensor) or c != 1 for c in coefficients)


def _less(words: Row, first_visits: Row, space: Operand) -> Row:
    """Visits after the first ones. The partition also counts gaps that nothing visits: never below 0."""
    rest = words - first_visits
    return rest if is_dense(space) else torch.as_tensor(rest).clamp(min=0)


def _row(words: Row, nest: Nest) -> Row:
    """A tensor also where every loop has bound 1, unless it is the plain 0 of what cannot be there."""
    return words if isinstance(words, torch.Tensor) or words == 0 else nest.one * words


def received_by_macs(supplies: Sequence[Sequence[Supply]], space: int, nest: Nest) -> Row:
    """Words that a MAC takes from level 0 over the execution, neighbours' words aside, `[...]`."""
    return supplies[0][space].delivered / torch.as_tensor(nest.fanout[0])


Served = tuple[Sequence[Sequence[Row]], Sequence[Sequence[Row]], Sequence[Sequence[Row]], Table]


def _served(nest: Nest, kept: Kept, rules: CountingRules, arithmetic: Arithmetic) -> Served:
    """(distinct children, words a tile asks for, words it is served, none from peers) without forwarding."""
    return (
        distinct_children(nest, arithmetic),
        *fills(nest, kept, rules, arithmetic),
        [[0 for _ in row] for row in kept],
    )


def _forwarded(nest: Nest, supplies: Sequence[Sequence[Supply]]) -> Served:
    """(distinct children, words each tile takes from its parent, the same, words from its peers) with forwarding."""
    distinct: Table = []
    received: Table = []
    linked: Table = []
    for level, row in enumerate(supplies):
        shares = [one.delivered / torch.as_tensor(nest.fanout[level]) for one in row]
        distinct.append([one.accesses / share for one, share in zip(row, shares, strict=True)])
        if level:
            received.append(list(shares))
            linked.append([one.linked / torch.as_tensor(nest.instances[level - 1]) for one in row])
    nothing: list[Row] = [0] * len(nest.shape.spaces)
    return distinct, [*received, nothing], [*received, nothing], [*linked, nothing]


def _round(x: Row) -> Row:
    return torch.floor(torch.as_tensor(x) + 0.5)


def _truncate(x: Row) -> Row:
    return torch.floor(torch.as_tensor(x))
