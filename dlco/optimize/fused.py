"""`solve` with results that stay on the chip, on a fixed machine: the best plan of `dlco.fusion` as a `Solution`."""

from collections.abc import Iterable
from dataclasses import replace
from itertools import accumulate

from dlco.bound.region import TotalLimits
from dlco.design.fused_chain import FusedChain
from dlco.design.objective import Objective
from dlco.design.resident import Resident
from dlco.design.solution import Solution
from dlco.errors import InvalidInput, NotSupported
from dlco.exact.case import Case
from dlco.exact.covered import why_not_covered
from dlco.exact.layer_front import least_of
from dlco.fusion.chains import Candidates, candidates_of
from dlco.fusion.plan import Plan, Stretch, best_plan
from dlco.fusion.retained import Fronts
from dlco.interrupts import held
from dlco.mapping.mapping import Mapping
from dlco.optimize.effort import SolveEffort
from dlco.optimize.finish import Costed, finish
from dlco.optimize.options import Options
from dlco.optimize.request import Request
from dlco.optimize.state import State
from dlco.progress import Listener
from dlco.tasks import single_thread
from dlco.workload.graph import Network
from dlco.workload.layer import Layer
from dlco.workload.problem import Problem

OBJECTIVES = (Objective.LATENCY, Objective.ENERGY, Objective.EDP)


def check_fused(layers: Iterable[Layer], request: Request, options: Options) -> None:
    """Raise unless the search with results on the chip answers a request.

    Raises:
        InvalidInput: the network does not say who reads whose result, or something else is asked beside.
        NotSupported: the machine is free, or the exact search does not cover a layer.
    """
    if not isinstance(layers, Network) or not layers.graph.steps:
        raise InvalidInput(
            "fuse is True, but layers does not say which layer reads whose result; it must be a dlco.workload.Network "
            "with a graph, as get_graph, from_torch and from_onnx make it"
        )
    asked = {"imperfect": request.imperfect, "keep 'free'": request.keep_free, "uneven": request.uneven}
    asked |= {"start": bool(options.starts), "checkpoint": options.checkpoint is not None}
    asked["resume"] = options.resume is not None
    for name, given in asked.items():
        if given:
            raise InvalidInput(f"fuse is True and {name} is given; one of them is allowed")
    if not request.hardware.is_fixed:
        raise NotSupported(
            "fuse is True, but sizes of the hardware are free; results stay on the chip of fixed machines"
        )
    if request.objective not in OBJECTIVES or request.budget.power_w is not None:
        raise NotSupported(
            f"fuse is True, and mean power or area counts; allowed objectives: {', '.join(OBJECTIVES)}, and no limit "
            "on power"
        )
    if request.budget.layer_latency_s is not None:
        raise NotSupported("fuse is True, and budget has layer_latency_s; limits on the network are covered")
    for layer in request.layers:
        reason = why_not_covered(Case(layer.problem, request.hardware.base, request.constraints))
        if reason:
            raise NotSupported(
                f"fuse is True, but the exact search does not cover layer {layer.name!r} because {reason}"
            )


def solve_fused(network: Network, request: Request, effort: SolveEffort, listener: Listener) -> Solution:
    """The best of all choices of what stays on the chip that are looked at, with all mappings.

    Args:
        network: the request's layers, and their course.
        request: that `check_fused` lets pass.
        effort: its `batches` and `tiles`; kept with the solution.
        listener: told how it gets on.

    Raises:
        NotSupported: a layer has no mapping that fits, or none was found.
        KeyboardInterrupt: it was interrupted before all layers had a mapping.
    """
    state = State(listener)
    search = _Search(network, request, effort, state)
    with held() as state.interrupts, single_thread():
        try:
            with state.interrupts.heard():
                search.run()
        except KeyboardInterrupt:
            if search.plan is None:
                raise
            state.interrupted = True
        plan = search.plan
        assert plan is not None
        variants = _Variants(network, plan)
        lower = None
        if not state.interrupted:
            lower = plan.lower * request.objective.unit_of_product(request.hardware.base.cycle_s) * (1 - 1e-12)
            state.proof = search.looked_at
        found = finish(
            replace(request, layers=variants.layers),
            effort,
            state,
            Costed.of(variants.layers, request.hardware.base, variants.mappings),
            lower=lower,
            evaluations=plan.evaluated,
            proved=plan.proved and not state.interrupted,
        )
        return replace(
            found,
            course=tuple(variants.course),
            residents=_residents(network, plan),
            chains=tuple(variants.chains),
        )


class _Search:
    """Layer by layer first, then with all that may stay on the chip.

    Attributes:
        plan: the best so far; `looked_at`: among which tilings, in words.
    """

    def __init__(self, network: Network, request: Request, effort: SolveEffort, state: State) -> None:
        self.network, self.request, self.effort, self.state = network, request, effort, state
        self.machine = request.hardware.base
        self.fronts = Fronts(self.machine, request.constraints, effort.batches)
        self.plan: Plan | None = None
        self.looked_at = ""

    def run(self) -> None:
        """Search, within the limits where they can be kept."""
        limits = TotalLimits.of(self.request.budget, self.machine.cycle_s)
        candidates = candidates_of(self.network, self.machine, self.request.constraints)
        for within in (limits, TotalLimits()):
            unit = self.request.objective.unit_of_product(self.machine.cycle_s) if within is limits else None
            self._best(within, unit, 0.0, 0.2)
            self._best(within, unit, 0.2, 1.0, candidates)
            if self.plan is not None:
                break
        assert self.plan is not None
        if candidates.listed:
            searched = len(candidates.chosen) - self.plan.untried
            self.looked_at = "no choice of results that stay whole is better; " if self.plan.whole else ""
            self.looked_at += f"the bound holds for all tilings of chains; of {candidates.listed:,} that fit, "
            self.looked_at += f"{len(candidates.chosen):,} were looked at and {searched:,} searched in full"

    def _best(
        self, within: TotalLimits, unit: float | None, begin: float, end: float, stays: Candidates | None = None
    ) -> None:
        """Look for a better plan: layer by layer, or with all that may stay. Values that count come with their unit."""

        def improved(plan: Plan) -> None:
            self.plan = plan
            if unit is not None:
                value = least_of(self.request.objective, plan.energy_pj, plan.cycles) * unit
                if value < self.state.least:
                    self.state.improve(value)

        plan = best_plan(
            self.network,
            self.machine,
            self.request.objective,
            within,
            self.request.constraints,
            fronts=self.fronts,
            retain=stays is not None,
            fused=stays.chosen if stays else (),
            beyond=stays.chains if stays else (),
            searches=self.effort.tiles,
            report=self.state.reports("search", begin, end),
            improved=improved,
        )
        self.plan = plan or self.plan


Key = tuple[str, Problem, Mapping]
"""A layer, what of it runs, and how."""


class _Variants:
    """What runs under a plan as layers of a solution.

    Attributes:
        runs: how often each is run; `names`: of each.
        course: names of what the steps run, in chains of the first part of each.
        chains: what runs tile by tile.
    """

    def __init__(self, network: Network, plan: Plan) -> None:
        self.network = network
        self.runs: dict[Key, int] = {}
        self.names: dict[Key, str] = {}
        self.course: list[str] = []
        self.chains: list[FusedChain] = []
        for stretch in plan.stretches:
            self._add(stretch)

    @property
    def layers(self) -> tuple[Layer, ...]:
        """One for every part of a layer and every mapping that it runs under."""
        by_name = self.network.by_name
        return tuple(
            replace(by_name[key[0]], name=self.names[key], problem=key[1], count=count)
            for key, count in self.runs.items()
        )

    @property
    def mappings(self) -> dict[str, Mapping]:
        """By name."""
        return {name: key[2] for key, name in self.names.items()}

    def _add(self, stretch: Stretch) -> None:
        first: dict[int, str] = {}
        parts: dict[tuple[int, Problem, bool], str] = {}
        for part, mapping in zip(stretch.parts, stretch.mappings, strict=True):
            key = self.network.graph.steps[part.step].layer, part.problem, mapping
            name = self._name(key)
            self.runs[key] = self.runs.get(key, 0) + part.count
            first.setdefault(part.step, name)
            parts[part.step, part.problem, bool(part.residence.loaded)] = name
        if stretch.fused is None:
            self.course += [name for name in first.values() for _ in range(stretch.parts[0].count)]
            return
        fused, begins = stretch.fused, len(self.course)
        self.course += first.values()
        steps = [(fused.first + run.layer, run.problem, run.first) for run, _ in fused.tiled.parts()]
        names = tuple(parts.get(key) or parts[key[0], key[1], False] for key in steps)
        self.chains.append(FusedChain(fused.level, begins, fused.tiled.chain, fused.tiled.tiling, names))

    def _name(self, key: Key) -> str:
        """The layer's name, or one with a number where it runs under several mappings; of a part, one that says so."""
        if key not in self.names:
            layer, problem, _ = key
            own = layer if problem == self.network.by_name[layer].problem else f"{layer}_tile"
            taken = {*self.names.values(), *(name for name in self.network.by_name if name != own)}
            number, name = 1, own
            while name in taken:
                number += 1
                name = f"{own}_{number}"
            self.names[key] = name
        return self.names[key]


def _residents(network: Network, plan: Plan) -> tuple[Resident, ...]:
    """What is retained, by positions in the course."""
    graph = network.graph
    starts = [0, *accumulate(step.count for step in graph.steps)]
    found = []
    for tensor, level in plan.residents:
        for at, words, last in zip(tensor.steps, tensor.words, tensor.last, strict=True):
            reads = tuple((starts[edge.target], edge.space) for edge in graph.outputs[at] if edge.space is not None)
            found.append(Resident(level, words, starts[at], starts[last], reads))
    return tuple(found)
