"""`Assumptions`: what AccelBench takes for granted of the data, and what follows for its words and buffers."""

from dataclasses import dataclass

import torch

from dlco.errors import InvalidInput
from dlco.hardware.accelbench.figures import figures


@dataclass(frozen=True)
class Assumptions:
    """Zeros and normalisation; the defaults are those that AccelBench's program has written into it.

    Attributes:
        activation_sparsity, weight_sparsity: shares of the words that are zero, below 1. MAC lanes skip them, and
            neither loads nor buffers hold them (the masks that say where they are have a buffer of their own).
        overlap: of the MACs that zeros leave, the share that is done.
        batch_norm: whether a batch normalisation follows every convolution, as in all networks of AccelBench's
            comparison, or none does (folded into the weights). Layers do not say which have one.

    Raises:
        InvalidInput: a share out of its range, or `batch_norm` is neither True nor False.

    Examples:
        >>> from dlco.hardware import Assumptions
        >>> Assumptions().share, Assumptions(activation_sparsity=0.0, weight_sparsity=0.0, overlap=1.0).share
        (0.2, 1.0)
    """

    activation_sparsity: float = 0.5
    weight_sparsity: float = 0.5
    overlap: float = 0.8
    batch_norm: bool = True

    def __post_init__(self) -> None:
        for name in ("activation_sparsity", "weight_sparsity", "overlap"):
            value = getattr(self, name)
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if name == "overlap":
                good, allowed = number and 0 < value <= 1, "above 0 and at most 1"
            else:
                good, allowed = number and 0 <= value <= 0.99, "from 0 to 0.99"
            if not good:
                raise InvalidInput(f"{name} of the assumptions is {value!r}; it must be {allowed}")
        if not isinstance(self.batch_norm, bool):
            raise InvalidInput(f"batch_norm of the assumptions is {self.batch_norm!r}; it must be True or False")

    @property
    def share(self) -> float:
        """Of a dense layer's MAC cycles, those that remain."""
        return (1.0 - self.activation_sparsity) * (1.0 - self.weight_sparsity) * self.overlap

    def kept_cycles(self, dense: torch.Tensor) -> torch.Tensor:
        """Cycles of a tile `[...]` whose dense cycles these are, rounded up."""
        return (dense * (1.0 - self.activation_sparsity) * (1.0 - self.weight_sparsity) * self.overlap).ceil()

    def load_cycles(self, cubes: torch.Tensor, sparsity: float) -> torch.Tensor:
        """Cycles to load cubes of 64 words `[...]` from the main memory, without their zeros, rounded up."""
        table = figures()
        bits_a_cycle = table["main_memory_mb_s"] * 1024 * 1024 * 8 * 1000 / table["clock_mhz"] * 1e-9
        return (cubes * (table["cube_words"] * table["word_bits"]) * (1.0 - sparsity) / bits_a_cycle).ceil()

    def held_cubes(self, mb: int, sparsity: float) -> int:
        """Cubes that a buffer holds.

        AccelBench compares the bits of what is in a buffer with its size in words of 20 bits, so a buffer holds a
        twentieth of what its area is charged for. That is kept here, as it decides what is loaded again.
        """
        table = figures()
        words = int(mb * 8 * 1024 * 1024 / table["word_bits"])
        return words // int(table["cube_words"] * table["word_bits"] * (1.0 - sparsity))


PUBLISHED = Assumptions()
"""Those of the authors' program."""
