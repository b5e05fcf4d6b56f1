"""What whole networks cost on AccelBench's accelerators: cycles with waits for the main memory, energy, area, power.

The total, as the authors' program has it, is that of phases one after the other:

* the images are loaded;
* then the longest of: all loads of inputs, all loads of weights, the waits of convolutions for both, those of products,
  and the cycles of the MAC lanes, each summed over the network, as if everything overlapped perfectly;
* batch normalisation, pooling, means of whole maps, and upsampling, all of them serially.

Additions, scaling and activations take neither time nor energy there. Dynamic energy is the power of the units that
work over their cycles, the accesses of the buffers to what is loaded and dropped, and one access of the mask buffer a
load. The main memory's nJ an access is added to the DMA units' mW over the cycles of loads, as published; its type and
configuration change this and nothing else, as every one has the same 40,000 MB/s. Everything leaks all the time.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from dlco.errors import InvalidInput
from dlco.hardware.accelbench.assumptions import PUBLISHED, Assumptions
from dlco.hardware.accelbench.costs import POWER, area_mm2, buffer_nj, cycle_s, lane_power_w, leakage_w, main_memory_nj
from dlco.hardware.accelbench.figures import NUMBERS, figures, options, parts
from dlco.hardware.accelbench.loads import held_cubes
from dlco.hardware.accelbench.sheets import COLUMNS, PHASES, Sheet, columns_of, kind_of, sheet_of
from dlco.workload.layer import Layer, check_layers
from dlco.workload.problem import Problem

COLUMN = {name: i for i, name in enumerate(COLUMNS)}
OVERLAPPING = ("activation_loads", "weight_loads", "convolution_waits", "product_waits")
"""The longest of these and of the cycles of the lanes counts."""
UNITS = {
    "batch_norm": "batchnorm",
    "pooling": "pooling",
    "global_pooling": "global_average_pooling",
    "upsampling": "upsampling",
}
"""The module of a PE that works in a phase."""


@dataclass(frozen=True)
class NetworkCosts:
    """Costs `[...]` of networks on accelerators, one run of a network on the accelerator's batch of images.

    Attributes:
        cycles: all of them; `dynamic_j`, `leakage_j`: energy, J; `area_mm2`: of the accelerator.
        phases: cycles of each of `PHASES`, `[..., 11]`, some of which overlap.
    """

    cycles: Tensor
    dynamic_j: Tensor
    leakage_j: Tensor
    area_mm2: Tensor
    phases: Tensor

    @property
    def energy_j(self) -> Tensor:
        """Dynamic energy and leakage, J."""
        return self.dynamic_j + self.leakage_j

    @property
    def latency_s(self) -> Tensor:
        """Seconds for the whole batch."""
        return self.cycles * cycle_s()

    @property
    def power_w(self) -> Tensor:
        """Mean power, W."""
        return self.energy_j / self.latency_s


def network_costs(
    vectors: Tensor,
    layers: Sequence[Layer],
    activation: str = "ReLU",
    assumptions: Assumptions = PUBLISHED,
) -> NetworkCosts:
    """Costs of one network on many accelerators.

    Args:
        vectors: `[..., 13]`, of numbers that AccelBench has options for.
        layers: the network, its first layer first: that one reads the images.
        activation: that the MAC lanes are built for, as in `AccelBench`.
        assumptions: of zeros and normalisation.

    Raises:
        InvalidInput: the last dimension is not 13, a batch or buffer is none of the options, or a layer is of an
            operation that AccelBench has no unit for.
    """
    check_network(layers)
    flat = vectors.to(torch.float64).reshape(-1, vectors.shape[-1] if vectors.dim() else 0)
    places = _places(flat)
    total = torch.zeros(len(flat), len(COLUMNS), dtype=torch.float64)
    which = torch.zeros(len(flat), dtype=torch.long)
    for layer, first, times in _executions(layers):
        total += times * columns_of(flat, places, [_sheet(layer, first, assumptions)], which, assumptions)
    found = _costs(flat, places, total, activation, assumptions)
    shape = vectors.shape[:-1]
    return NetworkCosts(*(getattr(found, name).reshape(shape + getattr(found, name).shape[1:]) for name in vars(found)))


def pair_costs(
    vectors: Tensor,
    networks: Sequence[Sequence[Layer]],
    activation: str = "ReLU",
    assumptions: Assumptions = PUBLISHED,
) -> NetworkCosts:
    """Costs of pairs `[n]`: each of the networks on its own accelerator of `vectors` `[n, 13]`.

    Raises:
        InvalidInput: as `network_costs`.
    """
    places = _places(vectors)
    sheets: dict[tuple[Problem, str, bool], int] = {}
    known: list[Sheet] = []
    rows, which, times = [], [], []
    for row, layers in enumerate(networks):
        for layer, first, often in _executions(layers):
            at = sheets.setdefault((layer.problem, layer.operation, first), len(known))
            if at == len(known):
                known.append(_sheet(layer, first, assumptions))
            rows.append(row)
            which.append(at)
            times.append(float(often))
    row_of = torch.tensor(rows)
    there = places[0][row_of], places[1][row_of], places[2][row_of]
    columns = columns_of(vectors[row_of], there, known, torch.tensor(which), assumptions)
    total = torch.zeros(len(vectors), len(COLUMNS), dtype=torch.float64)
    total.index_add_(0, row_of, columns * torch.tensor(times, dtype=torch.float64)[:, None])
    return _costs(vectors, places, total, activation, assumptions)


def _costs(
    vectors: Tensor, places: tuple[Tensor, Tensor, Tensor], total: Tensor, activation: str, assumptions: Assumptions
) -> NetworkCosts:
    """The costs of networks whose layers add up to `total` `[n, columns]`."""
    pes, modules = parts(vectors).pes, figures()["pe_modules"]
    column = {name: total[:, i] for name, i in COLUMN.items()}
    lanes = column["convolutions"] + column["products"]
    longest = torch.stack([lanes, *(column[name] for name in OVERLAPPING)]).amax(0)
    cycles = longest + column["image_loads"]
    loads = column["image_loads"] + column["activation_loads"] + column["weight_loads"]
    mw = loads * (pes * modules["dma"][POWER] + main_memory_nj(vectors))  # times cycles
    for phase, module in UNITS.items():
        cycles = cycles + column[phase]
        mw = mw + column[phase] * pes * modules[module][POWER]
    watts = column["convolutions"] * lane_power_w(vectors, activation)
    watts = watts + column["products"] * lane_power_w(vectors, activation, im2col=0.0)
    nj = column["loads"] * buffer_nj(vectors, "mask")
    for buffer, place in (("activation", places[1]), ("weight", places[2])):
        loaded = column[f"{buffer}_cubes"]
        dropped = (loaded - held_cubes(buffer, assumptions)[place]).clamp(min=0)
        nj = nj + (loaded + dropped) * buffer_nj(vectors, buffer)
    return NetworkCosts(
        cycles=cycles,
        dynamic_j=(mw * 1e-3 + watts) * cycle_s() + nj * 1e-9,
        leakage_j=leakage_w(vectors, activation) * cycles * cycle_s(),
        area_mm2=area_mm2(vectors, activation),
        phases=total[:, : len(PHASES)],
    )


def check_network(layers: Sequence[Layer]) -> None:
    """Raise `InvalidInput`, naming the layer, unless AccelBench has units for what every one of the layers does."""
    for layer in check_layers(layers):
        try:
            kind_of(layer.problem, layer.operation)
        except InvalidInput as error:
            raise InvalidInput(f"layer {layer.name}: {error}") from None


def _sheet(layer: Layer, first: bool, assumptions: Assumptions) -> Sheet:
    return sheet_of(layer.problem, layer.operation, first, assumptions)


def _executions(layers: Sequence[Layer]) -> list[tuple[Layer, bool, int]]:
    """(layer, whether it reads the images, how often) of a network."""
    first, *others = layers
    found = [(first, True, 1), (first, False, first.count - 1), *((layer, False, layer.count) for layer in others)]
    return [one for one in found if one[2]]


def _places(vectors: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Places of batch, activation and weight buffer among their options, `[n]` each."""
    found = []
    for name in ("batch", "activation_mb", "weight_mb"):
        allowed = torch.tensor(options()[name], dtype=torch.float64)
        values = vectors[:, NUMBERS.index(name)]
        equal = values[:, None] == allowed
        if not bool(equal.any(-1).all()):
            wrong = float(values[~equal.any(-1)][0])
            raise InvalidInput(f"{name} is {wrong:g}; allowed: {', '.join(map(str, options()[name]))}")
        found.append(equal.long().argmax(-1))
    return found[0], found[1], found[2]
