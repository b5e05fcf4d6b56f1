"""The tables of a machine whose only fan-out is that of level m: one array of processing elements under it.

Then spatial factors alone decide what a word costs that crosses to level m, and how many of everything there are.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from dlco.exact.case import Case
from dlco.exact.lattice import Bools, Floats, Ints
from dlco.exact.tables import LayerTables


def why_no_array(case: Case) -> str | None:
    """Why `ArrayTables` do not describe a case, in words that follow "because"; None where they do."""
    levels = case.architecture.levels
    if len(levels) < 2:
        return f"{case.architecture.name!r} has one storage level"
    for level in (*levels[:-2], levels[-1]):
        if level.fanout_x * level.fanout_y > 1:
            return f"{level.name} has a fan-out, not only the level next to the outermost"
    out = {space.name for space in case.problem.dataspaces}
    out &= levels[-1].bypass | case.resolved.bypassed(levels[-1].name)
    if out:
        return f"{levels[-1].name}, the outermost level, bypasses {', '.join(sorted(out))}"
    return None


@dataclass(frozen=True, eq=False)
class ArrayTables(LayerTables):
    """The tables of a problem on a machine that `why_no_array` lets pass; `S` vectors of spatial factors."""

    @property
    def spatial(self) -> Ints:
        """`[S]` states of the spatial factors that the fan-out holds, each dimension along one axis."""
        return self.fans[self.shared].vectors

    @property
    def along_x(self) -> Ints:
        """`[S]` bits of the dimensions that lie along X there."""
        return self.fans[self.shared].along_x

    @property
    def children(self) -> Floats:
        """`[S]` processing elements in use."""
        return self.fans[self.shared].children

    @property
    def distinct(self) -> Floats:
        """`[S, T]` children with different words over children, where windows do not overlap."""
        return self.fans[self.shared].distinct

    @cached_property
    def crosses(self) -> Bools:
        """`[K]` whether a term's words come over the fan-out."""
        return self.crosses_at(self.shared)

    @cached_property
    def instances(self) -> Floats:
        """`[S, levels]` instances of every level."""
        inside = np.arange(self.levels) < self.shared
        return np.where(inside, self.children[:, None], 1.0)

    @cached_property
    def spread(self) -> Floats:
        """`[S, levels, R]` how many instances of every level see the same words of each result."""
        inside = np.arange(self.levels)[:, None] < self.shared
        return np.where(inside, self.fans[self.shared].irrelevant[:, None, self.results], 1.0)

    @cached_property
    def constant_pj(self) -> Floats:
        """`[S]` energy a MAC besides the terms and leakage, pJ: the MACs, less what first visits save."""
        return self.architecture.mac_pj - np.einsum("slr,lr->s", self.spread, self.saved_pj)

    @cached_property
    def leak_pj(self) -> Floats:
        """`[S]` leakage a cycle, pJ."""
        return self.instances @ self.figure("leak_pj")

    @cached_property
    def compute(self) -> Floats:
        """`[S]` cycles of the MACs."""
        return self.macs / self.children

    def needs_of(
        self, spatial: Ints, fills: Floats, loose: Floats, share: Floats, shared_fills: Floats | None = None
    ) -> Floats:
        """`[n, ports]` cycles that each port needs at least, as `port_needs`.

        Args:
            spatial: `[n]` rows of `spatial`.
            fills: as there.
            loose: as there.
            share: `[n, T]` children with different words over children.
            shared_fills: as there.
        """
        crossing = np.where(self.crosses, share[:, self.space_of], 1.0)
        return self.port_needs(fills, loose, crossing, self.instances[spatial], self.spread[spatial], shared_fills)
