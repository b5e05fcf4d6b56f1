"""How well one list of figures ranks what another ranks."""

import torch
from torch import Tensor

_PAIRS_AT_ONCE = 4_000_000


def kendall_tau(a: Tensor, b: Tensor) -> float:
    """Kendall's rank correlation of two lists `[n]`: 1 for the same order, -1 for the opposite one.

    It is tau-b, which allows for ties (Kendall, Biometrika 1945); nan where a list is all ties or has one entry.
    """
    pairs = tied_a = tied_b = agree = 0
    for rows in torch.arange(len(a)).split(max(1, _PAIRS_AT_ONCE // max(1, len(a)))):
        of_a = torch.sign(a[rows, None] - a)
        of_b = torch.sign(b[rows, None] - b)
        agree += int((of_a * of_b).sum())
        pairs += of_a.numel()
        tied_a += int((of_a == 0).sum())
        tied_b += int((of_b == 0).sum())
    untied = (pairs - tied_a) * (pairs - tied_b)
    return agree / untied**0.5 if untied else float("nan")
