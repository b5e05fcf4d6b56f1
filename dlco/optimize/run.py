"""`Run`: one search for a design, from the relaxed problem to the proof.

The relaxed problem is solved and rounded; generations of machines begin there; the best of them are fitted for longer
and stepped through the grid; the best one's mappings are searched once more near the design at the bound, and where it
is asked for among imperfect ones; what is left of the gap is proved. Every part is a pure function of the request and
of the parts before, so that a `Journal` can stand in for those that are done. An interrupt ends the run at any moment
with the best design so far.
"""

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from functools import partial
from itertools import product
from math import inf
from typing import Any

import torch

from dlco.bound import BoundEffort, compulsory_bound
from dlco.design.budget import broken_limits
from dlco.design.history import History
from dlco.design.network_cost import LayerCost, NetworkCost, evaluate_network
from dlco.design.objective import Objective
from dlco.design.solution import Solution, sound
from dlco.hardware.architecture import Architecture
from dlco.hardware.space import HardwareSpace, as_space
from dlco.interrupts import Interrupts, held
from dlco.journal import Journal, recorded
from dlco.mapping.mapping import Mapping
from dlco.optimize.beginning import ends_of, machine_of, random_seeds, read_begin, relaxed_starts
from dlco.optimize.diagnosis import Diagnosis, diagnose
from dlco.optimize.effort import SolveEffort
from dlco.optimize.fixed import solve_on
from dlco.optimize.near_bound import guided_seeds
from dlco.optimize.proofs import Proofs
from dlco.optimize.request import Request
from dlco.progress import Listener, Progress
from dlco.relax import round_sizes
from dlco.search.designs import Candidates, Design, Seeds, Workbench
from dlco.search.earlier import seeds_of, sizes_of
from dlco.search.evolution import explore
from dlco.search.group import Group, make_groups
from dlco.search.imperfect import from_tables, refine, to_tables
from dlco.search.local_search import Effort
from dlco.search.score import BROKEN, Score
from dlco.tasks import derive_seed, single_thread

log = logging.getLogger("dlco")

GLANCE = BoundEffort(nodes=60, side=20, boxes=0)  # of a bound that only says where to search
REFINING = 0.7  # of the time that searches take, before imperfect factors are searched
AS_IT_IS = Effort(rounds=1, population=1, neighbours=1)  # mappings that are at their best already
TO_THE_BUDGET = 40  # steps of the hardware that a design outside the budget may take


class Run:
    """One call of `solve`: its phases, and the best design so far.

    Args:
        request, effort, starts, listener, journal: as `solve` checks them.
        score: what designs are ranked by; by default the request's objective within its budget.
        on_candidates: called with all that each search of mappings ended with.

    Attributes:
        best: the best design so far, None before the first.
    """

    def __init__(
        self,
        request: Request,
        effort: SolveEffort,
        starts: Sequence[Solution],
        listener: Listener,
        journal: Journal | None,
        score: Score | None = None,
        on_candidates: Callable[[Candidates], None] = lambda candidates: None,
    ) -> None:
        self.request, self.effort, self.starts, self.listener, self.journal = request, effort, starts, listener, journal
        self.history = History()
        self.hardware = request.hardware
        groups = make_groups(request.layers, request.hardware.base, request.hardware.free_fanouts, request.constraints)
        self.groups: tuple[Group, ...] = tuple(group.to(request.device) for group in groups)
        self.weighted = score is not None
        self.score = score or Score(Objective(request.objective), request.budget, request.hardware.base.cycle_s)
        space = as_space(request.hardware)
        self.bench = Workbench(self.groups, space, self.score, request.seed, self._note, journal, on_candidates)
        self.best: Design | None = None
        self.proofs = Proofs(
            request, self.groups, journal, self._still, lambda bound: self.history.note(self.phase, bound=bound)
        )
        self.pool: list[Seeds] = []  # mappings found for different machines
        self.trace: list[tuple[float, float]] = []
        self.refined: dict[str, Mapping] | None = None  # the best design's, where factors need not divide the bounds
        self.diagnosis: Diagnosis | None = None
        self.lower: float | None = None
        self.interrupts = Interrupts()
        self.phase = "relax"
        self.done = 0.0
        self.part = 0.0, 1.0  # of the whole run that the present part takes

    def solution(self, bound: bool, reasons: bool = True) -> Solution:
        """Run, and return the best design whatever ends the run.

        Args:
            bound: whether to prove a lower bound.
            reasons: whether to look for the reasons where no design keeps the budget.
        """
        status = "solved"
        self.part = 0.0, (0.85 if bound else 1.0) * (REFINING if self.request.imperfect else 1.0)
        with held() as self.interrupts, single_thread():
            try:
                with self.interrupts.heard():
                    self._work(bound, reasons)
                with suppress(KeyboardInterrupt):  # too late to stop anything
                    self._tell("done", 1.0)
            except KeyboardInterrupt:
                status = "interrupted"
                log.warning("interrupted; returning the best design so far")
            if not self._is_found:
                self._find_any()
            return self.interrupts.insist(lambda: sound(self._finish(status, bound)))

    def _work(self, bound: bool, reasons: bool) -> None:
        """All phases; what they find is in the attributes."""
        self._search()
        if self.request.imperfect:
            self._refine()
        architecture, _, costs, cost = self._priced()
        if broken_limits(self.request.budget, architecture, costs, cost):
            self.diagnosis = self._diagnosis() if reasons else None
        elif bound:
            self.lower = self._bound()

    def _search(self) -> None:
        effort = self.effort
        self._tick("relax", 0.0)
        sizes, seeds = self._begin()
        if isinstance(self.hardware, HardwareSpace):
            best = self._search_hardware(sizes, seeds)
        else:
            self._tick("search", 0.3)
            best = self.bench.fit(torch.zeros(1, 0, dtype=torch.long), [seeds], effort.fit)[0]
        for repeat in range(effort.polishes):
            self._tick("polish", 0.7 + 0.3 * repeat / effort.polishes)
            best = self._polish(best)
            if not self.bench.hardware.is_fixed and repeat < effort.polishes - 1:
                # better mappings may want other sizes
                best = self._descend(best, lambda share: None)

    def _polish(self, best: Design) -> Design:
        """The design with its machine's proved optimum or, where that is not covered, the longest search's."""
        index = best.index[None]
        if self.effort.exact and not self.weighted:
            proved = solve_on(self._architecture(best), self.request, self.effort, self._still, self.journal)
            if proved is not None:
                seeds = seeds_of(proved, self.groups)
                return min(best, self.bench.fit(index, [seeds], AS_IT_IS)[0], key=lambda design: design.score)
        fresh = self.effort.polish.islands * self.effort.polish.population // 2
        guided = self._guided(best, 2 * fresh, "guide", self.effort.bound)
        seeds = Seeds.join([best.chosen, guided, self._random_seeds(fresh)])  # dealt out to all islands
        return min(best, self.bench.fit(index, [seeds], self.effort.polish)[0], key=lambda design: design.score)

    def _architecture(self, design: Design) -> Architecture:
        """The design's machine."""
        if isinstance(self.hardware, Architecture):
            return self.hardware
        return self.hardware.architecture_at(design.index)

    def _begin(self) -> tuple[torch.Tensor, Seeds]:
        """Sizes `[starts, parameters]` and mappings to begin from, the most promising first.

        Both are those of earlier solutions and of the relaxed problem, whose factors are rounded; some random mappings
        join them.
        """
        done = self.journal.recall("begin", partial(read_begin, self.bench)) if self.journal else None
        if done:
            for totals in done[2]:
                self.history.note("relax", relaxed=self._objective(*totals))
            return done[:2]
        sizes = []
        stages: list[tuple[float, float, float]] = []

        def note(energy_pj: float, cycles: float, area_mm2: float) -> None:
            stages.append((energy_pj, cycles, area_mm2))
            self.history.note("relax", relaxed=self._objective(energy_pj, cycles, area_mm2))

        seeds = [seeds_of(solution, self.groups) for solution in self.starts]
        if isinstance(self.hardware, HardwareSpace):
            sizes = [sizes_of(solution.architecture, self.hardware) for solution in self.starts]
        if self.effort.starts:
            found = relaxed_starts(self.bench, self.effort, self._generator, note)
            sizes, seeds = sizes + found[0], seeds + found[1]
        begin = torch.stack(sizes) if sizes else torch.zeros(0), Seeds.join([*seeds, self._random_seeds(8)])
        if self.journal:
            self.journal.record("begin", {"sizes": begin[0], "seeds": dict(vars(begin[1])), "relaxed": stages})
        return begin

    def _search_hardware(self, sizes: torch.Tensor, seeds: Seeds) -> Design:
        assert isinstance(self.hardware, HardwareSpace)
        effort = self.effort
        # the largest machine within the limits may turn out well too, and so may any other
        rounded = [self._on_the_grid(one) for one in (*sizes, self.hardware.high)]
        random = self.hardware.sample(effort.survey, self._generator("survey", device=torch.device("cpu")))
        rounded += [self._on_the_grid(one) for one in random]
        machines = list({tuple(index.tolist()): index for index in rounded}.values())
        self._tick("explore", 0.2)
        generator = self._generator("fleet", device=torch.device("cpu"))
        fleet = explore(self.bench, machines, seeds, effort.fleet, self._refined, generator, self._within(0.2, 0.45))
        self._tick("fit", 0.45)
        designs = self._fitted(fleet[: 2 * effort.machines], machines, seeds)
        self.pool = [design.chosen for design in designs]
        ended = []
        for i, design in enumerate(designs[: effort.descents]):
            width = 0.25 / effort.descents
            ended.append(self._descend(design, self._within(0.45 + i * width, 0.45 + (i + 1) * width)))
        return min(ended, key=lambda design: design.score)

    def _fitted(self, fleet: Sequence[Design], machines: Sequence[torch.Tensor], seeds: Seeds) -> list[Design]:
        """The most promising machines, their mappings searched for longer: of a fleet or, without one, of machines."""
        effort = self.effort
        if not fleet:
            return self.bench.promising(torch.stack(list(machines)), seeds, effort.fit, effort.machines)
        indices = torch.stack([design.index for design in fleet])
        shared = Seeds.join([*(design.chosen for design in fleet), fleet[0].starts])
        own = [replace(shared, rate=design.chosen.rate) for design in fleet]
        return self.bench.fit(indices, own, effort.fit, effort.machines)

    def _refined(self, design: Design) -> Design:
        """The design's machine with better mappings: its own joined by others, searched for by themselves.

        Those others start near a quick lower bound of the machine. Beside mappings already improved they would die out
        before they are as good.
        """
        index, effort = design.index[None], self.effort.fleet
        others = self.bench.fit(index, [self._guided(design, effort.guided, "glance", GLANCE)], effort.longer)[0]
        return self.bench.fit(index, [Seeds.join([design.starts, others.starts])], effort.mappings)[0]

    def _guided(self, design: Design, copies: int, part: str, effort: BoundEffort) -> Seeds:
        """So many mappings of every layer near a lower bound of the design's machine."""
        guides = self.proofs(self._architecture(design), effort).guides
        machine = machine_of(self.bench, design.index[None])
        generator = self._generator(part, self.bench.searches)
        return guided_seeds(guides, self.groups, machine, copies, generator, design.chosen.rate)

    def _within(self, begin: float, end: float) -> Callable[[float], None]:
        """Reports of a part of the search that lies between two shares of it."""
        return lambda share: self._tick("search", begin + (end - begin) * share)

    def _descend(self, design: Design, tick: Callable[[float], None]) -> Design:
        """Step the hardware; on the way to a first design within the budget, for as long as it takes."""
        steps = self.effort.steps if design.score < BROKEN else max(self.effort.steps, TO_THE_BUDGET)
        return self.bench.descend(design, self.effort.step, steps, tick, self.pool)

    def _on_the_grid(self, sizes: torch.Tensor) -> torch.Tensor:
        """Grid indices `[parameters]` of the machine within the limits that is nearest to real sizes."""
        assert isinstance(self.hardware, HardwareSpace)
        return round_sizes(self.hardware, sizes, self.score.machine_excess)

    def _random_seeds(self, n: int) -> Seeds:
        generator = self._generator("random", self.bench.searches)
        return random_seeds(self.bench, n, generator, self.best.chosen.rate if self.best else 1e3)

    def _generator(self, *part: int | str, device: torch.device | None = None) -> torch.Generator:
        """Randomness of one part of the run, whatever ran before; on the request's device unless another is given."""
        generator = torch.Generator(device or self.request.device)
        return generator.manual_seed(derive_seed(self.request.seed, *part))

    def _bound(self) -> float | None:
        """A value of the objective that no design goes below, None where nothing but 0 is proved."""
        self.part = self.part[1], 1.0
        self._tick("bound", 0.0)
        return self.proofs(self.hardware, self.effort.bound).value or None

    def _refine(self) -> None:
        """The best design's mappings, improved by tiles that do not divide their layers."""
        assert self.best is not None
        architecture, mappings = self.unfolded(self.best)
        self.part = self.part[1], self.part[1] / REFINING
        self._tick("refine", 0.0)

        def search() -> dict[str, Any]:
            refined, evaluated = refine(
                self.request.layers,
                architecture,
                mappings,
                self.score,
                self._generator("imperfect"),
                constraints=self.request.constraints,
                keep=self._keep,
                tick=lambda share: self._tick("refine", share),
            )
            return {"tables": to_tables(refined), "evaluated": evaluated}

        def read(plain: dict[str, Any]) -> tuple[dict[str, Mapping], int]:
            refined = from_tables(plain["tables"], mappings)
            evaluate_network(self.request.layers, architecture, refined)  # raises where one does not fit
            return refined, int(plain["evaluated"])

        refined, evaluated = recorded(self.journal, "imperfect", search, read)
        self.bench.evaluations += evaluated
        self._keep(refined)

    def _keep(self, mappings: dict[str, Mapping]) -> None:
        """Take imperfect mappings of the best design, which are no worse than its own."""
        self.refined = mappings
        architecture, _, costs, cost = self._priced()
        value = cost.objective(self.request.objective)
        if not broken_limits(self.request.budget, architecture, costs, cost) and value < self._least:
            self.trace.append((self.history.seconds, value))
            self.history.note(self.phase, best=value)

    def _diagnosis(self) -> Diagnosis:
        """Why no design keeps the budget; the nearest values come from short searches for them."""
        self._tick("diagnosis", 1.0)
        effort = replace(self.effort, machines=1, descents=1, polishes=min(1, self.effort.polishes))
        architecture, _, costs, cost = self._priced()

        def least_found(request: Request) -> float | None:
            run = Run(request, effort, (), lambda progress: self._tick("diagnosis", 1.0), None)
            run._search()
            self.bench.evaluations += run.bench.evaluations
            found = []
            if run.best is not None and run.best.score < BROKEN:
                found.append(run._value(run.best))
            if not broken_limits(request.budget, architecture, costs, cost):  # the nearest so far may do as well
                found.append(cost.objective(request.objective))
            return min(found, default=None)

        light = BoundEffort(nodes=min(300, self.effort.bound.nodes), side=min(60, self.effort.bound.side), boxes=0)
        return diagnose(self.request, least_found, light)

    def _note(self, design: Design) -> None:
        self._take(design)
        self._still()

    def _take(self, design: Design) -> None:
        if self.best is None or design.score < self.best.score:
            self.best = design
            if design.score < BROKEN:
                self.trace.append((self.history.seconds, self._value(design)))
                self.history.note(self.phase, best=self._value(design))

    def _tick(self, phase: str, done: float) -> None:
        """Report, at a share of the present part; raises `KeyboardInterrupt` to end the run."""
        self.interrupts.check()
        self.phase, self.done = phase, done
        begin, end = self.part
        self._tell(phase, begin + (end - begin) * done)

    def _still(self, progress: Progress | None = None) -> None:
        """Report that the present part goes on."""
        self._tick(self.phase, self.done)

    def _tell(self, phase: str, done: float) -> None:
        self.history.note(phase)
        best = self._least if self._least < inf else None
        bound = self.history.points[-1].bound
        self.listener(Progress(phase, done, best, self.history.seconds, bound))

    @property
    def _least(self) -> float:
        """The least objective found within the limits, infinite before the first."""
        return self.trace[-1][1] if self.trace else inf

    def _value(self, design: Design) -> float:
        """The objective of a design, in the unit of `NetworkCost.objective`."""
        return self._objective(design.energy_pj, design.cycles, design.area_mm2)

    def _objective(self, energy_pj: float, cycles: float, area_mm2: float) -> float:
        """The objective of totals, in the unit of `NetworkCost.objective`."""
        seconds = cycles * self.score.cycle_s
        totals = NetworkCost(cycles, energy_pj, seconds, energy_pj * 1e-12 / seconds, area_mm2, energy_pj * cycles)
        return totals.objective(self.request.objective)

    def unfolded(self, design: Design) -> tuple[Architecture, dict[str, Mapping]]:
        """The design's machine, and the mapping of every layer by its name."""
        tables = design.chosen
        mappings = {
            layer.name: group.mapping(i, tables.assignment[g][i, 0], tables.position[g][i, 0])
            for g, group in enumerate(self.groups)
            for i, layer in enumerate(group.layers)
        }
        return self._architecture(design), {layer.name: mappings[layer.name] for layer in self.request.layers}

    def _priced(self) -> tuple[Architecture, dict[str, Mapping], dict[str, LayerCost], NetworkCost]:
        """The best design so far: its machine, its mappings, and what they cost."""
        assert self.best is not None
        request = self.request
        architecture, mappings = self.unfolded(self.best)
        mappings = self.refined or mappings
        return architecture, mappings, *evaluate_network(request.layers, architecture, mappings)

    def _find_any(self) -> None:
        """Some design, where the run ended before the first: after a brief search, unless that is interrupted too.

        On the machine of all least sizes or, where a layer does not fit there, on that of all largest.
        """
        self.bench.journal, self.bench.on_design = None, self._take  # this search is not part of the run
        machines = ends_of(self.bench.hardware)
        try:
            with self.interrupts.heard():
                for index in machines:
                    self.bench.fit(index, [self._random_seeds(8)], Effort(rounds=20))
                    if self._is_found:
                        return
        except KeyboardInterrupt:
            pass
        for index, rounds in product(machines, (1, 100)):
            if not self._is_found:
                effort = Effort(rounds=rounds, population=1, neighbours=1 if rounds == 1 else 16)
                self.interrupts.insist(partial(self.bench.fit, index, [self._random_seeds(8)], effort))

    @property
    def _is_found(self) -> bool:
        """Whether there is a design whose mappings fit."""
        return self.best is not None and self.best.score < inf

    def _finish(self, status: str, bound: bool) -> Solution:
        request, diagnosis, lower = self.request, self.diagnosis, self.lower
        if bound and lower is None and diagnosis is None:
            lower = compulsory_bound(request.layers, self.hardware, request.objective, request.budget) or None
        architecture, mappings, costs, cost = self._priced()
        broken = broken_limits(request.budget, architecture, costs, cost)
        if broken:
            status = "infeasible"
        self.history.note("done", best=None if broken else cost.objective(request.objective), bound=lower)
        message = {
            "solved": "all limits hold",
            "interrupted": "stopped early; run again without interruption for a better design",
            "infeasible": f"{diagnosis or Diagnosis(False, ())}; the nearest found has {', '.join(broken)}",
        }[status]
        return Solution(
            status=status,
            message=message,
            objective=request.objective,
            budget=request.budget,
            seed=request.seed,
            layers=request.layers,
            architecture=architecture,
            mappings=mappings,
            layer_costs=costs,
            cost=cost,
            lower_bound=lower,
            imperfect=request.imperfect,
            conflicts=diagnosis.conflicts if diagnosis else (),
            evaluations=self.bench.evaluations,
            seconds=self.history.seconds,
            trace=tuple(self.trace),
            history=tuple(self.history.points),
            effort=asdict(self.effort),
        )
