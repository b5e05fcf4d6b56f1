"""`Constraints`: what is fixed of the mappings to be searched, in the terms of Timeloop's mapspace constraints.

A constraint speaks of the temporal or of the spatial loops of one level; dimensions it does not name are free. It is
stated once for a machine and says for every problem what that leaves: `dlco.mapping.constraints` resolves it.
"""

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from typing import Any

from dlco.errors import InvalidInput
from dlco.workload.problem import check_count, check_positive_int

KINDS = ("temporal", "spatial")
ALL = "*"  # among names of dataspaces: all that the other list does not name


@dataclass(frozen=True)
class SlotConstraint:
    """What is fixed of one level's temporal or spatial loops.

    Attributes:
        level: name of the storage level.
        kind: "temporal" or "spatial" (X and Y together).
        exact: (dimension, factor) pairs: the bound of that loop. A spatial one is the product over X and Y. Beyond a
            layer's bound it means the bound.
        at_most: (dimension, factor) pairs: the largest bound of that loop.
        innermost: the leading dimensions of the loop order, innermost first; the others follow in any order.
        axis_x, axis_y: spatial only: dimensions that may not lie on the other axis.
        rest: dimensions whose loop here takes all of the bound that `exact` factors elsewhere leave.
        split: spatial only: how many loops of the order lie along X, all others along Y.
        container: spatial only: the one of several containers of a fan-out that is meant; "" is all of the fan-out.
        only: whether dimensions that `exact`, `at_most` and `rest` do not name have a factor of 1.
        without: dataspaces: their dimensions have a factor of 1.
        within: dataspaces: dimensions of none of them have a factor of 1.

    Raises:
        InvalidInput: an unknown kind, a factor that is no positive integer, a dimension named twice, an exact
            factor above its own upper limit, or what only spatial loops have for temporal ones.
    """

    level: str
    kind: str
    exact: tuple[tuple[str, int], ...] = ()
    at_most: tuple[tuple[str, int], ...] = ()
    innermost: tuple[str, ...] = ()
    axis_x: tuple[str, ...] = ()
    axis_y: tuple[str, ...] = ()
    rest: tuple[str, ...] = ()
    split: int | None = None
    container: str = ""
    only: bool = False
    without: tuple[str, ...] = ()
    within: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise InvalidInput(f"kind of the constraint at {self.level} is {self.kind!r}; allowed: {', '.join(KINDS)}")
        for name in ("exact", "at_most"):
            pairs = getattr(self, name)
            _check_distinct(f"{name} {self.where}", [dim for dim, _ in pairs])
            for dim, factor in pairs:
                check_positive_int(f"{name} factor of {dim} {self.where}", factor)
        _check_distinct(f"exact and rest {self.where}", [*dict(self.exact), *self.rest])
        _check_distinct(f"innermost {self.where}", self.innermost)
        _check_distinct(f"axis_x and axis_y {self.where}", self.axis_x + self.axis_y)
        if self.kind == "temporal" and self.axis_x + self.axis_y:
            raise InvalidInput(f"axis {self.where} names {', '.join(self.axis_x + self.axis_y)}; only spatial have one")
        if self.kind == "temporal" and (self.split is not None or self.container):
            raise InvalidInput(f"split or container is given {self.where}; only spatial have one")
        if self.split is not None:
            check_count(f"split {self.where}", self.split)
        limits = dict(self.at_most)
        for dim, factor in self.exact:
            if factor > limits.get(dim, factor):
                raise InvalidInput(
                    f"exact factor of {dim} {self.where} is {factor}; at_most allows up to {limits[dim]}"
                )

    @property
    def where(self) -> str:
        """The place in words, such as "of the spatial loops at GlobalBuffer"."""
        inside = f" over {self.container}" if self.container else ""
        return f"of the {self.kind} loops at {self.level}{inside}"

    @property
    def place(self) -> tuple[str, str, str]:
        """(level, kind, container): what no two constraints may share."""
        return self.level, self.kind, self.container

    @property
    def dimensions(self) -> frozenset[str]:
        """Every dimension that the constraint names."""
        factors = frozenset(dim for dim, _ in self.exact + self.at_most)
        return factors.union(self.innermost, self.axis_x, self.axis_y, self.rest)

    @property
    def dataspaces(self) -> frozenset[str]:
        """Every dataspace that the constraint names."""
        return frozenset(self.without + self.within) - {ALL}

    def joined(self, other: "SlotConstraint") -> "SlotConstraint":
        """What both say of the same loops. Raises `InvalidInput` where they contradict each other."""
        exact = _joined_pairs(f"exact factor {{}} {self.where}", self.exact, other.exact)
        at_most = _joined_pairs(f"at_most factor {{}} {self.where}", self.at_most, other.at_most)
        other_fields: dict[str, Any] = {name: _union(getattr(self, name), getattr(other, name)) for name in _UNIONS}
        for name in ("innermost", "split", "within"):
            mine, theirs = getattr(self, name), getattr(other, name)
            empty = (None, ())
            if mine not in empty and theirs not in empty and mine != theirs:
                raise InvalidInput(
                    f"{name} {self.where} is given as {_shown(mine)} and as {_shown(theirs)}; one may be"
                )
            other_fields[name] = theirs if mine in empty else mine
        return replace(self, exact=exact, at_most=at_most, only=self.only or other.only, **other_fields)


@dataclass(frozen=True)
class Constraints:
    """Everything that is fixed of a search.

    Attributes:
        slots: at most one a level and kind (and container).
        bypass: (level, dataspaces not kept there) pairs, beyond what the architecture bypasses; "*" stands for all
            that `keep` does not name.
        keep: (level, dataspaces that must be kept there) pairs; "*" stands for all that `bypass` does not name.

    Raises:
        InvalidInput: two constraints for one level and kind, a level with two bypass entries, or a dataspace that a
            level is to keep and to bypass.

    Examples:
        >>> from dlco.mapping import Constraints, SlotConstraint
        >>> rows = SlotConstraint("GlobalBuffer", "spatial", exact=(("C", 16),), axis_y=("C",))
        >>> fixed = Constraints((rows,))
        >>> fixed.slot("GlobalBuffer", "spatial").exact, fixed.bypassed("GlobalBuffer")
        ((('C', 16),), frozenset())
    """

    slots: tuple[SlotConstraint, ...] = ()
    bypass: tuple[tuple[str, frozenset[str]], ...] = ()
    keep: tuple[tuple[str, frozenset[str]], ...] = ()

    def __post_init__(self) -> None:
        _check_distinct("constraints", [" ".join(slot.place).strip() for slot in self.slots])
        _check_distinct("levels of the bypass constraints", [level for level, _ in self.bypass])
        _check_distinct("levels of the keep constraints", [level for level, _ in self.keep])
        kept = dict(self.keep)
        for level, spaces in self.bypass:
            for name in sorted(spaces & kept.get(level, frozenset())):
                raise InvalidInput(f"constraints keep and bypass {name} at {level}; one is allowed")

    def __bool__(self) -> bool:
        """Whether anything is fixed."""
        return bool(self.slots or self.bypass or self.keep)

    def slot(self, level: str, kind: str) -> SlotConstraint:
        """The constraint on all of a level's loops of that kind; an empty one where there is none."""
        for slot in self.slots:
            if slot.place == (level, kind, ""):
                return slot
        return SlotConstraint(level, kind)

    def bypassed(self, level: str) -> frozenset[str]:
        """The dataspaces that these constraints keep out of a level, as they are stated."""
        return frozenset(dict(self.bypass).get(level, ()))

    def bypassed_of(self, level: str, names: Iterable[str]) -> frozenset[str]:
        """Those of the named dataspaces that these constraints keep out of a level."""
        out, kept = self.bypassed(level), dict(self.keep).get(level, frozenset())
        return frozenset(name for name in names if name in out or (ALL in out and name not in kept))

    def _keeps(self, level: str, name: str) -> bool:
        """Whether these constraints want a dataspace kept at a level."""
        kept = dict(self.keep).get(level, frozenset())
        return name in kept or (ALL in kept and name not in self.bypassed(level))

    @property
    def dimensions(self) -> frozenset[str]:
        """Every dimension that the constraints name."""
        return frozenset().union(*(slot.dimensions for slot in self.slots))

    @property
    def dataspaces(self) -> frozenset[str]:
        """Every dataspace that the constraints name."""
        listed = (spaces for _, spaces in self.bypass + self.keep)
        return frozenset().union(*listed, *(slot.dataspaces for slot in self.slots)) - {ALL}

    def joined(self, other: "Constraints | None") -> "Constraints":
        """These constraints and others; what both say alike counts once.

        Raises:
            InvalidInput: they contradict each other.
        """
        if not other:
            return self
        for one, two in ((self, other), (other, self)):
            for level, kept in one.keep:
                for name in sorted(two.bypassed(level) | kept):
                    if one._keeps(level, name) and two.bypassed_of(level, [name]):
                        raise InvalidInput(f"constraints keep and bypass {name} at {level}; one is allowed")
        slots = {slot.place: slot for slot in self.slots}
        for slot in other.slots:
            slots[slot.place] = slots[slot.place].joined(slot) if slot.place in slots else slot
        return Constraints(
            tuple(slots.values()), _joined_spaces(self.bypass, other.bypass), _joined_spaces(self.keep, other.keep)
        )


_UNIONS = tuple(item.name for item in fields(SlotConstraint) if item.name in ("axis_x", "axis_y", "rest", "without"))

_Pairs = tuple[tuple[str, int], ...]
_Spaces = tuple[tuple[str, frozenset[str]], ...]


def _joined_pairs(what: str, mine: _Pairs, theirs: _Pairs) -> _Pairs:
    table = dict(mine)
    for dim, factor in theirs:
        if table.setdefault(dim, factor) != factor:
            named = what.format(f"of {dim}")
            raise InvalidInput(f"{named} is given as {table[dim]} and as {factor}; one is allowed")
    return tuple(table.items())


def _joined_spaces(mine: _Spaces, theirs: _Spaces) -> _Spaces:
    table = dict(mine)
    for level, spaces in theirs:
        table[level] = table.get(level, frozenset()) | spaces
    return tuple(table.items())


def _union(mine: tuple[str, ...], theirs: tuple[str, ...]) -> tuple[str, ...]:
    return mine + tuple(name for name in theirs if name not in mine)


def _shown(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _check_distinct(field: str, names: tuple[str, ...] | list[str]) -> None:
    """Raise `InvalidInput` where a name occurs twice."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise InvalidInput(f"{field} name {name!r} twice; once is allowed")
        seen.add(name)
