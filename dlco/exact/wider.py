"""A search among all factors that cover the bounds, which goes on from one among perfect factors."""

from abc import abstractmethod
from collections.abc import Callable
from functools import cached_property

import torch

from dlco.bound.compulsory import Floor, problem_floor
from dlco.cost.shape import bounds_row
from dlco.exact.best_first import FrontSearch
from dlco.hardware.space import as_space


class WiderSearch(FrontSearch):
    """What such searches have alike.

    Attributes:
        perfect: the search among perfect factors, which comes first.
        brief: whether to stop, with bounds open, where it would take longer than some seconds.
    """

    perfect: FrontSearch
    brief: bool

    @abstractmethod
    def _take_perfect(self) -> None:
        """Make the front that of perfect factors."""

    def _run_perfect(self, go_on: Callable[[], bool]) -> bool:
        """Search among perfect factors first; whether to go on."""
        try:
            self.perfect.run(go_on)
        finally:
            self._take_perfect()
        return go_on()

    @cached_property
    def _floor(self) -> Floor:
        """What no mapping goes below."""
        return problem_floor(self.tables.problem, as_space(self.tables.architecture))

    @cached_property
    def _covered(self) -> torch.Tensor:
        return bounds_row(self.tables.problem, self._machine.mac_pj)
