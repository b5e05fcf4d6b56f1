"""The loop orders of one level that differ in what they cost: one of each class, and which of them a mapping needs.

Of a level's order the cost model (under the "refetch" rule) uses two things a dataspace, both about the loops that
exist (bound above 1). Let f be the innermost loop that moves the dataspace, if any does:

    still: the loops inside f, which leave the tile in place and so are free (all others multiply its fills);
    slide: f itself where f slides a window, since then only the first tile of its loop is fetched whole.

`dlco.cost.traffic` reads nothing else of the order (`_Reuse.inside` and `_Reuse.innermost` are these two), so orders
with the same (still, slide) of every dataspace cost the same to the last bit: they are one class. Only dataspaces
kept at some level further in count, as an order speaks of fills of what lies inside; so at the innermost level every
order is alike.

Class A is never worse than class B where, for every dataspace, A's `still` holds B's and A's `slide` is B's or B has
none: then no fill of A exceeds B's, and reads, updates, energy and cycles grow with fills.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch

Class = tuple[tuple[frozenset[int], int | None], ...]  # (still, slide) of every dataspace


@dataclass(frozen=True)
class Reuse:
    """What one dataspace sees of a level's loops: dimensions that move it, and those among them that slide it."""

    relevant: frozenset[int]
    sliding: frozenset[int]


@dataclass(frozen=True)
class LevelOrders:
    """Loop orders of one level, one of each class of every set of loops that may exist there.

    Attributes:
        dims: dimensions that may have a loop at the level.
        orders: each lists `dims`, innermost first.
        needed: BoolTensor `[2 ** len(dims), orders]`: the orders that together cover all classes (or all but those
            that another is never worse than) where the existing loops are those whose bits are set in the row's
            number.
    """

    dims: tuple[int, ...]
    orders: tuple[tuple[int, ...], ...]
    needed: torch.Tensor

    @property
    def most(self) -> int:
        """The largest number of orders that one set of loops needs."""
        return int(self.needed.sum(-1).max())


@lru_cache(maxsize=256)
def level_orders(
    dims: tuple[int, ...], spaces: tuple[Reuse, ...], innermost: tuple[int, ...], all_classes: bool
) -> LevelOrders:
    """The orders of one level.

    Args:
        dims: dimensions that may have a loop at the level.
        spaces: the dataspaces whose traffic the order matters to.
        innermost: dimensions whose loops must come first, in this order.
        all_classes: list every class; else leave out those that another is never worse than.
    """
    orders: list[tuple[int, ...]] = []
    rows: dict[int, list[int]] = {}
    for code in sorted(range(2 ** len(dims)), key=lambda code: -code.bit_count()):
        loops = [d for bit, d in enumerate(dims) if code >> bit & 1]
        found = _classes(loops, spaces, innermost)
        if not all_classes:
            found = {one: order for one, order in found.items() if not any(_beats(other, one) for other in found)}
        listed = {class_of([d for d in order if d in loops], spaces): i for i, order in enumerate(orders)}
        for one, order in found.items():
            if one not in listed:
                listed[one] = len(orders)
                orders.append(_fill_up(order, dims, innermost))
        rows[code] = [listed[one] for one in found]
    needed = torch.zeros(2 ** len(dims), len(orders), dtype=torch.bool)
    for code, row in rows.items():
        needed[code, row] = True
    return LevelOrders(dims, tuple(orders), needed)


def class_of(order: Sequence[int], spaces: Iterable[Reuse]) -> Class:
    """The class of existing loops in this order, innermost first."""
    parts: list[tuple[frozenset[int], int | None]] = []
    for space in spaces:
        first = next((i for i, d in enumerate(order) if d in space.relevant), None)
        if first is None:
            parts.append((frozenset(order), None))
        else:
            parts.append((frozenset(order[:first]), order[first] if order[first] in space.sliding else None))
    return tuple(parts)


def _classes(loops: Sequence[int], spaces: Sequence[Reuse], innermost: Sequence[int]) -> dict[Class, tuple[int, ...]]:
    """One order for every class that orders of exactly these loops have.

    Orders grow outwards loop by loop; of those that hold the same loops and have settled the same parts of their
    class only one is grown further, so that the work follows the number of classes, not of permutations.
    """
    fixed = [d for d in innermost if d in loops]
    growing: dict[tuple[frozenset[int], Class], tuple[int, ...]] = {(frozenset(), ()): ()}
    for step in range(len(loops)):
        grown: dict[tuple[frozenset[int], Class], tuple[int, ...]] = {}
        for order in growing.values():
            for d in fixed[step : step + 1] or [d for d in loops if d not in order]:
                longer = (*order, d)
                settled = tuple(
                    part if space.relevant & set(longer) else (frozenset(), None)
                    for part, space in zip(class_of(longer, spaces), spaces, strict=True)
                )
                grown.setdefault((frozenset(longer), settled), longer)
        growing = grown
    return {class_of(order, spaces): order for order in growing.values()}


def _beats(a: Class, b: Class) -> bool:
    """Whether class `a` is another one and never worse than `b`."""
    return a != b and all(
        still_a >= still_b and slide_b in (None, slide_a)
        for (still_a, slide_a), (still_b, slide_b) in zip(a, b, strict=True)
    )


def _fill_up(order: Sequence[int], dims: Sequence[int], innermost: Sequence[int]) -> tuple[int, ...]:
    """All of `dims`: those that must come first, then those of the order, then the others."""
    first = [d for d in innermost if d in dims]
    return tuple(dict.fromkeys([*first, *order, *dims]))
