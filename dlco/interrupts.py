"""Ctrl-C: it ends a search, and never loses what the search has found.

Python raises `KeyboardInterrupt` between any two instructions, also where an answer is on its way to whoever asked.
While a block of `held` runs, an interrupt is only noted, but for the parts of it that ask to be ended by one:

    with held() as interrupts:
        try:
            with interrupts.heard():
                search()
        except KeyboardInterrupt:
            ...  # however often Ctrl-C is pressed, none comes here
        return finish()

Blocks within blocks share what is noted. Where Ctrl-C has been given another meaning than Python's own, or in a thread
that it does not reach, the blocks change nothing.
"""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import current_thread, main_thread
from types import FrameType
from typing import TypeVar

import torch

Result = TypeVar("Result")

AT_MOST = 100  # times that `Interrupts.insist` begins anew


class Interrupts:
    """What happens at Ctrl-C.

    Attributes:
        noted: whether one came that has ended nothing yet.
    """

    def __init__(self) -> None:
        self.noted = False
        self._open = False  # whether the next one is raised

    def hear(self, number: int, frame: FrameType | None) -> None:
        """The handler of SIGINT: raises `KeyboardInterrupt` once a block of `heard`."""
        self.noted = True
        if self._open:
            self._open = False
            raise KeyboardInterrupt

    def check(self) -> None:
        """Raise `KeyboardInterrupt` where one was noted, or where Python lost it on the way (within a `__del__`)."""
        if self.noted:
            self._open = self.noted = False
            raise KeyboardInterrupt

    @contextmanager
    def heard(self) -> Iterator[None]:
        """While the block runs, an interrupt ends it; at once where one was noted before."""
        before = self._open
        try:
            self._open = True
            self.check()
            yield
        except KeyboardInterrupt:
            self.noted = False
            raise
        finally:
            self._open = before

    def insist(self, work: Callable[[], Result]) -> Result:
        """What `work` returns, begun anew after an interrupt, which is noted: for what is short and must not be lost.

        While interrupts are held no Ctrl-C comes; but what listens to a search may raise `KeyboardInterrupt` any time.
        """
        for tried in range(AT_MOST):
            try:
                result = work()
            except KeyboardInterrupt:
                continue
            self.noted |= tried > 0
            return result
        return work()


@contextmanager
def held() -> Iterator[Interrupts]:
    """While the block runs, Ctrl-C is noted and raises nothing; see the module's head."""
    handler = signal.getsignal(signal.SIGINT)
    outer = getattr(handler, "__self__", None)
    if current_thread() is not main_thread():
        yield Interrupts()
    elif isinstance(outer, Interrupts):
        before, outer._open = outer._open, False
        try:
            yield outer
        finally:
            outer._open = before
    elif handler is not signal.default_int_handler:
        yield Interrupts()
    else:
        interrupts = Interrupts()
        signal.signal(signal.SIGINT, interrupts.hear)
        try:
            torch.broadcast_shapes((1,), (1,))  # loads sympy the first time: an import that is cut off leaves a ruin
            yield interrupts
        finally:
            signal.signal(signal.SIGINT, handler)
