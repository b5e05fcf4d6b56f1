"""What zeros among a layer's operands change, in expectation: one definition for the cost model and the simulator.

Zeros are spread evenly and independently: every tile has the mean density, every multiply-accumulate (MAC) the mean
chance of an operand that is zero. Results are dense, and so are capacities. Hardware makes use of it in three ways:

skip: a MAC with a zero operand takes no time, no energy and no words. What is done of all MACs is the product of the
    densities times `overlap`. So AccelBench counts SPRING (CODEBench: Tuli et al., ACM TECS 2023), with sparsities of
    0.5 and an overlap of 0.8: a fifth of the dense cycles.
gate: a MAC takes its time whatever its operands are. It reads its activation; where that is zero, the MAC, its weight
    and its sum are left alone, and so is their energy. Zeros among weights gate nothing. So Eyeriss does (Chen et al.,
    JSSC 52(1), 2017).
compressed: tiles move between levels as their non-zero words and a mask of one bit a word, but never as more than all
    their words; MACs get theirs unpacked.
"""

from dataclasses import dataclass

from dlco.errors import InvalidInput
from dlco.workload.problem import Dataspace, Problem

ZEROS = ("skip", "gate")


@dataclass(frozen=True)
class Density:
    """Shares of words that are not zero, and what hardware makes of the others.

    Attributes:
        activations: of all dataspaces that are only read but "Weights"; `weights`: of that one.
        overlap: of the MACs that densities leave to be skipped to, the share that is done (AccelBench: 0.8).
        zeros: "skip" or "gate".
        compressed: whether tiles move without their zeros.

    Raises:
        InvalidInput: a share is not above 0 and at most 1, an unknown use of zeros, or an overlap where none are
            skipped.

    Examples:
        >>> layer = dlco.linear("fc", C=64, M=64)
        >>> dlco.simulate.Density(activations=0.5, weights=0.5, overlap=0.8).macs(layer.problem)
        0.2
    """

    activations: float = 1.0
    weights: float = 1.0
    overlap: float = 1.0
    zeros: str = "skip"
    compressed: bool = True

    def __post_init__(self) -> None:
        for name in ("activations", "weights", "overlap"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 1:
                raise InvalidInput(f"{name} of the density is {value!r}; it must be above 0 and at most 1")
        if self.zeros not in ZEROS:
            raise InvalidInput(f"zeros of the density is {self.zeros!r}; allowed: {', '.join(ZEROS)}")
        if not isinstance(self.compressed, bool):
            raise InvalidInput(f"compressed of the density is {self.compressed!r}; it must be True or False")
        if self.zeros == "gate" and self.overlap != 1:
            raise InvalidInput(f"overlap of the density is {self.overlap!r}; where zeros gate, it must be 1")

    @property
    def is_dense(self) -> bool:
        """Whether nothing is saved."""
        return self.activations == self.weights == self.overlap == 1

    def of(self, space: Dataspace) -> float:
        """Share of a dataspace's words that is not zero; results are dense."""
        if space.read_write:
            return 1.0
        return self.weights if space.name == "Weights" else self.activations

    def macs(self, problem: Problem) -> float:
        """Share of the MACs that is done: whose energy is spent."""
        share = self.overlap
        for space in problem.dataspaces:
            if self.zeros == "skip" or space.name != "Weights":
                share *= self.of(space)
        return share

    def steps(self, problem: Problem) -> float:
        """Share of the MACs' steps that takes time."""
        return self.macs(problem) if self.zeros == "skip" else 1.0

    def operands(self, problem: Problem, space: Dataspace) -> float:
        """Words of a dataspace that MACs read or update, for one of a dense execution."""
        looked_at = self.zeros == "gate" and not space.read_write and space.name != "Weights"
        return 1.0 if looked_at else self.macs(problem)

    def words(self, space: Dataspace, word_bits: int) -> float:
        """Words moved between levels for one of a tile: the non-zero ones, and a bit of the mask each."""
        density = self.of(space)
        return min(1.0, density + 1 / word_bits) if self.compressed and density < 1 else 1.0


DENSE = Density()
