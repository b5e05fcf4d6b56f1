"""AccelBench's cycle rule: how long its MAC lanes take for a layer."""

from collections import Counter
from collections.abc import Iterable
from functools import lru_cache
from itertools import product
from math import prod

import torch

from dlco.errors import InvalidInput
from dlco.hardware.accelbench.figures import NUMBERS, figures, parts
from dlco.workload.layer import Layer
from dlco.workload.problem import Problem

BATCH = NUMBERS.index("batch")
SIDES = tuple(
    NUMBERS.index(name)
    for name in (
        "x_parallel",
        "y_parallel",
        "input_channel_parallel",
        "output_channel_parallel",
        "kernel_x_parallel",
        "kernel_y_parallel",
    )
)


def lane_cycles(vectors: torch.Tensor, layers: Iterable[Layer]) -> torch.Tensor:
    """Cycles of the MAC lanes for one execution of each layer on each accelerator's `batch` of images.

    A layer is cut into tiles of 4 images x 64 x 64 inputs x 64 input channels x 4 output channels, the last ones short.
    Each takes the product of ceil(extent / parallelism) over images, rows (x), columns (y) and channels of its output,
    and kernel rows and columns, times (1 - 0.5)(1 - 0.5) 0.8 for sparsity and overlap, rounded up. A product of
    matrices (a linear layer: one output position, one tap) takes its MACs over the machine's, times the same 0.2.

    Its network then takes the larger of the sum of these and of the waits for main memory, plus batch normalisation
    and pooling one after the other: no time of a single layer, so none of this is here. Nor are stalls of any kind
    simulated there. As the layers carry no padding, the inputs of a convolution are taken to be stride x outputs.

    Args:
        vectors: `[..., 13]`, on any device.
        layers: convolutions, grouped and depthwise ones, linear layers or products of matrices; images of the layer
            itself (N) multiply `batch`.

    Returns:
        `[..., layers]` whole numbers, float64.

    Raises:
        InvalidInput: the last dimension is not 13, or a layer of another kind.
    """
    parts(vectors)  # checks
    vectors = vectors.to(torch.float64)
    columns = [_cycles(vectors, layer) for layer in layers]
    if not columns:
        raise InvalidInput("layers is empty; it must hold at least one Layer")
    return torch.stack(columns, -1)


def _cycles(vectors: torch.Tensor, layer: Layer) -> torch.Tensor:
    """Cycles `[...]` of one layer."""
    table = figures()
    share = (1.0 - table["activation_sparsity"]) * (1.0 - table["weight_sparsity"]), table["overlap"]
    sizes = layer.problem.sizes
    images = vectors[..., BATCH]
    if is_product(layer.problem):
        found = parts(vectors)
        macs = images * layer.problem.macs
        return ((macs / (found.pes * found.lanes * found.macs)).ceil() * share[0] * share[1]).ceil()
    extents, numbers = _tiles(layer.problem)
    sides = vectors[..., list(SIDES)]
    work = (extents.to(vectors.device) / sides[..., None, :]).ceil().prod(-1)  # [..., tiles]
    number = numbers.to(vectors.device)
    images = images * sizes.get("N", 1)
    total = torch.zeros_like(images)
    parallel, deep = vectors[..., NUMBERS.index("batch_parallel")], table["tile"]["batch"]
    full = (images / deep).floor()
    for height, times in ((torch.full_like(images, deep), full), (images - deep * full, (images > deep * full) * 1.0)):
        tile = ((height / parallel).ceil()[..., None] * work * share[0] * share[1]).ceil()
        total = total + times * (tile * number).sum(-1)
    return total


def is_product(problem: Problem) -> bool:
    """Whether AccelBench runs the problem as a product of matrices."""
    if problem.name == "MatMul":
        return True
    positions = [problem.sizes.get(dim, 1) for dim in ("P", "Q", "R", "S")]
    return "M" in problem.sizes and "G" not in problem.sizes and prod(positions) == 1


@lru_cache(4096)
def _tiles(problem: Problem) -> tuple[torch.Tensor, torch.Tensor]:
    """Extents `[tiles, 6]` (rows, columns, channels in and out, kernel rows and columns) and how often each occurs.

    Raises:
        InvalidInput: the problem is no convolution over two axes.
    """
    sizes = problem.sizes
    if problem.name != "CNN_Layer" or not set("CRSPQ") <= set(sizes) or set(sizes) - set("GCMRSNPQ"):
        raise InvalidInput(f"problem has dimensions {', '.join(sizes)}; AccelBench runs 2-D convolutions and products")
    tile = figures()["tile"]
    depthwise = "M" not in sizes
    groups = sizes["C"] if depthwise else sizes.get("G", 1)
    channels = (1, 1) if depthwise else (sizes["C"], sizes["M"])
    ways = (
        _outputs(sizes["P"], _stride(problem, "P"), tile["x"]),
        _outputs(sizes["Q"], _stride(problem, "Q"), tile["y"]),
        _outputs(channels[0], 1, tile["input_channels"]),
        _outputs(channels[1], 1, tile["output_channels"]),
        Counter({sizes["R"]: 1}),
        Counter({sizes["S"]: 1}),
    )
    rows = list(product(*(way.items() for way in ways)))
    extents = [[extent for extent, _ in row] for row in rows]
    numbers = [groups * prod(number for _, number in row) for row in rows]
    return torch.tensor(extents, dtype=torch.float64), torch.tensor(numbers, dtype=torch.float64)


def _outputs(outputs: int, stride: int, side: int) -> Counter[int]:
    """Outputs of each tile of `side` inputs, and how many tiles have as many.

    From the first input over the stride to the last one over it, both rounded down: where the stride does not divide
    the side, neighbours share an output, as they do in AccelBench.
    """
    inputs = outputs * stride
    ends = ((first, min(first + side, inputs) - 1) for first in range(0, inputs, side))
    return Counter(last // stride - first // stride + 1 for first, last in ends)


def _stride(problem: Problem, dim: str) -> int:
    """The coefficient of an output dimension in the inputs."""
    terms = [term for rank in problem.dataspace("Inputs").projection for term in rank]
    return next(coefficient for name, coefficient in terms if name == dim)
