"""`State`: what a run has found so far, and how far it is."""

from collections.abc import Callable
from contextlib import suppress
from math import inf

from dlco.design.history import History
from dlco.interrupts import Interrupts
from dlco.mapping.mapping import Mapping
from dlco.optimize.diagnosis import Diagnosis
from dlco.progress import Listener, Progress
from dlco.search.designs import Design, Starts
from dlco.search.score import BROKEN


class State:
    """What a run has found so far, whatever ends it, and how far it is, which a listener is told.

    Attributes:
        interrupts: what Ctrl-C does meanwhile; `interrupted`: whether the run was ended by it.
        history: the moments of the run; `improvements`: (seconds, objective) of each better design within the limits.
        best: the best design so far, None before the first.
        pool: mappings found for different machines, which steps of the sizes start from too.
        mappings: the best design's by layer name, where others are known for it than a design can hold: of factors
            that need not divide the bounds, of other bypasses, uneven ones.
        lower: what is proved that no design goes below, None before a proof; `proof`: how, in words.
        diagnosis: why no design keeps the budget, where that was looked for.
        part: shares of the whole run between which its present part lies.
    """

    def __init__(self, listener: Listener) -> None:
        self.listener = listener
        self.interrupts = Interrupts()
        self.interrupted = False
        self.history = History()
        self.improvements: list[tuple[float, float]] = []
        self.best: Design | None = None
        self.pool: list[Starts] = []
        self.mappings: dict[str, Mapping] | None = None
        self.lower: float | None = None
        self.proof = ""
        self.diagnosis: Diagnosis | None = None
        self.part = 0.0, 1.0
        self._phase, self._done = "relax", 0.0

    @property
    def least(self) -> float:
        """The least objective found within the limits, infinite before the first."""
        return self.improvements[-1][1] if self.improvements else inf

    @property
    def is_found(self) -> bool:
        """Whether there is a design whose mappings fit."""
        return self.best is not None and self.best.score < inf

    def keep(self, design: Design, value: float) -> None:
        """Take a design, of this objective, where it is better than the best."""
        if self.mappings is not None and not (design.score < BROKEN and value < self.least):
            return
        if self.best is None or design.score < self.best.score:
            self.best, self.mappings = design, None
            if design.score < BROKEN:
                self.improve(value)

    def improve(self, value: float) -> None:
        """Note the objective of a design within the limits that is better than those before."""
        self.improvements.append((self.history.seconds, value))
        self.history.note(self._phase, best=value)

    def prove(self, bound: float) -> None:
        """Note what is proved of the objective."""
        self.history.note(self._phase, bound=bound)

    def report(self, phase: str, done: float) -> None:
        """Tell how far the run is, at a share of its present part; raises `KeyboardInterrupt` to end it."""
        self.interrupts.check()
        self._phase, self._done = phase, done
        begin, end = self.part
        self._report(phase, begin + (end - begin) * done)

    def report_again(self) -> None:
        """Tell that the run goes on."""
        self.report(self._phase, self._done)

    def reports(self, phase: str, begin: float, end: float) -> Callable[[float], None]:
        """Takes shares of what lies between two shares of the present part, and reports them."""
        return lambda share: self.report(phase, begin + (end - begin) * share)

    def end(self, best: float | None, bound: float | None) -> None:
        """Note what the run comes to and, unless it was interrupted, tell its end: too late to stop anything."""
        self.history.note("done", best=best, bound=bound)
        if best is not None and not self.improvements:
            self.improvements.append((self.history.seconds, best))
        if not self.interrupted:
            with suppress(KeyboardInterrupt):
                self._report("done", 1.0)

    def _report(self, phase: str, done: float) -> None:
        self.history.note(phase)
        best = self.least if self.improvements else None
        self.listener(Progress(phase, done, best, self.history.seconds, self.history.points[-1].bound))
