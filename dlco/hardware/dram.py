"""Kinds of DRAM: what a bit costs, and how fast one channel is."""

from dataclasses import dataclass


@dataclass(frozen=True)
class DramKind:
    """A kind of DRAM.

    Attributes:
        pj_per_bit: that reading or writing a bit takes, pJ, interface included.
        gbyte_s: peak of one channel, 10^9 bytes a second, in both directions together.
        channel: which channel that is.
        source: of the energy; rates are those of the standards (JESD79-3, JESD209-4, JESD209-5, JESD235, JESD212).
    """

    pj_per_bit: float
    gbyte_s: float
    channel: str
    source: str


_ACCELERGY = "Accelergy 0.4's DRAM table (CACTI 7)"
DRAM_KINDS = {
    "LPDDR4": DramKind(8.0, 12.8, "32 bits of LPDDR4-3200", _ACCELERGY),
    "DDR3": DramKind(70.0, 12.8, "64 bits of DDR3-1600", _ACCELERGY),
    "HBM2": DramKind(3.9, 256.0, "a stack of 1024 bits at 2 Gb/s", "O'Connor et al., MICRO 2017; Accelergy's too"),
    "GDDR5": DramKind(14.0, 28.0, "32 bits at 7 Gb/s", "O'Connor et al., MICRO 2017; Accelergy's too"),
    "LPDDR5": DramKind(
        8.0 / 1.2, 25.6, "32 bits of LPDDR5-6400", "LPDDR4's, over 20 % more efficient (Micron, February 2020)"
    ),
}
"""By name; a technology's default is the first."""
