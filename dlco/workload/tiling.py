"""Chains of layers executed tile by tile: which part of every layer's work each tile is, and what must be held.

The result of the last layer is cut into tiles, outer cuts first. Going backwards, a tile needs of every result before
it the box that its readers' windows touch. What of a box earlier tiles have computed is held in line buffers ("kept"),
so that each element is computed once, or is computed again ("recomputed"). Each tile of a layer is a layer of its own
with smaller bounds. Padding is counted as in Timeloop: a reader's box of inputs has it, its writer does not compute it.
"""

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from math import prod

from dlco.errors import InvalidInput
from dlco.workload.chain import Axis, Chain, Spans
from dlco.workload.problem import Problem, check_positive_int

KEPT, RECOMPUTED = "kept", "recomputed"
RESIDENT, STREAMED = "resident", "streamed"


@dataclass(frozen=True)
class Tiling:
    """How a chain is executed tile by tile.

    Attributes:
        cut: (dimension of the last layer's result, its extent in a tile), the outermost loop over tiles first.
        halo: what becomes of elements that several tiles need: "kept" from one to the next, or "recomputed".
        weights: operands from outside the chain of which every tile reads all: "resident" on the chip from the first
            tile on, or "streamed" from outside for every tile.
    """

    cut: tuple[tuple[str, int], ...]
    halo: str = KEPT
    weights: str = STREAMED

    def __post_init__(self) -> None:
        for name, allowed in (("halo", (KEPT, RECOMPUTED)), ("weights", (STREAMED, RESIDENT))):
            if getattr(self, name) not in allowed:
                raise InvalidInput(f"{name} of the tiling is {getattr(self, name)!r}; allowed: {', '.join(allowed)}")
        if not self.cut or len({dim for dim, _ in self.cut}) < len(self.cut):
            raise InvalidInput(f"cut of the tiling is {self.cut!r}; it must be of one or more distinct dimensions")
        for dim, size in self.cut:
            check_positive_int(f"cut of {dim}", size)

    def __str__(self) -> str:
        return " x ".join(f"{dim} {size}" for dim, size in self.cut) + f", halo {self.halo}, weights {self.weights}"


@dataclass(frozen=True)
class Run:
    """One layer's part of one tile.

    Attributes:
        layer: by position in the chain.
        problem: the part, a layer of smaller bounds.
        first: whether no tile before it ran this layer.
    """

    layer: int
    problem: Problem
    first: bool


@dataclass(frozen=True)
class Keeps:
    """What a run has in the memory where a chain's results stay.

    Attributes:
        homes: its operands that lie there and nowhere beyond.
        loads: those that come from outside and lie there whole when it ends, and from then on.
        words: that all of the chain takes there beside the run's tiles, among which what it loads is.
    """

    homes: frozenset[str]
    loads: tuple[str, ...]
    words: int


@dataclass(frozen=True)
class Tiled:
    """A chain cut into tiles.

    Raises:
        InvalidInput: the cut is of a dimension that does not go through the chain.
    """

    chain: Chain
    tiling: Tiling

    def __post_init__(self) -> None:
        for dim, _ in self.tiling.cut:
            if dim not in self.chain.axes:
                allowed = ", ".join(self.chain.axes) or "none"
                raise InvalidInput(f"cut of the tiling is of {dim!r}; dimensions that go through the chain: {allowed}")

    @cached_property
    def axes(self) -> tuple[Axis, ...]:
        """Of every cut, in its order."""
        return tuple(self.chain.axes[dim] for dim, _ in self.tiling.cut)

    @cached_property
    def spans(self) -> tuple[Spans, ...]:
        """Of every cut, in its order."""
        return tuple(self.chain.spans(dim, size, kept=self.tiling.halo == KEPT) for dim, size in self.tiling.cut)

    @property
    def tiles(self) -> int:
        """How many there are."""
        return prod(len(spans.done) for spans in self.spans)

    def runs(self) -> Iterator[Run]:
        """All that runs, in order: tile after tile, layer after layer."""
        seen: set[int] = set()
        for tile in product(*(spans.done for spans in self.spans)):
            for layer in range(len(self.chain.problems)):
                extents = tuple(stop - start for start, stop in (along[layer] for along in tile))
                if min(extents) > 0:
                    yield Run(layer, self.part(layer, extents), layer not in seen)
                    seen.add(layer)

    def parts(self) -> list[tuple[Run, int]]:
        """The different runs, each layer's together, and how many of each."""
        found: list[tuple[Run, int]] = []
        for layer in range(len(self.chain.problems)):
            first = tuple(spans.first[layer] for spans in self.spans)
            for some in product(*(spans.extents[layer].items() for spans in self.spans)):
                extents, count = tuple(extent for extent, _ in some), prod(n for _, n in some)
                problem, begins = self.part(layer, extents), extents == first
                found += [(Run(layer, problem, True), 1)] if begins else []
                found += [(Run(layer, problem, False), count - begins)] if count > begins else []
        return found

    def macs(self, layer: int) -> int:
        """Multiply-accumulates of a layer in all tiles."""
        problem = self.chain.problems[layer]
        rest = problem.macs // prod(problem.sizes[axis.dims[layer]] for axis in self.axes)
        return rest * prod(sum(e * n for e, n in spans.extents[layer].items()) for spans in self.spans)

    def words(self, layer: int, name: str) -> int:
        """Words of an operand of a layer, added up over all tiles."""
        problem, space = self.chain.problems[layer], self.chain.problems[layer].dataspace(name)
        cut = {axis.dims[layer]: spans.extents[layer] for axis, spans in zip(self.axes, self.spans, strict=True)}
        total = prod(sum(counted.values()) for dim, counted in cut.items() if dim not in space.dimensions)
        for rank in space.projection:
            rest = 1 + sum(c * (problem.sizes[dim] - 1) for dim, c in rank if dim not in cut)
            ((c, counted),) = [(c, cut[dim]) for dim, c in rank if dim in cut] or [(0, Counter({1: 1}))]
            total *= sum(n * (rest + c * (extent - 1)) for extent, n in counted.items())
        return total

    def part(self, layer: int, extents: tuple[int, ...]) -> Problem:
        """A layer's problem with these extents along the cuts."""
        problem = self.chain.problems[layer]
        sizes = problem.sizes | {axis.dims[layer]: extent for axis, extent in zip(self.axes, extents, strict=True)}
        return Problem(problem.dimensions, tuple(sizes.values()), problem.dataspaces, problem.name)

    def usual(self, layer: int) -> Problem:
        """The part of a layer that most tiles are."""
        return self.part(layer, tuple(spans.extents[layer].most_common(1)[0][0] for spans in self.spans))

    def keeps(self, run: Run, retained: Collection[tuple[int, str]] = ()) -> "Keeps":
        """What a run has in the memory where the chain's results stay.

        Args:
            run: one of `runs`.
            retained: (layer, dataspace) of operands from outside that are retained whole anyway.
        """
        loaded, words = self._stays(frozenset(retained))
        own, room = loaded[run.layer], self.held(run.layer) + sum(words)
        if run.first:
            return Keeps(self.chain.inner(run.layer), own, room - words[run.layer])
        return Keeps(self.chain.inner(run.layer) | frozenset(own), (), room)

    def _stays(self, retained: frozenset[tuple[int, str]]) -> tuple[list[tuple[str, ...]], list[int]]:
        """`[layers]` the weights that stay, and their words, where some operands are retained anyway."""
        if retained not in self._known:
            loaded = [self.loaded(layer, retained) for layer in range(len(self.chain.problems))]
            words = [sum(map(p.words, own)) for p, own in zip(self.chain.problems, loaded, strict=True)]
            self._known[retained] = loaded, words
        return self._known[retained]

    @cached_property
    def _known(self) -> dict[frozenset[tuple[int, str]], tuple[list[tuple[str, ...]], list[int]]]:
        return {}

    def loaded(self, layer: int, retained: Collection[tuple[int, str]] = ()) -> tuple[str, ...]:
        """The weights of a layer that stay from its first run on, but those that are retained anyway."""
        if self.tiling.weights == STREAMED:
            return ()
        return tuple(space for space in self.weights(layer) if (layer, space) not in retained)

    def weights(self, layer: int) -> tuple[str, ...]:
        """The operands of a layer from outside the chain of which every tile reads all."""
        cut = {axis.dims[layer] for axis in self.axes}
        inner = self.chain.inner(layer)
        return tuple(
            space.name
            for space in self.chain.problems[layer].dataspaces
            if not space.read_write and space.name not in inner and not space.dimensions & cut
        )

    def held(self, layer: int) -> int:
        """Words of the chain's own results that are held while a layer runs, whichever the tile.

        Of a result that is written by then in a tile and has yet to be read there: the largest box that a tile needs,
        and what later tiles need beside it; of the others what later tiles need.
        """
        return sum(
            there if source <= layer <= self.chain.last_reader(source) else passed
            for source, (there, passed) in enumerate(self._held)
        )

    @cached_property
    def _held(self) -> tuple[tuple[int, int], ...]:
        """`[layers - 1]` words held of every result while a tile needs it, and else."""
        return tuple(
            (self._held_of(source, there=True), self._held_of(source, there=False))
            for source in range(len(self.chain.problems) - 1)
        )

    def _held_of(self, source: int, *, there: bool) -> int:
        """Words held of a result. Along an axis: box (held further in) + overlap (all else further in)."""
        problem = self.chain.problems[source]
        ranks, full = problem.dataspace(problem.result).projection, self.chain.full[source]
        at = {rank[0][0]: extent for rank, extent in zip(ranks, full, strict=True) if len(rank) == 1}
        words, whole = int(there), 1
        for axis, spans in zip(reversed(self.axes), reversed(self.spans), strict=True):
            overlap = spans.overlap[source] if self.tiling.halo == KEPT else 0
            words = spans.box[source] * words + overlap * (whole - words)
            whole *= max(at[axis.dims[source]], spans.box[source])
        cut = {axis.dims[source] for axis in self.axes}
        return words * prod(extent for rank, extent in zip(ranks, full, strict=True) if not cut & {d for d, _ in rank})
