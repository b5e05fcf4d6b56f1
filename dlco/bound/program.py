"""The convex program of one node of a layer's mappings: terms of `dlco.bound.terms` put into rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, inf, log, prod

import numpy as np

from dlco.bound.arrays import array_limits
from dlco.bound.geometric import Array, Program
from dlco.bound.nodes import Node, Range
from dlco.bound.terms import Arrivals, LayerTerms
from dlco.bound.unit_costs import Sum
from dlco.hardware.limits import SLACK
from dlco.hardware.network import MACS
from dlco.hardware.parameter import PORTS
from dlco.mapping.factors import prime_factors


@dataclass(frozen=True)
class Aim:
    """What a layer's program minimises: `energy` x pJ + `time` x cycles + `sizes` x log sizes.

    Attributes:
        energy, time: the weights, not negative.
        sizes: weight of the logarithm of each free size, of either sign; none where empty.
        cycles: upper limit on the cycles of one execution.
        area_um2, macs: upper limits on the machine.
    """

    energy: float
    time: float
    sizes: tuple[float, ...] = ()
    cycles: float = inf
    area_um2: float = inf
    macs: float = inf


@dataclass(frozen=True)
class Draft:
    """A program, and what its terms stand for.

    Attributes:
        program: in units of `scale`.
        scale: the objective's unit.
        source: `[terms]` index into `arrivals` of what each term pays for, or -1.
        arrivals: see `Arrivals`.
        chords: (level, vector of log J, coefficient in units of scale) of every first-visit chord.
        rows: what each row after the objective says, such as "DRAM.read_bandwidth".
    """

    program: Program
    scale: float
    source: np.ndarray
    arrivals: list[Arrivals]
    chords: list[tuple[int, Array, float, Range]]
    rows: tuple[str, ...]


@dataclass(frozen=True)
class Moved:
    """Words that an instance moves, less the chord of a monomial `less` of them; `source` as in `Draft`."""

    words: Sum
    source: int
    less: Sum | None = None


AREA = "area_mm2"  # name of a row


def limit_row(number: int) -> str:
    """The name of the row of one of the limits between sizes, by its position."""
    return f"limit {number + 1} of the space"


def draft(model: LayerTerms, node: Node, aim: Aim) -> Draft:
    """The convex program of a node."""
    return _Drafting(model, node, aim).draft()


class _Drafting:
    """The rows of one program as they are written."""

    def __init__(self, model: LayerTerms, node: Node, aim: Aim) -> None:
        self.model, self.node, self.aim = model, node, aim
        self.unit_e, self.unit_t = model.scales
        self.scale = aim.energy * self.unit_e + aim.time * self.unit_t
        self.logs: list[Array] = []
        self.exponents: list[Array] = []
        self.row: list[int] = []
        self.source: list[int] = []
        self.linear: list[Array] = [np.zeros(model.n)]
        self.constant: list[float] = [0.0]
        self.arrivals: list[Arrivals] = []
        self.chords: list[tuple[int, Array, float, Range]] = []
        self.names: list[str] = []

    def draft(self) -> Draft:
        """See the function."""
        m, aim = self.model, self.aim
        self.linear[0][-1] = aim.time * self.unit_t / self.scale
        if aim.sizes:
            self.linear[0][m.sizes] = np.array(aim.sizes) / self.scale
        compute = Sum.monomial(float(m.problem.macs), -m.across(range(m.levels)))
        self.time_row([Moved(compute, -1)], Sum.monomial(1.0, m.costs.low * 0), "MACs")
        self.energy(Sum.monomial(m.problem.macs * m.costs.base.mac_pj, np.zeros(m.n)), -1)
        for level, own in enumerate(m.costs.levels):
            leak = self.wide(own.leak) * compute * Sum.monomial(1.0, m.instances(level))
            self.energy(leak, -1)
        moves = self.accesses(compute)
        memories = m.costs.base.parts
        for level, own in enumerate(m.costs.levels):
            parts = [lv for lv, part in enumerate(memories) if part == level]
            if not parts:  # its memory's innermost part has the rows for all
                self.fanout(level)
                continue
            reads, writes = ([one for lv in parts for one in moves[lv][kind]] for kind in range(2))
            for moved, port in zip((reads, writes, reads + writes), PORTS, strict=True):
                bandwidth = getattr(own, port)
                if bandwidth is not None and moved:
                    self.time_row(moved, bandwidth, self.size(level, port))
            self.capacity(level, parts)
            self.fanout(level)
        self.machine()
        self.decisions()
        equal, value = m.splits
        low, high = m.box
        high = high.copy()
        high[-1] = aim.cycles / self.unit_t
        sizes = [len(part) for part in self.logs]
        program = Program(
            exponents=np.concatenate(self.exponents),
            logs=np.concatenate(self.logs),
            row=np.repeat(np.array(self.row), sizes),
            linear=np.array(self.linear),
            constant=np.array(self.constant),
            equal=equal,
            value=value,
            low=low,
            high=high,
            slack=m.n - 1,
        )
        source = np.repeat(np.array(self.source), sizes)
        return Draft(program, self.scale, source, self.arrivals, self.chords, tuple(self.names))

    def wide(self, own: Sum) -> Sum:
        """A sum of sizes in the columns of the program."""
        return own.wide(self.model.n, self.model.slots)

    def terms(self, row: int, terms: Sum, source: int) -> None:
        """Add terms to a row."""
        if len(terms.logs):
            self.logs.append(terms.logs)
            self.exponents.append(terms.exponents)
            self.row.append(row)
            self.source.append(source)

    def energy(self, pj: Sum, source: int) -> None:
        """Add energy to the objective."""
        if self.aim.energy > 0 and len(pj.logs):
            self.terms(0, pj.scaled(self.aim.energy / self.scale), source)

    def size(self, level: int, field: str) -> str:
        """The name of one of a level's sizes."""
        return f"{self.model.costs.base.levels[level].name}.{field}"

    def new_row(self, name: str) -> int:
        """An empty row."""
        self.names.append(name)
        self.linear.append(np.zeros(self.model.n))
        self.constant.append(0.0)
        return len(self.constant) - 1

    def minus(self, row: int, less: Sum) -> None:
        """Subtract a monomial from a row: at most its chord over the range of its exponent."""
        if not len(less.logs):
            return
        low, high = self.exponent_range(less.exponents[0])
        if self.model.imperfect:  # then an instance may see more words than the mean
            low = high
        self.line(row, less.exponents[0], exp(less.logs[0]), (low, high))

    def line(self, row: int, vector: Array, factor: float, span: Range) -> None:
        """Subtract `factor` times the chord of exp(vector x) over a span of vector x."""
        low, high = span
        slope = (exp(high) - exp(low)) / (high - low) if high > low + 1e-12 else 0.0
        self.linear[row] -= factor * slope * vector
        self.constant[row] -= factor * (exp(high if slope == 0 else low) - slope * low)

    def exponent_range(self, vector: Array) -> Range:
        """A range that holds vector x for every point of the box."""
        m = self.model
        low, high = m.box
        ends = np.minimum(vector * low, vector * high).sum(), np.maximum(vector * low, vector * high).sum()
        return float(ends[0]), float(ends[1])

    def time_row(self, moved: Sequence[Moved], bandwidth: Sum, name: str) -> None:
        """The time is at least what these words take at a bandwidth."""
        row, speed = self.new_row(name), self.wide(bandwidth)
        self.linear[row][-1] = -1.0
        for one in moved:
            self.terms(row, one.words.over(speed).scaled(1 / self.unit_t), one.source)
            if one.less is not None:
                self.minus(row, one.less.over(speed).scaled(1 / self.unit_t))

    def accesses(self, compute: Sum) -> list[tuple[list[Moved], list[Moved]]]:
        """Energy of all accesses; reads and writes an instance of every level, for its bandwidths."""
        m, node = self.model, self.node
        moves: list[tuple[list[Moved], list[Moved]]] = [([], []) for _ in range(m.levels)]
        for t, space in enumerate(m.spaces):
            full = float(prod(m.bounds[d] for d in space.relevant))  # words of a dense dataspace
            irrelevant = m.irrelevant(t)
            below, received, source = -1, compute, -1
            far, near = m.costs.wire_pj(space.kept)
            self.energy(self.wide(near[MACS]).scaled(float(m.problem.macs)), -1)
            for level in space.kept:
                own, (reads, writes) = m.costs.levels[level], moves[level]
                content = received * m.distinct(node, range(below + 1, level + 1), t)
                content = content.scaled(self.surely_asked(range(below + 2, level + 1), t))
                used = Sum.monomial(1.0, m.instances(level))
                top = level == space.kept[-1]
                if not top:
                    arriving = m.arrivals(node, level, t)
                    self.arrivals.append(arriving)
                    words, at = arriving.words, len(self.arrivals) - 1
                if space.read_write:
                    shared = m.across(range(level + 1, m.levels), irrelevant)
                    split = Sum.monomial(full, -m.across(range(level + 1, m.levels), space.relevant))
                    self.energy(self.wide(own.update + far[level]) * content * used, source)
                    writes.append(Moved(content, source))
                    if not top:
                        self.energy(self.wide(near[level]) * words * used, at)
                    if space.dense:
                        kept = self.surely_kept(level, t) if below < 0 else 0.0
                        self.net_energy(own.read + far[level], content * used, full, shared, level, t, source, kept)
                        reads.append(Moved(content, source, split))
                        if not top:
                            self.net_energy(own.write + near[level], words * used, full, shared, level, t, at, 0.0)
                            writes.append(Moved(words, at, split))
                else:
                    self.energy(self.wide(own.read + far[level]) * content * used, source)
                    reads.append(Moved(content, source))
                    if not top:
                        self.energy(self.wide(own.write + near[level]) * words * used, at)
                        writes.append(Moved(words, at))
                if not top:
                    received, source = words, at
                below = level
        return moves

    def surely_asked(self, levels: Sequence[int], space: int) -> float:
        """Least share of what means say is asked for, through levels that bypass a dataspace, over children of others.

        1 but for imperfect factors of strided dimensions: they count as means, n > f / 2 of f children.
        """
        m = self.model
        strided = {d for own in m.spaces for rank in own.ranks for d, c in rank if c > 1}
        fans = sum(m.costs.levels[level].fanout is not None for level in levels)
        return 0.5 ** (fans * len(strided.intersection(m.irrelevant(space)))) if m.imperfect else 1.0

    def surely_kept(self, level: int, space: int) -> float:
        """Least share of the innermost level's visits of an output that are not first visits."""
        m = self.model
        sums = prod(m.bounds[d] for d in m.irrelevant(space))
        inner = prod(m.costs.levels[i].axes[0] * m.costs.levels[i].axes[1] for i in range(level + 1))
        most = m.shared_range(self.node, level, space)[1] * inner
        return max(0.0, 1 - most / sums)

    def net_energy(
        self, cost: Sum, words: Sum, full: float, shared: Array, level: int, space: int, source: int, kept: float
    ) -> None:
        """Energy of `words - full exp(shared)`, at least the share `kept` of the words and never below 0.

        With a cost r of at least r0: r (words - first) >= kept (r - r0) words + r0 (words - first), and
        (1 - kept) r0 words + kept r words - r0 first is that.
        """
        m = self.model
        if not len(cost.logs):
            return
        low = cost.least(m.costs.low, m.costs.high)
        if len(m.costs.low) and kept > 0:
            self.energy((self.wide(cost) * words).scaled(kept), source)
        else:
            kept = 0.0
        self.energy(words.scaled(low * (1 - kept)), source)
        if self.aim.energy > 0:
            factor = full * low * self.aim.energy / self.scale
            ends = m.shared_range(self.node, level, space)
            if m.imperfect:
                self.constant[0] -= factor * ends[1]
            else:
                span = (log(ends[0]), log(max(ends)))
                self.line(0, shared, factor, span)
                self.chords.append((level, shared, factor, span))

    def capacity(self, level: int, parts: Sequence[int]) -> None:
        """The tiles of a level, of all parts of its memory, fit."""
        m = self.model
        room = m.costs.levels[level].capacity
        if room is None:
            return
        row = self.new_row(self.size(level, "capacity"))
        self.constant[row] = -1.0
        for t, space in enumerate(m.spaces):
            for part in parts:
                if part in space.kept:
                    self.terms(row, m.words(self.node, part, t).over(self.wide(room)), -1)

    def fanout(self, level: int) -> None:
        """The children of a level are enough."""
        m = self.model
        own = m.costs.levels[level]
        if own.fanout is None:
            return
        row = self.new_row(self.size(level, "fanout"))
        room = self.wide(own.fanout)
        self.linear[row] += m.across([level]) - room.exponents[0]
        self.constant[row] -= room.logs[0]
        if m.imperfect:
            return
        result = next(t for t, space in enumerate(m.spaces) if space.read_write)
        sums, rest = (m.across([level], dims) for dims in (m.irrelevant(result), m.spaces[result].relevant))
        for slope, most in array_limits(
            prod(m.bounds[d] for d in m.irrelevant(result)),
            prod(m.bounds[d] for d in m.spaces[result].relevant),
            own.axes,
            m.level_shares(self.node, level, result),
        ):
            self.at_most(slope * sums + rest, most, f"whole factors over {self.size(level, 'fanout')}")

    def machine(self) -> None:
        """The machine keeps the limits on area, MAC units and sizes."""
        m = self.model
        if not len(m.costs.low):
            return
        if self.aim.area_um2 < inf:
            row = self.new_row(AREA)
            self.constant[row] = -1.0
            self.terms(row, self.wide(m.costs.area).scaled(1 / self.aim.area_um2), -1)
        if self.aim.macs < inf:
            row = self.new_row("pe_count")
            units = self.wide(m.costs.macs)
            self.linear[row] += units.exponents[0]
            self.constant[row] += units.logs[0] - log(self.aim.macs)
        for number, limit in enumerate(m.costs.limits):
            row = self.new_row(limit_row(number))
            self.constant[row] = -1.0 - SLACK
            self.terms(row, self.wide(limit), -1)

    def decisions(self) -> None:
        """What makes a mapping belong to the node."""
        m, node = self.model, self.node
        for level, order in enumerate(node.orders):
            if order is None:
                continue
            name = f"loops of {m.costs.base.levels[level].name}"
            if order.empty:
                self.at_most(m.loops(level, m.live), 0.0, name)
                continue
            moving = frozenset().union(*(m.spaces[t].relevant for t in order.stationary))
            if order.moves is False:
                self.at_most(m.loops(level, moving), 0.0, name)
            elif order.moves and not m.imperfect and order.stationary:
                self.at_least(m.loops(level, moving), log(self.smallest_prime(moving)), name)
        for (d, position), (low, high) in node.extents:
            vector = m.vector([(*place, d) for place in m.chain[d][: position + 1]])
            name = f"extent of {m.problem.dimensions[d]}"
            if low > 1:
                self.at_least(vector, log(low), name)
            if high < m.bounds[d]:
                self.at_most(vector, log(high), name)
        for level, (low, high) in node.shared:
            (t,) = (t for t, space in enumerate(m.spaces) if space.read_write)
            vector = m.across(range(level + 1, m.levels), m.irrelevant(t))
            name = f"instances of {m.costs.base.levels[level].name} that share a sum"
            self.at_least(vector, log(low), name)
            if high < inf:
                self.at_most(vector, log(high), name)

    def smallest_prime(self, dims: frozenset[int]) -> int:
        """Least factor above 1 of some dimensions."""
        return min(prime_factors(self.model.bounds[d])[0] for d in dims if self.model.bounds[d] > 1)

    def at_most(self, vector: Array, value: float, name: str) -> None:
        """The row `vector x <= value`."""
        row = self.new_row(name)
        self.linear[row] += vector
        self.constant[row] -= value

    def at_least(self, vector: Array, value: float, name: str) -> None:
        """The row `vector x >= value`."""
        self.at_most(-vector, -value, name)
