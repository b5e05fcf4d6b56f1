"""Operators as the frameworks state them, by the shapes of their operands, turned into layers.

A framework's convolution has a kernel tensor, strides and groups; its products of tensors are all einsums of two
operands. Both come out as the layers that `dlco.workload` constructs.
"""

import re
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any

from dlco.errors import InvalidInput
from dlco.workload.layer import Layer
from dlco.workload.layers import (
    PerAxis,
    conv1d,
    conv2d,
    conv3d,
    depthwise_conv2d,
    linear,
    matmul,
    transposed_conv1d,
    transposed_conv2d,
    transposed_conv3d,
)

Shape = tuple[int, ...]

_CONVOLUTIONS: Mapping[int, Callable[..., Layer]] = {1: conv1d, 2: conv2d, 3: conv3d}
_TRANSPOSED: Mapping[int, Callable[..., Layer]] = {1: transposed_conv1d, 2: transposed_conv2d, 3: transposed_conv3d}
_TAPS = {1: "R", 2: "RS", 3: "TRS"}
_OUTPUT_POSITIONS = {1: "P", 2: "PQ", 3: "DPQ"}
_INPUT_POSITIONS = {1: "H", 2: "HW", 3: "DHW"}


def convolution(
    name: str,
    *,
    inputs: Shape,
    weights: Shape,
    outputs: Shape,
    stride: PerAxis = 1,
    dilation: PerAxis = 1,
    groups: int = 1,
    transposed: bool = False,
    stored: bool = True,
) -> Layer:
    """The layer of a convolution along one, two or three axes.

    Args:
        name: of the layer.
        inputs: shape (batch, channels, positions...), or without the batch.
        weights: shape (output channels, input channels of one group, taps...); if `transposed`, (input channels,
            output channels of one group, taps...).
        outputs: shape as that of `inputs`; padding is in it.
        stride: one for all axes, or one an axis.
        dilation: the same.
        groups: of channels.
        transposed: whether it is a transposed convolution.
        stored: whether the weights are parameters; False where the network computes them.

    Raises:
        InvalidInput: the shapes fit no convolution.
    """
    axes = len(weights) - 2
    if axes not in _CONVOLUTIONS or len(inputs) not in (axes + 1, axes + 2) or len(outputs) != len(inputs):
        raise InvalidInput(
            f"convolution {name} has inputs {inputs}, weights {weights} and outputs {outputs}; "
            "it must have one to three axes beside batch and channels"
        )
    positions = inputs[-axes:] if transposed else outputs[-axes:]
    letters = (_INPUT_POSITIONS if transposed else _OUTPUT_POSITIONS)[axes]
    sizes = dict(zip(_TAPS[axes] + letters, (*weights[2:], *positions), strict=True))
    sizes["N"] = inputs[0] if len(inputs) == axes + 2 else 1
    C, M = inputs[-axes - 1], outputs[-axes - 1]
    if (C, M) != ((weights[0], weights[1] * groups) if transposed else (weights[1] * groups, weights[0])):
        raise InvalidInput(
            f"convolution {name} has inputs {inputs}, weights {weights}, outputs {outputs} and {groups} groups; "
            "their channels do not agree"
        )
    common: dict[str, Any] = {"stride": _spread(stride), "dilation": _spread(dilation)}
    if transposed:
        layer = _TRANSPOSED[axes](name, C=C, M=M, groups=groups, **sizes, **common)
    elif axes == 2 and groups == C == M and groups > 1:
        layer = depthwise_conv2d(name, C=C, **sizes, **common)
    else:
        layer = _CONVOLUTIONS[axes](name, C=C, M=M, groups=groups, **sizes, **common)
    return replace(layer, stored_weights=stored)


def _spread(per_axis: PerAxis) -> PerAxis:
    """One integer where a sequence holds just one: torch takes it for all axes."""
    return per_axis[0] if isinstance(per_axis, Sequence) and len(per_axis) == 1 else per_axis


@dataclass(frozen=True)
class Operand:
    """A tensor in an einsum.

    Attributes:
        shape: its sizes.
        indices: the index that runs along each axis; equal ones run together.
        stored: whether it is a parameter, or computed from parameters alone.
    """

    shape: Shape
    indices: tuple[Hashable, ...]
    stored: bool = False

    @property
    def sizes(self) -> dict[Hashable, int]:
        """Size of each index longer than 1: the others are as good as absent, which is what broadcasting says."""
        return {index: size for index, size in zip(self.indices, self.shape, strict=True) if size != 1}


def contract(name: str, left: Operand, right: Operand, out: Sequence[Hashable]) -> Layer | None:
    """The layer that multiplies two tensors and sums over the indices that `out` lacks.

    Returns:
        A `matmul` whose B are the indices in all three, M those of `left` and `out`, N those of `right` and `out`, K
        those summed over. "Weights" is the operand that is stored, otherwise `right`; with stored weights and a B of
        1 it is a `linear`. None where nothing is summed over, which is an element-wise product, or an operand is empty.
    """
    if not (set(left.indices) & set(right.indices)) - set(out) or 0 in left.shape + right.shape:
        return None
    if left.stored and not right.stored:
        left, right = right, left
    mine, other, kept = left.sizes, right.sizes, set(out)
    shared = mine.keys() & other.keys()
    if any(mine[index] != other[index] for index in shared):
        raise InvalidInput(f"product {name} of shapes {left.shape} and {right.shape} has axes of different sizes")
    B = prod(mine[index] for index in shared & kept)
    K = prod(mine[index] for index in shared - kept)
    M = prod(size for index, size in mine.items() if index in kept - shared)
    N = prod(size for index, size in other.items() if index in kept - shared)
    if right.stored and B == 1:
        return linear(name, N=M, C=K, M=N)
    return replace(matmul(name, B=B, M=M, K=K, N=N), stored_weights=right.stored)


def matmul_equation(left: int, right: int) -> str:
    """The einsum that NumPy's `matmul` is for operands of so many axes: batches broadcast, vectors have one axis."""
    rows, columns = ("...m" if left > 1 else "", "...n" if right > 1 else "")
    first, second = (f"{rows}k", "...kn" if right > 1 else "k")
    return f"{first},{second}->" + ("..." if rows or columns else "") + rows[3:] + columns[3:]


def attention(name: str, query: Shape, key: Shape, value: Shape) -> list[Layer]:
    """The two products of scaled dot-product attention: `name.scores` and `name.values`.

    Args:
        name: of the module.
        query: shape (batch..., heads, queries, features).
        key: shape (batch..., heads, keys, features); with fewer heads, each serves a group of the queries' heads.
        value: shape (batch..., heads, keys, value features), heads as of `key`.
    """
    heads = prod(key[-3:-2])
    queries = prod(query[-3:-2]) // heads * query[-2]  # a group's queries meet the same keys: more rows
    batch = max(prod(query[:-3]), prod(key[:-3])) * heads
    scores = matmul(f"{name}.scores", B=batch, M=queries, K=query[-1], N=key[-2])
    values = matmul(f"{name}.values", B=batch, M=queries, K=key[-2], N=value[-1])
    return [scores, values]


def einsum(
    name: str, equation: str, shapes: Sequence[Shape], stored: Sequence[bool], path: Sequence[int] | None = None
) -> list[Layer]:
    """The products of an einsum, two operands at a time.

    Args:
        name: of the layer, or of all of them.
        equation: as in `torch.einsum`, with or without an arrow and ellipses.
        shapes: of the operands.
        stored: whether each is a parameter.
        path: the operands to multiply next, two by two: both leave the list and their product is appended. From left
            to right unless given.

    Returns:
        One layer for each product that sums; a chain of several is that of `path`, not the cheapest. Of one operand
        there is none: a diagonal, a sum or a transposition multiplies nothing.

    Raises:
        InvalidInput: the equation does not fit the shapes.
    """
    terms, out = _parse(name, equation, [len(shape) for shape in shapes])
    operands = [Operand(*operand) for operand in zip(shapes, terms, stored, strict=True)]
    for operand in operands:
        if any(size != operand.sizes.get(i, 1) for i, size in zip(operand.indices, operand.shape, strict=True)):
            raise InvalidInput(f"einsum {name} has an index twice in an operand of {operand.shape}, of different sizes")
    if path is None:
        steps = [0, 1, *(place for last in range(len(operands) - 2, 0, -1) for place in (last, 0))]
        path = steps[: 2 * (len(operands) - 1)]
    layers = []
    for first, second in zip(path[::2], path[1::2], strict=False):
        left, right = operands[first], operands[second]
        operands = [operand for place, operand in enumerate(operands) if place not in (first, second)]
        later = set(out).union(*(operand.indices for operand in operands))
        sizes = left.sizes | right.sizes
        kept = tuple(i for i in dict.fromkeys(left.indices + right.indices) if i in later)
        layer = contract(name, left, right, kept)
        layers += [layer] if layer else []
        operands.append(Operand(tuple(sizes.get(i, 1) for i in kept), kept, left.stored and right.stored))
    return layers


def _parse(name: str, equation: str, ranks: Sequence[int]) -> tuple[list[tuple[Hashable, ...]], list[Hashable]]:
    """The indices of each operand, and those of the result; an ellipsis is as many indices, counted from its end."""
    text = "".join(equation.split())
    if not re.fullmatch(r"[A-Za-z.,]*(->[A-Za-z.]*)?", text) or text.split("->")[0].count(",") != len(ranks) - 1:
        raise InvalidInput(f"equation of einsum {name} is {equation[:60]!r}; it must fit {len(ranks)} operands")
    before, arrow, after = text.partition("->")
    terms = [_indices(name, term, rank) for term, rank in zip(before.split(","), ranks, strict=True)]
    spread = max((index for term in terms for index in term if isinstance(index, int)), default=-1) + 1
    letters = [index for term in terms for index in term if isinstance(index, str)]
    if arrow:
        out = list(_indices(name, after, len(after.replace("...", "")) + (spread if "..." in after else 0)))
        if len(set(out)) < len(out) or not {index for index in out if isinstance(index, str)} <= set(letters):
            raise InvalidInput(
                f"equation of einsum {name} is {equation[:60]!r}; each index of its result must be there once and in "
                "an operand"
            )
        return terms, out
    return terms, [*range(spread), *sorted(letter for letter in set(letters) if letters.count(letter) == 1)]


def _indices(name: str, term: str, rank: int) -> tuple[Hashable, ...]:
    before, ellipsis, after = term.partition("...")
    hidden = rank - len(before) - len(after)
    if hidden < 0 or (hidden and not ellipsis) or "." in before + after:
        raise InvalidInput(f"einsum {name} has the term {term!r} for an operand of {rank} axes")
    return (*before, *reversed(range(hidden)), *after)
