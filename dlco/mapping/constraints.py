"""`Constraints`: what a user fixes of the mappings to be searched, in the terms of Timeloop's mapspace constraints.

A constraint speaks of the temporal or of the spatial loops of one level; dimensions it does not name are free.
"""

from dataclasses import dataclass
from math import prod

from dlco.errors import InvalidInput
from dlco.hardware.architecture import Architecture
from dlco.workload.problem import Problem, check_positive_int

KINDS = ("temporal", "spatial")


@dataclass(frozen=True)
class SlotConstraint:
    """What is fixed of one level's temporal or spatial loops.

    Attributes:
        level: name of the storage level.
        kind: "temporal" or "spatial" (X and Y together).
        exact: (dimension, factor) pairs: the bound of that loop. A spatial one is the product over X and Y.
        at_most: (dimension, factor) pairs: the largest bound of that loop.
        innermost: the leading dimensions of the loop order, innermost first; the others follow in any order.
        axis_x, axis_y: spatial only: dimensions that may not lie on the other axis.

    Raises:
        InvalidInput: an unknown kind, a factor that is no positive integer, a dimension named twice, an exact
            factor above its own upper limit, or an axis for temporal loops.
    """

    level: str
    kind: str
    exact: tuple[tuple[str, int], ...] = ()
    at_most: tuple[tuple[str, int], ...] = ()
    innermost: tuple[str, ...] = ()
    axis_x: tuple[str, ...] = ()
    axis_y: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise InvalidInput(f"kind of the constraint at {self.level} is {self.kind!r}; allowed: {', '.join(KINDS)}")
        for name in ("exact", "at_most"):
            pairs = getattr(self, name)
            _check_distinct(f"{name} {self.where}", [dim for dim, _ in pairs])
            for dim, factor in pairs:
                check_positive_int(f"{name} factor of {dim} {self.where}", factor)
        _check_distinct(f"innermost {self.where}", self.innermost)
        _check_distinct(f"axis_x and axis_y {self.where}", self.axis_x + self.axis_y)
        if self.kind == "temporal" and self.axis_x + self.axis_y:
            raise InvalidInput(f"axis {self.where} names {', '.join(self.axis_x + self.axis_y)}; only spatial have one")
        limits = dict(self.at_most)
        for dim, factor in self.exact:
            if factor > limits.get(dim, factor):
                raise InvalidInput(
                    f"exact factor of {dim} {self.where} is {factor}; at_most allows up to {limits[dim]}"
                )

    @property
    def where(self) -> str:
        """The place in words, such as "of the spatial loops at GlobalBuffer"."""
        return f"of the {self.kind} loops at {self.level}"

    @property
    def dimensions(self) -> frozenset[str]:
        """Every dimension that the constraint names."""
        return frozenset(dim for dim, _ in self.exact + self.at_most).union(self.innermost, self.axis_x, self.axis_y)


@dataclass(frozen=True)
class Constraints:
    """Everything that is fixed of a search.

    Attributes:
        slots: at most one a level and kind.
        bypass: (level, dataspaces not kept there) pairs, beyond what the architecture bypasses.

    Raises:
        InvalidInput: two constraints for one level and kind, or a level with two bypass entries.

    Examples:
        >>> from dlco.mapping import Constraints, SlotConstraint
        >>> rows = SlotConstraint("GlobalBuffer", "spatial", exact=(("C", 16),), axis_y=("C",))
        >>> layer = dlco.conv2d("conv", C=64, M=64, P=14, Q=14, R=3, S=3)
        >>> Constraints((rows,)).check(layer.problem, dlco.hardware.generic())
    """

    slots: tuple[SlotConstraint, ...] = ()
    bypass: tuple[tuple[str, frozenset[str]], ...] = ()

    def __post_init__(self) -> None:
        _check_distinct("constraints", [f"{slot.level} {slot.kind}" for slot in self.slots])
        _check_distinct("levels of the bypass constraints", [level for level, _ in self.bypass])

    def slot(self, level: str, kind: str) -> SlotConstraint:
        """The constraint on a level's loops of that kind; an empty one where there is none."""
        for slot in self.slots:
            if (slot.level, slot.kind) == (level, kind):
                return slot
        return SlotConstraint(level, kind)

    def bypassed(self, level: str) -> frozenset[str]:
        """The dataspaces that these constraints keep out of a level."""
        return frozenset(dict(self.bypass).get(level, ()))

    def check(self, problem: Problem, architecture: Architecture) -> None:
        """Refuse constraints that name what is not there or that nothing can meet.

        Raises:
            InvalidInput: an unknown level, dimension or dataspace, exact factors of a dimension whose product
                does not divide its bound, or a dataspace that no level is left to keep.
        """
        for slot in self.slots:
            architecture.index(slot.level)
            for dim in sorted(slot.dimensions - set(problem.dimensions)):
                raise InvalidInput(
                    f"constraint {slot.where} names dimension {dim!r}; the problem has {', '.join(problem.dimensions)}"
                )
        for dim, bound in problem.sizes.items():
            factors = [factor for slot in self.slots for name, factor in slot.exact if name == dim]
            if bound % prod(factors):
                raise InvalidInput(
                    f"exact factors of {dim} are {' x '.join(map(str, factors))}; they must divide its bound {bound}"
                )
        for level, spaces in self.bypass:
            architecture.index(level)
            for name in sorted(spaces):
                problem.dataspace(name)
        for space in problem.dataspaces:
            if all(space.name in level.bypass | self.bypassed(level.name) for level in architecture.levels):
                raise InvalidInput(f"bypass leaves {space.name} without a level; at least one level must keep it")


def _check_distinct(field: str, names: tuple[str, ...] | list[str]) -> None:
    """Raise `InvalidInput` where a name occurs twice."""
    for name in names:
        if names.count(name) > 1:
            raise InvalidInput(f"{field} name {name!r} twice; once is allowed")
