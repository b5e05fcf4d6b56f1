"""Our figures beside Timeloop's, one row a level, dataspace and quantity."""

import os
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from math import inf

from dlco.design.table import Table
from dlco.errors import InvalidInput
from dlco.mapping.rules import TIMELOOP_RULES, CountingRules
from dlco.timeloop.case import Case, find_cases
from dlco.timeloop.document import Source
from dlco.timeloop.model import account
from dlco.timeloop.run import run_case
from dlco.timeloop.stats import read_stats
from dlco.timeloop.write import Solved, write

TOLERANCE = 1e-6  # relative, of what is no count: Timeloop prints it rounded
_HALF_A_DIGIT = 0.005 * (1 + 1e-9)  # Timeloop prints two decimals
_DERIVED = ("energy_uj_printed", "area_mm2_printed", "area_um2")  # of no count


@dataclass(frozen=True)
class Row:
    """One figure.

    Attributes:
        case, level, dataspace, quantity: whose; level and dataspace are "" for the whole.
        ours, theirs: the figures.
        relative_error: their difference over theirs; 0 where it is within what Timeloop rounds off in printing.
    """

    case: str
    level: str
    dataspace: str
    quantity: str
    ours: float
    theirs: float
    relative_error: float

    @property
    def agrees(self) -> bool:
        """Counts agree where they are equal, everything else within `TOLERANCE`."""
        return self.relative_error <= (0 if isinstance(self.ours, int) else TOLERANCE)


@dataclass(frozen=True)
class Comparison:
    """All rows, in the order of cases, levels (innermost first) and dataspaces.

    Attributes:
        rows: the figures.
        remarks: a sentence for each case whose differences have a known reason.
    """

    rows: tuple[Row, ...]
    remarks: tuple[str, ...] = ()

    @property
    def max_relative_error(self) -> float:
        """The largest relative error of all rows; 0 where they agree."""
        return max((row.relative_error for row in self.rows), default=0.0)

    def to_dict(self) -> dict:
        """The rows as dicts under "rows", "max_relative_error" and "remarks"."""
        rows = [asdict(row) for row in self.rows]
        return {"max_relative_error": self.max_relative_error, "remarks": list(self.remarks), "rows": rows}

    def __str__(self) -> str:
        head = ("case", "level", "dataspace", "quantity", "ours", "theirs", "error")
        body = tuple(
            (r.case, r.level, r.dataspace, r.quantity, f"{r.ours:.10g}", f"{r.theirs:.10g}", f"{r.relative_error:.2%}")
            for r in self.rows
        )
        table = Table("", head, body, text_columns=frozenset(range(4))).to_text()
        worst = f"largest relative error: {self.max_relative_error:.3g} over {len(self.rows)} figures"
        return "\n".join([table, worst, *self.remarks])


def compare(target: Source | Solved, rules: CountingRules = TIMELOOP_RULES) -> Comparison:
    """Compare dlco's figures with Timeloop's.

    Args:
        target: a folder with a case (YAML files with architecture, problem and mapping, under any names, or one
            file with all), or with cases one folder further down; or a solution, written as `write` does, so that
            neither side has wires. Where a case has a `*.stats.txt` or `*.map+stats.xml` these are Timeloop's
            figures; otherwise timeloop-model is run.
        rules: how dlco counts.

    Raises:
        InvalidInput: a file is not what it should be, or timeloop-model is needed and not there.
        InvalidMapping: dlco or Timeloop refuses the mapping.
        NotSupported: a file asks for what dlco does not model.
    """
    if isinstance(target, str | os.PathLike):
        return _compare_cases(find_cases(target), rules)
    with tempfile.TemporaryDirectory() as folder:
        write(target, folder)
        return _compare_cases(find_cases(folder), rules)


def _compare_cases(cases: list[Case], rules: CountingRules) -> Comparison:
    rows: list[Row] = []
    remarks: list[str] = []
    for case in cases:
        ours = account(*case.parts, rules)
        if case.stats is None and case.xml is None:
            theirs = run_case(case, rules=rules)
        else:
            theirs = read_stats(case.stats, case.xml, case.dataspaces)
        found = list(_rows(case.name, ours, theirs))
        rows += found
        if _slides_alone(case, found):
            remarks.append(_older(case, theirs))
    return Comparison(tuple(rows), tuple(remarks))


def _slides_alone(case: Case, rows: list[Row]) -> bool:
    """Whether the figures differ, and those of a dataspace in such alone as slide: a rank is a sum of dimensions."""
    sliding = {space.name for space in case.parts[0].dataspaces if any(len(rank) > 1 for rank in space.projection)}
    apart = [row for row in rows if not row.agrees]
    spaces = {row.dataspace for row in apart if row.dataspace}
    return bool(spaces) and spaces <= sliding and not any(row.level == "compute" for row in apart)


def _older(case: Case, theirs: dict) -> str:
    """What an older Timeloop has to do with the differences of a case."""
    agree = all(row.agrees for row in _rows(case.name, account(*case.parts, CountingRules("refetch")), theirs))
    return (
        f"{case.name}: only dataspaces that slide differ, and what sums them up; until January 2025 Timeloop counted "
        "these otherwise (NVlabs/timeloop issue 295), so figures of an older one differ here"
        + ("; with whole tiles fetched at every restart all figures agree" if agree else "")
    )


def _rows(case: str, ours: dict, theirs: dict) -> Iterator[Row]:
    yield from _pairs(case, "", "", ours, theirs)
    yield from _pairs(case, "compute", "", ours["compute"], theirs.get("compute", {}))
    for level, entry in ours["levels"].items():
        there = theirs["levels"].get(level)
        spaces = {space: figures for space, figures in entry.items() if isinstance(figures, dict)}
        if there is None:
            if any(figures["energy_pj_per_instance"] for figures in spaces.values()) or entry["leakage_pj_total"]:
                raise InvalidInput(
                    f"Timeloop's figures of {case!r} have no level {level!r}; it leaves out those without energy only"
                )
            continue
        for space, figures in spaces.items():
            if space in there:
                yield from _pairs(case, level, space, figures, there[space])
            elif "energy_pj_total" in figures:
                raise InvalidInput(
                    f"Timeloop's figures of {case!r} have no {space!r} at {level}; the mapping keeps it there"
                )
        yield from _pairs(case, level, "", entry, there)
    for network, spent in theirs.get("networks", {}).items():
        for space, energy in spent.items():
            own = float(ours.get("networks", {}).get(network, {}).get(space, 0.0))
            yield Row(case, network, space, "network_energy_pj", own, energy, _error(own, energy))


def _pairs(case: str, level: str, space: str, ours: dict, theirs: dict) -> Iterator[Row]:
    """A row for every number that both have."""
    for key, value in ours.items():
        if key in theirs and key not in _DERIVED and not isinstance(value, dict):
            yield Row(case, level, space, key, value, theirs[key], _error(value, theirs[key]))


def _error(ours: float, theirs: float) -> float:
    """Relative error, less what printing with two decimals may account for; counts are printed whole."""
    apart = abs(ours - theirs)
    if apart == 0 or (not isinstance(ours, int) and apart <= _HALF_A_DIGIT):
        return 0.0
    return apart / abs(theirs) if theirs else inf
