"""Rows of results for other programs: pandas DataFrames, CSV. Units stand in the columns' names."""

import csv
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

from dlco.errors import InvalidInput
from dlco.texts import guarded, printable

if TYPE_CHECKING:
    from pandas import DataFrame

Rows = Sequence[Sequence[object]]


def to_frame(columns: Sequence[str], rows: Rows) -> "DataFrame":
    """The rows as a DataFrame; `InvalidInput` where pandas is not installed."""
    try:
        import pandas
    except ImportError:
        raise InvalidInput("a DataFrame needs the package pandas; install dlco with its extra [pandas]") from None
    frame: DataFrame = pandas.DataFrame(list(rows), columns=columns)
    return frame


def to_csv(columns: Sequence[str], rows: Rows) -> str:
    """The rows as CSV with a header; texts are printable, with a ' before those that a spreadsheet would compute."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for row in (columns, *rows):
        writer.writerow([guarded(printable(cell)) if isinstance(cell, str) else cell for cell in row])
    return text.getvalue()
