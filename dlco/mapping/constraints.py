"""Constraints resolved for a problem: factors as numbers, axes by dimension, dataspaces by name.

`Constraints` state what holds for every layer of a network. For one problem they are resolved:

* a dimension or dataspace that the problem does not have is passed over;
* an exact factor beyond a dimension's bound becomes the bound, as in Timeloop's mapper;
* a dimension in `rest` gets what the exact factors elsewhere leave of its bound;
* the containers of one fan-out become one constraint on all of it.
"""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from math import inf, prod

from dlco.errors import InvalidInput, NotSupported
from dlco.hardware.architecture import Architecture, Container
from dlco.hardware.constraints import ALL, KINDS, Constraints, SlotConstraint
from dlco.mapping.kept import constrained
from dlco.workload.layer import Layer
from dlco.workload.problem import Problem

__all__ = ["KINDS", "Constraints", "SlotConstraint", "announce", "check_constraints", "resolution", "resolve", "stated"]

logger = logging.getLogger("dlco")

_BOTH = frozenset("xy")


def stated(architecture: Architecture, more: Constraints | None = None) -> Constraints:
    """The constraints that a machine carries, with others. Raises `InvalidInput` where they contradict each other."""
    return architecture.constraints.joined(more)


def check_constraints(
    architecture: Architecture, problems: Iterable[Problem], constraints: Constraints | None = None
) -> None:
    """Refuse constraints that name what is not there or that nothing can meet.

    Args:
        architecture: the machine, with the constraints that it carries.
        problems: the network.
        constraints: those that are given for it; each dimension and dataspace they name must be one of some problem.
            (A machine's own may name what this network has none of: `announce` says so.)

    Raises:
        InvalidInput: an unknown level, container, dimension or dataspace, constraints that contradict each other, or
            a dataspace that no level is left to keep.
    """
    net = list(problems)
    if constraints:
        for what, named, known in _names(constraints, net):
            for name in sorted(named - set(known)):
                where = next((s.where for s in constraints.slots if name in s.dimensions), "of dataspaces")
                raise InvalidInput(f"constraint {where} names {what} {name!r}; the problem has {', '.join(known)}")
    together = stated(architecture, constraints)
    for slot in together.slots:
        architecture.index(slot.level)
        inside = [one.name for one in architecture.containers if one.level == slot.level]
        if slot.container and slot.container not in inside:
            raise InvalidInput(
                f"container is {slot.container!r}; at {slot.level} there are {', '.join(inside) or 'none'}"
            )
    for level, spaces in together.keep:
        for name in sorted(spaces & architecture.level(level).bypass):
            raise InvalidInput(f"constraints keep {name} at {level}, which the architecture bypasses there")
    for level, _ in together.bypass:
        architecture.index(level)
    for problem in net:
        names = [space.name for space in problem.dataspaces]
        out = constrained(architecture, together, names)
        for name in names:
            if all(name in bypass for bypass in out):
                raise InvalidInput(f"bypass leaves {name} without a level; at least one level must keep it")


def announce(architecture: Architecture, layers: Iterable[Layer], constraints: Constraints | None = None) -> None:
    """Warn of what constraints do not mean as they are written, with the layers that it concerns.

    Raises:
        InvalidInput: as `resolve`, naming the layer.
    """
    net = list(layers)
    for what, named, known in _names(architecture.constraints, [layer.problem for layer in net]):
        for name in sorted(named - set(known)):
            logger.warning(
                "constraints of %s name %s %r, which no layer has: passed over", architecture.name, what, name
            )
    together = stated(architecture, constraints)
    notes: dict[str, list[str]] = {}
    for layer in net:
        try:
            _, found = resolution(together, layer.problem, architecture)
        except (InvalidInput, NotSupported) as error:
            raise type(error)(f"layer {layer.name!r}: {error}") from None
        for note in found:
            notes.setdefault(note, []).append(layer.name)
    for note, names in notes.items():
        others = f" and {len(names) - 3} more" if len(names) > 3 else ""
        logger.warning("%s in %s%s", note, ", ".join(names[:3]), others)


def resolve(constraints: Constraints, problem: Problem, architecture: Architecture) -> Constraints:
    """What constraints fix of one problem's mappings: one constraint a level and kind, all factors numbers.

    Raises:
        InvalidInput: exact factors of a dimension that do not divide its bound, or a dimension that is to take all
            that is left in two places.
        NotSupported: a dimension that is to lie along both X and Y of a level.
    """
    return resolution(constraints, problem, architecture)[0]


def resolution(
    constraints: Constraints, problem: Problem, architecture: Architecture
) -> tuple[Constraints, tuple[str, ...]]:
    """(what `resolve` returns, in words what of it is not as it was written); raises as `resolve`."""
    found = _Resolution(constraints, problem, architecture)
    return found.result, tuple(found.notes)


def _names(constraints: Constraints, problems: Sequence[Problem]) -> list[tuple[str, frozenset[str], dict[str, None]]]:
    """(what, those that the constraints name, those that the problems have)."""
    dims = dict.fromkeys(dim for problem in problems for dim in problem.dimensions)
    spaces = dict.fromkeys(space.name for problem in problems for space in problem.dataspaces)
    return [("dimension", constraints.dimensions, dims), ("dataspace", constraints.dataspaces, spaces)]


@dataclass(frozen=True)
class _Part:
    """What one constraint says of its loops in a problem: of a level's temporal ones, or over one container.

    Attributes:
        slot: the constraint, with the problem's dimensions only.
        exact, at_most: factors by dimension; `rest`: those that take what is left.
        axes: by dimension, the axes along which it may lie ("x", "y"); empty of temporal loops.
        mesh: instances along each axis, infinite where it is not for the constraint to say.
    """

    slot: SlotConstraint
    exact: dict[str, int]
    at_most: dict[str, int]
    rest: frozenset[str]
    axes: dict[str, frozenset[str]]
    mesh: dict[str, float] = field(default_factory=lambda: {"x": inf, "y": inf})

    def may_split(self, dim: str) -> bool:
        """Whether a dimension can have a factor above 1 here."""
        return bool(self.axes[dim]) and self.exact.get(dim) != 1 and self.at_most.get(dim) != 1

    def room(self, dim: str, axis: str) -> float:
        """The largest factor that a dimension can have along an axis."""
        if axis not in self.axes[dim]:
            return 1
        return min(self.mesh[axis], self.exact.get(dim, inf), self.at_most.get(dim, inf))


def _common(parts: Sequence[_Part], dim: str) -> list[str]:
    """Axes along which all of these can hold a dimension."""
    return [
        axis
        for axis in "xy"
        if all(axis in part.axes[dim] and part.exact.get(dim, 1) <= part.mesh[axis] for part in parts)
    ]


class _Resolution:
    """One problem's constraints.

    Attributes:
        result: what is fixed.
        notes: what is not as it was written.
    """

    def __init__(self, constraints: Constraints, problem: Problem, architecture: Architecture) -> None:
        self.problem, self.architecture, self.notes = problem, architecture, list[str]()
        names = [space.name for space in problem.dataspaces]
        places = list(dict.fromkeys((slot.level, slot.kind) for slot in constraints.slots))
        found = [self._place(constraints, level, kind) for level, kind in places]
        bypass = [(level.name, constraints.bypassed_of(level.name, names)) for level in architecture.levels]
        exact = self._completed(found)
        self.result = Constraints(
            tuple(
                SlotConstraint(
                    part.slot.level,
                    part.slot.kind,
                    exact=tuple((dim, table[dim]) for dim in problem.dimensions if dim in table),
                    at_most=tuple((dim, n) for dim, n in part.at_most.items() if dim not in table),
                    innermost=part.slot.innermost,
                    axis_x=tuple(dim for dim, along in part.axes.items() if along == {"x"}),
                    axis_y=tuple(dim for dim, along in part.axes.items() if along == {"y"}),
                )
                for part, table in zip(found, exact, strict=True)
            ),
            bypass=tuple((level, spaces) for level, spaces in bypass if spaces),
        )

    def _completed(self, parts: Sequence[_Part]) -> list[dict[str, int]]:
        """Exact factors of each place, those that take what is left included."""
        tables = [dict(part.exact) for part in parts]
        for dim, bound in self.problem.sizes.items():
            factors = [table[dim] for table in tables if dim in table]
            takers = [i for i, part in enumerate(parts) if dim in part.rest]
            if bound % prod(factors):
                raise InvalidInput(
                    f"exact factors of {dim} are {' x '.join(map(str, factors))}; they must divide its bound {bound}"
                )
            left = bound // prod(factors)
            if len(takers) > 1 and left > 1:
                both = " and ".join(parts[i].slot.where for i in takers)
                raise InvalidInput(f"{dim} is to take all that is left of its bound {bound} {both}; one place may")
            for i in takers:
                if dim in tables[i] and left > 1:
                    raise NotSupported(f"{dim} has factors {parts[i].slot.where} along both axes; dlco takes one")
                tables[i].setdefault(dim, left)
                if left > parts[i].at_most.get(dim, left):
                    raise InvalidInput(
                        f"{dim} is to take all that is left of its bound {bound} {parts[i].slot.where}, {left}; "
                        f"the constraints there leave it {parts[i].at_most[dim]}"
                    )
        return tables

    def _place(self, constraints: Constraints, level: str, kind: str) -> _Part:
        """What all constraints on a level's loops of one kind say."""
        slots = {slot.container: slot for slot in constraints.slots if (slot.level, slot.kind) == (level, kind)}
        whole = [self._part(slots.pop(""), None)] if "" in slots else []
        if slots:
            boxes = self.architecture.containers_of(level)
            meshes = {box.name: box for box in boxes}
            parts = [
                self._part(slots.get(n, SlotConstraint(level, kind, container=n)), box) for n, box in meshes.items()
            ]
            parts += [self._part(slot, None) for name, slot in slots.items() if name not in meshes]
            whole.append(self._fanout(level, parts))
        return whole[0] if len(whole) == 1 else self._both(*whole)

    def _part(self, slot: SlotConstraint, box: Container | None) -> _Part:
        sizes = self.problem.sizes
        exact = dict[str, int]()
        for dim, factor in slot.exact:
            if dim in sizes:
                exact[dim] = min(factor, sizes[dim])
                if factor > sizes[dim]:
                    self.notes.append(f"factor {factor} of {dim} {slot.where} is its bound {sizes[dim]}")
        rest = frozenset(dim for dim in slot.rest if dim in sizes)
        at_most = {dim: factor for dim, factor in slot.at_most if dim in sizes}
        named = {*exact, *at_most, *rest}
        for dim in self.problem.dimensions:
            if slot.only and dim not in named:
                exact[dim] = 1
            elif self._barred(slot, dim):
                if exact.setdefault(dim, 1) > 1 or (dim in rest and sizes[dim] > 1):
                    raise InvalidInput(f"{dim} is to have a factor {slot.where}, over whose dataspaces nothing loops")
                rest -= {dim}
        own = SlotConstraint(
            slot.level,
            slot.kind,
            innermost=tuple(dim for dim in slot.innermost if dim in sizes),
            container=slot.container,
        )
        axes = {dim: self._axes(slot, box, dim) for dim in sizes} if slot.kind == "spatial" else {}
        if slot.split is not None and len(slot.innermost) < slot.split < len(sizes):
            self.notes.append(
                f"split {slot.split} {slot.where} counts loops that the permutation leaves open: each by itself may "
                "lie along X, so more of them than that together"
            )
        for dim, along in axes.items():
            if not along and exact.get(dim, 1) > 1:
                raise InvalidInput(f"exact factor of {dim} {slot.where} is {exact[dim]}; no fan-out there can hold it")
            if exact.get(dim) == 1:
                axes[dim] = frozenset()
        mesh = {"x": inf, "y": inf} if box is None else {"x": float(box.fanout_x), "y": float(box.fanout_y)}
        return _Part(own, exact, at_most, rest, axes, mesh)

    def _barred(self, slot: SlotConstraint, dim: str) -> bool:
        """Whether a dimension must not loop because of the dataspaces that it indexes."""

        def indexes(names: tuple[str, ...]) -> bool:
            return any(dim in s.dimensions for s in self.problem.dataspaces if s.name in names or ALL in names)

        known = any(s.name in slot.within or ALL in slot.within for s in self.problem.dataspaces)
        return indexes(slot.without) or (known and not indexes(slot.within))

    def _axes(self, slot: SlotConstraint, box: Container | None, dim: str) -> frozenset[str]:
        """Axes along which a dimension may be split up over a container."""
        there = _BOTH if box is None else frozenset("x" * (box.fanout_x > 1) + "y" * (box.fanout_y > 1))
        if dim in slot.axis_x + slot.axis_y:
            return there & ({"x"} if dim in slot.axis_x else {"y"})
        order, split = slot.innermost, slot.split
        if split is None:
            return there
        if dim in order:
            return there & ({"x"} if order.index(dim) < split else {"y"})
        # the loops that the order does not name follow in any order: beyond the split, or where some are left before it
        strangers = len(set(order) - set(self.problem.dimensions))
        if split < len(order) or (split == len(order) and not strangers):
            return there & {"y"}
        return there & {"x"} if split >= len(self.problem.dimensions) + strangers else there

    def _fanout(self, level: str, parts: Sequence[_Part]) -> _Part:
        """What the containers of one fan-out say together. Where that is no constraint on the whole, a stricter one."""
        whole = _Part(SlotConstraint(level, "spatial"), {}, {}, frozenset(), {})
        for dim, bound in self.problem.sizes.items():
            active = [part for part in parts if part.may_split(dim)]
            takers = [part for part in parts if dim in part.rest]
            if len(takers) > 1 or any(part not in active for part in takers):
                whole.at_most[dim], whole.axes[dim] = 1, _BOTH  # nothing may be left for it
                continue
            if not active or (bound == 1 and any(dim in part.exact for part in parts)):
                whole.exact[dim], whole.axes[dim] = 1, frozenset()
                continue
            fixed = [part for part in active if dim in part.exact or dim in part.rest]
            if fixed and len(fixed) < len(active) and not any(dim in part.rest for part in fixed):
                others = ", ".join(part.slot.container for part in active if part not in fixed)
                self.notes.append(f"{dim}, fixed over one container of {level}, is held at 1 over {others}")
            if not _common(fixed, dim):  # what takes all that is left elsewhere can only be left nothing
                fixed = [part for part in fixed if dim in part.exact]
            active = fixed or active
            rooms = {axis: prod(part.room(dim, axis) for part in active) for axis in "xy"}
            if fixed:
                along = _common(fixed, dim)
                if not along:
                    where = " and ".join(part.slot.where for part in fixed)
                    raise NotSupported(f"{dim} has factors {where}; dlco needs one axis of {level} that holds them all")
            else:
                along = [axis for axis in "xy" if any(axis in part.axes[dim] for part in active)]
                if len(along) == 2 and any(rooms[axis] < self._fanout_along(level, axis) for axis in "xy"):
                    along = self._one_axis(level, dim, rooms)
            whole.axes[dim] = frozenset(along)
            limit = max(rooms[axis] for axis in along)
            if all(dim in part.exact for part in active):
                whole.exact[dim] = prod(part.exact[dim] for part in active)
            elif limit < max(self._fanout_along(level, axis) for axis in along):
                whole.at_most[dim] = int(limit)
        taken = frozenset(dim for part in parts for dim in part.rest)
        self._note_shared(level, parts)
        return replace(whole, rest=taken)

    def _one_axis(self, level: str, dim: str, rooms: dict[str, float]) -> list[str]:
        """Both axes where they have the same room, else the one with more: limits are the same along both."""
        least = {axis: min(rooms[axis], self._fanout_along(level, axis)) for axis in "xy"}
        if least["x"] == least["y"]:
            return ["x", "y"]
        wider = max("xy", key=lambda axis: least[axis])
        if min(least.values()) > 1:
            self.notes.append(f"{dim}, whose limits along X and Y of {level} differ, is held along {wider.upper()}")
        return [wider]

    def _note_shared(self, level: str, parts: Sequence[_Part]) -> None:
        """Note containers that share an axis and take several dimensions, but not the same: rooms are kept by axis."""
        for axis in "xy":
            along = [part for part in parts if part.mesh[axis] > 1]
            takes = [frozenset(d for d in self.problem.sizes if p.may_split(d) and axis in p.axes[d]) for p in along]
            if len(along) > 1 and len(set(takes)) > 1 and any(len(dims) > 1 for dims in takes):
                names = ", ".join(part.slot.container for part in along)
                self.notes.append(
                    f"constraints of {names} along {axis.upper()} of {level} hold for each loop by itself, "
                    "not for the room that several take together"
                )

    def _fanout_along(self, level: str, axis: str) -> int:
        machine = self.architecture.level(level)
        return machine.fanout_x if axis == "x" else machine.fanout_y

    def _both(self, one: _Part, two: _Part) -> _Part:
        """What two constraints on the same fan-out say together."""
        where = one.slot.where
        exact = dict(one.exact)
        for dim, factor in two.exact.items():
            if exact.setdefault(dim, factor) != factor:
                raise InvalidInput(
                    f"exact factor of {dim} {where} is given as {exact[dim]} and as {factor}; one may be"
                )
        at_most = dict(one.at_most)
        for dim, factor in two.at_most.items():
            at_most[dim] = min(factor, at_most.get(dim, factor))
        for dim, factor in exact.items():
            if factor > at_most.get(dim, factor):
                raise InvalidInput(f"exact factor of {dim} {where} is {factor}; at_most allows up to {at_most[dim]}")
        axes = {dim: one.axes[dim] & two.axes[dim] for dim in one.axes}
        for dim, along in axes.items():
            if not along and exact.setdefault(dim, 1) > 1:
                raise InvalidInput(f"exact factor of {dim} {where} is {exact[dim]}; no axis is left to it")
        slot = (
            one.slot if one.slot.innermost else SlotConstraint(one.slot.level, "spatial", innermost=two.slot.innermost)
        )
        return _Part(slot, exact, at_most, (one.rest | two.rest) - exact.keys(), axes)
