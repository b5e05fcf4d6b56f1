"""Machines for words of another width: the same memories, filled with narrower or wider words.

What stays is silicon: a memory's bits, the bits of an access, those that a port or DRAM moves a cycle, and the array.
So an SRAM's area, its leakage and its energy an access stay too, which is what `Technology.sram` says of as many bits.
Words are what changes: at half the width a memory holds twice as many, and an access moves twice as many.

Register files are priced so as well. `Technology.regfile` cannot say what a width changes: its estimates are of words,
and alike for words of 8 to 32 bits, so that a file cut into twice as many words would cost 2.4 times the area and the
energy a word. Here a bit costs what it costs at the machine's own width. A register of a single word stays one: its
bits, and all it costs, follow the width.

MACs are built anew, by `Technology.mac`, and networks of a kind are laid out anew around them. Words of another width
than the MACs' operands, such as sums, keep theirs.
"""

from collections.abc import Mapping
from dataclasses import replace
from math import inf
from typing import overload

import torch

from dlco.errors import InvalidInput
from dlco.hardware.accelbench import AccelBench, AccelBenchSpace
from dlco.hardware.architecture import PORTS, Architecture, Level
from dlco.hardware.forms import Monomial, monomial
from dlco.hardware.limits import Limit
from dlco.hardware.parameter import Parameter, Tie
from dlco.hardware.resize import with_networks
from dlco.hardware.space import HardwareSpace, as_space
from dlco.hardware.technology import MAC_BITS, MacCost, MemoryCurves, Technology
from dlco.workload.problem import check_positive_int

PRODUCT = 2  # a product's bits over those of its operands
SAME = 1e-6  # relative: what a technology's figure may be rounded by


@overload
def at_word_bits(hardware: Architecture, bits: int, levels: Mapping[str, int] | None = None) -> Architecture: ...
@overload
def at_word_bits(hardware: HardwareSpace, bits: int, levels: Mapping[str, int] | None = None) -> HardwareSpace: ...
@overload
def at_word_bits(
    hardware: Architecture | HardwareSpace, bits: int, levels: Mapping[str, int] | None = None
) -> Architecture | HardwareSpace: ...
def at_word_bits(
    hardware: Architecture | HardwareSpace, bits: int, levels: Mapping[str, int] | None = None
) -> Architecture | HardwareSpace:
    """The same hardware for operands of another width: its memories keep their bits, its ports their bits a cycle.

    Args:
        hardware: a machine, of `TECHNOLOGY_45NM`, or a space. A machine of another technology is a space without
            parameters: `HardwareSpace(machine, (), technology)`.
        bits: of an operand of the MACs, and of a word of every level whose words are as wide as those.
        levels: bits of a word of other levels, by name. Those that are not named, of words that hold sums, keep theirs.

    Returns:
        Hardware of the same kind, with capacities, blocks and bandwidths in the new words; the grids of free sizes and
        limits between them say the same of as many bits. At the width that it has it is as it was.

    Raises:
        InvalidInput: a capacity or an access would be no whole number of words; MACs are not those of the technology,
            or it says nothing of such words; a level's words are neither the MACs' nor wide enough for a product and
            `levels` does not say them; a part of a memory, or a network charged by Timeloop's hops, whose figures are
            of words; AccelBench's accelerators, all of whose figures are of words of 20 bits.

    Examples:
        >>> from dlco.hardware import at_word_bits, generic
        >>> machine = generic()
        >>> narrow = at_word_bits(machine, 8)
        >>> [(level.name, level.capacity) for level in narrow.levels]
        [('RegisterFile', 512), ('GlobalBuffer', 131072), ('DRAM', inf)]
        >>> round(machine.mac_pj, 1), round(narrow.mac_pj, 1)
        (3.3, 0.8)
    """
    if isinstance(hardware, AccelBench | AccelBenchSpace):
        raise InvalidInput(
            f"hardware is AccelBench's ({type(hardware).__name__}), whose figures are all of words of 20 bits; "
            "allowed: Architecture, HardwareSpace"
        )
    space = as_space(hardware)
    check_positive_int("bits", bits)
    widths = _widths(space.base, bits, levels or {})
    found = _at(space, bits, widths)
    return found.base if isinstance(hardware, Architecture) else found


def _widths(base: Architecture, bits: int, levels: Mapping[str, int]) -> dict[str, int]:
    """Bits of a word of every level."""
    for name, width in levels.items():
        base.level(name)  # raises where there is none
        check_positive_int(f"bits of {name!r}", width)
    widths = {}
    for level in base.levels:
        own = level.word_bits
        widths[level.name] = levels.get(level.name, bits if own == base.mac_bits else own)
        if level.name in levels or own == base.mac_bits or bits == base.mac_bits:
            continue
        if own < base.mac_bits or own < PRODUCT * bits:
            raise InvalidInput(
                f"word_bits of {level.name!r} is {own}: neither the {base.mac_bits} of the MACs' operands, nor the "
                f"{PRODUCT * bits} or more that sums of products of {bits}-bit words take; say it in levels"
            )
    return widths


def _at(space: HardwareSpace, bits: int, widths: Mapping[str, int]) -> HardwareSpace:
    base = space.base
    changed = [level for level in base.levels if widths[level.name] != level.word_bits]
    if bits == base.mac_bits and not changed:
        return space
    for level in changed:
        if level.memory is not None:
            raise InvalidInput(
                f"memory of {level.name!r} is {level.memory!r}; levels whose words change must be memories of their own"
            )
        if level.network is not None and level.network.mesh is not None:
            raise InvalidInput(f"network of {level.name!r} has a mesh, whose energies are of words; it must have none")
    mac = _mac(base, space.technology, bits)
    made = replace(
        base,
        levels=tuple(_refilled(level, widths[level.name], space.driven.get(level.name, {})) for level in base.levels),
        mac_bits=bits,
        mac_pj=float(mac.pj),
        mac_area_um2=float(mac.area_um2),
    )
    if space.technology.wires and any(level.network is not None and level.network.kind for level in made.levels):
        made = with_networks(made, space.technology.wires)
    more = {level.name: level.word_bits / widths[level.name] for level in base.levels}
    scales = {parameter.name: _more(parameter.level, parameter.field, more) for parameter in space.parameters}

    def resolve(name: str) -> Monomial:
        return monomial(1 / scales[name], [(name, 1.0)])

    return HardwareSpace(
        made,
        tuple(_regridded(parameter, more) for parameter in space.parameters),
        space.technology,
        _curves(space, changed),
        tuple(limit for old in space.limits for limit in Limit.parse(str(old), resolve)),
    )


def _mac(base: Architecture, technology: Technology, bits: int) -> MacCost:
    """What MACs of other operands cost, where the machine's are the technology's."""
    own, wanted = technology.mac(base.mac_bits), technology.mac(bits)
    if bits == base.mac_bits:
        return MacCost(torch.tensor(base.mac_pj), torch.tensor(base.mac_area_um2))
    low, high = MAC_BITS
    if not low <= bits <= high:
        raise InvalidInput(f"bits is {bits}; technology {technology.name!r} has MACs of {low:g} to {high:g} bits")
    for name, given, known in (("mac_pj", base.mac_pj, own.pj), ("mac_area_um2", base.mac_area_um2, own.area_um2)):
        if abs(given - float(known)) > SAME * float(known):
            raise InvalidInput(
                f"{name} of {base.name!r} is {given:g}, which is given: {technology.name!r} has {float(known):g} at "
                f"{base.mac_bits} bits, and only a technology's MACs are known at other widths"
            )
    if float(own.pj) == float(wanted.pj):
        raise InvalidInput(f"technology is {technology.name!r}, whose MACs cost the same at every width of words")
    return wanted


def _refilled(level: Level, bits: int, driven: Mapping[str, object]) -> Level:
    """A level with words of so many bits; `driven`: its sizes that are free."""
    if bits == level.word_bits:
        return level
    share = bits / level.word_bits
    if level.kind == "regfile" and level.capacity <= 1 and not driven.keys() - {"fanout_x", "fanout_y"}:
        words: dict[str, float] = {}
        costs = {name: getattr(level, name) * share for name in ("leak_pj", "area_um2")}
        block = level.block_size
    else:
        words = {name: getattr(level, name) / share for name in PORTS}
        if level.capacity < inf:
            words["capacity"] = _whole(f"capacity of {level.name!r}", level.capacity, level.word_bits, bits)
        costs = {}
        if level.kind == "regfile" and level.block_size < share:
            block = 1  # a register file is read by words
        else:
            block = _whole(f"block_size of {level.name!r}", level.block_size, level.word_bits, bits)
    moved = block * share / level.block_size  # bits of an access over what they were
    costs |= {name: getattr(level, name) * moved for name in ("read_pj", "write_pj", "update_pj")}
    return replace(level, word_bits=bits, block_size=block, **words, **costs)  # type: ignore[arg-type]


def _whole(what: str, words: float, before: int, bits: int) -> int:
    """How many words of so many bits as many words are that were as wide as before."""
    found, left = divmod(words * before, bits)
    if left or (words and not found):
        raise InvalidInput(
            f"{what} is {words:g} words of {before} bits; these must make a whole number of {bits}-bit words, and make "
            f"{words * before / bits:g}"
        )
    return int(found)


def _more(level: str, field: str, more: Mapping[str, float]) -> float:
    """How many times as large a size is in the new words."""
    return 1.0 if field.startswith("fanout") else more[level]


def _regridded(parameter: Parameter, more: Mapping[str, float]) -> Parameter:
    """A free size in the new words."""
    scale = _more(parameter.level, parameter.field, more)
    grid = []
    for value in parameter.grid:
        found = round(value * scale)
        if abs(found - value * scale) > SAME or not found:
            raise InvalidInput(
                f"grid of {parameter.name} holds {value:g} words, which would be {value * scale:g} of the new ones; "
                "they must be a whole number"
            )
        grid.append(found)
    also = [Tie(tie.level, tie.field, tie.scale * _more(tie.level, tie.field, more) / scale) for tie in parameter.also]
    return replace(parameter, grid=tuple(grid), also=tuple(also))


def _curves(space: HardwareSpace, changed: list[Level]) -> tuple[tuple[str, MemoryCurves], ...]:
    """The space's curves, and those of its resized memories that know words alone: of as many bits."""
    found = dict(space.curves)
    for level in changed:
        if level.kind == "DRAM" or not space.driven.get(level.name, {}).keys() & {"capacity", "bandwidth"}:
            continue
        own = found.get(level.name) or space.technology.curves(level.kind)
        if not own.in_bits:
            found[level.name] = own.by_bits(level.word_bits)  # the width that they are known at
    return tuple(found.items())
