"""Ridge regression on the encoding: the accuracy as a sum of what each option contributes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from torch import Tensor

from dlco.nas.oracles.predictor import Predictor, Quality
from dlco.nas.space import NetworkSpace

PENALTIES = torch.logspace(-3, 4, 57, dtype=torch.float64)


@dataclass(frozen=True, eq=False)
class Ridge(Predictor):
    """An accuracy that is linear in the encoding, hence in the probabilities of a relaxed network's options.

    Attributes:
        weights: `[features]`, percentage points.
        intercept: scalar, percent.
        penalty: of the squared weights, as cross-validation chose it.
    """

    kind = "ridge"
    weights: Tensor
    intercept: Tensor
    penalty: float

    @property
    def features(self) -> int:
        """How many numbers an encoding has."""
        return len(self.weights)

    def accuracy_of_encoding(self, encoding: Tensor) -> Tensor:
        """Accuracy in percent `[...]` of encodings `[..., features]`; gradients are `weights` everywhere."""
        return encoding @ self.weights.to(encoding) + self.intercept.to(encoding)

    def most_of_options(self, sizes: Sequence[int]) -> float:
        """That of the best option of every decision."""
        return float(self.intercept + sum(options.max() for options in self.weights.split(list(sizes))))

    def arrays(self) -> dict[str, np.ndarray]:
        """The fitted numbers, by name."""
        return {
            "weights": self.weights.numpy(),
            "intercept": self.intercept.numpy(),
            "penalty": np.asarray(self.penalty),
        }

    @classmethod
    def from_arrays(cls, space: NetworkSpace[Any], quality: Quality, arrays: Mapping[str, np.ndarray]) -> Self:
        """The predictor of what `arrays` gave."""
        weights, intercept = torch.from_numpy(arrays["weights"]), torch.from_numpy(arrays["intercept"])
        return cls(space, quality, weights, intercept, float(arrays["penalty"]))


class RidgeFit(NamedTuple):
    """A ridge regression as fitted.

    Attributes:
        weights: `[features]`.
        intercept: scalar.
        penalty: of the squared weights.
        error: root mean square of what it is off by for each row, fitted without that row; percentage points.
    """

    weights: Tensor
    intercept: Tensor
    penalty: float
    error: float


def fit_ridge(encoding: Tensor, accuracies: Tensor, penalties: Tensor = PENALTIES) -> RidgeFit:
    """The ridge regression whose penalty has the least leave-one-out error.

    The encoding is centred, so the intercept is not penalised. The error of every fit without one row comes from one
    decomposition (Allen's PRESS statistic, Technometrics 1974): the residual over `1 - H_ii`, H the hat matrix.

    Args:
        encoding: `[n, features]`.
        accuracies: `[n]`, percent.
        penalties: `[p]`, positive, to choose from.
    """
    centre, mean = encoding.mean(0), accuracies.mean()
    left, scale, right = torch.linalg.svd(encoding - centre, full_matrices=False)
    inside = left.mT @ (accuracies - mean)  # [rank]
    shrink = scale.square() / (scale.square() + penalties[:, None])  # [p, rank]
    residual = (accuracies - mean) - (shrink * inside) @ left.mT  # [p, n]
    leverage = shrink @ left.square().mT + 1 / len(accuracies)  # the mean has its share of 1/n
    squares = (residual / (1 - leverage)).square().mean(1)
    best = int(squares.argmin())
    weights = right.mT @ (scale / (scale.square() + penalties[best]) * inside)
    return RidgeFit(weights, mean - centre @ weights, float(penalties[best]), float(squares[best].sqrt()))
