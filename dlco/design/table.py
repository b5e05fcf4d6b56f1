"""`Table`: rows of text for a terminal or a web page."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from dlco.texts import printable, printable_lines

_CELL = "padding:0.15em 0.7em;border:none;text-align:"


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
