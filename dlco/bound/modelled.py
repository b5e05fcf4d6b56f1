"""The programs behind a bound in words of cvxpy, for whoever wants to look at one, change it, or solve it elsewhere.

Only what asks for such a problem loads this module, and with it cvxpy. Bounds are computed without it (see
`dlco.bound.geometric`), and tested against it.

A program has, beside posynomials, terms that are linear in the logarithms (the chords of what is concave) and the time
itself. Two forms hold all of that:

* `convex_problem`: in the logarithms, as `geometric` has it, for `problem.solve()`;
* `geometric_problem`: in the factors and sizes themselves, for `problem.solve(gp=True)`. There every row with such
  terms is under an exponential: f + a log m <= T becomes exp(f) m^a <= exp(T), which is log-log convex, with exp(T) as
  one variable. cvxpy's way back to logarithms undoes the exponential, so both are the same program to a solver.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import exp, inf, prod

import cvxpy as cp
import numpy as np

from dlco.bound.geometric import Array, Program
from dlco.errors import NotSupported

LARGEST = 500.0  # of what an exponential is taken of


@dataclass(frozen=True)
class Names:
    """What the columns and rows of a program are called.

    Attributes:
        columns: of the factors and sizes; then, last, the time.
        rows: of all rows but the objective.
        splits: of the equalities.
    """

    columns: tuple[str, ...]
    rows: tuple[str, ...]
    splits: tuple[str, ...]

    @staticmethod
    def plain(program: Program) -> "Names":
        """Numbers."""
        columns, rows, splits = len(program.low), len(program.constant) - 1, len(program.value)
        return Names(
            *(tuple(f"{what}{i}" for i in range(n)) for what, n in (("x", columns), ("f", rows), ("e", splits)))
        )


def convex_problem(program: Program, names: Names) -> cp.Problem:
    """The program as a convex problem whose variables are the logarithms of factors and sizes, and the time."""
    variables = [cp.Variable(name=f"log({name})") for name in names.columns[:-1]]
    variables.append(cp.Variable(name=names.columns[-1]))
    x = cp.hstack(variables)

    def row(i: int) -> cp.Expression:
        own = program.row == i
        linear = program.linear[i] @ x + program.constant[i]
        return cp.sum(cp.exp(program.exponents[own] @ x + program.logs[own])) + linear if own.any() else linear

    limits = [(row(i + 1) <= 0).set_label(name) for i, name in enumerate(names.rows)]
    limits += [
        (vector @ x == value).set_label(name)
        for vector, value, name in zip(program.equal, program.value, names.splits, strict=True)
    ]
    for variable, low, high in zip(variables, program.low, program.high, strict=True):
        limits += [variable >= low] + ([variable <= high] if high < inf else [])
    return cp.Problem(cp.Minimize(row(0)), limits)


def geometric_problem(program: Program, names: Names) -> cp.Problem:
    """The program as a log-log convex problem; its objective is the exponential of the program's own.

    Raises:
        NotSupported: numbers so large that their exponentials are no numbers.
    """
    v = [cp.Variable(pos=True, name=name) for name in names.columns]

    def posynomial(i: int) -> cp.Expression | None:
        """The terms of row i."""
        own = program.row == i
        exponents, which = np.unique(program.exponents[own], axis=0, return_inverse=True)
        logs = np.full(len(exponents), -np.inf)
        np.logaddexp.at(logs, which.ravel(), program.logs[own])
        terms = [_product(log, row, v) for log, row in zip(logs, exponents, strict=True)]
        return sum(terms[1:], start=terms[0]) if terms else None

    def limit(i: int) -> cp.Constraint:
        """Row i <= 0."""
        terms, linear, constant = posynomial(i), program.linear[i], program.constant[i]
        if terms is not None and not linear.any():
            return terms <= -constant
        left, right = _product(0.0, linear.clip(min=0), v), _product(-constant, (-linear).clip(min=0), v)
        if terms is not None:
            left = cp.exp(terms) * left if linear.clip(min=0).any() else cp.exp(terms)
        return left <= right

    objective, terms = _product(program.constant[0], program.linear[0], v), posynomial(0)
    if terms is not None:
        objective = cp.exp(terms) * objective
    limits = [limit(i + 1).set_label(name) for i, name in enumerate(names.rows)]
    for vector, value, name in zip(program.equal, program.value, names.splits, strict=True):
        limits.append((_product(0.0, vector, v) == _number(value)).set_label(name))
    for variable, low, high in zip(v, program.low, program.high, strict=True):
        limits += _ends(variable, low, high)
    return cp.Problem(cp.Minimize(objective), limits)


def _ends(variable: cp.Variable, low: float, high: float) -> Iterable[cp.Constraint]:
    """The ends of a variable's range."""
    yield variable >= _number(low)
    if high < LARGEST:  # beyond it a limit is none: nothing else would be a number there
        yield variable <= _number(high)


def _product(log: float, exponents: Array, v: Sequence[cp.Variable]) -> cp.Expression:
    """`exp(log)` times powers of the variables."""
    above = [v[i] if e == 1 else v[i] ** e for i, e in enumerate(exponents.tolist()) if e > 0]
    below = [v[i] if e == -1 else v[i] ** -e for i, e in enumerate(exponents.tolist()) if e < 0]
    number = _number(log)
    product = prod(above[1:], start=above[0]) if above else cp.Constant(1.0)
    if number != 1:
        product = number * product if above else cp.Constant(number)
    return product / prod(below[1:], start=below[0]) if below else product


def _number(log: float) -> float:
    """`exp(log)` to twelve digits, which nobody misses and which shows whole numbers as such."""
    if not abs(log) < LARGEST:
        raise NotSupported(f"a number of the program is exp({log:g}), which is none; ask for the problem in logarithms")
    return float(f"{exp(log):.12g}")
