"""Why no design keeps the budget, where none was found."""

from dataclasses import replace

from dlco.bound import BoundEffort
from dlco.optimize.diagnosis import Diagnosis, diagnose
from dlco.optimize.phases.search import search
from dlco.optimize.phases.shared import Run, make_run
from dlco.optimize.request import Request
from dlco.search.score import BROKEN


def find_reasons(run: Run) -> Diagnosis:
    """Which limits exclude each other; how near each can come is searched for briefly."""
    state, effort = run.state, run.effort
    state.report("diagnosis", 1.0)
    brief = replace(effort, machines=1, descents=1, polishes=min(1, effort.polishes))
    light = BoundEffort(nodes=min(300, effort.bound.nodes), side=min(60, effort.bound.side), boxes=0)
    nearest = run.best()

    def least_found(request: Request) -> float | None:
        other = make_run(request, brief, listener=lambda progress: state.report("diagnosis", 1.0))
        search(other)
        run.designs.evaluations += other.designs.evaluations
        found = []
        if other.state.best is not None and other.state.best.score < BROKEN:
            found.append(other.value(other.state.best))
        if not nearest.broken(request.budget):  # it may do as well
            found.append(nearest.value(request.objective))
        return min(found, default=None)

    return diagnose(run.request, least_found, light)
