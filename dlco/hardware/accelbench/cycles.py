"""AccelBench's cycle rule: how long its MAC lanes take for a layer."""

from collections import Counter
from collections.abc import Iterable
from functools import lru_cache
from itertools import product
from math import gcd, prod
from typing import NamedTuple

import torch

from dlco.errors import InvalidInput
from dlco.hardware.accelbench.assumptions import PUBLISHED, Assumptions
from dlco.hardware.accelbench.figures import NUMBERS, figures, parts
from dlco.workload.layer import Layer
from dlco.workload.problem import Problem

LARGEST_STRIDE = 4096
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


def lane_cycles(vectors: torch.Tensor, layers: Iterable[Layer], assumptions: Assumptions = PUBLISHED) -> torch.Tensor:
    """Cycles of the MAC lanes for one execution of each layer on each accelerator's `batch` of images.

    A layer is cut into tiles of 4 images x 64 x 64 inputs x 64 input channels x 4 output channels, the last ones short.
    Each takes the product of ceil(extent / parallelism) over images, rows (x), columns (y) and channels of its output,
    and kernel rows and columns, times the share of MACs that zeros and overlap leave, rounded up; as published
    (1 - 0.5)(1 - 0.5) 0.8. A product of matrices (a linear layer: one output position, one tap) takes its MACs over the
    machine's, times the same 0.2.

    What a network takes beside these is in `network_costs`. As the layers carry no padding, the inputs of a
    convolution are taken to be stride x outputs.

    Args:
        vectors: `[..., 13]`, on any device.
        layers: convolutions, grouped and depthwise ones, linear layers or products of matrices; images of the layer
            itself (N) multiply `batch`.
        assumptions: of zeros and overlap.

    Returns:
        `[..., layers]` whole numbers, float64.

    Raises:
        InvalidInput: the last dimension is not 13, or a layer of another kind.
    """
    parts(vectors)  # checks
    vectors = vectors.to(torch.float64)
    columns = [problem_cycles(vectors, layer.problem, assumptions) for layer in layers]
    if not columns:
        raise InvalidInput("layers is empty; it must hold at least one Layer")
    return torch.stack(columns, -1)


def problem_cycles(vectors: torch.Tensor, problem: Problem, assumptions: Assumptions) -> torch.Tensor:
    """Those of one problem, `[...]` of vectors `[..., 13]`."""
    if is_product(problem):
        macs = torch.tensor(float(problem.macs), dtype=torch.float64, device=vectors.device)
        return product_cycles(vectors, macs, assumptions)
    extents, numbers = (table.to(vectors.device) for table in tiles_of_results(problem))
    return tile_cycles(vectors, float(problem.sizes.get("N", 1)), extents, numbers, assumptions)


def product_cycles(vectors: torch.Tensor, macs: torch.Tensor, assumptions: Assumptions) -> torch.Tensor:
    """Of products of matrices of so many MACs an image of the batch, `[...]`."""
    found = parts(vectors)
    return assumptions.kept_cycles((vectors[..., BATCH] * macs / (found.pes * found.lanes * found.macs)).ceil())


def tile_cycles(
    vectors: torch.Tensor,
    images: torch.Tensor | float,
    extents: torch.Tensor,
    numbers: torch.Tensor,
    assumptions: Assumptions,
) -> torch.Tensor:
    """Of tiles of results, `[...]`.

    Args:
        vectors: `[..., 13]`.
        images: of the layer itself for each of the batch, `[...]`.
        extents: of each tile, `[..., tiles, 6]`, as `tiles_of_results` has them.
        numbers: how often each occurs, `[..., tiles]`.
        assumptions: of zeros and overlap.
    """
    sides = vectors[..., list(SIDES)]
    work = (extents / sides[..., None, :]).ceil().prod(-1)  # [..., tiles]
    images = vectors[..., BATCH] * images
    total = torch.zeros_like(images)
    parallel, deep = vectors[..., NUMBERS.index("batch_parallel")], figures()["tile"]["batch"]
    full = (images / deep).floor()
    for height, times in ((torch.full_like(images, deep), full), (images - deep * full, (images > deep * full) * 1.0)):
        tile = assumptions.kept_cycles((height / parallel).ceil()[..., None] * work)
        total = total + times * (tile * numbers).sum(-1)
    return total


def is_product(problem: Problem) -> bool:
    """Whether AccelBench runs the problem as a product of matrices."""
    if problem.name == "MatMul":
        return True
    positions = [problem.sizes.get(dim, 1) for dim in ("P", "Q", "R", "S")]
    return "M" in problem.sizes and "G" not in problem.sizes and prod(positions) == 1


class Convolution(NamedTuple):
    """A convolution over two axes as AccelBench has it.

    Attributes:
        groups: each with as many channels in, `channels`, and out, `results`.
        outputs: rows and columns; `stride` and `kernel` likewise.
    """

    groups: int
    channels: int
    results: int
    outputs: tuple[int, int]
    stride: tuple[int, int]
    kernel: tuple[int, int]

    @classmethod
    def of(cls, problem: Problem) -> "Convolution":
        """What a problem says; `InvalidInput` where it is no convolution over two axes."""
        sizes = problem.sizes
        if problem.name != "CNN_Layer" or not set("CRSPQ") <= set(sizes) or set(sizes) - set("GCMRSNPQ"):
            raise InvalidInput(
                f"problem has dimensions {', '.join(sizes)}; AccelBench runs 2-D convolutions and products"
            )
        depthwise = "M" not in sizes
        groups, channels, results = (sizes["C"], 1, 1) if depthwise else (sizes.get("G", 1), sizes["C"], sizes["M"])
        stride = _stride(problem, "P"), _stride(problem, "Q")
        if max(stride) > LARGEST_STRIDE:
            raise InvalidInput(f"stride is {max(stride)}; AccelBench's rule is counted here up to {LARGEST_STRIDE}")
        return cls(groups, channels, results, (sizes["P"], sizes["Q"]), stride, (sizes["R"], sizes["S"]))

    @property
    def inputs(self) -> tuple[int, int]:
        """Rows and columns: stride x outputs, as layers carry no padding."""
        return self.outputs[0] * self.stride[0], self.outputs[1] * self.stride[1]


@lru_cache(4096)
def tiles_of_results(problem: Problem) -> tuple[torch.Tensor, torch.Tensor]:
    """Extents `[tiles, 6]` (rows, columns, channels in and out, kernel rows and columns) and how often each occurs.

    Raises:
        InvalidInput: the problem is no convolution over two axes.
    """
    shape, tile = Convolution.of(problem), figures()["tile"]
    ways = (
        _outputs(shape.outputs[0], shape.stride[0], tile["x"]),
        _outputs(shape.outputs[1], shape.stride[1], tile["y"]),
        _outputs(shape.channels, 1, tile["input_channels"]),
        _outputs(shape.results, 1, tile["output_channels"]),
        Counter({shape.kernel[0]: 1}),
        Counter({shape.kernel[1]: 1}),
    )
    rows = list(product(*(way.items() for way in ways)))
    extents = [[float(extent) for extent, _ in row] for row in rows]
    numbers = [float(shape.groups * prod(number for _, number in row)) for row in rows]
    return torch.tensor(extents, dtype=torch.float64), torch.tensor(numbers, dtype=torch.float64)


def _outputs(outputs: int, stride: int, side: int) -> Counter[int]:
    """Outputs of each tile of `side` inputs, and how many tiles have as many.

    From the first input over the stride to the last one over it, both rounded down: where the stride does not divide
    the side, neighbours share an output, as they do in AccelBench.
    """
    whole, rest = divmod(outputs * stride, side)
    period = stride // gcd(stride, side)  # of whole tiles, after which their first inputs are alike over the stride
    found: Counter[int] = Counter()
    for i in range(min(whole, period)):
        found[_between(i * side, side, stride)] += -(-(whole - i) // period)
    if rest:
        found[_between(whole * side, rest, stride)] += 1
    return found


def _between(first: int, length: int, stride: int) -> int:
    """Outputs from that of input `first` to that of the last of `length` inputs."""
    return (first + length - 1) // stride - first // stride + 1


def _stride(problem: Problem, dim: str) -> int:
    """The coefficient of an output dimension in the inputs."""
    terms = [term for rank in problem.dataspace("Inputs").projection for term in rank]
    return next(coefficient for name, coefficient in terms if name == dim)
