"""The same programs in cvxpy, for whoever wants to look at one, change it, or give it to another solver.

Needs cvxpy. Bounds are computed without it (see `dlco.bound.geometric`), and tested against it.
"""

from typing import TYPE_CHECKING

from dlco.bound.geometric import Program
from dlco.errors import NotSupported

if TYPE_CHECKING:
    import cvxpy


def to_cvxpy(program: Program) -> "tuple[cvxpy.Problem, cvxpy.Variable]":
    """The program as cvxpy's convex problem, and its variable: the logs `[n]` of the design's factors.

    Raises:
        NotSupported: cvxpy is not installed.
    """
    try:
        import cvxpy as cp
    except ImportError as error:
        raise NotSupported("cvxpy is not installed; `pip install cvxpy` for programs in its form") from error
    x = cp.Variable(len(program.low))

    def row(i: int) -> "cvxpy.Expression":
        own = program.row == i
        linear = program.linear[i] @ x + program.constant[i]
        return cp.sum(cp.exp(program.exponents[own] @ x + program.logs[own])) + linear if own.any() else linear

    limits = [row(i) <= 0 for i in range(1, len(program.constant))]
    bounded = [i for i, end in enumerate(program.high) if end < float("inf")]
    limits += [x >= program.low, x[bounded] <= program.high[bounded]]
    if len(program.value):
        limits.append(program.equal @ x == program.value)
    return cp.Problem(cp.Minimize(row(0)), limits), x
