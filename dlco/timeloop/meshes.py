"""The networks that Timeloop infers between levels, from the attributes of what they hang off.

Between a storage level and what is inside it lies a grid of children, whose network takes the outer one's attributes:

    energy_per_hop       pJ a word and hop; without it
    wire_energy          pJ a bit and mm, or what the ERT says of `wire`; a hop is as long as a child is wide:
    tile_width           um; without it the square root of a child's area, with all that is inside it
    network_word_bits    bits of a word; without it those of the level
    router_energy        pJ a word and router; energy-per-ingress: pJ a word
    reduction_supported  whether the level adds partial sums to what it holds; without it, all but DRAM do

In v0.4 the grid is inside a node with a fan-out, which takes the attributes of the containers around; a word there has
1 bit, where these say none. (Where there is more than one network, it is a level: `dlco.timeloop.fan_levels`.)

In v0.3 a network may be a component of its own (class XY_NoC or Legacy), whose name the two that it connects give:
`network_read` and `network_update` of the outer one, `network_fill` and `network_drain` of the inner one,
`network_operand` and `network_result` of MACs. Then its attributes count, and where the ways down and up are networks
of their own, Timeloop charges all words on both.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import sqrt

from dlco.errors import NotSupported
from dlco.hardware.network import Mesh, Network
from dlco.timeloop import attributes as attr
from dlco.timeloop.document import Entry
from dlco.timeloop.yaml_text import number

logger = logging.getLogger("dlco")

_DUMMY_BITS = 1


@dataclass(frozen=True)
class Grid:
    """What is inside a storage level.

    Attributes:
        name: of the level; `word_bits`: of its words; `kind`: as `Level.kind`.
        fanout_x, fanout_y: children along X and Y; `child_um2`: area of one, with all inside it.
        wire_pj: pJ a bit and mm that the ERT states; 0 where it states none.
    """

    name: str
    word_bits: int
    kind: str
    fanout_x: int
    fanout_y: int
    child_um2: float
    wire_pj: float


@dataclass(frozen=True)
class Links:
    """The networks down to what is inside a storage level, and up from it: attributes, or None where one is inferred.

    `same`: whether they are one.
    """

    down: attr.Attributes | None = None
    up: attr.Attributes | None = None
    same: bool = True


def links_between(
    outer: attr.Attributes, inner: attr.Attributes, inner_is_mac: bool, wires: Mapping[str, attr.Attributes]
) -> tuple[Links, set[str]]:
    """The networks between two components, and their names.

    Args:
        outer: attributes of the storage level.
        inner: those of what is inside it.
        inner_is_mac: whether that is the MAC.
        wires: networks that are components, by name.

    Raises:
        InvalidInput: the two components do not name the same networks, or there is no such network.
    """
    ends = ("network_operand", "network_result") if inner_is_mac else ("network_fill", "network_drain")
    names: list[str | None] = []
    for above, below in zip(("network_read", "network_update"), ends, strict=True):
        entry = outer.get(above) or inner.get(below)
        pair = [one.text() if one else "" for one in (outer.get(above), inner.get(below))]
        if entry is not None and (pair[0] != pair[1] or pair[0] not in wires):
            raise entry.error(
                f"{above} of a level is {pair[0]!r}, and {below} of what is inside it {pair[1]!r}; they must be the "
                f"same one of {', '.join(wires) or 'the networks in its file, which has none'}"
            )
        names.append(pair[0] or None)
    down, up = (None if name is None else wires[name] for name in names)
    same = names[1] in (None, names[0])
    return Links(down, down if same else up, same), {name for name in names if name}


def network_of(
    grid: Grid, own: attr.Attributes, fans: Sequence[attr.Attributes], links: Links = Links()
) -> Network | None:
    """The network between a storage level and its children; None where it costs nothing.

    Args:
        grid: what is inside it.
        own: its attributes.
        fans: what v0.4's nodes of its fan-out take from the containers around; at most one of them costs energy.
        links: where networks are components of their own.

    Raises:
        InvalidInput: a figure is no number of at least 0.
        NotSupported: partial sums would pass one network both ways and another one way.
    """
    supported = own.get("reduction_supported")
    both_ways = not supported.flag() if supported else grid.kind == "DRAM"
    mesh = _linked(grid, own, links, both_ways)
    if fans:
        mesh = _mesh(grid, fans[0], attr.network_bits(fans[0], ("word_bits", "word_width")) or _DUMMY_BITS)
    if not (mesh.hop_pj or mesh.router_pj or mesh.ingress_pj):
        return None
    return mesh.network(grid.fanout_x, grid.fanout_y, grid.word_bits)


def _linked(grid: Grid, own: attr.Attributes, links: Links, both_ways: bool) -> Mesh:
    """What the networks between two components cost together."""

    def of(given: attr.Attributes | None) -> Mesh:
        if given is None:
            return _mesh(grid, own, attr.network_bits(own) or 16)
        return _mesh(replace(grid, wire_pj=0.0), given, attr.network_bits(given) or 16)

    first, second = of(links.down), Mesh() if links.same else of(links.up)
    if both_ways and second != Mesh() and first != Mesh():
        raise NotSupported(
            f"{_stated(links.down or own)}: partial sums pass the network from {grid.name} one way, and that to it "
            "both ways; dlco models one network a level"
        )
    figures = (first.hop_pj + second.hop_pj, first.router_pj + second.router_pj, first.ingress_pj + second.ingress_pj)
    return Mesh(*figures, both_ways and (links.same or second != Mesh()))


def _mesh(grid: Grid, given: attr.Attributes, bits: int, both_ways: bool = False) -> Mesh:
    """What the network of a component, or of a node with a fan-out, costs."""
    hop, wire = (given[key].number() if key in given else None for key in ("energy_per_hop", "wire_energy"))
    if hop is None:
        pj_per_mm = bits * (grid.wire_pj or wire or 0.0)
        width = given["tile_width"].number() if "tile_width" in given else sqrt(grid.child_um2)
        hop = pj_per_mm * width * 1e-3
        if pj_per_mm and not width:
            logger.warning(
                "wires inside %s cost energy, but nothing there has an area: its hops are 0 um long", grid.name
            )
    router, ingress = (given[key].number() if key in given else 0.0 for key in ("router_energy", "energy_per_ingress"))
    return Mesh(float(hop), float(router), float(ingress), both_ways)


def mesh_attributes(mesh: Mesh, kind: str) -> dict[str, str]:
    """The attributes of a storage level of some kind that `network_of` reads as this mesh."""
    figures = {
        "energy_per_hop": mesh.hop_pj,
        "router_energy": mesh.router_pj,
        "energy-per-ingress": mesh.ingress_pj,
    }
    found = {key: number(pj) for key, pj in figures.items() if pj}
    if mesh.both_ways != (kind == "DRAM"):
        found["reduction_supported"] = "false" if mesh.both_ways else "true"
    return found


def _stated(*given: attr.Attributes) -> str:
    """Where a network's figure stands."""
    entries: list[Entry] = [one[key] for one in given for key in attr.NETWORK if key in one]
    return entries[0].where if entries else "ERT"
