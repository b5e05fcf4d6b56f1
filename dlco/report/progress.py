"""`ProgressBar`: how far a search is, on a terminal."""

import sys
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as RichProgress

from dlco.optimize.progress import Progress
from dlco.report.table import objective_text


class ProgressBar:
    """A listener that shows phase, share done, best objective and time while its `with` block runs.

    It draws on stderr, and nothing at all where that is no terminal or another bar is being shown; it is gone when
    the block ends. Called outside the block it does nothing.

    Attributes:
        objective: one of `dlco.optimize.budget.OBJECTIVES`, which says the unit of what is reported.
    """

    _shown: "ProgressBar | None" = None  # of all bars of the process

    def __init__(self, objective: str = "edp") -> None:
        self.objective = objective
        self._display: RichProgress | None = None

    def __enter__(self) -> Self:
        if ProgressBar._shown is None and sys.stderr.isatty():
            ProgressBar._shown = self
            self._display = RichProgress(
                TextColumn("{task.description}"),
                BarColumn(),
                TaskProgressColumn(),
                TextColumn("{task.fields[best]}"),
                TimeElapsedColumn(),
                console=Console(stderr=True),
                redirect_stdout=False,  # it is not the bar's
                transient=True,
                refresh_per_second=5,
            )
            self._display.add_task("start", total=1.0, best="")
            self._display.start()
        return self

    def __call__(self, progress: Progress) -> None:
        """Show a report."""
        if self._display is not None:
            best = "" if progress.best is None else f"best {objective_text(self.objective, progress.best)}"
            task = self._display.task_ids[0]
            self._display.update(task, description=escape(progress.phase), completed=progress.done, best=best)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._display is not None:
            ProgressBar._shown = None
            self._display.stop()
            self._display = None
