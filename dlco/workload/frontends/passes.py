"""Operators without multiply-accumulates as the frameworks state them, by the shapes of their operands, as layers."""

from collections.abc import Sequence
from math import prod

from dlco.workload.frontends.operators import Shape
from dlco.workload.layer import Layer
from dlco.workload.layers import PerAxis
from dlco.workload.passes import AXES, embedding, normalise, pointwise, pool2d, reduction


def pooling(name: str, inputs: Shape, outputs: Shape, window: Sequence[int], stride: Sequence[int]) -> list[Layer]:
    """A pooling over the last one or two axes; none where it is of three, or of no elements.

    Args:
        name: of the layer.
        inputs: shape (batch, channels, positions...), or without the batch.
        outputs: as `inputs`.
        window: one for all axes, or one an axis.
        stride: the same; the window's where it is empty.
    """
    axes = len(window) if len(window) > 1 else max(1, min(2, len(inputs) - 2))
    if axes > 2 or 0 in inputs + outputs or len(inputs) < axes + 1:
        return []
    steps = _spread(stride or window, axes)
    spread = _spread(window, axes)
    batch = inputs[0] if len(inputs) == axes + 2 else 1
    rows, columns = (1, outputs[-1]) if axes == 1 else outputs[-2:]
    R, S = (1, spread[0]) if axes == 1 else spread
    per_axis: PerAxis = (1, steps[0]) if axes == 1 else tuple(steps)
    return [pool2d(name, N=batch, C=inputs[-axes - 1], P=rows, Q=columns, R=R, S=S, stride=per_axis)]


def adaptive_pooling(name: str, inputs: Shape, outputs: Shape, axes: int) -> list[Layer]:
    """A pooling to so many positions: windows of equal size where they divide, else the largest that occurs."""
    window = (
        [-(-size // to) for size, to in zip(inputs[-axes:], outputs[-axes:], strict=True)] if 0 not in outputs else []
    )
    return pooling(name, inputs, outputs, window, window) if window else []


def reduced(name: str, shape: Shape, axes: Sequence[int]) -> list[Layer]:
    """Sums, means or largest values along axes, counted from either end; all of them where none is given."""
    if not shape or 0 in shape:
        return []
    shape, places = _rows(shape, {axis % len(shape) for axis in axes} or set(range(len(shape))), most=max(AXES) + 1)
    return [reduction(name, shape, places)]


def elementwise(name: str, operation: str, shapes: Sequence[Shape]) -> list[Layer]:
    """An element-wise operation of two tensors; none of a scalar, which is part of what produces the other.

    None, too, where both are broadcast: an outer product, or sum, of which no layer speaks.
    """
    first, second = sorted(shapes, key=prod, reverse=True)
    other = (1,) * (len(first) - len(second)) + tuple(second)
    if prod(second) in (0, 1) or len(other) != len(first):
        return []
    if any(size not in (1, whole) for size, whole in zip(other, first, strict=True)):
        return []
    if len(first) > max(AXES):
        shared = prod(other)
        first, other = (prod(first) // shared, shared), (1, shared)
    return [pointwise(name, tuple(first), other, operation=operation)]


def normalised(name: str, shape: Shape, axes: Sequence[int], operation: str = "normalise") -> list[Layer]:
    """A normalisation or a softmax along axes, counted from either end; its rows lie in one axis of the layers."""
    if not shape or 0 in shape:
        return []
    shape, places = _rows(shape, {axis % len(shape) for axis in axes}, most=2)
    return normalise(name, shape, places, operation=operation)


def softmax_of(scores: Layer) -> list[Layer]:
    """The softmax of attention's products of queries and keys, along the keys."""
    sizes = scores.problem.sizes
    name = scores.name.removesuffix(".scores")
    return normalised(f"{name}.softmax", (sizes["B"], sizes["M"], sizes["N"]), [2], "softmax")


def looked_up(name: str, outputs: Shape) -> list[Layer]:
    """An embedding of this result, its last axis the words of a row."""
    return [] if not outputs or 0 in outputs else [embedding(name, N=prod(outputs[:-1]), C=outputs[-1])]


def _rows(shape: Shape, axes: set[int], most: int) -> tuple[Shape, tuple[int, ...]]:
    """(shape, axes), as rows of what lies along these axes where the tensor has more axes than it may."""
    if len(shape) < most:
        return tuple(shape), tuple(sorted(axes))
    along = prod(size for axis, size in enumerate(shape) if axis in axes)
    return (prod(shape) // along, along), (1,)


def _spread(per_axis: Sequence[int], axes: int) -> list[int]:
    return list(per_axis) * axes if len(per_axis) == 1 else list(per_axis)
