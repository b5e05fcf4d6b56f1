"""The constant part of a problem: which dimensions each rank of each dataspace reads, by index.

These are the 0/1 relevance matrices of the model, kept sparse. Several layers that share dimensions and
projections compile into one shape whose coefficients are tensors, so that they run as one batch.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import torch

from dlco.errors import InvalidInput, NotSupported
from dlco.workload.problem import Dataspace, Problem

Coefficient = float | torch.Tensor
Term = tuple[int, Coefficient]


@dataclass(frozen=True)
class Operand:
    """One dataspace of a compiled problem; dimensions are indices, those of bound 1 left out of the ranks."""

    name: str
    read_write: bool
    ranks: tuple[tuple[Term, ...], ...]

    @cached_property
    def relevant(self) -> frozenset[int]:
        """Dimensions that index the dataspace."""
        return frozenset(d for rank in self.ranks for d, _ in rank)

    @cached_property
    def sliding(self) -> tuple[tuple[int, int, Coefficient], ...]:
        """(rank, dimension, coefficient) of every dimension that shares its rank: there, tiles may overlap."""
        return tuple((r, d, c) for r, rank in enumerate(self.ranks) if len(rank) > 1 for d, c in rank)


@dataclass(frozen=True)
class Shape:
    """A compiled problem, or several alike.

    Attributes:
        dims: number of dimensions.
        live: those whose bound is above 1 in at least one layer; loops over the others do not exist.
        spaces: the dataspaces.
    """

    dims: int
    live: tuple[int, ...]
    spaces: tuple[Operand, ...]

    def select(self, index: torch.Tensor) -> "Shape":
        """The shape of a batch whose items are the problems `index` `[...]` of a shape of several."""

        def pick(coefficient: Coefficient) -> Coefficient:
            return coefficient[index] if isinstance(coefficient, torch.Tensor) else coefficient

        return self._mapped(pick)

    def to(self, device: torch.device) -> "Shape":
        """The same shape with its coefficients on a device."""
        return self._mapped(lambda c: c.to(device) if isinstance(c, torch.Tensor) else c)

    def _mapped(self, change: Callable[[Coefficient], Coefficient]) -> "Shape":
        spaces = (
            Operand(s.name, s.read_write, tuple(tuple((d, change(c)) for d, c in rank) for rank in s.ranks))
            for s in self.spaces
        )
        return Shape(self.dims, self.live, tuple(spaces))


def bounds_row(problem: Problem, like: torch.Tensor) -> torch.Tensor:
    """`[dims]` bounds, of the type and on the device of another tensor."""
    return torch.tensor(problem.bounds, dtype=like.dtype, device=like.device)


@lru_cache(maxsize=4096)
def compile_problem(problem: Problem) -> Shape:
    """The shape of one problem. Raises `NotSupported` where a dimension indexes two ranks of one dataspace."""
    return _compile(problem, (problem,), None)


def compile_problems(problems: Sequence[Problem], dtype: torch.dtype = torch.float64) -> Shape:
    """One shape for problems that differ in bounds and coefficients only.

    Coefficients that differ become tensors `[len(problems)]`; `Shape.select` lines them up with a batch.
    Raises `InvalidInput` where the problems differ in more.
    """
    first = problems[0]
    for other in problems:
        if structure(other) != structure(first):
            raise InvalidInput("problems of one batch must share their dimensions and projections")
    return _compile(first, tuple(problems), dtype)


def structure(problem: Problem) -> tuple[object, ...]:
    """What two problems must share to run in one batch: dimensions and projections, coefficients aside."""
    spaces = tuple(
        (s.name, s.read_write, tuple(tuple(d for d, _ in r) for r in s.projection)) for s in problem.dataspaces
    )
    return (problem.dimensions, spaces)


def _compile(first: Problem, problems: tuple[Problem, ...], dtype: torch.dtype | None) -> Shape:
    index = {dim: i for i, dim in enumerate(first.dimensions)}
    live = {d for p in problems for d, bound in zip(p.dimensions, p.bounds, strict=True) if bound > 1}

    def coefficient(space: int, rank: int, term: int) -> Coefficient:
        values = [p.dataspaces[space].projection[rank][term][1] for p in problems]
        if dtype is None or len(set(values)) == 1:
            return values[0]
        return torch.tensor(values, dtype=dtype)

    spaces = []
    for s, space in enumerate(first.dataspaces):
        _check_distinct(space)
        ranks = tuple(
            tuple((index[d], coefficient(s, r, k)) for k, (d, _) in enumerate(rank) if d in live)
            for r, rank in enumerate(space.projection)
        )
        spaces.append(Operand(space.name, space.read_write, tuple(rank for rank in ranks if rank)))
    return Shape(len(first.dimensions), tuple(index[d] for d in first.dimensions if d in live), tuple(spaces))


def _check_distinct(space: Dataspace) -> None:
    dims = [d for rank in space.projection for d, _ in rank]
    for dim in dims:
        if dims.count(dim) > 1:
            raise NotSupported(
                f"dimension {dim} indexes {space.name} twice; dlco supports each dimension once a dataspace"
            )
