"""Frozen dataclasses of plain fields as what JSON holds, and back by their type hints.

Tuples and sets become lists (sets sorted) and infinity, of which JSON knows nothing, becomes null. What is read is of
its field's type, or an error names the field and the value. A class with `to_dict` and `from_dict` of its own is
written and read by these.
"""

import sys
from collections.abc import Collection, Mapping
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from functools import lru_cache
from math import inf, isfinite
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from dlco.errors import InvalidInput
from dlco.workload.problem import check_count, shown


def check_figure(field: str, value: object, least: float = 0.0) -> None:
    """Raise `InvalidInput`, naming the field, unless it is a finite number from `least` on."""
    if not _is_finite(value) or value < least:  # type: ignore[operator]
        must = "a finite number" + ("" if least == -inf else f" of at least {least:g}")
        raise InvalidInput(f"{field} is {shown(value)}; it must be {must}")


def check_word(field: str, value: object, allowed: Collection[str]) -> None:
    """Raise `InvalidInput`, naming the field, unless it is one of the words that are allowed."""
    if value not in allowed:
        raise InvalidInput(f"{field} is {shown(value)}; allowed: {', '.join(allowed)}")


Count = Annotated[int, check_count]
"""A whole number from 0 on."""
Figure = Annotated[float, check_figure]
"""A finite number from 0 on."""


def encode(value: Any) -> Any:
    """What JSON holds of a value."""
    if hasattr(value, "to_dict"):
        return value.to_dict()
    if is_dataclass(value):
        return {item.name: encode(getattr(value, item.name)) for item in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): encode(one) for key, one in value.items()}
    if isinstance(value, set | frozenset):
        return sorted(value)
    if isinstance(value, list | tuple):
        return [encode(one) for one in value]
    if isinstance(value, Enum):
        return value.value
    return None if isinstance(value, float) and not isfinite(value) else value


def decode(hint: Any, value: Any, name: str) -> Any:
    """What `encode` made JSON of.

    Args:
        hint: its type: of plain values, tuples (named ones too), sets, dictionaries, enumerations of words, dataclasses
            and unions of these, with checks as `Count` and `Figure` have them.
        value: what JSON holds.
        name: what to call it in an error.

    Raises:
        InvalidInput: it is something else.
    """
    origin, inside = get_origin(hint), get_args(hint)
    if origin is Annotated:
        for check in hint.__metadata__:
            check(name, value)
        return decode(inside[0], value, name)
    if origin in (Union, UnionType):
        if value is None and NoneType in inside:
            return None
        kinds = [one for one in inside if one is not NoneType]
        fitting = [one for one in kinds if (get_origin(one) is Mapping) == isinstance(value, dict)]
        return decode((fitting or kinds)[0], value, name)
    if origin in (tuple, frozenset):
        return origin(_decode_list(inside, value, name))
    if isinstance(hint, type) and issubclass(hint, tuple):  # one with names
        return hint(*_decode_list(tuple(get_type_hints(hint).values()), value, name))
    if origin in (dict, Mapping):
        _must(isinstance(value, dict), name, value, "a dictionary")
        return {key: decode(inside[1], one, f"{name} ({key!r})") for key, one in value.items()}
    if is_dataclass(hint):
        return hint.from_dict(value) if hasattr(hint, "from_dict") else decode_fields(hint, value, f"in the {name}")
    if isinstance(hint, type) and issubclass(hint, Enum):
        check_word(name, value, tuple(hint))
        return hint(value)
    if hint is float:
        _must(value is None or _is_finite(value), name, value, "a finite number, or null for infinity")
        return inf if value is None else value
    if hint is not Any:
        _must(isinstance(value, hint) and (hint is bool or not isinstance(value, bool)), name, value, _PLAIN[hint])
    return value


def decode_fields(kind: Any, data: Any, where: str, later: Collection[str] | None = None) -> Any:
    """A dataclass, of a dictionary of its fields.

    Args:
        kind: the dataclass.
        data: what JSON holds.
        where: follows the fields' names in errors, such as "of the solution".
        later: fields that may be missing; by default those that have a default.

    Raises:
        InvalidInput: a field is missing, unknown, or not what it should be.
    """
    _must(isinstance(data, dict), f"what is {where}", data, "a dictionary")
    hints = _hints(kind)
    for name in data:
        check_word(f"a field {where}", name, hints)
    found = {}
    for item in fields(kind):
        if item.name in data:
            found[item.name] = decode(hints[item.name], data[item.name], f"{item.name} {where}")
        elif item.name not in later if later is not None else item.default is item.default_factory is MISSING:
            raise InvalidInput(f"{item.name} {where} is missing")
    return kind(**found)


_PLAIN = {str: "a text", bool: "true or false", int: "an integer"}


def _decode_list(inside: tuple[Any, ...], value: Any, name: str) -> list[Any]:
    """The entries of a tuple or set of these types."""
    _must(isinstance(value, list | tuple), name, value, "a list")
    if len(inside) > 1 and inside[1] is not Ellipsis:
        _must(len(value) == len(inside), name, value, f"a list of {len(inside)}")
        return [decode(hint, one, name) for hint, one in zip(inside, value, strict=True)]
    return [decode(inside[0], one, name) for one in value]


def _is_finite(value: object) -> bool:
    """Whether it is a number that float64 can hold."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def _must(good: bool, name: str, value: object, what: str) -> None:
    if not good:
        raise InvalidInput(f"{name} is {shown(value)}; it must be {what}")


@lru_cache(maxsize=64)
def _hints(kind: Any) -> dict[str, Any]:
    hints = get_type_hints(kind, include_extras=True)
    return {item.name: hints[item.name] for item in fields(kind)}
