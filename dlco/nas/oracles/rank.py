"""How well one list of figures ranks what another ranks."""

from torch import Tensor


def kendall_tau(a: Tensor, b: Tensor) -> float:
    """Kendall's rank correlation of two lists `[n]`: 1 for the same order, -1 for the opposite one.

    It is scipy's tau-b, which allows for ties (Kendall, Biometrika 1945); nan where a list is all ties or has one
    entry.

    Examples:
        >>> import torch
        >>> from dlco.nas.oracles import kendall_tau
        >>> round(kendall_tau(torch.tensor([1.0, 2.0, 3.0]), torch.tensor([1.0, 3.0, 2.0])), 3)
        0.333
    """
    from scipy.stats import kendalltau  # slow to import, and only who fits a predictor needs it

    return float(kendalltau(a.cpu().numpy(), b.cpu().numpy()).statistic)
