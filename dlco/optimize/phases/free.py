"""The best design's mappings, chosen among all that searches of machines leave out: other bypasses, uneven ones.

Machines are searched with even mappings that keep what is stated. What is found best may then keep what it likes, or
cut each dataspace's loops elsewhere: by the exact front of every layer where the search for it covers these, else by a
search that tries bypasses.
"""

from typing import Any

from dlco.exact.layer_front import LayerFront
from dlco.exact.optimal import OptimalFront
from dlco.hardware.architecture import Architecture
from dlco.journal import recorded
from dlco.optimize.choices import chosen_anew, front_of
from dlco.optimize.fixed import fronts_on, no_bounds, packed, unpacked
from dlco.optimize.phases.shared import Run
from dlco.search.keeping import try_bypasses
from dlco.tasks import derive_seed
from dlco.workload.problem import Problem


def choose_freely(run: Run) -> None:
    """Put into the state what the best design makes of all mappings that the request lets it have."""
    state, request, found = run.state, run.request, run.best()
    state.report("refine", 0.0)
    assert state.best is not None
    fronts = fronts_on(run.machine_of(state.best), request, run.effort, run.journal, state.report_again)
    if fronts is not None:
        points = {problem: one.front for problem, one in fronts.optima.items()}
    elif request.keep_free:
        points = _searched(run, found.architecture)
    else:
        return
    run.designs.evaluations += sum(front.evaluated for front in points.values())
    better = chosen_anew(request.layers, found, points, request.objective, request.budget)
    if better is not None:
        run.take(better.mappings)


def _searched(run: Run, machine: Architecture) -> dict[Problem, LayerFront]:
    """The points of each layer that a search over bypasses finds on a machine."""
    request = run.request
    problems = tuple(dict.fromkeys(layer.problem for layer in request.layers))

    def search() -> dict[str, Any]:
        found = try_bypasses(
            problems,
            machine,
            run.score,
            request.constraints,
            seed=derive_seed(request.seed, "bypasses"),
            device=request.device,
            tick=lambda share: run.state.report("refine", share),
        )
        fronts = [front_of(one, machine, found.mappings[one], powered=run.score.powered) for one in problems]
        packs = [packed(one, OptimalFront(front, no_bounds())) for one, front in zip(problems, fronts, strict=True)]
        return {"fronts": packs, "evaluations": found.evaluations}

    def read(plain: dict[str, Any]) -> tuple[dict[Problem, LayerFront], int]:
        both = zip(problems, plain["fronts"], strict=True)
        return {one: unpacked(one, machine, content).front for one, content in both}, int(plain["evaluations"])

    points, evaluations = recorded(run.journal, "bypasses", search, read)
    run.designs.evaluations += evaluations
    return points
