"""Texts from outside, such as the names of layers and levels in a file, as they may be shown and written.

A name may hold anything: what would move a terminal's cursor or turn the reading direction is not shown, and what a
spreadsheet would take for a formula is marked as text.
"""

import re

_NBSP = "\N{NO-BREAK SPACE}"
_FORMULA = re.compile(r"[=+\-@\t\r\n]")


def printable(text: str) -> str:
    """The text in one line, a blank for every character that nobody could see."""
    return text if text.isprintable() else "".join(c if c.isprintable() or c == _NBSP else " " for c in text)


def printable_lines(text: str) -> str:
    """Several lines of text, each as `printable`."""
    return "\n".join(map(printable, text.split("\n")))


def guarded(cell: str) -> str:
    """A text as a cell of a table in a file: with a ' before what a spreadsheet would compute."""
    return f"'{cell}" if _FORMULA.match(cell) else cell


def clip(text: str, width: int) -> str:
    """The text in one line of at most `width` characters, dots where it was cut."""
    line = " ".join(printable(text).split())
    return line if len(line) <= width else line[: width - 2] + ".."
