"""`Sensitivity`: what a little more of a limit, a capacity or a bandwidth is worth to a design."""

from dataclasses import dataclass, replace
from math import inf
from typing import Any

from dlco.design.codec import decode_fields
from dlco.errors import InvalidInput

STEP = 0.05  # share by which a figure is made larger and smaller
STEPS = (1 - STEP, 1 + STEP)


@dataclass(frozen=True)
class Sensitivity:
    """How many per cent of the objective one per cent of a figure is worth; negative where more of it helps.

    The bracket is proved. Be V the least objective of all designs within the limits, and V' the same with the figure
    5 % larger or smaller (times one of `factors`), all else as it is: then log(V' / V) over the log of the figure's
    change lies between `low` and `high`, whichever way it is changed. V itself is known only to lie between the
    solution's bound and its value, so the bracket is the wider the larger the gap.

    Attributes:
        name: "level.capacity", "level.read_bandwidth" and so on; the limit's name in the budget; or, of a space, the
            limit between sizes as it is written, and "largest level.field" or "smallest level.field" for the ends of a
            grid.
        value: of the figure: words, words a cycle, the limit in the budget's unit, or the number in a limit on sizes.
        elasticity: slope of the lower bound, d log(bound) / d log(figure): the estimate, from the bound's multipliers.
            Factors and sizes are real numbers there: whole ones may gain nothing by a few words more, or much by one.
        low, high: the bracket; an end is infinite where no design is known with the figure changed.
        anew: whether the designs are all of the solution's space, the machine being chosen anew for every change;
            otherwise all on the solution's machine.
        factors: what the figure is changed to, as multiples of it: 5 % less and more, or, at the end of a grid, a step
            of the grid (1 where it has none to go).
    """

    name: str
    value: float
    elasticity: float
    low: float
    high: float
    anew: bool = False
    factors: tuple[float, float] = STEPS

    @staticmethod
    def from_dict(data: Any) -> "Sensitivity":
        """Of a dictionary of its fields, in which nothing stands for what is infinite; raises `InvalidInput`."""
        found: Sensitivity = decode_fields(Sensitivity, data, "of a sensitivity")
        if data["low"] is None:
            found = replace(found, low=-inf)
        if not found.low <= found.high:
            raise InvalidInput(f"low of the sensitivity to {found.name!r} is {found.low!r}, above its high")
        return found
