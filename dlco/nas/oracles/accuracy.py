"""`Accuracy`: what judges networks, and `Counted`, which keeps count of what it was asked."""

from collections.abc import Sequence
from math import inf
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from dlco.errors import InvalidInput
from dlco.nas.space import NetworkSpace


@runtime_checkable
class Accuracy(Protocol):
    """An oracle: anything with these two members. A network is what `space` says it is."""

    @property
    def space(self) -> NetworkSpace[Any]:
        """The networks that it can judge."""

    def accuracy(self, networks: Sequence[Any]) -> Tensor:
        """Accuracy of each network in percent: `[n]`, float64."""


@runtime_checkable
class DifferentiableAccuracy(Accuracy, Protocol):
    """An oracle whose answer has a gradient, also between networks."""

    def accuracy_of_encoding(self, encoding: Tensor) -> Tensor:
        """Accuracy in percent `[...]` of encodings `[..., features]`, those of `space.encode` or between them."""


@runtime_checkable
class BoundedAccuracy(Accuracy, Protocol):
    """An oracle that knows how good its answers can be."""

    def most(self) -> float:
        """Percent that no network of the space exceeds; infinite where it cannot tell."""


def most_accurate(oracle: Accuracy) -> float:
    """Percent that the oracle gives no network more than, as far as it knows; infinite where it does not."""
    return float(oracle.most()) if isinstance(oracle, BoundedAccuracy) else inf


def check_oracle(space: object, oracle: object) -> None:
    """Raise `InvalidInput` unless these are a space of networks and an oracle of it."""
    if not isinstance(space, NetworkSpace):
        raise InvalidInput(f"space is {space!r}; it must be a dlco.nas.NetworkSpace")
    if not isinstance(oracle, Accuracy):
        raise InvalidInput(f"oracle is {oracle!r}; it must be an oracle: accuracy(networks) and a space")
    if oracle.space.name != space.name:
        raise InvalidInput(f"oracle judges {oracle.space.name!r}; the space is {space.name!r}")


class Counted:
    """An oracle that counts how many distinct networks it was asked about, and asks about none twice.

    Searches are compared at equal numbers of queries; the gradient of a predictor is no query.

    Args:
        oracle: what answers.
    """

    def __init__(self, oracle: Accuracy) -> None:
        self.oracle = oracle
        self._known: dict[Any, float] = {}

    @property
    def space(self) -> NetworkSpace[Any]:
        """The networks that it can judge."""
        return self.oracle.space

    @property
    def queries(self) -> int:
        """How many distinct networks it was asked about."""
        return len(self._known)

    @property
    def answers(self) -> dict[Any, float]:
        """The accuracy of every network asked about, in percent, in the order in which they were asked."""
        return dict(self._known)

    def most(self) -> float:
        """Percent that no network of the space exceeds; infinite where the oracle cannot tell."""
        return most_accurate(self.oracle)

    def accuracy(self, networks: Sequence[Any]) -> Tensor:
        """Accuracy of each network in percent: `[n]`, float64."""
        unknown = [network for network in dict.fromkeys(networks) if network not in self._known]
        if unknown:
            self._known.update(zip(unknown, self.oracle.accuracy(unknown).tolist(), strict=True))
        return torch.tensor([self._known[network] for network in networks], dtype=torch.float64)
