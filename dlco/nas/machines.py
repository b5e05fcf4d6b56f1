"""`Machines`: what a co-search asks of the hardware it may choose from, of whatever kind that is."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor

from dlco.errors import InvalidInput
from dlco.hardware.accelbench import AccelBench, AccelBenchSpace
from dlco.hardware.accelbench.costs import area_mm2, cycle_s
from dlco.hardware.accelbench.figures import NUMBERS, parts
from dlco.hardware.space import HardwareSpace
from dlco.relax import round_sizes
from dlco.search import MachineIndex, Score


class Machines(ABC):
    """A set of machines, each the places of its choices among their options.

    Attributes:
        lengths: how many options each choice has; `names`: of the sizes of a machine (`sizes`).
        cycle_s: seconds a clock cycle.
    """

    lengths: tuple[int, ...]
    names: tuple[str, ...]
    cycle_s: float

    @property
    def is_fixed(self) -> bool:
        """Whether there is one machine alone."""
        return all(length == 1 for length in self.lengths)

    @property
    @abstractmethod
    def base(self) -> MachineIndex:
        """The machine to fix where one is to be fixed."""

    @abstractmethod
    def sizes(self, machine: MachineIndex) -> tuple[float, ...]:
        """A machine's sizes; raises `InvalidInput` where it is none of these."""

    @abstractmethod
    def contents(self, machine: MachineIndex) -> tuple[int, float]:
        """(MAC units, bits that its memories hold) of a machine."""

    @abstractmethod
    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """`n` machines at random, `[n, choices]`."""

    @abstractmethod
    def neighbours(self, machine: Tensor) -> Tensor:
        """The machines `[n, choices]` a step away from one `[choices]`."""

    @abstractmethod
    def within(self, index: Tensor, score: Score) -> Tensor:
        """Whether machines `[n, choices]` keep the limits on area, PEs and sizes, BoolTensor `[n]`."""

    @abstractmethod
    def brought_within(self, index: Tensor) -> Tensor:
        """Machines `[..., choices]` brought within the limits of the space itself."""

    @abstractmethod
    def fitted(self, index: Tensor, score: Score) -> Tensor:
        """A machine `[choices]` made smaller until it keeps the limits on area, PEs and sizes."""


class SizedMachines(Machines):
    """Those of a `HardwareSpace`, on which layers are mapped."""

    def __init__(self, hardware: HardwareSpace) -> None:
        self.hardware = hardware
        self.lengths = tuple(len(parameter.grid) for parameter in hardware.parameters)
        self.names, self.cycle_s = hardware.names, hardware.base.cycle_s

    @property
    def is_fixed(self) -> bool:
        """Whether nothing is free."""
        return self.hardware.is_fixed

    @property
    def base(self) -> MachineIndex:
        """The machine of the grid nearest to the space's base: the published one where it lies on the grid."""
        return tuple(self.hardware.brought_within(self.hardware.nearest(self.hardware.base_sizes)).tolist())

    def sizes(self, machine: MachineIndex) -> tuple[float, ...]:
        """As `Machines.sizes`."""
        self.hardware.architecture_at(torch.tensor(machine, dtype=torch.long))  # raises where it is none of the space
        grids = [parameter.grid for parameter in self.hardware.parameters]
        return tuple(grid[i] for grid, i in zip(grids, machine, strict=True))

    def contents(self, machine: MachineIndex) -> tuple[int, float]:
        """As `Machines.contents`."""
        architecture = self.hardware.architecture_at(torch.tensor(machine, dtype=torch.long))
        return architecture.macs, architecture.memory_bits

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """As `Machines.sample`."""
        return self.hardware.nearest(self.hardware.sample(n, generator))

    def neighbours(self, machine: Tensor) -> Tensor:
        """The machines one grid step away."""
        return self.hardware.neighbours(machine)

    def within(self, index: Tensor, score: Score) -> Tensor:
        """As `Machines.within`."""
        return self.hardware.within(index) & (score.machine_excess(self.hardware.machines_at(index)) <= 0)

    def brought_within(self, index: Tensor) -> Tensor:
        """As `Machines.brought_within`."""
        return self.hardware.brought_within(index)

    def fitted(self, index: Tensor, score: Score) -> Tensor:
        """As `Machines.fitted`."""
        return round_sizes(self.hardware, self.hardware.index_to_sizes(index), score.machine_excess)


class AccelBenchMachines(Machines):
    """Those of an `AccelBenchSpace`: 11 choices, which decide 13 numbers; no mapping is left to choose."""

    def __init__(self, hardware: AccelBenchSpace) -> None:
        self.hardware = hardware
        self.lengths, self.names, self.cycle_s = hardware.lengths, NUMBERS, cycle_s()

    @property
    def base(self) -> MachineIndex:
        """As `Machines.base`."""
        return tuple(self.hardware.index(self.hardware.base.tensor()).tolist())

    def machine(self, machine: MachineIndex) -> AccelBench:
        """The accelerator; raises `InvalidInput` where it is none of these."""
        if len(machine) != len(self.lengths) or not all(
            0 <= i < length for i, length in zip(machine, self.lengths, strict=True)
        ):
            raise InvalidInput(f"machine is {machine!r}; it must be {len(self.lengths)} places below {self.lengths}")
        vector = self.hardware.vectors(torch.tensor(machine, dtype=torch.long))
        return AccelBench.from_vector(vector, self.hardware.base.activation)

    def sizes(self, machine: MachineIndex) -> tuple[float, ...]:
        """The 13 numbers."""
        return tuple(map(float, self.machine(machine).vector))

    def contents(self, machine: MachineIndex) -> tuple[int, float]:
        """As `Machines.contents`; the buffers are its memories."""
        found = self.machine(machine)
        return found.macs, (found.activation_mb + found.weight_mb + found.mask_mb) * 2.0**23

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """As `Machines.sample`."""
        return self.hardware.index(self.hardware.sample(n, generator))

    def neighbours(self, machine: Tensor) -> Tensor:
        """The machines that differ in one choice: by one option, or in any main memory."""
        return self.hardware.neighbours_at(machine)

    def within(self, index: Tensor, score: Score) -> Tensor:
        """As `Machines.within`."""
        return self._excess(index, score) <= 0

    def brought_within(self, index: Tensor) -> Tensor:
        """As they are: any options go together."""
        return index

    def fitted(self, index: Tensor, score: Score) -> Tensor:
        """As `Machines.fitted`: by the step down that suffices and takes least area away, or else the one that most."""
        while float(self._excess(index, score)) > 0 and bool(index.any()):
            lower = (index - torch.eye(len(index), dtype=index.dtype))[index > 0]
            excess, area = self._excess(lower, score), self._silicon(lower)[0]
            if bool((excess >= self._excess(index, score)).all()):
                break
            index = lower[int(torch.where(excess <= 0, -area, excess).argmin())]
        return index

    def _silicon(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Areas, mm2, and numbers of MAC units, `[...]` each."""
        vectors = self.hardware.vectors(index)
        found = parts(vectors)
        return area_mm2(vectors, self.hardware.base.activation), found.pes * found.lanes * found.macs

    def _excess(self, index: Tensor, score: Score) -> Tensor:
        return score.silicon_excess(*self._silicon(index))


def machines_of(hardware: HardwareSpace | AccelBenchSpace) -> Machines:
    """What a co-search asks of some hardware."""
    return AccelBenchMachines(hardware) if isinstance(hardware, AccelBenchSpace) else SizedMachines(hardware)


def is_index(machine: object) -> bool:
    """Whether this is a sequence of whole numbers."""
    return isinstance(machine, Sequence) and all(type(i) is int for i in machine)
