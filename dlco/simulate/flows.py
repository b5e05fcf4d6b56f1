"""Links as they are executed: who waits for whom, and which ports their words go through."""

from dataclasses import dataclass
from math import inf, prod

import numpy as np

from dlco.hardware.architecture import Architecture
from dlco.simulate.counts import first_visits
from dlco.simulate.course import Course, CutRuns, Runs, cut_link, runs_of
from dlco.simulate.cut_tiles import CutWalk, steps_with_work
from dlco.simulate.links import Link, links_of
from dlco.simulate.loopnest import LoopNest
from dlco.simulate.tiles import Tile
from dlco.simulate.timing import TimingModel
from dlco.workload.density import Density

NOTHING = 1e-9  # words or cycles: less is what rounding leaves

Side = tuple[tuple[int, float], ...]


@dataclass(frozen=True)
class Ports:
    """The ports of limited bandwidth.

    Attributes:
        names: such as "DRAM read"; `bandwidth`: words a cycle.
        of: for a level and "read" or "write", the ports that such words go through.
    """

    names: tuple[str, ...]
    bandwidth: tuple[float, ...]
    of: dict[tuple[int, str], tuple[int, ...]]

    @staticmethod
    def of_machine(architecture: Architecture) -> "Ports":
        """A read and a write port for each level, and one for both, as far as they are limited.

        Parts of a memory have the same ones.
        """
        names: list[str] = []
        bandwidth: list[float] = []
        of: dict[tuple[int, str], tuple[int, ...]] = {}
        for index, level in enumerate(architecture.levels):
            first = architecture.parts[index]
            if first != index:
                of |= {(index, kind): of[first, kind] for kind in ("read", "write") if (first, kind) in of}
                continue
            for kinds, width in (
                (("read",), level.read_bandwidth),
                (("write",), level.write_bandwidth),
                (("read", "write"), level.shared_bandwidth),
            ):
                if width < inf:
                    for kind in kinds:
                        of[index, kind] = (*of.get((index, kind), ()), len(names))
                    names.append(f"{level.memory or level.name} {' and '.join(kinds)}")
                    bandwidth.append(width)
        return Ports(tuple(names), tuple(bandwidth), of)

    def side(self, level: int, kind: str, share: float) -> Side:
        """(port, words through it for one word of a transfer) of one end."""
        return tuple((port, share) for port in self.of.get((level, kind), ()))


class Flow:
    """The transfers of one link in one direction, in order.

    Attributes:
        link: whose; `drain`: whether they go outwards; `name`: for people.
        scale: words moved for one of a dense tile; `latency`: cycles to the first; `copies`: places for the tile.
        source, sink: the ports at both ends.
        lower, upper: the flow of the same dataspace and direction one link further in or out.
        partner: that of the same link in the other direction.
        course: which runs of the MACs each tile is there for; `total`: tiles.
        asked, done: transfers that were requested, and that have ended. For each in between, in order, `waits` has the
            cycles to its first word, and `began` when it was requested.
        to_send, to_come: words that the first of them has still to take from its source and to bring to its sink, of
            `words`; `ended`: when the one before did.
    """

    def __init__(
        self, link: Link, course: Course, *, drain: bool, scale: float, latency: float, copies: int, ports: Ports
    ) -> None:
        self.link, self.drain, self.scale, self.latency, self.copies = link, drain, scale, latency, copies
        levels = link.tile.nest.levels
        outer, inner = levels[link.parent], levels[link.child]
        self.name = f"{link.tile.dataspace.name} " + (f"{inner} > {outer}" if drain else f"{outer} > {inner}")
        above = ports.side(link.parent, "write" if drain else "read", float(link.siblings))
        below = ports.side(link.child, "read" if drain else "write", 1.0)
        self.source, self.sink = (below, above) if drain else (above, below)
        self.course, self.total = course, course.total
        self.lower: Flow | None = None
        self.upper: Flow | None = None
        self.partner: Flow | None = None
        self.asked = self.done = 0
        self.waits: list[float] = []
        self.began: list[float] = []
        self.words = self.to_send = self.to_come = self.ended = 0.0

    @property
    def streaming(self) -> bool:
        """Whether the words of a transfer can move."""
        return bool(self.waits) and not self.waits[0]

    @property
    def depth(self) -> int:
        """Tiles that it can be ahead of the MACs or behind them, at most."""
        return self.copies + 1 + (self.lower.depth - 1 if self.lower else 0)

    def needs(self, i: int) -> float:
        """Words of the i-th transfer at the child."""
        words = self.scale * (self.link.drained(i) if self.drain else self.link.fetched(i))
        return words if words > NOTHING else 0.0

    def stays(self, steps: float) -> float:
        """Steps that a tile is there for, on average, of all that the MACs do."""
        return steps / self.total

    def load(self) -> None:
        """Take the words of the first transfer that was requested."""
        self.words = self.needs(self.done)
        self.to_send = self.words if self.source else 0.0
        self.to_come = self.words if self.sink else self.to_send

    def alone(self, free: list[float]) -> tuple[float, float]:
        """Words of the largest transfer, and the cycles that it takes of ports with so much bandwidth free."""
        words = self.scale * max(self.link.changes, default=self.link.size)
        rates = [free[port] / share for port, share in (*self.source, *self.sink)]
        rate = min(rates, default=inf)
        return words, words / rate if rate else inf


@dataclass(frozen=True)
class Fabric:
    """All that moves in an execution.

    Attributes:
        ports: of the machine.
        flows: those served first come first.
        gates: the flows that bring the MACs' own tiles.
        runs: how often the MACs start on a new tile of some dataspace; `work`: share of their steps that is done.
        loops: names of the loops outside a run, innermost first.
        use: words that the MACs move through each port at every step.
        speed: MAC steps a cycle that lets them do; `spare`: bandwidth that they leave while they work.
    """

    ports: Ports
    flows: tuple[Flow, ...]
    gates: tuple[Flow, ...]
    runs: Runs
    work: float
    loops: tuple[str, ...]
    use: tuple[float, ...]
    speed: float
    spare: tuple[float, ...]

    @staticmethod
    def of(nest: LoopNest, architecture: Architecture, model: TimingModel, density: Density) -> "Fabric":
        """What a mapping moves on a machine."""
        ports = Ports.of_machine(architecture)
        links = links_of(nest, model.restart)
        runs = runs_of(nest, min((link.period for link in links), default=nest.cycles))
        flows = _flows(links, runs, architecture, model, density, ports)
        temporal = nest.outside(-1)
        inside = len(temporal) - len(runs.bounds)
        use = _use_of_macs(nest, ports, density)
        speed = min([1.0, *(width / words for width, words in zip(ports.bandwidth, use, strict=True) if words)])
        return Fabric(
            ports=ports,
            flows=flows,
            gates=tuple(flow for flow in flows if not flow.drain and flow.lower is None),
            runs=runs,
            work=density.steps(nest.problem),
            loops=tuple(f"{loop.dim} at {nest.levels[loop.level]}" for loop in temporal[inside:]),
            use=use,
            speed=speed,
            spare=tuple(max(0.0, b - speed * u) for b, u in zip(ports.bandwidth, use, strict=True)),
        )

    @property
    def steps(self) -> float:
        """MAC steps of the whole execution."""
        return self.runs.count * (self.runs.steps / self.runs.count * self.work)

    def margin(self, run: int, loop: int) -> int:
        """Turns of a loop that no flow can look beyond, ahead or back, from a run on."""
        return self.runs.margin(run, loop, [(flow.course, flow.depth) for flow in self.flows])


def _flows(
    links: tuple[Link, ...], runs: Runs, architecture: Architecture, model: TimingModel, density: Density, ports: Ports
) -> tuple[Flow, ...]:
    """Of every link, in and out. The shortest period is served first; of one link, sums leave before others come."""
    found: list[Flow] = []
    inner: dict[tuple[int, bool], Flow] = {}
    for link in links:
        nest, course = link.tile.nest, runs.course(link)
        link = cut_link(link, runs) if isinstance(runs, CutRuns) else link
        child, parent = architecture.levels[link.child], architecture.levels[link.parent]
        scale = density.words(link.tile.dataspace, child.word_bits)
        copies = _copies(nest, link.child, child.capacity) if model.copies is None else model.copies
        latency = model.dram_latency if parent.kind == "DRAM" else 0.0
        pair = [Flow(link, course, drain=False, scale=scale, latency=latency, copies=copies, ports=ports)]
        if link.read_write:
            pair.append(Flow(link, course, drain=True, scale=scale, latency=0.0, copies=copies, ports=ports))
            pair[0].partner, pair[1].partner = pair[1], pair[0]
        for flow in pair:
            flow.lower = inner.get((link.tile.space, flow.drain))
            if flow.lower is not None:
                flow.lower.upper = flow
            inner[link.tile.space, flow.drain] = flow
        found += pair
    return tuple(sorted(found, key=lambda flow: (flow.link.period, not flow.drain)))


def _copies(nest: LoopNest, level: int, capacity: float) -> int:
    """Places for a tile at a level, one or two, as many as there is room for in its memory."""
    sizes = nest.problem.sizes
    tiles = [
        prod(space.box({dim: min(n, sizes[dim]) for dim, n in nest.extents(part).items()}))
        for part, keeps in enumerate(nest.kept)
        if nest.ranks[part] == nest.ranks[level]
        for space, kept in zip(nest.problem.dataspaces, keeps, strict=True)
        if kept
    ]
    return 2 if 2 * sum(tiles) <= capacity else 1


def _use_of_macs(nest: LoopNest, ports: Ports, density: Density) -> tuple[float, ...]:
    """Words through each port at every step. A sum is read before it is added to, but not the first time (spread)."""
    use = [0.0] * len(ports.names)
    steps = steps_with_work(nest) if nest.cut else nest.cycles
    for s, space in enumerate(nest.problem.dataspaces):
        level = nest.keepers(s)[0]
        asked = float(prod(len(np.unique(one)) for one in Tile(nest, s, -1).children(range(level + 1))))
        fresh = 0.0
        if space.read_write:
            seen = CutWalk(nest, s, "refetch").seen_by_first(level) if nest.cut else first_visits(nest, s, level)
            fresh = seen / steps
        share = density.operands(nest.problem, space) / density.steps(nest.problem)
        for port in ports.of.get((level, "read"), ()):
            use[port] += max(0.0, asked - fresh) * share
        for port in ports.of.get((level, "write"), ()) if space.read_write else ():
            use[port] += asked * share
    return tuple(use)
