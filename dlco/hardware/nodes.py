"""Technologies by name: the 45 nm fit, and the same at other nodes, supply voltages and clocks.

Energy, delay and area scale from node to node as Stillmaker and Baas fitted them to HSpice runs of an inverter chain
with predictive transistor models (Integration 58, 2017, tables 1, 4 and 5, high-performance transistors):

    delay = d3 V^3 + d2 V^2 + d1 V + d0        energy = e2 V^2 + e1 V + e0        area by node alone

as ratios to 45 nm at its nominal voltage. The authors state R^2 above 0.95 for every fit, over logic alone. What the
ratios leave out, and by how much they may be off:

- Memory cells shrink less than logic: from 45 nm (0.346 um2, Intel) to 7 nm (0.027 um2, TSMC) by 12.8, the table's area
  by 17. Small buffers at 7 nm may so be a third larger than they are here.
- Leakage has no table there. Its power scales as the energy does, an assumption.
- 28 nm lies between the tables' 32 and 20 nm: interpolated in the logarithms.
- DRAM is another chip: its energies stay.
- Wires keep their capacitance a mm: their energy goes with the square of the supply alone, their area as all area does
  (`dlco.hardware.wires`).
"""

from dataclasses import dataclass, replace
from math import exp, inf, log, sqrt

from dlco.errors import InvalidInput
from dlco.hardware.checks import check_number
from dlco.hardware.technology import EYERISS_NORMALISED, TECHNOLOGY_45NM, MemoryCurves, Technology


@dataclass(frozen=True)
class Node:
    """A technology node.

    Attributes:
        nm: its name.
        vdd: nominal supply, V: that of the predictive transistor models.
        delay: coefficients of V^3, V^2, V and 1; `energy`: of V^2, V and 1.
        area: in units of that at 45 nm.
    """

    nm: int
    vdd: float
    delay: tuple[float, float, float, float]
    energy: tuple[float, float, float]
    area: float

    def delay_at(self, vdd: float) -> float:
        """Of a gate, in the tables' units."""
        d3, d2, d1, d0 = self.delay
        return ((d3 * vdd + d2) * vdd + d1) * vdd + d0

    def energy_at(self, vdd: float) -> float:
        """Of a switching gate, in the tables' units."""
        e2, e1, e0 = self.energy
        return (e2 * vdd + e1) * vdd + e0


TABLE = (
    Node(65, 1.1, (-53.3, 230.4, -333.9, 178.6), (3.755, -4.398, 1.975), 1.5),
    Node(45, 1.0, (-501.6, 1567.0, -1619.0, 566.1), (1.018, -0.3107, 0.1539), 1.0),
    Node(32, 0.9, (-1047.0, 2982.0, -2797.0, 873.5), (0.8367, -0.4341, 0.1701), 0.46),
    Node(20, 0.9, (0.0, 34.63, -66.37, 41.15), (0.373, -0.1582, 0.04104), 0.21),
    Node(16, 0.85, (0.0, 24.8, -47.52, 28.87), (0.2958, -0.1241, 0.03024), 0.19),
    Node(14, 0.8, (-40.66, 109.2, -100.6, 35.92), (0.2363, -0.09675, 0.02239), 0.17),
    Node(10, 0.75, (-34.95, 93.65, -85.99, 30.4), (0.2068, -0.09311, 0.02375), 0.1),
    Node(7, 0.7, (-28.58, 76.6, -70.26, 24.69), (0.1776, -0.09097, 0.02447), 0.059),
)
NODES = tuple(sorted((*(node.nm for node in TABLE), 28), reverse=True))
LOWEST = 0.7  # of the nominal supply: below, the fits turn for some nodes


@dataclass(frozen=True)
class Scaling:
    """Factors from the 45 nm fit to another node and voltage.

    Attributes:
        energy: of an access, an operation and of leakage power.
        delay: of a gate; `area`: of everything on the chip.
    """

    energy: float
    delay: float
    area: float


def nominal_vdd(nm: int) -> float:
    """The nominal supply of a node, V. Raises `InvalidInput` for a node that is not in `NODES`."""
    above, below, share = _around(nm)
    return above.vdd + share * (below.vdd - above.vdd)


def node_scaling(nm: int, vdd: float | None = None) -> Scaling:
    """What a node and its supply change, against 45 nm at 1.0 V.

    Args:
        nm: one of `NODES`.
        vdd: V; nominal where not given. From 0.7 of the nominal one up to it, where the fits hold for all nodes.

    Raises:
        InvalidInput: another node or voltage.

    Examples:
        >>> from dlco.hardware.nodes import node_scaling
        >>> scaling = node_scaling(16)
        >>> round(scaling.energy, 3), round(scaling.delay, 2), scaling.area
        (0.161, 0.51, 0.19)
    """
    above, below, share = _around(nm)
    nominal = nominal_vdd(nm)
    if vdd is not None:
        check_number("vdd", vdd, positive=True)
    supply = nominal if vdd is None else vdd
    if not LOWEST * nominal * (1 - 1e-9) <= supply <= nominal * (1 + 1e-9):
        raise InvalidInput(f"vdd of {nm} nm is {vdd!r}; it must be from {LOWEST * nominal:.3g} to {nominal:.3g} V")
    base = _around(45)[0]

    def between(one: float, other: float) -> float:
        return exp(log(one) + share * (log(other) - log(one))) if share else one

    return Scaling(
        between(above.energy_at(supply), below.energy_at(supply)) / base.energy_at(base.vdd),
        between(above.delay_at(supply), below.delay_at(supply)) / base.delay_at(base.vdd),
        between(above.area, below.area),
    )


def get_technology(name: str, vdd: float | None = None, cycle_s: float | None = None) -> Technology:
    """The built-in technology called `name`: "45nm" and its other nodes such as "7nm", or "eyeriss-normalised".

    Args:
        name: of the technology.
        vdd: supply, V; the node's nominal one where it is not given.
        cycle_s: seconds of a clock cycle; where it is not given 1 ns, or as much longer as the node's gates at this
            supply are slower than those at 45 nm.

    Raises:
        InvalidInput: there is none of that name; a voltage that its tables do not hold for; a clock that is no
            positive number; a voltage for "eyeriss-normalised", whose costs are ratios.

    Examples:
        >>> cost = dlco.hardware.get_technology("45nm").sram(capacity_words=32768, word_bits=16, block_size=4)
        >>> round(cost.read_pj.item(), 1), round(cost.area_um2.item())
        (18.9, 210866)
        >>> cost = dlco.hardware.get_technology("7nm").sram(capacity_words=32768, word_bits=16, block_size=4)
        >>> round(cost.read_pj.item(), 1), round(cost.area_um2.item())
        (1.0, 12441)
    """
    named = {f"{nm}nm": nm for nm in NODES}
    if name == EYERISS_NORMALISED.name:
        if vdd is not None:
            raise InvalidInput(f"vdd is {vdd!r}; the costs of {name!r} are ratios, of no voltage")
        return EYERISS_NORMALISED if cycle_s is None else replace(EYERISS_NORMALISED, cycle_s=_cycle(cycle_s))
    if name not in named:
        raise InvalidInput(f"technology is {name!r}; allowed: {', '.join((*named, EYERISS_NORMALISED.name))}")
    scaling = node_scaling(named[name], vdd)
    clock = TECHNOLOGY_45NM.cycle_s * max(1.0, scaling.delay) if cycle_s is None else _cycle(cycle_s)
    if scaling == Scaling(1.0, 1.0, 1.0) and clock == TECHNOLOGY_45NM.cycle_s:
        return TECHNOLOGY_45NM
    supply = nominal_vdd(named[name]) if vdd is None else vdd
    return _scaled(TECHNOLOGY_45NM, name, scaling, clock, (supply / _around(45)[0].vdd) ** 2)


def _scaled(base: Technology, name: str, scaling: Scaling, cycle_s: float, wire_energy: float) -> Technology:
    leakage = scaling.energy * cycle_s / base.cycle_s

    def memory(curves: MemoryCurves) -> MemoryCurves:
        return MemoryCurves(
            curves.read_pj.times(scaling.energy),
            curves.write_pj.times(scaling.energy),
            curves.leak_pj.times(leakage),
            curves.area_um2.times(scaling.area),
            curves.in_bits,
        )

    wires = base.wires and replace(
        base.wires,
        pj_per_bit_mm=base.wires.pj_per_bit_mm * wire_energy,
        track_um=base.wires.track_um * sqrt(scaling.area),
        register_pj_per_bit=base.wires.register_pj_per_bit * scaling.energy,
    )
    return replace(
        base,
        name=name,
        wires=wires,
        sram_curves=memory(base.sram_curves),
        regfile_curves=memory(base.regfile_curves),
        mac_pj=base.mac_pj.times(scaling.energy),
        mac_area_um2=base.mac_area_um2.times(scaling.area),
        cycle_s=cycle_s,
    )


def _cycle(cycle_s: float) -> float:
    check_number("cycle_s", cycle_s, positive=True)
    if cycle_s == inf:
        raise InvalidInput("cycle_s is infinite; it must be finite")
    return cycle_s


def _around(nm: int) -> tuple[Node, Node, float]:
    """The tables' nodes on both sides of a node, and how far it lies from the first to the second, in logarithms."""
    if nm not in NODES or isinstance(nm, bool):
        raise InvalidInput(f"technology node is {nm!r}; allowed, in nm: {', '.join(map(str, NODES))}")
    above = min((node for node in TABLE if node.nm >= nm), key=lambda node: node.nm)
    if above.nm == nm:
        return above, above, 0.0
    below = max((node for node in TABLE if node.nm < nm), key=lambda node: node.nm)
    return above, below, log(above.nm / nm) / log(above.nm / below.nm)
