"""Linear algebra of the interior-point method: block-arrow systems, low-rank terms, projections; all in batches."""

from collections.abc import Sequence

import torch


def solve_arrow(
    blocks: Sequence[torch.Tensor],
    couplings: Sequence[torch.Tensor],
    core: torch.Tensor,
    rights: Sequence[torch.Tensor],
    right: torch.Tensor,
    shift: torch.Tensor,
) -> tuple[list[torch.Tensor], torch.Tensor]:
    """Solve the block-arrow system; matrices that are not positive definite are shifted until they are.

    Args:
        blocks: for each group `[starts, layers, n, n]`.
        couplings: for each group `[starts, layers, n, p]`.
        core: `[starts, p, p]`.
        rights: right-hand sides, for each group `[starts, layers, n, k]`.
        right: `[starts, p, k]`, that of the core.
        shift: `[starts]` least shift of all blocks.
    """
    factors = [cholesky(block, shift[:, None]) for block in blocks]
    ahead = [
        torch.cholesky_solve(torch.cat([coupling, right], -1), factor)
        for coupling, right, factor in zip(couplings, rights, factors, strict=True)
    ]
    p = core.shape[-1]
    if p == 0:
        return [one[..., p:] for one in ahead], right
    for coupling, one in zip(couplings, ahead, strict=True):
        turned = (coupling.mT @ one).sum(1)
        core, right = core - turned[..., :p], right - turned[..., p:]
    last = torch.cholesky_solve(right, cholesky(core, shift))
    return [one[..., p:] - one[..., :p] @ last[:, None] for one in ahead], last


def cholesky(matrix: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
    """Cholesky factors of symmetric matrices `[..., n, n]` plus the least shift, ten times larger until it works."""
    matrix = (matrix + matrix.mT) / 2
    unit = torch.eye(matrix.shape[-1], dtype=matrix.dtype, device=matrix.device)
    scale = matrix.diagonal(dim1=-2, dim2=-1).abs().amax(-1).clamp(min=1e-12)
    shift = shift.expand(scale.shape) + 1e-12 * scale
    for _ in range(20):
        factor, failed = torch.linalg.cholesky_ex(matrix + shift[..., None, None] * unit)
        if not bool(failed.any()):
            break
        shift = torch.where(failed > 0, torch.maximum(shift * 8, 1e-5 * torch.ones_like(shift)), shift)
    return factor


def woodbury(inner: torch.Tensor, spread: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """`(I + inner spread)^-1 inner right`, without the negative part of `inner` where the sum is not convex.

    `spread` is `U^T B^-1 U` of the positive definite arrow B; B + U inner U^T is positive definite where
    I + L^T inner L is, with spread = L L^T.
    """
    unit = torch.eye(spread.shape[-1], dtype=spread.dtype, device=spread.device)
    spread = (spread + spread.mT) / 2
    values, vectors = torch.linalg.eigh(spread)
    root = vectors * values.clamp(min=0).sqrt()[..., None, :]
    convex = torch.linalg.eigvalsh(unit + root.mT @ inner @ root)[..., 0] > 1e-8
    signs, axes = torch.linalg.eigh(inner)
    positive = (axes * signs.clamp(min=0)[..., None, :]) @ axes.mT
    inner = torch.where(convex[:, None, None], inner, positive)
    return torch.linalg.solve(unit + inner @ spread, inner @ right)


def onto_simplex(x: torch.Tensor, total: torch.Tensor, open_: torch.Tensor) -> torch.Tensor:
    """The nearest `[..., slots, dims]` that is at least 0, 0 where not open, and adds up to `total` `[..., dims]`.

    By sorting (Held, Wolfe and Crowder, "Validation of subgradient optimization", 1974).
    """
    x = torch.where(open_, x, -1e30)
    sorted_ = x.sort(-2, descending=True).values
    excess = sorted_.cumsum(-2) - total[..., None, :]
    rank = torch.arange(1, x.shape[-2] + 1, dtype=x.dtype, device=x.device)[:, None]
    support = (sorted_ - excess / rank > 0).sum(-2, keepdim=True).clamp(min=1)
    level = excess.gather(-2, support - 1) / support
    return torch.where(open_, (x - level).clamp(min=0), 0.0)
