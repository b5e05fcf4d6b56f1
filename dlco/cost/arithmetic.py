"""Where the exact and the smooth cost model differ: rounding, quotients, maxima, and loops of bound 1.

Everything else is one and the same formula, on integers as on reals.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch


class Arithmetic(Protocol):
    """The operations that integers and reals do not share. All are elementwise on `[...]` tensors."""

    def ceil(self, x: torch.Tensor) -> torch.Tensor:
        """Whole accesses or cycles for `x` of them."""

    def floor(self, x: torch.Tensor) -> torch.Tensor:
        """Whole words for `x` of them."""

    def maximum(self, candidates: Sequence[torch.Tensor]) -> torch.Tensor:
        """The largest of the candidates."""

    def cycles_for(
        self, words: Sequence[Sequence[torch.Tensor]], bandwidth: torch.Tensor, compute: torch.Tensor
    ) -> torch.Tensor:
        """Cycles to move groups of `words` at `bandwidth` words per cycle, in an execution of `compute` cycles."""

    def common_step(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        """The grid that steps of `a` and of `b` share: their greatest common divisor."""

    def quotient(self, a: torch.Tensor | float, b: torch.Tensor | float) -> torch.Tensor | float:
        """`a` over `b`, which divides it where both are whole."""

    def share(self, whole: torch.Tensor | float, part: torch.Tensor | float, of: torch.Tensor | float) -> torch.Tensor:
        """Whole words of `whole` that the fraction `part` over `of` comes to."""

    def exists(self, bound: torch.Tensor) -> torch.Tensor | bool:
        """Whether a loop of this bound is there, and so can end the reuse of what lies inside it."""


def total(rows: Sequence[torch.Tensor]) -> torch.Tensor:
    """Sum of rows, in order; at least one."""
    result = rows[0]
    for row in rows[1:]:
        result = result + row
    return result


@dataclass(frozen=True)
class Exact:
    """Integer factors: Timeloop's numbers. Gradients pass the roundings as if they were not there."""

    def ceil(self, x: torch.Tensor) -> torch.Tensor:
        """The next integer."""
        return x.ceil() if not x.requires_grad else x + (x.detach().ceil() - x.detach())

    def floor(self, x: torch.Tensor) -> torch.Tensor:
        """The integer below; a quotient that misses an integer by rounding error counts as that integer."""
        down = (x.detach() * (1 + 2.0**-48)).floor()
        return down if not x.requires_grad else x + (down - x.detach())

    def maximum(self, candidates: Sequence[torch.Tensor]) -> torch.Tensor:
        """The plain maximum."""
        best = candidates[0]
        for other in candidates[1:]:
            best = torch.maximum(best, other)
        return best

    def cycles_for(
        self, words: Sequence[Sequence[torch.Tensor]], bandwidth: torch.Tensor, compute: torch.Tensor
    ) -> torch.Tensor:
        """Compute cycles over the slow-down, in Timeloop's order of operations, so that its ceiling falls alike.

        It adds up words a cycle dataspace by dataspace, writes by themselves and reads by themselves, and those two
        sums only where a port is shared; the slow-down is the bandwidth over that.
        """
        if any(part.requires_grad for group in words for part in group):
            return total([total(group) for group in words]) / bandwidth
        return compute / (bandwidth / total([total([part / compute for part in group]) for group in words]))

    def common_step(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        """Greatest common divisor; factors that are no integers share their smaller step."""
        a, b = torch.broadcast_tensors(a.detach(), b.detach())
        divisor = torch.gcd(a.round().long(), b.round().long()).to(a.dtype)
        integral = (a == a.round()) & (b == b.round())
        return torch.where(integral, divisor, torch.minimum(a, b))

    def quotient(self, a: torch.Tensor | float, b: torch.Tensor | float) -> torch.Tensor | float:
        """The plain quotient."""
        return a / b

    def share(self, whole: torch.Tensor | float, part: torch.Tensor | float, of: torch.Tensor | float) -> torch.Tensor:
        """Rounded down."""
        return self.floor(torch.as_tensor(whole * part / of))

    def exists(self, bound: torch.Tensor) -> torch.Tensor | bool:
        """Loops of bound 1 are dropped."""
        return bound > 1


@dataclass(frozen=True)
class Integral(Exact):
    """Rows of int64: every count to the last digit, also beyond the 2^53 where float64 has gaps.

    Of work that passes `dlco.workload.problem.check_countable`, so that no count exceeds 2^63.
    """

    def common_step(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        """Greatest common divisor."""
        return torch.gcd(a, b)

    def quotient(self, a: torch.Tensor | float, b: torch.Tensor | float) -> torch.Tensor | float:
        """`a` over `b`, which divides it."""
        return a // b

    def share(self, whole: torch.Tensor | float, part: torch.Tensor | float, of: torch.Tensor | float) -> torch.Tensor:
        """Rounded down; in Python's integers, as the product of two tensors' words can exceed 2^63."""
        rows = torch.broadcast_tensors(*(torch.as_tensor(row, dtype=torch.int64) for row in (whole, part, of)))
        numbers = zip(*(row.flatten().tolist() for row in rows), strict=True)
        return torch.tensor([a * b // c for a, b, c in numbers], device=rows[0].device).reshape(rows[0].shape)


@dataclass(frozen=True)
class Smooth:
    """Real factors: no rounding, a p-norm for the maximum, and every loop stays in the order it is given.

    So the loop-order class is fixed while factors pass through 1, and the model is differentiable there.
    The counts are not below the exact ones at the same integer factors, but for two effects of integers: a window
    that is split over children in two steps of which neither divides the other, and results that overlap.

    Attributes:
        sharpness: p of the p-norm; of k equal candidates it returns k^(1/p) times their value.
    """

    sharpness: float = 64.0

    def ceil(self, x: torch.Tensor) -> torch.Tensor:
        """`x` itself."""
        return x

    def floor(self, x: torch.Tensor) -> torch.Tensor:
        """`x` itself."""
        return x

    def maximum(self, candidates: Sequence[torch.Tensor]) -> torch.Tensor:
        """The p-norm of the (positive) candidates."""
        rows = torch.stack(torch.broadcast_tensors(*candidates))
        logs = rows.clamp(min=torch.finfo(rows.dtype).tiny).log()
        return (torch.logsumexp(logs * self.sharpness, dim=0) / self.sharpness).exp()

    def cycles_for(
        self, words: Sequence[Sequence[torch.Tensor]], bandwidth: torch.Tensor, compute: torch.Tensor
    ) -> torch.Tensor:
        """Words over bandwidth."""
        return total([total(group) for group in words]) / bandwidth

    def common_step(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        """The smaller step: equal to the divisor wherever one step divides the other, as a sliding window's do."""
        return torch.minimum(a, b)

    def quotient(self, a: torch.Tensor | float, b: torch.Tensor | float) -> torch.Tensor | float:
        """The plain quotient."""
        return a / b

    def share(self, whole: torch.Tensor | float, part: torch.Tensor | float, of: torch.Tensor | float) -> torch.Tensor:
        """The plain product."""
        return torch.as_tensor(whole * part / of)

    def exists(self, bound: torch.Tensor) -> torch.Tensor | bool:
        """Always."""
        return True


EXACT = Exact()
INTEGRAL = Integral()
SMOOTH = Smooth()
