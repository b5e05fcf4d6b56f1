"""`Sheet`: what one execution of a layer asks of AccelBench's accelerators, in figures that none of them changes.

Layers of many networks meet the same accelerators' numbers again and again, so what depends on layers alone is worked
out once, and all pairs of layers and accelerators are then costed together.
"""

from collections.abc import Sequence
from functools import lru_cache
from math import prod
from typing import NamedTuple

import torch
from torch import Tensor

from dlco.errors import InvalidInput
from dlco.hardware.accelbench.assumptions import Assumptions
from dlco.hardware.accelbench.cycles import (
    BATCH,
    Convolution,
    is_product,
    product_cycles,
    tile_cycles,
    tiles_of_results,
)
from dlco.hardware.accelbench.figures import options, parts
from dlco.hardware.accelbench.loads import kinds_of, layer_loads, tiles_of
from dlco.workload.layer import MULTIPLY
from dlco.workload.problem import Problem

PHASES = (
    "image_loads",
    "activation_loads",
    "weight_loads",
    "convolution_waits",
    "product_waits",
    "convolutions",
    "products",
    "batch_norm",
    "pooling",
    "global_pooling",
    "upsampling",
)
"""What cycles are counted of."""
COUNTS = ("activation_cubes", "weight_cubes", "loads")
"""What else is counted: cubes loaded into either buffer, and how many loads there were."""
COLUMNS = (*PHASES, *COUNTS)

FREE = ("add", "scale")  # operations of layers that AccelBench charges nothing for
WINDOW = 25  # words that the unit for means of whole maps takes at a time


class Work(NamedTuple):
    """What the units other than the memories do for one image of the batch; 0 for what a layer has not.

    Attributes:
        images: of the layer itself.
        product_macs: of a product.
        norm_words, norm_channels: of the normalisation behind a convolution.
        pooled, upsampled: results.
        means, mean_windows: results of means of whole maps, and 25 words at a time for each.
    """

    images: float = 1.0
    product_macs: float = 0.0
    norm_words: float = 0.0
    norm_channels: float = 0.0
    pooled: float = 0.0
    upsampled: float = 0.0
    means: float = 0.0
    mean_windows: float = 0.0


class Sheet(NamedTuple):
    """Of one execution of a layer.

    Attributes:
        by_activation: `[5, 13, 4]` by batch and activation buffer: cycles of loads of images and of inputs, cubes of
            both, and how many loads there are.
        by_weight: `[5, 13, 3]`: cycles of loads of weights, cubes, and how many loads there are.
        wait: `[5, 13, 13]` cycles.
        extents, numbers: tiles of results of a convolution, as `tiles_of_results` has them; none elsewhere.
        work: of the other units, `[8]` as `Work` has them.
    """

    by_activation: Tensor
    by_weight: Tensor
    wait: Tensor
    extents: Tensor
    numbers: Tensor
    work: Tensor


def columns_of(
    vectors: Tensor, places: tuple[Tensor, Tensor, Tensor], sheets: Sequence[Sheet], which: Tensor, assumed: Assumptions
) -> Tensor:
    """What executions of layers on accelerators add to each of `COLUMNS`, `[n, columns]`.

    Args:
        vectors: `[n, 13]`, the accelerator of each.
        places: of their batches, activation and weight buffers among the options, `[n]` each.
        sheets: of all layers.
        which: of these, `[n]`.
        assumed: of zeros and overlap.
    """
    found, batch = parts(vectors), vectors[:, BATCH]
    tiles = max(len(sheet.numbers) for sheet in sheets)
    extents, numbers = torch.ones(len(sheets), tiles, 6).double(), torch.zeros(len(sheets), tiles).double()
    for i, sheet in enumerate(sheets):
        extents[i, : len(sheet.numbers)], numbers[i, : len(sheet.numbers)] = sheet.extents, sheet.numbers
    by_activation = torch.stack([sheet.by_activation for sheet in sheets])[which, places[0], places[1]]
    by_weight = torch.stack([sheet.by_weight for sheet in sheets])[which, places[0], places[2]]
    wait = torch.stack([sheet.wait for sheet in sheets])[(which, *places)]
    work = Work(*torch.stack([sheet.work for sheet in sheets])[which].unbind(-1))  # type: ignore[arg-type]
    macs = torch.as_tensor(work.product_macs)
    columns = {
        "image_loads": by_activation[:, 0],
        "activation_loads": by_activation[:, 1],
        "weight_loads": by_weight[:, 0],
        "convolution_waits": torch.where(macs > 0, 0.0, wait),
        "product_waits": torch.where(macs > 0, wait, 0.0),
        "convolutions": tile_cycles(vectors, work.images, extents[which], numbers[which], assumed),
        "products": product_cycles(vectors, macs, assumed),
        "batch_norm": (batch * work.norm_words / (found.macs * found.pes)).ceil() * work.norm_channels,
        "pooling": (batch * work.pooled / found.pes).ceil(),
        "global_pooling": (batch * work.means / found.pes).ceil() * work.mean_windows,
        "upsampling": (batch * work.upsampled / found.pes).ceil(),
        "activation_cubes": by_activation[:, 2],
        "weight_cubes": by_weight[:, 1],
        "loads": by_activation[:, 3] + by_weight[:, 2],
    }
    return torch.stack([columns[name] for name in COLUMNS], -1)


@lru_cache(8192)
def sheet_of(problem: Problem, operation: str, first: bool, assumptions: Assumptions) -> Sheet:
    """The sheet of a layer.

    Args:
        problem: of the layer.
        operation: what each point of it is.
        first: whether it reads the network's images.
        assumptions: of zeros and normalisation.

    Raises:
        InvalidInput: AccelBench has no unit for it.
    """
    kind = kind_of(problem, operation)
    lengths = [len(options()[name]) for name in ("batch", "activation_mb", "weight_mb")]
    by_activation = torch.zeros(*lengths[:2], 4, dtype=torch.float64)
    by_weight = torch.zeros(lengths[0], lengths[2], 3, dtype=torch.float64)
    wait = torch.zeros(*lengths, dtype=torch.float64)
    extents, numbers = torch.ones(0, 6, dtype=torch.float64), torch.zeros(0, dtype=torch.float64)
    if kind in ("convolutions", "products"):
        loads = layer_loads(problem, first, assumptions)
        by_activation[..., 1:] = torch.stack(loads[:3], -1)
        by_weight, wait = torch.stack(loads[3:6], -1), loads.wait
    if first:
        cycles, cubes, times = _image(problem, kind, assumptions).unbind(-1)
        by_activation += torch.stack([cycles, torch.zeros_like(cycles), cubes, times], -1)[:, None]
    if kind == "convolutions":
        extents, numbers = tiles_of_results(problem)
    return Sheet(by_activation, by_weight, wait, extents, numbers, _work(problem, kind, assumptions))


def _work(problem: Problem, kind: str, assumptions: Assumptions) -> Tensor:
    work = Work(images=problem.sizes.get("N", 1))
    if kind == "convolutions" and assumptions.batch_norm:
        shape = Convolution.of(problem)
        work = work._replace(norm_words=work.images * prod(shape.outputs), norm_channels=shape.groups * shape.results)
    if kind == "products":
        work = work._replace(product_macs=problem.macs)
    if kind == "pooling":
        work = work._replace(pooled=problem.words("Outputs"))
    if kind == "upsampling":
        work = work._replace(upsampled=problem.words("Outputs"))
    if kind == "global_pooling":
        results = problem.words("Outputs")
        work = work._replace(means=results, mean_windows=-(-(problem.macs // results) // WINDOW))
    return torch.tensor([*map(float, work)], dtype=torch.float64)


@lru_cache(8192)
def kind_of(problem: Problem, operation: str) -> str:
    """What AccelBench takes a layer for: one of the phases, or "free"; `InvalidInput` where it has no unit for it."""
    if operation in FREE:
        return "free"
    if operation == "pool":
        results = problem.words("Outputs")
        whole = results == prod(problem.sizes.get(dim, 1) for dim in "NC") and problem.macs > results
        return "global_pooling" if whole else "pooling"
    if operation == "upsample":
        return "upsampling"
    if operation != MULTIPLY:
        raise InvalidInput(
            f"operation is {operation!r}, for which AccelBench has no unit; allowed: 2-D convolutions, products, "
            "pool and upsample, and add and scale, which it takes to be free"
        )
    if is_product(problem):
        return "products"
    Convolution.of(problem)  # raises where it is none
    return "convolutions"


def _image(problem: Problem, kind: str, assumptions: Assumptions) -> Tensor:
    """Cycles, cubes and number of the loads of the images that a first layer reads, `[5, 3]` by batch."""
    sizes = problem.sizes
    images = sizes.get("N", 1)
    if kind == "convolutions":
        shape = Convolution.of(problem)
        extents = (*shape.inputs, shape.channels * shape.groups)
    elif kind == "products":
        images, channels = (sizes["B"] * sizes["M"], sizes["K"]) if "K" in sizes else (images, sizes["C"])
        extents = (1, 1, channels)
    else:
        box = problem.dataspace("Inputs").box(sizes)
        rows, columns = (*box[2:], 1, 1)[:2]
        extents = (rows, columns, sizes.get("C", 1))
    return _image_loads(images, extents, assumptions)


@lru_cache(1024)
def _image_loads(images: int, extents: tuple[int, int, int], assumptions: Assumptions) -> Tensor:
    rows = []
    for batch in options()["batch"]:
        kinds = kinds_of(tiles_of((images * batch, *extents)))
        cubes, times = (
            torch.tensor([*map(float, one)], dtype=torch.float64) for one in zip(*kinds.items(), strict=True)
        )
        cycles = assumptions.load_cycles(cubes, assumptions.activation_sparsity)
        rows.append(torch.stack([(cycles * times).sum(), (cubes * times).sum(), times.sum()]))
    return torch.stack(rows)
