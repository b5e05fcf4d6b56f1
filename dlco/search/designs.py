"""Machines and mappings together: local search over mappings for many machines at once, and steps of the hardware.

A design is one machine with one mapping for every layer. `fit` searches the mappings of several machines side by
side, from given starts, at several prices of time, and chooses for each machine the mappings that serve the network
best; `descend` steps through the grid of sizes, all layers fitted anew at every step.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from dlco.hardware.architecture import Architecture, Machine
from dlco.hardware.space import HardwareSpace
from dlco.journal import Journal, check_table
from dlco.search.group import Group
from dlco.search.local_search import UNFIT, Effort, Items, Population, assess, local_search
from dlco.search.score import BROKEN, Score, choose, rate_of
from dlco.search.steps import longest_reach, steps
from dlco.tasks import derive_seed, run_tasks

PLACES = 16  # of many machines, those that are searched for longer
KEPT = 12  # mappings of each layer that a design hands on
SLICE = {"cpu": 16_384, "cuda": 1_048_576}  # mappings evaluated at once: on a CPU their rows stay near the caches


@dataclass(frozen=True)
class Seeds:
    """Mappings to start from, for every layer of every group.

    Attributes:
        assignment: for each group `[layers, n, units]`; `position`: `[layers, n, levels, dims]`.
        rate: pJ a cycle of the design they came from, the unit of prices; above 0.
    """

    assignment: list[torch.Tensor]
    position: list[torch.Tensor]
    rate: float = 1.0

    @staticmethod
    def join(parts: Sequence["Seeds"]) -> "Seeds":
        """All mappings of several seeds, at the first's rate."""
        return Seeds(
            [torch.cat(tables, 1) for tables in zip(*(p.assignment for p in parts), strict=True)],
            [torch.cat(tables, 1) for tables in zip(*(p.position for p in parts), strict=True)],
            parts[0].rate,
        )

    @staticmethod
    def from_plain(data: dict[str, Any], groups: Sequence[Group]) -> "Seeds":
        """The inverse of `vars`; `ValueError` where it holds no mappings of these groups' layers."""
        seeds = Seeds(list(data["assignment"]), list(data["position"]), float(data["rate"]))
        for group, units, places in zip(groups, seeds.assignment, seeds.position, strict=True):
            layers, most = group.primes.shape
            check_table("assignment", units, (layers, None, most), len(group.space.slots))
            check_table("position", places, (layers, units.shape[1], group.levels, group.dims), group.dims)
        return seeds


@dataclass(frozen=True)
class Design:
    """One machine with its mappings.

    Attributes:
        index: grid indices of its sizes, or None where the hardware is fixed.
        score: as `Score` ranks it.
        chosen: the mappings (one a layer).
        seeds: all mappings that the search ended with, the chosen first.
        energy_pj, cycles, area_mm2: the network's totals.
    """

    index: torch.Tensor | None
    score: float
    chosen: Seeds
    seeds: Seeds
    energy_pj: float
    cycles: float
    area_mm2: float

    def to_plain(self) -> dict[str, Any]:
        """Dictionaries, lists, tensors and numbers, for a `Journal`."""
        return vars(self) | {"chosen": dict(vars(self.chosen)), "seeds": dict(vars(self.seeds))}

    @staticmethod
    def from_plain(data: dict[str, Any], groups: Sequence[Group], hardware: Architecture | HardwareSpace) -> "Design":
        """The inverse of `to_plain`; `ValueError` where it is no design of these layers on this hardware."""
        chosen, seeds = (Seeds.from_plain(data[name], groups) for name in ("chosen", "seeds"))
        energy, cycles, area = (float(data[name]) for name in ("energy_pj", "cycles", "area_mm2"))
        index = data["index"]
        if isinstance(hardware, HardwareSpace):
            check_table("index", index, (len(hardware.parameters),))
            if not all(0 <= i < len(p.grid) for i, p in zip(index.tolist(), hardware.parameters, strict=True)):
                raise ValueError("index lies outside the grid")
        elif index is not None:
            raise ValueError("index is given, but the machine is fixed")
        return Design(index, float(data["score"]), chosen, seeds, energy, cycles, area)


@dataclass(frozen=True)
class Candidates:
    """All mappings that a search of several machines ended with.

    Attributes:
        indices: `[designs, parameters]` grid indices, or None where the hardware is fixed.
        populations: for each group, of shape `[designs, layers, candidates]`.
        energy_pj, cycles, fits: `[designs, layers, candidates]`, layers of all groups one after the other; of one
            execution, and whether the mapping may be chosen.
        counts: `[layers]` executions.
        area_mm2: `[designs]`; `broken`: logs by which a machine and its deadlines break their limits, added up.
    """

    indices: torch.Tensor | None
    populations: list[Population]
    energy_pj: torch.Tensor
    cycles: torch.Tensor
    fits: torch.Tensor
    counts: torch.Tensor
    area_mm2: torch.Tensor
    broken: torch.Tensor


class Workbench:
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
        hardware: Architecture | HardwareSpace,
        score: Score,
        seed: int,
        on_design: Callable[[Design], None] = lambda design: None,
        journal: Journal | None = None,
        on_candidates: Callable[[Candidates], None] = lambda candidates: None,
    ) -> None:
        self.groups, self.hardware, self.score, self.seed = groups, hardware, score, seed
        self.device = groups[0].primes.device
        self.counts = [
            torch.tensor([float(x.count) for x in g.layers], dtype=torch.float64, device=self.device) for g in groups
        ]
        limits = [[score.budget.layer_limit(x.name) / score.cycle_s for x in g.layers] for g in groups]
        self.deadlines = [torch.tensor(row, dtype=torch.float64, device=self.device) for row in limits]
        self.on_design, self.journal, self.on_candidates = on_design, journal, on_candidates
        self.evaluations = 0
        self.searches = 0  # so far: each has its own seed, and its own name in the journal

    def machines(self, indices: torch.Tensor | None, designs: int) -> Machine:
        """Machines of batch shape `[designs]`."""
        index = torch.zeros(designs, 0, dtype=torch.long) if indices is None else indices
        return self.hardware.machines_at(index.to(self.device))

    def fit(
        self, indices: torch.Tensor | None, seeds: Sequence[Seeds], effort: Effort, n: int | None = None
    ) -> list[Design]:
        """The best mappings found for each machine, starting from its seeds.

        Args:
            indices: `[designs, parameters]` grid indices, or None for one design on fixed hardware.
            seeds: for each design.
            effort: how long to search.
            n: return the best so many of the designs, the best first; by default all, in their order.
        """
        self.searches += 1
        name = f"search {self.searches}"
        done = self.journal.recall(name, self._read) if self.journal else None
        if done:
            results, evaluated = done
            self.evaluations += evaluated
        else:
            before = self.evaluations
            results = self._fit(indices, seeds, effort)
            if n is not None:
                results = sorted(results, key=lambda design: design.score)[:n]
            if self.journal:
                plain = [design.to_plain() for design in results]
                self.journal.record(name, {"designs": plain, "evaluations": self.evaluations - before})
        for design in results:
            self.on_design(design)
        return results

    def _read(self, plain: dict[str, Any]) -> tuple[list[Design], int]:
        """(designs, mappings evaluated) of a search that a journal has."""
        designs = [Design.from_plain(one, self.groups, self.hardware) for one in plain["designs"]]
        if not designs:
            raise ValueError("it has no design")
        return designs, int(plain["evaluations"])

    def _fit(self, indices: torch.Tensor | None, seeds: Sequence[Seeds], effort: Effort) -> list[Design]:
        designs = len(seeds)
        machines = self.machines(indices, designs)
        area = machines.area_mm2
        found = self._populations(machines, seeds, effort)
        energy = torch.cat([p.energy_pj for p in found], 1)
        cycles = torch.cat([p.cycles for p in found], 1)
        fits = torch.cat([p.merit < UNFIT for p in found], 1)
        counts = torch.cat(self.counts)
        late = (cycles / torch.cat(self.deadlines)[:, None]).log().clamp(min=0)
        least_late = torch.where(fits, late, torch.inf).amin(-1, keepdim=True)
        fits &= late <= least_late + 1e-12  # only those in time, or as nearly as there are any
        picked, scores = choose(self.score, energy, cycles, fits, counts, area)
        broken = self.score.machine_excess(machines) + least_late[..., 0].sum(-1)
        self.on_candidates(Candidates(indices, found, energy, cycles, fits, counts, area, broken))
        scores = torch.where(broken > 1e-12, broken + scores.clamp(min=BROKEN), scores)
        totals = [(table.gather(-1, picked[..., None])[..., 0] * counts).sum(-1) for table in (energy, cycles)]
        results = []
        for d in range(designs):
            rate = float(rate_of(totals[0][d], totals[1][d]))
            results.append(
                Design(
                    index=None if indices is None else indices[d],
                    score=float(scores[d]),
                    chosen=self._seeds(found, d, picked[d], rate, alone=True),
                    seeds=self._seeds(found, d, picked[d], rate, alone=False),
                    energy_pj=float(totals[0][d]),
                    cycles=float(totals[1][d]),
                    area_mm2=float(area[d]),
                )
            )
        return results

    def promising(self, options: torch.Tensor, seeds: Seeds, effort: Effort, n: int) -> list[Design]:
        """The `n` best of many machines: all are searched briefly, and those that look best for longer.

        Args:
            options: `[designs, parameters]` grid indices.
            seeds: mappings that every machine's search starts from.
            effort: of the longer search.
            n: how many are wanted.
        """
        places = max(n, PLACES)
        if len(options) <= places:
            return self.fit(options, [seeds] * len(options), effort, n)
        brief = replace(effort, rounds=max(1, effort.rounds // 3), islands=1)
        best = self.fit(options, [seeds] * len(options), brief, places)
        indices = torch.stack([design.index for design in best if design.index is not None])
        return self.fit(indices, [design.seeds for design in best], effort, n)

    def descend(
        self, start: Design, effort: Effort, rounds: int, tick: Callable[[float], None], pool: Sequence[Seeds] = ()
    ) -> Design:
        """Step from a machine to better ones on the grid, far steps first, until none of a single step helps.

        Machines over the limits are left out, and so are those tried before on the way (see `steps`). Mappings of
        `pool`, found for other machines, join the best design's own as starts.
        """
        assert isinstance(self.hardware, HardwareSpace)
        assert start.index is not None
        best = start
        tried = {tuple(start.index.tolist())}
        reach = longest_reach(self.hardware)
        for step in range(rounds):
            tick(step / rounds)
            assert best.index is not None
            options = steps(self.hardware, best.index, reach, self._within)
            fresh = [tuple(option) not in tried for option in options.tolist()]
            options = options[torch.tensor(fresh, dtype=torch.bool)]
            if len(options):
                tried |= {tuple(option) for option in options.tolist()}
                (leader,) = self.promising(options, Seeds.join([best.seeds, *pool]), effort, 1)
                if leader.score < best.score - 1e-9:
                    best = leader
                    continue
            if reach == 1:
                break
            reach = (reach + 1) // 2
        return best

    def _within(self, indices: torch.Tensor) -> torch.Tensor:
        """Whether machines `[n, parameters]` keep the limits on the machine, BoolTensor `[n]`."""
        return (self.score.machine_excess(self.machines(indices, len(indices))) <= 0).cpu()

    def _populations(self, machines: Machine, seeds: Sequence[Seeds], effort: Effort) -> list[Population]:
        """For each group `[designs, layers, candidates]` populations, candidates of all prices side by side."""
        plans = [self._slices(g, machines, seeds, effort) for g in range(len(self.groups))]
        found = run_tasks(_search_slice, [job for jobs in plans for job in jobs])
        self.evaluations += sum(evaluated for _, evaluated in found)
        populations = []
        for g, jobs in enumerate(plans):
            together = Population.join([population for population, _ in found[: len(jobs)]], 0)
            found = found[len(jobs) :]
            shape = len(seeds), len(self.groups[g].layers), -1
            tables = {name: table.reshape(*shape, *table.shape[2:]) for name, table in vars(together).items()}
            populations.append(replace(together, **tables))
        return populations

    def _slices(self, g: int, machines: Machine, seeds: Sequence[Seeds], effort: Effort) -> list[tuple[Any, ...]]:
        """The jobs of one group: its layers on all machines, at all prices, on all islands, a slice at a time."""
        group = self.groups[g]
        designs, layers = len(seeds), len(group.layers)
        rates = torch.tensor([seed.rate for seed in seeds], dtype=torch.float64, device=self.device)
        prices, caps = self.score.prices(rates)
        islands = max(1, round(effort.islands * min(1.0, 3 / prices.shape[1])))  # many prices bring variety enough
        axes = (designs, layers, islands, prices.shape[1])
        design, layer, island, price = (
            axis.flatten()
            for axis in torch.meshgrid(*(torch.arange(n, device=self.device) for n in axes), indexing="ij")
        )
        assignment = torch.stack([seed.assignment[g] for seed in seeds])
        position = torch.stack([seed.position[g] for seed in seeds])
        n = assignment.shape[2]
        dealt = (island[:, None] + torch.arange(-(-n // islands), device=self.device) * islands) % n
        jobs: list[tuple[Any, ...]] = []
        width = max(1, SLICE[self.device.type] // (effort.population * effort.neighbours))
        for first in range(0, len(layer), width):
            d, x, p = (axis[first : first + width] for axis in (design, layer, price))
            rows = d[:, None], x[:, None], dealt[first : first + width]
            items = Items(x, machines.select(d[:, None]), prices[d, p], caps[d, p], self.deadlines[g][x])
            seed = derive_seed(self.seed, "search", self.searches, g, first)
            jobs.append((group, items, assignment[rows], position[rows], effort, seed))
        return jobs

    def _seeds(
        self, found: Sequence[Population], design: int, picked: torch.Tensor, rate: float, *, alone: bool
    ) -> Seeds:
        assignment, position = [], []
        used = 0
        for population in found:
            layers = population.merit.shape[1]
            first = picked[used : used + layers, None]
            used += layers
            if alone:
                order = first
            else:  # the chosen, then some of every island and price
                candidates = population.merit.shape[2]
                others = torch.arange(0, candidates, max(1, candidates // KEPT), device=self.device)
                order = torch.cat([first, others.expand(layers, -1)], 1)
            rows = torch.arange(layers, device=self.device)[:, None]
            assignment.append(population.assignment[design][rows, order])
            position.append(population.position[design][rows, order])
        return Seeds(assignment, position, rate)


def _search_slice(
    group: Group, items: Items, assignment: torch.Tensor, position: torch.Tensor, effort: Effort, seed: int
) -> tuple[Population, int]:
    """Local search of some items from given starts, and the number of mappings evaluated."""
    generator = torch.Generator(assignment.device).manual_seed(seed)
    return local_search(group, items, assess(group, items, assignment, position), effort, generator)
