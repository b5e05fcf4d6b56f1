"""Eyeriss as it was fabricated: the 65 nm chip, beside `eyeriss_like`, which is only like it.

Source: Chen et al., JSSC 52(1), 2017: sizes, widths, clock and links as measured at 1 V. Relative energies of an access
are those of Chen et al., ISCA 2016, table IV (from the same 65 nm process): pad and MAC 1, buffer 6, DRAM 200 for a
16-bit word. What they are relative to, and what the chip draws whatever it does, is fitted to the power that was
measured on it (`benchmarks/silicon.py`, which has the errors); areas are not known part by part and are 0. Wires are in
what is fitted, so the levels have no networks of their own, which would count them twice.
"""

from math import inf

from dlco.hardware.architecture import Architecture, Level
from dlco.hardware.technology import EYERISS_COSTS

CLOCK_HZ = 200e6
BUFFER_BYTES_S = 3.0e9
"""What the buffer moves a second: buffer traffic over time is 2.96 to 3.07 GB/s in the layers that wait for it."""
FILTER_WORDS = 4
"""That reach the pads a cycle, over 64 bits, before a pass begins."""
LINK_BYTES_S = 8 * 60e6
"""Between the chip and DRAM: 64 bits at the 60 MHz of the measurements."""
UNIT_PJ = 1.0
"""pJ of a pad access or a MAC: fitted."""
IDLE_W = 0.187
"""What clock tree, control and leakage draw: fitted."""

PADS = (("psum_spad", 24, "Outputs"), ("weights_spad", 224, "Weights"), ("ifmap_spad", 12, "Inputs"))
"""Of a PE: name, 16-bit words, what it keeps."""
BUFFER_WORDS = 100 * 1024 // 2
"""For inputs and sums; 8 KiB more prefetch filters, which pass by."""


def eyeriss_chip() -> Architecture:
    """The 65 nm chip: 12 x 14 PEs with three pads each under a buffer of 100 KiB, at 200 MHz; 16 bits.

    Its power is energy over time (DRAM's own energy is in the cost, not in the chip's power); what it draws at idle is
    the buffer's leakage. Wires are in the energies of accesses already, and there is no `wires` to ask for them.

    Examples:
        >>> machine = dlco.hardware.eyeriss_chip()
        >>> machine.macs, machine.level("shared_glb").capacity
        (168, 51200)
    """
    dataspaces = {keeps for _, _, keeps in PADS}
    pad, buffer, memory = (EYERISS_COSTS[name] * UNIT_PJ for name in ("register", "buffer", "DRAM"))
    pads = [
        Level(
            name,
            "regfile",
            capacity=words,
            read_bandwidth=2,
            write_bandwidth=2,
            read_pj=pad,
            write_pj=pad,
            update_pj=pad,
            bypass=frozenset(dataspaces - {keeps}),
        )
        for name, words, keeps in PADS
    ]
    glb = Level(
        "shared_glb",
        "SRAM",
        capacity=BUFFER_WORDS,
        shared_bandwidth=BUFFER_BYTES_S / CLOCK_HZ / 2,
        read_pj=buffer,
        write_pj=buffer,
        update_pj=buffer,
        leak_pj=IDLE_W / CLOCK_HZ * 1e12,
        fanout_x=14,
        fanout_y=12,
        bypass=frozenset({"Weights"}),
    )
    link = LINK_BYTES_S / CLOCK_HZ / 2
    dram = Level("DRAM", "DRAM", capacity=inf, shared_bandwidth=link, read_pj=memory, write_pj=memory, update_pj=memory)
    return Architecture(
        (*pads, glb, dram),
        EYERISS_COSTS["MAC"] * UNIT_PJ,
        mac_bits=16,
        cycle_s=1 / CLOCK_HZ,
        name="eyeriss_chip",
        technology="65nm",
    )
