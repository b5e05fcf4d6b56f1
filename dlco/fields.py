"""Fields of a saved document, each handed on once it is what it should be: an error names the field and the value."""

import sys
from collections.abc import Collection
from math import inf, isfinite

from dlco.errors import InvalidInput

GARBLED = (KeyError, IndexError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError)
"""What reading a field raises that a document lacks or has of another type."""


def is_figure(value: object) -> bool:
    """Whether it is a number that float64 can hold, and no NaN."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) <= sys.float_info.max or value in (inf, -inf)


def read_figure(field: str, value: object, least: float = 0.0) -> float:
    """A finite number from `least` on."""
    if not is_figure(value) or not isfinite(value) or value < least:  # type: ignore[arg-type, operator]
        must = "a finite number" + ("" if least == -inf else f" of at least {least:g}")
        raise InvalidInput(f"{field} is {value!r}; it must be {must}")
    return float(value)  # type: ignore[arg-type]


def read_text(field: str, value: object) -> str:
    """A text."""
    if not isinstance(value, str):
        raise InvalidInput(f"{field} is {value!r}; it must be a text")
    return value


def read_flag(field: str, value: object) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise InvalidInput(f"{field} is {value!r}; it must be true or false")
    return value


def read_word(field: str, value: object, allowed: Collection[str]) -> str:
    """One of the words that are allowed."""
    if not isinstance(value, str) or value not in allowed:
        raise InvalidInput(f"{field} is {value!r}; allowed: {', '.join(allowed)}")
    return value
