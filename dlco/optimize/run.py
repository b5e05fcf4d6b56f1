"""`Run`: one search for a design, from the relaxed problem to the proof.

The relaxed problem is solved and rounded; generations of machines begin there; the best of them are fitted for longer
and stepped through the grid; the best one's mappings are searched once more near the design at the bound; what is left
of the gap is proved. Every part is a pure function of the request and of the parts before, so that a `Journal` can
stand in for those that are done.
"""

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from typing import Any

import torch

from dlco.hardware.architecture import Architecture, Machine
from dlco.hardware.space import HardwareSpace
from dlco.mapping.mapping import Mapping
from dlco.optimize.bound import BoundEffort, Certificate, compulsory_bound, lower_bound
from dlco.optimize.diagnosis import Diagnosis, diagnose
from dlco.optimize.effort import SolveEffort
from dlco.optimize.fleet import explore
from dlco.optimize.group import Group, make_groups
from dlco.optimize.guide import guided_seeds
from dlco.optimize.history import History
from dlco.optimize.imperfect import refine
from dlco.optimize.journal import Journal, check_table, fingerprint
from dlco.optimize.local_search import Effort, random_start
from dlco.optimize.progress import Listener, Progress, silent
from dlco.optimize.relaxed import Relaxed, relax, round_factors, round_sizes
from dlco.optimize.request import Request
from dlco.optimize.score import BROKEN, Score
from dlco.optimize.search import Candidates, Design, Seeds, Workbench
from dlco.optimize.solution import NetworkCost, Solution, broken_limits, price, sound
from dlco.optimize.tasks import derive_seed, single_thread
from dlco.optimize.warm import seeds_of, sizes_of

log = logging.getLogger("dlco")

GLANCE = BoundEffort(nodes=60, side=20, boxes=0)  # of a bound that only guides the search
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
        self.score = score or Score(request.objective, request.budget, request.hardware.base.cycle_s)
        self.bench = Workbench(self.groups, self.hardware, self.score, request.seed, self._note, journal, on_candidates)
        self.best: Design | None = None
        self.proofs: dict[str, Certificate] = {}
        self.pool: list[Seeds] = []  # mappings found for different machines
        self.trace: list[tuple[float, float]] = []
        self.phase = "relax"
        self.done = 0.0
        self.share = 1.0  # of the whole run that the search takes

    def solution(self, bound: bool, reasons: bool = True) -> Solution:
        """Run, and return the best design whatever ends the run.

        Args:
            bound: whether to prove a lower bound.
            reasons: whether to look for the reasons where no design keeps the budget.
        """
        request = self.request
        status, lower, diagnosis = "solved", None, None
        self.share = 0.85 if bound else 1.0
        with single_thread():
            try:
                self._search()
                if self.best is not None and self.best.score >= BROKEN:
                    diagnosis = self._diagnosis() if reasons else None
                elif bound:
                    lower = self._bound()
            except KeyboardInterrupt:
                status = "interrupted"
                log.warning("interrupted; returning the best design so far")
            if self.best is None:
                self.listener = silent
                self.bench.journal = None  # this search is not part of the run
                self.bench.fit(self._smallest(), [self._random_seeds(8)], Effort(rounds=20))
        if bound and lower is None and diagnosis is None:
            lower = compulsory_bound(request.layers, self.hardware, request.objective, request.budget) or None
        if status != "interrupted":
            with suppress(KeyboardInterrupt):  # too late to stop anything
                self._tick("done", 1.0)
        return sound(self._finish(status, lower, diagnosis))

    def _search(self) -> None:
        effort = self.effort
        self._tick("relax", 0.0)
        sizes, seeds = self._begin()
        if isinstance(self.hardware, HardwareSpace):
            best = self._search_hardware(sizes, seeds)
        else:
            self._tick("search", 0.3)
            best = self.bench.fit(None, [seeds], effort.fit)[0]
        for repeat in range(effort.polishes):
            self._tick("polish", 0.7 + 0.3 * repeat / effort.polishes)
            best = self._polish(best)
            if best.index is not None and repeat < effort.polishes - 1:  # better mappings may want other sizes
                best = self._descend(best, lambda share: None)

    def _polish(self, best: Design) -> Design:
        """The longest search of a machine's mappings: from the best, near the design at the bound, and at random."""
        index = None if best.index is None else best.index[None]
        fresh = self.effort.polish.islands * self.effort.polish.population // 2
        guided = self._guided(best, 2 * fresh, "guide", self.effort.bound)
        seeds = Seeds.join([best.chosen, guided, self._random_seeds(fresh)])  # dealt out to all islands
        return min(best, self.bench.fit(index, [seeds], self.effort.polish)[0], key=lambda design: design.score)

    def _machine(self, index: torch.Tensor | None) -> Machine:
        """The machine at grid indices `[1, parameters]` (None: the fixed one), of batch shape `[1, 1, 1, 1]`."""
        return self.bench.machines(index, 1).select(torch.zeros(1, 1, 1, 1, dtype=torch.long))

    def _architecture(self, design: Design) -> Architecture:
        """The design's machine."""
        if isinstance(self.hardware, Architecture):
            return self.hardware
        assert design.index is not None
        return self.hardware.architecture_at(design.index)

    def _proof(self, hardware: Architecture | HardwareSpace, effort: BoundEffort) -> Certificate:
        """The lower bound over some hardware, proved once."""
        key = fingerprint((hardware, effort))
        if key not in self.proofs:
            self.proofs[key] = self._recall_proof(f"proof {key}") or self._prove(f"proof {key}", hardware, effort)
        return self.proofs[key]

    def _recall_proof(self, name: str) -> Certificate | None:
        return self.journal.recall(name, self._read_proof) if self.journal else None

    def _read_proof(self, plain: dict[str, Any]) -> Certificate:
        """The inverse of what `_prove` records."""
        guides = {}
        groups = {layer.name: group for group in self.groups for layer in group.layers}
        for layer, guide in plain["guides"].items():
            check_table(f"guide of {layer!r}", guide, (groups[layer].levels, 2, groups[layer].dims))
            guides[layer] = guide.numpy()
        return Certificate(float(plain["value"]), str(plain["how"]), guides=guides)

    def _prove(self, name: str, hardware: Architecture | HardwareSpace, effort: BoundEffort) -> Certificate:
        proof = lower_bound(
            self.request.layers,
            hardware,
            self.request.objective,
            self.request.budget,
            constraints=self.request.constraints,
            imperfect=self.request.imperfect,
            effort=effort,
            tick=lambda share: self._tick(self.phase, self.done),
            proved=self._bounded if hardware is self.hardware else None,
        )
        log.info("bound: %s", proof.how)
        if self.journal:
            guides = {layer: torch.from_numpy(guide) for layer, guide in proof.guides.items()}
            self.journal.record(name, {"value": proof.value, "how": proof.how, "guides": guides})
        return proof

    def _begin(self) -> tuple[torch.Tensor, Seeds]:
        """Sizes `[starts, parameters]` and mappings to begin from, the most promising first.

        Both are those of earlier solutions and of the relaxed problem, whose factors are rounded; some random mappings
        join them.
        """
        found = self.journal.recall("begin", self._read_begin) if self.journal else None
        if found:
            for totals in found[2]:
                self.history.note("relax", relaxed=self._objective(*totals))
            return found[:2]
        sizes = []
        stages: list[tuple[float, float, float]] = []

        def note(energy_pj: float, cycles: float, area_mm2: float) -> None:
            stages.append((energy_pj, cycles, area_mm2))
            self.history.note("relax", relaxed=self._objective(energy_pj, cycles, area_mm2))

        seeds = [seeds_of(solution, self.groups) for solution in self.starts]
        if isinstance(self.hardware, HardwareSpace):
            sizes = [sizes_of(solution.architecture, self.hardware) for solution in self.starts]
        if self.effort.starts:
            relaxed = relax(
                self.groups,
                self.hardware,
                self.score.smooth,
                self.bench.counts,
                starts=self.effort.starts,
                generator=self._generator("relax"),
                rounds=self.effort.relax_rounds,
                report=note,
            )
            log.info("relaxed: value %s, violation %s", relaxed.value.tolist(), relaxed.violation.tolist())
            order = (relaxed.value + torch.where(relaxed.violation > 1e-2, BROKEN, 0.0)).argsort().tolist()
            sizes += list(relaxed.sizes[order].cpu())
            seeds += [self._rounded(relaxed, start) for start in order]
        begin = torch.stack(sizes) if sizes else torch.zeros(0), Seeds.join([*seeds, self._random_seeds(8)])
        if self.journal:
            self.journal.record("begin", {"sizes": begin[0], "seeds": dict(vars(begin[1])), "relaxed": stages})
        return begin

    def _read_begin(self, plain: dict[str, Any]) -> tuple[torch.Tensor, Seeds, list[list[float]]]:
        """(sizes, mappings, totals on the way there) that `_begin` recorded."""
        sizes = plain["sizes"]
        if isinstance(self.hardware, HardwareSpace) and len(sizes):
            check_table("sizes", sizes, (None, len(self.hardware.parameters)))
        stages = [[float(total) for total in totals] for totals in plain["relaxed"]]
        if any(len(totals) != 3 for totals in stages):
            raise ValueError("relaxed has other figures than three")
        return sizes, Seeds.from_plain(plain["seeds"], self.groups), stages

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
        indices = torch.stack([design.index for design in fleet if design.index is not None])
        shared = Seeds.join([*(design.chosen for design in fleet), fleet[0].seeds])
        own = [replace(shared, rate=design.chosen.rate) for design in fleet]
        return self.bench.fit(indices, own, effort.fit, effort.machines)

    def _refined(self, design: Design) -> Design:
        """The design's machine with better mappings: its own joined by others, searched for by themselves.

        Those others start near a quick lower bound of the machine. Beside mappings already improved they would die out
        before they are as good.
        """
        assert design.index is not None
        index, effort = design.index[None], self.effort.fleet
        others = self.bench.fit(index, [self._guided(design, effort.guided, "glance", GLANCE)], effort.longer)[0]
        return self.bench.fit(index, [Seeds.join([design.seeds, others.seeds])], effort.mappings)[0]

    def _guided(self, design: Design, copies: int, part: str, effort: BoundEffort) -> Seeds:
        """So many mappings of every layer near a lower bound of the design's machine."""
        guides = self._proof(self._architecture(design), effort).guides
        machine = self._machine(None if design.index is None else design.index[None])
        generator = self._generator(part, self.bench.searches)
        return guided_seeds(guides, self.groups, machine, copies, generator, design.chosen.rate)

    def _within(self, begin: float, end: float) -> Callable[[float], None]:
        """Reports of a part of the search that lies between two shares of it."""
        return lambda share: self._tick("search", begin + (end - begin) * share)

    def _descend(self, design: Design, tick: Callable[[float], None]) -> Design:
        """Step the hardware; on the way to a first design within the budget, for as long as it takes."""
        steps = self.effort.steps if design.score < BROKEN else max(self.effort.steps, TO_THE_BUDGET)
        return self.bench.descend(design, self.effort.step, steps, tick, self.pool)

    def _rounded(self, relaxed: Relaxed, start: int) -> Seeds:
        """Roundings of one relaxed solution's mappings, for its machine rounded to the grid."""
        copies = self.effort.roundings
        assignment, position = [], []
        generator = self._generator("round", start)
        index = (
            self._on_the_grid(relaxed.sizes[start].cpu())[None] if isinstance(self.hardware, HardwareSpace) else None
        )
        machine = self._machine(index)
        for group, logs, places in zip(self.groups, relaxed.logs, relaxed.position, strict=True):
            rounded = round_factors(group, logs[start : start + 1], copies, generator, machine=machine)[0]
            assignment.append(rounded)
            position.append(places[start][:, None].expand(-1, copies, -1, -1))
        return Seeds(assignment, position, float(relaxed.rate[start]))

    def _on_the_grid(self, sizes: torch.Tensor) -> torch.Tensor:
        """Grid indices `[parameters]` of the machine within the limits that is nearest to real sizes."""
        assert isinstance(self.hardware, HardwareSpace)
        return round_sizes(self.hardware, sizes, self.score.machine_excess)

    def _random_seeds(self, n: int) -> Seeds:
        generator = self._generator("random", self.bench.searches)
        device = self.request.device
        pairs = [random_start(g, torch.arange(len(g.layers), device=device), n, generator) for g in self.groups]
        return Seeds([a for a, _ in pairs], [p for _, p in pairs], self.best.chosen.rate if self.best else 1e3)

    def _generator(self, *part: int | str, device: torch.device | None = None) -> torch.Generator:
        """Randomness of one part of the run, whatever ran before; on the request's device unless another is given."""
        generator = torch.Generator(device or self.request.device)
        return generator.manual_seed(derive_seed(self.request.seed, *part))

    def _smallest(self) -> torch.Tensor | None:
        if not isinstance(self.hardware, HardwareSpace):
            return None
        return torch.zeros(1, len(self.hardware.parameters), dtype=torch.long)

    def _bound(self) -> float | None:
        """A value of the objective that no design goes below, None where nothing but 0 is proved."""
        self.phase, self.done, self.share = "bound", self.share, 1.0
        self._tick(self.phase, self.done)
        return self._proof(self.hardware, self.effort.bound).value or None

    def _diagnosis(self) -> Diagnosis:
        """Why no design keeps the budget; the nearest values come from short searches for them."""
        self._tick("diagnosis", 1.0)
        effort = replace(self.effort, machines=1, descents=1, polishes=min(1, self.effort.polishes))
        assert self.best is not None
        architecture, mappings = self.unfolded(self.best)
        costs, cost = price(self.request.layers, architecture, mappings)

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
        if self.best is None or design.score < self.best.score:
            self.best = design
            if design.score < BROKEN:
                self.trace.append((self.history.seconds, self._value(design)))
                self.history.note(self.phase, best=self._value(design))
        self._tick(self.phase, self.done)

    def _tick(self, phase: str, done: float) -> None:
        self.phase, self.done = phase, done
        self.history.note(phase)
        done *= self.share if phase != "done" else 1.0
        best = self._value(self.best) if self.best is not None and self.best.score < BROKEN else None
        bound = self.history.points[-1].bound
        self.listener(Progress(phase, done, best, self.history.seconds, bound))

    def _value(self, design: Design) -> float:
        """The objective of a design, in the unit of `NetworkCost.objective`."""
        return self._objective(design.energy_pj, design.cycles, design.area_mm2)

    def _objective(self, energy_pj: float, cycles: float, area_mm2: float) -> float:
        """The objective of totals, in the unit of `NetworkCost.objective`."""
        seconds = cycles * self.score.cycle_s
        totals = NetworkCost(cycles, energy_pj, seconds, energy_pj * 1e-12 / seconds, area_mm2, energy_pj * cycles)
        return totals.objective(self.request.objective)

    def _bounded(self, bound: float) -> None:
        """Keep a bound on the objective over all of the hardware."""
        self.history.note(self.phase, bound=bound)

    def unfolded(self, design: Design) -> tuple[Architecture, dict[str, Mapping]]:
        """The design's machine, and the mapping of every layer by its name."""
        tables = design.chosen
        mappings = {
            layer.name: group.mapping(i, tables.assignment[g][i, 0], tables.position[g][i, 0])
            for g, group in enumerate(self.groups)
            for i, layer in enumerate(group.layers)
        }
        return self._architecture(design), {layer.name: mappings[layer.name] for layer in self.request.layers}

    def _finish(self, status: str, lower: float | None, diagnosis: Diagnosis | None) -> Solution:
        assert self.best is not None
        request = self.request
        architecture, mappings = self.unfolded(self.best)
        if request.imperfect:
            mappings = self._imperfect(architecture, mappings)
        costs, cost = price(request.layers, architecture, mappings)
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

    def _imperfect(self, architecture: Architecture, mappings: dict[str, Mapping]) -> dict[str, Mapping]:
        """The mappings, improved by tiles that do not divide their layers."""
        request = self.request
        generator = self._generator("imperfect")
        with single_thread():
            refined, evaluated = refine(
                request.layers, architecture, mappings, self.score, generator, constraints=request.constraints
            )
        self.bench.evaluations += evaluated
        return refined
