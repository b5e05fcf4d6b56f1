"""The lattice of tile extents: vectors with one divisor of the bound for each dimension, numbered in mixed radix.

State 0 is a tile of one iteration, the last state is the whole problem. Tiles of a hierarchy form a chain in which
each divides the next, so what the levels further out can still do depends on multiples of the tile reached so far;
minima over all multiples are had one dimension at a time.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from dlco.mapping.factors import divisors

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Links = tuple[tuple[Ints, ...], ...]  # for each dimension and divisor the indices of the divisors that follow it
Real = TypeVar("Real", bound=np.floating)


@dataclass(frozen=True)
class Lattice:
    """All vectors of divisors of some bounds.

    Attributes:
        bounds: one a dimension, each at least 1.
    """

    bounds: tuple[int, ...]

    @cached_property
    def factors(self) -> tuple[tuple[int, ...], ...]:
        """The divisors of each bound, in ascending order."""
        return tuple(divisors(bound) for bound in self.bounds)

    @cached_property
    def radix(self) -> tuple[int, ...]:
        """How many divisors each dimension has."""
        return tuple(len(row) for row in self.factors)

    @property
    def size(self) -> int:
        """How many states there are."""
        return prod(self.radix)

    @cached_property
    def stride(self) -> Ints:
        """`[dims]` by how much a state's number grows with the index of each dimension's divisor."""
        return np.array([prod(self.radix[d + 1 :]) for d in range(len(self.bounds))], dtype=np.int64)

    @cached_property
    def digit(self) -> Ints:
        """`[states, dims]` indices of the divisors."""
        return np.indices(self.radix, dtype=np.int64).reshape(len(self.bounds), self.size).T

    @cached_property
    def entries(self) -> Ints:
        """`[states, dims]` the divisors."""
        columns = [np.array(row, dtype=np.int64)[self.digit[:, d]] for d, row in enumerate(self.factors)]
        return np.stack(columns, 1) if columns else np.ones((1, 0), dtype=np.int64)

    @property
    def extent(self) -> Ints:
        """`[states, dims]` extents of the tiles."""
        return self.entries

    @cached_property
    def _product(self) -> tuple[Ints, ...]:
        """For each dimension `[i, j]` the index of divisor i times divisor j, -1 where that is no divisor."""
        tables = []
        for row in self.factors:
            at = {k: i for i, k in enumerate(row)}
            tables.append(np.array([[at.get(a * b, -1) for b in row] for a in row], dtype=np.int64))
        return tuple(tables)

    @cached_property
    def _multiples(self) -> tuple[tuple[Ints, ...], ...]:
        """For each dimension and divisor the indices of the divisors that are multiples of it."""
        return self.links([np.ones(n, dtype=bool) for n in self.radix])

    def links(self, factors: Sequence[Bools]) -> Links:
        """The multiples that loops of some bounds alone lead to.

        Args:
            factors: for each dimension `[divisors]` which of them may be the bound of a loop.
        """
        found = []
        for row, some in zip(self.factors, factors, strict=True):
            steps = {k for k, allowed in zip(row, some, strict=True) if allowed}
            above = [[j for j, b in enumerate(row) if b % a == 0 and b // a in steps] for a in row]
            found.append(tuple(np.array(one, dtype=np.int64) for one in above))
        return tuple(found)

    def multiples(self, states: Ints, allowed: Bools, links: Links | None = None) -> tuple[Ints, Ints]:
        """(position in `states` `[n]`, multiple) of all allowed states that they divide, `[m]` each.

        Args:
            states: where to begin; each is a multiple of itself.
            allowed: `[all states]`.
            links: which multiples count; all, where they are not given.
        """
        links = links or self._multiples
        once, place = np.unique(states, return_inverse=True)
        found = []
        for state in once.tolist():
            above = np.zeros(1, dtype=np.int64)
            for d, index in enumerate(self.digit[state].tolist()):
                above = (above[:, None] + links[d][index] * self.stride[d]).ravel()
            found.append(above[allowed.take(above)])
        every = [found[k] for k in place.tolist()]
        at = np.repeat(np.arange(len(every)), [len(one) for one in every])
        return at, np.concatenate([*every, np.zeros(0, dtype=np.int64)])

    def among(self, digit: Ints, factors: Sequence[Bools]) -> Bools:
        """`[n]` whether factors, as indices `[n, dims]` of divisors, are among those that `links` takes."""
        meets = np.ones(len(digit), dtype=bool)
        for d, some in enumerate(factors):
            meets &= some[digit[:, d]]
        return meets

    def times(self, one: Ints, other: Ints) -> Ints:
        """The states `[n]` of the products of extents, -1 where one does not divide the bounds."""
        result = np.zeros(len(one), dtype=np.int64)
        lost = np.zeros(len(one), dtype=bool)
        for d, table in enumerate(self._product):
            index = table[self.digit[one, d], self.digit[other, d]]
            lost |= index < 0
            result += index * self.stride[d]
        return np.where(lost, -1, result)

    def least_of_multiples(
        self, table: NDArray[Real], dims: Sequence[int] | None = None, links: Links | None = None
    ) -> NDArray[Real]:
        """For each state the least entry of a table `[..., states]` over the states that it divides; infinite for none.

        Args:
            table: what to minimise.
            dims: dimensions that may grow; all, where they are not given.
            links: which multiples count; all, where they are not given.
        """
        shaped, links = table.reshape(-1, *self.radix).copy(), links or self._multiples
        for d, multiples in enumerate(links):
            rows = np.moveaxis(shaped, d + 1, 0)
            if dims is not None and d not in dims:
                rows[[i for i, above in enumerate(multiples) if i not in above]] = np.inf
                continue
            for i, above in enumerate(multiples):  # none lies below i: what is overwritten is not read again
                rows[i] = rows[above].min(0, initial=np.inf)
        return shaped.reshape(table.shape)
