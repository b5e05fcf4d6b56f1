"""An `Architecture` as Timeloop's YAML, v0.3 (a tree) or v0.4 (a list of nodes), with its ERT and ART."""

import json
import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import inf

from dlco.errors import InvalidInput, NotSupported
from dlco.hardware.architecture import Architecture, Container, Level
from dlco.timeloop.architecture import fanout_names
from dlco.timeloop.attributes import LARGEST
from dlco.timeloop.meshes import mesh_attributes
from dlco.timeloop.write_constraints import Groups, node_groups, section
from dlco.timeloop.yaml_text import check_version, flow_list, flow_map, name, number, quoted

logger = logging.getLogger("dlco")


@dataclass(frozen=True)
class _Part:
    """A component of the file: a storage level or the MAC.

    Attributes:
        name, component_class, attributes: as they stand in the file.
        count: instances of the whole machine; `per_parent`: to each instance of the part around it.
        path: of the units around it, such as "system.unit2[0..15]".
        actions: (action, pJ) pairs; `area`: um2 an instance.
        level: the storage level, or None for the MAC.
    """

    name: str
    component_class: str
    attributes: dict[str, str]
    count: int
    per_parent: int
    path: str
    actions: tuple[tuple[str, float], ...]
    area: float
    level: Level | None


def write_architecture(architecture: Architecture, version: str = "0.3") -> str:
    """The text of an architecture file with ERT and ART, which `read_architecture` reads back as the same machine.

    In v0.3 a level's `bypass` has no place: it belongs to the mapping (`write_mapping`). v0.4 writes it as a
    constraint of the level. The constraints that the architecture carries become `architecture_constraints` in v0.3,
    and stand in the nodes in v0.4. Meshes (`Network.mesh`) become attributes of what they hang off; other wires
    (`Level.network`) have no place: they are left out, and a warning says what that takes off the area.

    Args:
        architecture: the machine.
        version: "0.3", which timeloop-model takes as it is, or "0.4", for its Python front end.

    Raises:
        InvalidInput: an unknown version, a name or a constraint that Timeloop's files cannot carry, or a capacity
            that is no whole number of words.
        NotSupported: memories are taken apart (`dlco.hardware.split`); in v0.4, a fan-out has a mesh that partial sums
            pass both ways, or one and several containers.

    Examples:
        >>> machine = dlco.hardware.generic()
        >>> dlco.timeloop.read_architecture(dlco.timeloop.write_architecture(machine)).macs == machine.macs
        True
    """
    check_version(version)
    if wired(architecture):
        logger.warning("%s", left_out(architecture))
    for level in architecture.levels:
        if level.memory is not None:
            raise NotSupported(
                f"level {level.name!r} is a part of {level.memory!r}; Timeloop has no levels that share a capacity and "
                "ports, and no uneven mappings"
            )
    name(architecture.name, "name of the architecture")
    parts = list(_parts(architecture, version))
    lines = _tree(architecture, parts) if version == "0.3" else _nodes(architecture, parts)
    lines += section(architecture.constraints, version)
    return "\n".join([*lines, *_tables(parts, version), ""])


def wired(architecture: Architecture) -> list[str]:
    """Names of the levels with wires that Timeloop's files have no place for."""
    return [level.name for level in architecture.levels if level.network is not None and not _written(level)]


def without_wires(architecture: Architecture) -> Architecture:
    """The machine as a file has it: `wired` levels without their wires."""
    bare = wired(architecture)
    levels = (replace(level, network=None) if level.name in bare else level for level in architecture.levels)
    return replace(architecture, levels=tuple(levels))


def left_out(architecture: Architecture) -> str:
    """What a file leaves out of a machine with wires, and of its area."""
    area = architecture.network_um2 * 1e-6 / architecture.area_mm2 if architecture.network_um2 else 0.0
    return (
        f"wires of {', '.join(wired(architecture))} are left out: Timeloop counts networks by other rules; "
        f"without them the area is {area:.1%} less"
    )


def _parts(architecture: Architecture, version: str) -> Iterator[_Part]:
    """Storage levels and the MAC, outermost first."""
    root = architecture.name if version == "0.3" else f"{architecture.name}_top_level"
    path, count, mesh_x, per_parent = root, 1, 1, 1
    for i, level in enumerate([*reversed(architecture.levels), None]):
        if per_parent > 1 and version == "0.3":
            path = f"{path}.unit{i}[0..{per_parent - 1}]"
        mesh = {"meshX": str(mesh_x)} if count > 1 and version == "0.3" else {}
        if level is None:
            yield _Part(
                name(architecture.mac_name, "name of the MAC"),
                "intmac",
                {"datawidth": str(architecture.mac_bits)} | mesh,
                count,
                per_parent,
                path,
                (("compute", architecture.mac_pj),),
                architecture.mac_area_um2,
                None,
            )
            return
        energies = (("read", level.read_pj), ("write", level.write_pj), ("update", level.update_pj))
        actions = (*energies, ("leak", level.leak_pj))
        name(level.name, "name of a level")
        sizes = _sizes(level) | mesh | (_network(level) if version == "0.3" or level.children == 1 else {})
        yield _Part(level.name, level.kind, sizes, count, per_parent, path, actions, level.area_um2, level)
        per_parent = level.fanout_x * level.fanout_y
        count *= per_parent
        mesh_x *= level.fanout_x


def _written(level: Level) -> bool:
    """Whether a network reads back as it is: a mesh, and no wires besides."""
    network = level.network
    return bool(
        network and network.mesh and network == network.mesh.network(level.fanout_x, level.fanout_y, level.word_bits)
    )


def _network(level: Level) -> dict[str, str]:
    """Attributes of the mesh inside a storage level."""
    if level.network is None or level.network.mesh is None:
        return {}
    return mesh_attributes(level.network.mesh, level.kind)


def _sizes(level: Level) -> dict[str, str]:
    """Attributes of a storage level."""
    sizes = _capacity(level) if level.capacity < inf else {}
    width, bits = level.block_size * level.word_bits, level.word_bits
    if max(level.block_size, bits) > LARGEST:
        raise InvalidInput(f"words and blocks of level {level.name!r} are larger than Timeloop's files take, {LARGEST}")
    sizes |= {"width": str(width)} if width <= LARGEST else {"block_size": str(level.block_size)}
    sizes["datawidth"] = str(bits)
    for key in ("read_bandwidth", "write_bandwidth", "shared_bandwidth"):
        if getattr(level, key) < inf:
            sizes[key] = number(getattr(level, key))
    if level.multiple_buffering != 1:
        sizes["multiple_buffering"] = number(level.multiple_buffering)
    return sizes


def _capacity(level: Level) -> dict[str, str]:
    """A level's capacity, in blocks, words or KiB, whichever Timeloop's 32 bits hold."""
    if level.capacity != int(level.capacity):
        raise InvalidInput(f"capacity of level {level.name!r} is {level.capacity}; Timeloop takes whole words")
    words = int(level.capacity)
    sizes = {"entries": (words, 1), "sizeKB": (words * level.word_bits, 8192)}
    sizes = {"depth": (words, level.block_size)} | sizes if words else sizes
    for key, (size, unit) in sizes.items():
        if size % unit == 0 and size // unit <= LARGEST:
            return {key: str(size // unit)}
    raise InvalidInput(f"capacity of level {level.name!r} is {words} words; Timeloop's files hold sizes to {LARGEST}")


def _system(architecture: Architecture) -> str:
    """Attributes of the whole; a cycle of 1 ns is what Timeloop's tools take by default."""
    attributes = {"technology": _node(architecture.technology)}
    if architecture.cycle_s != 1e-9:
        attributes["global_cycle_seconds"] = number(architecture.cycle_s)
    return flow_map(attributes)


def _node(technology: str) -> str:
    """The name of a technology; "45nm" needs no quotes."""
    return technology if re.fullmatch(r"\d+nm", technology) else quoted(technology)


def _tree(architecture: Architecture, parts: list[_Part]) -> list[str]:
    """v0.3: a unit within a unit wherever there is a fan-out."""
    lines = ["architecture:", "  version: 0.3", "  subtree:", f"  - name: {architecture.name}"]
    lines += [f"    attributes: {_system(architecture)}", "    local:"]
    indent = "    "
    for i, part in enumerate(parts):
        if part.per_parent > 1:
            lines += [f"{indent}subtree:", f"{indent}- name: unit{i}[0..{part.per_parent - 1}]"]
            indent += "  "
            lines.append(f"{indent}local:")
        lines += [f"{indent}- name: {part.name}", f"{indent}  class: {part.component_class}"]
        lines.append(f"{indent}  attributes: {flow_map(part.attributes)}")
    return lines


def _nodes(architecture: Architecture, parts: list[_Part]) -> list[str]:
    """v0.4: a container wherever there is a fan-out; its front end wants technology and cycle among the variables."""
    cycle_s = {"global_cycle_seconds": number(architecture.cycle_s)}
    cycle = flow_map({"version": "0.4", "technology": json.dumps(architecture.technology)} | cycle_s)
    lines = [f"variables: {cycle}", "architecture:", "  version: 0.4", "  nodes:"]
    lines += ["  - !Container", f"    name: {architecture.name}"]
    fixed = architecture.constraints
    passed_on: dict[str, str] = {}  # attributes of networks that a container hands down, as they are without
    for part in parts:
        attributes = part.attributes if part.level is None else passed_on | part.attributes
        lines += ["  - !Component", f"    name: {part.name}", f"    class: {part.component_class}"]
        lines.append(f"    attributes: {flow_map(attributes)}")
        if part.level is None:
            break
        groups = node_groups(fixed, part.name, None)
        if part.level.bypass:
            bypass = flow_list(name(space, "name of a dataspace") for space in sorted(part.level.bypass))
            groups["dataspace"] = {"bypass": bypass} | groups.get("dataspace", {})
        lines += _constraints(groups)
        boxes = list(_boxes(architecture, part.level))
        network = _fan_network(part.level, len(boxes))
        for box, label in boxes:
            mesh = {"meshX": str(box.fanout_x), "meshY": str(box.fanout_y)}
            lines += ["  - !Container", f"    name: {box.name}", f"    spatial: {flow_map(mesh)}"]
            if passed_on or network:
                lines.append(f"    attributes: {flow_map(passed_on | network)}")
            lines += _constraints(node_groups(fixed, part.name, label))
        passed_on |= dict.fromkeys(network, "0")
    return lines


def _fan_network(level: Level, containers: int) -> dict[str, str]:
    """Attributes of the container that a level with a mesh fans out by."""
    network = _network(level) if level.children > 1 else {}
    if network and containers > 1:
        raise NotSupported(
            f"the fan-out of {level.name!r} is made up of {containers} containers, and its network is a mesh; v0.4 has "
            "a network inside each"
        )
    if network and level.network and level.network.mesh and level.network.mesh.both_ways:
        raise NotSupported(
            f"the mesh inside {level.name!r} has partial sums both ways; v0.4's containers add them up (v0.3 says it)"
        )
    network.pop("reduction_supported", None)
    return network


def _constraints(groups: Groups) -> Iterator[str]:
    if groups:
        yield f"    constraints: {flow_map({kind: flow_map(fields) for kind, fields in groups.items()})}"


def _boxes(architecture: Architecture, level: Level) -> Iterator[tuple[Container, str]]:
    """(container, what constraints call it) of a level's fan-out: one, unless constraints speak of each by itself."""
    if level.fanout_x * level.fanout_y == 1:
        return
    named = {slot.container for slot in architecture.constraints.slots if slot.level == level.name} - {""}
    if not named:
        whole = fanout_names(architecture)[level.name]
        yield Container(name(whole, "name of a container"), level.name, level.fanout_x, level.fanout_y), ""
        return
    inside = architecture.containers_of(level.name)
    if not named <= {box.name for box in inside} or architecture.constraints.slot(level.name, "spatial").dimensions:
        raise InvalidInput(
            f"constraints at {level.name} name {', '.join(sorted(named))}; they must be the containers of its fan-out, "
            "and no others speak of all of it"
        )
    taken = {one.name for one in architecture.levels} | {architecture.mac_name}
    for box in inside:
        yield replace(box, name=name(box.name + "_" * (box.name in taken), "name of a container")), box.name


def _tables(parts: list[_Part], version: str) -> Iterator[str]:
    yield from ("ERT:", f"  version: {version}", "  tables:")
    for part in parts:
        yield from (f"  - name: {part.path}.{part.name}[1..{part.count}]", "    actions:")
        for action, energy in part.actions:
            yield from (f"    - name: {action}", "      arguments: {}", f"      energy: {number(energy)}")
    yield from ("ART:", f"  version: {version}", "  tables:")
    for part in parts:
        yield f"  - {{name: '{part.path}.{part.name}[1..{part.count}]', area: {number(part.area)}}}"
