"""The best choice of what stays on the chip, with the best mappings under it: dynamic programming over the course.

Fronts of steps that run by themselves are all searched. Those of chains in tiles are many: a part whose front is not
known yet counts with its compulsory work, which no mapping goes below. The best way through the course under these
bounds says which fronts to search next; once it needs none that is not known it is the proved best, and before that its
objective is what no choice goes below.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import inf

from dlco.bound.region import TotalLimits
from dlco.design.dominance import unbeaten
from dlco.design.objective import Objective
from dlco.errors import InvalidInput
from dlco.exact.layer_front import LayerFront, least_of
from dlco.exact.optimal import OptimalFront
from dlco.exact.sums import Goal, Hull
from dlco.fusion.chains import Floors, Fused, Part, Uncut
from dlco.fusion.course import Course, Move
from dlco.fusion.retained import Fronts, Residence
from dlco.fusion.sums import Found, Points, best_way, corners, hull_of_ways
from dlco.fusion.tensors import Tensor, tensors_of
from dlco.hardware.architecture import Architecture
from dlco.hardware.constraints import Constraints
from dlco.mapping.mapping import Mapping
from dlco.workload.graph import Network
from dlco.workload.problem import Problem

KINDS = ("front", "guess", "floor")
SAME = 1e-9  # relative: what is no better than that is no better


@dataclass(frozen=True)
class Stretch:
    """One step by itself, or a chain in tiles.

    Attributes:
        first, last: positions of its steps.
        parts: what runs, tiles of one shape as one.
        mappings: of every part.
        fused: where it is a chain in tiles.
    """

    first: int
    last: int
    parts: tuple[Part, ...]
    mappings: tuple[Mapping, ...]
    fused: Fused | None = None


@dataclass(frozen=True)
class Plan:
    """A choice of what stays on the chip, and a mapping of everything that runs under it.

    Attributes:
        energy_pj, cycles: the network's totals.
        residents: (tensor, memory) of what is retained whole.
        stretches: what runs, in its order.
        lower: no choice goes below this, as `least_of` of pJ and cycles.
        proved: whether no choice is better.
        evaluated: mappings evaluated to find it.
        whole: whether no choice of results that stay whole is better, as is proved.
        untried: chains in tiles of which it is not known what they cost in full.
    """

    energy_pj: float
    cycles: float
    residents: tuple[tuple[Tensor, str], ...]
    stretches: tuple[Stretch, ...]
    lower: float
    proved: bool
    evaluated: int
    whole: bool = False
    untried: int = 0

    @property
    def mappings(self) -> tuple[Mapping, ...]:
        """Of every part of every stretch."""
        return tuple(mapping for stretch in self.stretches for mapping in stretch.mappings)

    @property
    def residences(self) -> tuple[Residence, ...]:
        """What is retained while every part of every stretch runs."""
        return tuple(part.residence for stretch in self.stretches for part in stretch.parts)


def best_plan(
    network: Network,
    architecture: Architecture,
    objective: str = "edp",
    limits: TotalLimits | None = None,
    constraints: Constraints | None = None,
    *,
    fronts: Fronts | None = None,
    retain: bool = True,
    fused: Sequence[Fused] = (),
    beyond: Sequence[Uncut] = (),
    searches: int | None = None,
    report: Callable[[float], None] = lambda share: None,
    improved: Callable[[Plan], None] = lambda plan: None,
) -> Plan | None:
    """The choice of what stays on the chip, and of mappings, with the least objective within limits.

    Args:
        network: with its graph.
        architecture: the machine.
        objective: "latency", "energy" or "edp".
        limits: on the network's cycles, energy and mean power. Of mappings that are slower for no less energy none is
            searched, though these need less power: within such a limit nothing is proved but the bound.
        constraints: on mappings, beside the machine's.
        fronts: known fronts on the same machine under the same constraints, which grow.
        retain: whether anything may stay on the chip whole.
        fused: chains that may be executed in tiles, as `candidates_of` lists them.
        beyond: chains whose every other tiling the bound is to hold for too; then the plan is seldom proved.
        searches: of fronts of their tiles at most; without end where it is None.
        report: told the share of the work that is done, about.
        improved: told every better plan on the way; what that one claims is not proved.

    Returns:
        The plan, whose totals are no worse than those of any other choice where it is proved; None where no choice
        that was found keeps the limits.

    Raises:
        InvalidInput: the network has no graph, or another objective.
        NotSupported: the exact search does not cover a layer on the machine; a layer has no mapping that fits; or too
            many tensors are to be read at once.

    Examples:
        >>> from dlco.fusion import best_plan
        >>> plan = best_plan(dlco.workload.get_graph("bert_base_block"), dlco.hardware.generic())  # doctest: +SKIP
        >>> [(tensor.steps, level) for tensor, level in plan.residents]  # doctest: +SKIP
    """
    goal = Objective.parse(objective, allowed=(Objective.LATENCY, Objective.ENERGY, Objective.EDP))
    limits = limits or TotalLimits()
    if not network.graph.steps:
        raise InvalidInput(f"network {network.name!r} has no graph: it is not known which layer reads whose result")
    fronts = fronts or Fronts(architecture, constraints)
    tensors = tensors_of(network, architecture, constraints) if retain else ()
    course = Course(
        network,
        architecture,
        tensors,
        fused,
        beyond,
        lambda problem, residence: fronts.of(problem, residence) is not None,
    )
    steps = len(network.graph.steps)
    for step in range(steps):
        report((0.5 if fused else 1.0) * step / steps)
        course.advance()
    course.prune()
    search = _Search(course, fronts, goal, limits, improved)
    if fused:
        search.refine(searches, lambda share: report(0.5 + 0.5 * share))
    return search.plan


class _Search:
    """The best plan so far, and what is known of the moves that may lead to a better one.

    Attributes:
        plan: the best; None before one keeps the limits.
    """

    def __init__(
        self,
        course: Course,
        fronts: Fronts,
        objective: Objective,
        limits: TotalLimits,
        improved: Callable[[Plan], None],
    ) -> None:
        self.course, self.fronts, self.objective, self.limits = course, fronts, objective, limits
        self.improved = improved
        self.floors = Floors(fronts.architecture)
        self.points: dict[tuple[int, str], Points | None] = {}
        self.looked_at: set[int] = set()  # moves whose tiles are bounded each by its own extents
        self.moves = [move for some in course.moves for move in some]
        self.users: dict[tuple[Problem, Residence], list[int]] = {}
        for move in self.moves:
            for part in move.parts:
                self.users.setdefault((part.problem, part.residence), []).append(id(move))
        self.ratios = [self._ratio(step) for step in range(len(course.moves))]
        self.plan: Plan | None = None
        self._better()
        self._prove()

    def refine(self, searches: int | None, report: Callable[[float], None]) -> None:
        """Search fronts of tiles where the best way under estimates, then under bounds, needs them."""
        before = self.fronts.searched
        most = inf if searches is None else searches

        def share() -> float:
            return (self.fronts.searched - before) / most if most < inf else 0.0

        for kind in KINDS[1:]:
            while self.fronts.searched - before < most:
                report(share())
                ahead = self._best(kind)
                if ahead is None or (self.plan and self._rank(ahead) >= self._rank(self.plan) * (1 - SAME)):
                    break
                open_moves = [move for move, _ in ahead.way if not self._is_tried(move)]
                if not open_moves:
                    break
                if blurred := [move for move in open_moves if id(move) not in self.looked_at]:
                    for move in blurred:
                        self.looked_at.add(id(move))
                        self._forget(id(move))
                    continue
                for move in open_moves:  # under guesses those begun are finished: others may always promise more
                    parts = len(move.parts) if kind == "guess" else 1
                    for _ in range(parts):
                        if self.fronts.searched - before < most:
                            self._search_one(move)
                            report(share())
                if any(map(self._is_tried, open_moves)):
                    self._better()
        self._prove()

    def _search_one(self, move: Move) -> None:
        """Search the front of the part of a move that takes most of those not known."""
        unknown = [part for part in move.parts if not self._is_known(part)]
        if not unknown:  # another move had the same part
            return
        part = max(unknown, key=lambda one: one.count * self.floors.of(one).energy)
        self.fronts.of(part.problem, part.residence)
        for move_id in self.users[part.problem, part.residence]:
            self._forget(move_id)

    def _forget(self, move_id: int) -> None:
        """Work out anew what a move may cost."""
        for kind in KINDS:
            self.points.pop((move_id, kind), None)

    def _rank(self, found: "Found | Plan") -> float:
        return least_of(self.objective, found.energy_pj, found.cycles)

    def _is_known(self, part: Part) -> bool:
        return self.fronts.is_known(part.problem, part.residence)

    def _is_tried(self, move: Move) -> bool:
        """Whether the fronts of all its parts are known."""
        return all(map(self._is_known, move.parts))

    def _is_sure(self, part: Part) -> bool:
        """Whether all is known of a part."""
        return self._is_known(part) and ((front := self._front(part)) is None or front.proved)

    def _front(self, part: Part) -> OptimalFront | None:
        return self.fronts.of(part.problem, part.residence)

    def _ratio(self, step: int) -> tuple[float, float]:
        """How much more energy and cycles the best mappings of a step by itself need than is compulsory."""
        part = next(move for move in self.course.moves[step] if move.fused is None).parts[0]
        front, least = self._front(part), self.floors.hull([replace(part, count=1)])
        assert front is not None
        energy, cycles = front.front.energy_pj.min().item(), front.front.cycles.min().item()
        return energy / least.energy[-1] if least.energy[-1] else 1.0, cycles / least.cycles[0]

    def _best(self, kind: str) -> Found | None:
        return best_way(self.course.moves, lambda move: self._points(move, kind), self.objective, self.limits)

    def _points(self, move: Move, kind: str) -> Points | None:
        """What a move may cost: "front" only where it is known, "floor" at least, "guess" about."""
        key = id(move), kind
        if key not in self.points:
            self.points[key] = self._found(move, kind)
        return self.points[key]

    def _found(self, move: Move, kind: str) -> Points | None:
        rows, unknown = [], []
        for part in move.parts:
            if self._is_known(part):
                front = self._front(part)
                if front is None:
                    return None
                some: LayerFront = front.floor if kind == "floor" else front.front
                rows.append((some.energy_pj * part.count, some.cycles * part.count))
            elif kind == "front":
                return None
            else:
                least = self.floors.hull([part.alone() if id(move) in self.looked_at else part])
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

    def _compulsory(self, move: Move) -> Points:
        """What a move needs at least, whatever is known of its parts: those of a chain that is cut in any way."""
        return self._corners(self.floors.hull(move.parts))

    def _better(self) -> None:
        """Take the best way through moves whose fronts are known."""
        found = self._best("front")
        if found is None or (self.plan and self._rank(found) >= self._rank(self.plan)):
            return
        stretches = []
        for move, picks in found.way:
            mappings = []
            for part, at in zip(move.parts, picks, strict=True):
                front = self._front(part)
                assert front is not None
                mappings.append(front.front.mappings[at])
            last = move.fused.last if move.fused else move.start
            stretches.append(Stretch(move.start, last, move.parts, tuple(mappings), move.fused))
        self.plan = Plan(
            found.energy_pj,
            found.cycles,
            self._residents(found),
            tuple(stretches),
            0.0,
            proved=False,
            evaluated=self.fronts.evaluated,
        )
        self.improved(self.plan)

    def _prove(self) -> None:
        """Say of the plan what no choice goes below."""
        if self.plan is None:
            return
        known = all(self._is_sure(part) for move in self.moves if move.fused is None for part in move.parts)
        whole = known and self.limits.power == inf
        sure = whole and not any(self.course.beyond) and all(self._is_sure(p) for m in self.moves for p in m.parts)
        uncut = {id(move): self._compulsory(move) for some in self.course.beyond for move in some}
        least = self._least(self.course.every, lambda move: uncut.get(id(move)) or self._points(move, "floor"))
        lower = min(least, self._rank(self.plan))
        untried = {id(move.fused) for move in self.moves if move.fused and not self._is_tried(move)}
        proved = sure or lower >= self._rank(self.plan) * (1 - SAME)
        self.plan = replace(
            self.plan,
            lower=self._rank(self.plan) if proved else lower,
            proved=proved,
            evaluated=self.fronts.evaluated,
            whole=whole,
            untried=0 if proved else len(untried),
        )

    def _least(self, moves: Sequence[Sequence[Move]], points: Callable[[Move], Points | None]) -> float:
        """What no way of these moves goes below."""
        if self.limits.power < inf:  # whatever takes longer may need less power
            hull = hull_of_ways(moves, points)
            assert hull is not None
            return Goal(self.objective, self.limits).least(hull)
        floor = best_way(moves, points, self.objective, self.limits)
        assert floor is not None
        return self._rank(floor)

    def _residents(self, found: Found) -> tuple[tuple[Tensor, str], ...]:
        kept: dict[int, str] = {}
        for move, _ in found.way:
            kept |= dict(move.held)
        return tuple((self.course.tensors[i], level) for i, level in sorted(kept.items()))
