"""The jinja2 templates that Timeloop's v0.4 front end takes for YAML: includes, variables and conditions.

Of jinja2 what a file of sizes needs is understood: no macros, no captured blocks, bounded loops and texts, so that a
small template is a small document. Files are included by the front end's functions alone, which look beside the
template, then in the folders that `add_to_path` names, and take YAML and jinja2 files only.
"""

import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jinja2 import StrictUndefined, TemplateError, nodes
from jinja2.ext import Extension
from jinja2.lexer import Token, TokenStream
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.visitor import NodeTransformer

from dlco.errors import InvalidInput, reason_of

INCLUDED = "included_by_dlco"
"""Tag of a scalar that stands for an included document: the text is its number in `Rendered.included`."""

_MARKED = re.compile(r"^[^#\n]*(?:\{\{|\{%)", re.MULTILINE)
_ORIGIN = re.compile("\ue000(\\d+):(\\d+)\ue001")
_ENDINGS = (".yaml", ".yml", ".jinja", ".jinja2", ".j2")
_LONGEST = 1 << 22  # characters that a template may come to
_LONGEST_VALUE = 1 << 16
_MOST_STEPS = 10_000  # of all loops of a template together
_MOST_FILES = 200
_DEEPEST = 20
_UNDERSTOOD = (
    *(nodes.Template, nodes.Output, nodes.TemplateData, nodes.If, nodes.For, nodes.Assign, nodes.Name, nodes.Const),
    *(
        nodes.Call,
        nodes.Keyword,
        nodes.Filter,
        nodes.Test,
        nodes.Compare,
        nodes.Operand,
        nodes.And,
        nodes.Or,
        nodes.Not,
    ),
    *(nodes.Getattr, nodes.Getitem, nodes.List, nodes.Tuple, nodes.Dict, nodes.Pair, nodes.CondExpr, nodes.Concat),
    *(nodes.Add, nodes.Sub, nodes.Mul, nodes.Div, nodes.FloorDiv, nodes.Mod, nodes.Pow, nodes.Neg, nodes.Pos),
)
_FAULTS = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, RecursionError, OSError)
_FILTERS = ("default", "d", "int", "float", "string", "lower", "upper", "trim", "abs", "round", "length", "min", "max")
_ATTRIBUTES = ("items", "keys", "values", "get", "lower", "upper", "strip", "startswith", "endswith", "split")


class _Refused(Exception):
    """What a template asks for is not done; `_at` adds where."""


def is_template(text: str) -> bool:
    """Whether a text holds jinja2's marks outside of comments."""
    return bool(_MARKED.search(text))


@dataclass(frozen=True)
class Rendered:
    """What a template comes to.

    Attributes:
        text: YAML.
        origins: where each of its lines comes from: "file, line n"; empty where the text is as its file has it.
        included: what scalars tagged `INCLUDED` stand for, by number: documents, the keys that lead to what is taken
            of each, and whether it is a list of them (`include_all`).
    """

    text: str
    origins: tuple[str, ...] = ()
    included: tuple[tuple[tuple["Rendered", ...], tuple[str, ...], bool], ...] = ()


def render(text: str, label: str, folder: Path | None, read: Callable[[Path], str]) -> Rendered:
    """The YAML of a template.

    Args:
        text: the template.
        label: what to call it in errors.
        folder: of its file, from which relative names count; None for a text, which then includes nothing.
        read: returns an included file's text; raises `InvalidInput` where it cannot.

    Raises:
        InvalidInput: it is no template or asks for what is not there; the message says where.
    """
    return _Run(read).render(text, label, folder, [], 0)


@dataclass
class _Run:
    """One document with all that it includes."""

    read: Callable[[Path], str]
    labels: list[str] = field(default_factory=list)
    steps: int = 0
    files: int = 0

    def render(self, text: str, label: str, folder: Path | None, places: list[Path], depth: int) -> Rendered:
        included: list[tuple[tuple[Rendered, ...], tuple[str, ...], bool]] = []
        marked = self.marked(text, label, folder, list(places), depth, included)
        lines, origins, here = [], [], f"{label}, line 1"
        for line in marked.split("\n"):
            origin = _ORIGIN.search(line)
            if origin:
                here = f"{self.labels[int(origin[1])]}, line {origin[2]}"
            lines.append(_ORIGIN.sub("", line))
            origins.append(here)
        return Rendered("\n".join(lines), tuple(origins), tuple(included))

    def marked(self, text: str, label: str, folder: Path | None, places: list[Path], depth: int, included: list) -> str:
        """The text that a template comes to, each line with a mark that says whence it is."""
        if depth > _DEEPEST:
            raise InvalidInput(f"{label}: files include each other more than {_DEEPEST} deep")
        self.labels.append(label)
        environment = _Environment(len(self.labels) - 1)

        def found(name: object) -> list[Path]:
            paths = self.find(name, folder, places)
            if not paths:
                beside = ", ".join(str(place) for place in [folder, *places] if place)
                raise _Refused(f"{name!r} is included but not there; looked in {beside or 'no folder'}")
            return paths

        def opened(path: Path) -> tuple[str, str, Path]:
            self.files += 1
            if self.files > _MOST_FILES:
                raise _Refused(f"it includes more than {_MOST_FILES} files")
            if path.suffix not in _ENDINGS:
                raise _Refused(f"{path.name!r} is included; files end in {', '.join(_ENDINGS)}")
            return self.read(path), path.name, path.parent

        def include_text(name: object) -> str:
            texts = [self.marked(*opened(path), places, depth + 1, included) for path in found(name)]
            return "\n".join(texts)

        def include(name: object, keys: str = "", many: bool = False) -> str:
            paths = found(name)
            if not many and len(paths) > 1:
                raise _Refused(f"include({name!r}) finds {len(paths)} files; include_all takes several")
            documents = tuple(self.render(*opened(path), places, depth + 1) for path in paths)
            included.append((documents, tuple(key for key in str(keys).split(".") if key), many))
            return f"!{INCLUDED} {len(included) - 1}"

        def add_to_path(name: object) -> str:
            places.extend(found(name))
            return ""

        environment.globals = {
            "range": self.range,
            "dict": dict,
            "_counted": self.counted,
            "_joined": _joined,
            "cwd": lambda: str(folder or ""),
            "find_path": lambda name: str(found(name)[0]),
            "find_paths": lambda name: [str(path) for path in found(name)],
            "path_exists": lambda name: bool(self.find(name, folder, places)),
            "add_to_path": add_to_path,
            "include": include,
            "include_all": lambda name, keys="": include(name, keys, True),
            "include_text": include_text,
        }
        try:
            tree = _Checked().visit(environment.parse(text))
            parts, length = [], 0
            for part in environment.from_string(tree).generate():
                length += len(part)
                if length > _LONGEST:
                    raise _Refused(f"the template comes to more than {_LONGEST} characters")
                parts.append(part)
            return "".join(parts)
        except InvalidInput:
            raise
        except (_Refused, TemplateError, *_FAULTS) as error:
            raise _at(label, error) from None

    def find(self, name: object, folder: Path | None, places: list[Path]) -> list[Path]:
        """Files and folders of a name, in the first folder that has any."""
        if isinstance(name, list | tuple):
            return [path for one in name for path in self.find(one, folder, places)]
        if not isinstance(name, str) or not name or "\0" in name:
            raise _Refused(f"{str(name)[:60]!r} is included; that must be the name of a file")
        around = [Path(name).anchor] if os.path.isabs(name) else [folder, *places]
        for place in around:
            if place is None:
                continue
            path = Path(place, name.replace("**", "*"))
            if any(mark in name for mark in "*?["):
                base, pattern = _before_the_pattern(path)
                matches = sorted(match for match, _ in zip(base.glob(pattern), range(_MOST_FILES + 1), strict=False))
            else:
                matches = [path] if os.path.exists(path) else []
            if matches:
                return matches
        return []

    def counted(self, values: Iterable[Any]) -> Iterator[Any]:
        """The values; refuses where all loops together take too many steps."""
        for value in values:
            self.steps += 1
            if self.steps > _MOST_STEPS:
                raise _Refused(f"loops take more than {_MOST_STEPS} steps")
            yield value

    @staticmethod
    def range(*ends: int) -> range:
        """Python's range, within reason."""
        made = range(*ends)
        if len(made) > _MOST_STEPS:
            raise _Refused(f"range{ends!r} has more than {_MOST_STEPS} numbers")
        return made


class _Lines(Extension):
    """Puts behind every line break of a template a mark with the number of the line that follows."""

    def filter_stream(self, stream: TokenStream) -> Iterator[Token]:
        """The tokens of a template, those of its text marked."""
        for token in stream:
            if token.type != "data":
                yield token
                continue
            first, *rest = token.value.split("\n")
            number = self.environment.number  # type: ignore[attr-defined]
            marked = [f"\n\ue000{number}:{token.lineno + i}\ue001{line}" for i, line in enumerate(rest, 1)]
            yield Token(token.lineno, "data", first + "".join(marked))


class _Environment(ImmutableSandboxedEnvironment):
    """jinja2's sandbox, with numbers and texts kept small."""

    intercepted_binops = frozenset(("+", "*", "**", "%"))

    def __init__(self, number: int) -> None:
        self.number = number
        super().__init__(undefined=StrictUndefined, extensions=[_Lines], keep_trailing_newline=True, cache_size=0)
        self.filters = {name: self.filters[name] for name in _FILTERS}
        self.tests = {name: self.tests[name] for name in self.tests if name not in ("filter", "test")}

    def is_safe_attribute(self, obj: object, attr: str, value: object) -> bool:
        """Whether a template may look at an attribute: a few methods of texts and tables."""
        return attr in _ATTRIBUTES and super().is_safe_attribute(obj, attr, value)

    def wrap_str_format(self, value: Any) -> None:
        """No formatting: a width may be anything."""

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        """A sum, product, power or remainder; refuses where it is none of numbers."""
        numbers = isinstance(left, int | float) and isinstance(right, int | float)
        if operator == "+" and not numbers:
            return _within(left + right)
        if not numbers or not -(2**63) <= left <= 2**63 or not -(2**63) <= right <= 2**63:
            raise _Refused(f"{str(left)[:20]} {operator} {str(right)[:20]} is asked for; numbers within 64 bits go")
        if operator == "**":
            power = float(left) ** right
            return int(power) if isinstance(left, int) and isinstance(right, int) and 0 <= right < 64 else power
        return super().call_binop(context, operator, left, right)


class _Checked(NodeTransformer):
    """Refuses what is not understood of jinja2, and counts loops and joins."""

    def visit(self, node: nodes.Node, *args: Any, **kwargs: Any) -> Any:
        """The node, with its loops and joins under count."""
        if not isinstance(node, _UNDERSTOOD):
            what = type(node).__name__.lower()
            raise _refused(node, f"a {what}")
        self.generic_visit(node, *args, **kwargs)
        if isinstance(node, nodes.For):
            if node.recursive:
                raise _refused(node, "a recursive loop")
            node.iter = _call("_counted", [node.iter], node.lineno)
        if isinstance(node, nodes.Concat):
            return _call("_joined", node.nodes, node.lineno)
        return node


def _call(name: str, arguments: list[Any], line: int) -> nodes.Call:
    """A call of one of the functions above."""
    return nodes.Call(nodes.Name(name, "load", lineno=line), arguments, [], None, None, lineno=line)


def _joined(*values: object) -> str:
    return str(_within("".join(str(value) for value in values)))


def _within(value: Any) -> Any:
    """A text or list, not too long."""
    if len(value) > _LONGEST_VALUE:
        raise _Refused(f"a value has {len(value)} parts; {_LONGEST_VALUE} go")
    return value


def _before_the_pattern(path: Path) -> tuple[Path, str]:
    """The folder above the first part of a path with a wildcard, and the rest."""
    parts = path.parts
    first = next(i for i, part in enumerate(parts) if any(mark in part for mark in "*?["))
    return Path(*parts[:first]), str(Path(*parts[first:]))


def _refused(node: nodes.Node, what: str) -> _Refused:
    """An error about a part of a template."""
    error = _Refused(f"it has {what} of jinja2, which is not read")
    error.lineno = node.lineno  # type: ignore[attr-defined]
    return error


def _at(label: str, error: BaseException) -> InvalidInput:
    """An error of a template, with its line where that is known."""
    line = getattr(error, "lineno", None)
    step = error.__traceback__
    while step is not None and line is None:
        if step.tb_frame.f_code.co_filename in ("<template>", "<unknown>"):
            line = step.tb_lineno
        step = step.tb_next
    return InvalidInput(
        f"{label}{f', line {line}' if line else ''}: {reason_of(error)}: it is a template; give what it asks for, or "
        "what Timeloop's front end makes of it, parsed-processed-input.yaml"
    )
