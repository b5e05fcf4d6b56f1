"""`solve` with results that stay on the chip, on a fixed machine: the best plan of `dlco.fusion` as a `Solution`."""

from collections.abc import Iterable
from dataclasses import replace
from itertools import accumulate

from dlco.bound.region import TotalLimits
from dlco.design.objective import Objective
from dlco.design.resident import Resident
from dlco.design.solution import Solution
from dlco.errors import InvalidInput, NotSupported
from dlco.exact.case import Case
from dlco.exact.covered import why_not_covered
from dlco.fusion.plan import Plan, best_plan
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
    """The proved best of all choices of what stays on the chip, with all mappings.

    Args:
        network: the request's layers, and their course.
        request: that `check_fused` lets pass.
        effort: its `batches`; kept with the solution.
        listener: told how it gets on.

    Raises:
        NotSupported: a layer has no mapping that fits, or none was found.
        KeyboardInterrupt: it was interrupted: before all fronts are known there is no plan.
    """
    state, machine = State(listener), request.hardware.base
    fronts = Fronts(machine, request.constraints, effort.batches)
    limits = TotalLimits.of(request.budget, machine.cycle_s)

    def searched(within: TotalLimits) -> Plan | None:
        return best_plan(
            network,
            machine,
            request.objective,
            within,
            request.constraints,
            fronts=fronts,
            report=lambda share: state.report("search", share),
        )

    with held() as state.interrupts, single_thread(), state.interrupts.heard():
        plan = searched(limits) or searched(TotalLimits())
    assert plan is not None
    layers, mappings, course = _variants(network, plan)
    lower = plan.lower * request.objective.unit_of_product(machine.cycle_s) * (1 - 1e-12)
    found = finish(
        replace(request, layers=layers),
        effort,
        state,
        Costed.of(layers, machine, mappings),
        lower=lower,
        evaluations=plan.evaluated,
        proved=plan.proved,
    )
    return replace(found, course=course, residents=_residents(network, plan))


def _variants(network: Network, plan: Plan) -> tuple[tuple[Layer, ...], dict[str, Mapping], tuple[str, ...]]:
    """(a layer for every mapping that the network's layers run under, mappings by name, names in the course)."""
    runs: dict[tuple[str, Mapping], int] = {}
    names: dict[tuple[str, Mapping], str] = {}
    course: list[str] = []
    taken = set(network.by_name)
    for step, mapping in zip(network.graph.steps, plan.mappings, strict=True):
        key = step.layer, mapping
        if key not in names:
            number = sum(layer == step.layer for layer, _ in names) + 1
            name = step.layer if number == 1 else f"{step.layer}_{number}"
            while number > 1 and name in taken:
                number += 1
                name = f"{step.layer}_{number}"
            names[key] = name
            taken.add(name)
        runs[key] = runs.get(key, 0) + step.count
        course += [names[key]] * step.count
    layers = tuple(
        replace(network.by_name[layer], name=names[layer, mapping], count=count)
        for (layer, mapping), count in runs.items()
    )
    return layers, {names[key]: key[1] for key in names}, tuple(course)


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
