"""What no fused design on any machine of a space goes below, by boxes of machines.

The boxes of one search cover the space. Each has a bound, the least objective of what fused designs need on its most
optimistic machine (`dlco.fusion.floor`). The box of the least bound is cut in two, again and again: it says what no
design goes below. A small one is looked at closely before: its most optimistic machine is given the exact fronts of
steps by themselves, and ranges of tilings. A single machine whose bound is the least of all is searched for plans, then
looked at more and more closely.
"""

from collections.abc import Callable
from functools import partial
from heapq import heappop, heappush, heapreplace
from itertools import count
from math import inf

import torch

from dlco.bound.compulsory import layer_floors, network_floor
from dlco.bound.region import TotalLimits
from dlco.design.budget import Budget
from dlco.design.objective import Objective
from dlco.exact.layer_front import least_of
from dlco.exact.optimal import NoMapping
from dlco.exact.sums import Goal
from dlco.fusion.chains import Uncut
from dlco.fusion.floor import FusedFloor
from dlco.fusion.plan import best_plan
from dlco.fusion.ranges import Ranged
from dlco.fusion.retained import Fronts
from dlco.fusion.tensors import shared_memories
from dlco.hardware.architecture import Architecture
from dlco.hardware.box import Box, Boxes
from dlco.hardware.constraints import Constraints
from dlco.hardware.space import HardwareSpace
from dlco.workload.graph import Network

CLOSE, COST = 256, 5  # machines of a box that is looked at closely, at most; boxes bounded for the cost of that
SPLITS, DEEPER, DEPTHS = 50, 4, 4  # of ranges of tilings then; of single machines so often more, and so many times
RISE = 1e-4  # relative: what a half is worth at least whose bound does not seem to rise

Index = tuple[int, ...]
"""A machine by its positions of the grids."""


class FusedMachines:
    """The boxes of a space's machines, and what no fused design on them goes below.

    Args:
        network: with its graph.
        space: the machines.
        objective: latency, energy or EDP.
        budget: limits; none on single layers.
        constraints: on mappings, beside the machines'.
        batches: of the search of a front at most, as of `Fronts`.

    Attributes:
        goal: what is asked of the network's totals.
        boxes: of the space; `floor`: what designs need on one.
        known: fronts of single machines, and what is proved of each.
        looked: boxes bounded so far; `closely`: those of them that were looked at closely, which cost `extra` more.
        leaves: by box what its chains are split into, there or in one that it is part of.
        depth: how often single machines were looked at more closely.
        done: what no machine goes below of those that cannot be cut any further.
    """

    def __init__(
        self,
        network: Network,
        space: HardwareSpace,
        objective: Objective,
        budget: Budget,
        constraints: Constraints | None = None,
        batches: int | None = None,
    ) -> None:
        self.network, self.space, self.constraints, self.batches = network, space, constraints, batches
        self.goal = Goal(objective, TotalLimits.of(budget, space.base.cycle_s))
        self.boxes = Boxes(space, budget.area_mm2 or inf, budget.pe_count or inf)
        self.floor = FusedFloor(network, constraints)
        self.known: dict[Index, tuple[Fronts, float]] = {}
        self.tickets, self.looked, self.done = count(), 0, inf
        self.closely: set[Box] = set()
        self.leaves: dict[Box, tuple[Uncut | Ranged, ...]] = {}
        self.depth: dict[Box, int] = {}
        self.extra = 0
        self.queue: list[tuple[float, int, Box]] = []
        if self.boxes.whole is not None:
            self.queue.append((0.0, next(self.tickets), self.boxes.whole))

    @property
    def lower(self) -> float:
        """What no design within the budget goes below, as `Objective.product`; infinite where there is none.

        Where it is more than the best that `run` was told of, no design is better than that.
        """
        return min(self.done, self.queue[0][0] if self.queue else inf)

    def settle(self, index: Index, fronts: Fronts, lower: float) -> None:
        """Know of one machine, at these positions of the grids, fronts and what no design on it goes below."""
        self.known[index] = fronts, lower

    def run(
        self,
        best: float,
        boxes: int,
        tick: Callable[[float], None] = lambda share: None,
        visit: Callable[[Index], float] = lambda index: inf,
    ) -> None:
        """Raise the bound, until it is the best known objective or so many boxes more were bounded.

        Args:
            best: as `Objective.product`, of a design within the budget; infinite where none is known.
            boxes: how many to bound at most, or a few more.
            tick: told the share done; what it raises ends the search, and the bound holds.
            visit: told the machine whose bound is the least of all, by its positions of the grids: what the best design
                found on it takes.
        """
        begin = self._spent
        while self.queue and self._spent - begin < boxes and self.lower < min(best, self.done):
            share = (self._spent - begin) / boxes
            tick(share)
            value, _, box = self.queue[0]
            if box.size <= CLOSE and box not in self.closely:
                self.closely.add(box)
                close = max(value or self._value(box), self._closely(box, best, 0, partial(tick, share)))
                heapreplace(self.queue, (close, next(self.tickets), box))
                continue
            if box.is_point and box not in self.depth:
                self.depth[box] = 0
                best = min(best, visit(box.low))
                _, proved = self.known.get(box.low, (None, 0.0))
                heapreplace(self.queue, (max(value, proved), next(self.tickets), box))
                continue
            if box.is_point and self.depth[box] < DEPTHS:
                self.depth[box] += 1
                close = max(value, self._closely(box, best, self.depth[box], partial(tick, share)))
                heapreplace(self.queue, (close, next(self.tickets), box))
                continue
            if box.is_point:
                heappop(self.queue)
                self.done = min(self.done, value)
                continue
            halves = self._halves(box, value)  # the box is replaced once its halves are known
            heappop(self.queue)
            leaves = self.leaves.pop(box, None)
            for half, bound in halves:
                if leaves is not None and self._memories(half) == self._memories(box):
                    self.leaves[half] = leaves
                heappush(self.queue, (bound, next(self.tickets), half))

    @property
    def _spent(self) -> int:
        return self.looked + self.extra

    def _closely(self, box: Box, best: float, depth: int, tick: Callable[[], None]) -> float:
        """The same as `_value`, looked at closely; 0 where nothing is found within the limits."""
        machine, memories = self.boxes.optimistic(box), self._memories(box)
        fronts, proved = Fronts(machine, self.constraints, self.batches), 0.0
        if box.is_point:  # one whose fronts may be asked for again
            fronts, proved = self.known.setdefault(box.low, (fronts, proved))
        if box not in self.leaves:
            self.leaves[box] = tuple(self.floor.uncut(machine, memories))
        try:
            plan = best_plan(
                self.network,
                machine,
                self.goal.objective,
                self.goal.limits,
                self.constraints,
                fronts=fronts,
                memories=memories,
                beyond=self.leaves[box],
                searches=0,
                splits=SPLITS * DEEPER**depth,
                known=best,
                report=lambda share: tick(),
            )
            lower = max(plan.lower if plan else 0.0, proved)
            self.leaves[box] = plan.leaves if plan else self.leaves[box]
        except NoMapping:  # nor does anything fit its machines
            lower = inf
        self.looked, self.extra = self.looked + 1, self.extra + COST * DEEPER**depth - 1
        return lower

    def _value(self, box: Box) -> float:
        """What no design on a box's machines goes below; infinite where none keeps the limits."""
        self.looked += 1
        hull = self.floor.hull(self.boxes.optimistic(box), self._memories(box))
        return inf if hull is None else self.goal.least(hull)

    def _memories(self, box: Box) -> tuple[str, ...]:
        """Where results may stay on any machine of a box: there is one of each where fan-outs are least."""
        free = (
            self.space
            if not self.space.limits
            else HardwareSpace(self.space.base, self.space.parameters, self.space.technology, self.space.curves)
        )
        return shared_memories(free.architecture_at(torch.tensor(box.low, dtype=torch.long)))

    def _halves(self, box: Box, value: float) -> list[tuple[Box, float]]:
        """The halves of a box and their bounds, cut where the compulsory work of both seems to rise most."""
        middles = [(p, (low + high) // 2) for p, (low, high) in enumerate(zip(box.low, box.high, strict=True))]
        ways = [
            [half for half in map(self.boxes.trimmed, box.halves(p, at)) if half is not None]
            for p, at in middles
            if box.low[p] < box.high[p]
        ]
        whole = self._apart(self.boxes.optimistic(box))

        def merit(halves: list[Box]) -> float:
            rises = [self._apart(self.boxes.optimistic(half)) / whole - 1 for half in halves]
            found = (rises[0] + RISE) * (rises[-1] + RISE) if rises else inf
            return found if len(rises) == 2 else found + 1.0  # a half without machines is worth most

        best = max(ways, key=merit)
        return [(half, max(value, self._value(half))) for half in best]

    def _apart(self, machine: Architecture) -> float:
        """The compulsory work of the layers by themselves, which says where to cut."""
        return least_of(self.goal.objective, *network_floor(self.network, layer_floors(self.network, machine)))
