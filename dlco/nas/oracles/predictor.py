"""`Predictor`: an accuracy fitted to a table, differentiable in the encoding, and kept in a plain file.

A predictor is exact nowhere: `quality` says how far it was off on networks that it was not fitted to. Those come from
the same table; far from the table's networks it can be worse, and an optimiser goes where the prediction errs upwards.
Measure what a search finds before relying on it.
"""

import io
import os
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import inf
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor

from dlco.files import write_whole
from dlco.nas.oracles.rank import kendall_tau
from dlco.nas.space import NetworkSpace


@dataclass(frozen=True)
class Quality:
    """How good a predictor is on networks held out of its fit.

    Attributes:
        rmse: root of the mean squared error, percentage points; nan where none was held out.
        kendall_tau: rank correlation of prediction and measurement.
        fitted: networks that it was fitted to.
        held_out: networks that it was judged by.
    """

    rmse: float
    kendall_tau: float
    fitted: int
    held_out: int

    def __str__(self) -> str:
        return (
            f"RMSE {self.rmse:.3f} points, Kendall tau {self.kendall_tau:.3f} on {self.held_out} networks held out "
            f"({self.fitted} fitted)"
        )


@dataclass(frozen=True, eq=False)
class Predictor(ABC):
    """A differentiable oracle that was fitted to measured networks.

    Attributes:
        space: the networks that it judges.
        quality: on networks held out.
    """

    kind: ClassVar[str]
    space: NetworkSpace[Any]
    quality: Quality

    @property
    @abstractmethod
    def features(self) -> int:
        """How many numbers an encoding has."""

    @abstractmethod
    def accuracy_of_encoding(self, encoding: Tensor) -> Tensor:
        """Accuracy in percent `[...]` of encodings `[..., features]`, those of `space.encode` or between them."""

    @abstractmethod
    def arrays(self) -> dict[str, np.ndarray]:
        """The fitted numbers, by name, as `from_arrays` takes them."""

    @classmethod
    @abstractmethod
    def from_arrays(cls, space: NetworkSpace[Any], quality: Quality, arrays: Mapping[str, np.ndarray]) -> Self:
        """The predictor of what `arrays` gave."""

    def most(self) -> float:
        """Percent that it gives no network of the space more than; infinite where the space has no decisions."""
        sizes = self.space.option_counts
        return self.most_of_options(sizes) if sum(sizes) == self.features else inf

    @abstractmethod
    def most_of_options(self, sizes: Sequence[int]) -> float:
        """Percent that it gives no encoding more than in which each decision chooses one of so many options."""

    def accuracy(self, networks: Sequence[Any]) -> Tensor:
        """Accuracy of each network in percent: `[n]`, float64."""
        with torch.no_grad():
            return self.accuracy_of_encoding(self.space.encode(networks))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a NumPy .npz file of numbers and texts, without code; `load_predictor` reads it."""
        content = io.BytesIO()
        about = {name: np.asarray(value) for name, value in asdict(self.quality).items()}
        about |= {"kind": np.asarray(self.kind), "space": np.asarray(self.space.name)}
        np.savez_compressed(content, **about, **self.arrays())  # type: ignore[arg-type]  # a name may be allow_pickle
        write_whole(path, content.getvalue())


def judge(predictor: Predictor, encoding: Tensor, accuracies: Tensor, fitted: int) -> Quality:
    """How a predictor does on encodings `[n, features]` of measured accuracies `[n]`, percent."""
    with torch.no_grad():
        error = predictor.accuracy_of_encoding(encoding) - accuracies
    rmse = error.square().mean().sqrt().item()
    return Quality(rmse, kendall_tau(error + accuracies, accuracies), fitted, len(accuracies))
