"""When everything happens: an event-driven execution of a mapping, tile by tile.

The machine. Every level that keeps a dataspace has `copies` places for its tile (two: one in use, one filling or
emptying). A transfer of tile i may begin once its place is free and the level above holds the words; sums leave once
the tile is done with, and the place they leave is free after that. So each link runs ahead of the MACs by as many
tiles as there are places, level by level. MACs start a tile when all the words are there and stop when those of the
next are not. A link's transfers are done one after the other.

Every level has a read and a write port (and one for both, where `shared_bandwidth` says so) of so many words a cycle.
A transfer sends its words through the ports of one level and receives them through those of the other, never before
they were sent; a queue between lets the sender run ahead. MACs are served first; what they leave goes to the transfer
of the shortest period, which is needed soonest, what that cannot use to the next, and so on; a longer one resumes when
there is room (rate-monotonic, preemptive). The first word out of DRAM comes `dram_latency` cycles after the request,
which goes out when the transfer may begin, be the one before done or not. Instances of a level work in step, each port
serving its own.

The result is exact for this machine: time goes from event to event (a tile done, an end done or a sink level with its
source, a latency over), between which every rate is constant. Words, not blocks, are what ports count. The cost grows
with the number of tiles, less what repeats: where at two turns of a loop everything stands alike (each link equally far
ahead, with equally much left to do, to a millionth of a word), the turns between them will come again as they were, as
long as no link looks beyond the loop's end. They are then added as often as they come, not executed again;
`repeat=False` executes them all.
"""

from dataclasses import dataclass, field
from math import inf

import numpy as np

from dlco.errors import NotSupported
from dlco.hardware.architecture import Architecture
from dlco.mapping.checks import check_mapping
from dlco.mapping.kept import machine_of
from dlco.mapping.mapping import Mapping
from dlco.simulate.course import CutRuns
from dlco.simulate.flows import NOTHING, Fabric, Flow
from dlco.simulate.loopnest import LoopNest
from dlco.simulate.timing import Stall, Timing, TimingModel, Transfer
from dlco.workload.density import DENSE, Density
from dlco.workload.layer import Layer
from dlco.workload.problem import Problem


def simulate_timing(
    layer: Layer | Problem,
    architecture: Architecture,
    mapping: Mapping,
    model: TimingModel | None = None,
    density: Density = DENSE,
    *,
    repeat: bool = True,
) -> Timing:
    """Execute a mapping in time.

    Args:
        layer: the work, of one execution.
        architecture: the machine.
        mapping: what runs. Where tiles are cut short, every level is charged with what its first instance moves.
        model: what else to know of the machine.
        density: of the operands, to scale MACs and words by.
        repeat: add up turns of loops that are like those before, instead of executing them.

    Raises:
        InvalidMapping: the mapping does not fit.
        NotSupported: parts of memories stand across the array, or tiles are cut short and there are very many.
    """
    problem = layer.problem if isinstance(layer, Layer) else layer
    architecture = machine_of(problem, architecture, mapping)
    check_mapping(problem, architecture, mapping)
    nest = LoopNest.of(problem, mapping, architecture)
    if nest.crossed:
        raise NotSupported(
            "parts of memories inside the array and beyond it come in turns; no times are simulated for it"
        )
    return _Engine(nest, Fabric.of(nest, architecture, model or TimingModel(), density), repeat=repeat).run()


@dataclass
class _State:
    """Sums over an execution until now, all of which grow alike in alike turns of a loop.

    `time`: cycles; `busy`: MAC steps done; `moved`: words by port; `stalled`: cycles waited by flow.
    """

    time: float
    busy: float
    moved: list[float]
    stalled: list[float]

    def ahead(self, before: "_State", times: int) -> "_State":
        """The sums after as many more turns like those since `before`."""

        def grown(now: list[float], then: list[float]) -> list[float]:
            return [a + times * (a - b) for a, b in zip(now, then, strict=True)]

        time, busy = grown([self.time, self.busy], [before.time, before.busy])
        return _State(time, busy, grown(self.moved, before.moved), grown(self.stalled, before.stalled))

    def copy(self) -> "_State":
        """The same sums, to be kept."""
        return _State(self.time, self.busy, self.moved[:], self.stalled[:])


@dataclass(frozen=True)
class _Turn:
    """A turn of a loop that has been met: its number, its first run, the sums then, (asked, done) of every flow."""

    number: int
    index: int
    state: _State
    counts: list[tuple[int, int]]


@dataclass
class _Engine:
    """Executes one mapping; `index`: runs of the MACs that have ended; `remaining`: MAC steps of the one going on."""

    nest: LoopNest
    fabric: Fabric
    repeat: bool
    index: int = 0
    remaining: float = 0.0
    fill: float = 0.0
    transfers: list[Transfer] = field(default_factory=list)
    timeline: list[list[float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.flows = self.fabric.flows
        self.number = {id(flow): i for i, flow in enumerate(self.flows)}
        self.state = _State(0.0, 0.0, [0.0] * len(self.fabric.use), [0.0] * len(self.flows))
        self.runs = self.fabric.runs.count
        alike = not isinstance(self.fabric.runs, CutRuns)
        self.margins = [self.fabric.margin(0, loop) for loop in range(len(self.fabric.loops))] if alike else None
        self.met: list[dict[tuple[float, ...], _Turn]] = [{} for _ in self.fabric.loops]

    def run(self) -> Timing:
        """Events until the last sum has arrived."""
        last = 0.0  # end of a run
        self._note()
        while True:
            self._start()
            if self.index == self.runs and not any(flow.waits for flow in self.flows):
                break
            if self._advance():
                self.index += 1
                if self.repeat and self.index < self.runs:
                    self._skip()
                last = self.state.time
        compute = self.fabric.steps
        stalls = [
            Stall(flow.name, self.nest.levels[flow.link.parent], cycles, self._reason(flow))
            for flow, cycles in zip(self.flows, self.state.stalled, strict=True)
            if cycles > NOTHING
        ]
        return Timing(
            cycles=self.state.time,
            compute_cycles=compute,
            operand_cycles=compute / self.fabric.speed - compute,
            fill_cycles=self.fill,
            drain_cycles=self.state.time - last,
            stalls=tuple(sorted(stalls, key=lambda stall: -stall.cycles)),
            ports=self.fabric.ports.names,
            bandwidth=self.fabric.ports.bandwidth,
            timeline=np.array(self.timeline),
            transfers=tuple(self.transfers),
            events=len(self.timeline) - 1,
        )

    def _note(self) -> None:
        self.timeline.append([self.state.time, self.state.busy, *self.state.moved])

    def _start(self) -> None:
        """Begin whatever may begin now."""
        changed = True
        while changed:
            changed = False
            for flow in self.flows:
                while flow.asked < flow.total and self._may_start(flow):
                    changed = True
                    flow.waits.append(flow.latency if flow.needs(flow.asked) else 0.0)
                    flow.began.append(self.state.time)
                    flow.asked += 1
                    if len(flow.waits) == 1:
                        flow.load()
                changed |= self._finish(flow)
        if not self.remaining and self.index < self.runs and not self._missing():
            self.remaining = self.fabric.runs.steps_of(self.index) * self.fabric.work

    def _may_start(self, flow: Flow) -> bool:
        """Whether the next transfer's words are there, and a place for them."""
        i, lower, upper = flow.asked, flow.lower, flow.upper
        if flow.drain:  # once the tile is done with
            freed = i + 1
        else:
            if upper is not None and upper.done <= upper.course.tile_at(flow.course.first_run(i)):
                return False
            freed = i - flow.copies + 1  # tiles that must be done with
            if freed <= 0:
                return True
            if flow.partner is not None:
                return flow.partner.done >= freed
        run = flow.course.first_run(freed)
        return self.index >= run if lower is None else lower.done >= lower.course.tile_at(run)

    def _missing(self) -> list[Flow]:
        """Flows that have not brought what the MACs need next."""
        return [gate for gate in self.fabric.gates if gate.done <= gate.course.tile_at(self.index)]

    def _finish(self, flow: Flow) -> bool:
        """End the transfers that have nothing left to move; whether there were any."""
        before = flow.done
        while flow.streaming and not flow.to_come:
            if flow.words:
                begin = max(flow.began[0], flow.ended)
                self.transfers.append(Transfer(flow.name, begin, self.state.time, flow.words))
            flow.ended = self.state.time
            flow.done += 1
            del flow.waits[0], flow.began[0]
            if flow.waits:
                flow.load()
        return flow.done > before

    def _advance(self) -> bool:
        """Go on to the next event; True where a run of the MACs has ended."""
        fabric, state, running = self.fabric, self.state, self.remaining > 0
        step = self.remaining / fabric.speed if running else inf
        free = list(fabric.spare if running else fabric.ports.bandwidth)
        rates: list[tuple[Flow, float, float]] = []
        for flow in self.flows:
            for wait in flow.waits:
                if wait:
                    step = min(step, wait)
            if not flow.streaming:
                continue
            send = _take(free, flow.source) if flow.to_send else 0.0
            behind = flow.to_come - flow.to_send
            come = _take(free, flow.sink, inf if behind > 0 else send)
            rates.append((flow, send, come))
            if send:
                step = min(step, flow.to_send / send)
            if come:
                step = min(step, flow.to_come / come)
            if behind > 0 and come > send:
                step = min(step, behind / (come - send))
        if step == inf:
            raise AssertionError("no event is left, but the execution has not ended")
        blamed = None if running or self.index == self.runs else self._culprit()
        state.time += step
        for flow in self.flows:
            if any(flow.waits):
                flow.waits = [_less(wait, step) for wait in flow.waits]
        for flow, send, come in rates:
            for side, rate in ((flow.source, send), (flow.sink, come)):
                for port, share in side:
                    state.moved[port] += step * rate * share
            flow.to_send = _less(flow.to_send, step * send)
            flow.to_come = _less(flow.to_come, step * come)
            if abs(flow.to_come - flow.to_send) < NOTHING:
                flow.to_come = flow.to_send
        if running:
            done = step * fabric.speed
            state.busy += done
            for port, use in enumerate(fabric.use):
                state.moved[port] += use * done
            self.remaining = _less(self.remaining, done)
        elif blamed is not None and state.busy:
            state.stalled[self.number[id(blamed)]] += step
        elif not state.busy:
            self.fill += step
        for flow in self.flows:
            self._finish(flow)
        self._note()
        return running and not self.remaining

    def _culprit(self) -> Flow:
        """The flow that the MACs wait for: of several, that of the longest period, or what it waits for itself."""
        flow = self._missing()[-1]
        while not flow.waits:
            if flow.drain and flow.lower is not None:
                flow = flow.lower
            elif flow.upper is not None and flow.upper.done <= flow.upper.course.tile_at(
                flow.course.first_run(flow.asked)
            ):
                flow = flow.upper
            elif not flow.drain and flow.partner is not None:
                flow = flow.partner
            else:
                break
        return flow

    def _skip(self) -> None:
        """At a turn of a loop, add up the turns to come that will be like those since the same state was met."""
        fabric = self.fabric
        loop, turn, turns = fabric.runs.turn(self.index)
        for inner in self.met[:loop]:
            inner.clear()
        margin = self.margins[loop] if self.margins is not None else fabric.margin(self.index, loop)
        if turn < margin:
            return
        key: list[float] = []
        for flow in self.flows:
            base = flow.course.tile_at(self.index)
            key += [flow.asked - base, flow.done - base]
            if flow.waits:
                key += [round(amount, 6) for amount in (*flow.waits, flow.to_send, flow.to_come)]
        counts = [(flow.asked, flow.done) for flow in self.flows]
        before = self.met[loop].setdefault(tuple(key), _Turn(turn, self.index, self.state.copy(), counts))
        times = (turns - 1 - turn - margin) // max(turn - before.number, 1)
        if before.number == turn or times < 1:
            return
        start = self.state.time
        self.state = self.state.ahead(before.state, times)
        self.index += times * (self.index - before.index)
        for flow, (asked, done) in zip(self.flows, before.counts, strict=True):
            flow.asked += times * (flow.asked - asked)
            flow.done += times * (flow.done - done)
            flow.began = [began + self.state.time - start for began in flow.began]
            flow.ended += self.state.time - start
        self.met[loop].clear()
        self._note()
        self.transfers.append(
            Transfer(
                f"{times * (turn - before.number)} more turns of {fabric.loops[loop]}",
                start,
                self.state.time,
                0.0,
                repeated=True,
            )
        )

    def _reason(self, flow: Flow) -> str:
        """Why a flow keeps the MACs waiting, from what its tiles need and what they have."""
        fabric = self.fabric
        lasts = flow.stays(fabric.steps) / fabric.speed
        names, has = fabric.ports.names, fabric.ports.bandwidth
        asked = {port: self.state.moved[port] / lasts / flow.total for port, _ in flow.source + flow.sink}
        narrow = max(asked, key=lambda port: asked[port] / has[port], default=None)
        words, alone = flow.alone(list(fabric.spare))
        if narrow is not None and asked[narrow] > has[narrow] * (1 + NOTHING):
            wait = f", and each tile {flow.latency:g} cycles for its first word" if flow.latency else ""
            return (
                f"{names[narrow]} would have to move {asked[narrow]:.3g} words a cycle and moves {has[narrow]:g}{wait}"
            )
        if flow.copies == 1:
            return f"{self.nest.levels[flow.link.child]} loads nothing while its only tile is in use"
        if alone > lasts:
            return f"a tile's {words:g} words take {alone:.4g} cycles and it lasts {lasts:g}"
        if flow.partner is not None:
            other = flow.partner.alone(list(fabric.spare))[1]
            if alone + other > lasts:
                return f"a tile lasts {lasts:g} cycles; its sums leave in {other:.4g} before others come in {alone:.4g}"
        if flow.latency + alone > (flow.copies - 1) * lasts:
            return f"a tile lasts {lasts:g} cycles; the next is there {flow.latency + alone:.4g} after it is asked for"
        return "tiles of a level above come too late, or its port serves other transfers first"


def _take(free: list[float], side: tuple[tuple[int, float], ...], most: float = inf) -> float:
    """Words a cycle that ports let through, at most so many; takes them off what is free."""
    rate = most
    for port, share in side:
        rate = min(rate, free[port] / share)
    if rate < NOTHING:
        return 0.0
    for port, share in side:
        free[port] = max(0.0, free[port] - rate * share)
    return rate


def _less(amount: float, gone: float) -> float:
    """What is left, without the crumbs of rounding."""
    return amount - gone if amount - gone > NOTHING else 0.0
