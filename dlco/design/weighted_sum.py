"""`WeightedSum`: accuracy and costs of a pair in one figure, each by its weight, beside hard limits.

BOSHCODE's objective (Tuli, Li, Sharma and Jha, ACM TECS 2023, equation 2): a convex sum of 1 - accuracy and of costs
over their largest values. A sum finds no design inside a dent of the front, whatever the weights; limits do.
"""

from dataclasses import dataclass, replace
from math import log

import torch

from dlco.cost.cost import JOULES
from dlco.design.budget import Budget
from dlco.design.codec import Figure, check_figure
from dlco.design.network_cost import NetworkCost
from dlco.errors import InvalidInput

SUM = "sum"
"""What such an objective is called."""

_LIMITS = {"latency": "latency_s", "energy": "energy_j", "area": "area_mm2"}
WEIGHED = ("accuracy", *_LIMITS)
"""What may be weighed."""


@dataclass(frozen=True)
class LinearCost:
    """So much a pJ, a cycle and a mm2: what a machine's part of a weighted sum is, ranked by its logarithm."""

    per_pj: float
    per_cycle: float
    per_mm2: float

    @property
    def prices(self) -> tuple[float, float, float]:
        """Of energy, cycles and area."""
        return self.per_pj, self.per_cycle, self.per_mm2

    @property
    def powers(self) -> tuple[int, int, int]:
        """Which of energy, cycles and area are part of it."""
        return tuple(int(price > 0) for price in self.prices)  # type: ignore[return-value]

    def product(self, energy_pj: torch.Tensor, cycles: torch.Tensor, area_mm2: torch.Tensor) -> torch.Tensor:
        """The sum, `[...]`, of pJ, cycles and mm2."""
        return self.per_pj * energy_pj + self.per_cycle * cycles + self.per_mm2 * area_mm2

    def log_product(self, energy: torch.Tensor, cycles: torch.Tensor, area: torch.Tensor) -> torch.Tensor:
        """Log of the sum, of logs, `[...]`."""
        parts = [log(price) + part for price, part in zip(self.prices, (energy, cycles, area), strict=True) if price]
        return torch.stack(torch.broadcast_tensors(*parts)).logsumexp(0)


@dataclass(frozen=True)
class WeightedSum:
    """An objective of a co-search: the weighted mean of 1 - accuracy and of costs over what `of` says, to be small.

    Attributes:
        accuracy, latency, energy, area: weights, from 0 on; only their ratios matter. One cost at least must count.
        of: what each weighed cost is divided by (`latency_s`, `energy_j`, `area_mm2`); by default the search's limits.

    Raises:
        InvalidInput: a weight is below 0 or no cost has one, or `of` says something else than these or not enough.

    Examples:
        >>> half = WeightedSum(accuracy=1, energy=1, of=dlco.Budget(energy_j=2e-3))
        >>> half.value(accuracy=90.0, latency_s=1.0, energy_j=1e-3, area_mm2=4.0)
        0.3
    """

    accuracy: Figure = 0.0
    latency: Figure = 0.0
    energy: Figure = 0.0
    area: Figure = 0.0
    of: Budget | None = None

    def __post_init__(self) -> None:
        for name in WEIGHED:
            check_figure(f"weight of {name}", getattr(self, name))
        if not any(getattr(self, name) for name in _LIMITS):
            raise InvalidInput(
                f"weights of {', '.join(_LIMITS)} are all 0; one must be above 0 (or the objective be accuracy)"
            )
        if self.of is None:
            return
        if not isinstance(self.of, Budget):
            raise InvalidInput(f"of is {self.of!r}; it must be a dlco.Budget, or None")
        for name, limit in _LIMITS.items():
            if getattr(self, name) and getattr(self.of, limit) is None:
                raise InvalidInput(f"{name} has a weight, and {limit} to divide it by is None; give a number above 0")

    def against(self, budget: Budget) -> "WeightedSum":
        """The sum with costs divided by the limits of a budget, unless it says by what."""
        kept = {limit: getattr(budget, limit) for limit in _LIMITS.values()}
        return self if self.of is not None else replace(self, of=Budget(**kept))

    @property
    def whole(self) -> float:
        """All weights together."""
        return self.accuracy + self.latency + self.energy + self.area

    def costs(self, cycle_s: float) -> LinearCost:
        """The costs' part of the sum, `of` being given."""

        def share(name: str) -> float:
            weight = getattr(self, name)
            return weight / self.whole / getattr(self.of, _LIMITS[name]) if weight else 0.0

        return LinearCost(share("energy") * JOULES, share("latency") * cycle_s, share("area"))

    def log_value(self, costs: torch.Tensor, accuracy: torch.Tensor) -> torch.Tensor:
        """Log of the sum, `[...]`, of the log of the costs' part and of percent."""
        missing = (self.accuracy / self.whole) * (1 - accuracy / 100)
        return (costs.exp() + missing).clamp(min=torch.finfo(costs.dtype).tiny).log()

    def value(self, accuracy: float, latency_s: float, energy_j: float, area_mm2: float) -> float:
        """The sum, `of` being given; accuracy in percent."""
        found = {"latency": latency_s, "energy": energy_j, "area": area_mm2}
        costs = sum(
            getattr(self, name) * found[name] / getattr(self.of, limit)
            for name, limit in _LIMITS.items()
            if getattr(self, name)
        )
        return (costs + self.accuracy * (1 - accuracy / 100)) / self.whole

    def of_pair(self, accuracy: float, cost: NetworkCost) -> float:
        """The sum of a network of that accuracy, percent, and that cost."""
        return self.value(accuracy, cost.latency_s, cost.energy_j, cost.area_mm2)

    def __str__(self) -> str:
        """Its weights and what costs are divided by, such as "accuracy 0.5, energy 0.5 of 0.002 J"."""
        units = {"latency": "s", "energy": "J", "area": "mm2"}
        parts = [f"accuracy {self.accuracy:g}"] if self.accuracy else []
        for name, limit in _LIMITS.items():
            if getattr(self, name):
                by = "" if self.of is None else f" of {getattr(self.of, limit):g} {units[name]}"
                parts.append(f"{name} {getattr(self, name):g}{by}")
        return ", ".join(parts)
