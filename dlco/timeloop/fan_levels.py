"""Fan-outs of v0.4 that are levels, since more than one network with a cost lies between two others.

Timeloop's front end makes a storage level that keeps nothing of every node with a fan-out, with a network to the level
outside it, which takes no hops, and one inside it. Where one of these at most costs energy, the fan-out is the level's
own. Otherwise the nodes are levels, by the front end's names: `inter_PE_spatial`.
"""

from dataclasses import replace

from dlco.timeloop import attributes as attr
from dlco.timeloop.components import Component, Description
from dlco.timeloop.document import Entry

_PORTS = ("router_energy", "energy_per_ingress")
_HOPS = ("energy_per_hop", "wire_energy")


def with_fan_levels(machine: Description, wire_pj: float) -> Description:
    """The description with storage levels for the nodes of such fan-outs.

    Args:
        machine: as its file has it.
        wire_pj: of the ERT's wire, pJ a bit and mm.

    Raises:
        InvalidInput: a figure of a network is no number of at least 0.
    """
    components: list[Component] = []
    containers = dict(machine.containers)
    for component in machine.components:
        components.append(component)
        nodes = [name for name, level in machine.containers.items() if level == component.name]
        inside = wire_pj > 0 or any(_costs(machine.networks[one], (*_PORTS, *_HOPS)) for one in nodes)
        outside = nodes and _costs(component.attributes, _PORTS)
        if not outside and (len(nodes) < 2 or not inside):
            continue
        x, y = component.mesh_x, component.mesh_y
        for node in nodes:
            level = f"inter_{node}_spatial"
            components.append(_nothing(component, level, x, y))
            containers[node] = level
            x, y = x * machine.meshes[node][0], y * machine.meshes[node][1]
    return replace(machine, components=components, containers=containers)


def _costs(given: attr.Attributes, keys: tuple[str, ...]) -> bool:
    """Whether some of the figures are not 0."""
    return any(given[key].number() for key in keys if key in given)


def _nothing(outer: Component, name: str, x: int, y: int) -> Component:
    """A storage level that keeps nothing, of so many instances; what passes it has the words of the level outside."""

    def stated(key: str, value: str) -> Entry:
        return replace(outer.entry, value=value, name=key, tag=None, size=1)

    values = {"entries": "0", "datawidth": str(attr.word_bits(outer.attributes)), "vector_access_energy": "0"}
    attributes = {key: stated(key, value) for key, value in values.items()}
    return Component(name, "storage", attributes, x * y, x, frozenset(), outer.entry)
