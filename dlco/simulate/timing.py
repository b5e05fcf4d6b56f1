"""What the simulated machine is like in time, and what an execution on it comes to."""

from dataclasses import dataclass, field
from math import inf

import numpy as np
from numpy.typing import NDArray

from dlco.errors import InvalidInput
from dlco.hardware.checks import check_number
from dlco.workload.problem import check_positive_int


@dataclass(frozen=True)
class TimingModel:
    """What of the simulated machine the architecture does not say.

    Attributes:
        copies: places for a tile at every level; 2 is double buffering, with 1 nothing is loaded while it is used.
            None: 2 where the capacity holds two of all the tiles that the level keeps, else 1.
        dram_latency: cycles from a request to DRAM to its first word.
        restart: what is fetched when a loop outside the first that moves a tile steps: "refetch" all of it, "overlap"
            what the tile before did not hold.
    """

    copies: int | None = 2
    dram_latency: float = 100.0
    restart: str = "refetch"

    def __post_init__(self) -> None:
        if self.copies is not None:
            check_positive_int("copies", self.copies)
        check_number("dram_latency", self.dram_latency)
        if self.dram_latency == inf:
            raise InvalidInput("dram_latency is infinite; it must be finite")
        if self.restart not in ("refetch", "overlap"):
            raise InvalidInput(f"restart is {self.restart!r}; the timing knows refetch and overlap")


@dataclass(frozen=True)
class Transfer:
    """One transfer that was executed, or turns of a loop that were not because they were like those before.

    Attributes:
        name: such as "Inputs DRAM > shared_glb"; `words`: at the child, of one instance.
        repeated: whether these are turns of a loop.
        start, end: cycles: when it was requested or the one before was done, and when its last word was there.
    """

    name: str
    start: float
    end: float
    words: float
    repeated: bool = False


@dataclass(frozen=True)
class Stall:
    """Cycles that the MACs wait for one link's transfers.

    Attributes:
        name: of the transfers; `level`: the outer level of the link.
        cycles: waited; `reason`: why, as far as one tile's figures tell.
    """

    name: str
    level: str
    cycles: float
    reason: str


@dataclass(frozen=True)
class Timing:
    """When everything happened, in cycles.

    Attributes:
        cycles: from the first request to the last sum's arrival at the outermost level that keeps it.
        compute_cycles: what the MACs need if nothing ever keeps them waiting.
        operand_cycles: what they lose to ports too narrow for their own words.
        fill_cycles: before the first MAC; `drain_cycles`: after the last.
        stalls: what they wait for in between, the longest first.
        ports: names of the limited ports, such as "DRAM read"; `bandwidth`: theirs, words a cycle.
        timeline: `[events, 2 + ports]`: the cycle, MAC steps done until then, and words moved by each port until then;
            in between, each grows at a constant rate.
        transfers: those executed, in order of their ends.
        events: how many steps time was taken in.
    """

    cycles: float
    compute_cycles: float
    operand_cycles: float
    fill_cycles: float
    drain_cycles: float
    stalls: tuple[Stall, ...]
    ports: tuple[str, ...]
    bandwidth: tuple[float, ...]
    timeline: NDArray[np.float64] = field(compare=False)
    transfers: tuple[Transfer, ...]
    events: int

    @property
    def stall_levels(self) -> dict[str, float]:
        """Cycles waited for transfers from or to each level, as far as there are any."""
        found: dict[str, float] = {}
        for stall in self.stalls:
            found[stall.level] = found.get(stall.level, 0.0) + stall.cycles
        return found
