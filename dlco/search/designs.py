"""Machines and mappings together: local search over mappings for many machines at once, and steps of the hardware.

A design is one machine with one mapping for every layer. `fit` searches the mappings of several machines side by
side, from given starts, at several prices of time, and chooses for each machine the mappings that serve the network
best; `descend` steps through the grid of sizes, all layers fitted anew at every step.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from dlco.hardware.architecture import Machine
from dlco.hardware.space import HardwareSpace
from dlco.journal import Journal, check_table, recorded
from dlco.search.group import Group
from dlco.search.items import Items, Pairs
from dlco.search.local_search import Effort, local_search
from dlco.search.score import HAIR, Score, choose, rate_of, taken
from dlco.search.steps import longest_reach, steps
from dlco.search.table import UNFIT, MappingTable
from dlco.search.unit_moves import UnitMoves
from dlco.tasks import derive_seed, run_tasks

PLACES = 16  # of many machines, those that are searched for longer
KEPT = 12  # mappings of each layer that a design hands on
SLICE = {"cpu": 16_384, "cuda": 1_048_576}  # mappings evaluated at once: on a CPU their rows stay near the caches


@dataclass(frozen=True)
class Starts:
    """Mappings to start from, for every layer of every group.

    Attributes:
        assignment: for each group `[layers, n, units]`; `position`: `[layers, n, levels, dims]`.
        rate: pJ a cycle of the design they came from, the unit of prices; above 0.
    """

    assignment: list[torch.Tensor]
    position: list[torch.Tensor]
    rate: float = 1.0

    @staticmethod
    def join(parts: Sequence["Starts"]) -> "Starts":
        """All mappings of several, at the first's rate."""
        return Starts(
            [torch.cat(tables, 1) for tables in zip(*(p.assignment for p in parts), strict=True)],
            [torch.cat(tables, 1) for tables in zip(*(p.position for p in parts), strict=True)],
            parts[0].rate,
        )

    @staticmethod
    def from_plain(data: dict[str, Any], groups: Sequence[Group]) -> "Starts":
        """The inverse of `vars`; `ValueError` where it holds no mappings of these groups' layers."""
        starts = Starts(list(data["assignment"]), list(data["position"]), float(data["rate"]))
        for group, units, places in zip(groups, starts.assignment, starts.position, strict=True):
            layers, most = group.primes.shape
            check_table("assignment", units, (layers, None, most), len(group.space.slots))
            check_table("position", places, (layers, units.shape[1], group.levels, group.dims), group.dims)
        return starts


@dataclass(frozen=True)
class Design:
    """One machine with its mappings.

    Attributes:
        index: `[parameters]` grid indices of its sizes.
        score: as `Score` ranks it.
        chosen: the mappings (one a layer).
        starts: all mappings that the search ended with, the chosen first.
        energy_pj, cycles, area_mm2: the network's totals.
    """

    index: torch.Tensor
    score: float
    chosen: Starts
    starts: Starts
    energy_pj: float
    cycles: float
    area_mm2: float

    def to_plain(self) -> dict[str, Any]:
        """Dictionaries, lists, tensors and numbers, for a `Journal`."""
        return vars(self) | {"chosen": dict(vars(self.chosen)), "starts": dict(vars(self.starts))}

    @staticmethod
    def from_plain(data: dict[str, Any], groups: Sequence[Group], space: HardwareSpace) -> "Design":
        """The inverse of `to_plain`; `ValueError` where it is no design of these layers on a machine of this space."""
        chosen, starts = (Starts.from_plain(data[name], groups) for name in ("chosen", "starts"))
        energy, cycles, area = (float(data[name]) for name in ("energy_pj", "cycles", "area_mm2"))
        index = data["index"]
        check_table("index", index, (len(space.parameters),))
        if not all(0 <= i < len(p.grid) for i, p in zip(index.tolist(), space.parameters, strict=True)):
            raise ValueError("index lies outside the grid")
        return Design(index, float(data["score"]), chosen, starts, energy, cycles, area)


@dataclass(frozen=True)
class Candidates:
    """All mappings that a search of several machines ended with.

    Attributes:
        indices: `[designs, parameters]` grid indices.
        tables: for each group its mappings, of shape `[designs, layers, candidates]`.
        energy_pj, cycles, fits: `[designs, layers, candidates]`, layers of all groups one after the other; of one
            execution, and whether the mapping may be chosen.
        counts: `[layers]` executions.
        area_mm2: `[designs]`; `broken`: logs by which a machine and its deadlines break their limits, added up.
    """

    indices: torch.Tensor
    tables: list[MappingTable]
    energy_pj: torch.Tensor
    cycles: torch.Tensor
    fits: torch.Tensor
    counts: torch.Tensor
    area_mm2: torch.Tensor
    broken: torch.Tensor

    def starts(self, design: int, picked: torch.Tensor, rate: float) -> Starts:
        """The mappings `picked` `[layers, n]` of one design, at a rate, pJ a cycle."""
        parts = picked.split([table.merit.shape[1] for table in self.tables])
        rows = [(torch.arange(len(part), device=part.device)[:, None], part) for part in parts]
        both = list(zip(self.tables, rows, strict=True))
        return Starts(
            [table.coding[design][row] for table, row in both],
            [table.position[design][row] for table, row in both],
            rate,
        )


class DesignSearch:
    """What a search works on: the network, the hardware, what counts, and how much has been done.

    Attributes:
        groups: the layers; `counts`: executions, for each group `[layers]`.
        evaluations: mappings evaluated so far.
        on_design: called with every design as soon as it is fitted.
        journal: where finished searches are recorded, and found again by a run that is resumed.
        on_candidates: called with all that a search ended with, unless the journal has it.
    """

    def __init__(
        self,
        groups: Sequence[Group],
        hardware: HardwareSpace,
        score: Score,
        seed: int,
        on_design: Callable[[Design], None] = lambda design: None,
        journal: Journal | None = None,
        on_candidates: Callable[[Candidates], None] = lambda candidates: None,
    ) -> None:
        self.groups, self.hardware, self.score, self.seed = groups, hardware, score, seed
        self.device = groups[0].primes.device
        self.counts = [group.counts for group in groups]
        self.deadlines = [score.deadlines(group.layers).to(self.device) for group in groups]
        self.on_design, self.journal, self.on_candidates = on_design, journal, on_candidates
        self.evaluations = 0
        self.searches = 0  # so far: each has its own seed, and its own name in the journal

    def machines(self, indices: torch.Tensor) -> Machine:
        """Machines of batch shape `[...]` at grid indices `[..., parameters]`."""
        return self.hardware.machines_at(indices.to(self.device))

    def fit(
        self, indices: torch.Tensor, starts: Sequence[Starts], effort: Effort, n: int | None = None
    ) -> list[Design]:
        """The best mappings found for each machine, searched for from its own starts.

        Args:
            indices: `[designs, parameters]` grid indices.
            starts: for each design.
            effort: how long to search.
            n: return the best so many of the designs, the best first; by default all, in their order.
        """
        self.searches += 1

        def search() -> dict[str, Any]:
            results, evaluated = self._fit(indices, starts, effort)
            if n is not None:
                results = sorted(results, key=lambda design: design.score)[:n]
            return {"designs": [design.to_plain() for design in results], "evaluations": evaluated}

        results, evaluated = recorded(self.journal, f"search {self.searches}", search, self._read)
        self.evaluations += evaluated
        for design in results:
            self.on_design(design)
        return results

    def _read(self, plain: dict[str, Any]) -> tuple[list[Design], int]:
        """(designs, mappings evaluated) of a search that a journal has."""
        designs = [Design.from_plain(one, self.groups, self.hardware) for one in plain["designs"]]
        if not designs:
            raise ValueError("it has no design")
        return designs, int(plain["evaluations"])

    def _fit(self, indices: torch.Tensor, starts: Sequence[Starts], effort: Effort) -> tuple[list[Design], int]:
        machines = self.machines(indices)
        area, counts = machines.area_mm2, torch.cat(self.counts)
        tables, evaluated = self._searched(machines, starts, effort)
        energy, cycles, merit = (
            torch.cat([getattr(table, name) for table in tables], 1) for name in ("energy_pj", "cycles", "merit")
        )
        fits = merit < UNFIT
        late = (cycles / torch.cat(self.deadlines)[:, None]).log().clamp(min=0)
        least_late = torch.where(fits, late, torch.inf).amin(-1, keepdim=True)
        fits &= late <= least_late + HAIR  # only those in time, or as nearly as there are any
        picked, scores = choose(self.score, energy, cycles, fits, counts, area)
        broken = self.score.machine_excess(machines) + least_late[..., 0].sum(-1)
        found = Candidates(indices, tables, energy, cycles, fits, counts, area, broken)
        self.on_candidates(found)
        scores = self.score.beyond(scores, broken)
        totals = [(taken(table, picked) * counts).sum(-1) for table in (energy, cycles)]
        some = torch.arange(0, energy.shape[2], max(1, energy.shape[2] // KEPT), device=self.device)
        results = []
        for d, index in enumerate(indices):
            rate = float(rate_of(totals[0][d], totals[1][d]))
            best = picked[d, :, None]
            kept = torch.cat([best, some.expand(len(best), -1)], 1)  # the chosen, some of every island and price
            chosen, others = (found.starts(d, columns, rate) for columns in (best, kept))
            figures = (float(row[d]) for row in (*totals, area))
            results.append(Design(index, float(scores[d]), chosen, others, *figures))
        return results, evaluated

    def promising(self, options: torch.Tensor, starts: Starts, effort: Effort, n: int) -> list[Design]:
        """The `n` best of many machines: all are searched briefly, and those that look best for longer.

        Args:
            options: `[designs, parameters]` grid indices.
            starts: mappings that every machine's search starts from.
            effort: of the longer search.
            n: how many are wanted.
        """
        places = max(n, PLACES)
        if len(options) <= places:
            return self.fit(options, [starts] * len(options), effort, n)
        brief = replace(effort, rounds=max(1, effort.rounds // 3), islands=1)
        best = self.fit(options, [starts] * len(options), brief, places)
        indices = torch.stack([design.index for design in best])
        return self.fit(indices, [design.starts for design in best], effort, n)

    def descend(
        self, start: Design, effort: Effort, rounds: int, tick: Callable[[float], None], pool: Sequence[Starts] = ()
    ) -> Design:
        """Step from a machine to better ones on the grid, far steps first, until none of a single step helps.

        Machines over the limits are left out, and so are those tried before on the way (see `steps`). Mappings of
        `pool`, found for other machines, join the best design's own as starts.
        """
        best = start
        tried = {tuple(start.index.tolist())}
        reach = longest_reach(self.hardware)
        for step in range(rounds):
            tick(step / rounds)
            options = steps(self.hardware, best.index, reach, self._within)
            fresh = [tuple(option) not in tried for option in options.tolist()]
            options = options[torch.tensor(fresh, dtype=torch.bool)]
            if len(options):
                tried |= {tuple(option) for option in options.tolist()}
                (leader,) = self.promising(options, Starts.join([best.starts, *pool]), effort, 1)
                if leader.score < best.score - 1e-9:
                    best = leader
                    continue
            if reach == 1:
                break
            reach = (reach + 1) // 2
        return best

    def _within(self, indices: torch.Tensor) -> torch.Tensor:
        """Whether machines `[n, parameters]` keep the limits on the machine, BoolTensor `[n]`."""
        return (self.score.machine_excess(self.machines(indices)) <= 0).cpu() & self.hardware.within(indices)

    def _searched(self, machines: Machine, starts: Sequence[Starts], effort: Effort) -> tuple[list[MappingTable], int]:
        """For each group a table `[designs, layers, candidates]`, of all prices side by side; mappings evaluated."""
        plans = [self._slices(g, machines, starts, effort) for g in range(len(self.groups))]
        found = iter(run_tasks(_search_slice, [job for jobs in plans for job in jobs]))
        evaluated = 0
        tables = []
        for group, jobs in zip(self.groups, plans, strict=True):
            parts = [next(found) for _ in jobs]
            evaluated += sum(one for _, one in parts)
            together = MappingTable.join([table for table, _ in parts], 0)
            shape = len(starts), len(group.layers)
            tables.append(together.side_by_side(*shape, each=len(together.merit) // (shape[0] * shape[1])))
        return tables, evaluated

    def _slices(self, g: int, machines: Machine, starts: Sequence[Starts], effort: Effort) -> list[tuple[Any, ...]]:
        """The jobs of one group: its layers on all machines, at all prices, on all islands, a slice at a time."""
        group = self.groups[g]
        designs, layers = len(starts), len(group.layers)
        rates = torch.tensor([one.rate for one in starts], dtype=torch.float64, device=self.device)
        prices, caps = self.score.prices(rates)
        design = torch.arange(designs, device=self.device).repeat_interleave(layers)
        layer = torch.arange(layers, device=self.device).repeat(designs)
        pairs = Pairs(layer, machines.select(design), prices[design], caps[design], self.deadlines[g][layer])
        # many prices bring variety enough
        deal = pairs.deal(max(1, round(effort.islands * min(1.0, 3 / prices.shape[1]))))
        assignment, position = (
            torch.cat([getattr(one, name)[g] for one in starts]) for name in ("assignment", "position")
        )
        jobs: list[tuple[Any, ...]] = []
        width = max(1, SLICE[self.device.type] // (effort.population * effort.neighbours))
        for first in range(0, len(deal.pair), width):
            rows = slice(first, first + width)
            seed = derive_seed(self.seed, "search", self.searches, g, first)
            begin = deal.starts(assignment, rows), deal.starts(position, rows)
            jobs.append((group, deal.items(rows), *begin, effort, seed))
        return jobs


def _search_slice(
    group: Group, items: Items, assignment: torch.Tensor, position: torch.Tensor, effort: Effort, seed: int
) -> tuple[MappingTable, int]:
    """Local search of some items from given starts, and the number of mappings evaluated."""
    generator = torch.Generator(assignment.device).manual_seed(seed)
    moves = UnitMoves(group, items)
    start = moves.assess(*moves.settled(assignment, position)).best(effort.population)
    return local_search(moves, start, effort, generator)
