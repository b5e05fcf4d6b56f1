"""What wires cost by length, and how long they are: networks laid out from the areas of what they span.

Energy. A random bit takes 0.12 pJ/mm at 40 nm and 0.9 V: Keckler et al., IEEE Micro 31(5), 2011, table 1, has 310 pJ
for 256 bits over 10 mm (half of the bits switching, at 240 fJ a transition). Wires do not shrink in energy as gates do:
their capacitance a mm is about the same at every node, as the same page says, so that only the supply counts, as V^2.
The table's 10 nm at 0.75 V, 150 fJ a transition, is 10 % below what that makes of 40 nm. (Its figures were checked in
quotations of it, not in the paper itself.)

Area. A wire takes a track of 8 feature sizes, 0.36 um at 45 nm (the global wires of CACTI: `wire_pitch[0][2]` in its
technology.cc), and half of all wires are routed over what is there anyway (`route_over_perc` of McPAT, Li et al.,
MICRO 2009, 0.5 by default).

Lengths, um, from areas; children lie in a grid, each in a square of its own area (with all that lies inside it):

    pitch        square root of a child's area
    link         half the side of the next memory further in (of the MAC): from port to port, or past it
    tree         reach: (X / 4 + Y / 2) pitches, the mean distance from the middle of the array's X side to a child;
                 step: a pitch for every child that takes the word, as the least tree over a grid has
    systolic     reach: (X + Y) / 4 pitches, along the sides from their middle to a row or column;
                 step: a pitch and a register for every child, as the word goes from neighbour to neighbour

The reach of a tree and that of a systolic array are estimates of ours: where the ports are, no preset's source says.
A link or a reach is as many words wide, each way, as its level reads in a cycle (a block, where that has no limit), a
step one word: so `read_bandwidth` and `write_bandwidth` of the level limit what goes over the wires, where a word that
several children take counts once, and there is no other limit beside them.

Areas are posynomials of the sizes, lengths square roots of these times fan-outs: logs of them stay convex in the logs
of the sizes, and a geometric program holds them (`dlco.bound.unit_costs`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Generic, Protocol, TypeVar

from dlco.hardware.network import LINK, SYSTOLIC

REACH = {"tree": (0.25, 0.5), "systolic": (0.25, 0.25)}
"""Of X and of Y: pitches from a level's port to the array."""
LEAST_UM2 = 1e-6  # areas of 0 have a square root, but no gradient of it


class Quantity(Protocol):
    """A number, a tensor, or a sum of powers of sizes."""

    def __add__(self: "Q", other: "Q", /) -> "Q": ...
    def __mul__(self: "Q", other: "Q", /) -> "Q": ...


Q = TypeVar("Q", bound=Quantity)


@dataclass(frozen=True)
class Wires:
    """What wires cost on a chip.

    Attributes:
        pj_per_bit_mm: of a random bit.
        track_um: width of a wire with its space; `covered`: the share of wires that take area of their own.
        register_pj_per_bit: of a register that a word passes from neighbour to neighbour, written and read.
    """

    pj_per_bit_mm: float
    track_um: float
    covered: float = 0.5
    register_pj_per_bit: float = 0.0


@dataclass(frozen=True)
class Spans(Generic[Q]):
    """What a machine's networks span; all innermost first.

    Attributes:
        kinds: `[levels]` of each level's network, None where it has none to lay out.
        word_bits: `[levels]`.
        fanouts: `[levels]` children along X and Y.
        widths: `[levels]` words that a level reads a cycle.
        areas: `[levels]` um2 an instance; `mac_area`: um2 a MAC unit.
        given: `[levels]` um2 of networks that are not laid out.
        ranks: as `Architecture.ranks`: parts of one memory, which the sums of their areas and the products of their
            fan-outs make up, share its network.
    """

    kinds: Sequence[str | None]
    word_bits: Sequence[int]
    fanouts: Sequence[tuple[Q, Q]]
    widths: Sequence[Q]
    areas: Sequence[Q]
    mac_area: Q
    given: Sequence[float]
    ranks: Sequence[int]


@dataclass(frozen=True)
class Laid(Generic[Q]):
    """A network as it is laid out: pJ a bit and um2 as in `Network`; `step_pj` is None of a link."""

    reach_pj: Q
    step_pj: Q | None
    area_um2: Q


def lay_out(
    spans: Spans[Q], wires: Wires, number: Callable[[float], Q], root: Callable[[Q], Q]
) -> list[Laid[Q] | None]:
    """Every level's network, innermost first; None where it is not laid out. Of parts the innermost has the area.

    Args:
        spans: the machine.
        wires: what they cost.
        number: a plain number as a quantity.
        root: the square root, or what is to stand for it.
    """
    pj_per_um = wires.pj_per_bit_mm * 1e-3
    child, inside = spans.mac_area, spans.mac_area  # the next memory further in, and it with all inside it
    found: list[Laid[Q] | None] = [None] * len(spans.ranks)
    for rank in range(max(spans.ranks) + 1):
        first, *others = (level for level, own in enumerate(spans.ranks) if own == rank)
        (x, y), own, given = spans.fanouts[first], spans.areas[first], spans.given[first]
        for part in others:
            x, y = x * spans.fanouts[part][0], y * spans.fanouts[part][1]
            own, given = own + spans.areas[part], given + spans.given[part]
        kind, width = spans.kinds[first], spans.widths[first]
        track = number(2 * spans.word_bits[first] * wires.track_um * wires.covered)
        if kind is None:
            laid, area = None, number(given) if given else None
        elif kind == LINK:
            length = number(0.5) * root(child)
            area = track * width * length
            laid = Laid(number(pj_per_um) * length, None, area)
        else:
            pitch = root(inside)
            across, along = REACH[kind]
            reach = pitch * (number(across) * x + number(along) * y)
            step = number(pj_per_um) * pitch
            if kind == SYSTOLIC and wires.register_pj_per_bit:
                step = step + number(wires.register_pj_per_bit)
            area = track * (width * reach + x * y * pitch)
            laid = Laid(number(pj_per_um) * reach, step, area)
        found[first] = laid
        for part in others:
            found[part] = laid and replace(laid, area_um2=number(0.0))
        inside = own + x * y * inside
        if area is not None:
            inside = inside + area
        child = own
    return found
