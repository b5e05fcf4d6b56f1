"""`Evaluator`: the one door to the cost model, which counts what goes through it and keeps the best that came out."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf

import torch

from baselines.problem import Task
from dlco.cost.arithmetic import EXACT, Arithmetic
from dlco.cost.model import evaluate_totals
from dlco.design.network_cost import LayerCost, NetworkCost, evaluate_network
from dlco.hardware.architecture import Architecture
from dlco.mapping.mapping import SPATIAL_X, SPATIAL_Y, Mapping
from dlco.search.score import BROKEN, choose

SLICE = 16_384  # mappings evaluated at once: their rows stay near the caches
UNFIT = 1e30  # merits from here on belong to mappings that do not fit
UNMAPPED = 2 * BROKEN  # scores from here on belong to machines with a layer that nothing fits


class Exhausted(Exception):
    """The seconds or the evaluations of a search are used up."""


@dataclass(frozen=True)
class Mapped:
    """Evaluated mappings of one group's layers on several machines.

    Attributes:
        assignment: `[machines, layers, n, units]`; `position`: `[machines, layers, n, levels, dims]`.
        energy_pj, cycles, overflow: `[machines, layers, n]` of one execution; overflow is 0 where the mapping fits.
    """

    assignment: torch.Tensor
    position: torch.Tensor
    energy_pj: torch.Tensor
    cycles: torch.Tensor
    overflow: torch.Tensor

    @staticmethod
    def join(parts: Sequence["Mapped"]) -> "Mapped":
        """Mappings of the same machines and layers, one after the other."""
        return Mapped(*(torch.cat([getattr(part, name) for part in parts], 2) for name in vars(parts[0])))

    def pick(self, index: torch.Tensor) -> "Mapped":
        """The mappings `index` `[machines, layers, k]`."""

        def take(table: torch.Tensor) -> torch.Tensor:
            tail = table.shape[3:]
            return table.gather(2, index.view(*index.shape, *[1] * len(tail)).expand(*index.shape, *tail))

        return Mapped(*(take(table) for table in vars(self).values()))

    def rows(self, index: torch.Tensor) -> "Mapped":
        """The machines `index` `[k]`."""
        return Mapped(*(table[index] for table in vars(self).values()))

    def merit(self, prices: torch.Tensor, caps: torch.Tensor) -> torch.Tensor:
        """What a layer alone is searched for, `[machines, layers, n]`: energy + price x cycles, less is better.

        Args:
            prices: `[machines]` pJ a cycle (see `dlco.search.score.Score.prices`).
            caps: `[machines]` pJ a cycle, above which a mapping is charged for the cycles that it would have to wait.
        """
        prices, caps = prices[:, None, None], caps[:, None, None]
        hurry = (self.energy_pj / caps - self.cycles).clamp(min=0)
        merit = self.energy_pj + prices * self.cycles + (2 * prices + caps.nan_to_num(posinf=0.0)) * hurry
        return torch.where(self.overflow > 0, UNFIT * (1 + self.overflow), merit)

    def best(self, prices: torch.Tensor, caps: torch.Tensor, k: int) -> "Mapped":
        """The `k` of the best merit of every layer."""
        return self.pick(self.merit(prices, caps).argsort(dim=2, stable=True)[..., :k])


@dataclass(frozen=True)
class Designs:
    """Machines with one mapping for every layer.

    Attributes:
        index: `[machines, parameters]`.
        score: `[machines]`, from `BROKEN` where a limit is broken, from `UNMAPPED` where a layer does not fit.
        chosen: for each group the mappings, `[machines, layers, 1]`.
        energy_pj, cycles, area_mm2: `[machines]` of the network.
    """

    index: torch.Tensor
    score: torch.Tensor
    chosen: tuple[Mapped, ...]
    energy_pj: torch.Tensor
    cycles: torch.Tensor
    area_mm2: torch.Tensor

    @property
    def rate(self) -> torch.Tensor:
        """`[machines]` pJ a cycle."""
        return self.energy_pj / self.cycles


@dataclass(frozen=True)
class Found:
    """What a search ended with, priced by the exact model.

    Attributes:
        architecture, mappings (by layer name), layer_costs, cost: as in `dlco.Solution`.
        value: the objective.
        feasible: whether all limits hold; `violation`: else the sum of the logs of all excesses.
        evaluations, seconds: used by the search.
        trace: (seconds, evaluations, objective) of each better design within the limits.
        first: the score of the first designs' best, as `Designs.score`; `score`: of the last.
    """

    architecture: Architecture
    mappings: dict[str, Mapping]
    layer_costs: dict[str, LayerCost]
    cost: NetworkCost
    value: float
    feasible: bool
    violation: float
    evaluations: int
    seconds: float
    trace: tuple[tuple[float, int, float], ...]
    first: float
    score: float


class Evaluator:
    """Evaluates batches within a budget of seconds and evaluations; one mapping of one layer is one evaluation.

    Attributes:
        alone: whether evaluations are counted as made one after the other, so that a batch of them brings nothing.
        evaluations: so far.
        best: the best design so far, `[1]`, or None.
        trace: as in `Found`.
    """

    def __init__(
        self,
        task: Task,
        *,
        seconds: float = inf,
        evaluations: float = inf,
        clock: Callable[[], float] = time.process_time,
        pace: float | None = None,
    ) -> None:
        """`pace`: evaluations a second that the seconds are counted by, instead of by the clock."""
        self.task, self.seconds, self.alone = task, seconds, pace is not None
        self.limit = evaluations if pace is None else min(evaluations, seconds * pace)
        self.clock = clock if pace is None else lambda: self.evaluations / pace
        self.evaluations = 0
        self.started = self.clock()
        self.best: Designs | None = None
        self.first = inf
        self.trace: list[tuple[float, int, float]] = []

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return self.clock() - self.started

    @property
    def spent(self) -> float:
        """Share of the budget that is used up, 0 to 1."""
        return min(1.0, max(self.evaluations / self.limit, self.elapsed / self.seconds))

    def spend(self, n: int) -> None:
        """Count `n` evaluations that are about to be made. Raises `Exhausted` where there are not so many left."""
        if self.evaluations + n > self.limit or self.elapsed >= self.seconds:
            raise Exhausted
        self.evaluations += n

    def assess(
        self,
        g: int,
        index: torch.Tensor,
        assignment: torch.Tensor,
        position: torch.Tensor,
        arithmetic: Arithmetic = EXACT,
    ) -> Mapped:
        """Cost of mappings of group `g` on machines `index` `[machines, parameters]`.

        Args:
            g: the group.
            index: machines.
            assignment: `[machines, layers, n, units]`.
            position: `[machines, layers, n, levels, dims]`.
            arithmetic: of the cost model; only what is exact may be settled for.
        """
        group = self.task.groups[g]
        machines, layers, n, _ = assignment.shape
        owner = torch.arange(machines).repeat_interleave(layers)
        layer = torch.arange(layers).repeat(machines)
        there = self.task.machines(index)
        units, places = assignment.flatten(0, 1), position.flatten(0, 1)
        parts = []
        width = max(1, SLICE // n)
        for first in range(0, len(layer), width):
            rows = slice(first, first + width)
            self.spend(len(layer[rows]) * n)
            factors = group.factors(layer[rows], units[rows])
            totals = evaluate_totals(
                group.shape.select(layer[rows, None]),
                there.select(owner[rows, None]),
                group.kept,
                factors,
                places[rows],
                arithmetic=arithmetic,
                axes=group.axes,
            )
            both = ((factors[..., SPATIAL_X, :] > 1) & (factors[..., SPATIAL_Y, :] > 1)).any(-1).sum(-1)
            parts.append((totals.energy_pj, totals.cycles, totals.overflow + both))
        energy, cycles, overflow = (torch.cat(rows).view(machines, layers, n) for rows in zip(*parts, strict=True))
        return Mapped(assignment, position, energy, cycles, overflow)

    def settle(self, index: torch.Tensor, mapped: Sequence[Mapped]) -> Designs:
        """For each machine the best choice of one mapping a layer; the best design of all is kept.

        On fixed hardware the design that is kept takes each layer's mapping from any design so far.

        Args:
            index: `[machines, parameters]`.
            mapped: for each group its candidates, the same number in all.
        """
        designs = self._chosen(index, mapped)
        at = designs.score.argmin()[None]
        if self.best is None:
            self.first = float(designs.score[at])
        elif not len(self.task.lengths):
            parts = zip(self.best.chosen, designs.chosen, strict=True)
            self._keep(self._chosen(index[:1], [Mapped.join([old, new.rows(at)]) for old, new in parts]))
            return designs
        chosen = tuple(part.rows(at) for part in designs.chosen)
        rows = (designs.energy_pj[at], designs.cycles[at], designs.area_mm2[at])
        self._keep(Designs(index[at], designs.score[at], chosen, *rows))
        return designs

    def _chosen(self, index: torch.Tensor, mapped: Sequence[Mapped]) -> Designs:
        energy, cycles, overflow = (
            torch.cat([getattr(one, name) for one in mapped], 1) for name in ("energy_pj", "cycles", "overflow")
        )
        area = self.task.machines(index).area_mm2
        picked, score = choose(self.task.score, energy, cycles, overflow <= 0, self.task.counts, area)
        least = overflow.min(-1)
        misfit = torch.log1p(least.values).sum(-1)
        score = torch.where(misfit > 0, UNMAPPED + misfit, score)
        picked = torch.where(misfit[:, None] > 0, least.indices, picked)
        totals = [(one.gather(2, picked[..., None])[..., 0] * self.task.counts).sum(-1) for one in (energy, cycles)]
        columns = picked.split([len(group.layers) for group in self.task.groups], 1)
        chosen = tuple(one.pick(column[..., None]) for one, column in zip(mapped, columns, strict=True))
        return Designs(index, score, chosen, totals[0], totals[1], area)

    def _keep(self, design: Designs) -> None:
        if self.best is not None and float(design.score) >= float(self.best.score):
            return
        self.best = design
        if float(design.score) < BROKEN:
            totals = (float(x) for x in (design.energy_pj, design.cycles, design.area_mm2))
            self.trace.append((self.elapsed, self.evaluations, self._network(*totals)))

    def _network(self, energy: float, cycles: float, area: float) -> float:
        score = self.task.score
        return NetworkCost.of(energy, cycles, area, score.cycle_s).objective(score.objective)

    def found(self) -> Found | None:
        """The best design, priced anew layer by layer; None where no machine had a mapping of every layer."""
        if self.best is None or float(self.best.score) >= UNMAPPED:
            return None
        architecture = self.task.architecture(self.best.index[0])
        mappings = {
            layer.name: group.mapping(i, part.assignment[0, i, 0], part.position[0, i, 0])
            for group, part in zip(self.task.groups, self.best.chosen, strict=True)
            for i, layer in enumerate(group.layers)
        }
        costs, cost = evaluate_network(self.task.layers, architecture, mappings)
        totals = (torch.tensor(x, dtype=torch.float64) for x in (cost.energy_pj, cost.cycles, cost.area_mm2))
        excess = [max(0.0, float(one)) for one in self.task.score.excess(*totals)]
        return Found(
            architecture=architecture,
            mappings=mappings,
            layer_costs=costs,
            cost=cost,
            value=cost.objective(self.task.score.objective),
            feasible=max(excess, default=0.0) <= 1e-9,
            violation=sum(excess),
            evaluations=self.evaluations,
            seconds=self.elapsed,
            trace=tuple(self.trace),
            first=self.first,
            score=float(self.best.score),
        )
