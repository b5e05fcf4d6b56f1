"""Boxes of a space's machines, and what none of their machines goes below or beyond.

A box holds the machines whose sizes lie between two positions of every grid. Its most optimistic machine has every
figure at its best: capacities, bandwidths and fan-outs at their greatest, energies and leakage at their least. Whatever
mapping fits a machine of the box fits that one too, and takes no more energy and no more cycles there; so a bound on
its mappings bounds them all.

Nothing is taken for granted of how figures depend on sizes. Capacities, fan-outs and bandwidths are positive multiples
of one size each, so they are greatest at the end of its grid. Energies, leakage and area of a memory depend on its own
capacity and width alone, and are looked up at every pair of these within the box. Where a level's width is free there,
an access has no width of its own: a word then costs the least that a word costs at any width, and words do not come in
blocks, as whole blocks cost no less than their words.
Networks (`dlco.hardware.wires`) grow with fan-outs, widths and areas, and are laid out from the least of these.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from math import inf, prod, sqrt
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from dlco.hardware.architecture import PORTS, Architecture, Level
from dlco.hardware.network import Network
from dlco.hardware.reach import Reach
from dlco.hardware.space import HardwareSpace
from dlco.hardware.wires import LEAST_UM2, Spans, lay_out

DOWN = 1 - 1e-12  # figures of a batch of machines may differ from those of a single one in their last digits
SAME = 1 + 1e-9  # as limits of a budget are kept

ENERGIES = ("read_pj", "write_pj", "update_pj")


class Box(NamedTuple):
    """First and last position, inclusive, of every grid."""

    low: tuple[int, ...]
    high: tuple[int, ...]

    @property
    def is_point(self) -> bool:
        """Whether one machine is in it."""
        return self.low == self.high

    @property
    def size(self) -> int:
        """How many machines are in it."""
        return prod(high - low + 1 for low, high in zip(self.low, self.high, strict=True))

    def halves(self, p: int, cut: int) -> "tuple[Box, Box]":
        """The machines whose size p is at most at a position, and those above."""
        below, above = (*self.high[:p], cut, *self.high[p + 1 :]), (*self.low[:p], cut + 1, *self.low[p + 1 :])
        return Box(self.low, below), Box(above, self.high)

    def cuts(self) -> Iterator[tuple[int, int]]:
        """(size, position) of all ways to cut it in two."""
        for p, (low, high) in enumerate(zip(self.low, self.high, strict=True)):
            for cut in range(low, high):
                yield p, cut


@dataclass(frozen=True, eq=False)
class MemoryTable:
    """What a resized memory costs at all its own sizes.

    Attributes:
        sizes: the parameters, at most two, that its capacity and its width follow.
        figures: by name, over the positions in these; energies of an access.
        width: words an access, likewise.
    """

    sizes: tuple[int, ...]
    figures: dict[str, NDArray[np.float64]]
    width: NDArray[np.float64]

    def inside(self, table: NDArray[np.float64], box: Box) -> NDArray[np.float64]:
        """The part of a table that lies in a box."""
        return table[tuple(slice(box.low[p], box.high[p] + 1) for p in self.sizes)]


@dataclass(frozen=True, eq=False)
class Boxes:
    """The boxes of a space's machines within limits.

    Attributes:
        space: the machines.
        area_mm2: the most area; `macs`: the most MAC units.
    """

    space: HardwareSpace
    area_mm2: float = inf
    macs: float = inf

    @cached_property
    def whole(self) -> Box | None:
        """The box of all machines; None where none keeps the limits."""
        lengths = [len(parameter.grid) for parameter in self.space.parameters]
        return self.trimmed(Box((0,) * len(lengths), tuple(n - 1 for n in lengths)))

    def trimmed(self, box: Box, is_open: Callable[[Box], bool] = lambda box: True) -> Box | None:
        """The box without ends of its grids that no machine within the limits has; None where no machine is left.

        Args:
            box: the machines.
            is_open: whether some machine of a box may be wanted; of parts of a box that it denies it denies all.
        """

        def may_keep(part: Box) -> bool:
            return self._may_keep(part) and is_open(part)

        low, high = list(box.low), list(box.high)
        moved = True
        while moved:
            moved = False
            if self.space.limits:
                left = self._reach.trimmed((np.array(low, np.int64), np.array(high, np.int64)))
                if left is None:
                    return None
                low, high = left[0].tolist(), left[1].tolist()
            if not may_keep(Box(tuple(low), tuple(high))):
                return None
            for p in range(len(low)):
                for end, step in ((low, 1), (high, -1)):
                    while low[p] < high[p] and not may_keep(_at(low, high, p, end[p])):
                        end[p] += step
                        moved = True
        return Box(tuple(low), tuple(high))

    @cached_property
    def _reach(self) -> Reach:
        return Reach([parameter.grid for parameter in self.space.parameters], self.space.names, self.space.limits)

    def _may_keep(self, box: Box) -> bool:
        return self.least_area(box) <= self.area_mm2 * SAME and self.least_macs(box) <= self.macs * SAME

    def least_macs(self, box: Box) -> float:
        """MAC units that no machine of a box has fewer of."""
        return prod((self._fanout(level, box.low) for level in self._levels), start=1.0)

    def least_area(self, box: Box) -> float:
        """mm2 that no machine of a box has less of: every level's least, as many times as it occurs at least."""
        base, instances, total = self.space.base, 1.0, 0.0
        areas, networks = self._areas(box), self._networks(box)
        for i in reversed(range(len(self._levels))):
            network = networks[i]
            total += instances * (areas[i] if network is None else areas[i] + network.area_um2)
            instances *= self._fanout(self._levels[i], box.low)
        return (total + instances * base.mac_area_um2) * 1e-6 * DOWN

    def _areas(self, box: Box) -> list[float]:
        """`[levels]` um2 that no instance has less of."""
        tables = [self._tables.get(level.name) for level in self._levels]
        return [
            level.area_um2 if table is None else float(table.inside(table.figures["area_um2"], box).min())
            for level, table in zip(self._levels, tables, strict=True)
        ]

    def _networks(self, box: Box) -> list[Network | None]:
        """`[levels]` networks of the least fan-outs, widths and areas: they grow with all of these."""
        levels, wires = self._levels, self.space.wires
        given = [level.network for level in levels]
        if wires is None:
            return given
        spans = Spans(
            kinds=[network.kind if network else None for network in given],
            word_bits=[level.word_bits for level in levels],
            fanouts=[(self._sized(lv, "fanout_x", box.low), self._sized(lv, "fanout_y", box.low)) for lv in levels],
            widths=[self._width(level, box) for level in levels],
            areas=self._areas(box),
            mac_area=self.space.base.mac_area_um2,
            given=[network.area_um2 if network else 0.0 for network in given],
            ranks=self.space.base.ranks,
        )
        laid = lay_out(spans, wires, float, lambda area: sqrt(max(area, LEAST_UM2**2)))
        return [
            network if one is None else Network(spans.kinds[i], one.reach_pj, one.step_pj or 0.0, one.area_um2)
            for i, (network, one) in enumerate(zip(given, laid, strict=True))
        ]

    def _width(self, level: Level, box: Box) -> float:
        """The least words that a level reads a cycle."""
        if "bandwidth" in self.space.driven.get(level.name, {}):
            return self._sized(level, "bandwidth", box.low)
        ports = (self._sized(level, name, box.low) for name in ("read_bandwidth", "shared_bandwidth"))
        return next((words for words in ports if words < inf), float(level.block_size))

    def optimistic(self, box: Box) -> Architecture:
        """The most optimistic machine of a box: of one machine, that machine itself."""
        space = self.space
        if box.is_point:
            return space.architecture_at(torch.tensor(box.low, dtype=torch.long))
        levels = [self._optimistic(level, box) for level in self._levels]
        if space.wires:
            levels = [
                replace(lv, network=one and _down(one)) for lv, one in zip(levels, self._networks(box), strict=True)
            ]
        return replace(space.base, levels=tuple(levels))

    @property
    def _levels(self) -> tuple[Level, ...]:
        return self.space.base.levels

    def _optimistic(self, level: Level, box: Box) -> Level:
        driven = self.space.driven.get(level.name, {})
        changed: dict[str, float] = {
            name: self._sized(level, name, box.high) for name in ("fanout_x", "fanout_y", *PORTS) if name in driven
        }
        if "capacity" in driven:
            changed["capacity"] = self._sized(level, "capacity", box.high)
        if "bandwidth" in driven:
            changed |= dict.fromkeys(PORTS[:2], self._sized(level, "bandwidth", box.high))
        table = self._tables.get(level.name)
        if table is not None:
            width = table.inside(table.width, box)
            same = width.min() == width.max()
            changed["block_size"] = float(width.min()) if same else 1
            for name, figures in table.figures.items():
                inside = table.inside(figures, box)
                changed[name] = float((inside / width if name in ENERGIES and not same else inside).min()) * DOWN
        whole = {name: int(changed[name]) for name in ("block_size", "fanout_x", "fanout_y") if name in changed}
        return replace(level, **(changed | whole))  # type: ignore[arg-type]

    def _fanout(self, level: Level, index: tuple[int, ...]) -> float:
        """Children of an instance at grid positions."""
        return self._sized(level, "fanout_x", index) * self._sized(level, "fanout_y", index)

    def _sized(self, level: Level, field: str, index: tuple[int, ...]) -> float:
        """A capacity, fan-out or bandwidth at grid positions."""
        driven = self.space.driven.get(level.name, {})
        if field not in driven:
            return float(getattr(level, field))
        p, scale = driven[field]
        return self.space.parameters[p].grid[index[p]] * scale

    @cached_property
    def _tables(self) -> dict[str, MemoryTable]:
        """By level, of those whose capacity or width is free."""
        space, found = self.space, {}
        for i, level in enumerate(self._levels):
            driven = space.driven.get(level.name, {})
            own = tuple(sorted({driven[name][0] for name in ("capacity", "bandwidth") if name in driven}))
            if not own:
                continue
            grids = [space.parameters[p].grid for p in own]
            points = torch.tensor(list(product(*grids)), dtype=torch.float64)
            sizes = space.low.repeat(len(points), 1)
            sizes[:, list(own)] = points
            machines = space.machine(sizes)
            shape = [len(grid) for grid in grids]
            names = (*ENERGIES, "leak_pj", "area_um2", "block_size")
            columns = {name: getattr(machines, name)[:, i].numpy().reshape(shape) for name in names}
            found[level.name] = MemoryTable(own, columns, columns.pop("block_size"))
        return found


def _down(network: Network) -> Network:
    """A network a little cheaper, by what rounding may do."""
    return replace(network, reach_pj=network.reach_pj * DOWN, step_pj=network.step_pj * DOWN)


def _at(low: list[int], high: list[int], p: int, at: int) -> Box:
    """The box with one size at a position."""
    return Box((*low[:p], at, *low[p + 1 :]), (*high[:p], at, *high[p + 1 :]))
