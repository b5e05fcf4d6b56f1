"""What a layer loads from the main memory, and how long its tiles wait for it, for every batch and size of buffer.

AccelBench walks a layer tile by tile: images, rows, columns and input channels, and within each such tile of inputs the
output channels, four at a time. Before each of these steps the inputs of the tile and the weights of the four channels
must be in their buffers; what is not is loaded, 64 words (a cube of 4 x 4 x 4, of a matrix 8 x 8) at a time, and the
buffer drops the oldest cubes for it. No result of a layer stays on the chip, so every layer loads its inputs anew, but
for the images, which are loaded before the first layer.

What a step loads depends on the batch and on how many cubes a buffer holds, and on nothing else of a machine: 5 x 13 x
13 cases. The inputs of a tile come once, and those that the buffer could not hold again for every other step. Weights
come once where all of them fit; where what is too much is at least one step's share, every step misses its own every
time. What lies between these, and images that do not fit, are followed cube by cube (`Fifo`).
"""

from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from itertools import product
from math import prod
from typing import NamedTuple

import torch
from torch import Tensor

from dlco.errors import InvalidInput
from dlco.hardware.accelbench.assumptions import Assumptions
from dlco.hardware.accelbench.buffers import image_loads, repeated_loads
from dlco.hardware.accelbench.cycles import Convolution, is_product
from dlco.hardware.accelbench.figures import figures, options
from dlco.workload.problem import Problem

CUBE, MATRIX = 4, 8  # sides of the 64 words that are loaded together


class Loads(NamedTuple):
    """Of one execution of a layer, by batch, activation buffer and weight buffer, each as in `options`.

    Attributes:
        activation, weight: cycles of the loads `[5, 13]`, one after the other.
        activation_cubes, weight_cubes: what is loaded, `[5, 13]`.
        activation_times, weight_times: how many loads these are, `[5, 13]`.
        wait: cycles `[5, 13, 13]` of the longer one of both loads of each step.
    """

    activation: Tensor
    activation_cubes: Tensor
    activation_times: Tensor
    weight: Tensor
    weight_cubes: Tensor
    weight_times: Tensor
    wait: Tensor


@lru_cache(16_384)
def layer_loads(problem: Problem, after_image: bool, assumptions: Assumptions) -> Loads:
    """The loads of a convolution or a product.

    Args:
        problem: of one execution, on its own N images times the batch.
        after_image: whether its inputs are the network's images, which were loaded before, as far as they fit.
        assumptions: sparsities.

    Raises:
        InvalidInput: the problem is no convolution over two axes, nor a product.
    """
    one = _product if is_product(problem) else _convolution
    batches = sorted(options()["batch"], reverse=True)  # what is refused is so of the largest one
    rows = {batch: one(problem, batch, after_image, assumptions) for batch in batches}
    return Loads(*(torch.stack(column) for column in zip(*(rows[batch] for batch in options()["batch"]), strict=True)))


Axis = tuple[tuple[int, int], ...]
"""Cubes of the tiles along an axis, and how many tiles in a row have as many."""

MOST = 2**19  # steps of a layer that are followed one by one


def tiles_of(extents: tuple[int, int, int, int]) -> tuple[Axis, Axis, Axis, Axis]:
    """The tiles along each axis of images, rows, columns and input channels: whole ones, and a short one."""
    tile = figures()["tile"]
    sides = (tile["batch"], tile["x"], tile["y"], tile["input_channels"])
    cubes = (1, CUBE, CUBE, CUBE)
    axes = [
        tuple((-(-length // cube), n) for length, n in ((side, extent // side), (extent % side, 1)) if length and n)
        for extent, side, cube in zip(extents, sides, cubes, strict=True)
    ]
    return axes[0], axes[1], axes[2], axes[3]


def kinds_of(axes: Sequence[Axis]) -> Counter[int]:
    """How many tiles have how many cubes."""
    kinds = Counter({1: 1})
    for axis in axes:
        wider: Counter[int] = Counter()
        for (cubes, n), (more, m) in product(kinds.items(), axis):
            wider[cubes * more] += n * m
        kinds = wider
    return kinds


def held_cubes(buffer: str, assumptions: Assumptions) -> Tensor:
    """Cubes that each size of a buffer, "activation" or "weight", holds, `[13]`."""
    sparsity = getattr(assumptions, f"{buffer}_sparsity")
    return torch.tensor([assumptions.held_cubes(mb, sparsity) for mb in options()[f"{buffer}_mb"]], dtype=torch.float64)


def _product(problem: Problem, batch: int, after_image: bool, assumptions: Assumptions) -> Loads:
    """A product of matrices in one step; both operands come whole. Computed ones, of attention, for every image."""
    sizes = problem.sizes
    if problem.name == "MatMul":
        times, rows, inner, columns = batch * sizes["B"], sizes["M"], sizes["K"], sizes["N"]
    else:
        times, rows, inner, columns = 1, batch * sizes.get("N", 1), sizes["C"], sizes["M"]
    rows, inner, columns = (-(-side // MATRIX) for side in (rows, inner, columns))
    size = len(options()["activation_mb"]), len(options()["weight_mb"])
    inputs = torch.full((1, 1, size[0]), float(times * rows * inner), dtype=torch.float64)
    weights = torch.full((1, 1, size[1]), float(times * inner * columns), dtype=torch.float64)
    return _sums(inputs, weights, torch.ones(1, 1, dtype=torch.float64), assumptions)


def _convolution(problem: Problem, batch: int, after_image: bool, assumptions: Assumptions) -> Loads:
    shape = Convolution.of(problem)
    steps = _Steps(shape, batch * problem.sizes.get("N", 1), after_image and shape.groups == 1, assumptions)
    found = _sums(*(steps.one_by_one() if steps.must_be_followed else steps.by_kind()), assumptions)
    return Loads(*(shape.groups * total for total in found))


def _sums(activation: Tensor, weight: Tensor, times: Tensor, assumptions: Assumptions) -> Loads:
    """The loads of steps, added up.

    Args:
        activation: cubes loaded before each step, `[tiles, chunks, buffers]`.
        weight: likewise, with buffers of their own.
        times: how often a step occurs, `[tiles, chunks]`.
        assumptions: sparsities.
    """
    each = times[..., None]
    cycles = [
        assumptions.load_cycles(activation, assumptions.activation_sparsity),
        assumptions.load_cycles(weight, assumptions.weight_sparsity),
    ]
    longer = [(each * torch.maximum(one[..., None], cycles[1])).sum((0, 1)) for one in cycles[0].unbind(-1)]
    return Loads(
        activation=(each * cycles[0]).sum((0, 1)),
        activation_cubes=(each * activation).sum((0, 1)),
        activation_times=(each * (activation > 0)).sum((0, 1)),
        weight=(each * cycles[1]).sum((0, 1)),
        weight_cubes=(each * weight).sum((0, 1)),
        weight_times=(each * (weight > 0)).sum((0, 1)),
        wait=torch.stack(longer),
    )


class _Steps:
    """The steps of one group of a convolution: tiles of inputs, and within each of them chunks of output channels.

    Args:
        shape: of the convolution.
        images: how many.
        after_image: whether its inputs are the images loaded before.
        assumptions: sparsities.
    """

    def __init__(self, shape: Convolution, images: int, after_image: bool, assumptions: Assumptions) -> None:
        self.axes = tiles_of((images, *shape.inputs, shape.channels))
        self.after_image = after_image
        channels = int(figures()["tile"]["output_channels"])
        depth = prod(-(-side // CUBE) for side in (*shape.kernel, shape.channels))
        self.chunks = -(-shape.results // channels)
        self.last = (shape.results - channels * (self.chunks - 1)) * depth
        self.chunk = channels * depth if self.chunks > 1 else self.last
        self.activation, self.weight = (held_cubes(name, assumptions) for name in ("activation", "weight"))

    @property
    def number(self) -> int:
        """Of tiles of inputs."""
        return prod(sum(n for _, n in axis) for axis in self.axes)

    @property
    def tiles(self) -> list[int]:
        """Cubes of each tile of inputs."""
        return [prod(sides) for sides in product(*([c for c, n in axis for _ in range(n)] for axis in self.axes))]

    @property
    def image(self) -> int:
        """Cubes of all tiles."""
        return prod(sum(cubes * n for cubes, n in axis) for axis in self.axes)

    @property
    def weights(self) -> int:
        """Cubes of all chunks."""
        return self.chunk * (self.chunks - 1) + self.last

    @property
    def must_be_followed(self) -> bool:
        """Whether loads must be followed cube by cube for some buffer of either operand."""
        images, weights = self.activation.tolist(), self.weight.tolist()
        return any(map(self.follows_image, images)) or any(map(self.follows_weights, weights))

    def follows_image(self, held: float) -> bool:
        """Whether images were loaded before and did not all fit."""
        return self.after_image and self.image > held

    def follows_weights(self, held: float) -> bool:
        """Whether weights exceed the buffer by less than one of several chunks."""
        return self.chunks > 1 and 0 < self.weights - held < max(self.chunk, self.last)

    def by_kind(self) -> tuple[Tensor, Tensor, Tensor]:
        """Cubes loaded and how often, as `_sums` takes them, by kinds of steps, where none must be followed."""
        kinds = kinds_of(self.axes)
        first = prod(axis[0][0] for axis in self.axes)
        kinds[first] -= 1
        tiles = [(first, 1), *((cubes, n) for cubes, n in kinds.items() if n)]
        chunks = [(self.last, 1)]
        if self.chunks > 1:
            chunks = [(self.chunk, 1), (self.chunk, self.chunks - 2), *chunks]
        sizes, number = (torch.tensor([*map(float, one)], dtype=torch.float64) for one in zip(*tiles, strict=True))
        widths, often = (torch.tensor([*map(float, one)], dtype=torch.float64) for one in zip(*chunks, strict=True))
        activation = self._again(sizes, self.activation)[:, None].repeat(1, len(widths), 1)
        activation[:, 0] = 0.0 if self.after_image else sizes[:, None]
        over = (self.weights - self.weight).clamp(min=0)
        again = over.expand(len(widths), -1) if self.chunks == 1 else torch.where(over > 0, widths[:, None], 0.0)
        weight = torch.stack([widths[:, None].expand_as(again), *([again] * (len(sizes) - 1))])
        return activation, weight, number[:, None] * often

    def one_by_one(self) -> tuple[Tensor, Tensor, Tensor]:
        """Cubes loaded and how often, as `_sums` takes them, for every step by itself.

        Raises:
            InvalidInput: there are more of them than `MOST`.
        """
        if self.number * self.chunks > MOST:
            raise InvalidInput(
                f"layer has {self.number * self.chunks:,} steps on AccelBench that must be followed one by one, as its "
                f"operands hardly fit the buffers; there may be {MOST:,}"
            )
        activation = torch.stack([self.activation_steps(held) for held in self.activation.tolist()], -1)
        weight = torch.stack([self.weight_steps(held) for held in self.weight.tolist()], -1)
        return activation, weight, torch.ones(activation.shape[:2], dtype=torch.float64)

    def activation_steps(self, held: float) -> Tensor:
        """Cubes of inputs loaded before every step, `[tiles, chunks]`."""
        if self.after_image:
            return torch.tensor(image_loads(self.tiles, self.chunks, int(held)), dtype=torch.float64)
        sizes = torch.tensor(self.tiles, dtype=torch.float64)
        loads = self._again(sizes, torch.tensor([held], dtype=torch.float64)).repeat(1, self.chunks)
        loads[:, 0] = sizes
        return loads

    def weight_steps(self, held: float) -> Tensor:
        """Cubes of weights loaded before every step, `[tiles, chunks]`."""
        once = [self.chunk] * (self.chunks - 1) + [self.last]
        loads = torch.zeros(self.number, self.chunks, dtype=torch.float64)
        over = self.weights - held
        if self.follows_weights(held):
            for i, row in enumerate(repeated_loads(self.chunk, self.last, self.chunks, int(held), self.number - 1)):
                for chunk, cubes in row.items():
                    loads[i + 1, chunk] = cubes
        elif over > 0:
            loads[:] = over if self.chunks == 1 else torch.tensor(once, dtype=torch.float64)
        loads[0] = torch.tensor(once, dtype=torch.float64)
        return loads

    @staticmethod
    def _again(sizes: Tensor, held: Tensor) -> Tensor:
        """Cubes of tiles `[tiles]` that buffers `[buffers]` do not hold till the next step, `[tiles, buffers]`."""
        return (sizes[:, None] - held).clamp(min=0)
