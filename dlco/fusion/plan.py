"""The best choice of what stays on the chip, with the best mappings under it: dynamic programming over the course.

While a step runs, what is retained there decides its layer's exact front (`retained`); nothing else of the choices
does. So the states between two steps are the sets of tensors that are retained and still to be read, with the memory
of each, and a step leads from one to the next with the points of its front. Of the sums (energy, cycles) that lead to
a state those are kept that no other beats in both and that may still become the best: whatever is to come, it lies in
the lower convex hull of all that the state may lead to, which is had by going backwards.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from math import inf

import numpy as np
import torch

from dlco.bound.region import TotalLimits
from dlco.design.dominance import unbeaten
from dlco.design.objective import Objective
from dlco.errors import InvalidInput, NotSupported
from dlco.exact.combine import SUMS, Choice, still_open
from dlco.exact.layer_front import LayerFront, least_of
from dlco.exact.optimal import NoMapping, OptimalFront
from dlco.exact.sums import Hull
from dlco.fusion.retained import Fronts, Residence
from dlco.fusion.tensors import Tensor, tensors_of
from dlco.hardware.architecture import Architecture
from dlco.hardware.constraints import Constraints
from dlco.mapping.mapping import Mapping
from dlco.workload.graph import Network

STATES = 4096  # of the choices between two steps, at most

State = tuple[tuple[int, str], ...]
"""(tensor by index, memory) of what is retained and still to be read."""


@dataclass(frozen=True)
class Plan:
    """A choice of what stays on the chip, and a mapping of every step under it.

    Attributes:
        energy_pj, cycles: the network's totals.
        residents: (tensor, memory) of what is retained.
        mappings: of every step.
        residences: what is retained while every step runs.
        lower: no choice goes below this, as `least_of` of pJ and cycles.
        proved: whether no choice is better.
        evaluated: mappings evaluated to find it.
    """

    energy_pj: float
    cycles: float
    residents: tuple[tuple[Tensor, str], ...]
    mappings: tuple[Mapping, ...]
    residences: tuple[Residence, ...]
    lower: float
    proved: bool
    evaluated: int


@dataclass(frozen=True)
class Move:
    """A step from one state to the next: states by index, and what is retained meanwhile."""

    before: int
    after: int
    residence: Residence


def best_plan(
    network: Network,
    architecture: Architecture,
    objective: str = "edp",
    limits: TotalLimits | None = None,
    constraints: Constraints | None = None,
    *,
    fronts: Fronts | None = None,
    retain: bool = True,
    report: Callable[[float], None] = lambda share: None,
) -> Plan | None:
    """The choice of what stays on the chip, and of mappings, with the least objective within limits.

    Args:
        network: with its graph.
        architecture: the machine.
        objective: "latency", "energy" or "edp".
        limits: on the network's cycles and energy.
        constraints: on mappings, beside the machine's.
        fronts: known fronts on the same machine under the same constraints, which grow.
        retain: whether anything may stay on the chip.
        report: told the share of the steps whose fronts are known.

    Returns:
        The plan, whose totals are no worse than those of any other choice where it is proved; None where no choice
        keeps the limits.

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
    if limits.power < inf:
        raise NotSupported("limits hold one on mean power; with results on the chip, cycles and energy are covered")
    if not network.graph.steps:
        raise InvalidInput(f"network {network.name!r} has no graph: it is not known which layer reads whose result")
    fronts = fronts or Fronts(architecture, constraints)
    tensors = tensors_of(network, architecture, constraints) if retain else ()
    course = _Course(network, architecture, tensors, fronts, report)
    return course.best(goal, limits)


class _Course:
    """The states before and after every step, and the moves between them."""

    def __init__(
        self,
        network: Network,
        architecture: Architecture,
        tensors: Sequence[Tensor],
        fronts: Fronts,
        report: Callable[[float], None],
    ) -> None:
        self.network, self.architecture, self.tensors, self.fronts = network, architecture, tensors, fronts
        self.states: list[list[State]] = [[()]]
        self.moves: list[list[Move]] = []
        for step in range(len(network.graph.steps)):
            report(step / len(network.graph.steps))
            self._advance(step)
        self._prune()

    def _advance(self, step: int) -> None:
        """List the states after a step and the moves to them."""
        index: dict[State, int] = {}
        moves, ways = [], []
        born = [i for i, tensor in enumerate(self.tensors) if tensor.steps[0] == step]
        for before, state in enumerate(self.states[-1]):
            for chosen in product(*([None, *self.tensors[i].levels] for i in born)):
                held = (*state, *((i, level) for i, level in zip(born, chosen, strict=True) if level is not None))
                ways.append((before, held, self._residence(step, held)))
        ways.sort(key=lambda way: sum(words for _, words in way[2].taken))  # what fits in little room fits in more
        for before, held, residence in ways:
            if self._front(step, residence) is not None:
                left = tuple((i, level) for i, level in held if self.tensors[i].ends > step)
                moves.append(Move(before, index.setdefault(left, len(index)), residence))
        if not moves:
            layer = self.network.layer_of(step)
            raise NoMapping(
                f"no mapping of layer {layer.name!r}, bounds {layer.problem.sizes}, fits {self.architecture.name!r}"
            )
        if len(index) > STATES:
            raise NotSupported(
                f"after step {step} there are {len(index):,} choices of what is retained; up to {STATES:,} are covered"
            )
        self.states.append(list(index))
        self.moves.append(moves)

    def _residence(self, step: int, held: State) -> Residence:
        problem = self.network.layer_of(step).problem
        taken: dict[str, int] = {}
        homes = set()
        for i, level in held:
            tensor = self.tensors[i]
            taken[level] = taken.get(level, 0) + tensor.words_at(step)
            homes |= {(space, level) for space in tensor.role(step, problem)}
        return Residence(tuple(sorted(homes)), tuple(sorted((name, words) for name, words in taken.items() if words)))

    def _front(self, step: int, residence: Residence) -> OptimalFront | None:
        return self.fronts.of(self.network.layer_of(step).problem, residence)

    def _prune(self) -> None:
        """Leave out moves to states that lead nowhere, which a step had no room for."""
        alive = {0} if self.states[-1] else set()
        for step in reversed(range(len(self.moves))):
            self.moves[step] = [move for move in self.moves[step] if move.after in alive]
            alive = {move.before for move in self.moves[step]}

    def best(self, objective: Objective, limits: TotalLimits) -> Plan | None:
        """The best plan within limits."""
        found = self._least(objective, limits, lambda one: one.front)
        if found is None:
            return None
        energy, cycles, way = found
        used = [self._front(step, move.residence) for step, (move, _) in enumerate(way)]
        floor = found if self.proved else self._least(objective, limits, lambda one: one.floor)
        assert floor is not None
        return Plan(
            energy,
            cycles,
            self._residents(way),
            tuple(front.front.mappings[k] for front, (_, k) in zip(used, way, strict=True) if front is not None),
            tuple(move.residence for move, _ in way),
            least_of(objective, *floor[:2]),
            self.proved,
            self.fronts.evaluated,
        )

    @property
    def proved(self) -> bool:
        """Whether the fronts of all moves are."""
        fronts = (self._front(step, move.residence) for step, moves in enumerate(self.moves) for move in moves)
        return all(front is not None and front.proved for front in fronts)

    def _residents(self, way: "Way") -> tuple[tuple[Tensor, str], ...]:
        found = []
        for step, (move, _) in enumerate(way):
            for tensor in self.tensors:
                if tensor.steps[0] == step:
                    level = dict(move.residence.homes).get(tensor.role(step, self.network.layer_of(step).problem)[-1])
                    found += [] if level is None else [(tensor, level)]
        return tuple(found)

    def _least(
        self, objective: Objective, limits: TotalLimits, points: Callable[[OptimalFront], LayerFront]
    ) -> "tuple[float, float, Way] | None":
        """(pJ, cycles, moves with points) of the best choice within limits among points of fronts."""
        steps = [self._weighed(step, points) for step in range(len(self.moves))]
        hulls = self._hulls(steps)
        start = hulls[0][0]
        corners = [Choice(e, t, ()) for e, t in zip(start.energy.tolist(), start.cycles.tolist(), strict=True)]
        known = min((c.rank(objective)[0] for c in corners if c.keeps(limits)), default=inf)
        sums = {0: _Sums.start()}
        trail: list[dict[int, _Sums]] = []
        for step, (moves, ahead) in enumerate(zip(self.moves, hulls[1:], strict=True)):
            reached: dict[int, list[_Sums]] = {}
            for number, move in enumerate(moves):
                if move.before in sums:
                    energy, cycles = steps[step][move.residence]
                    reached.setdefault(move.after, []).append(sums[move.before].plus(energy, cycles, number))
            sums = {}
            for after, parts in reached.items():
                joined = _Sums.join(parts)
                rest = torch.from_numpy(np.stack([ahead[after].energy, ahead[after].cycles], 1))
                running = joined.pick(still_open(joined.energy, joined.cycles, rest, objective, limits, known))
                if len(running.energy):
                    sums[after] = running.pick(unbeaten(running.energy, running.cycles))
            if sum(len(one.energy) for one in sums.values()) > SUMS:
                raise InvalidInput(f"the network has over {SUMS:,} sums of layers in the running")
            trail.append(sums)
        if 0 not in sums:
            return None
        last = sums[0]
        ranks = [
            Choice(e, t, ()).rank(objective) for e, t in zip(last.energy.tolist(), last.cycles.tolist(), strict=True)
        ]
        at = min(range(len(ranks)), key=ranks.__getitem__)
        return float(last.energy[at]), float(last.cycles[at]), self._traced(trail, at)

    def _traced(self, trail: "Sequence[dict[int, _Sums]]", at: int) -> "Way":
        way, state = [], 0
        for step in reversed(range(len(trail))):
            held, number, point = (int(row[at]) for row in trail[step][state].came)
            move = self.moves[step][number]
            way.append((move, point))
            at, state = held, move.before
        return tuple(reversed(way))

    def _weighed(
        self, step: int, points: Callable[[OptimalFront], LayerFront]
    ) -> dict[Residence, tuple[torch.Tensor, torch.Tensor]]:
        """(pJ, cycles) of the points that a step may have, by residence, all its runs together."""
        count = self.network.graph.steps[step].count
        found = {}
        for residence in {move.residence for move in self.moves[step]}:
            front = self._front(step, residence)
            assert front is not None
            some = points(front)
            found[residence] = some.energy_pj * count, some.cycles * count
        return found

    def _hulls(self, steps: Sequence[dict[Residence, tuple[torch.Tensor, torch.Tensor]]]) -> list[dict[int, Hull]]:
        """By position, then by state, the hull of all sums that it may lead to."""
        ahead = {0: Hull(np.zeros(1), np.zeros(1))}
        hulls = [ahead]
        for moves, points in zip(reversed(self.moves), reversed(steps), strict=True):
            own = {residence: Hull.of(e.numpy(), t.numpy()) for residence, (e, t) in points.items()}
            parts: dict[int, list[Hull]] = {}
            for move in moves:
                parts.setdefault(move.before, []).append(Hull.total([own[move.residence], ahead[move.after]]))
            ahead = {state: _together(some) for state, some in parts.items()}
            hulls.append(ahead)
        return hulls[::-1]


Way = tuple[tuple[Move, int], ...]
"""For every step the move and the point of its front."""


def _together(hulls: Sequence[Hull]) -> Hull:
    """The hull of several."""
    return Hull.of(np.concatenate([h.energy for h in hulls]), np.concatenate([h.cycles for h in hulls]))


@dataclass(frozen=True, eq=False)
class _Sums:
    """Sums `[n]` that lead to a state, and how.

    Attributes:
        energy, cycles: pJ, cycles.
        came: `[n]` each: the sum of the state before, the move, the point.
    """

    energy: torch.Tensor
    cycles: torch.Tensor
    came: tuple[torch.Tensor, torch.Tensor, torch.Tensor]

    @staticmethod
    def start() -> "_Sums":
        zero, none = torch.zeros(1, dtype=torch.float64), torch.zeros(1, dtype=torch.long)
        return _Sums(zero, zero, (none, none, none))

    def plus(self, energy: torch.Tensor, cycles: torch.Tensor, move: int) -> "_Sums":
        """All sums with a point `[m]` more."""
        held, point = (
            axis.flatten()
            for axis in torch.meshgrid(torch.arange(len(self.energy)), torch.arange(len(energy)), indexing="ij")
        )
        came = held, torch.full_like(held, move), point
        return _Sums(self.energy[held] + energy[point], self.cycles[held] + cycles[point], came)

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
