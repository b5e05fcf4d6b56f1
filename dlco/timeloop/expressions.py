"""Arithmetic in v0.4 files: `depth: BUFFER_KIB * 1024 / width`, with names from `variables` and from attributes.

Timeloop's front end takes any Python there. This reads arithmetic alone and runs no code: it gives a number or nothing.
"""

import ast
import math
import operator
import re
from collections import ChainMap
from collections.abc import Callable, Mapping
from dataclasses import replace

from dlco.errors import InvalidInput
from dlco.timeloop.document import Entry

Symbols = Mapping[str, float]

_LONGEST = 200  # characters
_MOST = 10_000  # values of a mapping
_LARGEST = 2.0**62
_TOKENS = re.compile(
    r"(?:(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?(?![\w.])|[A-Za-z_]\w*(?!\w)|\*\*|//|[-+*/%(),]|\s)+", re.ASCII
)
_OPERATORS: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: lambda base, power: float(base) ** power,  # floats overflow where integers would fill the memory
}
_FUNCTIONS: dict[str, Callable[..., float]] = {
    **{"min": min, "max": max, "abs": abs, "round": round, "int": int, "float": float, "pow": math.pow},
    **{name: getattr(math, name) for name in ("ceil", "floor", "sqrt", "log2", "log10", "log", "exp")},
}


def evaluate(text: str, symbols: Symbols) -> float | None:
    """The number that an expression comes to, whole ones as `int`; None where it is none or names something unknown."""
    tree = _parsed(text)
    return None if tree is None else _evaluated(tree, symbols)


def _parsed(text: str) -> ast.expr | None:
    """An expression's tree, or None where it is none."""
    if len(text) > _LONGEST or not _TOKENS.fullmatch(text):
        return None
    try:
        return ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _evaluated(tree: ast.expr, symbols: Symbols) -> float | None:
    """The number that a tree comes to, or None."""
    try:
        value = _value(tree, symbols)
    except (ValueError, TypeError, ArithmeticError, LookupError, RecursionError):
        return None
    if isinstance(value, complex) or not abs(value) <= _LARGEST:
        return None
    return int(value) if value == int(value) else value


def read_symbols(variables: Entry | None) -> dict[str, float]:
    """The numbers among the `variables` of a file."""
    return {} if variables is None or not isinstance(variables.value, dict) else numbers(resolve(variables, {}))


def numbers(entry: Entry) -> dict[str, float]:
    """Those values of a mapping that are numbers."""
    found = {}
    for key, value in entry.mapping().items():
        try:
            found[key] = value.number()
        except InvalidInput:
            continue
    return found


def resolve(entry: Entry, symbols: Symbols) -> Entry:
    """A mapping with numbers for the expressions among its values.

    They may name each other, in any order, and what `symbols` has besides.

    Raises:
        InvalidInput: there are more values than in any file.
    """
    if not isinstance(entry.value, dict):
        return entry
    if len(entry.value) > _MOST:
        raise entry.error(f"{entry.name} has {len(entry.value)} values; there may be {_MOST}")
    parsed = {key: _parsed(value.value) for key, value in entry.value.items() if isinstance(value.value, str)}
    trees = {key: tree for key, tree in parsed.items() if tree is not None}
    own: dict[str, float] = {}
    known = ChainMap(own, {key: value for key, value in symbols.items() if key not in entry.value})
    missing = {key: {name for name in _names(tree) if name in entry.value} for key, tree in trees.items()}
    users: dict[str, list[str]] = {}
    for key, names in missing.items():
        for name in names:
            users.setdefault(name, []).append(key)
    ready = [key for key, names in missing.items() if not names]
    while ready:
        key = ready.pop()
        value = _evaluated(trees[key], known)
        if value is not None:
            own[key] = value
            for user in users.get(key, ()):
                missing[user].remove(key)
                ready += [] if missing[user] else [user]
    changed = {key: replace(entry.value[key], value=repr(value)) for key, value in own.items()}
    return replace(entry, value=entry.value | changed)


def named(entry: Entry, symbols: Symbols) -> Entry:
    """A mapping with numbers for those of its values that name one."""
    if not isinstance(entry.value, dict):
        return entry
    texts = {key: value.value for key, value in entry.value.items() if isinstance(value.value, str)}
    known = {key: repr(symbols[text]) for key, text in texts.items() if text in symbols}
    return replace(entry, value=entry.value | {key: replace(entry.value[key], value=known[key]) for key in known})


def _names(tree: ast.expr) -> set[str]:
    """The names that an expression takes numbers from."""
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)} - set(_FUNCTIONS)


def _value(node: ast.expr, symbols: Symbols) -> float:
    match node:
        case ast.Constant(value=int() | float() as number):
            return number
        case ast.Name(id=name):
            return symbols[name]
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_value(operand, symbols)
        case ast.UnaryOp(op=ast.UAdd(), operand=operand):
            return _value(operand, symbols)
        case ast.BinOp(left=left, op=op, right=right):
            return _OPERATORS[type(op)](_value(left, symbols), _value(right, symbols))
        case ast.Call(func=ast.Name(id=name), args=[*arguments], keywords=[]):
            return _FUNCTIONS[name](*(_value(one, symbols) for one in arguments))
    raise ValueError("no arithmetic")
