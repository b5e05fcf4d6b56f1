"""Geometric programs, solved by a cone solver and bounded from below by weak duality.

A program is written in the logarithms x of the design's factors, where posynomials are convex:

    minimise f_0(x)  subject to  f_i(x) <= 0,  E x = e,  low <= x <= high,
    f_i(x) = sum_k exp(A_k x + b_k) + L_i x + c_i

(Boyd et al., "A tutorial on geometric programming", 2007, section 3; the linear parts L_i make it a little more than a
geometric program: they hold the chords of what is concave). In standard form it is what cvxpy gives Clarabel for
`cp.sum(cp.exp(A @ x + b)) + L @ x`; writing the cones down directly saves cvxpy's compilation, some twenty times as
long as the solution of a program of this size.

No number of the solver is trusted. For any weights w >= 0, multipliers y >= 0 and v, and every feasible x in the box,

    f_0(x) >= f_0(x) + sum_i y_i f_i(x) + v (E x - e)
           >= sum_k w_k (1 + A_k x + b_k - log(w_k / y_k)) + y (L x + c) + v (E x - e),   y_k that of the term's row,

as y exp(s) >= w (1 + s - log(w / y)) (its tangent at s = log(w / y)). The last line is linear in x: its least value in
the box is the bound. With the solver's multipliers it is the optimum up to the solver's tolerance, and with any others
still a lower bound. Without the terms of f_0, a value above 0 proves that no point is feasible.
"""

from dataclasses import dataclass
from functools import lru_cache

import clarabel  # type: ignore[import-untyped]
import numpy as np
from numpy.typing import NDArray
from scipy import sparse

Array = NDArray[np.float64]

PROVED = 1e-6  # by how much limits are broken at least where no point is feasible, more than rounding errors


@dataclass(frozen=True)
class Program:
    """A program in `[n]` variables; row 0 is the objective.

    Attributes:
        exponents: A, `[terms, n]`; `logs`: b, `[terms]`; `row`: the row that each term belongs to, `[terms]`.
        linear: L, `[rows, n]`; `constant`: c, `[rows]`.
        equal: E, `[equalities, n]`; `value`: e, `[equalities]`.
        low, high: the box, `[n]`; `high` may be infinite where the variable is `slack`.
        slack: index of a variable that occurs in no exponent, in the objective with a positive coefficient and in
            rows with negative ones (the time, of which every transfer is a lower bound), or -1.
    """

    exponents: Array
    logs: Array
    row: NDArray[np.int64]
    linear: Array
    constant: Array
    equal: Array
    value: Array
    low: Array
    high: Array
    slack: int = -1


@dataclass(frozen=True)
class DualBound:
    """What the solver's answer proves.

    Attributes:
        bound: no feasible point has an objective below it; infinite where there is no feasible point.
        x: `[n]`, the solver's point, in the box.
        weights: `[terms]`, what every term contributes to the bound: its value times its row's multiplier.
        multipliers: `[rows]` of the rows, that of the objective first (0 where no point is feasible).
        equal: `[equalities]` of the equalities.
    """

    bound: float
    x: Array
    weights: Array
    multipliers: Array
    equal: Array

    def bound_of(self, program: Program) -> float:
        """What the same multipliers prove of another program of the same rows and terms; minus infinity for nothing.

        Whatever its numbers are: weak duality asks nothing of multipliers but their sign.
        """
        value = _lower(program, self.weights, self.multipliers, self.equal)[0]
        if self.multipliers[0] == 0:
            return np.inf if value > PROVED else -np.inf
        return value if np.isfinite(value) else -np.inf


def solve(program: Program) -> DualBound | None:
    """The best bound that the solver's answer proves; None where it proves nothing."""
    solution = _cone_solution(program)
    n, equalities, rows = len(program.low), len(program.value), len(program.constant)
    x, z = np.array(solution.x), np.array(solution.z)
    if not (np.isfinite(x).all() and np.isfinite(z).all()):
        return None
    v = z[:equalities]
    y = np.concatenate([[1.0], z[equalities : equalities + rows - 1].clip(min=0)])
    weights = (-z[len(z) - 3 * len(program.logs) :: 3]).clip(min=0)
    at = x[:n].clip(program.low, program.high)
    if "Infeasible" in str(solution.status):
        y[0] = 0.0
        largest = max(np.abs(v).max(initial=0), y.max(initial=0))
        if largest == 0:
            return None
        y, v = y / largest, v / largest
        excess, weights, y = _lower(program, weights / largest, y, v)
        return DualBound(np.inf, program.low, weights, y, v) if excess > PROVED else None
    bound, weights, y = _lower(program, weights, y, v)
    return DualBound(bound, at, weights, y, v) if np.isfinite(bound) else None


def _lower(program: Program, weights: Array, y: Array, v: Array) -> tuple[float, Array, Array]:
    """The bound of the module's head, and the weights and multipliers of rows that it holds for."""
    # the coefficient of a slack without an upper end must not be negative
    if program.slack >= 0 and program.high[program.slack] == np.inf:
        column = y * program.linear[:, program.slack]
        need = -column[1:].sum()
        if need > column[0]:
            share = np.where(program.linear[:, program.slack] < 0, (1 - 1e-12) * column[0] / need, 1.0)
            y, weights = y * share, weights * share[program.row]
    own = y[program.row]
    weights = np.where(own > 0, weights, 0.0)
    ratio = np.where(weights > 0, weights, 1.0) / np.where((own > 0) & (weights > 0), own, 1.0)
    value = (weights * (1 + program.logs - np.log(ratio))).sum() + y @ program.constant - v @ program.value
    slope = weights @ program.exponents + y @ program.linear + v @ program.equal
    # A slope of exactly 0 costs nothing even where the box has no upper end.
    ends = np.where(slope > 0, program.low, np.where(slope < 0, program.high, 0.0))
    return float(value + (slope * ends).sum()), weights, y


def _cone_solution(program: Program):  # type: ignore[no-untyped-def]
    """Clarabel's solution; its first variables are x, its multipliers those of E, of the rows, and the rest."""
    terms, n = program.exponents.shape
    rows, equalities = len(program.constant), len(program.value)
    finite = np.flatnonzero(np.isfinite(program.high))
    cost = np.concatenate([program.linear[0], (program.row == 0).astype(float)])
    # Rows of the cone program: E x = e, f_i(x) <= 0 with u_k for the terms, low <= x <= high, and for each term a
    # cone of three rows: (A x + b, 1, u) with exp(A x + b) <= u.
    first_box = equalities + rows - 1
    first_cone = first_box + n + len(finite)
    upper = np.vstack([program.equal, program.linear[1:]])
    upper_row, upper_column = np.nonzero(upper)
    constrained = np.flatnonzero(program.row > 0)
    cone_row, cone_column = np.nonzero(program.exponents)
    at = np.arange(terms)
    entries = (
        (upper_row, upper_column, upper[upper_row, upper_column]),
        (equalities - 1 + program.row[constrained], n + constrained, np.ones(len(constrained))),
        (first_box + np.arange(n), np.arange(n), -np.ones(n)),
        (first_box + n + np.arange(len(finite)), finite, np.ones(len(finite))),
        (first_cone + 3 * cone_row, cone_column, -program.exponents[cone_row, cone_column]),
        (first_cone + 3 * at + 2, n + at, -np.ones(terms)),
    )
    row, column, data = (np.concatenate(part) for part in zip(*entries, strict=True))
    size = n + terms
    matrix = sparse.csc_matrix((data, (row, column)), shape=(first_cone + 3 * terms, size))
    logs = np.zeros(3 * terms)
    logs[::3], logs[1::3] = program.logs, 1.0
    right = np.concatenate([program.value, -program.constant[1:], -program.low, program.high[finite], logs])
    cones = [
        clarabel.ZeroConeT(equalities),
        clarabel.NonnegativeConeT(rows - 1 + n + len(finite)),
        *[_EXPONENTIAL] * terms,
    ]
    return clarabel.DefaultSolver(_nothing(size), cost, matrix, right, cones, _SETTINGS).solve()


@lru_cache(maxsize=256)
def _nothing(size: int) -> sparse.csc_matrix:
    """The quadratic part of a linear objective."""
    return sparse.csc_matrix((size, size))


_EXPONENTIAL = clarabel.ExponentialConeT()
_SETTINGS = clarabel.DefaultSettings()
_SETTINGS.verbose = False
_SETTINGS.max_threads = 1
_SETTINGS.tol_gap_abs = _SETTINGS.tol_gap_rel = 1e-6
_SETTINGS.tol_feas = 1e-7
