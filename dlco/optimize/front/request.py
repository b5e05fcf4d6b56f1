"""What a front is asked for: checked before any work starts."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Any

from dlco.design.budget import Budget
from dlco.design.front import check_axes
from dlco.errors import InvalidInput
from dlco.hardware.architecture import Architecture
from dlco.hardware.constraints import Constraints
from dlco.hardware.space import HardwareSpace
from dlco.optimize.effort import SolveEffort
from dlco.optimize.request import check_flag, check_given, check_seed
from dlco.search.evolution import FleetEffort
from dlco.search.local_search import Effort
from dlco.workload.layer import Layer, check_layers
from dlco.workload.problem import check_positive_int


@dataclass(frozen=True)
class FrontEffort:
    """How hard the solves of a front try.

    Attributes:
        ends: for the least of single objectives, from nothing.
        points: for all others, which start from designs already found.
    """

    ends: SolveEffort = field(
        default=SolveEffort(
            starts=1,
            relax_rounds=2,
            survey=16,
            fleet=FleetEffort(generations=20),
            machines=2,
            steps=0,
            fit=Effort(rounds=20, patience=6, islands=2),
            polish=Effort(rounds=60, patience=15, population=8, neighbours=6, islands=12),
            polishes=1,
        )
    )
    points: SolveEffort = field(
        default=SolveEffort(
            starts=0,
            survey=0,
            fleet=FleetEffort(generations=6, machines=6, every=3, mappings=Effort(rounds=6, population=4)),
            machines=2,
            steps=0,
            fit=Effort(rounds=20, patience=6, islands=2),
            polishes=0,
        )
    )

    def __post_init__(self) -> None:
        for name in ("ends", "points"):
            if not isinstance(getattr(self, name), SolveEffort):
                raise InvalidInput(f"{name} of the effort is {getattr(self, name)!r}; it must be a dlco.SolveEffort")


@dataclass(frozen=True)
class FrontRequest:
    """What a front is asked for: as in `pareto`, checked by `front_request`."""

    layers: tuple[Layer, ...]
    hardware: Architecture | HardwareSpace
    axes: tuple[str, ...]
    points: int
    budget: Budget
    seed: int
    bound: bool
    effort: FrontEffort
    span: float
    device: str = "cpu"
    constraints: Constraints | None = None
    imperfect: bool = False


def front_request(
    layers: Iterable[Layer],
    hardware: object,
    axes: Sequence[object],
    points: int,
    budget: object,
    seed: int,
    bound: bool,
    effort: object,
    span: object,
    **others: Any,
) -> FrontRequest:
    """The request, or `InvalidInput` for an argument that no front takes; what solves check is left to them."""
    checked = check_axes(axes)
    net = check_layers(layers)
    check_positive_int("points", points)
    if points < 2:
        raise InvalidInput(f"points is {points}; it must be at least 2")
    if not isinstance(hardware, Architecture | HardwareSpace):
        raise InvalidInput(f"hardware is {hardware!r}; it must be an Architecture or a HardwareSpace")
    if isinstance(hardware, Architecture) and "area" in checked:
        raise InvalidInput(f"area is an axis, but that of machine {hardware.name!r} is fixed; give a HardwareSpace")
    if budget is not None and not isinstance(budget, Budget):
        raise InvalidInput(f"budget is {budget!r}; it must be a dlco.Budget")
    check_seed(seed)
    check_flag("bound", bound)
    if effort is not None and not isinstance(effort, FrontEffort):
        raise InvalidInput(f"effort is {effort!r}; it must be a dlco.optimize.FrontEffort")
    if isinstance(span, bool) or not isinstance(span, int | float) or not 1 < span < inf:
        raise InvalidInput(f"span is {span!r}; it must be a finite number above 1")
    check_given(others.get("constraints"))
    budget, effort = budget or Budget(), effort or FrontEffort()
    return FrontRequest(net, hardware, checked, points, budget, seed, bound, effort, span, **others)
