"""What a little more of each figure is worth, as a table."""

from collections.abc import Sequence
from math import inf

from dlco.design.sensitivity import Sensitivity
from dlco.design.table import Table


def sensitivity_table(rows: Sequence[Sensitivity]) -> Table:
    """A row a figure."""
    cells = tuple((one.name, f"{one.value:,.6g}", _end(one.elasticity), _end(one.low), _end(one.high)) for one in rows)
    return Table(
        "What one per cent more is worth, per cent of the objective",
        ("figure", "now", "slope", "at least", "at most"),
        cells,
        note="The slope is the lower bound's. Where a figure changes by 5 %, what the best design changes for each\n"
        "per cent of it is proved to lie between the two ends. Larger memories cost what the present ones do.",
    )


def _end(value: float) -> str:
    return "not known" if value == -inf else f"{round(value, 3) + 0.0:.3f}"  # no -0.000
