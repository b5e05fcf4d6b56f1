"""Timeloop's architecture, v0.3 and v0.4, with Accelergy's tables of energy and area, as an `Architecture`."""

import logging
from collections.abc import Iterator
from dataclasses import replace

from dlco.errors import InvalidInput, NotSupported
from dlco.hardware.architecture import Architecture, Container, Level
from dlco.hardware.constraints import ALL, Constraints
from dlco.mapping.constraints import check_constraints
from dlco.timeloop import attributes as attr
from dlco.timeloop import tables
from dlco.timeloop.components import Component, Description, describe
from dlco.timeloop.document import Entry, Source, sections
from dlco.timeloop.expressions import read_symbols
from dlco.timeloop.fan_levels import with_fan_levels
from dlco.timeloop.meshes import Grid, links_between, network_of
from dlco.timeloop.stated import stated_constraints

logger = logging.getLogger("dlco")

_REGISTERS = ("regfile", "RF", "register")


def read_architecture(source: Source, ert: Source | None = None, art: Source | None = None) -> Architecture:
    """The machine that a Timeloop architecture describes.

    Args:
        source: path or text of a YAML document with `architecture`, and perhaps `ERT` and `ART`.
        ert: path or text of Accelergy's table of energies, where it stands elsewhere.
        art: path or text of its table of areas.

    Returns:
        An `Architecture`, levels innermost first, with the constraints that the document states. As in Timeloop the
        `vector_access_energy` of a storage level wins over its table of energies, which then counts for nothing,
        leakage included; an access that a table does not list costs the largest energy that it does; `energy` and the
        areas of attributes count where no table has the component. What neither prices costs 0 pJ. Warnings say which
        is which. Networks that cost energy are meshes (`Level.network`), and fan-outs of v0.4 with one each are levels
        that keep nothing, `inter_PE_spatial`.

    Raises:
        InvalidInput: not such a document; the message names file, line, key and what is allowed.
        NotSupported: it asks for something that changes results and that dlco does not model.
    """
    top, machine, description = _read(source, ert, art)
    return _carrying(machine, stated_constraints(top, machine, list(description.containers.items())))


def read_description(
    source: Source, ert: Source | None = None, art: Source | None = None
) -> tuple[Architecture, Description]:
    """The `Architecture` of `read_architecture`, with its nodes' constraints only, and what the file calls its parts.

    Those of the nodes are part of every mapping for v0.4's front end; all others are for searches.
    """
    top, machine, description = _read(source, ert, art)
    nodes = {"architecture": replace(top["architecture"], value=_nodes(top["architecture"]))}
    return _carrying(machine, stated_constraints(nodes, machine, list(description.containers.items()))), description


def _nodes(architecture: Entry) -> dict[str, Entry]:
    return {key: entry for key, entry in architecture.mapping().items() if key == "nodes"}


def _read(source: Source, ert: Source | None, art: Source | None) -> tuple[dict[str, Entry], Architecture, Description]:
    """(the document's keys, the machine without constraints, what the file calls its parts)."""
    top = sections(source, "architecture", ["architecture"])
    if "sparse_optimizations" in top and not top["sparse_optimizations"].empty:
        raise NotSupported(f"{top['sparse_optimizations'].where}: sparse_optimizations are given; dlco is dense")
    machine = describe(top["architecture"], read_symbols(top.get("variables")))
    ert_entry = sections(ert, "ERT", ["ERT"])["ERT"] if ert is not None else top.get("ERT")
    art_entry = sections(art, "ART", ["ART"])["ART"] if art is not None else top.get("ART")
    energies = tables.energies(ert_entry) if ert_entry else {}
    areas = tables.areas(art_entry) if art_entry else {}
    machine = with_fan_levels(machine, _wire_pj(energies))
    found = _architecture(machine, energies, areas)
    stated = _technology(top)
    return top, replace(found, technology=stated) if stated else found, machine


def _technology(top: dict[str, Entry]) -> str:
    """The technology that v0.4's variables, or the attributes of v0.3's outermost node, state; "" for none."""
    keys = top["architecture"].mapping()
    if "nodes" in keys:
        places = [top["variables"].mapping()] if "variables" in top and not top["variables"].empty else []
    else:
        outermost = keys["subtree"].items()[0].mapping()
        places = [outermost["attributes"].mapping()] if "attributes" in outermost else []
    return next((str(one["technology"].value) for one in places if one.get("technology") is not None), "")


def _carrying(machine: Architecture, constraints: Constraints) -> Architecture:
    """The machine with constraints; what a level bypasses anyhow is no constraint beside."""
    kept = dict(constraints.keep)
    more = [
        (level, spaces if ALL in kept.get(level, ()) else spaces - machine.level(level).bypass)
        for level, spaces in constraints.bypass
    ]
    bypass = tuple((level, spaces) for level, spaces in more if spaces)
    slots = tuple(sorted(constraints.slots, key=lambda slot: (-machine.index(slot.level), slot.kind, slot.container)))
    carrying = replace(machine, constraints=replace(constraints, slots=slots, bypass=bypass))
    check_constraints(carrying, [])
    return carrying


def _architecture(machine: Description, energies: tables.Energies, areas: dict[str, float]) -> Architecture:
    macs = [component for component in machine.components if component.is_compute]
    storage = [component for component in machine.components if not component.is_compute]
    if len(macs) != 1 or not storage:
        names = ", ".join(component.name for component in machine.components) or "nothing"
        raise InvalidInput(f"architecture {machine.name!r} has {names}; it must have one MAC and storage levels")
    if storage[0].instances > 1:
        raise NotSupported(f"{storage[0].name} has {storage[0].instances} instances; the outermost level must have one")
    levels = [
        _level(outer, inner, energies.get(outer.name, {}), areas)
        for outer, inner in zip(storage, [*storage[1:], *macs], strict=True)
    ]
    _warn_unpriced(machine.components, energies)
    mac = macs[0]
    width = mac.attributes.get("multiplier_width")
    mac_area = _area(mac, "area", areas)
    return Architecture(
        levels=tuple(_with_networks(machine, storage[::-1], levels[::-1], mac_area, energies)),
        mac_pj=_mac_pj(mac, energies.get(mac.name, {})),
        mac_area_um2=mac_area,
        mac_bits=attr.word_bits(mac.attributes, width.integer() if width else 16),
        cycle_s=machine.cycle_s,
        name=machine.name,
        mac_name=mac.name,
        containers=tuple(Container(name, level, *machine.meshes[name]) for name, level in machine.containers.items()),
    )


def _with_networks(
    machine: Description, storage: list[Component], levels: list[Level], mac_um2: float, energies: tables.Energies
) -> Iterator[Level]:
    """The levels, innermost first, with their networks."""
    inside, below = mac_um2, next(component for component in machine.components if component.is_compute)
    free = set(machine.wires)
    for component, level in zip(storage, levels, strict=True):
        fans = [machine.networks[name] for name, outer in machine.containers.items() if outer == level.name]
        grid = Grid(level.name, level.word_bits, level.kind, level.fanout_x, level.fanout_y, inside, _wire_pj(energies))
        links, names = links_between(component.attributes, below.attributes, below.is_compute, machine.wires)
        if not names <= free:
            raise NotSupported(
                f"{component.entry.where}: {', '.join(sorted(names - free))} connects {level.name} too; Timeloop "
                "charges a network for its first place alone, and dlco does not model it"
            )
        free -= names
        yield replace(level, network=network_of(grid, component.attributes, fans, links))
        inside, below = level.area_um2 + level.children * inside, component
    if free:
        logger.warning("networks %s connect nothing: passed over", ", ".join(sorted(free)))


def _wire_pj(energies: tables.Energies) -> float:
    """What the ERT states of wires, pJ a bit and mm; 0 where it states nothing."""
    return max(energies.get(name, {}).get("transfer_random", 0.0) for name in ("wire", "Wire"))


def _level(outer: Component, inner: Component, actions: dict[str, float], areas: dict[str, float]) -> Level:
    for axis, child, parent in (("X", inner.mesh_x, outer.mesh_x), ("Y", inner.mesh_y, outer.mesh_y)):
        if child % parent:
            raise inner.entry.error(
                f"{inner.name} has {child} instances along {axis}; "
                f"that must be a multiple of the {parent} of {outer.name} around it"
            )
    return Level(
        name=outer.name,
        kind=_kind(outer),
        **_access_energies(outer, actions),  # type: ignore[arg-type]
        area_um2=_area(outer, "cluster_area", areas),
        fanout_x=inner.mesh_x // outer.mesh_x,
        fanout_y=inner.mesh_y // outer.mesh_y,
        bypass=outer.bypass,
        **attr.storage_fields(outer.attributes, outer.name),  # type: ignore[arg-type]
    )


def _access_energies(component: Component, actions: dict[str, float]) -> dict[str, float]:
    """Energies of a storage level, pJ, as keyword arguments of `Level`."""
    own = component.attributes.get("vector_access_energy")
    if own is not None:
        if actions:
            leak = " (its leak does not count either)" if any(actions.get(name) for name in tables.LEAK) else ""
            logger.warning("%s: vector_access_energy of %s wins over the ERT%s", own.where, component.name, leak)
        return dict.fromkeys(("read_pj", "write_pj", "update_pj"), own.number())
    largest = tables.largest_energy(actions)
    wanted = {"read_pj": tables.READ, "write_pj": tables.WRITE, "update_pj": tables.UPDATE}
    lacking = [key.removesuffix("_pj") for key, names in wanted.items() if actions and not set(names) & set(actions)]
    if lacking:
        names = " and no ".join(lacking)
        logger.warning("the ERT lists no %s of %s: the largest it lists counts, %g pJ", names, component.name, largest)
    found = {key: tables.first_energy(actions, names, largest) for key, names in wanted.items()}
    return found | {"leak_pj": tables.first_energy(actions, tables.LEAK, 0.0)}


def _mac_pj(mac: Component, actions: dict[str, float]) -> float:
    """Energy of a multiply-accumulate, pJ: here the ERT wins over the attribute."""
    own = mac.attributes.get("energy")
    listed = set(tables.COMPUTE) & set(actions)
    if own is not None and listed:
        logger.warning("%s: the ERT wins over the energy of %s", own.where, mac.name)
    return tables.first_energy(actions, tables.COMPUTE, own.number() if own else tables.largest_energy(actions))


def _area(component: Component, attribute: str, areas: dict[str, float]) -> float:
    """Area of an instance, um2: the ART wins over the attribute."""
    own = component.attributes.get(attribute)
    if own is not None and component.name in areas:
        logger.warning("%s: the ART wins over the %s of %s", own.where, attribute, component.name)
    return areas.get(component.name, own.number() if own else 0.0)


def _warn_unpriced(components: list[Component], energies: tables.Energies) -> None:
    unpriced = [
        component.name
        for component in components
        if not energies.get(component.name)
        and ("energy" if component.is_compute else "vector_access_energy") not in component.attributes
    ]
    if unpriced:
        logger.warning("no energies are given for %s: they count as 0 pJ", ", ".join(unpriced))


def _kind(component: Component) -> str:
    technology = component.attributes.get("technology")
    if "DRAM" in component.component_class or (technology and technology.value == "DRAM"):
        return "DRAM"
    return "regfile" if any(mark in component.component_class for mark in _REGISTERS) else "SRAM"


def fanout_names(architecture: Architecture) -> dict[str, str]:
    """By level with a fan-out, the one container that dlco writes for it in v0.4: by its own name, if that is free.

    A component with a fan-out of its own is known by the component's name, which no container can have beside it.
    """
    taken = {level.name for level in architecture.levels} | {architecture.mac_name, architecture.name}
    own = {level: name for name, level in container_names(architecture) if name not in taken}
    made = {level: name for name, level in container_names(replace(architecture, containers=()))}
    return made | own


def container_names(architecture: Architecture) -> Iterator[tuple[str, str]]:
    """(container, level) for every fan-out: its name in v0.4, its file's or dlco's, and the level it fans out from."""
    taken = {level.name for level in architecture.levels} | {architecture.mac_name, architecture.name}
    outwards = list(reversed(architecture.levels))
    for i, level in enumerate(outwards):
        own = architecture.containers_of(level.name)
        yield from ((box.name, box.level) for box in own)
        if not own and level.fanout_x * level.fanout_y > 1:
            name = f"unit{i + 1}"
            while name in taken:
                name += "_"
            yield name, level.name
