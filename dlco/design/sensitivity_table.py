"""What a little more of each figure is worth, as tables."""

from collections.abc import Sequence
from math import isinf

from dlco.design.sensitivity import STEPS, Sensitivity
from dlco.design.table import Table

LIMITS, SIZES = "limits, the machine chosen anew", "sizes of the machine as it is"


def sensitivity_groups(rows: Sequence[Sensitivity]) -> list[tuple[str, list[Sensitivity]]]:
    """(what they are, those) of limits with which a machine is chosen anew, and of all others; none that is empty."""
    groups = [(LIMITS, [one for one in rows if one.anew]), (SIZES, [one for one in rows if not one.anew])]
    return [group for group in groups if group[1]]


def sensitivity_tables(rows: Sequence[Sensitivity]) -> list[Table]:
    """A table a group, a row a figure."""
    groups = sensitivity_groups(rows)
    return [_table(what if len(groups) > 1 else "", own) for what, own in groups]


def _table(what: str, rows: Sequence[Sensitivity]) -> Table:
    """A row a figure."""
    anew = rows[0].anew
    cells = []
    for one in rows:
        now = f"{one.value:,.6g}"
        changed = ", ".join(f"{one.value * factor:,.6g}" for factor in one.factors if factor not in (1, *STEPS))
        slopes = [_end(value) for value in (one.elasticity, one.low, one.high)]
        cells.append((one.name, now, *([changed or "5 %"] if anew else []), *slopes))
    note = (
        "The slope is the lower bound's. Where a figure changes by 5 %, what the best design changes for each\n"
        "per cent of it is proved to lie between the two ends. "
    )
    ends = "Ends of a grid go to the values named." if anew else "Larger memories cost what the present ones do."
    return Table(
        f"What one per cent more is worth, per cent of the objective{what and ': ' + what}",
        ("figure", "now", *(["changed"] if anew else []), "slope", "at least", "at most"),
        tuple(cells),
        note=note + ends,
    )


def _end(value: float) -> str:
    return "not known" if isinf(value) else f"{round(value, 3) + 0.0:.3f}"  # no -0.000
