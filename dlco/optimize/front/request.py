"""What a front is asked for: checked before any work starts."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import inf

from dlco.design.front import check_axes
from dlco.design.objective import Objective
from dlco.design.solution import Solution
from dlco.errors import InvalidInput
from dlco.optimize.effort import SolveEffort
from dlco.optimize.fixed import Fronts
from dlco.optimize.options import Options, check_effort, check_flag
from dlco.optimize.request import Request, make_request
from dlco.search.evolution import EvolutionEffort
from dlco.search.local_search import Effort
from dlco.workload.layer import Layer
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
            evolution=EvolutionEffort(generations=20),
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
            evolution=EvolutionEffort(generations=6, machines=6, every=3, mappings=Effort(rounds=6, population=4)),
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
    """What a front is asked for, as in `pareto`.

    Attributes:
        common: the least y within the front's budget; its solves have all of it in common but the objective, further
            limits and the seed.
        starts: solutions that the ends of the front are searched for from.
        fronts: the proved fronts of all layers on a fixed machine, None where there are none: its solves look the
            best choice up in them.
        axes, points, bound, effort, span: as in `pareto`; the minimised axis is the second.
    """

    common: Request
    starts: tuple[Solution, ...]
    axes: tuple[Objective, ...]
    points: int
    bound: bool
    effort: FrontEffort
    span: float
    fronts: Fronts | None = None

    def __post_init__(self) -> None:
        check_positive_int("points", self.points)
        if self.points < 2:
            raise InvalidInput(f"points is {self.points}; it must be at least 2")
        if self.common.hardware.is_fixed and Objective.AREA in self.axes:
            machine = self.common.hardware.base.name
            raise InvalidInput(f"area is an axis, but that of machine {machine!r} is fixed; give a HardwareSpace")
        check_flag("bound", self.bound)
        span = self.span
        if isinstance(span, bool) or not isinstance(span, int | float) or not 1 < span < inf:
            raise InvalidInput(f"span is {span!r}; it must be a finite number above 1")


def front_request(
    layers: Iterable[Layer],
    hardware: object,
    axes: Sequence[object],
    points: int,
    budget: object,
    seed: int,
    bound: bool,
    effort: object,
    span: float,
    options: Options | None = None,
) -> FrontRequest:
    """The request; `InvalidInput` for an argument that is not what it should be, `Infeasible` as `make_request`."""
    checked = check_axes(axes)
    options = options or Options()
    return FrontRequest(
        common=make_request(layers, hardware, checked[1], budget, seed, options),
        starts=options.starts,
        axes=tuple(map(Objective, checked)),
        points=points,
        bound=bound,
        effort=check_effort(effort, FrontEffort),
        span=span,
    )
