"""What no fused design on any machine of a space goes below, by boxes of machines.

The boxes of one search cover the space. Each has a bound, the least objective of what fused designs need on its most
optimistic machine (`dlco.fusion.ways`). The box of the least bound is cut in two, again and again: it says what no
design goes below. A small one is looked at closely before: its most optimistic machine is given the exact fronts of
steps by themselves, and ranges of tilings. A single machine whose bound is the least of all is searched for plans, then
looked at more and more closely.
"""

import pickle
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from heapq import heapify, heappop, heappush, heapreplace, nsmallest
from itertools import count
from math import inf

import joblib
import torch

from dlco.bound.compulsory import layer_floors, network_floor
from dlco.bound.region import TotalLimits
from dlco.design.budget import Budget
from dlco.design.objective import Objective
from dlco.exact.layer_front import least_of
from dlco.exact.sums import Goal
from dlco.fusion.retained import Fronts
from dlco.fusion.tensors import shared_memories
from dlco.fusion.ways import Known, begun, raised
from dlco.hardware.architecture import Architecture
from dlco.hardware.box import Box, Boxes
from dlco.hardware.constraints import Constraints
from dlco.hardware.space import HardwareSpace
from dlco.tasks import run_tasks
from dlco.workload.graph import Network

AT_ONCE = 4  # boxes of the least bounds that are gone into side by side
CLOSE, COST = 256, 5  # machines of a box that is looked at closely, at most; boxes bounded for the cost of that
SPLITS, DEEPER, DEPTHS = 200, 4, 5  # of ranges of tilings then; of single machines so often more, and so many times
RISE = 1e-4  # relative: what a half is worth at least whose bound does not seem to rise

Index = tuple[int, ...]
"""A machine by its positions of the grids."""


Stored = Known | bytes
"""What is known of a box, as it came: pickled from another process, which is asked again."""


@dataclass(frozen=True, eq=False)
class Look:
    """What is to be found out about a box.

    Attributes:
        box: of machines; `machine`: the most optimistic one.
        memories: where results may stay on any of them.
        known: of it, or of a box that it is part of; None where nothing is.
        fronts: of the machine, where some are known.
        splits: of ranges of tilings at most; `search`: whether for fronts of steps by themselves.
    """

    box: Box
    machine: Architecture
    memories: tuple[str, ...]
    known: Stored | None
    fronts: Fronts | None = None
    splits: int = 0
    search: bool = False


@dataclass(frozen=True, eq=False)
class Task:
    """What looks at boxes have in common; attributes as of `FusedMachines` and its `run`."""

    network: Network
    goal: Goal
    constraints: Constraints | None
    batches: int | None
    best: float

    def found(self, look: Look, tick: Callable[[], None] = lambda: None) -> tuple[float, Known, Fronts]:
        """What no design on a box goes below, what is known of it, and the fronts."""
        fronts = look.fronts or Fronts(look.machine, self.constraints, self.batches)
        known: Known | None = pickle.loads(look.known) if isinstance(look.known, bytes) else look.known
        found = (
            begun(self.network, self.goal, fronts, look.memories)
            if known is None
            else raised(known, self.goal, fronts, self.best, look.splits, search=look.search, tick=tick)
        )
        return found.lower, found, fronts

    def packed(self, look: Look) -> tuple[float, Stored, Fronts]:
        """The same in another process, of which this one need not read what is known."""
        lower, known, fronts = self.found(look)
        return lower, pickle.dumps(known), fronts


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
        boxes: of the space.
        known: of every box that is left.
        settled: fronts of single machines, and what is proved of each.
        looked: boxes bounded so far; `spent`: the same with what close looks cost.
        closely: how often a box was looked at closely; `visited`: machines that were searched for plans.
        done: what no machine goes below of those that are not looked at any more.
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
        self.known: dict[Box, Stored] = {}
        self.settled: dict[Index, tuple[Fronts, float]] = {}
        self.closely: dict[Box, int] = {}
        self.visited: set[Box] = set()
        self.tickets, self.looked, self.spent, self.done = count(), 0, 0, inf
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
        self.settled[index] = fronts, lower

    def run(
        self,
        best: float,
        boxes: int,
        tick: Callable[[float], None] = lambda share: None,
        visit: Callable[[Index], float] = lambda index: inf,
    ) -> None:
        """Raise the bound, until it is the best known objective or so many boxes more were bounded.

        Several boxes at a time are gone into through joblib: always the same ones, wherever that runs.

        Args:
            best: as `Objective.product`, of a design within the budget; infinite where none is known. What is no
                better is left out for good.
            boxes: how many to bound at most, or a few more.
            tick: told the share done; what it raises ends the search, and the bound holds.
            visit: told the machine whose bound is the least of all, by its positions of the grids: what the best design
                found on it takes.
        """
        begin = self.spent
        while self.queue and self.spent - begin < boxes and self.lower < min(best, self.done):
            share = (self.spent - begin) / boxes
            tick(share)
            value, _, box = self.queue[0]
            if self._is_spent(box):
                heappop(self.queue)
                self.done = min(self.done, value)
            elif self._is_unvisited(box):
                best = min(best, visit(box.low))
                self.visited.add(box)
                heapreplace(self.queue, (max(value, self._proved(box)), next(self.tickets), box))
            else:
                self._go_into(best, partial(tick, share))

    def _go_into(self, best: float, tick: Callable[[], None]) -> None:
        """Go into the boxes of the least bounds, but single machines whose turn has not come."""
        some = [one for one in nsmallest(AT_ONCE, self.queue) if not self._waits(one[-1])]
        looks = [(value, look) for value, _, box in some for look in self._looks(box)]
        found = self._found([look for _, look in looks], best, tick)
        gone = {ticket for _, ticket, _ in some}  # the boxes are replaced once all is known of their halves
        self.queue = [one for one in self.queue if one[1] not in gone]
        heapify(self.queue)
        for _, _, box in some:
            self.known.pop(box, None)
        for (value, look), (lower, known, fronts) in zip(looks, found, strict=True):
            box = look.box
            self.looked += 1
            self.spent += 1
            if look.search:
                looked = self.closely[box] = self.closely.get(box, 0) + 1
                self.spent += COST * DEEPER ** (looked - 1) - 1
            if box.is_point:  # a machine whose fronts may be asked for again
                self.settled[box.low] = fronts, self._proved(box)
            self.known[box] = known
            heappush(self.queue, (max(value, lower, self._proved(box)), next(self.tickets), box))

    def _looks(self, box: Box) -> list[Look]:
        """What to find out about a box: more of it, or of its halves."""
        known, looked = self.known.get(box), self.closely.get(box, 0)
        if known is None:
            return [Look(box, self.boxes.optimistic(box), self._memories(box), None)]
        if box.size > CLOSE or (looked and not box.is_point):
            return [self._narrowed(half, box, known) for half in self._halves(box)]
        fronts, _ = self.settled.get(box.low, (None, 0.0)) if box.is_point else (None, 0.0)
        machine, splits = self.boxes.optimistic(box), SPLITS * DEEPER**looked
        return [Look(box, machine, self._memories(box), known, fronts, splits, search=True)]

    def _narrowed(self, half: Box, box: Box, known: Stored) -> Look:
        """A first look at a part of a box."""
        memories = self._memories(half)
        is_same = memories == self._memories(box)
        return Look(half, self.boxes.optimistic(half), memories, known if is_same else None)

    def _found(
        self, looks: Sequence[Look], best: float, tick: Callable[[], None]
    ) -> list[tuple[float, Stored, Fronts]]:
        """What is found out, as many at once as there are workers."""
        task = Task(self.network, self.goal, self.constraints, self.batches, best)
        workers = max(1, joblib.effective_n_jobs(None))
        if workers == 1:
            return [task.found(look, tick) for look in looks]
        found = list[tuple[float, Stored, Fronts]]()
        for first in range(0, len(looks), workers):
            tick()
            found += run_tasks(task.packed, [(look,) for look in looks[first : first + workers]])
        return found

    def _proved(self, box: Box) -> float:
        """What is proved of the machine of a box by itself."""
        return self.settled[box.low][1] if box.is_point and box.low in self.settled else 0.0

    def _is_unvisited(self, box: Box) -> bool:
        return box.is_point and box in self.closely and box not in self.visited

    def _is_spent(self, box: Box) -> bool:
        return box.is_point and self.closely.get(box, 0) >= DEPTHS

    def _waits(self, box: Box) -> bool:
        return self._is_unvisited(box) or self._is_spent(box)

    def _memories(self, box: Box) -> tuple[str, ...]:
        """Where results may stay on any machine of a box: there is one of each where fan-outs are least."""
        free = (
            self.space
            if not self.space.limits
            else HardwareSpace(self.space.base, self.space.parameters, self.space.technology, self.space.curves)
        )
        return shared_memories(free.architecture_at(torch.tensor(box.low, dtype=torch.long)))

    def _halves(self, box: Box) -> list[Box]:
        """The halves of a box, cut where the compulsory work of both seems to rise most."""
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

        return max(ways, key=merit)

    def _apart(self, machine: Architecture) -> float:
        """The compulsory work of the layers by themselves, which says where to cut."""
        return least_of(self.goal.objective, *network_floor(self.network, layer_floors(self.network, machine)))
