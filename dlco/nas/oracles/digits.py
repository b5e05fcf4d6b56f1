"""`DigitsAccuracy`: real training in the loop, on scikit-learn's digits, in seconds.

One supernet is trained once; every network is then judged with the weights that it inherits, after some training of its
own if asked for. Inherited weights rank networks only roughly, and 397 validation images tell them apart only to a
quarter of a point; `benchmarks/nas_predictors.py` compares the ranking with that after training each network alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dlco.nas.space import Network
from dlco.nas.spaces.digits import Digits
from dlco.nas.supernet.digits import DigitsSupernet
from dlco.nas.supernet.images import Images, Labelled, digit_images, percent_of
from dlco.nas.supernet.training import train_alone, train_shared
from dlco.progress import Listener
from dlco.progress_bar import listening
from dlco.workload.problem import check_count, check_positive_int


@dataclass(frozen=True, eq=False)
class DigitsAccuracy:
    """Validation accuracy of networks that inherit a supernet's weights.

    Attributes:
        space: the networks.
        supernet: trained.
        images: the digits.
        fine_tuning: epochs that a network trains by itself before it is judged; none by default.
        seed: of that training.
    """

    space: Digits
    supernet: DigitsSupernet
    images: Images
    fine_tuning: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        check_count("fine_tuning", self.fine_tuning)

    @classmethod
    def train(
        cls,
        space: Digits | None = None,
        *,
        epochs: int = 150,
        fine_tuning: int = 0,
        seed: int = 0,
        progress: bool | Listener = True,
    ) -> "DigitsAccuracy":
        """Train the supernet, some 20 seconds on one core.

        Args:
            space: the networks; `Digits()` unless given.
            epochs: passes over the 1,000 training images.
            fine_tuning: as in the class.
            seed: of the split of the images, the first weights and the training.
            progress: True for a bar, False for none, or a listener.

        Raises:
            InvalidInput: epochs is not a positive integer.
            NotSupported: scikit-learn, which brings the images, is not installed.
        """
        check_positive_int("epochs", epochs)
        space, images = space or Digits(), digit_images(seed)
        supernet = DigitsSupernet(space, seed)
        with listening(progress, "loss {:.4g}".format) as listener:
            train_shared(supernet, space, images.train, epochs, seed, listener=listener)
        return cls(space, supernet, images, fine_tuning, seed)

    def network(self, network: Network) -> nn.Module:
        """The network itself: inherited weights, fine-tuned as `fine_tuning` says, called with `[n, 1, 8, 8]`."""
        alone = self.supernet.inherit(network)
        train_alone(alone, self.images.train, self.fine_tuning, self.seed)
        return alone

    def accuracy(self, networks: Sequence[Network]) -> Tensor:
        """Accuracy on the 397 validation images, percent: `[n]`, float64."""
        return self._right(networks, self.images.validation)

    def test_accuracy(self, networks: Sequence[Network]) -> Tensor:
        """Accuracy on the 400 test images, percent: `[n]`, float64; for what a search found, not for the search."""
        return self._right(networks, self.images.test)

    def test_anew(self, network: Network, seeds: Sequence[int] = (0, 1, 2), epochs: int = 60) -> Tensor:
        """Accuracy on the test images of a network trained by itself from first weights, once a seed.

        Args:
            network: such as a search chose.
            seeds: of first weights and the order of images.
            epochs: of each training.

        Returns:
            Percent, `[seeds]`, float64.

        Raises:
            InvalidInput: this is no network of the space, or epochs is not a positive integer.
        """
        check_positive_int("epochs", epochs)
        found = []
        for seed in seeds:
            alone = DigitsSupernet(self.space, seed).inherit(network)
            train_alone(alone, self.images.train, epochs, seed, rate=1e-2)
            found.append(percent_of(alone, self.images.test))
        return torch.tensor(found, dtype=torch.float64)

    def _right(self, networks: Sequence[Network], images: Labelled) -> Tensor:
        return torch.tensor([percent_of(self.network(network), images) for network in networks], dtype=torch.float64)
