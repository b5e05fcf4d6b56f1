"""`Parameter`: a free size of a machine, its grid, and the sizes that follow it.

Ties are plain multiples, so whatever is a posynomial of the sizes stays one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, isfinite

from dlco.errors import InvalidInput
from dlco.hardware.architecture import PORTS, Architecture
from dlco.hardware.checks import check_number

FIELDS = ("capacity", "fanout_x", "fanout_y", "bandwidth", *PORTS)


@dataclass(frozen=True)
class Tie:
    """A size that follows a free one: it is always `scale` times it.

    Attributes:
        level, field: which size, as in `Parameter`; the level may be another one than the parameter's.
        scale: above 0.

    Raises:
        InvalidInput: an unknown field, or a scale that is no finite number above 0.
    """

    level: str
    field: str
    scale: float = 1.0

    def __post_init__(self) -> None:
        _check_field(f"field of a tie to {self.level!r}", self.field)
        check_number(f"scale of the tie to {self.name}", self.scale, positive=True)
        if self.scale == inf:
            raise InvalidInput(f"scale of the tie to {self.name} is infinite; it must be finite")

    @property
    def name(self) -> str:
        """`level.field`, such as "shared_glb.fanout_x"."""
        return f"{self.level}.{self.field}"


@dataclass(frozen=True)
class Parameter:
    """One free size of one level, with the sizes that follow it.

    A square array, read at two words a row and cycle, has one size:

        ties = (Tie("buffer", "fanout_y"), Tie("buffer", "read_bandwidth", 2.0))
        Parameter("buffer", "fanout_x", (8, 16, 32), also=ties)

    Attributes:
        level: name of the level.
        field: "capacity" (words an instance), "fanout_x" or "fanout_y" (children an instance), or "bandwidth": the
            level then reads and writes one block of that many words each cycle, so `read_bandwidth`,
            `write_bandwidth` and `block_size` all become it, and energy and area follow the wider access.
            "read_bandwidth", "write_bandwidth" and "shared_bandwidth" are words a cycle that change nothing else.
        grid: the values it may take, whole numbers in ascending order.
        also: sizes that follow it.

    Raises:
        InvalidInput: an unknown field, a grid that is empty, not ascending or not of positive whole numbers, a size
            that is tied to itself or twice, or a tie that makes a capacity, fan-out or block size no whole number.
    """

    level: str
    field: str
    grid: tuple[float, ...]
    also: tuple[Tie, ...] = ()

    def __post_init__(self) -> None:
        _check_field(f"field of a parameter of {self.level!r}", self.field)
        if isinstance(self.grid, str) or not isinstance(self.grid, Sequence) or not self.grid:
            raise InvalidInput(f"grid of {self.name} is {self.grid!r}; it must be a tuple of one or more numbers")
        for value in self.grid:
            whole = isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
            if not whole or value < 1 or value != int(value):
                raise InvalidInput(
                    f"grid of {self.name} holds {value!r}; its values must be whole numbers of at least 1"
                )
        if any(a >= b for a, b in zip(self.grid, self.grid[1:], strict=False)):
            raise InvalidInput(f"grid of {self.name} is {self.grid!r}; its values must be distinct and ascending")
        object.__setattr__(self, "grid", tuple(self.grid))
        object.__setattr__(self, "also", tuple(self.also))
        for tie in self.also:
            if not isinstance(tie, Tie):
                raise InvalidInput(f"also of {self.name} holds {tie!r}; it must hold ties only")
            for value in self.grid:
                if tie.field not in PORTS and (value * tie.scale < 1 or value * tie.scale != int(value * tie.scale)):
                    raise InvalidInput(
                        f"scale of the tie of {tie.name} to {self.name} is {tie.scale:g}, which makes {value:g} "
                        f"{value * tie.scale:g}; it must make whole numbers of at least 1"
                    )

    @property
    def name(self) -> str:
        """`level.field`, such as "shared_glb.capacity"."""
        return f"{self.level}.{self.field}"

    @property
    def drives(self) -> tuple[Tie, ...]:
        """Every size that it decides: its own, at scale 1, and those that follow it."""
        return (Tie(self.level, self.field), *self.also)

    def of(self, machine: Architecture) -> float:
        """Its value on a machine, on the grid or not; of a bandwidth, the block size."""
        return float(getattr(machine.level(self.level), "block_size" if self.field == "bandwidth" else self.field))

    @property
    def low(self) -> float:
        """Smallest value."""
        return self.grid[0]

    @property
    def high(self) -> float:
        """Largest value."""
        return self.grid[-1]


def _check_field(what: str, field: str) -> None:
    if field not in FIELDS:
        raise InvalidInput(f"{what} is {field!r}; allowed: {', '.join(FIELDS)}")
