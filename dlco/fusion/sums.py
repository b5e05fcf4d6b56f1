"""The best way through a course: sums of (energy, cycles) by state, pruned by what each state may lead to.

Of the sums that lead to a state those are kept that no other beats in both and that may still become the best: whatever
is to come, it lies in the lower convex hull of all that the state may lead to, which is had by going backwards.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from math import inf

import numpy as np
import torch

from dlco.bound.region import TotalLimits
from dlco.design.dominance import unbeaten
from dlco.design.objective import Objective
from dlco.errors import InvalidInput
from dlco.exact.combine import SUMS, Choice, still_open
from dlco.exact.sums import Goal, Hull
from dlco.fusion.course import Move

Keep = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""Of points (pJ, cycles) `[n]` the indices of those that are kept."""


def corners(energy: torch.Tensor, cycles: torch.Tensor) -> torch.Tensor:
    """The corners of the hull of points: without limits the best of all sums are sums of these.

    Objectives are quasi-concave, so that none is least between two corners alone.
    """
    hull, at = Hull.of(energy.numpy(), cycles.numpy()), zip(energy.tolist(), cycles.tolist(), strict=True)
    index = {point: i for i, point in enumerate(at)}
    return torch.tensor([index[point] for point in zip(hull.energy.tolist(), hull.cycles.tolist(), strict=True)])


@dataclass(frozen=True, eq=False)
class Points:
    """What a move may cost, all its runs together.

    Attributes:
        energy, cycles: `[n]` pJ and cycles.
        picks: `[n, parts]` the point of every part's front.
    """

    energy: torch.Tensor
    cycles: torch.Tensor
    picks: torch.Tensor

    @staticmethod
    def one(energy: float, cycles: float) -> "Points":
        """A single one, of pJ and cycles."""
        return Points.total(
            [(torch.tensor([energy], dtype=torch.float64), torch.tensor([cycles], dtype=torch.float64))]
        )

    @staticmethod
    def of(hull: Hull) -> "Points":
        """The corners of a hull."""
        return Points.total([(torch.from_numpy(hull.energy), torch.from_numpy(hull.cycles))])

    @property
    def hull(self) -> Hull:
        """Of these."""
        return Hull.of(self.energy.numpy(), self.cycles.numpy())

    @staticmethod
    def total(parts: Sequence[tuple[torch.Tensor, torch.Tensor]], keep: Keep = unbeaten) -> "Points":
        """The sums of one point of each part, (pJ, cycles) `[n]`, that are kept: by default all that no other beats."""
        energy = cycles = torch.zeros(1, dtype=torch.float64)
        picks = torch.zeros(1, 0, dtype=torch.long)
        for own_energy, own_cycles in parts:
            held, point = _pairs(len(energy), len(own_energy))
            energy, cycles = energy[held] + own_energy[point], cycles[held] + own_cycles[point]
            kept = keep(energy, cycles)
            energy, cycles = energy[kept], cycles[kept]
            picks = torch.cat([picks[held], point[:, None]], 1)[kept]
        return Points(energy, cycles, picks)


@dataclass(frozen=True)
class Found:
    """The best way through a course: its totals, and its moves with the point of each part."""

    energy_pj: float
    cycles: float
    way: tuple[tuple[Move, tuple[int, ...]], ...]


def best_way(costs: "Costs", objective: Objective, limits: TotalLimits) -> Found | None:
    """The way of least objective within limits; None where none keeps them.

    Args:
        costs: of moves, by the step after which they end.
        objective: latency, energy or EDP.
        limits: on totals.
    """
    slow = limits.power < inf  # then more cycles for the same energy may be better
    hulls = _hulls(costs)
    if 0 not in hulls[0]:
        return None
    start = hulls[0][0]
    least = [Choice(e, t, ()) for e, t in zip(start.energy.tolist(), start.cycles.tolist(), strict=True)]
    known = min((c.rank(objective)[0] for c in least if c.keeps(limits)), default=inf)
    trail: list[dict[int, _Sums]] = [{0: _Sums.start()}]
    for step, some in enumerate(costs):
        reached: dict[int, list[_Sums]] = {}
        for number, one in enumerate(some):
            if one.before in trail[one.start] and one.after in hulls[step + 1]:
                reached.setdefault(one.after, []).append(trail[one.start][one.before].plus(one, number))
        sums = {}
        for after, parts in reached.items():
            joined = _Sums.join(parts)
            ahead = hulls[step + 1][after]
            rest = torch.from_numpy(np.stack([ahead.energy, ahead.cycles], 1))
            running = joined.pick(still_open(joined.energy, joined.cycles, rest, objective, limits, known))
            if len(running.energy):
                sums[after] = running.pick(unbeaten(running.energy, running.cycles, slow))
        if sum(len(one.energy) for one in sums.values()) > SUMS:
            raise InvalidInput(f"the network has over {SUMS:,} sums of layers in the running")
        trail.append(sums)
    if 0 not in trail[-1]:
        return None
    last = trail[-1][0]
    ranks = [Choice(e, t, ()).rank(objective) for e, t in zip(last.energy.tolist(), last.cycles.tolist(), strict=True)]
    at = min(range(len(ranks)), key=ranks.__getitem__)
    return Found(float(last.energy[at]), float(last.cycles[at]), _traced(costs, trail, at))


def hull_of_ways(moves: Sequence[Sequence[Move]], hulls: Callable[[Move], Hull | None]) -> Hull | None:
    """The hull of the sums of all ways through a course; None where there is no way.

    Args:
        moves: by the step after which they end.
        hulls: of what a move needs; None for one that is left out.
    """
    return _hulls([_spans(some, hulls) for some in moves])[0].get(0)


def least_through(
    moves: Sequence[Sequence[Move]], hulls: Callable[[Move], Hull | None], goal: Goal, most: float = inf
) -> Iterator[tuple[Move, float]]:
    """What no way through a move goes below, within limits; of those moves alone where that is no more than `most`.

    Other arguments as of `hull_of_ways`.
    """
    spans = [_spans(some, hulls) for some in moves]
    behind = _hulls(spans)
    ahead: list[dict[int, Hull]] = [{0: Hull(np.zeros(1), np.zeros(1))}]
    for step, some in enumerate(spans):
        reached: dict[int, list[Hull]] = {}
        for one in some:
            before, after = ahead[one.start].get(one.before), behind[step + 1].get(one.after)
            if before is None or after is None:
                continue
            reached.setdefault(one.after, []).append(Hull.total([before, one.hull]))
            around = Hull.total([before, after])
            if len(one.moves) > 1 and goal.least(Hull.total([around, one.hull])) > most:
                continue
            for move, own in one.moves:
                if (least := goal.least(Hull.total([around, own]))) <= most:
                    yield move, least
        ahead.append({state: _together(hulls) for state, hulls in reached.items()})


def prices_through(
    moves: Sequence[Sequence[Move]], price: Callable[[Move], float | None]
) -> Iterator[tuple[Move, float]]:
    """The least price of all ways through each of the moves; None where one is left out."""
    own = [[(move, value) for move in some if (value := price(move)) is not None] for some in moves]
    behind: list[dict[int, float]] = [{} for _ in range(len(moves) + 1)]
    behind[-1] = {0: 0.0}
    for step in reversed(range(len(moves))):
        for move, value in own[step]:
            if (after := behind[step + 1].get(move.after)) is not None:
                states = behind[move.start]
                states[move.before] = min(states.get(move.before, inf), value + after)
    ahead: list[dict[int, float]] = [{0: 0.0}]
    for step, some in enumerate(own):
        states = {}
        for move, value in some:
            before, after = ahead[move.start].get(move.before), behind[step + 1].get(move.after)
            if before is not None and after is not None:
                states[move.after] = min(states.get(move.after, inf), before + value)
                yield move, before + value + after
        ahead.append(states)


@dataclass(frozen=True, eq=False)
class _Span:
    """Moves between the same two states, and the hull of what they need; `start`, `before`, `after` as of `Move`."""

    start: int
    before: int
    after: int
    hull: Hull
    moves: Sequence[tuple[Move, Hull]]


def _spans(moves: Sequence[Move], hulls: Callable[[Move], Hull | None]) -> list[_Span]:
    """The moves that end after a step, those between the same states together."""
    found = []
    for some in _grouped(moves).values():
        if own := [(move, hull) for move in some if (hull := hulls(move)) is not None]:
            found.append(_Span(some[0].start, some[0].before, some[0].after, _together([hull for _, hull in own]), own))
    return found


def _grouped(moves: Sequence[Move]) -> dict[tuple[int, int, int, int], list[Move]]:
    """The moves between the same states."""
    found: dict[tuple[int, int, int, int], list[Move]] = {}
    for move in moves:
        found.setdefault(_ends(move), []).append(move)
    return found


def _ends(move: Move) -> tuple[int, int, int, int]:
    """Its first and last steps, and the states before and after."""
    return move.start, move.last, move.before, move.after


@dataclass(frozen=True, eq=False)
class _Bundle:
    """Moves between the same two states, `[n]` of what they may cost.

    Attributes:
        start, before, after: as of `Move`.
        energy, cycles: pJ, cycles.
        came: `[n]` each: the move, by position; its point.
        moves: those with their points.
    """

    start: int
    before: int
    after: int
    energy: torch.Tensor
    cycles: torch.Tensor
    came: tuple[torch.Tensor, torch.Tensor]
    moves: Sequence[tuple[Move, Points]]

    @cached_property
    def hull(self) -> Hull:
        """Of its points."""
        return Hull.of(self.energy.numpy(), self.cycles.numpy())

    @staticmethod
    def of(moves: Sequence[tuple[Move, Points]], keep: Keep) -> "_Bundle":
        """All points of some moves that are kept."""
        energy, cycles = (torch.cat(rows) for rows in zip(*((own.energy, own.cycles) for _, own in moves), strict=True))
        sizes = torch.tensor([len(own.energy) for _, own in moves])
        number = torch.arange(len(moves)).repeat_interleave(sizes)
        point = torch.arange(len(energy)) - (sizes.cumsum(0) - sizes)[number]
        kept, move = keep(energy, cycles), moves[0][0]
        came = number[kept], point[kept]
        return _Bundle(move.start, move.before, move.after, energy[kept], cycles[kept], came, moves)


class Bundles:
    """What moves may cost, those between the same states together; worked out once, until told to forget it.

    Args:
        points: what a move may cost; None for one that is left out.
        limits: on the totals of a way.
    """

    def __init__(self, points: Callable[[Move], Points | None], limits: TotalLimits) -> None:
        slow = limits.power < inf  # then more cycles for the same energy may be better
        self.points = points
        self.keep: Keep = corners if limits == TotalLimits() else partial(unbeaten, slow=slow)
        self.known: dict[tuple[int, int, int, int], _Bundle | None] = {}

    def of(self, moves: Sequence[Sequence[Move]]) -> "Costs":
        """Those of moves by the step after which they end: always the same ones, but for those of which all is new."""
        return [[own for some in _grouped(every).values() if (own := self._bundle(some))] for every in moves]

    def forget(self, move: Move) -> None:
        """One that is new, is no more, or costs something else."""
        self.known.pop(_ends(move), None)

    def _bundle(self, moves: Sequence[Move]) -> "_Bundle | None":
        key = _ends(moves[0])
        if key not in self.known:
            some = [(move, own) for move in moves if (own := self.points(move)) is not None]
            self.known[key] = _Bundle.of(some, self.keep) if some else None
        return self.known[key]


Costs = Sequence[Sequence[_Bundle]]


def _hulls(costs: Sequence[Sequence[_Bundle | _Span]]) -> list[Mapping[int, Hull]]:
    """By position, then by state, the hull of all sums that it may lead to."""
    parts: list[dict[int, list[Hull]]] = [{} for _ in range(len(costs) + 1)]
    hulls: list[dict[int, Hull]] = [{} for _ in parts]
    hulls[-1] = {0: Hull(np.zeros(1), np.zeros(1))}
    for step in reversed(range(len(costs))):
        for one in costs[step]:
            if one.after in hulls[step + 1]:
                total = Hull.total([one.hull, hulls[step + 1][one.after]])
                parts[one.start].setdefault(one.before, []).append(total)
        # all moves that start at this position end further on, and have been listed
        hulls[step] = {state: _together(some) for state, some in parts[step].items()}
    return list(hulls)


def _traced(costs: Costs, trail: "Sequence[Mapping[int, _Sums]]", at: int) -> tuple[tuple[Move, tuple[int, ...]], ...]:
    way, state, position = [], 0, len(costs)
    while position:
        held, number, point = (int(row[at]) for row in trail[position][state].came)
        bundle = costs[position - 1][number]
        move, own = bundle.moves[int(bundle.came[0][point])]
        way.append((move, tuple(own.picks[int(bundle.came[1][point])].tolist())))
        at, state, position = held, move.before, move.start
    return tuple(reversed(way))


def _together(hulls: Sequence[Hull]) -> Hull:
    """The hull of several."""
    if len(hulls) == 1:
        return hulls[0]
    return Hull.of(np.concatenate([h.energy for h in hulls]), np.concatenate([h.cycles for h in hulls]))


def _pairs(one: int, other: int) -> tuple[torch.Tensor, torch.Tensor]:
    """All pairs of indices."""
    held, point = torch.meshgrid(torch.arange(one), torch.arange(other), indexing="ij")
    return held.flatten(), point.flatten()


@dataclass(frozen=True, eq=False)
class _Sums:
    """Sums `[n]` that lead to a state, and how.

    Attributes:
        energy, cycles: pJ, cycles.
        came: `[n]` each: the sum of the state before, the bundle, its point.
    """

    energy: torch.Tensor
    cycles: torch.Tensor
    came: tuple[torch.Tensor, torch.Tensor, torch.Tensor]

    @staticmethod
    def start() -> "_Sums":
        zero, none = torch.zeros(1, dtype=torch.float64), torch.zeros(1, dtype=torch.long)
        return _Sums(zero, zero, (none, none, none))

    def plus(self, own: _Bundle, number: int) -> "_Sums":
        """All sums with a point of a bundle more."""
        held, point = _pairs(len(self.energy), len(own.energy))
        came = held, torch.full_like(held, number), point
        return _Sums(self.energy[held] + own.energy[point], self.cycles[held] + own.cycles[point], came)

    @staticmethod
    def join(parts: "Sequence[_Sums]") -> "_Sums":
        """All of several."""
        came = [torch.cat(rows) for rows in zip(*(part.came for part in parts), strict=True)]
        return _Sums(
            torch.cat([part.energy for part in parts]),
            torch.cat([part.cycles for part in parts]),
            (came[0], came[1], came[2]),
        )

    def pick(self, index: torch.Tensor) -> "_Sums":
        """Some of them."""
        a, b, c = self.came
        return _Sums(self.energy[index], self.cycles[index], (a[index], b[index], c[index]))
