"""Machines after published ones, and the spaces around them.

Each has the storage hierarchy, sizes and word widths of its source; bandwidths are one access a cycle unless said
otherwise. Energies, leakage and areas are the technology's (45 nm and LPDDR4 by default), and so is the clock of
1 ns: these are machines *like* the chips, comparable with each other, not models of the silicon. Wires between levels
cost what `dlco.hardware.wires` makes of the areas; with `wires=False`, as most other tools count, and with a technology
that says nothing of them, they cost nothing. Control logic and I/O have no cost here.
"""

from collections.abc import Callable
from dataclasses import replace
from math import inf
from typing import Literal, overload

from dlco.errors import InvalidInput
from dlco.hardware.architecture import Architecture, Level
from dlco.hardware.network import LINK, SYSTOLIC, TREE, Network
from dlco.hardware.parameter import Parameter
from dlco.hardware.resize import with_networks
from dlco.hardware.space import HardwareSpace
from dlco.hardware.technology import TECHNOLOGY_45NM, Technology

DATASPACES = frozenset({"Weights", "Inputs", "Outputs"})
KIB = 1024 * 8  # bits


def _memory(
    technology: Technology,
    name: str,
    kind: str,
    capacity: float,
    *,
    keeps: tuple[str, ...] = tuple(DATASPACES),
    word_bits: int = 16,
    block_size: int = 1,
    bandwidth: float | None = None,
    fanout_x: int = 1,
    fanout_y: int = 1,
) -> Level:
    """A level priced by the technology; `capacity` in words, `bandwidth` in words a cycle (default: one block)."""
    read_pj, write_pj, leak_pj, area_um2 = map(float, technology.memory(kind, capacity, word_bits, block_size))
    return Level(
        name=name,
        kind=kind,
        capacity=capacity,
        word_bits=word_bits,
        block_size=block_size,
        read_bandwidth=bandwidth or block_size,
        write_bandwidth=bandwidth or block_size,
        read_pj=read_pj,
        write_pj=write_pj,
        update_pj=write_pj,
        leak_pj=leak_pj,
        area_um2=area_um2,
        fanout_x=fanout_x,
        fanout_y=fanout_y,
        bypass=DATASPACES - set(keeps),
    )


def _machine(
    technology: Technology, name: str, mac_bits: int, *levels: Level, wires: bool, array: str = TREE
) -> Architecture:
    """A machine of levels; `array`: the kind of network where there are several children."""
    mac_pj, mac_area_um2 = map(float, technology.mac(mac_bits))
    machine = Architecture(levels, mac_pj, mac_area_um2, mac_bits, technology.cycle_s, name, technology=technology.name)
    if not wires or technology.wires is None:
        return machine
    wired = (replace(level, network=Network(array if level.children > 1 else LINK)) for level in levels)
    return with_networks(replace(machine, levels=tuple(wired)), technology.wires)


def eyeriss_like(technology: Technology = TECHNOLOGY_45NM, wires: bool = True) -> Architecture:
    """14 x 12 PEs with a scratchpad a dataspace, and a shared buffer of 108 KiB that weights bypass; 16 bits.

    Source: Chen et al., ISCA 2016 and JSSC 2017 (array, 108 KiB buffer with 64-bit rows, 12-word input pad). The
    weight and sum pads have the 192 and 16 words of the public Timeloop models; JSSC 2017 has 224 and 24. A pad takes
    two words a cycle, so that it can be refilled while the MAC reads it. DRAM: 64 bits a cycle.

    Examples:
        >>> machine = dlco.hardware.eyeriss_like()
        >>> machine.macs, [level.name for level in machine.levels]
        (168, ['psum_spad', 'weights_spad', 'ifmap_spad', 'shared_glb', 'DRAM'])
    """
    return _machine(
        technology,
        "eyeriss",
        16,
        _memory(technology, "psum_spad", "regfile", 16, keeps=("Outputs",), bandwidth=2),
        _memory(technology, "weights_spad", "regfile", 192, keeps=("Weights",), bandwidth=2),
        _memory(technology, "ifmap_spad", "regfile", 12, keeps=("Inputs",), bandwidth=2),
        _memory(
            technology,
            "shared_glb",
            "SRAM",
            108 * KIB // 16,
            keeps=("Inputs", "Outputs"),
            block_size=4,
            fanout_x=14,
            fanout_y=12,
        ),
        _memory(technology, "DRAM", "DRAM", inf, block_size=4),
        wires=wires,
    )


def simba_like(technology: Technology = TECHNOLOGY_45NM, wires: bool = True) -> Architecture:
    """4 x 4 PEs of 8 lanes of 8 MACs, with input, weight and accumulation buffers a PE; 8 bits, sums of 24.

    Source: Shao et al., MICRO 2019, one chiplet: 8 KiB inputs, 32 KiB weights (a 64-bit bank a lane) and 3 KiB sums
    (a slice a lane) in each PE, 64 KiB shared buffer that weights bypass. Its row of 128 bits and the DRAM's 64 bits
    a cycle are ours.
    """
    return _machine(
        technology,
        "simba",
        8,
        _memory(technology, "PEWeightRegs", "regfile", 1, keeps=("Weights",), word_bits=8),
        _memory(technology, "PEAccuBuffer", "SRAM", 3 * KIB // 8 // 24, keeps=("Outputs",), word_bits=24, fanout_y=8),
        _memory(
            technology,
            "PEWeightBuffer",
            "SRAM",
            32 * KIB // 8,
            keeps=("Weights",),
            word_bits=8,
            block_size=8,
            bandwidth=64,
            fanout_x=8,
        ),
        _memory(technology, "PEInputBuffer", "SRAM", 8 * KIB // 8, keeps=("Inputs",), word_bits=8, block_size=8),
        _memory(
            technology,
            "GlobalBuffer",
            "SRAM",
            64 * KIB // 8,
            keeps=("Inputs", "Outputs"),
            word_bits=8,
            block_size=16,
            fanout_x=4,
            fanout_y=4,
        ),
        _memory(technology, "DRAM", "DRAM", inf, word_bits=8, block_size=8),
        wires=wires,
    )


def gemmini_like(technology: Technology = TECHNOLOGY_45NM, wires: bool = True) -> Architecture:
    """A weight-stationary 16 x 16 array under an accumulator a column and a scratchpad; 8 bits, sums of 32.

    Source: Genc et al., DAC 2021, the default configuration: 256 KiB scratchpad (weights and inputs, rows of 16
    words), 64 KiB accumulator, one slice of it a column here. DRAM: 64 bits a cycle.
    """
    return _machine(
        technology,
        "gemmini",
        8,
        _memory(technology, "registers", "regfile", 1, keeps=("Weights",), word_bits=8),
        _memory(technology, "accumulator", "SRAM", 64 * KIB // 16 // 32, keeps=("Outputs",), word_bits=32, fanout_y=16),
        _memory(
            technology,
            "scratchpad",
            "SRAM",
            256 * KIB // 8,
            keeps=("Weights", "Inputs"),
            word_bits=8,
            block_size=16,
            fanout_x=16,
        ),
        _memory(technology, "DRAM", "DRAM", inf, word_bits=8, block_size=8),
        wires=wires,
        array=SYSTOLIC,
    )


def tpu_like(technology: Technology = TECHNOLOGY_45NM, wires: bool = True) -> Architecture:
    """A weight-stationary 128 x 128 array under an accumulator a column and a unified buffer; 8 bits, sums of 32.

    Source: Jouppi et al., ISCA 2017, at a quarter of the size (the array side is that of the later generations):
    6 MiB unified buffer for activations, weights straight from DRAM, 4096 sums a column, DRAM of some 34 GB/s (32
    words a cycle here). The buffer feeds one word a row each cycle from four banks with rows of 32 words; at 6 MiB
    its cost is an extrapolation, 3 times beyond the largest estimate.
    """
    return _machine(
        technology,
        "tpu",
        8,
        _memory(technology, "registers", "regfile", 1, keeps=("Weights",), word_bits=8),
        _memory(technology, "accumulator", "SRAM", 4096, keeps=("Outputs",), word_bits=32, fanout_y=128),
        _memory(
            technology,
            "unified_buffer",
            "SRAM",
            6 * 1024 * KIB // 8,
            keeps=("Inputs", "Outputs"),
            word_bits=8,
            block_size=32,
            bandwidth=128,
            fanout_x=128,
        ),
        _memory(technology, "DRAM", "DRAM", inf, word_bits=8, block_size=8, bandwidth=32),
        wires=wires,
        array=SYSTOLIC,
    )


def generic(technology: Technology = TECHNOLOGY_45NM, wires: bool = True) -> Architecture:
    """16 x 16 PEs of one 256-word register file, under one 128 KiB buffer; all dataspaces everywhere; 16 bits.

    No chip's: the plain three-level hierarchy of the literature on mapping. A register file takes 4 words a cycle
    (three operands and a refill), the buffer and DRAM 256 and 128 bits.
    """
    return _machine(
        technology,
        "generic",
        16,
        _memory(technology, "RegisterFile", "regfile", 256, bandwidth=4),
        _memory(technology, "GlobalBuffer", "SRAM", 128 * KIB // 16, block_size=16, fanout_x=16, fanout_y=16),
        _memory(technology, "DRAM", "DRAM", inf, block_size=8),
        wires=wires,
    )


def dpu_like(technology: Technology = TECHNOLOGY_45NM, wires: bool = True) -> Architecture:
    """The convolution engine of an FPGA's DPU: 8 pixels x 16 input channels x 16 output channels; 8 bits, sums of 32.

    Source: AMD's product guide PG338 of the DPUCZDX8G (v4.1), its B4096: the parallelism; 255 block RAMs of 4 KiB; two
    128-bit AXI ports. One core of the ZCU102's three, at 281 MHz (UG1354). Adders over input channels lie under a sum
    a pixel and output channel (level "sums"), pixels along X and output channels along Y under the weight buffer;
    which dimensions may lie where is for `Constraints` to say. Buffers are banks of 2,048 rows of 16 words (8 block
    RAMs each; depth and width as Xilinx's pyxir has them): 16 for weights and 16 for feature maps, double-buffered, a
    row a bank and cycle, of the latter half of them at once; the guide prints no split, PG389 (the Versal's DPU) has
    17 and 16. The board's DDR4, 64 bits at 2,133 MT/s (from memory), is shared by reads and writes.

    Depthwise layers, pooling and element-wise work do not run here but on the core's other engine, `dpu_alu_like`.
    Instructions, start-up of a layer and fusion of layers have no cost here.
    """
    sums = _memory(technology, "sums", "regfile", 1, keeps=("Outputs",), word_bits=32, bandwidth=2, fanout_x=16)
    return _dpu(technology, "dpu", sums, 8, wires)


def dpu_alu_like(technology: Technology = TECHNOLOGY_45NM, wires: bool = True) -> Architecture:
    """The engine of an FPGA's DPU for depthwise layers, pooling and element-wise work: 4 pixels x 16 channels; 8 bits.

    Source: as `dpu_like`, whose buffers and memory it shares; PG338 (v4.1) recommends half the pixel parallelism here.
    A sum a pixel and channel: pixels lie along X under the weight buffer, channels along Y.
    """
    sums = _memory(technology, "sums", "regfile", 1, keeps=("Outputs",), word_bits=32, bandwidth=2)
    return _dpu(technology, "dpu_alu", sums, 4, wires)


def _dpu(technology: Technology, name: str, sums: Level, pixels: int, wires: bool) -> Architecture:
    """One of the two engines of a DPU."""
    cycle_s = 1 / 281e6
    bank, width = 2048, 16  # rows of words
    weights = _memory(
        technology,
        "weight_buffer",
        "SRAM",
        16 * bank * width,
        keeps=("Weights",),
        word_bits=8,
        block_size=width,
        bandwidth=16 * width,
        fanout_x=pixels,
        fanout_y=width,
    )
    features = _memory(
        technology,
        "feature_buffer",
        "SRAM",
        2 * 8 * bank * width,
        keeps=("Inputs", "Outputs"),
        word_bits=8,
        block_size=width,
        bandwidth=8 * width,
    )
    memory = replace(
        _memory(technology, "DRAM", "DRAM", inf, word_bits=8, block_size=8, bandwidth=2 * 128 / 8),
        shared_bandwidth=8 * 2133e6 * cycle_s,
    )
    slowed = cycle_s / technology.cycle_s
    levels = [replace(level, leak_pj=level.leak_pj * slowed) for level in (sums, weights, features, memory)]
    levels[1:3] = [replace(level, multiple_buffering=2) for level in levels[1:3]]
    return replace(_machine(technology, name, 8, *levels, wires=wires), cycle_s=cycle_s)


ARRAY_SIDES = (4, 6, 8, 10, 12, 14, 16, 20, 24, 28, 32)


def _kib(level: str, word_bits: int, *sizes: int) -> Parameter:
    """A capacity parameter with its grid in KiB."""
    return Parameter(level, "capacity", tuple(size * KIB // word_bits for size in sizes))


def eyeriss_space(technology: Technology = TECHNOLOGY_45NM, wires: bool = True) -> HardwareSpace:
    """Around `eyeriss_like`: the array, all four capacities, and the shared buffer's bandwidth.

    Examples:
        >>> space = dlco.hardware.eyeriss_space()
        >>> space.size, space.names[0]
        (5111040, 'shared_glb.fanout_x')
    """
    return HardwareSpace(
        eyeriss_like(technology, wires),
        (
            Parameter("shared_glb", "fanout_x", ARRAY_SIDES),
            Parameter("shared_glb", "fanout_y", ARRAY_SIDES),
            _kib("shared_glb", 16, 16, 24, 32, 48, 64, 96, 108, 128, 192, 256, 384, 512),
            Parameter("shared_glb", "bandwidth", (2, 4, 8, 16, 32)),
            Parameter("ifmap_spad", "capacity", (4, 8, 12, 16, 24, 32, 48, 64)),
            Parameter("weights_spad", "capacity", (16, 32, 48, 64, 96, 128, 192, 224, 256, 384, 512)),
            Parameter("psum_spad", "capacity", (4, 8, 12, 16, 24, 32, 48, 64)),
        ),
        technology,
    )


def simba_space(technology: Technology = TECHNOLOGY_45NM, wires: bool = True) -> HardwareSpace:
    """Around `simba_like`: PEs, lanes and their width, all buffers, and the shared buffer's bandwidth."""
    return HardwareSpace(
        simba_like(technology, wires),
        (
            Parameter("GlobalBuffer", "fanout_x", (1, 2, 4, 8)),
            Parameter("GlobalBuffer", "fanout_y", (1, 2, 4, 8)),
            Parameter("PEWeightBuffer", "fanout_x", (2, 4, 8, 16)),
            Parameter("PEAccuBuffer", "fanout_y", (2, 4, 8, 16)),
            _kib("GlobalBuffer", 8, 16, 32, 64, 96, 128, 192, 256, 512),
            Parameter("GlobalBuffer", "bandwidth", (4, 8, 16, 32)),
            _kib("PEInputBuffer", 8, 2, 4, 8, 16, 32, 64),
            _kib("PEWeightBuffer", 8, 4, 8, 16, 32, 64, 128),
            Parameter("PEAccuBuffer", "capacity", (32, 64, 128, 256, 512)),
        ),
        technology,
    )


def gemmini_space(technology: Technology = TECHNOLOGY_45NM, wires: bool = True) -> HardwareSpace:
    """Around `gemmini_like`: both sides of the array, scratchpad and its bandwidth, accumulator."""
    return HardwareSpace(
        gemmini_like(technology, wires),
        (
            Parameter("scratchpad", "fanout_x", (4, 8, 16, 32, 64)),
            Parameter("accumulator", "fanout_y", (4, 8, 16, 32, 64)),
            _kib("scratchpad", 8, 16, 32, 64, 96, 128, 192, 256, 384, 512, 1024),
            Parameter("scratchpad", "bandwidth", (4, 8, 16, 32)),
            Parameter("accumulator", "capacity", (64, 128, 256, 512, 1024, 2048, 4096)),
        ),
        technology,
    )


def tpu_space(technology: Technology = TECHNOLOGY_45NM, wires: bool = True) -> HardwareSpace:
    """Around `tpu_like`: both sides of the array, unified buffer, accumulators."""
    return HardwareSpace(
        tpu_like(technology, wires),
        (
            Parameter("unified_buffer", "fanout_x", (32, 64, 128, 256)),
            Parameter("accumulator", "fanout_y", (32, 64, 128, 256)),
            _kib("unified_buffer", 8, 1024, 2048, 3072, 4096, 6144, 8192),
            Parameter("accumulator", "capacity", (256, 512, 1024, 2048, 4096, 8192)),
        ),
        technology,
    )


def generic_space(technology: Technology = TECHNOLOGY_45NM, wires: bool = True) -> HardwareSpace:
    """Around `generic`: the array, both capacities, and the buffer's bandwidth."""
    return HardwareSpace(
        generic(technology, wires),
        (
            Parameter("GlobalBuffer", "fanout_x", ARRAY_SIDES),
            Parameter("GlobalBuffer", "fanout_y", ARRAY_SIDES),
            _kib("GlobalBuffer", 16, 16, 32, 48, 64, 96, 128, 192, 256, 384, 512, 1024),
            Parameter("GlobalBuffer", "bandwidth", (2, 4, 8, 16, 32)),
            Parameter("RegisterFile", "capacity", (16, 32, 48, 64, 96, 128, 192, 256, 384, 512)),
        ),
        technology,
    )


ARCHITECTURES: dict[str, Callable[[Technology, bool], Architecture]] = {
    "eyeriss": eyeriss_like,
    "simba": simba_like,
    "gemmini": gemmini_like,
    "tpu": tpu_like,
    "generic": generic,
}
SPACES: dict[str, Callable[[Technology, bool], HardwareSpace]] = {
    "eyeriss": eyeriss_space,
    "simba": simba_space,
    "gemmini": gemmini_space,
    "tpu": tpu_space,
    "generic": generic_space,
}


@overload
def get_hardware(
    name: str, space: Literal[False] = False, technology: Technology = TECHNOLOGY_45NM, wires: bool = True
) -> Architecture: ...
@overload
def get_hardware(
    name: str, space: Literal[True], technology: Technology = TECHNOLOGY_45NM, wires: bool = True
) -> HardwareSpace: ...
@overload
def get_hardware(
    name: str, space: bool, technology: Technology = TECHNOLOGY_45NM, wires: bool = True
) -> Architecture | HardwareSpace: ...
def get_hardware(
    name: str, space: bool = False, technology: Technology = TECHNOLOGY_45NM, wires: bool = True
) -> Architecture | HardwareSpace:
    """A preset by name.

    Args:
        name: "eyeriss", "simba", "gemmini", "tpu" or "generic".
        space: whether to return the space around the machine instead of the machine.
        technology: what its parts cost, and its clock; see `get_technology`.
        wires: whether wires between levels cost energy and area, where the technology says what.

    Raises:
        InvalidInput: another name.

    Examples:
        >>> dlco.hardware.get_hardware("gemmini").macs
        256
    """
    presets = SPACES if space else ARCHITECTURES
    if name not in presets:
        raise InvalidInput(f"hardware is {name!r}; allowed: {', '.join(presets)}")
    return presets[name](technology, wires)
