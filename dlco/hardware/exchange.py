"""Machines with another DRAM outside."""

from dataclasses import replace
from math import inf
from typing import overload

from dlco.errors import InvalidInput
from dlco.hardware.architecture import Architecture
from dlco.hardware.dram import DRAM_KINDS
from dlco.hardware.network import LINK
from dlco.hardware.space import HardwareSpace
from dlco.workload.problem import check_positive_int


@overload
def with_dram(hardware: Architecture, kind: str, channels: int = 1) -> Architecture: ...
@overload
def with_dram(hardware: HardwareSpace, kind: str, channels: int = 1) -> HardwareSpace: ...
def with_dram(hardware: Architecture | HardwareSpace, kind: str, channels: int = 1) -> Architecture | HardwareSpace:
    """The same machine, or space of machines, with another DRAM outside: its energies and its bandwidth.

    Reads and writes share the channels' peak rate, at the machine's clock.

    Args:
        hardware: whose outermost level is a DRAM.
        kind: one of `DRAM_KINDS`.
        channels: how many there are.

    Raises:
        InvalidInput: another kind, no channel, an outermost level that is no DRAM, or one whose sizes are free.

    Examples:
        >>> machine = dlco.hardware.with_dram(dlco.hardware.generic(), "LPDDR5")
        >>> dram = machine.level("DRAM")
        >>> round(dram.read_pj / dram.block_size, 1), dram.shared_bandwidth  # pJ a word, words a cycle
        (106.7, 12.8)
    """
    if kind not in DRAM_KINDS:
        raise InvalidInput(f"kind of DRAM is {kind!r}; allowed: {', '.join(DRAM_KINDS)}")
    check_positive_int("channels", channels)
    if isinstance(hardware, HardwareSpace):
        outermost = hardware.base.levels[-1].name
        free = [parameter.name for parameter in hardware.parameters if parameter.level == outermost]
        if free:
            raise InvalidInput(f"{', '.join(free)} is free; the DRAM of a space is exchanged only where it is fixed")
        return replace(hardware, base=with_dram(hardware.base, kind, channels))
    level = hardware.levels[-1]
    if level.kind != "DRAM":
        raise InvalidInput(f"kind of {level.name!r}, the outermost level, is {level.kind!r}; it must be DRAM")
    dram = DRAM_KINDS[kind]
    pj = dram.pj_per_bit * level.word_bits * level.block_size
    words_a_cycle = dram.gbyte_s * 1e9 * channels * hardware.cycle_s * 8 / level.word_bits
    changed = replace(
        level,
        read_pj=pj,
        write_pj=pj,
        update_pj=pj,
        read_bandwidth=inf,
        write_bandwidth=inf,
        shared_bandwidth=round(words_a_cycle, 9),
    )
    if changed.network is not None and changed.network.kind == LINK:  # its wires are as many as the words a cycle
        area = changed.network.area_um2 * changed.width / level.width
        changed = replace(changed, network=replace(changed.network, area_um2=area))
    return replace(hardware, levels=(*hardware.levels[:-1], changed))
