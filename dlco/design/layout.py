"""`Table`: rows of text for a terminal or a web page; and numbers as people read them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from math import floor, isfinite, log10

from dlco.texts import printable, printable_lines

_PREFIXES = {-15: "f", -12: "p", -9: "n", -6: "u", -3: "m", 0: "", 3: "k", 6: "M", 9: "G", 12: "T", 15: "P"}
RAISED = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")
_MICRO = re.compile(r"(?<=\d) u(?=[JWs]\b)")
_POWER = re.compile(r"(?<=\d)e\+?(-?\d+)(?= pJ x cycles)")
_CELL = "padding:0.15em 0.7em;border:none;text-align:"


def si(value: float, unit: str = "") -> str:
    """Three significant digits with a decimal prefix: 0.0123 and "J" make "12.3 mJ"; whole numbers below 1000 as is."""
    if not isfinite(value) or (value == int(value) and abs(value) < 1000):
        return f"{value:g} {unit}".rstrip()
    exponent = floor(log10(abs(float(f"{value:.2e}"))))  # of the rounded value: 999.9 is 1.00 k
    power = exponent // 3 * 3
    if power not in _PREFIXES:
        return f"{value:.2e} {unit}".rstrip()
    return f"{value / 10.0**power:.{2 - (exponent - power)}f} {_PREFIXES[power]}{unit}".rstrip()


def pretty(text: str) -> str:
    """A text with units as they are printed: mm², µ, powers of ten, and a dot between factors."""
    text = _POWER.sub(lambda m: f"×10{str(int(m.group(1))).translate(RAISED)}", text)
    return _MICRO.sub(" µ", text.replace("mm2", "mm²").replace("pJ x cycles", "pJ·cycles"))


def scaled(largest: float, unit: str) -> tuple[float, str]:
    """What to divide by, and the prefixed unit, so that values up to `largest` read well: (1e-3, "mJ") for 0.02 J."""
    if not isfinite(largest) or largest <= 0:
        return 1.0, unit
    power = min(max(floor(log10(largest)) // 3 * 3, -15), 15)
    return 10.0**power, _PREFIXES[power] + unit


def clip(text: str, width: int) -> str:
    """The text in one line of at most `width` characters, dots where it was cut."""
    line = " ".join(printable(text).split())
    return line if len(line) <= width else line[: width - 2] + ".."


@dataclass(frozen=True)
class Table:
    """Rows under a header, all text.

    Attributes:
        title: what the rows are.
        header: one text a column.
        rows: as many cells each as the header.
        text_columns: columns that hold words, so are aligned left; all others hold numbers.
        note: what a reader must know of the columns, or nothing.

    Whatever the texts hold, what is kept of them can be shown on any terminal and page (`dlco.texts.printable`).
    """

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    text_columns: frozenset[int] = frozenset({0})
    note: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "title", printable_lines(self.title))
        object.__setattr__(self, "note", printable_lines(self.note))
        object.__setattr__(self, "header", tuple(map(printable, self.header)))
        object.__setattr__(self, "rows", tuple(tuple(map(printable, row)) for row in self.rows))

    def to_text(self) -> str:
        """Title, header, rows and note in fixed width, without a line break at the end."""
        lines = [self.header, *self.rows]
        widths = [max(len(cell) for cell in column) for column in zip(*lines, strict=True)]
        body = ["  ".join(self._aligned(line, widths)).rstrip() for line in lines]
        rule = "  ".join("-" * width for width in widths)
        title = [self.title] if self.title else []
        note = [self.note] if self.note else []
        return "\n".join([*title, body[0], rule, *body[1:], *note])

    def _aligned(self, line: Sequence[str], widths: Sequence[int]) -> list[str]:
        return [
            cell.ljust(width) if column in self.text_columns else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]

    def to_html(self) -> str:
        """The same as one HTML table, styled in place, with everything escaped."""
        caption = f'<caption style="text-align:left;font-weight:bold">{escape(self.title)}</caption>'
        head = self._html_row(self.header, "th")
        body = "\n".join(self._html_row(row, "td") for row in self.rows)
        note = f"<p><small>{escape(self.note)}</small></p>" if self.note else ""
        return (
            f'<table style="border-collapse:collapse;margin:0.8em 0">{caption}\n'
            f'<thead style="border-bottom:1px solid">{head}</thead>\n<tbody>\n{body}\n</tbody></table>{note}'
        )

    def _html_row(self, row: Sequence[str], tag: str) -> str:
        cells = (
            f'<{tag} style="{_CELL}{"left" if column in self.text_columns else "right"}">{escape(cell)}</{tag}>'
            for column, cell in enumerate(row)
        )
        return f"<tr>{''.join(cells)}</tr>"
