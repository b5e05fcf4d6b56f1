"""Training: of one network, and of shared weights by drawing a network a batch."""

import time
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from dlco.nas.space import FactoredSpace
from dlco.nas.supernet.images import Labelled
from dlco.progress import Listener, Progress, silent

BATCH = 64


def batches(images: Labelled, generator: torch.Generator, size: int = BATCH) -> Iterator[Labelled]:
    """The images once, in random order."""
    pixels, labels = images
    for rows in torch.randperm(len(labels), generator=generator).split(size):
        yield pixels[rows], labels[rows]


def train_shared(
    supernet: nn.Module,
    space: FactoredSpace,
    images: Labelled,
    epochs: int,
    seed: int = 0,
    rate: float = 1e-2,
    listener: Listener = silent,
) -> None:
    """Train a supernet in place, one network drawn for each batch (Guo et al., Single Path One-Shot, ECCV 2020).

    Args:
        supernet: called with images `[n, ...]` and an encoding `[features]`.
        space: what networks are drawn from.
        images: to train on.
        epochs: passes over them.
        seed: of batches and networks.
        rate: learning rate of AdamW at the start; it falls to nothing along a cosine.
        listener: told after every epoch; `best` is the mean loss over the epoch.
    """
    generator = torch.Generator().manual_seed(seed)

    def loss(pixels: Tensor, labels: Tensor) -> Tensor:
        (encoding,) = space.encode(space.sample(1, generator))
        return cross_entropy(supernet(pixels, encoding), labels)

    _train(supernet, loss, images, epochs, generator, rate, listener)


def train_alone(
    network: nn.Module,
    images: Labelled,
    epochs: int,
    seed: int = 0,
    rate: float = 3e-3,
    listener: Listener = silent,
) -> None:
    """Train one network in place, from the weights that it has; arguments as in `train_shared`."""

    def loss(pixels: Tensor, labels: Tensor) -> Tensor:
        return cross_entropy(network(pixels), labels)

    with torch.random.fork_rng(devices=[]):  # dropout draws from the global generator only
        torch.manual_seed(seed)
        _train(network, loss, images, epochs, torch.Generator().manual_seed(seed), rate, listener)


def _train(
    module: nn.Module,
    loss_of: Callable[[Tensor, Tensor], Tensor],
    images: Labelled,
    epochs: int,
    generator: torch.Generator,
    rate: float,
    listener: Listener,
) -> None:
    """As `train_shared` says; ends in evaluation mode."""
    started = time.perf_counter()
    module.train()
    optimiser = torch.optim.AdamW(module.parameters(), rate, weight_decay=1e-3)
    steps = epochs * -(-len(images[1]) // BATCH)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, max(1, steps))
    for epoch in range(epochs):
        total = 0.0
        for pixels, labels in batches(images, generator):
            loss = loss_of(pixels, labels)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            total += loss.item() * len(labels)
        listener(Progress("train", (epoch + 1) / epochs, total / len(images[1]), time.perf_counter() - started))
    module.eval()
