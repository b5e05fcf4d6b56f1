"""Why a budget cannot be met: which limits exclude each other, and how near each can come to being met."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from dlco.bound import BoundEffort, lower_bound
from dlco.design.budget import Budget, Conflict
from dlco.design.objective import Objective
from dlco.optimize.request import OBJECTIVE_OF, UNIT_OF, Request, without


@dataclass(frozen=True)
class Diagnosis:
    """What is known of a budget that no design was found for.

    Attributes:
        proved: whether no design can meet the limits; otherwise none was found.
        conflicts: the limits that exclude each other, where proved a smallest set of them.
    """

    proved: bool
    conflicts: tuple[Conflict, ...]

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
    names = list(request.budget.limits)
    known: dict[tuple[str, frozenset[str]], float] = {}

    def least(limit: str, others: Iterable[str]) -> float:
        key = limit, frozenset(others)
        if key not in known:
            known[key] = _least(request, limit, _only(request.budget, key[1]), effort)
        return known[key]

    def excluded(limits: list[str]) -> bool:
        return any(least(name, set(limits) - {name}) > request.budget.limits[name] for name in limits)

    proved = excluded(names)
    if proved:
        for name in list(names):  # what is left once no limit can be spared
            rest = [other for other in names if other != name]
            if excluded(rest):
                names = rest
    budget = _only(request.budget, names)
    conflicts = []
    for name in names:
        found = least_found(
            replace(
                request,
                objective=Objective.limited_by(name),
                budget=without(budget if proved else request.budget, name),
            )
        )
        reached = None if found is None else found * UNIT_OF[name]
        conflicts.append(Conflict(name, request.budget.limits[name], least(name, set(names) - {name}), reached))
    return Diagnosis(proved, tuple(conflicts))


def _least(request: Request, limit: str, budget: Budget, effort: BoundEffort | None) -> float:
    certificate = lower_bound(
        request.layers,
        request.hardware,
        OBJECTIVE_OF[limit],
        budget,
        constraints=request.constraints,
        imperfect=request.imperfect,
        effort=effort,
    )
    return certificate.value * UNIT_OF[limit]


def _only(budget: Budget, limits: Iterable[str]) -> Budget:
    """The budget with these of its limits on totals, and all its others."""
    lifted = {name: None for name in budget.limits if name not in set(limits)}
    return replace(budget, **lifted)
