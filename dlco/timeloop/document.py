"""`Entry`: a YAML document whose every value knows the line it stands on, so that errors can name it.

The tree is built from the parser's events and every scalar stays text until a reader asks for a number: a dimension
called N or no stays a name, 1e-9 is a number, and neither anchors nor deep nesting can make a file explode.
"""

import math
import os
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import yaml

from dlco.errors import InvalidInput

_PARSER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NUMERAL = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_DEEPEST = 100
_LARGEST = 2**31 - 1  # Timeloop keeps sizes in 32 bits
_NULLS = ("", "~", "null", "Null", "NULL")
_FLAGS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}

Source = str | os.PathLike[str]
Value = str | None | list["Entry"] | dict[str, "Entry"]


@dataclass(frozen=True)
class Entry:
    """A value of a YAML document.

    Attributes:
        value: text of a scalar, None, a list of entries, or a dict of entries (hyphens in keys as underscores).
        name: the key it stands under.
        where: file and line, for errors.
        tag: what follows the `!` of a tagged value, or None.
    """

    value: Value
    name: str
    where: str
    tag: str | None = None

    def error(self, message: str) -> InvalidInput:
        """An `InvalidInput` that says where and then `message`."""
        return InvalidInput(f"{self.where}: {message}")

    def fields(
        self, required: Collection[str] = (), optional: Collection[str] = (), unlisted: Collection[str] = ()
    ) -> dict[str, "Entry"]:
        """The entries of a mapping by key; those that are null are left out.

        Args:
            required: keys that must be there.
            optional: keys that may be there.
            unlisted: keys that may be there too, but that errors do not recommend.

        Raises:
            InvalidInput: it is no mapping, a required key is missing, or a key is in no list.
        """
        given = self.mapping()
        allowed = ", ".join([*required, *optional])
        for key in given:
            if key not in required and key not in optional and key not in unlisted:
                raise given[key].error(f"unknown key {key!r} in {self.name}; allowed: {allowed}")
        for key in required:
            if key not in given or given[key].value is None:
                raise self.error(f"{self.name} has no {key!r}; it must be given (allowed keys: {allowed})")
        return {key: entry for key, entry in given.items() if entry.value is not None}

    def mapping(self) -> dict[str, "Entry"]:
        """The entries of a mapping by key, whatever the keys; raises `InvalidInput` if it is none."""
        if not isinstance(self.value, dict):
            raise self.error(f"{self.name} is {self.shown}; it must be a mapping of keys to values")
        return self.value

    def items(self) -> list["Entry"]:
        """The entries of a list; raises `InvalidInput` if it is none."""
        if not isinstance(self.value, list):
            raise self.error(f"{self.name} is {self.shown}; it must be a list")
        return self.value

    def text(self) -> str:
        """A scalar's text; raises `InvalidInput` if it is none or empty."""
        if not isinstance(self.value, str) or not self.value.strip():
            raise self.error(f"{self.name} is {self.shown}; it must be a text")
        return self.value.strip()

    def texts(self) -> list[str]:
        """The texts of a list of scalars; raises `InvalidInput` if it is something else."""
        return [item.text() for item in self.items()]

    def number(self, *, positive: bool = False) -> float:
        """A finite number of at least 0 (or above 0); whole ones come back as `int`.

        Raises:
            InvalidInput: it is something else; expressions are not evaluated.
        """
        value = self._numeral()
        if not math.isfinite(value) or not (value > 0 if positive else value >= 0):
            bound = "above 0" if positive else "of at least 0"
            raise self.error(f"{self.name} is {self.shown}; it must be a finite number {bound}")
        return int(value) if value == int(value) and value <= 2**53 else float(value)

    def integer(self, minimum: int = 1, maximum: int = _LARGEST) -> int:
        """A whole number; raises `InvalidInput` if it is something else, below `minimum` or above `maximum`."""
        value = self._numeral()
        if not minimum <= value <= maximum or value != int(value):
            bound = f" and at most {maximum}" if value > maximum else ""
            raise self.error(f"{self.name} is {self.shown}; it must be an integer of at least {minimum}{bound}")
        return int(value)

    def _numeral(self) -> float:
        """The number that a scalar spells, or NaN; 8.0 and 1e-9 are numbers, as programs write them."""
        text = self.value.strip() if isinstance(self.value, str) else ""
        if not _NUMERAL.fullmatch(text):
            return math.nan
        return int(text) if text.lstrip("+-").isdecimal() and len(text) < 30 else float(text)

    def flag(self) -> bool:
        """A truth value; raises `InvalidInput` if it is something else."""
        flag = _FLAGS.get(self.value.strip().lower()) if isinstance(self.value, str) else None
        if flag is None:
            raise self.error(f"{self.name} is {self.shown}; it must be true or false")
        return flag

    @property
    def shown(self) -> str:
        """The value in short, for an error."""
        if isinstance(self.value, dict):
            return "a mapping"
        if isinstance(self.value, list):
            return "a list"
        if self.value is None:
            return "empty"
        return repr(self.value if len(self.value) <= 60 else self.value[:57] + "...")


def load(source: Source, what: str) -> Entry:
    """The document in a file or text.

    Args:
        source: a path, or the YAML text itself.
        what: what it should hold, such as "architecture", for errors.

    Raises:
        InvalidInput: no such file, not readable, or not YAML.
    """
    text, label = _read(source, what)
    try:
        return _parsed(text, label)
    except InvalidInput:
        if "{{" in text or "{%" in text:
            raise InvalidInput(
                f"{label}: it is a template; give what Timeloop's front end makes of it, parsed-processed-input.yaml"
            ) from None
        raise


def _parsed(text: str, label: str) -> Entry:
    """The first document of a text."""
    try:
        return _Composer(yaml.parse(text, Loader=_PARSER), label).document()
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise InvalidInput(f"{label}{line}: not valid YAML: {error.problem or error.context}") from None
    except (yaml.YAMLError, ValueError) as error:
        if isinstance(error, InvalidInput):
            raise
        raise InvalidInput(f"{label}: not valid YAML: {' '.join(str(error).split())[:200]}") from None


def _read(source: Source, what: str) -> tuple[str, str]:
    """Text of a source and what to call it."""
    if isinstance(source, str) and (not source.strip() or "\n" in source or ": " in source or "{" in source):
        return source, f"{what} text"
    if not isinstance(source, str | os.PathLike):
        raise InvalidInput(f"{what} is {type(source).__name__}; it must be a path or a YAML text")
    return read_text(source, what), os.path.basename(os.fspath(source))


def read_text(path: Source, what: str) -> str:
    """The text of a file; raises `InvalidInput` where it cannot be read."""
    try:
        return Path(path).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise InvalidInput(f"{what} file {os.fspath(path)!r} is not a text file in UTF-8") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a path"
        raise InvalidInput(f"{what} file {os.fspath(path)[:200]!r} cannot be read: {reason}") from None


class _Composer:
    """Builds the tree of the first document from the parser's events."""

    def __init__(self, events: Iterator[yaml.Event], label: str) -> None:
        self.events = events
        self.label = label
        self.anchors: dict[str, Entry] = {}

    def document(self) -> Entry:
        for event in self.events:
            if isinstance(event, yaml.DocumentStartEvent):
                return self.entry(next(self.events), "the document", 0)
        raise InvalidInput(f"{self.label}: it is empty")

    def entry(self, event: yaml.Event, name: str, depth: int) -> Entry:
        where = self.where(event)
        if depth > _DEEPEST:
            raise InvalidInput(f"{where}: nested more than {_DEEPEST} deep")
        anchor: str | None = getattr(event, "anchor", None)
        tag: str | None = getattr(event, "tag", None)
        if isinstance(event, yaml.AliasEvent):
            if anchor not in self.anchors:  # it counts once its value is complete: no value holds itself
                raise InvalidInput(f"{where}: alias *{anchor} has no complete anchor before it")
            return replace(self.anchors[anchor], name=name)
        value: Value
        if isinstance(event, yaml.ScalarEvent):
            value = None if event.implicit[0] and event.value in _NULLS else event.value
        elif isinstance(event, yaml.SequenceStartEvent):
            value = self.sequence(name, depth + 1)
        else:
            value = self.pairs(depth + 1)
        entry = Entry(value, name, where, tag.removeprefix("!") or None if tag else None)
        if anchor:
            self.anchors[anchor] = entry
        return entry

    def where(self, event: yaml.Event) -> str:
        return f"{self.label}, line {event.start_mark.line + 1 if event.start_mark else 1}"

    def sequence(self, name: str, depth: int) -> list[Entry]:
        items = []
        while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
            items.append(self.entry(event, name, depth))
        return items

    def pairs(self, depth: int) -> dict[str, Entry]:
        given: dict[str, Entry] = {}
        merged: dict[str, Entry] = {}
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            if not isinstance(event, yaml.ScalarEvent):
                raise InvalidInput(f"{self.where(event)}: a key must be a plain text")
            key = event.value.replace("-", "_")
            entry = self.entry(next(self.events), key, depth)
            if key == "<<":
                for source in entry.value if isinstance(entry.value, list) else [entry]:
                    merged = source.mapping() | merged
            elif key in given:
                raise InvalidInput(f"{entry.where}: key {event.value!r} is given twice; once is allowed")
            else:
                given[key] = entry
        return merged | given
