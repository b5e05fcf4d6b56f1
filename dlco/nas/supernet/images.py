"""`Images`: what a supernet is trained on and judged by; the digits that come with scikit-learn."""

from dataclasses import dataclass
from math import sqrt

import torch
from torch import Tensor, nn

from dlco.errors import NotSupported

Labelled = tuple[Tensor, Tensor]
"""Images `[n, channels, rows, columns]`, float32, and their classes `[n]`."""


@dataclass(frozen=True, eq=False)
class Images:
    """Images in three parts, so that nothing is judged by what it was fitted to.

    Attributes:
        train: for the weights.
        validation: for the choice of a network.
        test: for what was chosen, once at the end.
    """

    train: Labelled
    validation: Labelled
    test: Labelled


def digit_images(seed: int = 0) -> Images:
    """The 1,797 handwritten digits of 8x8 pixels that come with scikit-learn: 1,000 + 397 + 400.

    They are half of UCI's "Optical Recognition of Handwritten Digits" (E. Alpaydin, C. Kaynak; CC BY 4.0).

    Args:
        seed: of the split.

    Raises:
        NotSupported: scikit-learn is not installed.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise NotSupported(
            "the digits come with scikit-learn, which is not installed: pip install dlco[nas]"
        ) from error
    pixels, classes = load_digits(return_X_y=True)
    order = torch.randperm(len(classes), generator=torch.Generator().manual_seed(seed))
    images = torch.from_numpy(pixels).float().reshape(-1, 1, 8, 8)[order] / 16
    labels = torch.from_numpy(classes).long()[order]
    train, validation, test = zip(images.split([1000, 397, 400]), labels.split([1000, 397, 400]), strict=True)
    return Images(train, validation, test)


def percent_right(logits: Tensor, labels: Tensor) -> float:
    """How many of the images `[n, classes]` got their label `[n]`, percent."""
    return 100 * (logits.argmax(-1) == labels).double().mean().item()


def percent_of(network: nn.Module, images: Labelled) -> float:
    """How many of some images a network gives their label, percent."""
    pixels, labels = images
    with torch.no_grad():
        return percent_right(network(pixels), labels)


def standard_error(percent: float, images: int) -> float:
    """Of an accuracy measured on so many images, percentage points: the binomial one.

    One image right and one wrong are added, so that it does not vanish at 100 % (Laplace's rule of succession).
    """
    right = (percent / 100 * images + 1) / (images + 2)
    return 100 * sqrt(right * (1 - right) / images)
