"""A problem as tables over the lattice of its tile extents: words, windows that slide, and what loops do to fills."""

from dataclasses import dataclass
from functools import cached_property
from math import prod

import numpy as np

from dlco.cost.shape import Operand, Shape, compile_problem
from dlco.exact.lattice import Bools, Floats, Ints, Lattice
from dlco.workload.problem import Problem


@dataclass(frozen=True)
class Slide:
    """Two dimensions that share a rank of a dataspace: one slides the window of the other.

    Attributes:
        space: index of the dataspace; `dims`, `steps`: the dimensions and their coefficients.
        box: `[states]` extent of the rank over a tile.
    """

    space: int
    dims: tuple[int, int]
    steps: tuple[int, int]
    box: Floats


@dataclass(frozen=True, eq=False)
class Tiles:
    """The tiles of one problem. Dimensions are those of bound above 1, in the problem's order; `T` dataspaces.

    Attributes:
        problem: of which no rank has more than two dimensions.
    """

    problem: Problem

    @cached_property
    def shape(self) -> Shape:
        """The compiled problem."""
        return compile_problem(self.problem)

    @cached_property
    def lattice(self) -> Lattice:
        """The lattice of tile extents."""
        return Lattice(tuple(self.problem.bounds[d] for d in self.shape.live))

    @cached_property
    def dims(self) -> int:
        """Dimensions of bound above 1."""
        return len(self.shape.live)

    @cached_property
    def macs(self) -> float:
        """Multiply-accumulates."""
        return float(prod(self.problem.bounds))

    @cached_property
    def extents(self) -> Floats:
        """`[states, dims]`."""
        return self.lattice.extent.astype(float)

    @cached_property
    def bounds(self) -> Floats:
        """`[dims]`."""
        return np.array(self.lattice.bounds, dtype=float)

    @cached_property
    def volume(self) -> Floats:
        """`[states]` iterations of a tile."""
        return self.extents.prod(1)

    @cached_property
    def ranks(self) -> list[list[list[tuple[int, int]]]]:
        """For each dataspace and rank its (dimension, coefficient) pairs."""
        at = {d: i for i, d in enumerate(self.shape.live)}
        return [[[(at[d], int(c)) for d, c in rank] for rank in space.ranks] for space in self.spaces]

    @property
    def spaces(self) -> tuple[Operand, ...]:
        """The dataspaces."""
        return self.shape.spaces

    @cached_property
    def written(self) -> Bools:
        """`[T]` whether a dataspace is the result."""
        return np.array([space.read_write for space in self.spaces])

    @cached_property
    def relevant(self) -> Bools:
        """`[T, dims]` whether a dimension indexes a dataspace."""
        rows = [{d for rank in ranks for d, _ in rank} for ranks in self.ranks]
        return np.array([[d in row for d in range(self.dims)] for row in rows], dtype=bool).reshape(
            len(rows), self.dims
        )

    @cached_property
    def moving(self) -> Ints:
        """`[T]` bits of the dimensions that index a dataspace."""
        return (self.relevant * self.bits).sum(1)

    @cached_property
    def bits(self) -> Ints:
        """`[dims]`."""
        return 1 << np.arange(self.dims)

    @cached_property
    def words(self) -> Floats:
        """`[states, T]` words of a tile."""
        return self.words_of(self.extents)

    def words_of(self, extents: Floats | Ints) -> Floats:
        """`[n, T]` words of tiles of extents `[n, dims]`."""
        columns = [np.ones(len(extents)) for _ in self.spaces]
        for t, ranks in enumerate(self.ranks):
            for rank in ranks:
                columns[t] = columns[t] * (1 + sum(c * (extents[:, d] - 1) for d, c in rank))
        return np.stack(columns, 1)

    @cached_property
    def least_words(self) -> Floats:
        """`[states, T]` the least words an iteration that tiles within a state take, by runs that end there.

        A loop further out that slides the window, up to the whole bound, may still be the end of such a run.
        """
        backwards = (self.words / self.volume[:, None]).T[:, ::-1]  # divisors of a state are multiples backwards
        least = self.lattice.least_of_multiples(backwards)[:, ::-1].T
        found, lattice = least.copy(), self.lattice
        for space, d in self.slide_of:
            slid = np.arange(lattice.size) + (lattice.radix[d] - 1 - lattice.digit[:, d]) * lattice.stride[d]
            found[:, space] = np.minimum(found[:, space], least[slid, space])
        return found

    @cached_property
    def slides(self) -> tuple[Slide, ...]:
        """Every rank that two dimensions share."""
        ext = self.extents
        return tuple(
            Slide(t, (a, b), (c, k), 1 + c * (ext[:, a] - 1) + k * (ext[:, b] - 1))
            for t, ranks in enumerate(self.ranks)
            for rank in ranks
            if len(rank) == 2
            for (a, c), (b, k) in [rank]
        )

    @cached_property
    def slide_of(self) -> dict[tuple[int, int], tuple[Slide, int]]:
        """(rank, coefficient) by dataspace and dimension that slides one of its windows."""
        return {(s.space, d): (s, c) for s in self.slides for d, c in zip(s.dims, s.steps, strict=True)}

    def alike(self, space: int) -> Ints | None:
        """`[states]` equal numbers above 0 for tiles whose windows slide alike; None where none of a dataspace does."""
        dims = sorted({d for slide in self.slides if slide.space == space for d in slide.dims})
        return 1 + (self.lattice.digit[:, dims] * self.lattice.stride[dims]).sum(1) if dims else None

    @cached_property
    def irrelevant(self) -> Floats:
        """`[states, T]` product of a tile's extents that do not index a dataspace."""
        return self.alone(self.extents)

    def alone(self, factors: Floats | Ints) -> Floats:
        """`[n, T]` product of the factors `[n, dims]` of dimensions that do not index a dataspace."""
        return np.stack([np.where(row, 1.0, factors).prod(1) for row in self.relevant], 1)

    def loops(self, inner: Ints, outer: Ints) -> Ints:
        """`[n]` bits of the loops that lead from one state to a multiple of it."""
        return ((self.extents[outer] > self.extents[inner]) * self.bits).sum(1)

    def passed(
        self, fills: Floats, space: int, inner: Ints, outer: Ints, tile: Ints, still: Ints | int, slide: Ints | int
    ) -> Floats:
        """`[n]` words of tiles whose run of free loops goes on, after the loops of one more level.

        Args:
            fills: `[n]` so far.
            space: index of the dataspace.
            inner: `[n]` states before the loops.
            outer: `[n]` states after them.
            tile: `[n]` states of the tiles.
            still: `[n]` bits of the loops that leave the tiles in place, or one number for all.
            slide: the loop that slides them, or `NO_SLIDE`, likewise.
        """
        ratio = self.extents[outer] / self.extents[inner]
        if isinstance(still, int):
            fills = fills / ratio[:, (still & self.bits) > 0].prod(1)
        else:
            fills = fills / np.where(still[:, None] & self.bits, ratio, 1.0).prod(1)
        for (of, d), (rank, step) in self.slide_of.items():
            on = np.flatnonzero(np.broadcast_to((slide == d) & (of == space), len(fills)))
            fills[on] *= 1 - self.held_over(rank, step, d, tile[on], inner[on]) * self.slid(
                d, tile[on], inner[on], outer[on]
            )
        return fills

    def held_over(self, rank: Slide, step: int, d: int, tile: Ints, inner: Ints) -> Floats:
        """`[n]` share of its words that a tile holds already, at the most, where a loop outside `inner` slides it."""
        box = rank.box[tile]
        return np.maximum(box - step * self.extents[inner, d], 0.0) / box

    def slid(self, d: int, tile: Ints, inner: Ints, outer: Ints) -> Floats:
        """`[n]` share of its steps, at the most, at which a loop that leads from `inner` to `outer` slides a tile."""
        return 1 - self.extents[inner, d] / self.extents[outer, d]
