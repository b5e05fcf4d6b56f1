"""What the two parts of the silicon benchmark share: their CSV files, and how predictions are judged."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from scipy.stats import spearmanr


def read_rows(path: Path, columns: Sequence[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """(line, cells) of a CSV file; raises SystemExit where the file lacks a column, a cell, or all rows."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            missing = [name for name in columns if name not in (reader.fieldnames or ())]
            if missing:
                raise SystemExit(f"{path.name} lacks the columns {', '.join(missing)}")
            rows = [(reader.line_num, row) for row in reader]
    except OSError as error:
        raise SystemExit(f"{path.name} cannot be read: {error.strerror}") from None
    if not rows:
        raise SystemExit(f"{path.name} has no rows")
    for number, row in rows:
        if any(row[name] in (None, "") for name in columns):
            raise SystemExit(f"{path.name}, line {number}: a cell is empty")
    yield from rows


def number(path: Path, line: int, row: Mapping[str, str], name: str) -> float:
    """A cell as a number above or at 0."""
    try:
        value = float(row[name])
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise SystemExit(f"{path.name}, line {line}: {name} is {row[name]!r}; it must be a number of at least 0")
    return value


def whole(path: Path, line: int, row: Mapping[str, str], name: str) -> int:
    """A cell as an integer of at least 1."""
    value = number(path, line, row, name)
    if value != int(value) or value < 1:
        raise SystemExit(f"{path.name}, line {line}: {name} is {row[name]!r}; it must be an integer of at least 1")
    return int(value)


def judged(predicted: Sequence[float], measured: Sequence[float]) -> dict[str, Any]:
    """Mean and largest absolute error in per cent of what was measured, and Spearman's rank correlation.

    The correlation is None where it is not defined: of less than two points, or where all are alike.
    """
    errors = [100 * abs(float(guess) / truth - 1) for guess, truth in zip(predicted, measured, strict=True)]
    rank = None
    if len(set(predicted)) > 1 and len(set(measured)) > 1:
        rank = float(spearmanr(predicted, measured).statistic)
    return {"points": len(errors), "mean_error": sum(errors) / len(errors), "worst_error": max(errors), "rank": rank}
