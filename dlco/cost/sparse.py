"""Expected cost of a layer with zeros among its operands (`dlco.workload.density` says what they change).

Words are those of the dense execution times a share: what MACs read and update at the level that serves them, by the
MACs that are done; tiles that move between two levels, by their compressed size, in words of the inner level, at both
ends. Partial sums move dense. Cycles and energies follow from these words as ever; none of them is rounded to whole
words before blocks are.
"""

from dataclasses import dataclass

from dlco.cost.accesses import Accesses
from dlco.cost.nest import Nest, Row, loops_of, product
from dlco.mapping.kept import Kept
from dlco.workload.density import Density
from dlco.workload.problem import Problem


@dataclass(frozen=True)
class ThinNest(Nest):
    """Loops of which a share of the steps, and of the multiply-accumulates, is done."""

    steps_share: float
    macs_share: float

    @property
    def cycles(self) -> Row:
        """Compute cycles."""
        return product((super().cycles, self.steps_share))

    @property
    def macs(self) -> Row:
        """Multiply-accumulates done."""
        return product((super().macs, self.macs_share))


@dataclass(frozen=True)
class Zeros:
    """What zeros change on a machine.

    Attributes:
        problem: the work; `density`: of its operands.
        word_bits: of each level.
    """

    problem: Problem
    density: Density
    word_bits: tuple[int, ...]

    @property
    def macs_share(self) -> float:
        """Multiply-accumulates that are done."""
        return self.density.macs(self.problem)

    @property
    def steps_share(self) -> float:
        """Steps of them that take time."""
        return self.density.steps(self.problem)

    def thin(self, nest: Nest) -> ThinNest:
        """The loops with what is left of them."""
        loops = loops_of(nest) | {"crossing": nest.crossing}
        return ThinNest(**loops, steps_share=self.steps_share, macs_share=self.macs_share)

    def left(self, accesses: Accesses, kept: Kept) -> Accesses:
        """The words that are left of a dense execution's; `kept`: `[levels][spaces]` whether a level keeps them."""
        density, bits = self.density, self.word_bits
        tables = (accesses.reads, accesses.fills, accesses.updates, accesses.drains)
        reads, fills, updates, drains = ([list(row) for row in table] for table in tables)
        for s, space in enumerate(self.problem.dataspaces):
            child: int | None = None
            for level in (level for level, row in enumerate(kept) if row[s]):
                served = density.operands(self.problem, space) if child is None else density.words(space, bits[child])
                reads[level][s] = product((reads[level][s], served))
                updates[level][s] = product((updates[level][s], served))
                fills[level][s] = product((fills[level][s], density.words(space, bits[level])))
                drains[level][s] = product((drains[level][s], density.words(space, bits[level])))
                child = level
        return Accesses(reads, fills, updates, drains)
