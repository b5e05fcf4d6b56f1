"""What the temporal or the spatial loops of a level may hold of a dimension, and in how many ways a bound splits."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import comb, inf, prod

from dlco.hardware.constraints import SlotConstraint
from dlco.mapping.factors import divisors, prime_factors


@dataclass(frozen=True)
class Place:
    """The temporal loops of one level, or its spatial ones along X and Y together.

    Attributes:
        level: position of the level, innermost 0.
        slots: the slots that lie here, as (axis kind, index of the slot in the map space) pairs; none where a
            level without fan-out has no spatial slot.
        constraint: what is fixed of them.
    """

    level: int
    slots: tuple[tuple[int, int], ...]
    constraint: SlotConstraint

    def slots_for(self, dim: str) -> tuple[int, ...]:
        """Indices of the slots here that a dimension may use."""
        barred = {1} if dim in self.constraint.axis_y else {2} if dim in self.constraint.axis_x else set()
        return tuple(index for axis, index in self.slots if axis not in barred)

    def exact(self, dim: str) -> int | None:
        """The factor that a dimension must have here, or None where it is free."""
        return dict(self.constraint.exact).get(dim)

    def limit(self, dim: str) -> float:
        """The largest factor that a dimension may have here; infinite where nothing says."""
        return dict(self.constraint.at_most).get(dim, inf)

    def ways(self, dim: str, factor: int) -> int:
        """In how many ways a dimension can have this factor here; it lies on one axis at most."""
        if self.exact(dim) not in (None, factor) or factor > self.limit(dim):
            return 0
        return 1 if factor == 1 else len(self.slots_for(dim))


def count_splits(dim: str, bound: int, places: Iterable[Place]) -> int:
    """The number of ways to write `bound` as a product of factors of one dimension, one or none a place."""
    free: list[Place] = []
    bounded: list[Place] = []
    for place in places:
        (free if place.exact(dim) is None and place.limit(dim) >= bound else bounded).append(place)
    if not bounded:
        return _free_splits(bound, [len(place.slots_for(dim)) for place in free])
    options = divisors(bound)
    counts = {1: 1}
    for place in bounded:
        menu = [(factor, ways) for factor in options if (ways := place.ways(dim, factor))]
        grown: dict[int, int] = {}
        for product, count in counts.items():
            for factor, ways in menu:
                if bound % (product * factor) == 0:
                    grown[product * factor] = grown.get(product * factor, 0) + count * ways
        counts = grown
    slots = [len(place.slots_for(dim)) for place in free]
    return sum(count * _free_splits(bound // product, slots) for product, count in counts.items())


def _free_splits(bound: int, slots: Sequence[int]) -> int:
    """`count_splits` over places without limits, from the exponents of the bound's primes.

    A place with s slots takes a factor of 1 in one way and any other in s: all factors weighed s, and 1 - s more of
    the factor 1. Multiplied out over the places that is sum_j w_j x (products of j factors of any size), and of the
    latter there are prod_p C(e_p + j - 1, e_p).
    """
    weights = [1]
    for s in slots:
        weights = [(1 - s) * a + s * b for a, b in zip([*weights, 0], [0, *weights], strict=True)]
    exponents = Counter(prime_factors(bound)).values()
    return sum(w * prod(comb(e + j - 1, e) for e in exponents) for j, w in enumerate(weights) if w)
