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
_LONGEST_CHAIN = 10  # of values that name each other
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
    if len(text) > _LONGEST or not _TOKENS.fullmatch(text):
        return None
    try:
        value = _value(ast.parse(text.strip(), mode="eval").body, symbols)
    except (SyntaxError, ValueError, TypeError, ArithmeticError, LookupError, RecursionError, MemoryError):
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
    """
    if not isinstance(entry.value, dict):
        return entry
    texts = {key: value.value for key, value in entry.value.items() if isinstance(value.value, str)}
    own: dict[str, float] = {}
    known = ChainMap(own, {key: value for key, value in symbols.items() if key not in entry.value})
    for _ in range(_LONGEST_CHAIN):
        found = {key: evaluate(text, known) for key, text in texts.items() if key not in own}
        news = {key: value for key, value in found.items() if value is not None}
        own |= news
        if not news:
            break
    changed = {key: replace(entry.value[key], value=repr(value)) for key, value in own.items()}
    return replace(entry, value=entry.value | changed)


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
