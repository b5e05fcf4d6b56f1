"""`Sensitivity`: what a little more of a limit, a capacity or a bandwidth is worth to a design."""

from dataclasses import dataclass

STEP = 0.05  # share by which a figure is made larger and smaller


@dataclass(frozen=True)
class Sensitivity:
    """How many per cent of the objective one per cent of a figure is worth; negative where more of it helps.

    The bracket is proved. Be V the least objective of all designs on the solution's machine within its budget, and V'
    the same with the figure 5 % larger or smaller (`STEP`), all else as it is: then log(V' / V) over the log of the
    figure's change lies between `low` and `high`, whichever way it is changed. V itself is known only to lie between
    the solution's bound and its value, so the bracket is the wider the larger the gap.

    Attributes:
        name: "level.capacity", "level.read_bandwidth" and so on, or the limit's name in the budget.
        value: of the figure: words, words a cycle, or the limit in the budget's unit.
        elasticity: slope of the lower bound, d log(bound) / d log(figure): the estimate, from the bound's multipliers.
            Factors are real numbers there: whole ones may gain nothing by a few words more, or much by one.
        low, high: the bracket; `low` is minus infinity where no design is known with 5 % less of it.
    """

    name: str
    value: float
    elasticity: float
    low: float
    high: float
