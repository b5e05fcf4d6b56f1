"""`Limit`: an inequality between the sizes of a machine, such as "shared_glb.capacity <= 4 * weights_spad.capacity".

In its one form a sum of products of powers of sizes is at most one such product. In the logarithms of the sizes that
is convex, so every part of the project takes it as it is: searches leave out machines that break it, the relaxed
problem and the programs of a lower bound have it among their rows.
"""

import ast
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import reduce
from operator import add
from typing import NamedTuple, NoReturn

import numpy as np
import torch
from numpy.typing import NDArray

from dlco.errors import InvalidInput
from dlco.hardware.forms import Form, Monomial, Posynomial, at_most, largest, monomial, smallest

SLACK = 1e-9  # by how much the logs of both sides may differ the wrong way: rounding errors
LONGEST = 20_000  # characters of a limit

Resolve = Callable[[str], Monomial]
"""From the name of a size, such as "buffer.capacity", to the multiple of a parameter that it is."""


class Rows(NamedTuple):
    """Limits as `log sum_k exp(exponents_k y + logs_k) <= 0`, k over the terms of one row, y the logs of the sizes.

    `exponents` `[terms, parameters]`, `logs` `[terms]`, `row` `[terms]` the limit that a term belongs to, ascending.
    """

    exponents: NDArray[np.float64]
    logs: NDArray[np.float64]
    row: NDArray[np.int64]


@dataclass(frozen=True)
class Limit:
    """One inequality, `left <= right`, in its one form: equal limits are those of the same form.

    Attributes:
        left: a sum, its first coefficient 1; `right`: a product (the 1 is there where left is a bare number). No size
            has a negative exponent.

    Examples:
        >>> str(Limit.parse("a.capacity / b.capacity <= 4")[0])
        'a.capacity <= 4 * b.capacity'
    """

    left: Posynomial
    right: Monomial

    @staticmethod
    def between(left: Form, right: Form) -> "list[Limit]":
        """What `left <= right` says: several limits where either side is a maximum or minimum.

        Raises:
            InvalidInput: the inequality has no such form, or names no size.
        """
        found = [Limit(*pair) for pair in at_most(left, right)]
        for limit in found:
            if not limit.names:
                raise InvalidInput(f"limit is {limit}, which names no size of the machine")
        return found

    @staticmethod
    def parse(text: str, resolve: Resolve | None = None) -> "list[Limit]":
        """What a text says, read as arithmetic and never executed: several limits where it holds max, min or ==.

        Args:
            text: sizes by name, numbers, + * / **, max(...), min(...), sqrt(...), and <=, >= or, between products, ==.
                Names that are no plain words are quoted.
            resolve: which multiple of which parameter a name stands for; by default a parameter of that name.

        Raises:
            InvalidInput: it says something else, or what is no such limit.
        """
        return _Reader(text, resolve or (lambda name: monomial(1.0, [(name, 1.0)]))).limits()

    def to_dict(self) -> str:
        """What files hold of it: its text."""
        return str(self)

    @staticmethod
    def from_dict(text: object) -> "Limit":
        """The inverse of `to_dict`. Raises `InvalidInput` for anything else."""
        found = Limit.parse(text) if isinstance(text, str) else []
        if len(found) != 1:
            raise InvalidInput(f"limit is {text!r}; it must be the text of one inequality")
        return found[0]

    @property
    def names(self) -> tuple[str, ...]:
        """The sizes that it is about."""
        return tuple(sorted({name for term in (*self.left, self.right) for name, _ in term.exponents}))

    def __str__(self) -> str:
        return f"{' + '.join(map(_spelled, self.left))} <= {_spelled(self.right)}"


def rows_of(limits: Sequence[Limit], names: Sequence[str]) -> Rows:
    """Limits as rows over the logs of the sizes of these names."""
    column = {name: i for i, name in enumerate(names)}
    exponents, logs, row = [], [], []
    for i, limit in enumerate(limits):
        for term in limit.left:
            vector = np.zeros(len(names))
            for sign, powers in ((1, term.exponents), (-1, limit.right.exponents)):
                for name, exponent in powers:
                    vector[column[name]] += sign * exponent
            exponents.append(vector)
            logs.append(np.log(term.coefficient) - np.log(limit.right.coefficient))
            row.append(i)
    return Rows(np.array(exponents).reshape(len(row), len(names)), np.array(logs), np.array(row, dtype=np.int64))


def excess_of(rows: Rows, logs: torch.Tensor) -> torch.Tensor:
    """Logs of left over right of every limit, `[..., limits]`, at logs of sizes `[..., parameters]`; differentiable."""
    exponents = torch.as_tensor(rows.exponents, dtype=logs.dtype, device=logs.device)
    terms = logs @ exponents.mT + torch.as_tensor(rows.logs, dtype=logs.dtype, device=logs.device)
    sizes = np.bincount(rows.row).tolist() if len(rows.row) else []
    return torch.stack([part.logsumexp(-1) for part in terms.split(sizes, -1)], -1) if sizes else terms


def _spelled(term: Monomial) -> str:
    factors = [_quoted(name) + ("" if e == 1 else f"**{_figure(e)}") for name, e in term.exponents]
    if term.coefficient != 1 or not factors:
        factors.insert(0, _figure(term.coefficient))
    return " * ".join(factors)


def _figure(value: float) -> str:
    """A number with all its digits, which read it back."""
    return repr(value).removesuffix(".0")


def _quoted(name: str) -> str:
    level, _, size = name.rpartition(".")
    return name if level.isidentifier() and size.isidentifier() and not _is_keyword(level) else repr(name)


def _is_keyword(word: str) -> bool:
    try:
        return not isinstance(ast.parse(word, mode="eval").body, ast.Name)
    except SyntaxError:
        return True


@dataclass(frozen=True)
class _Reader:
    """Reads one text; `parse` explains."""

    text: str
    resolve: Resolve
    functions: dict[str, Callable[[Sequence[Form]], Form]] = field(
        default_factory=lambda: {"max": largest, "min": smallest, "sqrt": _root}
    )

    def limits(self) -> list[Limit]:
        """All of it."""
        if len(self.text) > LONGEST:
            raise InvalidInput(f"limit has {len(self.text)} characters; {LONGEST} go")
        try:
            tree = ast.parse(self.text.strip(), mode="eval").body
            sides = [self.form(one) for one in (tree.left, *tree.comparators)] if isinstance(tree, ast.Compare) else []
        except InvalidInput:
            raise
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            self.refuse("is no arithmetic")
        if not isinstance(tree, ast.Compare):
            self.refuse("has no <= or >=")
        found: list[Limit] = []
        for left, sign, right in zip(sides, tree.ops, sides[1:], strict=False):
            if not isinstance(sign, ast.LtE | ast.GtE | ast.Eq):
                self.refuse("has another sign than <=, >= and ==")
            if isinstance(sign, ast.Eq):
                found += equal(left, right)
            else:
                found += Limit.between(*((left, right) if isinstance(sign, ast.LtE) else (right, left)))
        return found

    def refuse(self, why: str) -> NoReturn:
        """Raise `InvalidInput`."""
        raise InvalidInput(
            f"limit is {self.text!r}, which {why}; a limit is such as "
            '"buffer.capacity <= 4 * registers.capacity", of + * / ** max and min'
        )

    def form(self, node: ast.expr) -> Form:
        """One side, or a part of one."""
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            return Form.of(self.resolve(f"{node.value.id}.{node.attr}"))
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            return Form.of(self.resolve(node.value))
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow):
            return self.form(node.left) ** self.number(node.right)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Mult | ast.Div):
            left, right = self.form(node.left), self.form(node.right)
            if isinstance(node.op, ast.Add):
                return left + right
            return left * right if isinstance(node.op, ast.Mult) else left / right
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in self.functions:
            if node.keywords or not node.args or (node.func.id == "sqrt" and len(node.args) > 1):
                self.refuse(f"gives {node.func.id} other arguments than sizes")
            return self.functions[node.func.id]([self.form(one) for one in node.args])
        return Form.of(monomial(self.number(node)))

    def number(self, node: ast.expr) -> float:
        """A number, also one that is computed, as an exponent may be."""
        if isinstance(node, ast.Constant) and type(node.value) in (int, float):
            return _as_float(node.value)  # type: ignore[arg-type]
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            return -self.number(node.operand)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div) and (divisor := self.number(node.right)):
            return self.number(node.left) / divisor
        self.refuse("holds something else than names of sizes, numbers, + * / **, max, min and sqrt")


def equal(left: Form, right: Form) -> list[Limit]:
    """The two limits that `left == right` is; `InvalidInput` where either is no single product."""
    if left.single is None or right.single is None:
        raise InvalidInput("a limit on sizes sets a sum or maximum equal (==) to something; allowed between products")
    return [*Limit.between(left, right), *Limit.between(right, left)]


def _root(forms: Sequence[Form]) -> Form:
    return forms[0] ** 0.5


def _as_float(value: int | float) -> float:
    try:
        return float(value)
    except OverflowError:
        return float("inf")


def total(forms: Sequence[Form]) -> Form:
    """The sum of forms."""
    return reduce(add, forms)
