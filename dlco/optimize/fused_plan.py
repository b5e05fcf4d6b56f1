"""The search for the best plan of what stays on the chip of one machine, within the limits where it can."""

from dlco.bound.region import TotalLimits
from dlco.exact.layer_front import least_of
from dlco.fusion.chains import Candidates, candidates_of
from dlco.fusion.plan import Plan, best_plan
from dlco.fusion.retained import Fronts
from dlco.hardware.architecture import Architecture
from dlco.optimize.effort import SolveEffort
from dlco.optimize.request import Request
from dlco.optimize.state import State
from dlco.workload.graph import Network


class PlanSearch:
    """Layer by layer first, then with all that may stay on the chip.

    Attributes:
        plan: the best so far; `looked_at`: among which tilings, in words.
        is_within: whether it keeps the limits on totals.
    """

    def __init__(
        self, network: Network, machine: Architecture, request: Request, effort: SolveEffort, state: State
    ) -> None:
        self.network, self.machine, self.request = network, machine, request
        self.effort, self.state = effort, state
        self.fronts = Fronts(machine, request.constraints, effort.batches)
        self.plan: Plan | None = None
        self.is_within = False
        self.looked_at = ""
        self.candidates: Candidates | None = None

    def run(self, tiles: int, splits: int) -> None:
        """Search, within the limits where they can be kept; what is known already is not searched again.

        Args:
            tiles: fronts of tiles that are searched for at most.
            splits: ranges of tilings that are split to bound the rest, at most.
        """
        limits = TotalLimits.of(self.request.budget, self.machine.cycle_s)
        if self.candidates is None:
            self.candidates = candidates_of(self.network, self.machine, self.request.constraints)
        candidates = self.candidates
        for within in (limits, TotalLimits()):
            unit = self.request.objective.unit_of_product(self.machine.cycle_s) if within is limits else None
            self._best(within, unit, 0.0, 0.2)
            self._best(within, unit, 0.2, 1.0, tiles, splits, candidates)
            if self.plan is not None:
                break
        assert self.plan is not None
        if candidates.listed:
            self.looked_at = "no choice of results that stay whole is better; " if self.plan.whole else ""
            self.looked_at += "the bound holds for all tilings of chains along one dimension or two; "
            self.looked_at += (
                f"{self.plan.tilings:,} were looked at by themselves and {self.plan.tried:,} searched in full"
            )

    def _best(
        self,
        within: TotalLimits,
        unit: float | None,
        begin: float,
        end: float,
        tiles: int = 0,
        splits: int = 0,
        stays: Candidates | None = None,
    ) -> None:
        """Look for a better plan: layer by layer, or with all that may stay. Values that count come with their unit."""

        def improved(plan: Plan) -> None:
            self.plan, self.is_within = plan, unit is not None
            if unit is not None:
                value = least_of(self.request.objective, plan.energy_pj, plan.cycles) * unit
                if value < self.state.least:
                    self.state.improve(value)

        plan = best_plan(
            self.network,
            self.machine,
            self.request.objective,
            within,
            self.request.constraints,
            fronts=self.fronts,
            memories=None if stays else (),
            fused=stays.chosen if stays else (),
            beyond=stays.chains if stays else (),
            searches=tiles,
            splits=splits,
            report=self.state.reports("search", begin, end),
            improved=improved,
        )
        self.plan = plan or self.plan


def unit_of(request: Request) -> float:
    """What bounds as `Objective.product` are to be multiplied by for the unit of `NetworkCost`, rounded down."""
    return request.objective.unit_of_product(request.hardware.base.cycle_s) * (1 - 1e-12)
