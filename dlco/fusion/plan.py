"""The best choice of what stays on the chip, with the best mappings under it: dynamic programming over the course.

A step, or a part of a chain in tiles, whose front is not known yet counts with what no mapping of it goes below. The
best way through the course under these bounds says which fronts to search next: first for steps by themselves, until no
way of these is better; then for chains in tiles too, of which there are many, and what is next to the best plan is
listed with them. Once the best way needs no front that is not known it is the proved best, and before that its
objective is what no choice goes below.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import inf

from dlco.bound.region import TotalLimits
from dlco.design.objective import Objective
from dlco.errors import InvalidInput
from dlco.exact.layer_front import least_of
from dlco.exact.optimal import NoMapping
from dlco.exact.sums import Goal, Hull
from dlco.fusion.chains import Fused, Part, Uncut
from dlco.fusion.costs import MoveCosts
from dlco.fusion.course import Course, Move
from dlco.fusion.nearby import nearby
from dlco.fusion.ranges import DEEP, Patience, Ranged
from dlco.fusion.retained import Fronts, Residence
from dlco.fusion.sums import Found, best_way, hull_of_ways
from dlco.fusion.tensors import Tensor, tensors_of
from dlco.hardware.architecture import Architecture
from dlco.hardware.constraints import Constraints
from dlco.mapping.mapping import Mapping
from dlco.workload.graph import Network

SAME = 1e-9  # relative: what is no better than that is no better
WORTH = 1e-3  # relative: what tilings promise at least that are searched around the plan, where searches are limited


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
        tilings: of chains that were looked at each by itself; `tried`: those of which all fronts are known.
    """

    energy_pj: float
    cycles: float
    residents: tuple[tuple[Tensor, str], ...]
    stretches: tuple[Stretch, ...]
    lower: float
    proved: bool
    evaluated: int
    whole: bool = False
    tilings: int = 0
    tried: int = 0

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
    memories: Sequence[str] | None = None,
    fused: Sequence[Fused] = (),
    beyond: Sequence[Uncut | Ranged] = (),
    searches: int | None = None,
    splits: int | None = None,
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
        memories: where results may stay whole; by default all that are shared.
        fused: chains that may be executed in tiles, as `candidates_of` lists them.
        beyond: chains that may be cut in any other way too, for which the bound is to hold; or ranges of their tilings.
        searches: of fronts of tiles at most; without end where it is None.
        splits: of ranges of sizes of tiles at most, as long as they raise the bound; without end where it is None.
            With neither limit no way of cutting these chains is better than the plan.
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
    tensors = tensors_of(network, architecture, constraints, memories)
    course = Course(network, architecture, tensors, fused, beyond).run()
    search = _Search(course, fronts, goal, limits, improved)
    some = 0.5 if fused or beyond else 1.0
    search.settle(lambda share: report(some * share))
    if fused or beyond:
        most = [inf if n is None else n for n in (searches, splits)]
        search.refine(most[0], most[1], lambda share: report(some + (1 - some) * share))
    search.prove()
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
        self.moves = [move for some in course.moves for move in some]
        self.costs = MoveCosts(fronts, limits)
        self.costs.enlist(self.moves)
        self.plan: Plan | None = None
        self.around: Plan | None = None  # of which what is next to it is listed

    def settle(self, report: Callable[[float], None]) -> None:
        """Search fronts of steps by themselves, until no way of these is better than the best one that is known."""
        while found := self._best("floor", "alone"):
            unknown = [move for move, _ in found.way if not self.costs.is_tried(move)]
            report(1 - len(unknown) / len(found.way))
            for move in unknown:
                self.costs.search_one(move)
            if not unknown:
                break
        if not found:
            self._check_every_step()
        self._better()

    def _check_every_step(self) -> None:
        """Raise `NoMapping` where no mapping of a step by itself fits, whatever is retained."""
        reached = {0}
        for step, some in enumerate(self.course.alone):
            reached = {m.after for m in some if m.before in reached and self.costs.of(m, "floor") is not None}
            if not reached:
                layer, machine = self.course.network.layer_of(step), self.course.architecture
                raise NoMapping(
                    f"no mapping of layer {layer.name!r}, bounds {layer.problem.sizes}, fits {machine.name!r}"
                )

    def refine(self, searches: float, splits: float, report: Callable[[float], None]) -> None:
        """Search fronts of tiles where the best way under estimates, then under bounds, needs them.

        Meanwhile the best way under bounds that hold for all tilings is raised: those of a chain are split by their
        sizes, down to single ones, which are searched like any other.
        """
        before, split, worth = self.fronts.searched, 0, SAME if searches == inf else WORTH

        def may_search() -> bool:
            return self.fronts.searched - before < searches

        def tell() -> None:
            shares = [
                (self.fronts.searched - before) / searches if searches else 1.0,
                split / splits if splits else 1.0,
            ]
            report(sum(shares) / 2)

        def search_all(kind: str) -> None:
            while may_search() and (ahead := self._ahead(kind, worth=worth)):
                tell()
                if not (tiles := self._untried(ahead)):
                    break  # fronts that were cut short leave the rest
                self._search_some(tiles, kind, may_search)

        def search_nearby() -> None:
            """Search around the plan until nothing next to it seems better."""
            search_all("floor")
            while may_search() and self._list_nearby():
                search_all("floor")

        self.costs.compare([self._tried(some) for some in self.course.alone])
        search_all("guess")
        patience = Patience(splits)
        while ahead := self._ahead("floor", "every"):
            tell()
            search_nearby()
            goes_on = patience.lasts(split, self._rank(ahead))
            whole, tiles = [move for move, _ in ahead.way if move.uncut], self._untried(ahead)
            if blurred := [move for move in tiles if move not in self.costs.looked_at]:
                self.costs.look_at(blurred)
            elif whole and goes_on:
                for move in whole:
                    split += self._split(move)
            elif tiles and may_search():
                self._search_some(tiles, "floor", may_search)
            else:
                break

    def _tried(self, moves: Sequence[Move]) -> Move:
        """One of some moves whose fronts are known, or else the first."""
        return next((move for move in moves if self.costs.of(move, "front")), moves[0])

    def _list_nearby(self) -> bool:
        """List the tilings next to those of the plan; whether there were any that are new."""
        if self.plan is None or self.plan is self.around:
            return False
        self.around = self.plan
        own = [stretch.fused for stretch in self.plan.stretches if stretch.fused]
        chains = [one for one in self.course.uncut if isinstance(one, Uncut)]
        new = [move for one in own for near in nearby(one, chains) for move in self.course.add(near)]
        self._list(new)
        return bool(new)

    def _list(self, moves: Sequence[Move]) -> None:
        """Know moves of single tilings, bounded by their own extents."""
        self.moves += moves
        self.costs.enlist(moves)
        self.costs.look_at(moves)

    def _untried(self, found: Found) -> list[Move]:
        """The moves of a way whose fronts may be searched and are not all known."""
        return [move for move, _ in found.way if not (move.uncut or self.costs.is_tried(move))]

    def _ahead(self, kind: str, among: str = "moves", worth: float = SAME) -> Found | None:
        """The best way under estimates or bounds, where it is better than the plan by what is worth it."""
        found = self._best(kind, among)
        best = self._rank(self.plan) if self.plan else inf
        return None if found is None or self._rank(found) >= best * (1 - worth) else found

    def _search_some(self, moves: Sequence[Move], kind: str, go_on: Callable[[], bool]) -> None:
        """Know more of moves that are not known: first what tiles of theirs need at least, then fronts."""
        if blurred := [move for move in moves if move not in self.costs.looked_at]:
            self.costs.look_at(blurred)
            return
        for move in moves:  # under guesses those begun are finished: others may always promise more
            for _ in range(len(move.parts) if kind == "guess" else 1):
                if go_on():
                    self.costs.search_one(move)
        if any(map(self.costs.is_tried, moves)):
            self._better()

    def _split(self, move: Move) -> int:
        """Put tilings of fewer sizes in place of some, where they may cost least; returns how often."""
        open_moves, splits = [move], 0
        while open_moves and splits < DEEP:
            least = min(open_moves, key=self._price)
            if not least.uncut:
                break
            open_moves.remove(least)
            some = self.course.split(least)
            self.costs.forget(least)
            self._list([one for one in some if one.fused])
            open_moves, splits = [*open_moves, *some], splits + 1
        return splits

    def _price(self, move: Move) -> float:
        """About the share of the plan's objective that a move takes at least."""
        points = self.costs.of(move, "floor")
        if points is None or self.plan is None:
            return inf
        of_energy, of_cycles, _ = self.objective.powers
        shares = of_energy * points.energy / self.plan.energy_pj + of_cycles * points.cycles / self.plan.cycles
        return float(shares.min())

    def _rank(self, found: "Found | Plan") -> float:
        return least_of(self.objective, found.energy_pj, found.cycles)

    def _best(self, kind: str, among: str = "moves") -> Found | None:
        return best_way(self.costs.together(kind, self.course, among), self.objective, self.limits)

    def _better(self) -> None:
        """Take the best way through moves whose fronts are known."""
        found = self._best("front")
        if found is None or (self.plan and self._rank(found) >= self._rank(self.plan)):
            return
        stretches = []
        for move, picks in found.way:
            mappings = []
            for part, at in zip(move.parts, picks, strict=True):
                front = self.costs.front(part)
                assert front is not None
                mappings.append(front.front.mappings[at])
            stretches.append(Stretch(move.start, move.last, move.parts, tuple(mappings), move.fused))
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

    def prove(self) -> None:
        """Say of the plan what no choice goes below."""
        if self.plan is None:
            return
        best = self._rank(self.plan) * (1 - SAME)
        alone = self._best("floor", "alone")
        whole = self.limits.power == inf and (alone is None or self._rank(alone) >= best)
        lower = min(self._least(), self._rank(self.plan))
        tilings = {id(move.fused): self.costs.is_tried(move) for move in self.moves if move.fused}
        proved = lower >= best
        self.plan = replace(
            self.plan,
            lower=self._rank(self.plan) if proved else lower,
            proved=proved,
            evaluated=self.fronts.evaluated,
            whole=whole,
            tilings=len(tilings),
            tried=sum(tilings.values()),
        )

    def _least(self) -> float:
        """What no way goes below."""
        if self.limits.power < inf:  # whatever takes longer may need less power

            def hull_of(move: Move) -> Hull | None:
                return None if (points := self.costs.of(move, "floor")) is None else points.hull

            hull = hull_of_ways(self.course.every, hull_of)
            assert hull is not None
            return Goal(self.objective, self.limits).least(hull)
        floor = self._best("floor", "every")
        assert floor is not None
        return self._rank(floor)

    def _residents(self, found: Found) -> tuple[tuple[Tensor, str], ...]:
        kept: dict[int, str] = {}
        for move, _ in found.way:
            kept |= dict(move.held)
        return tuple((self.course.tensors[i], level) for i, level in sorted(kept.items()))
