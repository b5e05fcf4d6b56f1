"""What a word, a cycle and an instance cost on a machine, or on every machine of a box of sizes, as posynomials.

The columns of a posynomial here are the logarithms of the free sizes, one a parameter of the space: technology curves
are posynomials in capacity and width, bandwidths and fan-outs are sizes themselves. A fixed machine has no columns.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, reduce
from math import inf, log

import numpy as np

from dlco.bound.geometric import Array
from dlco.hardware.architecture import Architecture, Level
from dlco.hardware.limits import rows_of
from dlco.hardware.network import MACS, Network, ways
from dlco.hardware.posynomial import Posynomial
from dlco.hardware.space import HardwareSpace
from dlco.hardware.wires import Spans, lay_out

TINY = 1e-200  # a cost below this is left out of a bound, as numbers near the smallest lose their digits


@dataclass(frozen=True)
class Sum:
    """A posynomial `sum_k exp(exponents_k x + logs_k)` in `[n]` columns; without terms it is 0."""

    logs: Array
    exponents: Array

    @staticmethod
    def monomial(value: float, vector: Array) -> "Sum":
        """`value * exp(vector x)`; 0 where the value is 0, or so small that nothing can be made of it."""
        return (
            Sum(np.array([log(value)]), vector[None]) if value > TINY else Sum(np.zeros(0), np.zeros((0, len(vector))))
        )

    def __mul__(self, other: "Sum") -> "Sum":
        logs = (self.logs[:, None] + other.logs).ravel()
        exponents = (self.exponents[:, None] + other.exponents).reshape(len(logs), self.exponents.shape[1])
        return Sum(logs, exponents)

    def __add__(self, other: "Sum") -> "Sum":
        return Sum(np.concatenate([self.logs, other.logs]), np.concatenate([self.exponents, other.exponents]))

    def over(self, monomial: "Sum") -> "Sum":
        """The quotient by a sum of one term."""
        return Sum(self.logs - monomial.logs, self.exponents - monomial.exponents)

    def scaled(self, factor: float) -> "Sum":
        """`factor` times the sum, for a factor above 0."""
        return Sum(self.logs + log(factor), self.exponents)

    def wide(self, columns: int, at: int) -> "Sum":
        """The same sum of more columns, its own from column `at` on."""
        exponents = np.zeros((len(self.logs), columns))
        exponents[:, at : at + self.exponents.shape[1]] = self.exponents
        return Sum(self.logs, exponents)

    def __call__(self, x: Array) -> float:
        """The value at `[n]` columns."""
        return float(np.exp(self.exponents @ x + self.logs).sum())

    def tangent(self, x: Array, power: float) -> "Sum":
        """The monomial that touches a power of the sum at `[n]` columns and lies nowhere above it.

        The logarithm of a sum is convex in them (as for `Posynomial.tangent`).
        """
        if not len(self.logs):
            return self
        parts = np.exp(self.exponents @ x + self.logs)
        vector = power * (parts @ self.exponents) / parts.sum()
        return Sum(np.array([power * log(parts.sum()) - vector @ x]), vector[None])

    def least(self, low: Array, high: Array) -> float:
        """A value that the sum does not go below in a box: every term's own least."""
        corner = np.where(self.exponents > 0, low, high) * self.exponents
        return float(np.exp(corner.sum(1) + self.logs).sum())


@dataclass(frozen=True)
class LevelUnitCosts:
    """One level; energies in pJ a word, leakage in pJ an instance and cycle, area in um2 an instance.

    `reach` and `step` are its network's, pJ a bit, and `wires` that network's area, um2; none goes below what is said
    of an energy or an area where sizes are free: roots of sums are monomials that touch them in the middle of the box.

    `capacity` (usable words), `fanout` and the bandwidths (words a cycle) have one term, or are None where there is
    no limit (fan-out: no children beside each other).
    """

    read: Sum
    write: Sum
    update: Sum
    leak: Sum
    area: Sum
    capacity: Sum | None
    fanout: Sum | None
    read_bandwidth: Sum | None
    write_bandwidth: Sum | None
    shared_bandwidth: Sum | None
    axes: tuple[float, float]  # the longest X and Y
    reach: Sum
    step: Sum
    wires: Sum


@dataclass(frozen=True)
class UnitCosts:
    """What everything costs on the machines of a space whose sizes lie in a box.

    Attributes:
        base: the machine, with what is not free.
        levels: innermost first.
        low, high: logarithms of the sizes' ends, `[parameters]`.
        names: of the sizes.
        limits: of sizes, each at most 1.
    """

    base: Architecture
    levels: tuple[LevelUnitCosts, ...]
    low: Array
    high: Array
    names: tuple[str, ...] = ()
    limits: tuple[Sum, ...] = ()

    @cached_property
    def area(self) -> Sum:
        """Area of the machine, um2."""
        total = Sum.monomial(0.0, self.low)
        below = Sum.monomial(1.0, self.low * 0)
        for level in reversed(self.levels):
            total = total + (level.area + level.wires) * below
            below = below if level.fanout is None else below * level.fanout
        return total + below * Sum.monomial(self.base.mac_area_um2, self.low * 0)

    def wire_pj(self, kept: Sequence[int]) -> tuple[dict[int, Sum], dict[int, Sum]]:
        """PJ that a word of a dataspace takes over networks.

        Args:
            kept: levels that keep it.

        Returns:
            (of a word that a level serves, of one that a level, or `MACS`, takes or gives), by level.
        """
        arrays = [len(own.step.logs) > 0 for own in self.levels]
        none = Sum.monomial(0.0, self.low)
        far, near = dict.fromkeys(kept, none), dict.fromkeys((MACS, *kept), none)
        for way in ways([[level in kept] for level in range(len(self.levels))], arrays, self.base.ranks):
            bits = float(self.base.levels[way.parent].word_bits)
            far[way.parent] = reduce(Sum.__add__, (self.levels[one].reach for one in way.far), none).scaled(bits)
            taken = none if way.step is None else self.levels[way.step].step
            near[way.child] = reduce(Sum.__add__, (self.levels[one].reach for one in way.near), taken).scaled(bits)
        return far, near

    @cached_property
    def macs(self) -> Sum:
        """MAC units: one term."""
        units = Sum.monomial(1.0, self.low * 0)
        for level in self.levels:
            units = units if level.fanout is None else units * level.fanout
        return units


def unit_costs(space: HardwareSpace, low: Array | None = None, high: Array | None = None) -> UnitCosts:
    """The unit costs of the machines of a space whose sizes lie between `low` and `high`, `[parameters]`; of all."""
    low = space.low.numpy() if low is None else low
    high = space.high.numpy() if high is None else high
    levels = tuple(_Sizes(level, space, high).unit_costs() for level in space.base.levels)
    if space.wires is not None:
        levels = _wired(levels, space, (np.log(low) + np.log(high)) / 2)
    rows = rows_of(space.limits, space.names)
    limits = tuple(Sum(rows.logs[rows.row == i], rows.exponents[rows.row == i]) for i in range(len(space.limits)))
    return UnitCosts(space.base, levels, np.log(low), np.log(high), space.names, limits)


class _Sizes:
    """The sizes of one level: its own numbers, or multiples of the parameters that decide them."""

    def __init__(self, level: Level, space: HardwareSpace, high: Array) -> None:
        self.level, self.space, self.high = level, space, high
        self.driven = space.driven.get(level.name, {})

    def size(self, name: str, fixed: float, divisor: float = 1.0) -> Sum:
        """A size, or the level's own."""
        vector = np.zeros(len(self.high))
        if name not in self.driven:
            return Sum.monomial(fixed, vector)
        at, scale = self.driven[name]
        vector[at] = 1.0
        return Sum.monomial(scale / divisor, vector)

    def port(self, name: str) -> Sum | None:
        """A bandwidth; None without limit."""
        if "bandwidth" in self.driven and name != "shared_bandwidth":
            return self.size("bandwidth", inf)
        fixed = getattr(self.level, name)
        return None if name not in self.driven and fixed == inf else self.size(name, fixed)

    def most(self, name: str, fixed: int) -> float:
        """The greatest value of a fan-out."""
        if name not in self.driven:
            return float(fixed)
        at, scale = self.driven[name]
        return float(self.high[at] * scale)

    def unit_costs(self) -> LevelUnitCosts:
        """What the level costs."""
        level = self.level
        axes = (self.most("fanout_x", level.fanout_x), self.most("fanout_y", level.fanout_y))
        fanout = self.size("fanout_x", level.fanout_x) * self.size("fanout_y", level.fanout_y)
        unlimited = "capacity" not in self.driven and level.capacity == inf
        buffers = level.multiple_buffering if "capacity" in self.driven else 1.0
        return LevelUnitCosts(
            **self._costs(),
            capacity=None if unlimited else self.size("capacity", level.usable_capacity, buffers),
            fanout=fanout if axes[0] * axes[1] > 1 else None,
            read_bandwidth=self.port("read_bandwidth"),
            write_bandwidth=self.port("write_bandwidth"),
            shared_bandwidth=self.port("shared_bandwidth"),
            axes=axes,
            **self._network(),
        )

    def _network(self) -> dict[str, Sum]:
        """The level's network as it is given."""
        network = self.level.network or Network()
        own = {"reach": network.reach_pj, "step": network.step_pj, "wires": network.area_um2}
        return {name: self.size("", figure) for name, figure in own.items()}

    def _costs(self) -> dict[str, Sum]:
        """Energies a word, leakage and area, as `HardwareSpace` has them; a DRAM's word costs the same at any width."""
        level, space = self.level, self.space
        block = self.size("bandwidth", float(level.block_size))
        if level.kind == "DRAM" or not self.driven.keys() & {"capacity", "bandwidth"}:
            width = float(level.block_size)
            costs = {name: getattr(level, f"{name}_pj") / width for name in ("read", "write", "update")}
            costs |= {"leak": level.leak_pj, "area": level.area_um2}
            return {name: self.size("", cost) for name, cost in costs.items()}
        capacity = self.size("capacity", level.capacity)
        own = dict(space.curves).get(level.name)

        def curve(quantity: str) -> Sum:
            if own is not None:
                return _compose(own.curve(quantity, level.word_bits), capacity, block)
            return _compose(space.technology.curve(level.kind, quantity, level.word_bits), capacity, block)

        write = curve("write_pj").over(block)
        return {
            "read": curve("read_pj").over(block),
            "write": write,
            "update": write,
            "leak": curve("leak_pj").scaled(space.base.cycle_s / space.technology.cycle_s),
            "area": curve("area_um2"),
        }


def _wired(levels: tuple[LevelUnitCosts, ...], space: HardwareSpace, middle: Array) -> tuple[LevelUnitCosts, ...]:
    """The levels with networks laid out by their sizes; `middle`: logarithms of sizes, `[parameters]`."""
    assert space.wires is not None
    base = space.base.levels
    sizes = [_Sizes(level, space, np.exp(middle)) for level in base]
    nothing = np.zeros(len(middle))

    def width(own: LevelUnitCosts, level: Level) -> Sum:
        ports = (own.read_bandwidth, own.shared_bandwidth)
        return next((port for port in ports if port is not None), Sum.monomial(float(level.block_size), nothing))

    spans = Spans(
        kinds=[level.network.kind if level.network else None for level in base],
        word_bits=[level.word_bits for level in base],
        fanouts=[
            (one.size("fanout_x", lv.fanout_x), one.size("fanout_y", lv.fanout_y))
            for one, lv in zip(sizes, base, strict=True)
        ],
        widths=[width(own, level) for own, level in zip(levels, base, strict=True)],
        areas=[own.area for own in levels],
        mac_area=Sum.monomial(space.base.mac_area_um2, nothing),
        given=[level.network.area_um2 if level.network else 0.0 for level in base],
        ranks=space.base.ranks,
    )
    laid = lay_out(spans, space.wires, lambda x: Sum.monomial(x, nothing), lambda area: area.tangent(middle, 0.5))
    none = Sum.monomial(0.0, nothing)
    return tuple(
        own if one is None else replace(own, reach=one.reach_pj, step=one.step_pj or none, wires=one.area_um2)
        for own, one in zip(levels, laid, strict=True)
    )


def _compose(curve: Posynomial, size: Sum, width: Sum) -> Sum:
    """A curve of monomials."""
    logs = [log(c) + p * size.logs[0] + q * width.logs[0] for c, p, q in curve.terms]
    rows = [p * size.exponents[0] + q * width.exponents[0] for _, p, q in curve.terms]
    return Sum(np.array(logs), np.array(rows).reshape(len(logs), size.exponents.shape[1]))
