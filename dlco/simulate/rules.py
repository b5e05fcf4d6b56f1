"""`Rules`: the policy under which an execution's transfers are counted, as the simulator is given it."""

from dataclasses import dataclass
from typing import Protocol

from dlco.errors import InvalidInput

RESTARTS = ("refetch", "overlap", "timeloop")


class Rules(Protocol):
    """What a buffer keeps when its tile moves. The cost model's `CountingRules` are such rules.

    Attributes:
        restart: what arrives when a loop outside the innermost one that moves the tile steps: "refetch" the whole
            tile, "overlap" whatever the last tile did not hold, "timeloop" what Timeloop's execution of two iterations
            of each loop takes to be new.
        neighbour_forwarding: a child takes its words from a mesh neighbour that received the same at the step before.
    """

    @property
    def restart(self) -> str:
        """One of `RESTARTS`."""

    @property
    def neighbour_forwarding(self) -> bool:
        """Whether neighbours serve each other."""


@dataclass(frozen=True)
class Policy:
    """Plain `Rules`."""

    restart: str = "refetch"
    neighbour_forwarding: bool = False


DEFAULT = Policy()


def check_rules(rules: Rules) -> None:
    """Raise `InvalidInput` for a restart that is none of `RESTARTS`."""
    if rules.restart not in RESTARTS:
        raise InvalidInput(f"restart is {rules.restart!r}; allowed: {', '.join(RESTARTS)}")
