"""Checks of the numbers that machines are described by."""

import sys
from math import inf

from dlco.errors import InvalidInput
from dlco.workload.problem import check_positive_int

MOST = 1e15  # of a figure: their products, over any counts, stay finite
LARGEST = 2**53  # integers that float64 holds exactly


def check_number(name: str, value: object, *, positive: bool = False) -> None:
    """Raise `InvalidInput`, naming the field, unless `value` is a number >= 0 (or > 0), infinity allowed."""
    good = isinstance(value, int | float) and not isinstance(value, bool)
    too_large = isinstance(value, int) and value > sys.float_info.max
    if not good or too_large or not (value > 0 if positive else value >= 0):  # type: ignore[operator]
        raise InvalidInput(f"{name} is {value!r}; it must be a number {'above 0' if positive else 'of at least 0'}")


def check_figure(name: str, value: object, least: float = 0.0, most: float = MOST) -> None:
    """Raise `InvalidInput`, naming the field, unless `value` is a number from `least` to `most`."""
    check_number(name, value, positive=least > 0)
    if value == inf and most < inf:
        raise InvalidInput(f"{name} is infinite; it must be finite")
    if not least <= value <= most:  # type: ignore[operator]
        bounds = f"at least {least:g}" if most == inf else f"from {least:g} to {most:g}"
        raise InvalidInput(f"{name} is {value!r}; it must be {bounds}")


def check_size(name: str, value: object) -> None:
    """Raise `InvalidInput`, naming the field, unless `value` is an integer that float64 holds, 1 or more."""
    check_positive_int(name, value)
    if value > LARGEST:  # type: ignore[operator]
        raise InvalidInput(f"{name} is {value!r}; it must be an integer of at most 2^53")
