"""Which machine, where results stay on the chip: searched near the best machine of layers by themselves.

Of the machines next to the best one those are glanced at that promise most by what is known of the best one
(`dlco.fusion.outlook`): the exact fronts of their steps by themselves then tell more. What seems better than the best
is searched; what is better becomes the best. That is searched in full at last, and so is one next to it. Then all
machines of the space are bounded by boxes, and those of the least bound searched in full too.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import inf

import torch

from dlco.design.solution import Solution
from dlco.errors import NotSupported
from dlco.exact.layer_front import least_of
from dlco.fusion.floor import Floors
from dlco.fusion.machines import FusedMachines, Index
from dlco.fusion.outlook import Outlook, Ratios, ratios_of
from dlco.hardware.architecture import Architecture
from dlco.optimize.effort import SolveEffort
from dlco.optimize.fused_plan import PlanSearch, unit_of
from dlco.optimize.request import Request
from dlco.optimize.state import State
from dlco.workload.graph import Network

log = logging.getLogger("dlco")

GLANCES = 3  # machines whose steps are searched for each that is stepped to
PASSED = 5  # on machines on the way a share of the fronts of tiles is searched for
MARGIN = 1.02  # what seems worse than the best by less may be better
BOXES = 7  # boxes bounded for each that the effort names: a bound of these takes no search


@dataclass(frozen=True, eq=False)
class Glance:
    """A machine, and what it promises.

    Attributes:
        search: of its plans, which has not run; `ratios`: of its steps; `value`: about the least objective.
    """

    search: PlanSearch
    ratios: Ratios
    value: float


class MachineChoice:
    """The search for a machine; `run` it, then `bound` it.

    Attributes:
        best: of the best machine so far; None before the first.
        machines: the boxes of the space, and what is proved of them.
        searched: machines that were searched in full; `evaluated`: mappings evaluated for it.
    """

    def __init__(self, network: Network, request: Request, effort: SolveEffort, state: State) -> None:
        self.network, self.request, self.effort, self.state = network, request, effort, state
        self.space, self.objective = request.hardware, request.objective
        self.machines = FusedMachines(
            network, self.space, self.objective, request.budget, request.constraints, effort.batches
        )
        self.outlook = Outlook(network, self.machines.goal, request.constraints)
        self.glances: dict[Index, Glance | None] = {}
        self.best: PlanSearch | None = None
        self.index: Index = ()
        self.searched: set[Index] = set()

    def run(self, apart: Solution) -> None:
        """Search from the best machine of layers by themselves, for as many machines as the effort names."""
        sizes = torch.tensor([p.of(apart.architecture) for p in self.space.parameters], dtype=torch.float64)
        starts = [self.space.nearest(sizes), self.space.brought_within(self.space.nearest(self.space.base_sizes))]
        own, base = (tuple(index.tolist()) for index in starts)
        begin, end = self.state.part
        step = (end - begin) / (self.effort.machines + 3)
        self.state.part = begin, begin + step
        glance = self._glance(own)
        if glance is None:
            raise NotSupported(f"no layer-by-layer front of {apart.architecture.name!r} was found")
        some = self.effort.tiles // PASSED
        self._search(own, glance, some)
        also: list[Index] = [base] if base != own and self._keeps(self.machine_at(base)) else []
        for number in range(1, self.effort.machines + 1):
            self.state.part = begin + number * step, begin + (number + 1) * step
            index = self._promising(also if number == 1 else ())
            if index is None:
                break
            found = self.glances[index]
            assert found is not None
            self._search(index, found, some)
        self.state.part = end - 2 * step, end - step
        best = self.glances[self.index]
        assert best is not None
        self._search(self.index, best, self.effort.tiles)
        self.state.part = end - step, end
        index = self._promising(())
        if index is not None and (found := self.glances[index]):
            self._search(index, found, self.effort.tiles)

    def bound(self) -> None:
        """Prove what no design on any machine goes below, as far as the effort goes."""
        visits, part, done = max(1, self.effort.machines // 2), self.state.part, 0.0

        def tick(share: float) -> None:
            nonlocal done
            done = max(done, share)
            self.state.report("bound", done)
            if self.lower is not None:
                self.state.prove(self.lower)

        def visit(index: Index) -> float:
            nonlocal visits
            if visits:
                visits -= 1
                now = part[0] + done * (part[1] - part[0])
                self.state.part = now, now  # of which nothing is known
                if glance := self._glance(index):
                    self._search(index, glance, self.effort.tiles, self.effort.splits)
                self.state.part = part
            return self._least

        try:
            self.machines.run(self._least, BOXES * self.effort.boxes.boxes, tick, visit)
        except NotSupported as error:
            log.info("machines are bounded no further: %s", error)

    @property
    def lower(self) -> float | None:
        """What no design on any machine goes below, in the unit of `NetworkCost`; None where nothing is known."""
        least = min(self.machines.lower, self._least)
        return least * unit_of(self.request) if 0 < least < inf else None

    @property
    def proof(self) -> str:
        """What the bound rests on, in words."""
        return (
            f"the bound holds for all tilings of chains on all {self.space.size:,} machines, "
            f"{self.machines.looked:,} boxes of which were bounded, {len(self.machines.closely):,} of these with exact "
            f"fronts; {len(self.searched):,} machines were searched for plans"
        )

    def machine_at(self, index: Index) -> Architecture:
        """The machine at positions of the grids."""
        return self.space.architecture_at(torch.tensor(index, dtype=torch.long))

    def _promising(self, also: Sequence[Index]) -> Index | None:
        """The machine that promises most of those glanced at, some next to the best among them; None without hope."""
        assert self.best is not None
        glance = self.glances[self.index]
        assert glance is not None
        known = self._value(self.best)
        scale = known / glance.value if self.best.is_within and 0 < glance.value < inf else 1.0
        for _ in range(max(1, self.effort.steps // self.effort.machines)):
            fresh = []
            for index in (*also, *self._neighbours()):
                if index not in self.glances:
                    self.state.report("search", 0.0)
                    fresh.append((self.outlook.value(self.machine_at(index), glance.ratios), index))
            for _, index in sorted(fresh)[:GLANCES]:
                self._glance(index)
            glanced = ((index, one) for index, one in self.glances.items() if index not in self.searched)
            open_ = [(one.value, index) for index, one in glanced if one is not None]
            if open_:
                value, index = min(open_)
                if not self.best.is_within or value * scale < known * MARGIN:
                    return index
            if len(fresh) <= GLANCES:
                return None
        return None

    def _glance(self, index: Index) -> Glance | None:
        """The fronts of a machine's steps by themselves, and what it promises then; None where something has none."""
        if index not in self.glances:
            self.state.report("search", 0.0)
            machine = self.machine_at(index)
            search = PlanSearch(self.network, machine, self.request, self.effort, self.state)
            try:
                ratios = ratios_of(self.network, search.fronts, Floors(machine))
            except NotSupported:
                ratios = None
            found = None if ratios is None else Glance(search, ratios, self.outlook.value(machine, ratios))
            self.glances[index] = found
        return self.glances[index]

    def _search(self, index: Index, glance: Glance, tiles: int, splits: int = 0) -> None:
        """Search a machine for plans, and take it where it is better than the best."""
        search = glance.search
        search.candidates = self.outlook.candidates(search.machine)
        self.searched.add(index)
        try:
            search.run(tiles, splits)
        except NotSupported:
            if self.best is None:
                raise
            log.info("a machine is left out: its plans are not covered")
        finally:
            if search.plan is not None and (self.best is None or self._rank(search) < self._rank(self.best)):
                self.best, self.index = search, index
        if search.plan is not None:
            self.machines.settle(index, search.fronts, search.plan.lower)

    @property
    def evaluated(self) -> int:
        """Mappings evaluated on the machines that were searched, each once however often these were."""
        found = (self.glances[index] for index in self.searched)
        return sum(glance.search.fronts.evaluated for glance in found if glance)

    @property
    def _least(self) -> float:
        """Of the best design so far, as `Objective.product`; infinite where none is within the limits."""
        return self._value(self.best) if self.best and self.best.is_within else inf

    def _value(self, search: PlanSearch) -> float:
        assert search.plan is not None
        return least_of(self.objective, search.plan.energy_pj, search.plan.cycles)

    def _rank(self, search: PlanSearch) -> tuple[float, float]:
        """By how much the limits on totals are exceeded, if at all; then the objective."""
        assert search.plan is not None
        limits, energy, cycles = self.machines.goal.limits, search.plan.energy_pj, search.plan.cycles
        excess = max(energy / limits.energy_pj, cycles / limits.cycles, energy / cycles / limits.power)
        return (0.0 if search.is_within else excess), self._value(search)

    def _neighbours(self) -> Iterator[Index]:
        """Machines one step from the best; where a step leads out of the budget, with a step down elsewhere."""
        here = torch.tensor(self.index, dtype=torch.long)
        for moved in self.space.neighbours(here):
            index = tuple(moved.tolist())
            if self._keeps(self.machine_at(index)):
                yield index
                continue
            for again in self.space.neighbours(moved):
                if again.sum() < moved.sum() and not torch.equal(again, here):
                    other = tuple(again.tolist())
                    if self._keeps(self.machine_at(other)):
                        yield other

    def _keeps(self, machine: Architecture) -> bool:
        return not any(use.broken for use in self.request.budget.machine_uses(machine))
