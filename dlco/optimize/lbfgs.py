"""L-BFGS over a batch of independent problems: one tensor program, each problem with its own step and history.

Two-loop recursion and Armijo backtracking as in Nocedal and Wright, Numerical Optimization, chapters 3 and 7.
"""

from collections.abc import Callable

import torch

Function = Callable[[torch.Tensor], torch.Tensor]


def minimize(
    function: Function,
    start: torch.Tensor,
    *,
    iterations: int,
    tolerance: float,
    memory: int = 10,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Minimise `function` from `start`.

    Args:
        function: `[problems, n]` to `[problems]`, each value dependent on its own row only.
        start: `[problems, n]`.
        iterations: at most so many steps.
        tolerance: a problem rests once no entry of its gradient exceeds this.
        memory: steps that the curvature is learnt from.

    Returns:
        (points `[problems, n]`, largest gradient entry `[problems]`).
    """
    point = start.detach().clone()
    value, gradient = _value_and_gradient(function, point)
    steps: list[torch.Tensor] = []
    turns: list[torch.Tensor] = []
    fresh = torch.ones_like(value, dtype=torch.bool)  # no curvature learnt yet
    done = torch.zeros_like(fresh)  # not even steepest descent finds a lower point
    for _ in range(iterations):
        resting = done | (gradient.abs().amax(-1) <= tolerance)
        if bool(resting.all()):
            break
        direction = _direction(gradient, steps, turns)
        fresh = fresh | ~((direction * gradient).sum(-1) < 0)
        downhill = -gradient / gradient.norm(dim=-1, keepdim=True).clamp(min=1.0)
        direction = torch.where(fresh[:, None], downhill, direction)
        moved, new_value = _line_search(function, point, value, direction, (direction * gradient).sum(-1), ~resting)
        _, new_gradient = _value_and_gradient(function, moved)
        failed = ~resting & (moved == point).all(-1)
        done = done | (failed & fresh)
        step, turn = moved - point, new_gradient - gradient
        curved = (step * turn).sum(-1) > 1e-12 * (turn**2).sum(-1).clamp(min=1e-30)
        steps.append(torch.where(curved[:, None], step, 0.0))
        turns.append(torch.where(curved[:, None], turn, 0.0))
        if bool(failed.any()):  # what those problems have learnt misleads them: they start anew
            steps = [torch.where(failed[:, None], 0.0, s) for s in steps]
            turns = [torch.where(failed[:, None], 0.0, y) for y in turns]
        fresh = failed | (fresh & ~curved)
        del steps[:-memory], turns[:-memory]
        point, value, gradient = moved, new_value, new_gradient
    return point, gradient.abs().amax(-1)


def _line_search(
    function: Function,
    point: torch.Tensor,
    value: torch.Tensor,
    direction: torch.Tensor,
    slope: torch.Tensor,
    searching: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Armijo backtracking of every problem that is `searching`; one that finds no lower point stays where it is."""
    length = searching.to(point.dtype)
    moved, new_value = point, value
    for _ in range(16):
        trial = point + length[:, None] * direction
        with torch.no_grad():
            tried = function(trial)
        good = (tried <= value + 1e-4 * length * slope) & (length > 0)
        moved = torch.where(good[:, None], trial, moved)
        new_value = torch.where(good, tried, new_value)
        length = torch.where(good, 0.0, length * 0.4)
        if bool((length == 0).all()):
            break
    return moved, new_value


def _direction(gradient: torch.Tensor, steps: list[torch.Tensor], turns: list[torch.Tensor]) -> torch.Tensor:
    q = gradient
    pairs = []
    for s, y in zip(reversed(steps), reversed(turns), strict=True):
        curvature = (s * y).sum(-1)
        rho = torch.where(curvature > 0, 1 / curvature.clamp(min=1e-300), 0.0)
        alpha = rho * (s * q).sum(-1)
        q = q - alpha[:, None] * y
        pairs.append((s, y, rho, alpha))
    if steps:
        s, y = steps[-1], turns[-1]
        scale = (s * y).sum(-1) / (y * y).sum(-1).clamp(min=1e-300)
        q = q * torch.where(scale > 0, scale, 1.0)[:, None]
    for s, y, rho, alpha in reversed(pairs):
        beta = rho * (y * q).sum(-1)
        q = q + (alpha - beta)[:, None] * s
    return -q


def _value_and_gradient(function: Function, point: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    with torch.enable_grad():
        leaf = point.detach().requires_grad_(True)
        value = function(leaf)
        if not value.requires_grad:  # a constant
            return value, torch.zeros_like(point)
        (gradient,) = torch.autograd.grad(value.sum(), leaf)
    return value.detach(), gradient
