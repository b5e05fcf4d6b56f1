"""`Posynomial`: a sum of power laws in two sizes, the form of every technology curve.

`f(size, width) = sum_k c_k size^p_k width^q_k` with c_k > 0. With p_k, q_k >= 0 it grows with both sizes, it is
smooth, it extrapolates as a power law, and log f is convex in (log size, log width): a geometric program takes it
as it stands (Boyd et al., "A tutorial on geometric programming", 2007, sections 2 and 8).
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch

Size = float | torch.Tensor


class Term(NamedTuple):
    """One power law, `coefficient * size^size_exponent * width^width_exponent`."""

    coefficient: float
    size_exponent: float
    width_exponent: float = 0.0


@dataclass(frozen=True)
class Posynomial:
    """A sum of power laws in a size and a width; without any term it is zero.

    Attributes:
        terms: the power laws, each of a positive coefficient.
    """

    terms: tuple[Term, ...]

    def __call__(self, size: Size, width: Size = 1.0) -> torch.Tensor:
        """The value at each pair of sizes.

        Args:
            size: number or tensor `[...]` of positive sizes.
            width: number or tensor that broadcasts against `size`.

        Returns:
            Tensor `[...]` of the broadcast shape, differentiable in both; float64 where both are plain numbers.
        """
        size, width = _as_tensors(size, width)
        total = torch.zeros_like(size)
        for term in self.terms:
            total = total + term.coefficient * _power(size, term.size_exponent) * _power(width, term.width_exponent)
        return total

    def times(self, factor: float) -> "Posynomial":
        """The same function, so many times as large."""
        return Posynomial(tuple(term._replace(coefficient=term.coefficient * factor) for term in self.terms))

    def rescaled(self, size: float = 1.0, width: float = 1.0) -> "Posynomial":
        """The same curve of other units: `g(s, w) = f(size * s, width * w)`."""
        return Posynomial(tuple(Term(c * size**p * width**q, p, q) for c, p, q in self.terms))

    def tangent(self, size: float, width: float = 1.0) -> "Posynomial":
        """The single power law that touches this curve at (size, width) and nowhere lies above it.

        In logarithms the curve is convex and a power law is affine, so this is its supporting plane: the weighted
        inequality of arithmetic and geometric means (Duffin's condensation; Boyd et al. 2007, section 9.1). Use it
        where a bound must stay a bound.
        """
        values = [float(Posynomial((term,))(size, width)) for term in self.terms]
        if not values:
            return self
        total = sum(values)
        p = sum(v * term.size_exponent for v, term in zip(values, self.terms, strict=True)) / total
        q = sum(v * term.width_exponent for v, term in zip(values, self.terms, strict=True)) / total
        return Posynomial((Term(total / (size**p * width**q), p, q),))

    def power_law(self, sizes: torch.Tensor, widths: torch.Tensor) -> "Posynomial":
        """The single power law closest to this curve at the given points, by least squares of the logarithm.

        Args:
            sizes: `[points]` sizes.
            widths: `[points]` widths.

        Returns:
            A posynomial of one term (of none where this one has none). Its width exponent is 0 where the widths are
            all equal.
        """
        if len(self.terms) < 2:
            return self
        logs = torch.stack([sizes.log(), widths.log()], dim=-1)
        value = self(sizes, widths).log()
        centre, level = logs.mean(0), value.mean()
        # gelsd gives the solution of least norm, hence exponent 0 for a width (or size) that never varies.
        slopes = torch.linalg.lstsq(logs - centre, (value - level)[:, None], driver="gelsd").solution.squeeze(-1)
        p, q = (round(slope, 12) + 0.0 for slope in slopes.tolist())  # no dust, no -0
        return Posynomial((Term(math.exp(float(level - centre @ slopes)), p, q),))


def _as_tensors(size: Size, width: Size) -> tuple[torch.Tensor, torch.Tensor]:
    """Both sizes as tensors of one shape, dtype and device; plain numbers follow the tensor beside them."""
    if isinstance(size, torch.Tensor):
        width = torch.as_tensor(width, dtype=size.dtype, device=size.device)
    else:
        width = torch.as_tensor(width, dtype=width.dtype if isinstance(width, torch.Tensor) else torch.float64)
        size = torch.as_tensor(size, dtype=width.dtype, device=width.device)
    first, second = torch.broadcast_tensors(size, width)
    return first, second


def _power(base: torch.Tensor, exponent: float) -> torch.Tensor | float:
    return 1.0 if exponent == 0 else base if exponent == 1 else base.pow(exponent)
