"""`CoRequest`: what a co-search is asked for; pairs of a network and a machine, and how they rank."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from dlco.design.budget import TOTALS, Budget
from dlco.design.codesign import POINT
from dlco.design.network_cost import NetworkCost
from dlco.design.objective import ACCURACY, Objective, parse_goal
from dlco.design.weighted_sum import SUM, WeightedSum
from dlco.errors import InvalidInput
from dlco.hardware.accelbench import AccelBenchSpace
from dlco.hardware.architecture import Architecture
from dlco.hardware.space import HardwareSpace
from dlco.nas.machines import Machines, is_index, machines_of
from dlco.nas.oracles.accuracy import Accuracy, check_oracle
from dlco.nas.space import NetworkSpace
from dlco.search import BROKEN, MachineIndex, Score

LIMITS_HERE = (*TOTALS, "pe_count")
NO_LIMITS = Budget()
TIE = 1e-6  # where accuracy is maximised, what the log of the EDP counts beside it


@dataclass(frozen=True)
class Pair:
    """A network on a machine: `network` as its space has it, `machine` by grid positions (empty where it is fixed)."""

    network: Any
    machine: MachineIndex


@dataclass(frozen=True)
class Candidate:
    """A pair that has been evaluated.

    Attributes:
        pair: which.
        accuracy: percent; `cost`: of the network on the machine.
        chosen: for each layer which of its mappings there, as `LayerCosts.mapping` takes it.
        merit: lower is better; from `BROKEN` where a limit is broken.
    """

    pair: Pair
    accuracy: float
    cost: NetworkCost
    chosen: tuple[int, ...]
    merit: float

    @property
    def feasible(self) -> bool:
        """Whether all limits hold."""
        return self.merit < BROKEN


@dataclass(frozen=True)
class CoRequest:
    """A question to the co-search, checked when it is made.

    Attributes:
        space: the networks; `oracle`: their accuracies.
        hardware: the machines.
        objective: one of `GOALS`: accuracy, which is to be large, or an `Objective`, which is to be small; or a
            weighted sum, which is divided by the budget's limits unless it says by what.
        budget: limits on the pair: area, power, latency, energy, PEs.
        least_accuracy: percent that the network must have, or None.
        network: the only network allowed, or None; `machine`: the only machine allowed, or None.

    Raises:
        InvalidInput: a field is not what it should be, or the budget limits something else.
    """

    space: NetworkSpace[Any]
    oracle: Accuracy
    hardware: HardwareSpace | AccelBenchSpace
    objective: str | WeightedSum = Objective.EDP
    budget: Budget = NO_LIMITS
    least_accuracy: float | None = None
    network: Any = None
    machine: MachineIndex | None = None
    _near: dict[MachineIndex, list[MachineIndex]] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        check_oracle(self.space, self.oracle)
        if not isinstance(self.budget, Budget):
            raise InvalidInput(f"budget is {self.budget!r}; it must be a dlco.Budget")
        goal = self.objective
        goal = goal.against(self.budget) if isinstance(goal, WeightedSum) else parse_goal(goal)
        object.__setattr__(self, "objective", goal)
        for item in fields(self.budget):
            if item.name not in LIMITS_HERE and getattr(self.budget, item.name) is not None:
                raise InvalidInput(
                    f"budget {item.name} is set; a co-search limits {', '.join(LIMITS_HERE)} "
                    "(limit single levels by the grids of the hardware space)"
                )
        least = self.least_accuracy
        if least is not None and (
            isinstance(least, bool) or not isinstance(least, int | float) or not 0 <= least <= 100
        ):
            raise InvalidInput(f"least_accuracy is {least!r}; it must be a percentage between 0 and 100, or None")
        if self.network is not None:
            self.space.check(self.network)
        if self.machine is not None:
            object.__setattr__(self, "machine", self._checked(self.machine))
        elif self.machines.is_fixed:
            object.__setattr__(self, "machine", (0,) * len(self.machines.lengths))

    def _checked(self, machine: Sequence[int]) -> MachineIndex:
        if not is_index(machine):
            raise InvalidInput(f"machine is {machine!r}; it must be a tuple of grid positions, or None")
        self.machines.sizes(tuple(machine))  # raises where it is none of the space
        return tuple(machine)

    @cached_property
    def machines(self) -> Machines:
        """The hardware as searches see it."""
        return machines_of(self.hardware)

    @property
    def sized_hardware(self) -> HardwareSpace:
        """The hardware where layers are mapped on it.

        Raises:
            InvalidInput: it is AccelBench's, which has one mapping of its own.
        """
        if isinstance(self.hardware, AccelBenchSpace):
            raise InvalidInput("hardware is AccelBench's, whose mapping is fixed; it must be a dlco.HardwareSpace")
        return self.hardware

    @property
    def by_accuracy(self) -> bool:
        """Whether it is accuracy that is to be as good as possible."""
        return self.objective == ACCURACY

    @property
    def cost_objective(self) -> Objective:
        """The objective of a network's costs on a machine; EDP where it is accuracy or a sum."""
        return Objective.EDP if self.by_accuracy or self.weights else Objective(str(self.objective))

    @property
    def goal(self) -> str:
        """What the objective is called."""
        return SUM if self.weights else str(self.objective)

    @property
    def weights(self) -> WeightedSum | None:
        """The objective where it is a sum."""
        return self.objective if isinstance(self.objective, WeightedSum) else None

    @property
    def score(self) -> Score:
        """How a network's costs on a machine rank."""
        cycle_s = self.machines.cycle_s
        goal = self.weights.costs(cycle_s) if self.weights else self.cost_objective
        return Score(goal, self.budget, cycle_s)

    def merit(self, accuracy: Tensor, score: Tensor) -> Tensor:
        """How pairs rank, lower is better: all that keep the limits before all that do not.

        Args:
            accuracy: `[n]`, percent.
            score: `[n]` of their costs, as `score` has it.

        Returns:
            `[n]`, from `BROKEN` where a limit is broken.
        """
        short = ((self.least_accuracy or 0.0) - accuracy).clamp(min=0)
        broken = (score - BROKEN).clamp(min=0) + POINT * short
        kept = -accuracy + TIE * score if self.by_accuracy else score
        if self.weights:
            kept = self.weights.log_value(score, accuracy)
        return torch.where((short > 0) | (score >= BROKEN), BROKEN + broken, kept)

    def value(self, candidate: Candidate) -> float:
        """The objective's figure: percent, the sum, or as `NetworkCost.objective` has it (s, pJ, W, mm2, ...)."""
        if self.weights:
            return self.weights.of_pair(candidate.accuracy, candidate.cost)
        return candidate.accuracy if self.by_accuracy else candidate.cost.objective(self.cost_objective)

    def with_pins(self, network: Any, machine: MachineIndex | None) -> "CoRequest":
        """The same question with only one network or machine allowed, or with these set free."""
        return replace(self, network=network, machine=machine)

    @property
    def base_machine(self) -> MachineIndex:
        """The machine of the space nearest to its base: the published one where it lies on the grid."""
        return self.machines.base

    def architecture(self, machine: MachineIndex) -> Architecture:
        """The machine at grid positions."""
        return self.sized_hardware.architecture_at(torch.tensor(machine, dtype=torch.long))

    def sample_networks(self, n: int, generator: torch.Generator) -> list[Any]:
        """Networks at random, or the one allowed `n` times."""
        return [self.network] * n if self.network is not None else self.space.sample(n, generator)

    def sample_machines(self, n: int, generator: torch.Generator) -> list[MachineIndex]:
        """Machines at random within the limits on area and PEs (where so few keep them, also others)."""
        if self.machine is not None:
            return [self.machine] * n
        found: list[MachineIndex] = []
        for attempt in range(20):
            index = self.machines.sample(4 * n, generator)
            if attempt < 19:
                index = index[self.within(index)]
            found += [tuple(row) for row in index.tolist()]
            if len(found) >= n:
                break
        return found[:n]

    def sample_pairs(self, n: int, generator: torch.Generator) -> list[Pair]:
        """Pairs at random."""
        sides = self.sample_networks(n, generator), self.sample_machines(n, generator)
        return [Pair(network, machine) for network, machine in zip(*sides, strict=True)]

    def within(self, index: Tensor) -> Tensor:
        """Whether machines `[n, parameters]` keep the limits on area, PEs and sizes, BoolTensor `[n]`."""
        return self.machines.within(index, self.score)

    def neighbour_networks(self, network: Any) -> list[Any]:
        """Networks one decision away; none where only one is allowed."""
        return [] if self.network is not None else self.space.neighbours(network)

    def neighbour_machines(self, machine: MachineIndex) -> list[MachineIndex]:
        """Machines one grid step away, within the limits if any is; none where only one is allowed."""
        if self.machine is not None:
            return []
        if machine not in self._near:  # a walk asks for the same ones again and again
            near = self.machines.neighbours(torch.tensor(machine))
            within = near[self.within(near)]
            self._near[machine] = [tuple(row) for row in (within if len(within) else near).tolist()]
        return self._near[machine]
