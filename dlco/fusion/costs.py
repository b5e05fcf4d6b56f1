"""What the moves of a course may cost, as far as the fronts of what runs in them are known."""

from collections.abc import Sequence
from dataclasses import replace

from dlco.bound.region import TotalLimits
from dlco.design.dominance import unbeaten
from dlco.exact.layer_front import LayerFront
from dlco.exact.optimal import OptimalFront
from dlco.exact.sums import Hull
from dlco.fusion.chains import Part
from dlco.fusion.course import Course, Move
from dlco.fusion.floor import Floors
from dlco.fusion.retained import Fronts, Homes, Residence
from dlco.fusion.sums import Bundles, Costs, Points, corners
from dlco.workload.problem import Problem

KINDS = ("front", "guess", "floor")


class MoveCosts:
    """What moves may cost: "front" only where it is known, "floor" at least, "guess" about.

    Args:
        fronts: that are known or may be searched.
        limits: on the totals of a way.
    """

    def __init__(self, fronts: Fronts, limits: TotalLimits) -> None:
        self.fronts, self.limits = fronts, limits
        self.floors = Floors(fronts.architecture)
        self.looked_at: set[Move] = set()  # whose tiles are bounded each by its own extents
        self.points: dict[tuple[Move, str], Points | None] = {}
        self.users: dict[tuple[Problem, tuple[Homes, Homes]], list[tuple[Move, Residence]]] = {}
        self.bundles: dict[tuple[str, str], Bundles] = {}
        self.ratios: dict[int, tuple[float, float]] = {}

    def enlist(self, moves: Sequence[Move]) -> None:
        """Know moves whose fronts may be searched."""
        for move in moves:
            for part in move.parts:
                self.users.setdefault((part.problem, part.residence.own), []).append((move, part.residence))

    def compare(self, alone: Sequence[Move]) -> None:
        """Let guesses be so far above compulsory work as the fronts of these steps by themselves are."""
        self.ratios = {move.start: self._ratio(move.parts[0]) for move in alone}

    def of(self, move: Move, kind: str) -> Points | None:
        """What a move may cost; None for one that no mapping fits, or whose front is not known."""
        key = move, kind
        if key not in self.points:
            self.points[key] = self._found(move, kind)
        return self.points[key]

    def look_at(self, moves: Sequence[Move]) -> None:
        """Bound the tiles of moves each by its own extents."""
        for move in moves:
            self.looked_at.add(move)
            self.forget(move)

    def forget(self, move: Move) -> None:
        """Leave out a move that is no more, or work out anew what it costs."""
        for kind in KINDS:
            self.points.pop((move, kind), None)
        for bundles in self.bundles.values():
            bundles.forget(move)

    def together(self, kind: str, course: Course, among: str) -> Costs:
        """What moves of a course may cost, by the step after which they end: those "alone", all "moves", or "every"."""
        key = kind, among
        if key not in self.bundles:
            self.bundles[key] = Bundles(lambda move: self.of(move, kind), self.limits)
        return self.bundles[key].of(getattr(course, among))

    def search_one(self, move: Move) -> None:
        """Search the front of the part of a move that takes most of those not known."""
        unknown = [part for part in move.parts if not self.is_known(part)]
        if not unknown:  # another move had the same part
            return
        part = max(unknown, key=lambda one: one.count * self.floors.of(one).energy)
        users = self.users[part.problem, part.residence.own]
        if move.fused is None:  # a front with the most room often is the one with less too
            self.fronts.of(part.problem, min((own for _, own in users), key=lambda own: sum(n for _, n in own.taken)))
        self.front(part)
        for user, own in users:
            if own.crowds(part.residence) or part.residence.crowds(own):
                self.forget(user)

    def is_known(self, part: Part) -> bool:
        """Whether its front is."""
        return self.fronts.is_known(part.problem, part.residence)

    def is_tried(self, move: Move) -> bool:
        """Whether the fronts of all its parts are known."""
        return all(map(self.is_known, move.parts))

    def is_sure(self, part: Part) -> bool:
        """Whether all is known of a part."""
        return self.is_known(part) and ((front := self.front(part)) is None or front.proved)

    def front(self, part: Part) -> OptimalFront | None:
        """The front of a part, known or searched for; None where nothing fits."""
        return self.fronts.of(part.problem, part.residence)

    def _ratio(self, part: Part) -> tuple[float, float]:
        """How much more energy and cycles the best mappings of a step by itself need than is compulsory."""
        front, least = self.front(part), self.floors.hull([replace(part, count=1)])
        if front is None:
            return 1.0, 1.0
        energy, cycles = front.front.energy_pj.min().item(), front.front.cycles.min().item()
        return energy / least.energy[-1] if least.energy[-1] else 1.0, cycles / least.cycles[0]

    def _found(self, move: Move, kind: str) -> Points | None:
        if move.uncut:  # whatever is known of the whole layers that are its parts
            return self._corners(self.floors.hull(move.parts))
        rows, unknown = [], []
        closely = move in self.looked_at
        for part in move.parts:
            if self.is_known(part):
                front = self.front(part)
                if front is None:
                    return None
                some: LayerFront = front.floor if kind == "floor" else front.front
                rows.append((some.energy_pj * part.count, some.cycles * part.count))
            elif kind == "front":
                return None
            elif kind == "floor" and (roomy := self.fronts.with_more_room(part.problem, part.residence)):
                rows.append((roomy.floor.energy_pj * part.count, roomy.floor.cycles * part.count))
            else:
                least = self.floors.hull([part.alone() if closely and part.is_usual else part])
                energy, cycles = self.ratios[part.step] if kind == "guess" else (1.0, 1.0)
                unknown.append(Hull(least.energy * energy, least.cycles * cycles))
        if unknown:
            rest = self._corners(Hull.total(unknown))
            rows.append((rest.energy, rest.cycles))
        return Points.total(rows, corners if self.limits == TotalLimits() else unbeaten)

    def _corners(self, hull: Hull) -> Points:
        """Points of which some sum has no more of the objective than any that a hull bounds.

        Without limits its corners, as objectives are quasi-concave; within limits what is the least of both.
        """
        return Points.of(hull) if self.limits == TotalLimits() else Points.one(hull.energy[-1], hull.cycles[0])
