"""`cosearch()`: a network and an accelerator for it, chosen together under hard limits."""

import logging
import os
import time
from collections.abc import Callable, Hashable, Sequence
from contextlib import suppress
from typing import Any

import torch
from torch import Tensor

from dlco.design.budget import Budget, broken_limits
from dlco.design.codesign import STATUSES, CoDesign, CoPoint, best_pairs, text_of
from dlco.design.network_cost import evaluate_network
from dlco.design.objective import Objective
from dlco.design.solution import Solution
from dlco.errors import Infeasible, InvalidInput
from dlco.hardware.architecture import Architecture
from dlco.hardware.space import HardwareSpace, as_space
from dlco.interrupts import Interrupts, held
from dlco.journal import Journal, recording
from dlco.mapping.constraints import announce
from dlco.nas.checkpoint import identity
from dlco.nas.evaluator import Evaluator, Exhausted
from dlco.nas.methods import find_method
from dlco.nas.oracles.accuracy import Accuracy, most_accurate
from dlco.nas.problem import Candidate, CoProblem, Pair
from dlco.nas.space import Space
from dlco.optimize.effort import SolveEffort
from dlco.optimize.options import check_effort, check_flag, check_seed
from dlco.optimize.phases.shared import make_run
from dlco.optimize.request import make_request
from dlco.optimize.run import search_design
from dlco.progress import Listener, Progress
from dlco.progress_bar import listening
from dlco.search.layer_costs import LayerCosts
from dlco.tasks import single_thread
from dlco.workload.problem import check_positive_int

log = logging.getLogger("dlco")

FINAL = SolveEffort(starts=0, polishes=1)  # the pair's mappings are there to start from
ATTEMPTS = 3  # at a pair, whose accuracy may take long, where interrupts come before the first
SEARCH_SHARE = 0.9  # of the progress; the rest is the final solve's


def cosearch(
    space: Space[Any],
    oracle: Accuracy,
    hardware: Architecture | HardwareSpace,
    budget: Budget | None = None,
    objective: str = "edp",
    *,
    least_accuracy: float | None = None,
    method: str = "relaxed",
    evaluations: int = 300,
    queries: int | None = None,
    network: Hashable | None = None,
    machine: Sequence[int] | None = None,
    seed: int = 0,
    effort: SolveEffort | None = None,
    bound: bool = False,
    costs: LayerCosts | None = None,
    progress: bool | Listener = False,
    checkpoint: str | os.PathLike[str] | None = None,
    resume: str | os.PathLike[str] | None = None,
) -> CoDesign:
    """Choose a network and a machine together, and map the network on it.

    A method proposes pairs of a network and a machine; each is priced exactly, layer by layer, with mappings searched
    for it. The best pair's mappings are then solved for once more, from those found, so that the answer carries the
    mapping of every layer and the exact model's figures of it.

    Args:
        space: the networks.
        oracle: their accuracies. What a search maximises it finds optimistic values of: judge the winner anew.
        hardware: a machine, or a space of them.
        budget: hard limits: area, power, latency, energy, PEs.
        objective: "accuracy", which is to be large, or "latency", "energy", "edp", "power", "area", to be small.
        least_accuracy: hard limit on accuracy, percent.
        method: "relaxed" (the default: architecture, mapping and hardware in one nonlinear program, rounded, and
            searched around; for spaces with factors), "surrogate" (learns from the pairs evaluated), "evolutionary"
            (NSGA-II), "local-search", "two-stage" (first the network on the base machine, then the machine for it),
            "fixed-network", "fixed-hardware", "random".
        evaluations: pairs that may be evaluated.
        queries: networks that the oracle may be asked about; by default as many as come up.
        network: allow this network alone, by any method (a one-sided search).
        machine: allow this machine alone, by grid positions (the other one).
        seed: the same seed gives the same design.
        effort: of the final solve.
        bound: whether to prove a lower bound for the network on its machine.
        costs: layers' costs found by earlier searches on the same hardware, for the same objective and limits.
        progress: True for a progress bar, or a callable that takes `Progress`.
        checkpoint: a new file, in which finished parts of the run are kept: the oracle's answers, the layers'
            mappings, the relaxation, the parts of the final solve.
        resume: the checkpoint of an earlier run with the same arguments, to go on from where it was cut off; the
            co-design is the one that the earlier run would have found. The oracle must be the same too; one without a
            gradient is told apart from others by its class only.

    Returns:
        A `CoDesign`. Its status is "infeasible" where no pair within the limits was found, "interrupted" after
        Ctrl-C; both carry the best pair found.

    Raises:
        InvalidInput: an argument is not what it should be, or the method does not work on this kind of space.
        Infeasible: the oracle knows of no network that is so accurate.
    """
    problem = CoProblem(
        space,
        oracle,
        hardware,
        objective,
        Budget() if budget is None else budget,
        least_accuracy,
        network,
        machine,  # type: ignore[arg-type]  # checked there
    )
    find_method(method)
    check_positive_int("evaluations", evaluations)
    if queries is not None:
        check_positive_int("queries", queries)
    check_seed(seed)
    check_flag("bound", bound)
    check_effort(effort, SolveEffort)
    if costs is None:
        costs = LayerCosts(hardware, problem.score, seed=seed)
    elif not isinstance(costs, LayerCosts):
        raise InvalidInput(f"costs is {costs!r}; it must be a dlco.nas.LayerCosts")
    elif costs.hardware != as_space(hardware) or costs.score != problem.score:
        raise InvalidInput("costs were found on other hardware, or for another objective or other limits")
    started = time.perf_counter()
    mappings = costs.evaluations
    interrupted = False
    kept = checkpoint is not None or resume is not None
    asked = identity(problem, costs, method, evaluations, queries, seed, effort, bound) if kept else None
    with (
        held() as interrupts,
        listening(progress, text_of(objective)) as listener,
        recording(checkpoint, resume, asked) as journal,
        costs.recording(journal),
    ):
        evaluator = Evaluator(problem, costs, evaluations, queries, _ticker(listener, started), journal)
        try:
            with interrupts.heard():
                _check_reach(problem, evaluator)
                explore(problem, evaluator, method, seed)
        except KeyboardInterrupt:
            interrupted = True
            log.warning("interrupted; returning the best pair so far")
        if evaluator.best is None:
            _evaluate_any(problem, evaluator, method, seed, interrupts)
        best = evaluator.best
        assert best is not None
        start = interrupts.insist(lambda: _as_found(problem, evaluator, best, seed))
        solution, solved = start, 0
        if not interrupted:
            tell = _final_ticker(listener, started, problem.value(best) if best.feasible else None)
            try:
                interrupts.check()
                found = _solved(start, seed, effort or FINAL, bound, tell, journal)
                interrupted, solved = found.status == "interrupted", found.evaluations
                solution = min((found, start), key=lambda one: float(problem.score(*_totals(one))))
            except KeyboardInterrupt:  # between the parts of the solve, which returns what it has by itself
                interrupted = True
        with suppress(KeyboardInterrupt):  # too late to stop anything
            listener(Progress("done", 1.0, problem.value(best), time.perf_counter() - started))
        met = solution.status != "infeasible" and best.accuracy >= (problem.least_accuracy or 0.0)
        status = "interrupted" if interrupted else "solved" if met else "infeasible"

        def design() -> CoDesign:
            return CoDesign(
                status=status,
                message=STATUSES[status],
                method=method,
                objective=objective,
                seed=seed,
                least_accuracy=least_accuracy,
                space=space.name,
                network=space.format(best.pair.network),
                accuracy=best.accuracy,
                solution=solution,
                trace=tuple(_point(problem, s.best, s.evaluations, s.queries) for s in evaluator.trace),
                front=_front(problem, evaluator),
                sizes=hardware.names if isinstance(hardware, HardwareSpace) else (),
                evaluations=evaluator.evaluations,
                queries=evaluator.queries,
                mappings=costs.evaluations - mappings + solved,
                seconds=time.perf_counter() - started,
            )

        return interrupts.insist(design)


def _evaluate_any(problem: CoProblem, evaluator: Evaluator, method: str, seed: int, interrupts: Interrupts) -> None:
    """Some pair, where the search ended before the first; `InvalidInput` where this is interrupted every time."""
    generator = torch.Generator().manual_seed(seed)
    evaluator.on_call = lambda evaluator: None
    for _ in range(ATTEMPTS):
        try:
            with interrupts.heard(), single_thread(), suppress(Exhausted):
                network, machine = problem.sample_networks(1, generator)[0], problem.sample_machines(1, generator)[0]
                evaluator.evaluate([Pair(network, machine)])
        except KeyboardInterrupt:
            continue
        break
    if evaluator.best is None:
        raise InvalidInput(f"method {method!r} was stopped before any pair was evaluated; let it run for longer")


def _check_reach(problem: CoProblem, evaluator: Evaluator) -> None:
    """Refuse an accuracy that no network has, as far as the oracle knows: `Infeasible`."""
    least, network = problem.least_accuracy, problem.network
    if least is None:
        return
    if network is not None:  # the search would ask for it anyway
        most, whose = float(evaluator.accuracy([network])[0]), "the only network allowed has"
    else:
        most, whose = most_accurate(problem.oracle), f"no network of {problem.space.name!r} has more than"
    if most < least:
        raise Infeasible(f"least_accuracy is {least:g} %; {whose} {most:.4g} % by this oracle")


def explore(problem: CoProblem, evaluator: Evaluator, method: str, seed: int) -> None:
    """The search of `cosearch` alone: what it finds is left in the evaluator.

    Raises:
        InvalidInput: the method is unknown, or does not work on this kind of space.
    """
    search = find_method(method)
    with single_thread(), suppress(Exhausted):
        search(problem, evaluator, seed)


def _ticker(listener: Listener, started: float) -> Callable[[Evaluator], None]:
    def tick(evaluator: Evaluator) -> None:
        best = evaluator.best
        value = evaluator.problem.value(best) if best is not None and best.feasible else None
        done = SEARCH_SHARE * min(1.0, evaluator.evaluations / evaluator.limit)
        listener(Progress("co-search", done, value, time.perf_counter() - started))

    return tick


def _final_ticker(listener: Listener, started: float, best: float | None) -> Listener:
    def tick(progress: Progress) -> None:
        done = SEARCH_SHARE + (1 - SEARCH_SHARE) * progress.done
        listener(Progress("final solve", done, best, time.perf_counter() - started))

    return tick


def _as_found(problem: CoProblem, evaluator: Evaluator, best: Candidate, seed: int) -> Solution:
    """The pair with the mappings that its evaluation chose."""
    layers = evaluator.layers(best.pair.network)
    (point,) = evaluator.costs.networks([layers], [best.pair.machine])
    mappings = {
        layer.name: evaluator.costs.mapping(layer, best.pair.machine, chosen)
        for layer, chosen in zip(layers, point.chosen, strict=True)
    }
    architecture = problem.architecture(best.pair.machine)
    layer_costs, cost = evaluate_network(layers, architecture, mappings)
    return Solution(
        status="infeasible" if broken_limits(problem.budget, architecture, layer_costs, cost) else "solved",
        message="mappings of the co-search's evaluation",
        objective=Objective(problem.score.objective),
        budget=problem.budget,
        seed=seed,
        layers=tuple(layers),
        architecture=architecture,
        mappings=mappings,
        layer_costs=layer_costs,
        cost=cost,
    )


def _solved(
    start: Solution, seed: int, effort: SolveEffort, bound: bool, listener: Listener, journal: Journal | None
) -> Solution:
    """What `solve` makes of the pair, from its mappings; the pair as it is where no mapping keeps the limits."""
    announce(start.architecture, start.layers)
    try:
        request = make_request(start.layers, start.architecture, start.objective, start.budget, seed)
    except Infeasible as error:  # proved, where the machine is the nearest of all that break a limit
        log.info("no mapping keeps the limits: %s", error)
        return start
    return search_design(make_run(request, effort, (start,), listener, journal), bound=bound)


def _totals(solution: Solution) -> list[Tensor]:
    cost = solution.cost
    return [torch.tensor(figure, dtype=torch.float64) for figure in (cost.energy_pj, cost.cycles, cost.area_mm2)]


def _front(problem: CoProblem, evaluator: Evaluator) -> tuple[CoPoint, ...]:
    """The pairs evaluated that keep the limits and that no other beats in accuracy, energy and latency at once."""
    pairs = [_point(problem, one) for one in evaluator.candidates.values() if one.feasible]
    return tuple(pairs[i] for i in best_pairs(pairs))


def _point(problem: CoProblem, one: Candidate, evaluations: int = 0, queries: int = 0) -> CoPoint:
    sizes: tuple[float, ...] = ()
    if isinstance(problem.hardware, HardwareSpace):
        grids = [parameter.grid for parameter in problem.hardware.parameters]
        sizes = tuple(grid[i] for grid, i in zip(grids, one.pair.machine, strict=True))
    architecture = problem.architecture(one.pair.machine)
    return CoPoint(
        network=problem.space.format(one.pair.network),
        sizes=sizes,
        accuracy=one.accuracy,
        energy_pj=one.energy_pj,
        latency_s=one.cycles * problem.hardware.base.cycle_s,
        area_mm2=one.area_mm2,
        evaluations=evaluations,
        queries=queries,
        macs=architecture.macs,
        memory_bits=architecture.memory_bits,
        feasible=one.feasible,
    )
