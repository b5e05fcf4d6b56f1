"""The solution that a run comes to, whichever way it went."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from dlco.design.budget import Budget, broken_limits
from dlco.design.network_cost import LayerCost, NetworkCost, evaluate_network
from dlco.design.objective import Objective
from dlco.design.solution import Solution, sound
from dlco.hardware.architecture import Architecture
from dlco.mapping.checks import is_imperfect
from dlco.mapping.kept import FREE, STATED
from dlco.mapping.mapping import Mapping
from dlco.optimize.diagnosis import Diagnosis
from dlco.optimize.effort import SolveEffort
from dlco.optimize.request import Request
from dlco.optimize.state import State
from dlco.workload.layer import Layer


@dataclass(frozen=True)
class Costed:
    """A machine with a mapping of every layer, and what they cost: fields as those of `Solution`."""

    architecture: Architecture
    mappings: dict[str, Mapping]
    layer_costs: dict[str, LayerCost]
    cost: NetworkCost

    @staticmethod
    def of(layers: Sequence[Layer], architecture: Architecture, mappings: dict[str, Mapping]) -> "Costed":
        """Raises `InvalidMapping` where a mapping does not fit."""
        return Costed(architecture, mappings, *evaluate_network(layers, architecture, mappings))

    def broken(self, budget: Budget) -> list[str]:
        """The limits that it breaks, each as a phrase; empty where all hold."""
        return broken_limits(budget, self.architecture, self.layer_costs, self.cost)

    def value(self, objective: Objective) -> float:
        """In the unit of `NetworkCost.objective`."""
        return self.cost.objective(objective)

    def is_imperfect(self, layers: Sequence[Layer]) -> bool:
        """Whether factors of some layer's mapping multiply to more than its bounds."""
        return any(is_imperfect(layer.problem, self.mappings[layer.name]) for layer in layers)


def finish(
    request: Request,
    effort: SolveEffort,
    state: State,
    found: Costed,
    *,
    lower: float | None,
    evaluations: int,
    proved: bool = False,
) -> Solution:
    """The solution, which the end of the run is told with.

    Args:
        request: what was asked.
        effort: how hard the run tried.
        state: what it knows besides.
        found: the best design.
        lower: what no design goes below.
        evaluations: mappings evaluated.
        proved: whether no design within the limits is better: where this one keeps them, it is its own bound.

    Raises:
        DlcoError: the design refutes the bound.
    """
    value, broken = found.value(request.objective), found.broken(request.budget)
    if proved and not broken:
        lower = value
    status = "infeasible" if broken else "interrupted" if state.interrupted else "solved"
    message = {
        "solved": f"all limits hold{', and no mapping is better' if proved else ''}",
        "interrupted": "stopped early; run again without interruption for a better design",
        "infeasible": f"{state.diagnosis or Diagnosis()}; the nearest found has {', '.join(broken)}",
    }[status]
    state.end(None if broken else value, lower)
    solution = Solution(
        status=status,
        message=message,
        objective=request.objective,
        budget=request.budget,
        seed=request.seed,
        layers=request.layers,
        **vars(found),
        lower_bound=lower,
        imperfect=request.imperfect or found.is_imperfect(request.layers),
        keep=FREE if request.keep_free else STATED,
        conflicts=state.diagnosis.conflicts if state.diagnosis else (),
        evaluations=evaluations,
        seconds=state.history.seconds,
        trace=tuple(state.improvements),
        history=tuple(state.history.points),
        effort=asdict(effort),
        proof=state.proof if lower is not None else "",
    )
    return sound(solution)
