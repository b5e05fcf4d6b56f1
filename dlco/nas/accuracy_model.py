"""`AccuracyModel`: what is believed of accuracies, also between networks, while few have been asked for."""

from collections.abc import Sequence
from math import inf

import torch
from torch import Tensor

from dlco.nas.oracles.accuracy import DifferentiableAccuracy
from dlco.nas.oracles.ridge import RidgeFit, fit_ridge
from dlco.nas.request import CoRequest
from dlco.nas.space import Network

PAIRED = 100  # encodings of at most so many features have the products of each two beside them
MARGIN = 2.0  # percentage points below a limit within which accuracies are told apart at least
GROWTH = 1.1  # times as many accuracies as at the last fit are worth another


class AccuracyModel:
    """Accuracies of encodings, also between networks: the oracle's own, or a ridge regression on what it has said.

    The regression is on the one-hot encoding and, where that is short, on the products of each two features; between
    networks a product is the probability of both options together. The worse half of the networks, as far as it is well
    below a limit, counts as their median: by how much a network fails says little of how good ones compare.

    Attributes:
        exact: whether these are the oracle's own answers.
        known: what the oracle has said; `fits`: how often it was fitted to.
    """

    def __init__(self, request: CoRequest) -> None:
        self.encode = request.space.encode
        oracle = request.oracle
        self._own = oracle.accuracy_of_encoding if isinstance(oracle, DifferentiableAccuracy) else None
        self.exact = self._own is not None
        self._limit = inf if request.least_accuracy is None else request.least_accuracy
        self._fitted: RidgeFit | None = None
        self.known: dict[Network, float] = {}
        self._fitted_to = self.fits = 0

    def learn(self, judged: dict[Network, float]) -> None:
        """Take over the accuracies known so far, `judged`, and fit to them where they are notably more than before.

        Nothing to do where the oracle is differentiable.
        """
        if self.exact:
            return
        self.known = judged
        if len(judged) < GROWTH * self._fitted_to:
            return
        self._fitted_to, self.fits = len(judged), self.fits + 1
        encoding = self.encode(list(judged))
        accuracies = torch.tensor(list(judged.values()), dtype=torch.float64)
        least = min(accuracies.median().item(), self._limit - MARGIN)
        self._fitted = fit_ridge(_features(encoding), accuracies.clamp(min=least))

    def __call__(self, encoding: Tensor) -> Tensor:
        """Percent `[...]` of encodings `[..., features]`, with gradients."""
        if self._own is not None:
            return self._own(encoding)
        assert self._fitted is not None
        return _features(encoding) @ self._fitted.weights + self._fitted.intercept

    @property
    def error(self) -> float:
        """By how much predictions are off where the oracle was not asked, percentage points."""
        return self._fitted.error if self._fitted else 0.0

    def of_networks(self, networks: Sequence[Network]) -> Tensor:
        """Percent `[n]`: known where the oracle was asked, predicted elsewhere."""
        with torch.no_grad():
            predicted = self(self.encode(networks))
        for i, network in enumerate(networks):
            if network in self.known:
                predicted[i] = self.known[network]
        return predicted


def _features(encoding: Tensor) -> Tensor:
    """The encoding and, where it is short, the products of each two of its features."""
    n = encoding.shape[-1]
    if n > PAIRED:
        return encoding
    first, second = torch.triu_indices(n, n, offset=1)
    return torch.cat([encoding, encoding[..., first] * encoding[..., second]], -1)
