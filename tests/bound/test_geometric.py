"""The bound of a program: the optimum where that is known, never above it, whatever the solver says."""

from math import e, inf, log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlco.bound.geometric import Program, _lower, solve
from dlco.bound.modelled import Names, convex_problem


def program(
    terms: list[tuple[int, float, list[float]]],
    constant: list[float],
    high: list[float],
    linear: list[list[float]] | None = None,
    equal: tuple[list[list[float]], list[float]] = ([], []),
    slack: int = -1,
) -> Program:
    """A program from (row, coefficient, exponents) terms; the box starts at 0."""
    n = len(high)
    return Program(
        exponents=np.array([a for _, _, a in terms], dtype=float).reshape(-1, n),
        logs=np.array([log(c) for _, c, _ in terms]),
        row=np.array([row for row, _, _ in terms], dtype=np.int64),
        linear=np.zeros((len(constant), n)) if linear is None else np.array(linear, dtype=float),
        constant=np.array(constant, dtype=float),
        equal=np.array(equal[0], dtype=float).reshape(-1, n),
        value=np.array(equal[1], dtype=float),
        low=np.zeros(n),
        high=np.array(high, dtype=float),
        slack=slack,
    )


def test_a_sum_of_reciprocals() -> None:
    """Of 2 n + 8 m with n m = 36 the least is 2 sqrt(2 * 8 * 36)."""
    found = solve(program([(0, 2, [1, 0]), (0, 8, [0, 1])], [0], [9, 9], equal=([[1, 1]], [log(36)])))
    assert found is not None
    assert found.bound == pytest.approx(2 * (16 * 36) ** 0.5, rel=1e-5)
    assert np.exp(found.x) == pytest.approx([12, 3], rel=1e-3)


def test_a_constraint_and_a_linear_part() -> None:
    """Of n - 3 log n with n <= 2 the least is at 2; without the limit at 3."""
    limited = solve(program([(0, 1, [1]), (1, 0.5, [1])], [0, -1], [5], linear=[[-3], [0]]))
    free = solve(program([(0, 1, [1])], [0], [5], linear=[[-3]]))
    assert limited is not None
    assert free is not None
    assert limited.bound == pytest.approx(2 - 3 * log(2), rel=1e-5)
    assert free.bound == pytest.approx(3 - 3 * log(3), abs=1e-5)


def test_the_longest_of_two_times() -> None:
    """A slack above 8 / n and above n is least where they meet."""
    found = solve(
        program([(1, 8, [-1, 0]), (2, 1, [1, 0])], [0, 0, 0], [log(8), inf], [[0, 1], [0, -1], [0, -1]], slack=1)
    )
    assert found is not None
    assert found.bound == pytest.approx(8**0.5, rel=1e-5)


def test_no_point_is_proven_to_be_none() -> None:
    """Factors of 30 and a sum of at most 5."""
    found = solve(
        program([(0, 1, [1, 0]), (1, 1, [1, 0]), (1, 1, [0, 1])], [0, -5], [4, 4], equal=([[1, 1]], [log(30)]))
    )
    assert found is not None
    assert found.bound == inf


numbers = st.floats(0.1, 5)


@st.composite
def programs(draw: st.DrawFn) -> Program:
    """Feasible at x = 1/2: every row's constant is chosen for that."""
    n, rows = draw(st.integers(1, 4)), draw(st.integers(1, 3))
    terms = [
        (row, draw(numbers), [draw(st.sampled_from([-1, 0, 0, 1, 2])) for _ in range(n)])
        for row in range(rows)
        for _ in range(draw(st.integers(1, 4)))
    ]
    constant = [0.0] + [0.0] * (rows - 1)
    for row in range(1, rows):
        constant[row] = -draw(st.floats(1, 2)) * sum(c * e ** (sum(a) / 2) for r, c, a in terms if r == row)
    return program(terms, constant, [1.0] * n, equal=([[1.0] * n], [n / 2]))


@given(programs())
@settings(max_examples=40, deadline=None)
def test_the_same_optimum_as_cvxpy(p: Program) -> None:
    problem = convex_problem(p, Names.plain(p))
    problem.solve(solver="CLARABEL")
    found = solve(p)
    assert found is not None
    assert found.bound <= problem.value * (1 + 1e-6) + 1e-6
    assert found.bound == pytest.approx(problem.value, rel=1e-4, abs=1e-4)


@given(programs(), st.integers(0, 10**6))
def test_any_multipliers_prove_a_bound(p: Program, seed: int) -> None:
    """Weights, multipliers and a point drawn at random: the bound is below every feasible point's objective."""
    draw = np.random.default_rng(seed)
    y = np.concatenate([[1.0], draw.exponential(size=len(p.constant) - 1)])
    bound, _, _ = _lower(p, draw.exponential(size=len(p.logs)), y, draw.normal(size=len(p.value)))
    x = np.full(len(p.low), 0.5)
    assert bound <= np.exp(p.exponents @ x + p.logs)[p.row == 0].sum() + 1e-9
