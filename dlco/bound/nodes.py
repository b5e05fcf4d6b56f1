"""`Node`: a set of one layer's mappings, by what is decided of loop orders, window extents and shared sums."""

from dataclasses import dataclass, replace

Range = tuple[float, float]


@dataclass(frozen=True)
class OrderDecision:
    """What is decided of a level's temporal loops.

    Attributes:
        stationary: dataspaces that may stay in place through the loops irrelevant to them.
        cared: dataspaces that this was decided for; the innermost loop moves all of them that are not stationary.
        empty: no loop of the level exists.
        moves: whether some loop moves a stationary dataspace; None where that is open. False: none moves any.
    """

    stationary: frozenset[int] = frozenset()
    cared: frozenset[int] = frozenset()
    empty: bool = False
    moves: bool | None = None


@dataclass(frozen=True)
class Node:
    """A set of mappings.

    Attributes:
        orders: for each level what is decided of its loops, or None.
        extents: `((dimension, position), (least, greatest))` of the products of a dimension's first factors, inside
            out, where they are narrower than (1, bound).
        shared: `(level, (least, greatest))` instances of a level that share one sum of the output.
    """

    orders: tuple[OrderDecision | None, ...]
    extents: tuple[tuple[tuple[int, int], Range], ...] = ()
    shared: tuple[tuple[int, Range], ...] = ()

    def with_order(self, level: int, order: OrderDecision) -> "Node":
        """The mappings of this node with a decided level."""
        return replace(self, orders=(*self.orders[:level], order, *self.orders[level + 1 :]))

    def with_extent(self, key: tuple[int, int], values: Range) -> "Node":
        """The mappings of this node whose extent lies in a range."""
        return replace(self, extents=tuple(sorted({**dict(self.extents), key: values}.items())))

    def with_shared(self, level: int, values: Range) -> "Node":
        """The mappings of this node with so many instances that share a sum."""
        return replace(self, shared=tuple(sorted({**dict(self.shared), level: values}.items())))

    def mirrored(self, swaps: dict[int, int]) -> "Node":
        """The same mappings with dimensions renamed."""
        renamed = (((swaps.get(d, d), position), values) for (d, position), values in self.extents)
        return replace(self, extents=tuple(sorted(renamed)))
