"""`CountingRules`: what a buffer is taken to keep when its tile moves.

Here is what the rules are called and mean. `dlco.cost` and `dlco.simulate` count by them, each in its own way.
"""

from dataclasses import dataclass

from dlco.errors import InvalidInput

RESTARTS = ("refetch", "overlap", "timeloop")


@dataclass(frozen=True)
class CountingRules:
    """How transfers between levels are counted.

    Attributes:
        restart: what is fetched when a loop outside the sliding one steps and the slide starts anew.
            "refetch": the whole tile (never below Timeloop's count; smooth; the default);
            "overlap": exactly the words of the new tile that the last one did not hold;
            "timeloop": Timeloop's rule, which looks at the move of the tile's centre after one inner iteration
            and so counts some restarts as stationary or as one more slide (some 6 % of random mappings).
        neighbour_forwarding: serve a child from its mesh neighbour where both need the same words in turn
            (Timeloop's link transfers). Integer factors only.

    Examples:
        >>> dlco.CountingRules() == dlco.CountingRules("refetch", neighbour_forwarding=False)
        True
        >>> dlco.timeloop.TIMELOOP_RULES
        CountingRules(restart='timeloop', neighbour_forwarding=True)
    """

    restart: str = "refetch"
    neighbour_forwarding: bool = False

    def __post_init__(self) -> None:
        if self.restart not in RESTARTS:
            raise InvalidInput(f"restart is {self.restart!r}; allowed: {', '.join(RESTARTS)}")


DEFAULT_RULES = CountingRules()
TIMELOOP_RULES = CountingRules(restart="timeloop", neighbour_forwarding=True)
