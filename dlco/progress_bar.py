"""`ProgressBar`: how far a search is, on a terminal; and the listener that a search is asked to tell."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Self

from dlco.errors import InvalidInput
from dlco.progress import Listener, Progress, silent

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress

ENOUGH = 0.25  # of the work done, before the time left is guessed from it
UNTIMED = ("bound", "diagnosis")  # phases that do not know how far they are


def time_left(progress: Progress) -> str:
    """The time left, as coarsely as it is guessed: each share takes as long as those before; "" where it is unknown."""
    if not ENOUGH <= progress.done < 1 or progress.phase in UNTIMED:
        return ""
    seconds = progress.seconds / progress.done - progress.seconds
    if seconds >= 5400:
        return f"about {seconds / 3600:.0f} h left"
    return f"about {seconds / 60:.0f} min left" if seconds >= 90 else "about a minute left" if seconds > 45 else "soon"


class ProgressBar:
    """A listener that shows phase, share done, best objective, bound and time while its `with` block runs.

    It draws on stderr, and nothing at all where that is no terminal or another bar is being shown; it is gone when
    the block ends. Called outside the block it does nothing.

    Attributes:
        shown: makes of the best value so far a text, such as "energy 12.3 mJ" (`dlco.design.objective.Objective.text`).
    """

    _shown: "ProgressBar | None" = None  # of all bars of the process

    def __init__(self, shown: Callable[[float], str] = "{:.4g}".format) -> None:
        self.shown = shown
        self._display: RichProgress | None = None

    def __enter__(self) -> Self:
        if ProgressBar._shown is None and sys.stderr is not None and sys.stderr.isatty():
            # loaded for a bar alone: a search without one does not wait for it
            from rich.console import Console
            from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn
            from rich.progress import Progress as RichProgress

            ProgressBar._shown = self
            self._display = RichProgress(
                TextColumn("{task.description}"),
                BarColumn(),
                TaskProgressColumn(),
                TextColumn("{task.fields[best]}"),
                TimeElapsedColumn(),
                TextColumn("{task.fields[left]}"),
                console=Console(stderr=True),
                redirect_stdout=False,  # it is not the bar's
                transient=True,
                refresh_per_second=5,
            )
            self._display.add_task("start", total=1.0, best="", left="")
            self._display.start()
        return self

    def __call__(self, progress: Progress) -> None:
        """Show a report."""
        if self._display is not None:
            from rich.markup import escape

            best = "" if progress.best is None else f"best {self.shown(progress.best)}"
            if progress.best and progress.bound:
                best += f", at most {100 * max(1 - progress.bound / progress.best, 0):.1f} % from the optimum"
            self._display.update(
                self._display.task_ids[0],
                description=escape(progress.phase),
                completed=progress.done,
                best=best,
                left=time_left(progress),
            )

    def aside(self, progress: Progress) -> None:
        """Show the phase alone of a report from work that the search waits for."""
        if self._display is not None:
            from rich.markup import escape

            self._display.update(self._display.task_ids[0], description=escape(progress.phase))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._display is not None:
            ProgressBar._shown = None
            self._display.stop()
            self._display = None


@contextmanager
def listening(progress: bool | Listener, shown: Callable[[float], str] = "{:.4g}".format) -> Iterator[Listener]:
    """The listener that an argument `progress` asks for: a bar while the block runs, the caller's own, or none.

    Args:
        progress: True for a bar (where stderr is a terminal), False for nothing, or a listener.
        shown: makes of the best value a text, as `ProgressBar` shows it.

    Raises:
        InvalidInput: it is none of these.
    """
    if not isinstance(progress, bool) and not callable(progress):
        raise InvalidInput(f"progress is {progress!r}; it must be True, False or a callable that takes a dlco.Progress")
    if progress is True:
        with ProgressBar(shown) as bar:
            yield bar
    else:
        yield progress if callable(progress) else silent
