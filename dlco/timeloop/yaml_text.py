"""Pieces of the YAML that dlco writes, in the form that Timeloop's own parsers take."""

import json
import re
from collections.abc import Iterable, Mapping

from dlco.errors import InvalidInput

VERSIONS = ("0.3", "0.4")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def check_version(version: str) -> None:
    """Raise `InvalidInput` unless it is a version of Timeloop's files that dlco writes."""
    if version not in VERSIONS:
        raise InvalidInput(f"version is {version!r}; allowed: {', '.join(VERSIONS)}")


def name(text: str, field: str) -> str:
    """A name as it is; raises `InvalidInput` for one that Timeloop's files cannot carry."""
    if not _is_name(text):
        raise InvalidInput(f"{field} is {text!r}; Timeloop's files take letters, digits and _, not a digit first")
    return text


def quoted(text: str) -> str:
    """Any text, in quotes where it is no name."""
    return text if _is_name(text) else json.dumps(text)


def _is_name(text: str) -> bool:
    return bool(_NAME.fullmatch(text)) and text.lower() != "null"


def number(value: float) -> str:
    """A number that reads back as the same, whole ones without a point."""
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(float(value))


def flow_list(items: Iterable[str]) -> str:
    """`[a, b]`."""
    return f"[{', '.join(items)}]"


def flow_map(items: Mapping[str, str]) -> str:
    """`{a: 1, b: 2}`."""
    return f"{{{', '.join(f'{key}: {value}' for key, value in items.items())}}}"
