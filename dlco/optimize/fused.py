"""`solve` with results that stay on the chip: the best plan of `dlco.fusion`, and machine, as a `Solution`."""

import logging
from collections.abc import Callable, Iterable
from dataclasses import replace

from dlco.design.objective import Objective
from dlco.design.solution import Solution
from dlco.errors import InvalidInput, NotSupported
from dlco.exact.case import Case
from dlco.exact.covered import why_not_covered
from dlco.interrupts import held
from dlco.optimize.effort import SolveEffort
from dlco.optimize.finish import Costed, finish
from dlco.optimize.fused_machines import MachineChoice
from dlco.optimize.fused_plan import PlanSearch, unit_of
from dlco.optimize.fused_solution import Variants, residents_of
from dlco.optimize.options import Options
from dlco.optimize.request import Request
from dlco.optimize.state import State
from dlco.progress import Listener, Progress
from dlco.tasks import single_thread
from dlco.workload.graph import Network
from dlco.workload.layer import Layer

log = logging.getLogger("dlco")

APART, SEARCHED = 0.3, 0.9  # shares of the time after which layers by themselves are done, and machines are

Apart = Callable[[Listener], Solution]
"""The best machine for layers by themselves; a listener is told how that gets on."""

OBJECTIVES = (Objective.LATENCY, Objective.ENERGY, Objective.EDP)


def check_fused(layers: Iterable[Layer], request: Request, options: Options) -> None:
    """Raise unless the search with results on the chip answers a request.

    Raises:
        InvalidInput: the network does not say who reads whose result, or something else is asked beside.
        NotSupported: another objective, a limit on single layers, or a layer that the exact search does not cover.
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
    if request.objective not in OBJECTIVES:
        raise NotSupported(f"fuse is True, and objective is {request.objective}; allowed: {', '.join(OBJECTIVES)}")
    if request.budget.layer_latency_s is not None:
        raise NotSupported("fuse is True, and budget has layer_latency_s; limits on the network are covered")
    for layer in request.layers:
        reason = why_not_covered(Case(layer.problem, request.hardware.base, request.constraints))
        if reason:
            raise NotSupported(
                f"fuse is True, but the exact search does not cover layer {layer.name!r} because {reason}"
            )


def solve_fused(
    network: Network, request: Request, effort: SolveEffort, listener: Listener, apart: Apart, *, bound: bool
) -> Solution:
    """The best of all choices of what stays on the chip that are looked at, with all mappings.

    Args:
        network: the request's layers, and their course.
        request: that `check_fused` lets pass.
        effort: its `batches`, `tiles` and `splits`, and of free sizes `machines`, `steps` and `boxes`; kept with the
            solution.
        listener: told how it gets on.
        apart: searches the machine that layers by themselves want, from which the search of free sizes begins.
        bound: whether to bound all machines of a space.

    Raises:
        NotSupported: a layer has no mapping that fits, or none was found.
        KeyboardInterrupt: it was interrupted before all layers had a mapping.
    """
    state = State(listener)
    space = request.hardware
    one = PlanSearch(network, space.base, request, effort, state) if space.is_fixed else None
    choice = None if space.is_fixed else MachineChoice(network, request, effort, state)
    first = None
    with held() as state.interrupts, single_thread():
        try:
            with state.interrupts.heard():
                if one is not None:
                    one.run(effort.tiles, effort.splits)
                elif choice is not None:
                    first = apart(_shared(state))
                    if first.status == "interrupted":
                        raise KeyboardInterrupt
                    state.part = APART, SEARCHED
                    choice.run(first)
                    if bound:
                        state.part = SEARCHED, 1.0
                        choice.bound()
        except KeyboardInterrupt:
            found = choice.best if choice else one
            if found is None or found.plan is None:
                if first is None:
                    raise
                return first if first.status == "infeasible" else replace(first, status="interrupted", message=STOPPED)
            state.interrupted = True
            log.warning("interrupted; returning the best design so far")
        found = choice.best if choice else one
        assert found is not None
        assert found.plan is not None
        lower = None
        if choice is not None and bound:
            lower, state.proof = choice.lower, choice.proof
        elif choice is None and not state.interrupted:
            lower, state.proof = found.plan.lower * unit_of(request), found.looked_at
        evaluations = choice.evaluated if choice else found.fronts.evaluated
        return _solution(network, request, effort, state, found, lower=lower, evaluations=evaluations)


STOPPED = "stopped before anything was fused: layers by themselves; run again without interruption for a better design"


def _shared(state: State) -> Listener:
    """Hears how the search of layers by themselves gets on, as the first part of a run."""

    def hear(progress: Progress) -> None:
        state.part = 0.0, APART
        state.report(progress.phase, progress.done)

    return hear


def _solution(
    network: Network,
    request: Request,
    effort: SolveEffort,
    state: State,
    found: PlanSearch,
    *,
    lower: float | None,
    evaluations: int,
) -> Solution:
    """The best plan of a machine as a solution."""
    plan = found.plan
    assert plan is not None
    variants = Variants(network, plan)
    solution = finish(
        replace(request, layers=variants.layers),
        effort,
        state,
        Costed.of(variants.layers, found.machine, variants.mappings),
        lower=lower,
        evaluations=evaluations,
        proved=plan.proved and not state.interrupted and request.hardware.is_fixed,
    )
    return replace(
        solution,
        course=tuple(variants.course),
        residents=residents_of(network, plan),
        chains=tuple(variants.chains),
    )
