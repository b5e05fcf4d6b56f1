"""`FusedChain`: steps of a solution that are executed tile by tile, and whether its layers are the tiles' parts."""

from collections import Counter
from collections.abc import Iterator, Sequence
from collections.abc import Mapping as Dict
from dataclasses import dataclass
from functools import cached_property

from dlco.design.codec import Count
from dlco.errors import InvalidInput
from dlco.workload.chain import Chain
from dlco.workload.layer import Layer
from dlco.workload.tiling import Run, Tiled, Tiling


@dataclass(frozen=True)
class FusedChain:
    """Steps that run tile by tile; steps are counted from 0.

    Attributes:
        level: the memory where results within the chain stay.
        first: its first step in the course, which names the layer of a step's first part.
        chain: its layers, whole.
        tiling: how they are cut.
        parts: names of the solution's layers: for every part of `Tiled.parts` the one that it is a run of.
    """

    level: str
    first: Count
    chain: Chain
    tiling: Tiling
    parts: tuple[str, ...]

    @property
    def last(self) -> int:
        """Its last step in the course."""
        return self.first + len(self.chain.problems) - 1

    @cached_property
    def tiled(self) -> Tiled:
        """The chain cut into tiles."""
        return Tiled(self.chain, self.tiling)

    def named(self) -> Iterator[tuple[Run, int, str]]:
        """(part, how often it runs, the name of its layer)."""
        for (run, count), name in zip(self.tiled.parts(), self.parts, strict=True):
            yield run, count, name

    def words(self, step: int) -> int:
        """Words of the memory that the chain takes at most in one of its steps, whatever the mappings."""
        layer = step - self.first
        return self.tiled.keeps(Run(layer, self.chain.problems[layer], first=False)).words


def runs_of(course: Sequence[str], chains: Sequence[FusedChain]) -> Counter[str]:
    """How often every layer runs: once for each step that names it, or as often as there are tiles of its shape."""
    inside = {step for one in chains for step in range(one.first, one.last + 1)}
    runs = Counter(name for step, name in enumerate(course) if step not in inside)
    for one in chains:
        for _, count, name in one.named():
            runs[name] += count
    return runs


def check_chains(layers: Dict[str, Layer], course: Sequence[str], chains: Sequence[FusedChain]) -> None:
    """Raise `InvalidInput` unless chains follow each other in the course, and their parts are of the layers named."""
    end = -1
    for one in chains:
        if one.first <= end or one.last >= len(course):
            raise InvalidInput(
                f"chain of the solution has steps {one.first} to {one.last}; the course has {len(course)}, and no step "
                "may be in two chains"
            )
        end = one.last
        if len(one.parts) != len(one.tiled.parts()):
            raise InvalidInput(
                f"parts of the chain at step {one.first} are {len(one.parts)}; its tiles have {len(one.tiled.parts())}"
            )
        begun: set[int] = set()
        for run, _, name in one.named():
            if name not in layers or layers[name].problem != run.problem:
                raise InvalidInput(
                    f"part {name!r} of the chain at step {one.first} must be a layer of bounds {run.problem.sizes}"
                )
            step = one.first + run.layer
            if step not in begun and course[step] != name:
                raise InvalidInput(
                    f"course of the solution has {course[step]!r} at step {step}; its chain has {name!r}"
                )
            begun.add(step)
