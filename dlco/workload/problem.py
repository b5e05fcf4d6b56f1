"""`Problem`: a loop nest over an einsum whose indices are affine in the loop dimensions.

This is Timeloop's problem shape: named dimensions with bounds, and dataspaces whose every rank is a sum of
`coefficient * dimension`. Convolution, matrix products and attention are all instances of it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from math import log2, prod

from dlco.errors import InvalidInput

Rank = tuple[tuple[str, int], ...]

MOST_DIMENSIONS = 64
MOST_DATASPACES = 64
MOST_WORDS = 2**63 - 1  # that are counted in 64 bits


def check_positive_int(field: str, value: object) -> None:
    """Raise `InvalidInput`, naming `field`, unless `value` is an integer of at least 1."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise InvalidInput(f"{field} is {shown(value)}; it must be an integer of at least 1")


def check_count(field: str, value: object) -> None:
    """Raise `InvalidInput`, naming `field`, unless `value` is an integer of at least 0."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise InvalidInput(f"{field} is {shown(value)}; it must be an integer of at least 0")


def shown(value: object) -> str:
    """A value in short, for an error."""
    if isinstance(value, int) and value.bit_length() > 128:
        return f"an integer of {value.bit_length()} bits"
    text = repr(value)
    return text if len(text) <= 200 else text[:197] + "..."


@dataclass(frozen=True)
class Dataspace:
    """One operand of the einsum.

    Attributes:
        name: such as "Weights".
        projection: one entry a rank; a rank is a tuple of (dimension, coefficient) terms that are added up.
        read_write: True for the result, which is accumulated in place.
    """

    name: str
    projection: tuple[Rank, ...]
    read_write: bool = False

    @cached_property
    def dimensions(self) -> frozenset[str]:
        """The dimensions that index this dataspace; all others leave it unchanged (reuse)."""
        return frozenset(dim for rank in self.projection for dim, _ in rank)

    def box(self, extents: Mapping[str, int]) -> tuple[int, ...]:
        """Extent along each rank of the box around all words that loops over such extents of the dimensions touch."""
        return tuple(1 + sum(c * (extents[dim] - 1) for dim, c in rank) for rank in self.projection)

    def move(self, dim: str, distance: int) -> tuple[int, ...]:
        """How far words lie apart along each rank at points that lie `distance` apart along one dimension."""
        return tuple(sum(c * distance for d, c in rank if d == dim) for rank in self.projection)


@dataclass(frozen=True)
class Problem:
    """The work of one layer.

    Attributes:
        dimensions: names of the loop dimensions.
        bounds: their sizes, in the same order.
        dataspaces: the operands; at least one of them `read_write`.
        name: of the shape, such as "CNN_Layer" (Timeloop prints it; nothing depends on it).

    Raises:
        InvalidInput: a bound or coefficient is not a positive integer, a name is used twice, or a projection
            speaks of an unknown dimension.

    Examples:
        >>> from dlco.workload import Dataspace, Problem
        >>> rows, columns = (("I", 1),), (("J", 1),)
        >>> outer = Problem(
        ...     dimensions=("I", "J"),
        ...     bounds=(32, 48),
        ...     dataspaces=(
        ...         Dataspace("Left", (rows,)),
        ...         Dataspace("Right", (columns,)),
        ...         Dataspace("Outputs", (rows, columns), read_write=True),
        ...     ),
        ... )
        >>> outer.macs, outer.words("Outputs"), outer.words("Left")
        (1536, 1536, 32)
    """

    dimensions: tuple[str, ...]
    bounds: tuple[int, ...]
    dataspaces: tuple[Dataspace, ...]
    name: str = "CNN_Layer"

    def __post_init__(self) -> None:
        for text in (*self.dimensions, *(space.name for space in self.dataspaces), self.name):
            if not isinstance(text, str):
                raise InvalidInput(f"a name in the problem is {text!r}; dimensions, dataspaces and shape have texts")
        if len(self.dimensions) != len(self.bounds):
            raise InvalidInput(f"problem has {len(self.dimensions)} dimensions but {len(self.bounds)} bounds")
        if len(self.dimensions) > MOST_DIMENSIONS or len(self.dataspaces) > MOST_DATASPACES:
            raise InvalidInput(
                f"problem has {len(self.dimensions)} dimensions and {len(self.dataspaces)} dataspaces; there may be "
                f"{MOST_DIMENSIONS} of the first and {MOST_DATASPACES} of the second"
            )
        if not self.dimensions or len(set(self.dimensions)) != len(self.dimensions):
            raise InvalidInput(f"dimensions is {self.dimensions!r}; it must be one or more distinct names")
        for dim, bound in zip(self.dimensions, self.bounds, strict=True):
            check_positive_int(f"bound of dimension {dim}", bound)
        names = [space.name for space in self.dataspaces]
        if not names or len(set(names)) != len(names):
            raise InvalidInput(f"dataspaces is {names!r}; it must be one or more distinct names")
        for space in self.dataspaces:
            for rank in space.projection:
                for dim, coefficient in rank:
                    if dim not in self.dimensions:
                        raise InvalidInput(
                            f"projection of {space.name} names dimension {dim!r}; "
                            f"the problem has {', '.join(self.dimensions)}"
                        )
                    check_positive_int(f"coefficient of {dim} in {space.name}", coefficient)
        if not any(space.read_write for space in self.dataspaces):
            raise InvalidInput(f"dataspaces {names!r} has no result; one must be read_write")

    @cached_property
    def sizes(self) -> dict[str, int]:
        """Bound of each dimension by name."""
        return dict(zip(self.dimensions, self.bounds, strict=True))

    @cached_property
    def macs(self) -> int:
        """Multiply-accumulates: the number of points of the iteration space."""
        return prod(self.bounds)

    def words(self, space: str | Dataspace) -> int:
        """Words of a dataspace's bounding box (gaps left by strides counted, as Timeloop does)."""
        if isinstance(space, str):
            space = self.dataspace(space)
        return prod(space.box(self.sizes))

    @property
    def result(self) -> str:
        """The name of the dataspace that is written, where there is one."""
        (name,) = (space.name for space in self.dataspaces if space.read_write)
        return name

    def dataspace(self, name: str) -> Dataspace:
        """The dataspace called `name`; raises `InvalidInput` where there is none."""
        for space in self.dataspaces:
            if space.name == name:
                return space
        allowed = ", ".join(space.name for space in self.dataspaces)
        raise InvalidInput(f"dataspace is {name!r}; the problem has {allowed}")


def most_words(problem: Problem, space: Dataspace) -> int:
    """A number of words that no count of a dataspace exceeds, whatever the mapping.

    A tile's extent along a rank, 1 + sum c (T - 1), is at most the sum of its c times the product of its T. So the
    words of a tile are at most K times the points it covers, K being the product over ranks of the sums of c, and
    whatever is moved over the execution is at most K words a multiply-accumulate.
    """
    return problem.macs * prod(sum(c for _, c in rank) for rank in space.projection if rank)


def check_countable(problem: Problem) -> None:
    """Raise `InvalidInput` for work whose counts of words could exceed what 64 bits hold (see `most_words`)."""
    for space in problem.dataspaces:
        words = most_words(problem, space)
        if words > MOST_WORDS:
            raise InvalidInput(
                f"bounds make 2^{log2(problem.macs):.1f} multiply-accumulates, which may move 2^{log2(words):.1f} "
                f"words of {space.name}; that may be at most 2^63 - 1, so that counts fit 64 bits"
            )
