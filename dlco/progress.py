"""How long work tells the outside how it goes, without knowing who listens."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from dlco.errors import InvalidInput


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


@contextmanager
def listening(progress: "bool | Listener", objective: str = "edp") -> Iterator[Listener]:
    """The listener that an argument `progress` asks for: a bar while the block runs, the caller's own, or none.

    Args:
        progress: True for a bar (where stderr is a terminal), False for nothing, or a listener.
        objective: what the bar shows the best value of.

    Raises:
        InvalidInput: it is none of these.
    """
    if not isinstance(progress, bool) and not callable(progress):
        raise InvalidInput(f"progress is {progress!r}; it must be True, False or a callable that takes a dlco.Progress")
    if progress is True:
        from dlco.progress_bar import ProgressBar  # the display sits above the optimiser

        with ProgressBar(objective) as bar:
            yield bar
    else:
        yield progress if callable(progress) else silent
