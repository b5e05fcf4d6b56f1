"""How long work tells the outside how it goes, without knowing who listens."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Progress:
    """A report from a running search.

    Attributes:
        phase: such as "relax" or "search".
        done: share of all work done, 0 to 1.
        best: the best objective so far, or None.
        seconds: since the start.
        bound: what is proved that no design goes below, or None.
    """

    phase: str
    done: float
    best: float | None
    seconds: float
    bound: float | None = None


class Listener(Protocol):
    """Called with every report; raising `KeyboardInterrupt` stops the search with the best so far."""

    def __call__(self, progress: Progress) -> None:
        """Take a report."""


def silent(progress: Progress) -> None:
    """A listener that nothing is told to."""
