"""The constraints that an `Architecture` carries, as Timeloop's YAML."""

from collections.abc import Iterator

from dlco.errors import InvalidInput
from dlco.hardware.constraints import ALL, Constraints, SlotConstraint
from dlco.timeloop.yaml_text import flow_list, flow_map, name

Groups = dict[str, dict[str, str]]


def section(constraints: Constraints, version: str) -> Iterator[str]:
    """The lines of a section of constraints: in v0.3 of all, in v0.4 of what no node holds.

    Args:
        constraints: what is fixed.
        version: "0.3" or "0.4".

    Raises:
        InvalidInput: Timeloop's files of that version cannot say it.
    """
    slots = constraints.slots if version == "0.3" else ()
    entries = [(slot.level, slot.kind, _loops(slot, version)) for slot in slots]
    entries += [
        (level, "bypass" if version == "0.3" else "dataspace", fields)
        for level in dict.fromkeys(level for level, _ in constraints.bypass + constraints.keep)
        if (fields := _dataspaces(constraints, level, version, node=False))
    ]
    if not entries:
        return
    yield from ("architecture_constraints:" if version == "0.3" else "constraints:", f"  version: {version}")
    yield "  targets:"
    for level, kind, fields in entries:
        yield f"  - {flow_map({'target': level, 'type': kind} | fields)}"


def node_groups(constraints: Constraints, level: str, container: str | None) -> Groups:
    """What v0.4 writes into the node of a level, or into that of a container of its fan-out ("" for all of it)."""
    kind, groups = "temporal" if container is None else "spatial", Groups()
    for slot in constraints.slots:
        if slot.place == (level, kind, container or ""):
            groups[kind] = _loops(slot, "0.4")
    if container is None:
        groups["dataspace"] = _dataspaces(constraints, level, "0.4", node=True)
    return {kind: fields for kind, fields in groups.items() if fields}


def _loops(slot: SlotConstraint, version: str) -> dict[str, str]:
    """The keys of a constraint on loops."""
    if slot.split is None and (slot.axis_x or slot.axis_y):
        raise InvalidInput(f"axis_x and axis_y {slot.where} have no place in Timeloop's files; split has one")
    if version == "0.3":
        for key, given in (("container", slot.container), ("only", slot.only), ("without", slot.without + slot.within)):
            if given:
                raise InvalidInput(f"{key} {slot.where} has no place in version 0.3 of Timeloop's files; 0.4 has one")
    factors = [f"{name(dim, 'name of a dimension')}={factor}" for dim, factor in slot.exact]
    factors += [f"{name(dim, 'name of a dimension')}=0" for dim in slot.rest]
    factors += [f"{name(dim, 'name of a dimension')}<={factor}" for dim, factor in slot.at_most]
    order = [name(dim, "name of a dimension") for dim in slot.innermost]
    fields = {"factors_only": flow_list(factors)} if slot.only else {"factors": flow_list(factors)} if factors else {}
    if order and version == "0.3":
        fields["permutation"] = ("" if all(len(dim) == 1 for dim in order) else " ").join(order)
    elif order:
        fields["permutation"] = flow_list(order)
    if factors and version == "0.3":
        fields["factors"] = " ".join(factors)
    if slot.split is not None:
        fields["split"] = str(slot.split)
    for key, names in (("no_iteration_over_dataspaces", slot.without), ("must_iterate_over_dataspaces", slot.within)):
        if names:
            fields[key] = _names(names)
    return fields


def _dataspaces(constraints: Constraints, level: str, version: str, *, node: bool) -> dict[str, str]:
    """The keys of a constraint on what a level keeps; v0.4's nodes hold all but plain names to be bypassed.

    Those would read back as the level's own `bypass`, which holds for every mapping, not only where one is searched.
    """
    keep, bypass = dict(constraints.keep).get(level, frozenset()), constraints.bypassed(level)
    others = ALL in keep | bypass
    if version == "0.3" and others:
        raise InvalidInput(f"'*' among the dataspaces of {level} has no place in version 0.3 of Timeloop's files")
    fields: dict[str, str] = {}
    if ALL in bypass:
        fields = {"keep_only": _names(keep)}
    elif ALL in keep:
        fields = {"bypass_only": _names(bypass)}
    elif keep:
        fields = {"keep": _names(keep)}
    if version == "0.4" and not node:
        fields = {}
    if bypass - {ALL} and ALL not in keep and not node:
        fields["bypass"] = _names(bypass - {ALL})
    return fields


def _names(spaces: frozenset[str] | tuple[str, ...]) -> str:
    return flow_list(f'"{ALL}"' if one == ALL else name(one, "name of a dataspace") for one in sorted(spaces))
