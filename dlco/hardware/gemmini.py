"""A machine as the parameters of a Gemmini generator.

Source: `GemminiArrayConfig` of github.com/ucb-bar/gemmini (src/main/scala/gemmini/GemminiConfigs.scala): names,
defaults and requirements; Genc et al., DAC 2021.
"""

from math import ceil, inf, log2

from dlco.errors import InvalidInput
from dlco.hardware.architecture import PORTS, Architecture, Level
from dlco.texts import printable

DATASPACES = ("Weights", "Inputs", "Outputs")
DATAFLOWS: dict[tuple[str, ...], str] = {("Weights",): "WS", ("Outputs",): "OS"}
"""By what a PE's register keeps."""
BANKS, ACCUMULATOR_BANKS = 4, 2  # Gemmini's defaults
LEAST_BANKS = 2
BUS_BITS = 128  # Gemmini's default of dma_buswidth
MOST_BUS_BITS = 512  # a line of 64 bytes, dma_maxbytes, in one go

GemminiConfig = dict[str, int | str]


def gemmini_config(architecture: Architecture) -> GemminiConfig:
    """The parameters of the Gemmini that a machine is.

    A Gemmini has four levels: a register in every PE, which keeps Weights (weight-stationary) or Outputs
    (output-stationary); an accumulator for Outputs; a scratchpad for Weights and Inputs; DRAM. Fan-outs along X are its
    columns, those along Y its rows.

    Args:
        architecture: of these levels, whatever their names.

    Returns:
        By parameter of `GemminiArrayConfig`: meshRows, meshColumns, tileRows, tileColumns; dataflow "WS" or "OS";
        sp_capacity and acc_capacity in KiB, all slices of the accumulator together; sp_banks (enough for the
        scratchpad's bandwidth), acc_banks; inputType, accType and spatialArrayOutputType in bits of a signed integer;
        dma_buswidth in bits. All else that a Gemmini can be told has no counterpart here.

    Raises:
        InvalidInput: the machine is no Gemmini; the message says why.
    """
    refuse = _Refusal(architecture.name)
    levels = architecture.levels
    if len(levels) != 4:
        raise refuse(f"it has {len(levels)} levels, a Gemmini 4: registers, accumulator, scratchpad, DRAM")
    registers, accumulator, scratchpad, memory = levels
    dataflow = DATAFLOWS.get(_kept(registers))
    if dataflow is None:
        raise refuse(f"{registers.name} keeps {_listed(registers)}; a PE's register keeps Weights or Outputs")
    if _kept(accumulator) != ("Outputs",):
        raise refuse(f"{accumulator.name} keeps {_listed(accumulator)}; an accumulator keeps Outputs")
    if _kept(scratchpad) != ("Weights", "Inputs"):
        raise refuse(f"{scratchpad.name} keeps {_listed(scratchpad)}; a scratchpad keeps Weights, Inputs")
    for level in (registers, memory):
        if level.fanout_x * level.fanout_y > 1:
            raise refuse(f"{level.name} has {level.fanout_x} x {level.fanout_y} children; it must have one")
    side = _side(architecture, refuse)
    if registers.usable_capacity < 1:
        raise refuse(f"{registers.name} holds no word")
    bits, sum_bits = scratchpad.word_bits, accumulator.word_bits
    for what, found, wanted in (
        ("MACs take", architecture.mac_bits, bits),
        (f"{registers.name} has", registers.word_bits, bits if dataflow == "WS" else sum_bits),
    ):
        if found != wanted:
            raise refuse(f"{what} words of {found} bits; they must be of {wanted}, as in the level that fills them")
    slices = architecture.instances[1]
    sp_banks = _banks(scratchpad, side, refuse)
    sp_rows = _rows(scratchpad, 1, side, sp_banks, refuse)
    acc_rows = _rows(accumulator, slices, side, ACCUMULATOR_BANKS, refuse)
    if not log2(sp_rows / sp_banks).is_integer():
        raise refuse(f"{scratchpad.name} has {sp_banks} banks of {sp_rows // sp_banks} rows; they must be a power of 2")
    if sp_rows // side - 2 < acc_rows // side:
        raise refuse(f"{scratchpad.name} has {sp_rows} rows; it must have 2 x {side} more than the {acc_rows} of sums")
    return {
        "meshRows": side,
        "meshColumns": side,
        "tileRows": 1,
        "tileColumns": 1,
        "dataflow": dataflow,
        "sp_capacity": _kib(scratchpad, 1, refuse),
        "sp_banks": sp_banks,
        "acc_capacity": _kib(accumulator, slices, refuse),
        "acc_banks": ACCUMULATOR_BANKS,
        "inputType": bits,
        "spatialArrayOutputType": min(sum_bits, 2 * bits + int(log2(side))),
        "accType": sum_bits,
        "dma_buswidth": _bus(memory, refuse),
    }


def gemmini_scala(architecture: Architecture) -> str:
    """The machine as Scala: an object with `GemminiConfigs.defaultConfig` changed to it, for Chipyard's sources.

    Raises:
        InvalidInput: as `gemmini_config`.
    """
    config = gemmini_config(architecture)
    values = {
        name: f"CapacityInKilobytes({value})"
        if name.endswith("_capacity")
        else f"SInt({value}.W)"
        if name.endswith("Type")
        else f"Dataflow.{value}"
        if name == "dataflow"
        else str(value)
        for name, value in config.items()
    }
    lines = ",\n".join(f"    {name} = {value}" for name, value in values.items())
    return (
        "package gemmini\n\nimport chisel3._\n\n"
        f"// {printable(architecture.name)}: {architecture.macs} MAC units, "
        f"a cycle of {architecture.cycle_s * 1e9:g} ns\n"
        f"object DlcoGemminiConfig {{\n  val config = GemminiConfigs.defaultConfig.copy(\n{lines}\n  )\n}}\n"
    )


class _Refusal:
    """Makes the error that a machine is no Gemmini."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, why: str) -> InvalidInput:
        return InvalidInput(f"architecture {self.name!r} is no Gemmini: {why}")


def _kept(level: Level) -> tuple[str, ...]:
    return tuple(space for space in DATASPACES if space not in level.bypass)


def _listed(level: Level) -> str:
    return ", ".join(_kept(level)) or "nothing"


def _side(architecture: Architecture, refuse: _Refusal) -> int:
    """PEs along either side of the array."""
    columns, rows = 1, 1
    for level in architecture.levels:
        columns *= level.fanout_x
        rows *= level.fanout_y
    if columns != rows or columns < 2 or not log2(columns).is_integer():
        raise refuse(f"its array has {rows} rows and {columns} columns; it must be square, of a power of 2 from 2 on")
    return columns


def _banks(scratchpad: Level, side: int, refuse: _Refusal) -> int:
    """Banks of the scratchpad, each of which reads and writes a row of `side` words a cycle: as many as that takes."""
    bandwidths = [getattr(scratchpad, port) for port in PORTS]
    most = max([0.0, *(one for one in bandwidths if one < inf)])
    banks = 2 ** ceil(log2(max(most / side, BANKS)))
    while banks > LEAST_BANKS and banks * side > scratchpad.capacity / side:  # a bank holds a tile at least
        banks //= 2
    if banks * side < most:
        raise refuse(f"{scratchpad.name} moves {most:g} words a cycle; its {banks} banks move {banks * side}")
    return banks


def _rows(level: Level, slices: int, side: int, banks: int, refuse: _Refusal) -> int:
    """Rows of `side` words in all slices of a memory together."""
    words = level.capacity * slices
    if words == inf:
        raise refuse(f"{level.name} has no limit; its capacity must be given")
    rows = words / side
    if rows % (banks * side) or not rows:
        raise refuse(f"{level.name} has {rows:g} rows of {side}; they must be a multiple of {banks} banks x {side}")
    return int(rows)


def _kib(level: Level, slices: int, refuse: _Refusal) -> int:
    kib = level.capacity * slices * level.word_bits / 8192
    if kib != int(kib):
        raise refuse(f"{level.name} holds {kib:g} KiB; they must be whole")
    return int(kib)


def _bus(memory: Level, refuse: _Refusal) -> int:
    """Bits a cycle between DRAM and scratchpad."""
    words = min(getattr(memory, port) for port in PORTS)
    if words == inf:
        return BUS_BITS
    bits = words * memory.word_bits
    if bits < 8 or bits > MOST_BUS_BITS or not log2(bits).is_integer():
        raise refuse(f"{memory.name} moves {bits:g} bits a cycle; they must be a power of 2 from 8 to {MOST_BUS_BITS}")
    return int(bits)
