"""`Objective`: what a design is to have least of, each a product of powers of energy, time and area."""

from enum import StrEnum
from math import log
from typing import NamedTuple, TypeVar

import torch

from dlco.cost.cost import JOULES as JOULES
from dlco.design.figures import with_unit
from dlco.errors import InvalidInput

Number = TypeVar("Number", float, torch.Tensor)

PICOJOULES = 1e12
"""Of a joule: limits in pJ are exact multiples of it."""


class Objective(StrEnum):
    """An objective; every one is to be small. It is its own name: `Objective.EDP == "edp"`.

    Examples:
        >>> Objective("power").limit, Objective.POWER.powers
        ('power_w', (1, -1, 0))
        >>> Objective.ENERGY.figure(energy_pj=2e6, cycles=100.0, area_mm2=1.5, cycle_s=1e-9)
        2000000.0
    """

    LATENCY = "latency"
    ENERGY = "energy"
    EDP = "edp"
    POWER = "power"
    AREA = "area"

    __repr__ = str.__repr__

    @property
    def label(self) -> str:
        """As a person reads it, such as "EDP"."""
        return "EDP" if self is Objective.EDP else str(self)

    @property
    def total(self) -> str:
        """The field of `NetworkCost` that holds it."""
        return _MEANING[self].total

    @property
    def unit(self) -> str:
        """In which it is shown."""
        return _MEANING[self].unit

    @property
    def column(self) -> str:
        """What a column of its figures in the unit of `NetworkCost` is called, such as "energy_pj"."""
        return f"{self}_pj_cycles" if self is Objective.EDP else self.total

    @property
    def scale(self) -> float:
        """The unit of `NetworkCost` in the shown one: a picojoule is 1e-12 J."""
        return JOULES if self is Objective.ENERGY else 1.0

    def shown(self, value: float) -> str:
        """A figure of `NetworkCost` with its unit, such as "12.3 mJ"."""
        return with_unit(value * self.scale, self.unit)

    def text(self, value: float) -> str:
        """A figure of `NetworkCost` with its name and unit, such as "energy 12.3 mJ"."""
        return f"{self.label} {self.shown(value)}"

    @property
    def limit(self) -> str | None:
        """The field of `Budget` that limits it, in the shown unit; None for EDP, which no budget limits."""
        return _MEANING[self].limit

    @property
    def powers(self) -> tuple[int, int, int]:
        """Of energy, cycles and area in it."""
        return _MEANING[self].powers

    @classmethod
    def parse(cls, name: object, allowed: "tuple[Objective, ...] | None" = None) -> "Objective":
        """The objective of a name; `InvalidInput` with those allowed (by default all) for anything else."""
        members = tuple(cls) if allowed is None else allowed
        if name not in members:
            raise InvalidInput(f"objective is {name!r}; allowed: {', '.join(members)}")
        return cls(str(name))

    @classmethod
    def limited_by(cls, limit: str) -> "Objective":
        """The objective that a limit of the budget is on."""
        return next(member for member in cls if member.limit == limit)

    def unit_of_product(self, cycle_s: float) -> float:
        """What `product` of pJ, cycles and mm2 is to be multiplied by, for the unit of `figure`."""
        return {Objective.LATENCY: cycle_s, Objective.POWER: JOULES / cycle_s}.get(self, 1.0)

    def product(self, energy_pj: Number, cycles: Number, area_mm2: Number) -> Number:
        """The product of powers, `[...]`, in pJ, cycles and mm2."""
        if self is Objective.EDP:
            return energy_pj * cycles
        if self is Objective.POWER:
            return energy_pj / cycles
        return {Objective.LATENCY: cycles, Objective.ENERGY: energy_pj, Objective.AREA: area_mm2}[self]

    def figure(self, energy_pj: Number, cycles: Number, area_mm2: Number, cycle_s: float) -> Number:
        """Latency s, energy pJ, EDP pJ x cycles, power W, area mm2: as `NetworkCost` has them; `[...]`."""
        if self is Objective.POWER:
            return energy_pj * JOULES / (cycles * cycle_s)
        return self.product(energy_pj, cycles, area_mm2) * self.unit_of_product(cycle_s)

    def log_product(self, energy: torch.Tensor, cycles: torch.Tensor, area: torch.Tensor) -> torch.Tensor:
        """Log of `product`, of logs; `[...]`."""
        total: torch.Tensor | None = None
        for power, part in zip(self.powers, (energy, cycles, area), strict=True):
            if power:
                term = part if power == 1 else power * part
                total = term if total is None else total + term
        assert total is not None
        return total

    def log_figure(
        self, energy: torch.Tensor, cycles: torch.Tensor, area: torch.Tensor, cycle_s: float
    ) -> torch.Tensor:
        """Log of `figure`, of logs of pJ, cycles and mm2; `[...]`."""
        return self.log_product(energy, cycles, area) + log(self.unit_of_product(cycle_s))


class _Meaning(NamedTuple):
    total: str
    unit: str
    limit: str | None
    powers: tuple[int, int, int]


_MEANING = {
    Objective.LATENCY: _Meaning("latency_s", "s", "latency_s", (0, 1, 0)),
    Objective.ENERGY: _Meaning("energy_pj", "J", "energy_j", (1, 0, 0)),
    Objective.EDP: _Meaning("edp", "pJ x cycles", None, (1, 1, 0)),
    Objective.POWER: _Meaning("power_w", "W", "power_w", (1, -1, 0)),
    Objective.AREA: _Meaning("area_mm2", "mm2", "area_mm2", (0, 0, 1)),
}

OBJECTIVES = tuple(Objective)
LIMITED = tuple(objective for objective in Objective if objective.limit)
"""Those that a budget can limit."""

ACCURACY = "accuracy"
"""What a co-search of network and machine may be for instead: percent, to be large."""

GOALS = (ACCURACY, *OBJECTIVES)
"""What a co-search may be for."""


def parse_goal(name: object, allowed: tuple[str, ...] = GOALS) -> str:
    """`ACCURACY`, or the `Objective` of a name; `InvalidInput` with those allowed for anything else."""
    if name not in allowed:
        raise InvalidInput(f"objective is {name!r}; allowed: {', '.join(allowed)}")
    return ACCURACY if name == ACCURACY else Objective(str(name))
