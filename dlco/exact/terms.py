"""What energies and words of the exact search are sums of: fills of tiles, and the ports that these pass."""

from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True)
class FillTerm:
    """Words that the tiles of one level take of one dataspace, and where from.

    Attributes:
        level: of the tiles, `MACS` (of `dlco.hardware.network`) for operands of MACs.
        space: index of the dataspace.
        parent: the next level further out that keeps it.
    """

    level: int
    space: int
    parent: int


class Port(NamedTuple):
    """A port: whether reads use it, whether writes (fills and updates) do, as 0 or 1; words a cycle and instance."""

    reads: int
    writes: int
    width: float
