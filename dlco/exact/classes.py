"""The classes of loop orders of one level as arrays, found by the set of loops that exist there."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from dlco.exact.lattice import Ints
from dlco.mapping.orders import Reuse, class_of, level_orders

NO_SLIDE = -1


@dataclass(frozen=True, eq=False)
class OrderClasses:
    """Loop orders of one level that no other is never worse than; see `dlco.mapping.orders`.

    The classes of the set of loops whose bits make up the number `code` are the rows `first[code]` up to
    `first[code + 1]`.

    Attributes:
        first: `[2 ** dims + 1]`.
        still: `[rows, spaces]` bits of the loops inside the first one that moves a dataspace; all, where none does.
        slide: `[rows, spaces]` that first loop, where it slides a window of the dataspace, else `NO_SLIDE`.
        position: `[rows, dims]` place of every loop, innermost 0.
    """

    first: Ints
    still: Ints
    slide: Ints
    position: Ints

    def of(self, code: Ints) -> tuple[Ints, Ints]:
        """(position in `code` `[n]`, row) of all classes that these sets of loops have, `[m]` each."""
        count = self.first[code + 1] - self.first[code]
        at = np.repeat(np.arange(len(code)), count)
        return at, np.repeat(self.first[code] - (np.cumsum(count) - count), count) + np.arange(count.sum())


@lru_cache(maxsize=256)
def order_classes(dims: int, spaces: Sequence[Reuse | None], innermost: tuple[int, ...] = ()) -> OrderClasses:
    """The classes of a level.

    Args:
        dims: how many dimensions may have a loop there.
        spaces: what each dataspace sees of the loops; None where nothing further in keeps it, so that its traffic does
            not depend on the order.
        innermost: dimensions whose loops must come first, in this order.
    """
    inside = tuple(space for space in spaces if space is not None)
    listed = level_orders(tuple(range(dims)), inside, innermost, False)
    first, still, slide, position = [0], [], [], []
    for code in range(2**dims):
        seen = set()
        for i in listed.needed[code].nonzero().flatten().tolist():
            one = class_of([d for d in listed.orders[i] if code >> d & 1], inside)
            if one in seen:
                continue
            seen.add(one)
            parts = iter(one)
            row = [(frozenset[int](), None) if space is None else next(parts) for space in spaces]
            still.append([sum(1 << d for d in loops) for loops, _ in row])
            slide.append([NO_SLIDE if d is None else d for _, d in row])
            position.append(np.argsort(listed.orders[i]))
        first.append(len(still))
    shape = (len(still), -1)
    tables = (np.array(table, dtype=np.int64).reshape(shape) for table in (still, slide, position))
    return OrderClasses(np.array(first), *tables)
