"""Lower bounds of what cuts still to be made cost, in the search of uneven mappings.

A tile of a dataspace without windows is filled with one word for every MAC and every iteration of the loops inside it
that do not index the dataspace: with nothing but its place on the chain known. So what is left to pay is a sum over
the cuts still to be made, each a function of its place alone, and places are multiples of those further in. Its least
value over all chains is a table over the lattice of tiles, filled from the outside in by minima over multiples; a
memory's capacity, which its tiles share, is a further index, rounded up to some sizes of room.

Chains of cuts inside the array and of those beyond it are bounded apart, both from the place reached.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from dlco.exact.cuts import Cuts, UnevenTables, best_slide
from dlco.exact.lattice import Bools, Floats, Ints, Lattice

ROOMS = 14  # sizes of room of the shared level
STEP = 0.72  # between two of them


@dataclass(frozen=True, eq=False)
class SharedBounds:
    """What cuts of the shared level cost at least, over the states of tiles that it holds.

    Attributes:
        cuts: of the problem on the machine.
    """

    cuts: Cuts

    @property
    def tables(self) -> UnevenTables:
        """The problem on the machine."""
        return self.cuts.tables

    @cached_property
    def spaces(self) -> tuple[int, ...]:
        """Dataspaces that the shared level keeps."""
        return tuple(np.flatnonzero(self.tables.kept[self.tables.shared]).tolist())

    @cached_property
    def rooms(self) -> Floats:
        """`[rooms]` words, ascending."""
        tables = self.tables
        room = tables.architecture.levels[tables.shared].usable_capacity
        most = min(room, float(tables.words[-1, list(self.spaces)].sum()))
        return np.floor(most * STEP ** np.arange(ROOMS)[::-1])

    @cached_property
    def fills(self) -> Floats:
        """`[states, T]` words a MAC at least, where the window slides as well as it ever could."""
        tables = self.tables
        fills = tables.words / tables.volume[:, None]
        if self.cuts.sliding is not None:
            whole = np.array(tables.lattice.bounds) / tables.lattice.extent
            fills[:, self.cuts.sliding] *= best_slide(self.cuts, tables.lattice.extent, tables.lattice.extent, whole)[0]
        return fills

    def table(self, price: Sequence[float]) -> dict[frozenset[int], Floats]:
        """`[rooms, states]` the least sum of `price` times fills of some dataspaces' cuts at multiples of a state."""
        tables, words = self.tables, self.tables.words
        found: dict[frozenset[int], Floats] = {frozenset(): np.zeros((len(self.rooms), tables.lattice.size))}
        for some in _subsets(self.spaces):
            least = np.full((len(self.rooms), tables.lattice.size), np.inf)
            fits = words[:, sorted(some)].sum(1) <= self.rooms[:, None]
            for t in some:
                rest = found[some - {t}]
                if len(some) > 1:
                    at = np.searchsorted(self.rooms, self.rooms[:, None] - words[:, t])
                    rest = rest[np.minimum(at, len(self.rooms) - 1), np.arange(tables.lattice.size)]
                least = np.minimum(least, price[t] * self.fills[:, t] + rest)
            found[some] = tables.lattice.least_of_multiples(np.where(fits, least, np.inf))
        return found

    @cached_property
    def energy(self) -> dict[frozenset[int], Floats]:
        """`[rooms, states]` pJ a MAC."""
        return self.table(self.tables.shared_pj.tolist())

    @cached_property
    def traffic(self) -> dict[frozenset[int], Floats] | None:
        """`[rooms, states]` words a MAC that come in; None where no port could be short of them."""
        busy = (self.tables.shared, self.tables.levels - 1)
        if not any(level in self.tables.ports for level in busy):
            return None
        return self.table([1.0] * len(self.tables.spaces))

    def room(self, words: Floats) -> Ints:
        """Indices of the least sizes of room that are not below `[n]` words."""
        return np.minimum(np.searchsorted(self.rooms, words), len(self.rooms) - 1)


@dataclass(frozen=True, eq=False)
class ArrayBounds:
    """What cuts inside the array cost at least, for one choice of spatial factors, over its lattice of temporal tiles.

    Attributes:
        cuts: of the problem on the machine.
        lattice: of the temporal extents.
        whole: `[states]` the same states in the tables' lattice.
        price: `[cuts]` pJ a word of each cut.
    """

    cuts: Cuts
    lattice: Lattice
    whole: Ints
    price: Floats
    _found: dict[int, Floats] = field(default_factory=dict)

    @cached_property
    def fills(self) -> Floats:
        """`[states, T]` words a MAC at least."""
        tables = self.cuts.tables
        fills = tables.words[self.whole] / tables.volume[self.whole, None]
        if self.cuts.sliding is not None:
            left = np.array(self.lattice.bounds) / self.lattice.extent
            fills[:, self.cuts.sliding] *= best_slide(self.cuts, self.lattice.extent, self.lattice.extent, left)[0]
        return fills

    def fits(self, made: int) -> Bools:
        """`[states]` whether all cuts but those `made` (bits) may be at a state, or beyond it."""
        tables, cuts = self.cuts.tables, self.cuts
        good = np.ones(self.lattice.size, dtype=bool)
        for level in range(tables.shared):
            own = [i for i, cut in enumerate(cuts.all) if cut.level == level]
            held = sum((tables.words[self.whole, cuts.all[i].space] for i in own if not made >> i & 1), np.zeros(1))
            used = sum(made >> i & 1 for i in own)  # a word each at least
            good &= held + used <= tables.architecture.levels[level].usable_capacity
        return good

    def least(self, made: int) -> Floats:
        """`[states]` pJ a MAC of all cuts inside the array but those `made`, at multiples of a state."""
        left = [i for i in range(len(self.cuts)) if not self.cuts.shared[i] and not made >> i & 1]
        if not left:
            return np.zeros(self.lattice.size)
        key = made & sum(1 << i for i in range(len(self.cuts)) if not self.cuts.shared[i])
        if key not in self._found:
            least = np.full(self.lattice.size, np.inf)
            for i in left:
                if self.cuts.inner[i] & ~made:
                    continue
                own = self.price[i] * self.fills[:, self.cuts.all[i].space]
                least = np.minimum(least, own + self.least(made | 1 << i))
            self._found[key] = self.lattice.least_of_multiples(np.where(self.fits(made), least, np.inf))
        return self._found[key]


def _subsets(spaces: Sequence[int]) -> list[frozenset[int]]:
    """All sets of some dataspaces but the empty one, small ones first."""
    found = [frozenset(t for i, t in enumerate(spaces) if code >> i & 1) for code in range(1, 2 ** len(spaces))]
    return sorted(found, key=len)
