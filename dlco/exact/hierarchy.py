"""Tables of any hierarchy where factors need not divide the bounds: fan-outs at several levels, several shared ones.

States are numbers of tiles (`counts`), and labels grow level by level as with perfect factors (`growth`). What a label
says of words and steps are lower bounds, as it fixes numbers of tiles N alone. Several factors f leave N' of N,

    ceil(N / N') <= f <= (N - 1) // (N' - 1),      the last tile holding m = N - (N' - 1) f where the others hold f,

and each slot of a dimension may have any of them, whatever the other slots have. Of a loop that leaves a dataspace in
place, and of children served together, the first is walked for all (`dlco.cost.imperfect`): words are those of the
mean, N / N' times fewer, or more where children inside idle at times. But where the last tile is alone (m = 1), it is
walked as what it is, cut short; then words are no more than f times fewer. This is `rate`. What is larger in the cost
model is left to it; `last_tiles` lists the factors that may matter.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from dlco.exact.count_tables import CountedTables, CountFan
from dlco.exact.counts import tile_count
from dlco.exact.fanouts import closest
from dlco.exact.lattice import Bools, Floats, Ints


@dataclass(frozen=True, eq=False)
class HierarchyFan(CountFan):
    """The children of a level of a hierarchy."""

    tiles: "HierarchyTables"  # type: ignore[assignment]

    def after(self, states: Ints, vector: Ints) -> Ints:
        """As `FanOut` has it; factors larger than the number of tiles lead nowhere."""
        lattice = self.tiles.lattice
        before, factors = lattice.entries[states], self.factors[vector]
        to = lattice.state_of(np.maximum(tile_count(before, factors), 1))
        return np.where((factors <= before).all(1), to, -1)

    def _best(self, value: Floats) -> Floats:
        """As `FanOut` has it: over the factors of which there are no more than tiles."""
        lattice = self.tiles.lattice
        digit = np.stack(
            [
                np.searchsorted(-np.array(row), -self.factors[:, d], side="right") - 1
                for d, row in enumerate(lattice.factors)
            ],
            1,
        ).reshape(len(self.factors), -1)
        at = (digit * lattice.stride).sum(1)
        table = np.full((lattice.size, *value.shape[1:]), np.inf)
        np.minimum.at(table, at, value)
        shaped = table.reshape(*lattice.radix, -1)
        for d in range(len(lattice.radix)):
            shaped = np.flip(np.minimum.accumulate(np.flip(shaped, d), d), d)
        return shaped.reshape(table.shape)

    def _overlaps(self, multiples: bool) -> Floats:
        """As `FanOut` has it, whatever the tiles."""
        share = np.ones((self.tiles.lattice.size, len(self.tiles.spaces)))
        for slide in self.tiles.slides:
            n, m = (self.factors[:, d].astype(float) for d in slide.dims)
            share[:, slide.space] *= closest(n, m).min()
        return share


@dataclass(frozen=True, eq=False)
class HierarchyTables(CountedTables):
    """One problem on one machine, with tiles that need not divide the bounds; states are numbers of tiles."""

    @cached_property
    def whole(self) -> Ints:
        """`[dims]` the bounds, as integers."""
        return np.array(self.lattice.bounds, dtype=np.int64)

    @cached_property
    def shared_tiles(self) -> Bools:
        """`[states]` as `LayerTables` has it, for the least whole tiles."""
        good = self.fits[:, self.shared]
        if self.levels > len(self.architecture.levels):
            good = good & (np.arange(self.lattice.size) == self.lattice.size - 1)
        return good

    def fan(self, level: int) -> HierarchyFan:
        """The fan-out of a level, anew."""
        x, y = self.chain[level].fanout_x, self.chain[level].fanout_y
        return HierarchyFan(self, x, y, (), *self.masks.axes(level))

    # what loops do

    def most(self, inner: Ints, outer: Ints) -> Ints:
        """`[n, dims]` the largest factors that lead from one state to another."""
        n, left = self.lattice.entries[inner], self.lattice.entries[outer]
        return np.where(left > 1, (n - 1) // np.maximum(left - 1, 1), n)

    def rate(self, inner: Ints, outer: Ints) -> Floats:
        """`[n, dims]` by how much loops passed in place lower what is walked at most, children idling inside."""
        n, left = self.lattice.entries[inner], self.lattice.entries[outer]
        most = self.most(inner, outer)
        return np.where((left > 1) & (n - (left - 1) * most == 1), most, n / left)

    @cached_property
    def fanned(self) -> Bools:
        """`[levels]` whether a level or one further out has spatial factors to choose."""
        return np.array([any(not fan.is_given for fan in self.fans[level:]) for level in range(self.levels)])

    def still(self, level: int, is_open: Bools, inner: Ints, outer: Ints, row: Ints) -> Ints:
        """`[n, K]` bits of the loops of a level that leave open terms in place; arguments as `step`."""
        classes, code = self.classes[level - 1], self.loops(inner, outer)
        moves = (code[:, None] & self.moving[self.space_of]) > 0
        still = np.where(moves, classes.still[row][:, self.space_of] & code[:, None], code[:, None])
        return np.where(is_open & (self.level_of < level), still, 0)
