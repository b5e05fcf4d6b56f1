"""Machines and mappings together: local search over mappings for many machines at once, and steps of the hardware.

A design is one machine with one mapping for every layer. `fit` searches the mappings of several machines side by
side, from given starts, at several prices of time, and chooses for each machine the mappings that serve the network
best; `descend` steps through the grid of sizes, all layers fitted anew at every step.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch

from dlco.hardware.architecture import Architecture, Machine
from dlco.hardware.space import HardwareSpace
from dlco.optimize.group import Group
from dlco.optimize.local_search import UNFIT, Effort, Items, Population, assess, local_search
from dlco.optimize.score import Score, choose

KEPT = 12  # mappings of each layer that a design hands on
SLICE = 16_384  # mappings evaluated at once: their rows stay near the caches


@dataclass(frozen=True)
class Seeds:
    """Mappings to start from, for every layer of every group.

    Attributes:
        assignment: for each group `[layers, n, units]`; `position`: `[layers, n, levels, dims]`.
        rate: pJ a cycle of the design they came from, the unit of prices; 0 where unknown.
    """

    assignment: list[torch.Tensor]
    position: list[torch.Tensor]
    rate: float = 0.0

    @staticmethod
    def join(parts: Sequence["Seeds"]) -> "Seeds":
        """All mappings of several seeds, at the first's rate."""
        return Seeds(
            [torch.cat(tables, 1) for tables in zip(*(p.assignment for p in parts), strict=True)],
            [torch.cat(tables, 1) for tables in zip(*(p.position for p in parts), strict=True)],
            parts[0].rate,
        )


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


class Workbench:
    """What a search works on: the network, the hardware, what counts, and how much has been done.

    Attributes:
        groups: the layers; `counts`: executions, for each group `[layers]`.
        evaluations: mappings evaluated so far.
        on_design: called with every design as soon as it is fitted.
    """

    def __init__(
        self,
        groups: Sequence[Group],
        hardware: Architecture | HardwareSpace,
        score: Score,
        generator: torch.Generator,
        on_design: Callable[[Design], None] = lambda design: None,
    ) -> None:
        self.groups, self.hardware, self.score, self.generator = groups, hardware, score, generator
        self.counts = [torch.tensor([float(x.count) for x in g.layers], dtype=torch.float64) for g in groups]
        self.on_design = on_design
        self.evaluations = 0

    def machines(self, indices: torch.Tensor | None, designs: int) -> Machine:
        """Machines of batch shape `[designs]`."""
        if isinstance(self.hardware, HardwareSpace):
            assert indices is not None
            return self.hardware.machine(self.hardware.index_to_sizes(indices))
        machine = self.hardware.tensors()
        return Machine(**{k: v.expand(designs, *v.shape) for k, v in vars(machine).items()})

    def fit(self, indices: torch.Tensor | None, seeds: Sequence[Seeds], effort: Effort) -> list[Design]:
        """The best mappings found for each machine, starting from its seeds.

        Args:
            indices: `[designs, parameters]` grid indices, or None for one design on fixed hardware.
            seeds: for each design.
            effort: how long to search.
        """
        designs = len(seeds)
        machines = self.machines(indices, designs)
        area = machines.area_mm2
        found = [self._fit_group(g, machines, seeds, effort) for g in range(len(self.groups))]
        energy = torch.cat([p.energy_pj for p in found], 1)
        cycles = torch.cat([p.cycles for p in found], 1)
        fits = torch.cat([p.merit < UNFIT for p in found], 1)
        counts = torch.cat(self.counts)
        picked, scores = choose(self.score, energy, cycles, fits, counts, area)
        totals = [(table.gather(-1, picked[..., None])[..., 0] * counts).sum(-1) for table in (energy, cycles)]
        results = []
        for d in range(designs):
            rate = float(totals[0][d] / totals[1][d])
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
            self.on_design(results[-1])
        return results

    def descend(self, start: Design, effort: Effort, rounds: int, tick: Callable[[float], None]) -> Design:
        """Step from a machine to better ones on the grid until no step helps.

        Every size a step down or up, and pairs of sizes one up and one down; machines over the area limit are left
        out, and so are those tried before on the way.
        """
        best = start
        tried: set[tuple[int, ...]] = set()
        for step in range(rounds):
            tick(step / rounds)
            assert best.index is not None
            options = self._steps(best.index, tried)
            if not len(options):
                break
            trials = self.fit(options, [best.seeds] * len(options), effort)
            tried |= {tuple(option) for option in options.tolist()}
            leader = min(trials, key=lambda design: design.score)
            if leader.score >= best.score - 1e-9:
                break
            best = leader
        return best

    def _fit_group(self, g: int, machines: Machine, seeds: Sequence[Seeds], effort: Effort) -> Population:
        """`[designs, layers, candidates]` populations of one group, candidates of all prices side by side."""
        group = self.groups[g]
        designs, layers = len(seeds), len(group.layers)
        prices, caps = self.score.prices(torch.tensor([seed.rate for seed in seeds], dtype=torch.float64))
        islands = max(1, round(effort.islands * min(1.0, 3 / prices.shape[1])))  # many prices bring variety enough
        axes = (designs, layers, islands, prices.shape[1])
        design, layer, island, price = (
            axis.flatten() for axis in torch.meshgrid(*(torch.arange(n) for n in axes), indexing="ij")
        )
        items = Items(
            layer=layer,
            machine=machines.select(design[:, None]),
            price=prices[design, price],
            cap=caps[design, price],
        )
        assignment = torch.stack([seed.assignment[g] for seed in seeds])
        position = torch.stack([seed.position[g] for seed in seeds])
        n = assignment.shape[2]
        dealt = (island[:, None] + torch.arange(-(-n // islands)) * islands) % n
        rows = design[:, None], layer[:, None], dealt
        parts = []
        width = max(1, SLICE // (effort.population * effort.neighbours))
        for first in range(0, len(layer), width):
            some = items.slice(first, first + width)
            here = tuple(index[first : first + width] for index in rows)
            start = assess(group, some, assignment[here], position[here])
            population, evaluated = local_search(group, some, start, effort, self.generator)
            self.evaluations += evaluated
            parts.append(population)
        together = Population.join(parts, 0)
        return replace(
            together,
            **{name: table.reshape(designs, layers, -1, *table.shape[2:]) for name, table in vars(together).items()},
        )

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
                others = torch.arange(0, candidates, max(1, candidates // KEPT))
                order = torch.cat([first, others.expand(layers, -1)], 1)
            rows = torch.arange(layers)[:, None]
            assignment.append(population.assignment[design][rows, order])
            position.append(population.position[design][rows, order])
        return Seeds(assignment, position, rate)

    def _steps(self, index: torch.Tensor, tried: set[tuple[int, ...]]) -> torch.Tensor:
        """Grid indices `[n, parameters]` one step away, within the area and not yet tried."""
        assert isinstance(self.hardware, HardwareSpace)
        n = len(index)
        unit = torch.eye(n, dtype=torch.long)
        moves = [sign * unit[i] for i in range(n) for sign in (-1, 1)]
        moves += [2 * sign * unit[i] for i in range(n) for sign in (-1, 1)]
        moves += [unit[i] - unit[j] for i in range(n) for j in range(n) if i != j]
        lengths = torch.tensor([len(p.grid) for p in self.hardware.parameters])
        options = index + torch.stack(moves)
        options = options[((options >= 0) & (options < lengths)).all(-1)]
        area = self.machines(options, len(options)).area_mm2
        limit = self.score.budget.area_mm2
        fresh = torch.tensor([tuple(option) not in tried for option in options.tolist()], dtype=torch.bool)
        return options[fresh if limit is None else fresh & (area <= limit)]
