"""Machines too: what no machine of a space goes below, by exact searches on the most optimistic machines of boxes.

The boxes of one search cover the space. Each has a bound: on its most optimistic machine those points of every layer
are searched exactly that a network better than the target could have, and the least objective of their sums bounds
all of the box's machines (`dlco.hardware.box`, `dlco.exact.sums`). A box whose bound reaches the target is done with,
and so is a single machine, whose optimum is then known. All others are cut in two, those of the least bound first.

Most boxes need no search. Mappings known from other boxes that do well on an optimistic machine show that no bound of
it reaches the target: such a box is cut at once. And where they show that a layer's least costs on it are those of the
larger box, there is nothing to search for. Ends of a box's grids go first where its layers' least costs, and the work
that no mapping avoids on such machines, reach the target.

Slower mappings may need less mean power, and the fastest of equal energy are all that is searched. So power is bounded
by the least energy over the most time, which the budget must limit; and a single machine's least power stays open.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from heapq import heappop, heappush
from itertools import count
from math import inf

import numpy as np
import torch

from dlco.bound.compulsory import layer_floors
from dlco.bound.region import TotalLimits
from dlco.design.budget import Budget
from dlco.design.objective import Objective
from dlco.errors import InvalidInput
from dlco.exact.case import Case
from dlco.exact.combine import best_points
from dlco.exact.covered import why_not_covered
from dlco.exact.known import Known
from dlco.exact.labels import LabelStore
from dlco.exact.layer_front import LayerFront, least_of
from dlco.exact.optimal import begin_useful, found_by, so_often
from dlco.exact.sums import Goal, Hull, Use, Useful
from dlco.hardware.architecture import Architecture
from dlco.hardware.box import Box, Boxes
from dlco.hardware.constraints import Constraints
from dlco.hardware.space import HardwareSpace
from dlco.mapping.constraints import stated
from dlco.mapping.mapping import Mapping
from dlco.workload.layer import Layer
from dlco.workload.problem import Problem, check_count

SAME = 1e-9  # relative: costs that differ by less are the same
BATCHES = 30  # of pairs that one layer's search completes at most, unless the box is one machine
RISE = 1e-4  # relative: what a half is worth at least whose bound is not known to rise
QUICK = 4  # where this share of the effort is enough for the gap, the optimum is worth a try
ENOUGH = 1.02  # times the target: a half that gets there is as good as any


@dataclass(frozen=True)
class MachineEffort:
    """How far machines are searched through; the same effort gives the same bound.

    Attributes:
        boxes: how many boxes are searched in at most, counting one whose every layer is searched as one.
        gap: the share of the objective at which the proof may rest; with 0 it goes on until the best design is proved
            to be optimal. Where a quarter of the boxes are enough for the gap, thrice what it took is spent on that.
    """

    boxes: int = 40
    gap: float = 0.01

    def __post_init__(self) -> None:
        check_count("boxes of the machines' effort", self.boxes)
        if not (isinstance(self.gap, int | float) and not isinstance(self.gap, bool) and 0 <= self.gap < 1):
            raise InvalidInput(f"gap of the machines' effort is {self.gap!r}; it must be a share from 0 to below 1")


@dataclass(frozen=True)
class Node:
    """Machines that may still be better than the target.

    Attributes:
        box: the machines.
        value: what none of them goes below, as `Objective.product`.
        hulls: what each layer needs on them, one execution, where the network is to be better than the target.
    """

    box: Box
    value: float
    hulls: dict[Problem, Hull]


class MachineSearch:
    """The search over the machines of a space; `begin_with` a design, then `run` it.

    Args:
        layers: the network.
        space: the machines.
        objective, budget, constraints, imperfect: as in `solve`.

    Attributes:
        best: the value of the best design known, as `Objective.product`.
        index: positions on the grid of a machine that has it, where it is better than all that it began with.
        queue: boxes not done with; `looking`: what no machine goes below of the one that is looked at; `done`: of those
            that are done with; `proved`: what none at all goes below by an earlier search.
        searches: of a layer on a machine so far; `boxes_looked`: boxes looked at.
    """

    def __init__(
        self,
        layers: Sequence[Layer],
        space: HardwareSpace,
        objective: Objective,
        budget: Budget,
        constraints: Constraints | None = None,
        imperfect: bool = False,
    ) -> None:
        self.layers, self.space, self.objective, self.budget = layers, space, objective, budget
        self.constraints, self.imperfect = constraints, imperfect
        self.cycle_s = space.base.cycle_s
        self.goal = Goal(objective, TotalLimits.of(budget, self.cycle_s))
        self.boxes = Boxes(space, budget.area_mm2 or inf, budget.pe_count or inf)
        self.known, self.labels = Known(layers), LabelStore()
        self.counts = self.known.counts
        self.best: float = inf
        self.index: tuple[int, ...] | None = None
        self.queue: list[tuple[float, int, Node]] = []
        self.tickets = count()
        self.looking, self.done, self.proved = inf, inf, 0.0
        self.searches = self.boxes_looked = 0
        if self.boxes.whole is not None:
            self._push(self.boxes.whole, 0.0, self._floors())

    def why_not(self) -> str | None:
        """Why this search does not answer its question, in words that follow "because"; None where it does."""
        if self.boxes.whole is None:
            return "no machine keeps the limits on the machine alone"
        if self.objective is Objective.POWER and self.budget.latency_s is None:
            return "slower designs may always need less mean power"
        for slot in stated(self.space.base, self.constraints).slots:
            sizes = [self.space.driven.get(slot.level, {}).get(name) for name in ("fanout_x", "fanout_y")]
            grids = [self.space.parameters[one[0]].grid[0] * one[1] for one in sizes if one is not None]
            if slot.kind == "spatial" and grids and (slot.container or min(grids) <= 1):
                return f"constraints of the fan-out of {slot.level} depend on its size"
        machine = self.boxes.optimistic(self.boxes.whole)
        cases = [self._case(problem, machine) for problem in self.counts]
        return next((reason for reason in map(why_not_covered, cases) if reason), None)

    def begin_with(self, value: float, mappings: Iterable[tuple[Problem, Mapping]]) -> None:
        """Know of a design within the budget: its value in the unit of `NetworkCost`, and its mappings."""
        self.best = min(self.best, value / self.objective.unit_of_product(self.cycle_s))
        for problem, mapping in mappings:
            self.known.add(problem, [mapping])

    @property
    def lower(self) -> float:
        """What no machine goes below, in the unit of `NetworkCost`; that of the best design, where it is optimal.

        Infinite where no design keeps the budget.
        """
        least = max(self.proved, min(self.looking, self.done, self.queue[0][0] if self.queue else inf))
        if least >= self.best * (1 - SAME):
            least = self.best
        return least * self.objective.unit_of_product(self.cycle_s)

    def run(self, effort: MachineEffort, tick: Callable[[float], None] = lambda share: None) -> None:
        """Search until no machine can be better than the best by more than the gap, or until the effort is spent.

        Args:
            effort: how far to go.
            tick: told the share of the effort spent, now and then; what it raises ends the search, and all that is
                known until then holds.
        """
        before, most = self.searches, effort.boxes * len(self.counts)
        self._run(effort.gap, most, tick)
        spent = self.searches - before
        if effort.gap and not self.queue and spent <= most / QUICK and self.boxes.whole is not None:
            self.proved, self.done = min(self.done, self.best), inf
            self._push(self.boxes.whole, 0.0, self._floors())  # what is known of layers held for the larger gap alone
            self._run(0.0, (QUICK - 1) * spent, tick)

    def _run(self, gap: float, most: int, tick: Callable[[float], None]) -> None:
        """Search with at most so many searches of layers, or a few more."""
        end = self.searches + most
        while self.queue and self.searches < end:
            share = 1 - (end - self.searches) / most
            tick(share)
            entry = heappop(self.queue)
            self.looking = entry[0]
            try:
                self._look(entry[2], self.best * (1 - gap), partial(tick, share))
            except BaseException:
                heappush(self.queue, entry)
                raise
            finally:
                self.looking = inf

    def _floors(self) -> dict[Problem, Hull]:
        floors = layer_floors(self.layers, self.space)
        pairs = zip(self.layers, floors, strict=True)
        return {layer.problem: Hull(np.array([one.energy]), np.array([one.cycles])) for layer, one in pairs}

    def _case(self, problem: Problem, machine: Architecture) -> Case:
        return Case(problem, machine, self.constraints, self.imperfect)

    def _push(self, box: Box, value: float, hulls: dict[Problem, Hull]) -> None:
        if self.objective is Objective.AREA:
            value = max(value, self.boxes.least_area(box))
        heappush(self.queue, (value, next(self.tickets), Node(box, value, hulls)))

    def _look(self, node: Node, target: float, tick: Callable[[], None]) -> None:
        """Be done with a box, or cut it in two."""
        if node.value >= target:
            self.done = min(self.done, node.value)
            return
        self.boxes_looked += 1
        trimmed = self._trimmed(node, target)
        if trimmed != node.box:
            self.done = min(self.done, target)
        if trimmed is None:
            return
        node = replace(node, box=trimmed)
        machine = self.boxes.optimistic(node.box)
        if node.box.is_point and not self._slower_is_better:
            self._settle(node, machine, target, tick)
            return
        if not self.known.complete or self._reached([machine], node)[0] >= target or node.box.is_point:
            node = self._bounded(node, machine, target, tick)
            if node.value >= target:
                self.done = min(self.done, target)  # what is worse was not looked for
                return
            if node.box.is_point:
                self.done = min(self.done, node.value)
                return
        self._cut(node, target)

    def _trimmed(self, node: Node, target: float) -> Box | None:
        """A box without ends of its grids where nothing is better than the target, by what is known of the layers."""
        if self.objective is Objective.AREA:
            area = min(self.budget.area_mm2 or inf, target)
            if area != self.boxes.area_mm2:
                self.boxes = replace(self.boxes, area_mm2=area)

        def is_open(part: Box) -> bool:
            box = self.boxes.trimmed(part)
            if box is None:
                return False
            hulls = self._on(self.boxes.optimistic(box), node.hulls)
            return max(node.value, self._value(box, hulls)) < target

        return self.boxes.trimmed(node.box, is_open)

    @property
    def _slower_is_better(self) -> bool:
        return self.objective is Objective.POWER or self.budget.power_w is not None

    # bounds

    def _total(self, hulls: dict[Problem, Hull], but: Layer | None = None) -> Hull:
        """What the network needs at least, or all of it but one layer."""
        counts = self.counts if but is None else self.counts | {but.problem: self.counts[but.problem] - but.count}
        some = [hulls[problem].times(n) for problem, n in counts.items() if n]
        return Hull.total(some) if some else Hull(np.zeros(1), np.zeros(1))

    def _value(self, box: Box, hulls: dict[Problem, Hull]) -> float:
        """What no machine of a box goes below where its layers need that much."""
        if any(hull.empty for hull in hulls.values()):
            return inf
        least = self.goal.least(self._total(hulls))
        return self.boxes.least_area(box) if self.objective is Objective.AREA and least < inf else least

    def _on(self, machine: Architecture, hulls: dict[Problem, Hull]) -> dict[Problem, Hull]:
        """What each layer needs on a machine by what is known, and by the work that no mapping avoids there."""
        pairs = zip(self.layers, layer_floors(self.layers, machine), strict=True)
        return {layer.problem: hulls[layer.problem].above(one.energy, one.cycles) for layer, one in pairs}

    def _useful(self, problem: Problem, hulls: dict[Problem, Hull], target: float) -> Useful:
        """The points of a layer that a network better than the target can have."""
        target = inf if self.objective is Objective.AREA else target
        uses = (
            Use(self._total(hulls, but=layer), layer.count, self.budget.layer_limit(layer.name) / self.cycle_s)
            for layer in self.layers
            if layer.problem == problem
        )
        return Useful(self.goal, target, hulls[problem], tuple(uses))

    def _bounded(self, node: Node, machine: Architecture, target: float, tick: Callable[[], None]) -> Node:
        """The box after layers were searched on its optimistic machine, until it is excluded or all are."""
        hulls = self._on(machine, node.hulls)
        value = max(node.value, self._value(node.box, hulls))
        for problem in self._by_rise(hulls, machine):
            if value >= target:
                break
            tick()
            search = begin_useful(self._case(problem, machine), self._useful(problem, hulls, target), self.labels)
            search.run((lambda: True) if node.box.is_point else so_often(BATCHES))
            self.searches += 1
            found = found_by(search)
            self.known.add(problem, found.front.mappings)
            open_ = found.open.numpy()
            hulls[problem] = Hull.of(
                np.concatenate([found.front.energy_pj.numpy(), open_[:, 0]]),
                np.concatenate([found.front.cycles.numpy(), open_[:, 1]]),
            )
            value = max(value, self._value(node.box, hulls))
        return Node(node.box, value, hulls)

    def _by_rise(self, hulls: dict[Problem, Hull], machine: Architecture) -> list[Problem]:
        """The layers whose least may be larger on a machine than is known, those that may rise most first."""
        total = self._total(hulls)
        rate = float(total.energy[0] / total.cycles[0])
        rises = {}
        for problem, hull in hulls.items():
            if not self.known.mappings[problem]:
                rises[problem] = inf
                continue
            found = self.known.priced(problem, [machine])
            energy, cycles = found.energy[0].numpy(), found.cycles[0].numpy()
            same = (energy[:, None] <= hull.energy * (1 + SAME)) & (cycles[:, None] <= hull.cycles * (1 + SAME))
            if same.any(0).all():
                continue
            least = float((hull.energy + rate * hull.cycles).min())
            rises[problem] = self.counts[problem] * (float((energy + rate * cycles).min()) - least)
        return sorted(rises, key=lambda problem: -rises[problem])

    def _settle(self, node: Node, machine: Architecture, target: float, tick: Callable[[], None]) -> None:
        """Find the optimum of one machine, where it is better than the target."""
        hulls, fronts = self._on(machine, node.hulls), dict[Problem, LayerFront]()
        if self._value(node.box, hulls) >= target:
            self.done = min(self.done, target)
            return
        for problem in self.counts:
            tick()
            search = begin_useful(self._case(problem, machine), self._useful(problem, hulls, target), self.labels)
            search.run()
            self.searches += 1
            if not len(search.front.cycles):
                self.done = min(self.done, target)
                return
            fronts[problem] = found_by(search).front
            self.known.add(problem, fronts[problem].mappings)
            hulls[problem] = Hull.of(search.front.energy, search.front.cycles)
        best = best_points(self.layers, fronts, machine, self.objective, self.budget)
        if best is None:
            value = inf
        elif self.objective is Objective.AREA:
            value = machine.area_mm2
        else:
            value = least_of(self.objective, best.energy_pj, best.cycles)
        self.done = min(self.done, max(value, node.value) if value < target else target)
        self._improve(node.box, value)

    def _improve(self, box: Box, value: float) -> None:
        if value < self.best:
            self.best, self.index = value, box.low

    # cuts

    def _reached(self, machines: Sequence[Architecture], node: Node) -> list[float]:
        """What known mappings reach on machines within the limits on totals; 0 for an area within these."""
        total = self._total(node.hulls)
        energy, cycles = self.known.totals(machines, float(total.energy[0] / total.cycles[0]))
        limits = self.goal.limits
        keeps = (energy <= limits.energy_pj) & (cycles <= limits.cycles) & (energy < inf)
        if self.objective is Objective.AREA:
            values = torch.zeros_like(energy)
        elif self.objective is Objective.POWER:
            values = energy / limits.cycles
        else:
            values = self.objective.product(energy, cycles, 0 * energy)
        return torch.where(keeps, values, inf).min(-1).values.tolist()

    def _cut(self, node: Node, target: float) -> None:
        """Cut a box where the halves are worth most, and queue them."""
        choices = [tuple(map(self.boxes.trimmed, node.box.halves(p, at))) for p, at in node.box.cuts()]
        halves = list({box: None for both in choices for box in both if box is not None})
        reached = self._reached([self.boxes.optimistic(box) for box in halves], node)
        known = dict(zip(halves, reached, strict=True))
        if self.objective is Objective.AREA:
            known = {box: max(value, self.boxes.least_area(box)) for box, value in known.items()}

        def merit(both: tuple[Box | None, ...]) -> tuple[float, int]:
            most = ENOUGH * (target if target < inf else max(min(known.values()), node.value, 1.0))
            values = [most if box is None else min(max(known[box], node.value), most) for box in both]
            rises = [value / node.value - 1 if node.value > 0 else value / most for value in values]
            sizes = [0 if box is None else box.size for box in both]
            return (rises[0] + RISE) * (rises[1] + RISE), -max(sizes)

        for half in max(choices, key=merit):
            if half is not None:
                self._push(half, node.value, node.hulls)
