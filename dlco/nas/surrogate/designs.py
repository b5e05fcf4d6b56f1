"""`Designs`: what a surrogate's search may choose, as points of a convex region and back."""

from abc import ABC, abstractmethod
from collections.abc import Hashable, Sequence
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor

from dlco.nas.request import CoRequest, Pair
from dlco.nas.rounding import round_network
from dlco.nas.space import FactoredSpace, Network, NetworkSpace
from dlco.relax import onto_simplex
from dlco.search import MachineIndex

D = TypeVar("D", bound=Hashable)
KNOWN = 256  # networks drawn to look for the nearest among, where a space has no decisions to round


class Designs(ABC, Generic[D]):
    """A set of designs, each a point of coordinates about 1 wide."""

    @abstractmethod
    def sample(self, n: int, generator: torch.Generator) -> list[D]:
        """`n` designs at random."""

    @abstractmethod
    def encode(self, designs: Sequence[D]) -> Tensor:
        """Their points, `[n, features]`, float32."""

    def sides(self, features: int) -> tuple[int, ...]:
        """How many of the features of a point each side of a design has."""
        return (features,)

    @abstractmethod
    def project(self, points: Tensor) -> Tensor:
        """The nearest points of the region around all designs, `[n, features]`."""

    @abstractmethod
    def nearest(self, points: Tensor, generator: torch.Generator) -> list[D]:
        """The design nearest to each of `[n, features]` points."""

    @abstractmethod
    def neighbours(self, design: D) -> list[D]:
        """The designs one change away."""


class Fixed(Designs[D]):
    """The one design that is allowed, with no coordinates."""

    def __init__(self, design: D) -> None:
        self.design = design

    def sample(self, n: int, generator: torch.Generator) -> list[D]:
        """That one."""
        return [self.design] * n

    def encode(self, designs: Sequence[D]) -> Tensor:
        """No features."""
        return torch.zeros(len(designs), 0)

    def project(self, points: Tensor) -> Tensor:
        """As they are."""
        return points

    def nearest(self, points: Tensor, generator: torch.Generator) -> list[D]:
        """That one."""
        return [self.design] * len(points)

    def neighbours(self, design: D) -> list[D]:
        """None."""
        return []


class Factored(Designs[Network]):
    """Networks made of decisions; the region is that of probabilities of the options."""

    def __init__(self, space: FactoredSpace) -> None:
        self.space = space
        sizes = torch.tensor(space.option_counts)
        self._there = torch.arange(int(sizes.max())) < sizes[:, None]
        # the feature of every option of every decision; the one behind the last stands for those that a decision lacks
        place = self._there.flatten().cumsum(0).view_as(self._there) - 1
        self._place = torch.where(self._there, place, sizes.sum())

    def sample(self, n: int, generator: torch.Generator) -> list[Network]:
        """`n` networks at random."""
        return self.space.sample(n, generator)

    def encode(self, designs: Sequence[Network]) -> Tensor:
        """One-hot."""
        return self.space.encode(designs).float()

    def project(self, points: Tensor) -> Tensor:
        """Probabilities: the point of each decision's simplex that is Euclid's nearest."""
        padded = torch.nn.functional.pad(points, (0, 1))[:, self._place]  # [n, decisions, options]
        certain = points.new_ones(len(self._place))
        return onto_simplex(padded.mT, certain, self._there.mT).mT[:, self._there]

    def nearest(self, points: Tensor, generator: torch.Generator) -> list[Network]:
        """The likeliest options; where these make no network, a valid one near them."""
        return [round_network(self.space, point, 1, generator)[0] for point in points.double()]

    def neighbours(self, design: Network) -> list[Network]:
        """All networks that differ in one decision."""
        return self.space.neighbours(design)


class Met(Designs[Any]):
    """Networks without decisions: some drawn at the start and all met since; the region is the box around the first.

    Args:
        space: of the networks.
        generator: of those drawn.
    """

    def __init__(self, space: NetworkSpace[Any], generator: torch.Generator) -> None:
        self.space = space
        self._met = list(dict.fromkeys(space.sample(KNOWN, generator)))
        self._points = space.encode(self._met).float()
        self._place = {network: at for at, network in enumerate(self._met)}
        self._low, self._high = self._points.amin(0), self._points.amax(0)

    def sample(self, n: int, generator: torch.Generator) -> list[Any]:
        """`n` of the first networks at random; new ones are met as neighbours of good ones."""
        return [self._met[i] for i in torch.randint(KNOWN, (n,), generator=generator).clamp(max=len(self._met) - 1)]

    def encode(self, designs: Sequence[Any]) -> Tensor:
        """As the space does."""
        new = [network for network in dict.fromkeys(designs) if network not in self._place]
        if new:
            self._points = torch.cat([self._points, self.space.encode(new).float()])
            self._place |= {network: len(self._met) + at for at, network in enumerate(new)}
            self._met += new
        return self._points[[self._place[network] for network in designs]]

    def project(self, points: Tensor) -> Tensor:
        """Into the box."""
        return points.clamp(self._low, self._high)

    def nearest(self, points: Tensor, generator: torch.Generator) -> list[Any]:
        """The networks met that are nearest, in the mean absolute difference."""
        return [self._met[i] for i in torch.cdist(points, self._points, p=1).argmin(1).tolist()]

    def neighbours(self, design: Any) -> list[Any]:
        """All networks one edit away."""
        return self.space.neighbours(design)


class Machines(Designs[MachineIndex]):
    """Machines within the limits on area and PEs; coordinates are positions on the grids, from 0 to 1.

    Args:
        request: of a co-search; some sizes of its hardware are free.
    """

    def __init__(self, request: CoRequest) -> None:
        self.request = request
        self._last = torch.tensor([max(1, length - 1) for length in request.machines.lengths], dtype=torch.float32)

    def sample(self, n: int, generator: torch.Generator) -> list[MachineIndex]:
        """`n` machines at random."""
        return self.request.sample_machines(n, generator)

    def encode(self, designs: Sequence[MachineIndex]) -> Tensor:
        """Positions on the grids, from 0 to 1."""
        return torch.tensor(designs, dtype=torch.float32).reshape(len(designs), len(self._last)) / self._last

    def project(self, points: Tensor) -> Tensor:
        """Into the box of all grids."""
        return points.clamp(0, 1)

    def nearest(self, points: Tensor, generator: torch.Generator) -> list[MachineIndex]:
        """The machines at the nearest positions, made smaller until they keep the limits."""
        machines, score = self.request.machines, self.request.score
        index = torch.minimum((points * self._last).round().long(), torch.tensor(machines.lengths) - 1)
        within = self.request.within(index).tolist()
        rows = [row if kept else machines.fitted(row, score) for row, kept in zip(index, within, strict=True)]
        return [tuple(row.tolist()) for row in rows]

    def neighbours(self, design: MachineIndex) -> list[MachineIndex]:
        """The machines one grid step away."""
        return self.request.neighbour_machines(design)


class Pairs(Designs[Pair]):
    """Networks on machines.

    Args:
        networks: one side.
        machines: the other one.
    """

    def __init__(self, networks: Designs[Any], machines: Designs[MachineIndex]) -> None:
        self.networks, self.machines = networks, machines
        self._width: int | None = None

    def sample(self, n: int, generator: torch.Generator) -> list[Pair]:
        """`n` pairs at random."""
        sides = self.networks.sample(n, generator), self.machines.sample(n, generator)
        return [Pair(*both) for both in zip(*sides, strict=True)]

    def encode(self, designs: Sequence[Pair]) -> Tensor:
        """Both sides' coordinates, the network's first."""
        networks = self.networks.encode([pair.network for pair in designs])
        self._width = networks.shape[1]
        return torch.cat([networks, self.machines.encode([pair.machine for pair in designs])], dim=1)

    def sides(self, features: int) -> tuple[int, ...]:
        """The network's and the machine's; one alone where the other is pinned."""
        assert self._width is not None, "encode some designs first"
        return tuple(n for n in (self._width, features - self._width) if n) or (features,)

    def project(self, points: Tensor) -> Tensor:
        """Side by side."""
        networks, machines = self._split(points)
        return torch.cat([self.networks.project(networks), self.machines.project(machines)], dim=1)

    def nearest(self, points: Tensor, generator: torch.Generator) -> list[Pair]:
        """Side by side."""
        networks, machines = self._split(points)
        sides = self.networks.nearest(networks, generator), self.machines.nearest(machines, generator)
        return [Pair(*both) for both in zip(*sides, strict=True)]

    def neighbours(self, design: Pair) -> list[Pair]:
        """Pairs that differ in one change of one side."""
        networks = [Pair(network, design.machine) for network in self.networks.neighbours(design.network)]
        return networks + [Pair(design.network, machine) for machine in self.machines.neighbours(design.machine)]

    def _split(self, points: Tensor) -> tuple[Tensor, Tensor]:
        assert self._width is not None, "encode some designs first"
        return points[:, : self._width], points[:, self._width :]


def networks_of(space: NetworkSpace[Any], generator: torch.Generator) -> Designs[Any]:
    """The networks of any space."""
    return Factored(space) if isinstance(space, FactoredSpace) else Met(space, generator)


def pairs_of(request: CoRequest, generator: torch.Generator) -> Pairs:
    """What a co-search may choose: a side that is pinned stays where it is."""
    networks = networks_of(request.space, generator) if request.network is None else Fixed(request.network)
    return Pairs(networks, Machines(request) if request.machine is None else Fixed(request.machine))
