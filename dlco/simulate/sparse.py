"""Sparse operands, approximated: densities scale the MACs that are done and the words that are moved.

As AccelBench does (of CODEBench: Tuli et al., ACM TECS 2023, after the SPRING accelerator): a tile's compute cycles are
multiplied by the share of MACs whose operands are both non-zero, (1 - s_a)(1 - s_w), and by a factor for what of that
the hardware makes use of; tiles move compressed, their non-zero words and a mask of one bit a word. AccelBench fixes
both sparsities at 0.5 and the factor at 0.8, so a fifth of the dense cycles.

What this leaves out: zeros are taken to be spread evenly and independently, so that every tile has the mean density
and every MAC the mean work (no imbalance); sums stay dense; capacities are those of dense tiles.
"""

from dataclasses import dataclass

from dlco.errors import InvalidInput
from dlco.workload.problem import Dataspace, Problem


@dataclass(frozen=True)
class Density:
    """Shares of words that are not zero.

    Attributes:
        weights: of the dataspace "Weights"; `activations`: of all others that are only read.
        overlap: factor on the cycles beyond the densities' product (AccelBench: 0.8).

    Raises:
        InvalidInput: one of them is not above 0 and at most 1.

    Examples:
        >>> layer = dlco.linear("fc", C=64, M=64)
        >>> dlco.simulate.Density(activations=0.5, weights=0.5, overlap=0.8).work(layer.problem)
        0.2
    """

    activations: float = 1.0
    weights: float = 1.0
    overlap: float = 1.0

    def __post_init__(self) -> None:
        for name in ("activations", "weights", "overlap"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 1:
                raise InvalidInput(f"{name} of the density is {value!r}; it must be above 0 and at most 1")

    def of(self, space: Dataspace) -> float:
        """Share of a dataspace's words that is not zero; sums are dense."""
        if space.read_write:
            return 1.0
        return self.weights if space.name == "Weights" else self.activations

    def work(self, problem: Problem) -> float:
        """Share of the MAC steps that is done."""
        share = self.overlap
        for space in problem.dataspaces:
            share *= self.of(space)
        return share

    def words(self, space: Dataspace, word_bits: int) -> float:
        """Words moved for one of a tile: the non-zero ones, and a bit of the mask where there are zeros."""
        density = self.of(space)
        return density if density == 1 else min(1.0, density + 1 / word_bits)


DENSE = Density()
