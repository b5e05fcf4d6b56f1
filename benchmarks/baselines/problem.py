"""`Task`: what every baseline is asked, the same for all of them.

A machine is a row of grid positions, `[parameters]`; on a fixed machine that row is empty. A mapping is, as in
`dlco.search.group`, an assignment of prime units to slots and a position of every temporal loop in its level.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import torch

from dlco.design.budget import Budget
from dlco.design.objective import Objective
from dlco.errors import InvalidInput
from dlco.hardware.architecture import Architecture, Machine
from dlco.hardware.space import HardwareSpace, as_space
from dlco.search.group import Group, make_groups
from dlco.search.score import Score
from dlco.workload.layer import Layer, check_layers

REDRAWS = 200


@dataclass(frozen=True, eq=False)
class Task:
    """A network, the hardware it may run on, and what counts.

    Attributes:
        layers: the network.
        hardware: the machines to choose from.
        score: objective and limits; a baseline minimises it.
    """

    layers: tuple[Layer, ...]
    hardware: HardwareSpace
    score: Score

    @staticmethod
    def of(
        layers: Iterable[Layer],
        hardware: Architecture | HardwareSpace,
        objective: str = "edp",
        budget: Budget | None = None,
    ) -> "Task":
        """The task that `dlco.solve` has under the same arguments.

        Raises:
            InvalidInput: an unknown objective, or a limit on anything but area, power, latency and energy.
        """
        budget = budget or Budget()
        for name, value in vars(budget).items():
            if value is not None and name not in budget.limits:
                raise InvalidInput(f"budget {name} is {value!r}; a baseline knows limits on the network's totals only")
        space = as_space(hardware)
        return Task(check_layers(layers), space, Score(Objective.parse(objective), budget, space.base.cycle_s))

    @property
    def base(self) -> Architecture:
        """The machine that the space is around."""
        return self.hardware.base

    @cached_property
    def groups(self) -> tuple[Group, ...]:
        """The layers by structure; what is `[layers]` in a method runs through them in this order."""
        return make_groups(self.layers, self.base, self.hardware.free_fanouts)

    @cached_property
    def counts(self) -> torch.Tensor:
        """`[layers]` executions."""
        return torch.tensor([float(x.count) for group in self.groups for x in group.layers], dtype=torch.float64)

    @cached_property
    def lengths(self) -> torch.Tensor:
        """`[parameters]` values on each grid."""
        return torch.tensor([len(p.grid) for p in self.hardware.parameters], dtype=torch.long)

    def machines(self, index: torch.Tensor) -> Machine:
        """Machines of batch shape `[n]` from grid positions `[n, parameters]`."""
        return self.hardware.machines_at(index)

    def architecture(self, index: torch.Tensor) -> Architecture:
        """The machine at grid positions `[parameters]`."""
        return self.hardware.architecture_at(index)

    def draw_machines(self, n: int, generator: torch.Generator) -> torch.Tensor:
        """`[n, parameters]` uniform grid positions, those over the area limit redrawn (for a while)."""
        limit = self.score.budget.area_mm2

        def draw(rows: int) -> torch.Tensor:
            noise = torch.rand(rows, len(self.lengths), generator=generator, dtype=torch.float64)
            return (noise * self.lengths).long()

        index = draw(n)
        for _ in range(REDRAWS):
            if limit is None or not len(self.lengths):
                break
            wrong = self.machines(index).area_mm2 > limit
            if not bool(wrong.any()):
                break
            index[wrong] = draw(int(wrong.sum()))
        return index

    def within_area(self, index: torch.Tensor) -> torch.Tensor:
        """Grid positions `[parameters]` stepped down until the machine is within the area limit, if it can be.

        Every step takes the size that saves the most area for what it loses, in logs.
        """
        limit = self.score.budget.area_mm2
        while limit is not None and bool(index.any()):
            area = self.machines(index[None]).area_mm2
            if float(area) <= limit:
                break
            lower = index - torch.eye(len(index), dtype=torch.long)[index > 0]
            lost = (self.hardware.index_to_sizes(index) / self.hardware.index_to_sizes(lower)).log().sum(-1)
            index = lower[((area - self.machines(lower).area_mm2) / lost).argmax()]
        return index
