"""A co-search small enough that every pair can be looked at: 27 networks, 12 machines, an accuracy in closed form."""

import torch
from torch import Tensor

from dlco import HardwareSpace, conv2d
from dlco.hardware import eyeriss_like
from dlco.hardware.parameter import Parameter
from dlco.hardware.technology import TECHNOLOGY_45NM
from dlco.nas import Decision, Factor, FactoredSpace, Network
from dlco.search import Effort
from dlco.workload import Layer

WIDTHS = (8, 16, 32)
FAST = Effort(rounds=5, patience=3, population=3, neighbours=6, islands=1)  # of a layer on a machine
WORTH = torch.tensor([0.0, 3.0, 5.0, 0.0, 2.0, 3.0, 0.0, 4.0, 6.0], dtype=torch.float64)


def conv(width: int, size: int) -> Layer:
    return conv2d(f"conv{width}_{size}", N=1, C=8, M=width, P=size, Q=size, R=3, S=3)


def make_space() -> FactoredSpace:
    """Three decisions about a width; a first layer that is always there."""
    decisions = [Decision(f"stage{i}", tuple(map(str, WIDTHS))) for i in range(3)]
    factors = [Factor((), {(): (conv(8, 4),)})]
    for i, size in enumerate((8, 4, 4)):
        factors.append(Factor((i,), {(k,): (conv(width, size),) for k, width in enumerate(WIDTHS)}))
    return FactoredSpace("small", decisions, factors)


def make_hardware() -> HardwareSpace:
    """Array and shared buffer of the Eyeriss-like machine."""
    kib = 1024 * 8 // 16
    return HardwareSpace(
        eyeriss_like(),
        (
            Parameter("shared_glb", "fanout_x", (4, 8, 14)),
            Parameter("shared_glb", "capacity", (16 * kib, 64 * kib, 108 * kib, 256 * kib)),
        ),
        TECHNOLOGY_45NM,
    )


class Linear:
    """Accuracy 80 % and what each option is worth; differentiable."""

    def __init__(self, space: FactoredSpace) -> None:
        self.space = space
        self.asked: list[Network] = []

    def accuracy(self, networks: list[Network]) -> Tensor:
        self.asked += networks
        return self.accuracy_of_encoding(self.space.encode(networks))

    def accuracy_of_encoding(self, encoding: Tensor) -> Tensor:
        return 80 + encoding @ WORTH


class Opaque:
    """The same accuracy without a gradient."""

    def __init__(self, space: FactoredSpace) -> None:
        self.space, self._inner = space, Linear(space)

    def accuracy(self, networks: list[Network]) -> Tensor:
        return self._inner.accuracy(networks)
