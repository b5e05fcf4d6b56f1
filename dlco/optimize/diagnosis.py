"""Why a budget cannot be met: which limits exclude each other, and how near each can come to being met."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from dlco.bound import BoundEffort, compulsory_bound, lower_bound
from dlco.design.budget import Budget, Conflict
from dlco.design.objective import Objective
from dlco.optimize.request import Request


@dataclass(frozen=True)
class Diagnosis:
    """What is known of a budget that no design was found for.

    Attributes:
        proved: whether no design can meet the limits; otherwise none was found.
        conflicts: the limits that exclude each other, where proved a smallest set of them.
    """

    proved: bool = False
    conflicts: tuple[Conflict, ...] = ()

    def __str__(self) -> str:
        if not self.conflicts:
            return "no design within the budget was found"
        limits = "; ".join(map(str, self.conflicts))
        if not self.proved:
            return f"no design within the budget was found: {limits}"
        return f"no design meets {'these limits together' if len(self.conflicts) > 1 else 'this limit'}: {limits}"


def diagnose(
    request: Request, least_found: Callable[[Request], float | None], effort: BoundEffort | None = None
) -> Diagnosis:
    """Why nothing within the request's budget was found.

    Args:
        request: whose budget could not be met.
        least_found: the least value of a request's objective that a search finds within its budget, in the unit of
            `NetworkCost.objective`, or None where it finds nothing.
        effort: of each bound.
    """
    limits = request.budget.limits
    known: dict[tuple[str, frozenset[str]], float] = {}

    def least(limit: str, others: Iterable[str]) -> float:
        key = limit, frozenset(others)
        if key not in known:
            known[key] = _least(request, limit, only(key[1]), effort)
        return known[key]

    def only(names: Iterable[str]) -> Budget:
        return request.budget.without(*(limits.keys() - set(names)))

    def excluded(names: list[str]) -> bool:
        return any(least(name, set(names) - {name}) > limits[name] for name in names)

    names = list(limits)
    proved = excluded(names)
    if proved:
        for name in list(names):  # what is left once no limit can be spared
            rest = [other for other in names if other != name]
            if excluded(rest):
                names = rest
    within = only(names) if proved else request.budget
    conflicts = []
    for name in names:
        objective = Objective.limited_by(name)
        found = least_found(replace(request, objective=objective, budget=within.without(name)))
        reached = None if found is None else found * objective.scale
        conflicts.append(Conflict(name, limits[name], least(name, set(names) - {name}), reached))
    return Diagnosis(proved, tuple(conflicts))


def _least(request: Request, limit: str, budget: Budget, effort: BoundEffort | None) -> float:
    objective = Objective.limited_by(limit)
    if request.is_wide:  # what no mapping avoids holds whatever levels keep
        return objective.scale * compulsory_bound(
            request.layers, request.hardware, objective, budget, request.free_levels
        )
    certificate = lower_bound(
        request.layers,
        request.hardware,
        objective,
        budget,
        constraints=request.constraints,
        imperfect=request.imperfect,
        effort=effort,
    )
    return certificate.value * objective.scale
