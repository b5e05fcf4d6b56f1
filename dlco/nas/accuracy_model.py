"""`AccuracyModel`: what is believed of accuracies, also between networks, while few have been asked for."""

from collections.abc import Sequence

import torch
from torch import Tensor

from dlco.nas.oracles.accuracy import DifferentiableAccuracy
from dlco.nas.oracles.ridge import fit_ridge
from dlco.nas.request import CoRequest
from dlco.nas.space import Network

PAIRED = 100  # encodings of at most so many features have the products of each two beside them
GROWTH = 1.1  # times as many accuracies as at the last fit are worth another


class AccuracyModel:
    """Accuracies of encodings, also between networks: the oracle's own, or a ridge regression on what it has said.

    The regression is on the one-hot encoding and, where that is short, on the products of each two features; between
    networks a product is the probability of both options together.

    Attributes:
        exact: whether these are the oracle's own answers.
    """

    def __init__(self, request: CoRequest) -> None:
        self.encode = request.space.encode
        oracle = request.oracle
        self._own = oracle.accuracy_of_encoding if isinstance(oracle, DifferentiableAccuracy) else None
        self.exact = self._own is not None
        self._fitted: tuple[Tensor, Tensor] | None = None
        self._known: dict[Network, float] = {}
        self._fitted_to = 0

    def learn(self, judged: dict[Network, float]) -> None:
        """Take over the accuracies known so far, `judged`, and fit to them where they are notably more than before.

        Nothing to do where the oracle is differentiable.
        """
        if self.exact:
            return
        self._known = judged
        if len(judged) < GROWTH * self._fitted_to:
            return
        self._fitted_to = len(judged)
        encoding = self.encode(list(judged))
        weights, intercept, _ = fit_ridge(_features(encoding), torch.tensor(list(judged.values()), dtype=torch.float64))
        self._fitted = weights, intercept

    def __call__(self, encoding: Tensor) -> Tensor:
        """Percent `[...]` of encodings `[..., features]`, with gradients."""
        if self._own is not None:
            return self._own(encoding)
        assert self._fitted is not None
        weights, intercept = self._fitted
        return _features(encoding) @ weights + intercept

    def of_networks(self, networks: Sequence[Network]) -> Tensor:
        """Percent `[n]`: known where the oracle was asked, predicted elsewhere."""
        with torch.no_grad():
            predicted = self(self.encode(networks))
        for i, network in enumerate(networks):
            if network in self._known:
                predicted[i] = self._known[network]
        return predicted


def _features(encoding: Tensor) -> Tensor:
    """The encoding and, where it is short, the products of each two of its features."""
    n = encoding.shape[-1]
    if n > PAIRED:
        return encoding
    first, second = torch.triu_indices(n, n, offset=1)
    return torch.cat([encoding, encoding[..., first] * encoding[..., second]], -1)
