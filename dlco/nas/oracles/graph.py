"""`GraphAccuracy`: every network of `GraphSpace` trained, from the weights of its nearest trained neighbour."""

import logging
import os
import time
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from dlco.errors import InvalidInput
from dlco.journal import Journal
from dlco.nas.spaces.cnn_graph import CnnGraph
from dlco.nas.spaces.distance import distances
from dlco.nas.spaces.graph import GraphSpace
from dlco.nas.supernet.graph import GraphNetwork, leading
from dlco.nas.supernet.images import Images, digit_images, percent_of
from dlco.nas.supernet.training import train_alone
from dlco.progress import Listener, Progress
from dlco.progress_bar import listening
from dlco.tasks import derive_seed, single_thread
from dlco.workload.problem import check_positive_int

log = logging.getLogger("dlco")

RATE = 3e-2  # learning rate of AdamW at the start; at 1e-2 and 3e-3 networks learn less in as many epochs


@dataclass(frozen=True, eq=False)
class Trained:
    """A network after its training.

    Attributes:
        network: the graph.
        weights: its state, as torch has it.
        validation, test: accuracies, percent.
        neighbour: whose weights it began with, or None.
        inherited: share of its trained words that came from there, 0 to 1.
        epochs: of its training.
    """

    network: CnnGraph
    weights: dict[str, Tensor]
    validation: float
    test: float
    neighbour: CnnGraph | None
    inherited: float
    epochs: int


class GraphAccuracy:
    """Validation accuracies of networks that are trained when they are first asked about.

    As in CNNBench (CODEBench, arXiv:2212.03965), a network begins with the weights of the trained one that has most
    modules at the front in common with it, of several such the nearest by edit distance, and then needs fewer epochs.
    Without a module in common it begins anew. What a network is judged by so depends on those asked about before it,
    in their order; in the same order the same seed gives the same accuracies.

    Args:
        space: the networks.
        images: of the space's channels, resolution and classes; scikit-learn's digits, split by `seed`, unless given.
        epochs: passes over the training images for a network that begins anew.
        epochs_after: for one that begins with a neighbour's weights.
        transfer: whether networks begin with neighbours' weights; all begin anew where not.
        seed: of first weights, the order of images, and dropout.
        kept: a file of trained networks: those that it holds are known, new ones are added to it. It is begun where
            there is none.
        progress: True for a bar while networks train, False for none, or a listener.

    Raises:
        InvalidInput: an argument is not what it should be, or the file belongs to another training.
        NotSupported: scikit-learn, which brings the digits, is not installed.
    """

    def __init__(
        self,
        space: GraphSpace,
        images: Images | None = None,
        *,
        epochs: int = 20,
        epochs_after: int = 8,
        transfer: bool = True,
        seed: int = 0,
        kept: str | os.PathLike[str] | None = None,
        progress: bool | Listener = False,
    ) -> None:
        check_positive_int("epochs", epochs)
        check_positive_int("epochs_after", epochs_after)
        self.space = space
        self.images = digit_images(seed) if images is None else images
        self.epochs, self.epochs_after, self.transfer, self.seed = epochs, epochs_after, transfer, seed
        self.progress = progress
        _check_images(space, self.images)
        self._trained: dict[CnnGraph, Trained] = {}
        self._journal: Journal | None = None
        if kept is not None:
            asked = (space.channels, space.resolution, space.classes, self.images, epochs, epochs_after, transfer, seed)
            self._journal = _opened(kept, asked)
            weakref.finalize(self, self._journal.close)
            while (found := self._journal.recall(self._next_part, _read)) is not None:
                self._trained[found.network] = found

    @property
    def trained(self) -> tuple[Trained, ...]:
        """All networks trained so far, in the order of their training."""
        return tuple(self._trained.values())

    def accuracy(self, networks: Sequence[CnnGraph]) -> Tensor:
        """Accuracy on the validation images, percent: `[n]`, float64."""
        return torch.tensor([one.validation for one in self.train(networks)], dtype=torch.float64)

    def test_accuracy(self, networks: Sequence[CnnGraph]) -> Tensor:
        """Accuracy on the test images, percent: `[n]`, float64; for what a search found, not for the search."""
        return torch.tensor([one.test for one in self.train(networks)], dtype=torch.float64)

    def network(self, network: CnnGraph) -> GraphNetwork:
        """The network itself, trained; called with `[n, channels, rows, columns]`."""
        (found,) = self.train([network])
        built = GraphNetwork(self.space, network)
        built.load_state_dict(found.weights)
        return built.eval()

    def train(self, networks: Sequence[CnnGraph]) -> list[Trained]:
        """The networks after their training; those that are known are not trained again.

        Raises:
            InvalidInput: one of them is not of the space.
        """
        for network in networks:
            self.space.check(network)
        new = [network for network in dict.fromkeys(networks) if network not in self._trained]
        started = time.perf_counter()
        with listening(self.progress, "loss {:.4g}".format) as listener, single_thread():
            for number, network in enumerate(new):

                def tell(progress: Progress, number: int = number) -> None:
                    phase, done = f"training network {number + 1} of {len(new)}", (number + progress.done) / len(new)
                    listener(Progress(phase, done, progress.best, time.perf_counter() - started))

                self._keep(self._train(network, self.neighbour(network), tell))
        return [self._trained[network] for network in networks]

    def neighbour(self, network: CnnGraph) -> CnnGraph | None:
        """The trained network whose weights this one would begin with, or None where it would begin anew."""
        shared = {other: leading(network.modules, other.modules) for other in self._trained if other != network}
        most = max(shared.values(), default=0)
        if not self.transfer or most == 0:
            return None
        near = [other for other, modules in shared.items() if modules == most]
        return near[int(distances([network], near)[0].argmin())]

    def test_anew(self, network: CnnGraph, seeds: Sequence[int] = (0, 1, 2), epochs: int | None = None) -> Tensor:
        """Accuracy on the test images of a network trained by itself from first weights, once a seed.

        Args:
            network: such as a search chose.
            seeds: of first weights, the order of images, and dropout.
            epochs: of each training; as many as of the class's `epochs` unless given.

        Returns:
            Percent, `[seeds]`, float64.

        Raises:
            InvalidInput: this is no network of the space, or epochs is not a positive integer.
        """
        epochs = self.epochs if epochs is None else epochs
        check_positive_int("epochs", epochs)
        with single_thread():
            found = []
            for seed in seeds:
                alone = GraphNetwork(self.space, network, seed)
                train_alone(alone, self.images.train, epochs, seed, RATE)
                found.append(percent_of(alone, self.images.test))
        return torch.tensor(found, dtype=torch.float64)

    @property
    def _next_part(self) -> str:
        return f"network {len(self._trained)}"

    def _train(self, network: CnnGraph, neighbour: CnnGraph | None, listener: Listener) -> Trained:
        seed = derive_seed(self.seed, network.fingerprint())
        built, inherited = GraphNetwork(self.space, network, seed), 0.0
        if neighbour is not None:
            inherited = built.inherit(neighbour, self._trained[neighbour].weights)
        epochs = self.epochs if neighbour is None else self.epochs_after
        train_alone(built, self.images.train, epochs, seed, RATE, listener)
        right = [percent_of(built, images) for images in (self.images.validation, self.images.test)]
        log.info("trained %s for %d epochs, %.0f %% inherited: %.2f %%", network, epochs, 100 * inherited, right[0])
        return Trained(network, built.state_dict(), right[0], right[1], neighbour, inherited, epochs)

    def _keep(self, found: Trained) -> None:
        if self._journal is not None:
            neighbour = None if found.neighbour is None else str(found.neighbour)
            content = vars(found) | {"network": str(found.network), "neighbour": neighbour}
            self._journal.record(self._next_part, content)
        self._trained[found.network] = found


def _opened(kept: str | os.PathLike[str], asked: object) -> Journal:
    try:
        return Journal(kept, asked, resume=os.path.exists(kept))
    except InvalidInput as error:
        raise InvalidInput(f"kept is {kept!r}, which cannot hold these networks: {error}") from None


def _read(content: dict[str, Any]) -> Trained:
    neighbour = content["neighbour"]
    texts = {
        "network": CnnGraph.parse(content["network"]),
        "neighbour": None if neighbour is None else CnnGraph.parse(neighbour),
    }
    return Trained(**(content | texts))


def _check_images(space: GraphSpace, images: Images) -> None:
    """Raise `InvalidInput` where images are not those that the space's networks take."""
    for part in (images.train, images.validation, images.test):
        pixels, labels = part
        wanted = (space.channels, space.resolution, space.resolution)
        if tuple(pixels.shape[1:]) != wanted:
            raise InvalidInput(
                f"images have {tuple(pixels.shape[1:])} channels, rows and columns; the space's networks take {wanted}"
            )
        if int(labels.max()) >= space.classes:
            raise InvalidInput(f"images have class {int(labels.max())}; the space tells {space.classes} classes apart")
