"""An ensemble of small networks on the encoding: options that work together or against each other are seen."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import silu

from dlco.nas.oracles.predictor import Predictor, Quality
from dlco.nas.space import NetworkSpace
from dlco.progress import Listener, Progress, silent

SILU_DIP = -1.2784645427610738  # where silu is least


@dataclass(frozen=True)
class EnsembleTraining:
    """How the networks are trained.

    Attributes:
        members: networks that are averaged; they differ in their first weights and the order of their batches.
        width: of both hidden layers.
        epochs: passes over the table.
        batch: rows a step.
        rate: learning rate of AdamW at the start; it falls to nothing along a cosine.
        decay: weight decay.
    """

    members: int = 3
    width: int = 64
    epochs: int = 150
    batch: int = 64
    rate: float = 5e-3
    decay: float = 1e-2


@dataclass(frozen=True, eq=False)
class Ensemble(Predictor):
    """The mean of several networks of two hidden layers, smooth in the encoding.

    Attributes:
        layers: of every layer the weights `[members, inputs, outputs]` and biases `[members, 1, outputs]`.
        mean, scale: of the accuracies that it was fitted to, percent.
    """

    kind = "ensemble"
    layers: tuple[tuple[Tensor, Tensor], ...]
    mean: float
    scale: float

    @property
    def features(self) -> int:
        """How many numbers an encoding has."""
        return self.layers[0][0].shape[1]

    def accuracy_of_encoding(self, encoding: Tensor) -> Tensor:
        """Accuracy in percent `[...]` of encodings `[..., features]`."""
        return self.members(encoding).mean(0)

    def members(self, encoding: Tensor) -> Tensor:
        """What each network says of encodings `[..., features]`: `[members, ...]`, percent.

        Where they disagree, there was little to learn from.
        """
        layers = [(weights.to(encoding), biases.to(encoding)) for weights, biases in self.layers]
        flat = forward(layers, encoding.reshape(-1, encoding.shape[-1]))
        return self.mean + self.scale * flat.reshape(-1, *encoding.shape[:-1])

    def most_of_options(self, sizes: Sequence[int]) -> float:
        """A bound by intervals: each unit at its most or its least, layer by layer, whatever the others do."""
        (weights, biases), *rest = self.layers
        options = weights.split(list(sizes), 1)
        low, high = (biases[:, 0] + sum(pick(part, 1) for part in options) for pick in (torch.amin, torch.amax))
        for weights, biases in rest:
            ends = silu(low), silu(high)
            most = torch.maximum(*ends)
            dips = (low < SILU_DIP) & (SILU_DIP < high)  # silu falls up to there and rises from there on
            least = torch.where(dips, silu(torch.tensor(SILU_DIP, dtype=low.dtype)), torch.minimum(*ends))
            up, down = weights.clamp(min=0), weights.clamp(max=0)
            high = (most[:, None] @ up + least[:, None] @ down + biases)[:, 0]
            low = (least[:, None] @ up + most[:, None] @ down + biases)[:, 0]
        return float(self.mean + self.scale * high.mean())

    def arrays(self) -> dict[str, np.ndarray]:
        """The fitted numbers, by name; single precision, in which they were trained."""
        tensors = {f"weights{at}": weights for at, (weights, _) in enumerate(self.layers)}
        tensors |= {f"biases{at}": biases for at, (_, biases) in enumerate(self.layers)}
        arrays = {name: tensor.float().numpy() for name, tensor in tensors.items()}
        return arrays | {"mean": np.asarray(self.mean), "scale": np.asarray(self.scale)}

    @classmethod
    def from_arrays(cls, space: NetworkSpace[Any], quality: Quality, arrays: Mapping[str, np.ndarray]) -> Self:
        """The predictor of what `arrays` gave."""

        def tensor(name: str) -> Tensor:
            return torch.from_numpy(arrays[name]).double()

        depth = sum(name.startswith("weights") for name in arrays)
        layers = tuple((tensor(f"weights{at}"), tensor(f"biases{at}")) for at in range(depth))
        return cls(space, quality, layers, float(arrays["mean"]), float(arrays["scale"]))


def forward(layers: list[tuple[Tensor, Tensor]], inputs: Tensor) -> Tensor:
    """Outputs `[members, n]` of inputs `[n, features]`, shared by the members, or `[members, n, features]`."""
    for weights, biases in layers[:-1]:
        inputs = silu(torch.matmul(inputs, weights) + biases)
    weights, biases = layers[-1]
    return (torch.matmul(inputs, weights) + biases)[..., 0]


def fit_ensemble(
    encoding: Tensor,
    accuracies: Tensor,
    seed: int = 0,
    training: EnsembleTraining | None = None,
    listener: Listener = silent,
) -> tuple[tuple[tuple[Tensor, Tensor], ...], float, float]:
    """Train the networks, all at once, on squared error by AdamW (Loshchilov and Hutter, ICLR 2019).

    Args:
        encoding: `[n, features]`.
        accuracies: `[n]`, percent.
        seed: of the first weights and the batches.
        training: how.
        listener: told after every epoch; `best` is the mean squared error over the epoch, in squared points.

    Returns:
        Layers, mean and scale, as `Ensemble` takes them.
    """
    started, training = time.perf_counter(), training or EnsembleTraining()
    generator = torch.Generator().manual_seed(seed)
    mean, scale = accuracies.mean().item(), max(accuracies.std(correction=0).item(), 1e-12)
    inputs, targets = encoding.float(), ((accuracies - mean) / scale).float()
    widths = (encoding.shape[1], training.width, training.width, 1)
    layers = [_layer(training.members, *pair, generator) for pair in pairwise(widths)]
    optimiser = torch.optim.AdamW([t for layer in layers for t in layer], training.rate, weight_decay=training.decay)
    steps = training.epochs * -(-len(targets) // training.batch)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, max(1, steps))
    for epoch in range(training.epochs):
        orders = torch.stack([torch.randperm(len(targets), generator=generator) for _ in range(training.members)])
        error = 0.0
        for rows in orders.split(training.batch, dim=1):
            loss = (forward(layers, inputs[rows]) - targets[rows]).square().mean(1).sum()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            error += loss.item() * rows.shape[1]
        done = (epoch + 1) / training.epochs
        error *= scale**2 / len(targets) / training.members
        listener(Progress("fit", done, error, time.perf_counter() - started))
    return tuple((w.detach().double(), b.detach().double()) for w, b in layers), mean, scale


def _layer(members: int, inputs: int, outputs: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Weights and biases, uniform within one over the root of the inputs, as torch's own linear layers begin."""
    bound = inputs**-0.5
    return (
        torch.empty(members, inputs, outputs).uniform_(-bound, bound, generator=generator).requires_grad_(),
        torch.empty(members, 1, outputs).uniform_(-bound, bound, generator=generator).requires_grad_(),
    )
