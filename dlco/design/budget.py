"""`Budget`: what a design must not exceed, and what one uses of it."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from math import inf
from typing import Any

from dlco.design.codec import Figure
from dlco.design.network_cost import LayerCost, NetworkCost
from dlco.design.objective import LIMITED, Objective
from dlco.errors import InvalidInput
from dlco.hardware.architecture import Architecture
from dlco.workload.problem import check_positive_int

TOTALS = ("area_mm2", "power_w", "latency_s", "energy_j")
SAME = 1e-9  # relative: what figures of the same design may differ by


@dataclass(frozen=True)
class Use:
    """What a design has of something that is limited.

    Attributes:
        limit: its name in the budget, with the level or layer that it is of.
        used: the design's figure; `most`: the limit on it.
    """

    limit: str
    used: float
    most: float

    @property
    def broken(self) -> bool:
        """Whether it is over the limit, rounding errors aside."""
        return self.used > self.most * (1 + SAME)

    def __str__(self) -> str:
        return f"{self.limit} {self.used:.4g} > {self.most:g}"


@dataclass(frozen=True)
class Budget:
    """Upper limits on the design; None leaves a quantity free.

    Attributes:
        area_mm2: area of the machine, mm2.
        power_w: mean power, W (energy over latency).
        latency_s: seconds for the whole network.
        energy_j: joules for the whole network.
        pe_count: MAC units of the machine.
        capacity: words that an instance of a level holds, by the level's name.
        bandwidth: words a cycle that an instance of a level reads, and that it writes, by the level's name.
        layer_latency_s: seconds of one execution of every layer, or of single layers by their names.

    Raises:
        InvalidInput: a limit that is no finite number above 0.

    Examples:
        >>> budget = dlco.Budget(area_mm2=2.0, latency_s=5e-3, capacity={"shared_glb": 65536})
        >>> budget.limits
        {'area_mm2': 2.0, 'latency_s': 0.005}
        >>> dlco.Budget(area_mm2=-1)
        Traceback (most recent call last):
        dlco.errors.InvalidInput: budget area_mm2 is -1; it must be a finite number above 0, or None
    """

    area_mm2: float | None = None
    power_w: float | None = None
    latency_s: float | None = None
    energy_j: float | None = None
    pe_count: int | None = None
    capacity: Mapping[str, float] | None = None
    bandwidth: Mapping[str, float] | None = None
    layer_latency_s: float | Mapping[str, float] | None = None

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            if value is None:
                continue
            if item.name in ("capacity", "bandwidth") and not isinstance(value, Mapping):
                raise InvalidInput(f"budget {item.name} is {value!r}; it must be a dictionary of limits by level name")
            if isinstance(value, Mapping) and item.name in ("capacity", "bandwidth", "layer_latency_s"):
                for name, limit in value.items():
                    _check_limit(f"{item.name} of {name!r}", limit)
                object.__setattr__(self, item.name, dict(value))
            elif item.name == "pe_count":
                check_positive_int("budget pe_count", value)
            else:
                _check_limit(item.name, value)

    @property
    def limits(self) -> dict[str, float]:
        """The limits on totals (`TOTALS`) that are set, by name."""
        named = {name: getattr(self, name) for name in TOTALS}
        return {name: value for name, value in named.items() if value is not None}

    def level_uses(self, machine: Architecture) -> list[tuple[str, str, float, float]]:
        """(quantity, level, value on a machine, limit) of every limit on a single level, in words and words a cycle.

        Raises `InvalidInput` for a level that the machine does not have.
        """
        capacities = [(machine.level(name), limit) for name, limit in (self.capacity or {}).items()]
        ports = [(machine.level(name), limit) for name, limit in (self.bandwidth or {}).items()]
        return [("capacity", level.name, level.capacity, limit) for level, limit in capacities] + [
            ("bandwidth", level.name, max(level.read_bandwidth, level.write_bandwidth), limit) for level, limit in ports
        ]

    def total_uses(self, cost: NetworkCost) -> list[Use]:
        """What a network uses of the limits on totals."""
        return [Use(name, getattr(cost, name), most) for name, most in self.limits.items()]

    def machine_uses(self, machine: Architecture) -> list[Use]:
        """What a machine uses of the limits on it alone: area, MAC units, single levels."""
        uses = [] if self.area_mm2 is None else [Use("area_mm2", machine.area_mm2, self.area_mm2)]
        if self.pe_count is not None:
            uses.append(Use("pe_count", machine.macs, self.pe_count))
        return uses + [Use(f"{what} of {level}", used, limit) for what, level, used, limit in self.level_uses(machine)]

    def uses(self, machine: Architecture, layer_costs: Mapping[str, LayerCost], cost: NetworkCost) -> list[Use]:
        """What a design uses of every limit that is set."""
        uses = self.total_uses(cost) + self.without("area_mm2").machine_uses(machine)
        for name, one in layer_costs.items():
            if self.layer_limit(name) < inf:
                uses.append(Use(f"layer_latency_s of {name}", one.cycles * machine.cycle_s, self.layer_limit(name)))
        return uses

    def without(self, *limits: str) -> "Budget":
        """The budget with some limits on totals lifted."""
        return replace(self, **dict.fromkeys(limits))

    def tightened(self, limits: Mapping[str, float]) -> "Budget":
        """The budget with further limits, by objective in the unit of `NetworkCost.objective`."""
        budget = self
        for name, value in limits.items():
            objective = Objective(name)
            if objective.limit is None:
                raise InvalidInput(f"objective is {name!r}, which no budget limits; allowed: {', '.join(LIMITED)}")
            least: Any = min(value * objective.scale, self.limits.get(objective.limit, inf))
            budget = replace(budget, **{objective.limit: least})
        return budget

    def layer_limit(self, layer: str) -> float:
        """Seconds that one execution of a layer may take, infinite where there is no limit."""
        if isinstance(self.layer_latency_s, Mapping):
            return self.layer_latency_s.get(layer, inf)
        return inf if self.layer_latency_s is None else self.layer_latency_s


@dataclass(frozen=True)
class Conflict:
    """One of the limits that exclude each other.

    Attributes:
        limit: its name in the budget; `value`: what was asked for.
        least: no design within the other limits goes below this (proved).
        reached: a design within the other limits has this, or None where none was found.
    """

    limit: str
    value: Figure
    least: float
    reached: Figure | None

    def __str__(self) -> str:
        found = "" if self.reached is None else f"a design reaches {self.reached:.4g}, "
        return f"{self.limit} {self.value:g} (within the other limits {found}no design goes below {self.least:.4g})"


def _check_limit(name: str, value: object) -> None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not (number and 0 < value <= sys.float_info.max):  # type: ignore[operator]
        raise InvalidInput(f"budget {name} is {value!r}; it must be a finite number above 0, or None")


def broken_limits(
    budget: Budget, machine: Architecture, layer_costs: Mapping[str, LayerCost], cost: NetworkCost
) -> list[str]:
    """The limits of the budget that a design breaks, each as a phrase with its value; empty where all hold."""
    return [str(use) for use in budget.uses(machine, layer_costs, cost) if use.broken]
