"""What no fused design on a machine goes below, raised bit by bit where the bound rests on what is known too roughly.

Of all ways through the course those that need least say what to work out: steps by themselves are given their exact
fronts, and tilings in ranges are split. On the most optimistic machine of a box (`dlco.hardware.box`) every plan of its
machines fits and takes no more energy and no more cycles, so that the bound holds for all of these. What is known of a
box is true of each of its halves too: they take it over, and work it out anew only where their bounds rest on it.
"""

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from math import inf

from dlco.errors import NotSupported
from dlco.exact.sums import Goal, Hull
from dlco.fusion.chains import Part, chains_of, uncut_chains
from dlco.fusion.course import Course, Move
from dlco.fusion.floor import Floors
from dlco.fusion.ranges import DEEP, Patience
from dlco.fusion.retained import Fronts
from dlco.fusion.sums import hull_of_ways, least_through, prices_through
from dlco.fusion.tensors import tensors_of
from dlco.mapping.constraints import stated
from dlco.workload.graph import Network

NEAR = 0.002  # moves that may lead to no more than so much above the bound are worked out together


@dataclass(frozen=True, eq=False)
class Known:
    """What is known of all ways through a course.

    Attributes:
        course: of a machine, or of one that has no less room.
        hulls: what its moves need at least, pJ and cycles.
        done: moves of which that was worked out on this very machine.
        lower: what no way goes below, as `Objective.product`; infinite where there is none within the limits.
    """

    course: Course
    hulls: Mapping[Move, Hull]
    done: Set[Move]
    lower: float


def begun(network: Network, goal: Goal, fronts: Fronts, memories: Sequence[str]) -> Known:
    """What compulsory work says of a machine, whatever stays in some of its memories."""
    machine, constraints = fronts.architecture, fronts.constraints
    tensors = tensors_of(network, machine, constraints, memories)
    chains = list(uncut_chains(list(chains_of(network)), memories, machine, stated(machine, constraints)))
    course, floors = Course(network, machine, tensors, (), chains).run(), Floors(machine)
    hulls = {move: floors.hull(move.parts) for some in course.every for move in some}
    hull = hull_of_ways(course.every, hulls.get)
    done = {move for move in hulls if move.fused or move.uncut}  # steps by themselves may have exact fronts
    return Known(course, hulls, done, inf if hull is None else goal.least(hull))


def raised(
    known: Known,
    goal: Goal,
    fronts: Fronts,
    best: float,
    splits: int,
    *,
    search: bool,
    tick: Callable[[], None] = lambda: None,
) -> Known:
    """More of the same, on a machine with no more room.

    Args:
        known: which is left as it is.
        goal: what is asked of the network's totals.
        fronts: of the machine, which grow.
        best: of a known design, as `Objective.product`: what is no better is left out, or not looked into.
        splits: of ranges of tilings at most, or a few more, as long as they raise the bound.
        search: whether for fronts of steps by themselves.
        tick: called now and then; what it raises ends it.
    """
    ways = _Ways(known, goal, fronts, best, search)
    split, patience = 0, Patience(splits, ways.lower)
    while ways.lower < best:
        tick()
        if ways.rough:
            ways.work_out()
            continue
        if not patience.lasts(split, ways.lower) or not ways.wide:
            break
        split += ways.split()
    ways.leave_out()
    done = {move for move in ways.hulls if move in ways.done and (search or move.fused or move.uncut)}
    return Known(ways.course, ways.hulls, done, max(known.lower, ways.lower))


class _Ways:
    """All ways through a course, on one machine.

    Attributes:
        lower: what none of them goes below.
        rough: moves of ways of the least, or nearly so, that are not worked out; none where one of the least has none.
        wide: moves of that one which may be split.
    """

    def __init__(self, known: Known, goal: Goal, fronts: Fronts, best: float, search: bool) -> None:
        self.course, self.hulls = known.course.on(fronts.architecture), dict(known.hulls)
        self.goal, self.fronts, self.best, self.search = goal, fronts, best, search
        self.floors = Floors(fronts.architecture)
        is_same = known.course.architecture == fronts.architecture
        self.done = set(known.done) if is_same else set[Move]()
        self._look()

    def _look(self) -> None:
        """Look for the ways that need least."""
        hull = hull_of_ways(self.course.every, self.hulls.get)
        self.lower = inf if hull is None else self.goal.least(hull)
        self.rough, self.wide = [], []
        if hull is None or self.lower >= self.best:
            return
        self.prices = self.goal.prices(hull)
        through = [*prices_through(self.course.every, lambda move: self._price(self.hulls[move]))]
        through.sort(key=lambda own: -own[1])
        ends = {
            (move.last + 1, move.after): move for move, _ in through
        }  # of the least way to each state its last move
        way, at = list[Move](), (len(self.course.moves), 0)
        while at[0]:
            way.append(ends[at])
            at = way[-1].start, way[-1].before
        self.wide = [move for move in way if move.uncut]
        if any(move not in self.done for move in way):
            self.rough = [move for move, price in through if price <= 1 + NEAR and move not in self.done]

    def work_out(self) -> None:
        """Work out what the rough ones need on this machine."""
        new: dict[Move, list[Move]] = {}
        for move in self.rough:
            new[move] = []
            for own in self.course.anew(move):
                hull = self._hull(own)
                if hull is not None:
                    known = self.hulls[move]
                    self.hulls[own] = max(hull, known, key=self._price)
                    self.done.add(own)
                    new[move].append(own)
        self._put(new)

    def split(self) -> int:
        """Put tilings of fewer sizes in place of some of the least; returns how often."""
        new, splits = dict[Move, list[Move]](), 0
        for move in self.wide:
            some = [move]
            for _ in range(DEEP):
                least = min(some, key=lambda one: self._price(self.hulls[one]), default=None)
                if least is None or not least.uncut:
                    break
                some.remove(least)
                splits += 1
                for own in self.course.halved(least):
                    hull = self._hull(own)
                    if hull is not None:
                        self.hulls[own] = max(hull, self.hulls[least], key=self._price)
                        self.done.add(own)
                        some.append(own)
            new[move] = some
        self._put(new)
        return splits

    def leave_out(self) -> None:
        """Leave out all that leads to nothing better than what is known."""
        if self.best < inf and self.search:
            left = dict(least_through(self.course.every, self.hulls.get, self.goal, self.best))
            self.course.put({move: () for move in self.hulls if move not in left}, range(len(self.course.moves)))
        self.hulls = {move: self.hulls[move] for some in self.course.every for move in some}

    def _put(self, new: Mapping[Move, Sequence[Move]]) -> None:
        self.course.put(new, {move.last for move in new})
        self._look()

    def _price(self, hull: Hull) -> float:
        """What is worth least of what a move needs, as a share of all that the least objective takes."""
        of_energy, of_cycles = self.prices
        return float((of_energy * hull.energy + of_cycles * hull.cycles).min())

    def _hull(self, move: Move) -> Hull | None:
        """What a move needs on this machine at least; None where a part of it has no mapping that fits."""
        found = []
        for part in move.parts:
            if self.search and not (move.fused or move.uncut):
                self._search(part)
            if not self.fronts.is_known(part.problem, part.residence):
                found.append(self.floors.hull([part.alone() if move.fused and part.is_usual else part]))
            elif front := self.fronts.of(part.problem, part.residence):
                points = front.floor
                found.append(Hull.of(points.energy_pj.numpy(), points.cycles.numpy()).times(part.count))
            else:
                return None
        return Hull.total(found)

    def _search(self, part: Part) -> None:
        """Search the front of a step by itself; where the exact search does not cover it compulsory work is all."""
        try:
            self.fronts.of(part.problem, part.residence)
        except NotSupported:
            pass
