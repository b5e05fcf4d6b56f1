"""`Run`: what the phases of one search for a design share."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from dlco.design.solution import Solution
from dlco.hardware.architecture import Machine
from dlco.hardware.space import HardwareSpace, as_space
from dlco.journal import Journal
from dlco.mapping.mapping import Mapping
from dlco.optimize.effort import SolveEffort
from dlco.optimize.finish import Costed
from dlco.optimize.proofs import Proofs
from dlco.optimize.request import Request
from dlco.optimize.state import State
from dlco.progress import Listener, silent
from dlco.search.designs import Candidates, Design, DesignSearch, Starts
from dlco.search.group import Group, make_groups
from dlco.search.local_search import Effort
from dlco.search.score import Score
from dlco.search.unit_moves import random_start
from dlco.tasks import derive_seed


@dataclass(frozen=True)
class Run:
    """One search for a design: what it is asked, what it works with, and what it has found so far.

    Attributes:
        request: the question; `effort`: how hard to try; `earlier`: solutions to begin from.
        journal: where finished parts are kept, None where none are.
        score: what designs are ranked by.
        designs: the search of mappings and sizes; every design that it finds is in the state at once.
        proofs: of lower bounds.
        state: what is found so far.
    """

    request: Request
    effort: SolveEffort
    earlier: tuple[Solution, ...]
    journal: Journal | None
    score: Score
    designs: DesignSearch
    proofs: Proofs
    state: State

    @property
    def groups(self) -> Sequence[Group]:
        """The layers, those of the same dimensions together."""
        return self.designs.groups

    @property
    def hardware(self) -> HardwareSpace:
        """The machines."""
        return self.request.hardware

    def generator(self, *part: int | str, on_cpu: bool = False) -> torch.Generator:
        """Randomness of one part of the run, whatever ran before; on the request's device or the CPU."""
        generator = torch.Generator("cpu" if on_cpu else self.request.device)
        return generator.manual_seed(derive_seed(self.request.seed, *part))

    def objective(self, energy_pj: float, cycles: float, area_mm2: float) -> float:
        """The objective of totals, in the unit of `NetworkCost.objective`."""
        return self.request.objective.figure(energy_pj, cycles, area_mm2, self.score.cycle_s)

    def value(self, design: Design) -> float:
        """The objective of a design, in the unit of `NetworkCost.objective`."""
        return self.objective(design.energy_pj, design.cycles, design.area_mm2)

    def keep(self, design: Design) -> None:
        """Take a design where it is better than the best."""
        self.state.keep(design, self.value(design))

    def keep_and_report(self, design: Design) -> None:
        """Take a design where it is better than the best, and tell that the run goes on."""
        self.keep(design)
        self.state.report_again()

    def fit(self, index: torch.Tensor, starts: Starts, effort: Effort) -> Design:
        """The best mappings found for the machine at grid indices `[parameters]`."""
        return self.designs.fit(index[None], [starts], effort)[0]

    def random_starts(self, n: int) -> Starts:
        """So many random mappings of every layer, for machines like the best so far."""
        generator = self.generator("random", self.designs.searches)
        pairs = [
            random_start(group, torch.arange(len(group.layers), device=group.primes.device), n, generator)
            for group in self.groups
        ]
        rate = self.state.best.chosen.rate if self.state.best else 1e3
        return Starts([a for a, _ in pairs], [p for _, p in pairs], rate)

    def machine(self, index: torch.Tensor) -> Machine:
        """The machine at grid indices `[parameters]`, of batch shape `[1, 1, 1, 1]`."""
        return self.designs.machines(index[None]).select(torch.zeros(1, 1, 1, 1, dtype=torch.long))

    def machine_of(self, design: Design) -> HardwareSpace:
        """The design's machine, as a space without parameters."""
        return self.machine_at(design.index)

    def machine_at(self, index: torch.Tensor) -> HardwareSpace:
        """The machine at grid positions `[parameters]`, as a space without parameters."""
        return self.hardware if self.hardware.is_fixed else as_space(self.hardware.architecture_at(index))

    def costed(self, design: Design, mappings: dict[str, Mapping] | None = None) -> Costed:
        """The design's machine with its own mappings, or others, of every layer, and what they cost."""
        found = mappings or self._mappings(design)
        return Costed.of(self.request.layers, self.machine_of(design).base, found)

    def best(self) -> Costed:
        """The best design so far."""
        assert self.state.best is not None
        return self.costed(self.state.best, self.state.mappings)

    def take(self, mappings: dict[str, Mapping]) -> None:
        """Take other mappings of the best design, which are no worse than its own."""
        self.state.mappings = mappings
        found = self.best()
        value = found.value(self.request.objective)
        if not found.broken(self.request.budget) and value < self.state.least:
            self.state.improve(value)

    def _mappings(self, design: Design) -> dict[str, Mapping]:
        """The mapping of every layer by its name."""
        tables = design.chosen
        mappings = {
            layer.name: group.mapping(i, tables.assignment[g][i, 0], tables.position[g][i, 0])
            for g, group in enumerate(self.groups)
            for i, layer in enumerate(group.layers)
        }
        return {layer.name: mappings[layer.name] for layer in self.request.layers}


def make_run(
    request: Request,
    effort: SolveEffort,
    earlier: tuple[Solution, ...] = (),
    listener: Listener = silent,
    journal: Journal | None = None,
    on_candidates: Callable[[Candidates], None] = lambda candidates: None,
) -> Run:
    """A run that has found nothing yet.

    Args:
        request: the question.
        effort: how hard to try.
        earlier: solutions to begin from.
        listener: told how it gets on.
        journal: where finished parts are kept.
        on_candidates: called with all that each search of mappings ended with.
    """
    hardware, state = request.hardware, State(listener)
    groups = make_groups(request.layers, hardware.base, hardware.free_fanouts, request.constraints)
    groups = tuple(group.to(request.device) for group in groups)
    score = Score(request.objective, request.budget, hardware.base.cycle_s)
    designs = DesignSearch(groups, hardware, score, request.seed, journal=journal, on_candidates=on_candidates)
    proofs = Proofs(request, groups, journal, state.report_again, state.prove)
    run = Run(request, effort, earlier, journal, score, designs, proofs, state)
    designs.on_design = run.keep_and_report
    return run
