"""`Budget` and objectives: what a design is for, and what it must not exceed."""

from dataclasses import dataclass, fields

from dlco.errors import InvalidInput

OBJECTIVES = ("latency", "energy", "edp", "power", "area")


@dataclass(frozen=True)
class Budget:
    """Upper limits on the whole design; None leaves a quantity free.

    Attributes:
        area_mm2: area of the machine, mm2.
        power_w: mean power, W (energy over latency).
        latency_s: seconds for the whole network.
        energy_j: joules for the whole network.
    """

    area_mm2: float | None = None
    power_w: float | None = None
    latency_s: float | None = None
    energy_j: float | None = None

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if value is not None and not (number and 0 < value < float("inf")):
                raise InvalidInput(f"budget {item.name} is {value!r}; it must be a finite number above 0, or None")

    @property
    def limits(self) -> dict[str, float]:
        """The limits that are set, by name."""
        named = {item.name: getattr(self, item.name) for item in fields(self)}
        return {name: value for name, value in named.items() if value is not None}


def check_objective(objective: object) -> str:
    """The objective, or `InvalidInput` with those allowed."""
    if objective not in OBJECTIVES:
        raise InvalidInput(f"objective is {objective!r}; allowed: {', '.join(OBJECTIVES)}")
    return str(objective)
