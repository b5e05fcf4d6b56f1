"""`cosearch()`: a network and an accelerator for it, chosen together under hard limits."""

import logging
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Unpack, overload

import torch

from dlco.design.accelbench_design import AccelBenchDesign
from dlco.design.budget import Budget
from dlco.design.codesign import STATUSES, CoDesign, text_of
from dlco.design.objective import Objective
from dlco.design.weighted_sum import WeightedSum
from dlco.errors import Infeasible, InvalidInput
from dlco.hardware.accelbench import AccelBench, AccelBenchSpace
from dlco.hardware.architecture import Architecture
from dlco.hardware.constraints import Constraints
from dlco.hardware.space import HardwareSpace, as_space
from dlco.interrupts import Interrupts, held
from dlco.journal import Journal
from dlco.mapping.constraints import check_constraints, stated
from dlco.mapping.kept import FREE
from dlco.nas.accelbench import as_accelerators, refuse_mapping, search_accelerators
from dlco.nas.answer import Stopped, as_found, asked_again, better, front_of, point_of, without_constraints
from dlco.nas.checkpoint import identity
from dlco.nas.evaluator import Evaluator, Exhausted
from dlco.nas.exact_costs import ExactCosts, Wanted
from dlco.nas.methods import find_method
from dlco.nas.options import CoOptions, CosearchOptions
from dlco.nas.oracles.accuracy import Accuracy, most_accurate
from dlco.nas.request import CoRequest
from dlco.nas.space import FactoredSpace, NetworkSpace
from dlco.optimize import SolveEffort
from dlco.optimize.options import check_effort, check_flag, check_seed
from dlco.optimize.solve import solve_again
from dlco.progress import Listener, Progress
from dlco.progress_bar import listening
from dlco.search import LayerCosts
from dlco.tasks import single_thread
from dlco.workload.problem import check_positive_int

log = logging.getLogger("dlco")

FINAL = SolveEffort(starts=0, polishes=1)  # the pair's mappings are there to start from
ATTEMPTS = 3  # at a pair, whose accuracy may take long, where interrupts come before the first
SEARCH_SHARE = 0.9  # of the progress; the rest is the final solve's
PROBES = 3  # networks by which constraints are checked where a space does not list its layers


@overload
def cosearch(
    space: NetworkSpace[Any],
    oracle: Accuracy,
    hardware: Architecture | HardwareSpace,
    objective: str | WeightedSum = ...,
    budget: Budget | None = ...,
    *,
    least_accuracy: float | None = ...,
    method: str | None = ...,
    evaluations: int | None = ...,
    seed: int = ...,
    bound: bool = ...,
    progress: bool | Listener = ...,
    effort: SolveEffort | None = ...,
    **options: Unpack[CosearchOptions],
) -> CoDesign: ...
@overload
def cosearch(
    space: NetworkSpace[Any],
    oracle: Accuracy,
    hardware: AccelBench | AccelBenchSpace,
    objective: str | WeightedSum = ...,
    budget: Budget | None = ...,
    *,
    least_accuracy: float | None = ...,
    method: str | None = ...,
    evaluations: int | None = ...,
    seed: int = ...,
    bound: bool = ...,
    progress: bool | Listener = ...,
    effort: SolveEffort | None = ...,
    **options: Unpack[CosearchOptions],
) -> AccelBenchDesign: ...
def cosearch(
    space: NetworkSpace[Any],
    oracle: Accuracy,
    hardware: Architecture | HardwareSpace | AccelBench | AccelBenchSpace,
    objective: str | WeightedSum = Objective.EDP,
    budget: Budget | None = None,
    *,
    least_accuracy: float | None = None,
    method: str | None = None,
    evaluations: int | None = None,
    seed: int = 0,
    bound: bool = False,
    progress: bool | Listener = False,
    effort: SolveEffort | None = None,
    **options: Unpack[CosearchOptions],
) -> CoDesign | AccelBenchDesign:
    """Choose a network and a machine together, and map the network on it.

    A method proposes pairs of a network and a machine; each is costed exactly, layer by layer, with mappings searched
    for it. The best pair's mappings are then solved for once more, from those found, so that the answer carries the
    mapping of every layer and the exact model's figures of it.

    Args:
        space: the networks.
        oracle: their accuracies. What a search maximises it finds optimistic values of: judge the winner anew.
        hardware: a machine, or a space of them; or one of AccelBench's accelerators or a space of these
            (`dlco.hardware.AccelBenchSpace`), which map layers in their own way: then all that is about mappings is
            refused, energy and latency are an image's share of the accelerator's batch, and the answer is an
            `AccelBenchDesign`.
        objective: "accuracy", which is to be large, or "latency", "energy", "edp", "power", "area", to be small; or a
            `WeightedSum` of accuracy and costs, to be small.
        budget: hard limits: area, power, latency, energy, PEs.
        least_accuracy: hard limit on accuracy, percent.
        method: "relaxed" (the default where layers are mapped: architecture, mapping and hardware in one nonlinear
            program, rounded, and searched around; for spaces with factors), "surrogate" (learns from the pairs
            evaluated; the default for spaces without factors), "boshcode" (that as published), "evolutionary"
            (NSGA-II), "local-search" (the default on AccelBench), "two-stage" (first the network on the base machine,
            then the machine for it), "fixed-network", "fixed-hardware", "random".
        evaluations: pairs that may be evaluated; by default the search ends where `PATIENCE` in a row
            (`dlco.nas.evaluator`) bring no better pair.
        seed: the same seed gives the same design.
        bound: whether to prove a lower bound for the network on its machine; not of a sum.
        progress: True for a progress bar, or a callable that takes `Progress`.
        effort: of the final solve.
        **options: see `CosearchOptions`.

    Returns:
        A `CoDesign`. Its status is "infeasible" where no pair within the limits was found, "interrupted" after
        Ctrl-C; both carry the best pair found.

    Raises:
        InvalidInput: an argument is not what it should be, the method does not work on this kind of space, or no
            mapping was found that meets the constraints.
        Infeasible: the oracle knows of no network that is so accurate.
    """
    given = CoOptions(**options)
    check_run(given, seed, bound, evaluations)
    mapped = not isinstance(hardware, AccelBench | AccelBenchSpace)
    method = method_for(space, method, mapped=mapped)
    limits = Budget() if budget is None else budget
    pins: Any = given.network, given.machine  # checked there
    if isinstance(hardware, AccelBench | AccelBenchSpace):
        refuse_mapping(given, bound=bound, effort=effort)
        request = CoRequest(space, oracle, as_accelerators(hardware), objective, limits, least_accuracy, *pins)

        def search(request: CoRequest, evaluator: Evaluator) -> None:
            _check_reach(evaluator)
            explore(request, evaluator, method, seed)

        return search_accelerators(
            request,
            search,
            method=method,
            evaluations=evaluations,
            queries=given.queries,
            seed=seed,
            progress=progress,
        )
    request = CoRequest(space, oracle, as_space(hardware), objective, limits, least_accuracy, *pins)
    asked = PairSearch.of(request, given, method, evaluations, seed, bound=bound, effort=effort)
    with (
        held(),
        listening(progress, text_of(request.goal)) as listener,
        given.recording(asked.identity if given.is_kept else None) as journal,
    ):
        return asked.run(journal, listener)


def check_run(given: CoOptions, seed: object, bound: object, evaluations: object) -> None:
    """Raise `InvalidInput` unless a co-search can be run so."""
    given.refuse_fused("cosearch")
    check_seed(seed)
    check_flag("bound", bound)
    if evaluations is not None:
        check_positive_int("evaluations", evaluations)


def method_for(space: object, method: str | None, *, mapped: bool = True) -> str:
    """The method, or that which fits the space and the hardware; `InvalidInput` for an unknown one."""
    if method is None:
        method = "local-search" if not mapped else "relaxed" if isinstance(space, FactoredSpace) else "surrogate"
    find_method(method)
    return method


@dataclass(frozen=True)
class PairSearch:
    """A co-search on hardware that layers are mapped on, its arguments checked; `run` runs it, once.

    Attributes:
        request: the question, with constraints as the hardware's own; `machines`: the hardware without them.
        costs: of layers on machines.
        given, method, evaluations, seed, bound, effort: as `cosearch` has them.
    """

    request: CoRequest
    machines: HardwareSpace
    costs: LayerCosts
    given: CoOptions
    method: str
    evaluations: int | None
    seed: int
    bound: bool
    effort: SolveEffort

    @staticmethod
    def of(
        request: CoRequest,
        given: CoOptions,
        method: str,
        evaluations: int | None,
        seed: int,
        *,
        bound: bool,
        effort: SolveEffort | None,
    ) -> "PairSearch":
        """The search for a request, without the constraints of the options; raises as `cosearch`, before any work."""
        if bound and request.weights:
            raise InvalidInput("bound is True, and no bound of a weighted sum is proved; allowed: False")
        effort = FINAL if effort is None else check_effort(effort, SolveEffort)
        machines, request = request.sized_hardware, _constrained(request, given.constraints)
        costs = _checked_costs(request, given, seed)
        return PairSearch(request, machines, costs, given, method, evaluations, seed, bound, effort)

    @property
    def identity(self) -> tuple[object, ...]:
        """By what a checkpoint knows the run again, before it begins."""
        given = self.given
        chosen = given.imperfect, given.keep, given.uneven
        how = self.method, self.evaluations, given.queries, self.seed, self.effort, self.bound, given.device
        return identity(self.request, self.costs, *how, *chosen, given.starts)

    def run(self, journal: Journal | None, listener: Listener) -> CoDesign:
        """The best pair; returns and raises as `cosearch`. The journal, if any, keeps finished parts."""
        request, costs, given, method, seed = self.request, self.costs, self.given, self.method, self.seed
        started = time.perf_counter()
        mappings = costs.evaluations
        interrupted = False
        with held() as interrupts, costs.recording(journal):
            evaluator = Evaluator(request, costs, self.evaluations, given.queries, journal)

            shown = 0.0

            def tell(phase: str, done: float) -> None:
                nonlocal shown
                shown = max(shown, done)  # a better pair may put the end off
                best = evaluator.best
                value = request.value(best) if best is not None and best.feasible else None
                listener(Progress(phase, shown, value, time.perf_counter() - started))

            def tell_of_solve(progress: Progress) -> None:
                tell("final solve", SEARCH_SHARE + (1 - SEARCH_SHARE) * progress.done)

            evaluator.on_call = lambda: tell("co-search", SEARCH_SHARE * evaluator.done)
            try:
                with interrupts.heard():
                    _check_reach(evaluator)
                    explore(request, evaluator, method, seed)
            except KeyboardInterrupt:
                interrupted = True
                log.warning("interrupted; returning the best pair so far")
            if evaluator.best is None:
                _evaluate_any(evaluator, method, seed, interrupts)
            best = evaluator.best
            assert best is not None
            start = interrupts.insist(lambda: as_found(evaluator, best, seed, given.keep))
            solution, solved = start, 0
            if not interrupted:
                try:
                    interrupts.check()
                    asked = asked_again(request, start)
                    found = solve_again(
                        asked, self.effort, given, bound=self.bound, listener=tell_of_solve, journal=journal
                    )
                    interrupted, solved = found.status == "interrupted", found.evaluations
                    solution = better(request, replace(found, budget=start.budget), start)
                except KeyboardInterrupt:  # between the parts of the solve, which returns what it has by itself
                    interrupted = True
            with suppress(KeyboardInterrupt):  # too late to stop anything
                tell("done", 1.0)
            met = solution.status != "infeasible" and best.accuracy >= (request.least_accuracy or 0.0)
            status = "interrupted" if interrupted else "solved" if met else "infeasible"

            def design() -> CoDesign:
                return CoDesign(
                    status=status,
                    message=STATUSES[status],
                    method=method,
                    objective=request.goal,
                    weights=request.weights,
                    seed=seed,
                    least_accuracy=request.least_accuracy,
                    space=request.space.name,
                    network=request.space.format(best.pair.network),
                    accuracy=best.accuracy,
                    solution=without_constraints(solution, self.machines),
                    trace=tuple(
                        point_of(request, one.best, one.evaluations, one.queries) for one in evaluator.improvements
                    ),
                    front=front_of(evaluator),
                    sizes=self.machines.names,
                    evaluations=evaluator.evaluations,
                    queries=evaluator.queries,
                    mappings=costs.evaluations - mappings + solved,
                    seconds=time.perf_counter() - started,
                )

            return interrupts.insist(design)


def explore(request: CoRequest, evaluator: Evaluator, method: str, seed: int) -> None:
    """The search of `cosearch` alone: what it finds is left in the evaluator.

    Raises:
        InvalidInput: the method is unknown, or does not work on this kind of space.
    """
    search = find_method(method)
    with single_thread(), suppress(Exhausted):
        search(request, evaluator, seed)


def _constrained(request: CoRequest, constraints: Constraints | None) -> CoRequest:
    """The request with constraints as the hardware's own, so that every search of mappings on it keeps them.

    Raises:
        InvalidInput: they name what is not there, or contradict the hardware's own.
    """
    if constraints is None:
        return request
    space = request.space
    if isinstance(space, FactoredSpace):
        layers = list(space.layers)
    else:
        some = request.sample_networks(PROBES, torch.Generator().manual_seed(0))
        layers = [layer for network in some for layer in space.to_layers(network)]
    check_constraints(request.sized_hardware.base, [layer.problem for layer in layers], constraints)
    return replace(request, hardware=_with(request.sized_hardware, constraints))


def _with(hardware: HardwareSpace, constraints: Constraints | None) -> HardwareSpace:
    """The hardware with constraints beside its own."""
    return replace(hardware, base=replace(hardware.base, constraints=stated(hardware.base, constraints)))


def _checked_costs(request: CoRequest, options: CoOptions, seed: int) -> LayerCosts:
    """Those given, or new ones."""
    costs = options.costs
    if costs is None and request.machine is not None:
        wanted = Wanted(options.imperfect, options.keep == FREE, options.uneven)
        return ExactCosts(request.sized_hardware, request.score, seed=seed, device=options.device, wanted=wanted)
    if costs is None:
        return LayerCosts(request.sized_hardware, request.score, seed=seed, device=options.device)
    if not isinstance(costs, LayerCosts):
        raise InvalidInput(f"costs is {costs!r}; it must be a dlco.search.LayerCosts")
    if _with(costs.hardware, costs.constraints) != request.sized_hardware or costs.score != request.score:
        raise InvalidInput("costs were found on other hardware, or for another objective, other limits or constraints")
    return costs


def _evaluate_any(evaluator: Evaluator, method: str, seed: int, interrupts: Interrupts) -> None:
    """Some pair, where the search ended before the first; `Stopped` where this is interrupted every time."""
    generator = torch.Generator().manual_seed(seed)
    evaluator.on_call = lambda: None
    for _ in range(ATTEMPTS):
        try:
            with interrupts.heard(), single_thread(), suppress(Exhausted):
                evaluator.evaluate(evaluator.request.sample_pairs(1, generator))
        except KeyboardInterrupt:
            continue
        break
    if evaluator.best is None:
        raise Stopped(f"method {method!r} was stopped before any pair was evaluated; let it run for longer")


def _check_reach(evaluator: Evaluator) -> None:
    """Refuse an accuracy that no network has, as far as the oracle knows: `Infeasible`."""
    request = evaluator.request
    least, network = request.least_accuracy, request.network
    if least is None:
        return
    if network is not None:  # the search would ask for it anyway
        most, whose = float(evaluator.accuracy([network])[0]), "the only network allowed has"
    else:
        most, whose = most_accurate(request.oracle), f"no network of {request.space.name!r} has more than"
    if most < least:
        raise Infeasible(f"least_accuracy is {least:g} %; {whose} {most:.4g} % by this oracle")
