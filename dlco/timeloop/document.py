"""`Entry`: a YAML document whose every value knows the line it stands on, so that errors can name it.

The tree is built from the parser's events and every scalar stays text until a reader asks for a number: a dimension
called N or no stays a name, 1e-9 is a number, and neither anchors nor deep nesting can make a file explode: aliases
share their values, and a section whose values come to too many, counted through its aliases, is refused.
"""

import logging
import math
import os
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import yaml

from dlco import reading
from dlco.errors import InvalidInput
from dlco.timeloop.spelling import near
from dlco.timeloop.template import INCLUDED, Rendered, is_template, render

logger = logging.getLogger("dlco")

TOP_KEYS = (
    *("architecture", "ERT", "ART", "problem", "mapping", "mapspace_constraints", "architecture_constraints"),
    *("mapspace", "components", "compound_components", "sparse_optimizations", "variables", "globals"),
    *("constraints", "extra_mapping_constraints", "arch_constraints", "dumped_by_timeloop_front_end"),
)
"""Keys of a document that some reader looks up, or that say how a table was made."""

_OTHER_TOOLS = ("mapper", "model", "layout", "ERT_summary", "ART_summary", "flattened_architecture")
_SPEAKERS = ("architecture", "problem", "mapping", "ERT", "ART")
_PARSER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NUMERAL = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_DEEPEST = 100
_MOST_VALUES = 250_000  # of a document as written, and of a section with its aliases followed
_CHUNK = 64  # characters of a text that count as a value
_MOST_STRANGE = 100
_LARGEST_FILE = 1 << 25  # bytes
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
        size: how many values it comes to, those that aliases stand for counted each time.
    """

    value: Value
    name: str
    where: str
    tag: str | None = None
    size: int = 1

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

    def looked_up(
        self,
        required: Collection[str] = (),
        optional: Collection[str] = (),
        others: Collection[str] = (),
        silent: Collection[str] = (),
        *,
        warn: bool = True,
    ) -> dict[str, "Entry"]:
        """As `fields`, of a mapping in which Timeloop passes over keys that it does not look up: a warning names them.

        Args:
            required: keys that must be there.
            optional: keys that may be there.
            others: keys of other tools, which are no misspelt ones.
            silent: keys that are passed over without a word.
            warn: whether it falls to this reader to warn.

        Raises:
            InvalidInput: it is no mapping, a required key is missing, or a key looks like a known one misspelt.
        """
        given, known = self.mapping(), [*required, *optional]
        strange = [key for key in given if key not in known and key not in silent]
        if len(strange) > _MOST_STRANGE:
            raise self.error(f"{self.name} has {len(strange)} keys that nothing reads, such as {strange[0][:60]!r}")
        whole = all(key in given for key in required)
        for key in strange:
            meant = None if key in others else near(key, known)
            if meant or (key not in others and not whole):
                hint = f"{meant} (was that meant?)" if meant else ", ".join(known)
                raise given[key].error(f"unknown key {key!r} in {self.name}; allowed: {hint}")
        if strange and warn:
            shown = ", ".join(repr(key[:60]) for key in strange[:10]) + (" and more" if len(strange) > 10 else "")
            logger.warning("%s: nothing reads %s in %s: passed over", given[strange[0]].where, shown, self.name)
        kept = {key: value for key, value in given.items() if key in known}
        return replace(self, value=kept).fields(required, optional)

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
    def empty(self) -> bool:
        """Whether it says nothing: null, or a list or mapping of such values, `version` aside."""
        if self.size > _MOST_VALUES:
            return False
        if isinstance(self.value, dict):
            return all(value.empty for key, value in self.value.items() if key != "version")
        return not self.value or (isinstance(self.value, list) and all(item.empty for item in self.value))

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

    A template of the v0.4 front end is rendered first (see `dlco.timeloop.template`).

    Args:
        source: a path, or the YAML text itself.
        what: what it should hold, such as "architecture", for errors.

    Raises:
        InvalidInput: no such file, not readable, or not YAML.
    """
    return _composed(source, what)[0]


def sections(source: Source, what: str, required: Collection[str] = ()) -> dict[str, Entry]:
    """The sections of a document, by their keys at the top; a warning names those that no reader looks up.

    Of a document that several readers read, the first of `_SPEAKERS` that it holds is the one to warn.

    Raises:
        InvalidInput: as `load` does, a required section is missing, a key looks like a misspelt one, or the aliases
            of a section make it too large.
    """
    document, aliased = _composed(source, what)
    speaker = next((key for key in _SPEAKERS if key in document.mapping()), None)
    others = [key for key in TOP_KEYS if key not in required]
    given = document.looked_up(required, others, _OTHER_TOOLS, aliased, warn=speaker is None or speaker in required)
    for key, entry in given.items():
        if entry.size > _MOST_VALUES:
            raise entry.error(f"{key} comes to more than {_MOST_VALUES} values with its aliases")
    return given


def _composed(source: Source, what: str) -> tuple[Entry, set[str]]:
    """The document, and those of its keys whose values aliases stand for."""
    text, label, folder = _read(source, what)
    if is_template(text):
        return _document(render(text, label, folder, lambda path: read_text(path, "included")), label)
    return _document(Rendered(text), label)


def _document(rendered: Rendered, label: str) -> tuple[Entry, set[str]]:
    """The first document of a text, and those of its keys whose values aliases stand for."""
    composer = _Composer(yaml.parse(rendered.text, Loader=_PARSER), rendered, label)
    try:
        return composer.document()
    except yaml.MarkedYAMLError as error:
        where = composer.at(error.problem_mark.line) if error.problem_mark else label
        raise InvalidInput(f"{where}: not valid YAML: {error.problem or error.context}") from None
    except (yaml.YAMLError, ValueError) as error:
        if isinstance(error, InvalidInput):
            raise
        raise InvalidInput(f"{label}: not valid YAML: {' '.join(str(error).split())[:200]}") from None


def _read(source: Source, what: str) -> tuple[str, str, Path | None]:
    """Text of a source, what to call it, and the folder it stands in."""
    if isinstance(source, str) and _is_text(source):
        return source, f"{what} text", None
    if not isinstance(source, str | os.PathLike):
        raise InvalidInput(f"{what} is {type(source).__name__}; it must be a path or a YAML text")
    return read_text(source, what), os.path.basename(os.fspath(source)), Path(source).parent


def folder_of(source: Source) -> Path | None:
    """The folder that a source stands in; None for a text."""
    return None if isinstance(source, str) and _is_text(source) else Path(source).parent


def _is_text(source: str) -> bool:
    """Whether a source is a YAML text rather than a path."""
    return not source.strip() or "\n" in source or ": " in source or "{" in source


def read_text(path: Source, what: str) -> str:
    """The text of a file; raises `InvalidInput` where it cannot be read or is larger than any such file."""
    try:
        return reading.read_text(path, _LARGEST_FILE)
    except UnicodeDecodeError:
        raise InvalidInput(f"{what} file {os.fspath(path)!r} is not a text file in UTF-8") from None
    except (OSError, ValueError) as error:
        if isinstance(error, InvalidInput):
            raise
        reason = getattr(error, "strerror", None) or "not a path"
        raise InvalidInput(f"{what} file {os.fspath(path)[:200]!r} cannot be read: {reason}") from None


class _Composer:
    """Builds the tree of the first document from the parser's events."""

    def __init__(self, events: Iterator[yaml.Event], rendered: Rendered, label: str) -> None:
        self.events = events
        self.rendered = rendered
        self.label = label
        self.anchors: dict[str, Entry] = {}
        self.aliased: set[int] = set()
        self.values = 0

    def document(self) -> tuple[Entry, set[str]]:
        for event in self.events:
            if isinstance(event, yaml.DocumentStartEvent):
                entry = self.entry(next(self.events), "the document", 0)
                keys = entry.value if isinstance(entry.value, dict) else {}
                return entry, {key for key, value in keys.items() if id(value) in self.aliased}
        raise InvalidInput(f"{self.label}: it is empty")

    def entry(self, event: yaml.Event, name: str, depth: int) -> Entry:
        where = self.where(event)
        if depth > _DEEPEST:
            raise InvalidInput(f"{where}: nested more than {_DEEPEST} deep")
        anchor: str | None = getattr(event, "anchor", None)
        tag: str | None = getattr(event, "tag", None)
        tag = tag.removeprefix("!") or None if tag else None
        if isinstance(event, yaml.AliasEvent):
            if anchor not in self.anchors:  # it counts once its value is complete: no value holds itself
                raise InvalidInput(f"{where}: alias *{anchor} has no complete anchor before it")
            self.count(1, where)
            self.aliased.add(id(self.anchors[anchor]))
            return replace(self.anchors[anchor], name=name)
        self.count(1, where)
        value: Value
        size = 1
        if isinstance(event, yaml.ScalarEvent):
            size += len(event.value) // _CHUNK
            self.count(size - 1, where)
            if tag == INCLUDED:
                return replace(self.included(event.value, where), name=name)
            value = None if event.implicit[0] and event.value in _NULLS else event.value
        elif isinstance(event, yaml.SequenceStartEvent):
            value = self.sequence(name, depth + 1)
            size += sum(item.size for item in value)
        else:
            value = self.pairs(depth + 1)
            size += sum(item.size for item in value.values())
        entry = Entry(value, name, where, tag, size)
        if anchor:
            self.anchors[anchor] = entry
        return entry

    def count(self, values: int, where: str) -> None:
        """Count values; raises `InvalidInput` where the document comes to too many."""
        self.values += values
        if self.values > _MOST_VALUES:
            raise InvalidInput(f"{where}: the document has more than {_MOST_VALUES} values")

    def included(self, number: str, where: str) -> Entry:
        """What a template includes as a document."""
        documents, keys, many = self.rendered.included[int(number)]
        found = []
        for document in documents:
            composer = _Composer(yaml.parse(document.text, Loader=_PARSER), document, self.label)
            composer.values = self.values
            entry = composer.document()[0]
            self.values = composer.values
            for key in keys:
                values = entry.mapping()
                if key not in values:
                    raise InvalidInput(f"{where}: what is included has no {key!r}; it has {', '.join(values)[:200]}")
                entry = values[key]
            found.append(entry)
        return Entry(found, "included", where, size=1 + sum(item.size for item in found)) if many else found[0]

    def where(self, event: yaml.Event) -> str:
        return self.at(event.start_mark.line if event.start_mark else 0)

    def at(self, line: int) -> str:
        origins = self.rendered.origins
        return origins[min(line, len(origins) - 1)] if origins else f"{self.label}, line {line + 1}"

    def sequence(self, name: str, depth: int) -> list[Entry]:
        items = []
        while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
            items.append(self.entry(event, name, depth))
        return items

    def pairs(self, depth: int) -> dict[str, Entry]:
        given: dict[str, Entry] = {}
        merges: list[tuple[Entry, bool]] = []
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            if not isinstance(event, yaml.ScalarEvent):
                raise InvalidInput(f"{self.where(event)}: a key must be a plain text")
            key = event.value.replace("-", "_")
            entry = self.entry(next(self.events), key, depth)
            if key in ("<<", "<<<"):
                sources = entry.value if isinstance(entry.value, list) and key == "<<" else [entry]
                merges += [(source, key == "<<<") for source in sources]
            elif key in given:
                raise InvalidInput(f"{entry.where}: key {event.value!r} is given twice; once is allowed")
            else:
                given[key] = entry
        for source, deep in merges:
            self.merge(given, source, deep)
        return given

    def merge(self, given: dict[str, Entry], source: Entry, deep: bool) -> None:
        """Add to a mapping what another has besides; deep, to its own mappings too."""
        others = source.mapping()
        self.count(len(others), source.where)
        for key, entry in others.items():
            own = given.get(key)
            if own is None:
                given[key] = entry
            elif deep and isinstance(own.value, dict) and isinstance(entry.value, dict):
                value = dict(own.value)
                self.merge(value, entry, deep)
                size = 1 + sum(item.size for item in value.values())
                given[key] = replace(own, value=value, size=size)
