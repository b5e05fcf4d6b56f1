"""Steps of inputs, not of weights: down a differentiable function, by its first and second derivatives."""

from collections.abc import Callable

import torch
from torch import Tensor

KEEP = 0.5, 0.9  # of the averages of first and second derivatives, from one step to the next
LONGEST = 0.3  # a coordinate's change in a step, of a region about 1 wide
TINY = 1e-3


def descend(
    function: Callable[[Tensor], Tensor],
    points: Tensor,
    project: Callable[[Tensor], Tensor],
    *,
    steps: int,
    rate: float,
    generator: torch.Generator,
    second_order: bool = True,
) -> Tensor:
    """Points further down, each on its own.

    AdaHessian (Yao et al., AAAI 2021): averaged gradients over the root of the averaged squares of the Hessian's
    diagonal, which Hutchinson's estimate gives at the price of one more derivative: z * (H z) with z of random signs.
    Steps are cut to `LONGEST`, shrink along a cosine, and end where `project` puts them.

    Args:
        function: values `[n]` of points `[n, features]`, row by row; twice differentiable for the second order.
        points: `[n, features]` where to start.
        project: points to the nearest allowed ones, same shape.
        steps: how many.
        rate: what a first step is multiplied by.
        generator: of the random signs.
        second_order: gradients' own squares take the diagonal's place if not (Adam).

    Returns:
        `[n, features]`, of all points passed each row's lowest.
    """
    points = project(points)
    first, second = torch.zeros_like(points), torch.zeros_like(points)
    best, lowest = points, torch.full(points.shape[:1], torch.inf, dtype=points.dtype)
    for step in range(steps + 1):
        points = points.detach().requires_grad_(True)
        values = function(points)
        lower = values.detach() < lowest
        best, lowest = torch.where(lower[:, None], points.detach(), best), torch.where(lower, values.detach(), lowest)
        if step == steps:
            break
        (gradient,) = torch.autograd.grad(values.sum(), points, create_graph=second_order)
        if second_order:
            signs = torch.randint(0, 2, points.shape, generator=generator).to(points) * 2 - 1
            (product,) = torch.autograd.grad((gradient * signs).sum(), points)
            gradient, curvature = gradient.detach(), signs * product
        else:
            curvature = gradient
        first = KEEP[0] * first + (1 - KEEP[0]) * gradient
        second = KEEP[1] * second + (1 - KEEP[1]) * curvature.square()
        unbiased = first / (1 - KEEP[0] ** (step + 1))
        scale = (second / (1 - KEEP[1] ** (step + 1))).sqrt() + TINY
        cooled = rate * 0.5 * (1 + torch.cos(torch.tensor(torch.pi * step / steps)).item())
        points = project(points.detach() - (cooled * unbiased / scale).clamp(-LONGEST, LONGEST))
    return best
