"""What energies and words of the exact search are sums of: fills of tiles, and the ports that these pass."""

from dataclasses import dataclass
from typing import NamedTuple

MACS = -1  # the level of the terms that are operands of MACs


@dataclass(frozen=True)
class FillTerm:
    """Words that the tiles of one level take of one dataspace, and where from.

    Attributes:
        level: of the tiles, `MACS` for operands.
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
