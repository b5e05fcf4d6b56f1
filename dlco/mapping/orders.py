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
from functools import cached_property, lru_cache

import torch

from dlco.errors import InvalidInput
from dlco.workload.layer import Layer

MOST_LOOPS = 11  # that a level may have: the classes of their orders multiply with each

Class = tuple[tuple[int, int], ...]  # (still, slide) of every dataspace: loops as the bits of a number, a loop or -1


@dataclass(frozen=True)
class Reuse:
    """What one dataspace sees of a level's loops: dimensions that move it, and those among them that slide it."""

    relevant: frozenset[int]
    sliding: frozenset[int]

    @cached_property
    def moves(self) -> int:
        """`relevant` as the bits of a number."""
        return sum(1 << d for d in self.relevant)

    @cached_property
    def slides(self) -> int:
        """`sliding` as the bits of a number."""
        return sum(1 << d for d in self.sliding)


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

    Raises:
        InvalidInput: more loops than orders can be listed of.
    """
    if len(dims) > MOST_LOOPS:
        raise InvalidInput(f"a level may have loops over {len(dims)} dimensions; orders are listed of {MOST_LOOPS}")
    orders: list[tuple[int, ...]] = []
    rows: dict[int, list[int]] = {}
    classes = _classes(dims, spaces, innermost)
    for code in sorted(range(2 ** len(dims)), key=lambda code: -code.bit_count()):
        loops = sum(1 << d for bit, d in enumerate(dims) if code >> bit & 1)
        found = classes[loops]
        if not all_classes:
            found = {one: order for one, order in found.items() if not any(_beats(other, one) for other in found)}
        listed = {_class_of([d for d in order if loops >> d & 1], spaces): i for i, order in enumerate(orders)}
        for one, order in found.items():
            if one not in listed:
                listed[one] = len(orders)
                orders.append(_fill_up(order, dims, innermost))
        rows[code] = [listed[one] for one in found]
    needed = torch.zeros(2 ** len(dims), len(orders), dtype=torch.bool)
    for code, row in rows.items():
        needed[code, row] = True
    return LevelOrders(dims, tuple(orders), needed)


def class_of(order: Sequence[int], spaces: Sequence[Reuse]) -> tuple[tuple[frozenset[int], int | None], ...]:
    """(still, slide) of every dataspace, for existing loops in this order, innermost first."""
    return tuple(
        (frozenset(d for d in order if still >> d & 1), None if slide < 0 else slide)
        for still, slide in _class_of(order, spaces)
    )


def check_loops(layers: Iterable[Layer]) -> None:
    """Raise `InvalidInput` for a layer with more loops than orders can be listed of."""
    for layer in layers:
        loops = sum(bound > 1 for bound in layer.problem.bounds)
        if loops > MOST_LOOPS:
            raise InvalidInput(
                f"layer {layer.name!r} has {loops} dimensions above 1; schedules are searched for up to {MOST_LOOPS}"
            )


def _class_of(order: Sequence[int], spaces: Sequence[Reuse]) -> Class:
    """The class of existing loops in this order."""
    parts: Class = ((0, -1),) * len(spaces)
    inside = 0
    for d in order:
        parts = _settled(parts, inside, d, spaces)
        inside |= 1 << d
    return _ended(parts, inside, spaces)


def _settled(parts: Class, inside: int, d: int, spaces: Sequence[Reuse]) -> Class:
    """The parts of a class that are settled once a loop lies around those inside; (0, -1) for the others."""
    return tuple(
        part if inside & space.moves or not space.moves >> d & 1 else (inside, d if space.slides >> d & 1 else -1)
        for part, space in zip(parts, spaces, strict=True)
    )


def _ended(parts: Class, loops: int, spaces: Sequence[Reuse]) -> Class:
    """The class, given its settled parts and all loops: these are still where none of them moves a dataspace."""
    return tuple(part if loops & space.moves else (loops, -1) for part, space in zip(parts, spaces, strict=True))


def _classes(
    dims: Sequence[int], spaces: Sequence[Reuse], innermost: Sequence[int]
) -> dict[int, dict[Class, tuple[int, ...]]]:
    """For every set of loops (as bits) one order for every class that orders of exactly these loops have.

    Orders grow outwards loop by loop; of those that hold the same loops and have settled the same parts of their
    class only one is grown further, so that the work follows the number of classes, not of permutations.
    """
    first = [d for d in innermost if d in dims]
    before = {d: sum(1 << one for one in first[: first.index(d)]) if d in first else -1 for d in dims}
    found: dict[int, dict[Class, tuple[int, ...]]] = {}
    growing: dict[tuple[int, Class], tuple[int, ...]] = {(0, ((0, -1),) * len(spaces)): ()}
    while growing:
        grown: dict[tuple[int, Class], tuple[int, ...]] = {}
        for (inside, parts), order in growing.items():
            found.setdefault(inside, {})[_ended(parts, inside, spaces)] = order
            for d in dims:
                if not inside >> d & 1 and not inside & ~before[d]:
                    grown.setdefault((inside | 1 << d, _settled(parts, inside, d, spaces)), (*order, d))
        growing = grown
    return found


def _beats(a: Class, b: Class) -> bool:
    """Whether class `a` is another one and never worse than `b`."""
    return a != b and all(
        still_a & still_b == still_b and (slide_b < 0 or slide_b == slide_a)
        for (still_a, slide_a), (still_b, slide_b) in zip(a, b, strict=True)
    )


def _fill_up(order: Sequence[int], dims: Sequence[int], innermost: Sequence[int]) -> tuple[int, ...]:
    """All of `dims`: those that must come first, then those of the order, then the others."""
    first = [d for d in innermost if d in dims]
    return tuple(dict.fromkeys([*first, *order, *dims]))
