"""Layers without multiply-accumulates: pooling, upsampling, additions, scaling, normalisation, softmax and embedding.

They move words and take cycles like any other layer; each point of their problem is one operation of a processing
element (a comparison, an addition, a product), which machines charge as they charge a multiply-accumulate. What takes
several passes over its operand (normalisation, softmax) is several layers: the statistics of each row, then their use.
Activations, biases and batch normalisation are none: they are computed where a result is written, or folded into the
weights before.

The second operand, where there is one, takes the place of "Weights".
"""

from dlco.errors import InvalidInput
from dlco.workload.layer import Layer
from dlco.workload.layers import PerAxis, check_sizes, each_axis, make_dataspace
from dlco.workload.problem import Dataspace, Problem, Rank

Shape = tuple[int, ...]

AXES = {1: "C", 2: "NC", 3: "NPC", 4: "NCPQ", 5: "NCDPQ"}
"""What the axes of a tensor are called by their number: batch N, channels or features C, positions P, Q, D."""


def pool2d(
    name: str, *, N: int = 1, C: int, P: int, Q: int, R: int, S: int, stride: PerAxis = 1, count: int = 1
) -> Layer:
    """A pooling of windows of R rows and S columns to P rows and Q columns, each channel by itself.

    The mean of whole maps has P = Q = 1 and their size as window.

    Args:
        name: of the layer, unique within its network.
        N: batch size.
        C: channels.
        P: output rows.
        Q: output columns.
        R: window rows.
        S: window columns.
        stride: output step in input elements; a pair is (rows, columns).
        count: how often the network runs the layer.

    Returns:
        A layer over C R S N P Q without "Weights".

    Raises:
        InvalidInput: an argument is not a positive integer.

    Examples:
        >>> from dlco.workload import pool2d
        >>> layer = pool2d("pool", C=64, P=56, Q=56, R=3, S=3, stride=2)
        >>> layer.macs, layer.operations, layer.problem.words("Inputs")
        (0, 1806336, 817216)
    """
    sizes = {"C": C, "R": R, "S": S, "N": N, "P": P, "Q": Q}
    check_sizes(name, sizes)
    rows, columns = each_axis(f"stride of layer {name}", stride, 2)
    windows: tuple[Rank, Rank] = ((("R", 1), ("P", rows)), (("S", 1), ("Q", columns)))
    spaces = (
        make_dataspace("Inputs", "N", "C", *windows),
        _results("N", "C", "P", "Q"),
    )
    return _layer(name, "pool", sizes, spaces, count)


def upsample2d(name: str, *, N: int = 1, C: int, H: int, W: int, scale: PerAxis, count: int = 1) -> Layer:
    """A map of H rows and W columns enlarged: every word becomes `scale` rows and columns of words.

    Interpolation reads more than one word for each result; no cost here tells it from copying.

    Args:
        name: of the layer, unique within its network.
        N: batch size.
        C: channels.
        H: input rows.
        W: input columns.
        scale: results for each word along an axis; a pair is (rows, columns).
        count: how often the network runs the layer.

    Returns:
        A layer over C R S N H W without "Weights", R and S being the scales.

    Raises:
        InvalidInput: an argument is not a positive integer.

    Examples:
        >>> from dlco.workload import upsample2d
        >>> layer = upsample2d("up", C=64, H=28, W=28, scale=2)
        >>> layer.macs, layer.operations, layer.problem.words("Outputs")
        (0, 200704, 200704)
    """
    rows, columns = each_axis(f"scale of layer {name}", scale, 2)
    sizes = {"C": C, "R": rows, "S": columns, "N": N, "H": H, "W": W}
    check_sizes(name, sizes)
    spread: tuple[Rank, Rank] = ((("R", 1), ("H", rows)), (("S", 1), ("W", columns)))
    spaces = (
        make_dataspace("Inputs", "N", "C", "H", "W"),
        make_dataspace("Outputs", "N", "C", *spread, read_write=True),
    )
    return _layer(name, "upsample", sizes, spaces, count)


def reduction(
    name: str, shape: Shape, axes: Shape, count: int = 1, *, operation: str = "pool", results: int = 1
) -> Layer:
    """A tensor's sums, means or largest values along some of its axes.

    Args:
        name: of the layer.
        shape: of the tensor, of 1 to 5 axes.
        axes: places of the axes that vanish.
        count: how often the network runs the layer.
        operation: what it is part of.
        results: figures that are kept of each row, such as 2 for mean and variance.

    Raises:
        InvalidInput: a size is no positive integer, or an axis is not there.
    """
    sizes = _sizes(name, shape)
    names = list(sizes)
    if not axes or any(not 0 <= axis < len(shape) for axis in axes):
        raise InvalidInput(f"axes of layer {name} are {axes!r}; the tensor has {len(shape)}")
    kept = [dim for axis, dim in enumerate(names) if axis not in axes]
    if results > 1:
        sizes["K"] = results
        kept.append("K")
    spaces = (make_dataspace("Inputs", *names), _results(*kept))
    return _layer(name, operation, sizes, spaces, count)


def pointwise(name: str, shape: Shape, other: Shape, count: int = 1, *, operation: str = "add") -> Layer:
    """Two tensors element by element: the sum of a residual block, the scaling of squeeze-and-excitation.

    Args:
        name: of the layer.
        shape: of the result, and of the first operand.
        other: of the second operand; axes of size 1, or missing in front, are broadcast.
        count: how often the network runs the layer.
        operation: "add", "scale" or what else it is part of.

    Raises:
        InvalidInput: a size is no positive integer, or the shapes do not broadcast.

    Examples:
        >>> from dlco.workload import pointwise
        >>> layer = pointwise("residual", (1, 64, 56, 56), (1, 64, 56, 56))
        >>> layer.macs, layer.operations, layer.problem.words("Weights")
        (0, 200704, 200704)
    """
    sizes = _sizes(name, shape)
    padded = (1,) * (len(shape) - len(other)) + tuple(other)
    if len(other) > len(shape) or any(size not in (1, full) for size, full in zip(padded, shape, strict=True)):
        raise InvalidInput(f"operands of layer {name} have shapes {tuple(shape)} and {tuple(other)}; they do not fit")
    second = [dim for dim, size in zip(sizes, padded, strict=True) if size > 1]
    spaces = (
        make_dataspace("Weights", *second),
        make_dataspace("Inputs", *sizes),
        _results(*sizes),
    )
    return _layer(name, operation, sizes, spaces, count)


def normalise(name: str, shape: Shape, axes: Shape, count: int = 1, *, operation: str = "normalise") -> list[Layer]:
    """A tensor normalised along some of its axes: `name.statistics`, two figures a row, and `name.apply`.

    A softmax is the same with operation "softmax": the largest value and the sum of each row, then every share.

    Args:
        name: of the pair.
        shape: of the tensor.
        axes: places of the axes along which it is normalised.
        count: how often the network runs it.
        operation: what it is.

    Raises:
        InvalidInput: as `reduction`.
    """
    figures = tuple(1 if axis in axes else size for axis, size in enumerate(shape))
    use = pointwise(f"{name}.apply", shape, figures, count, operation=operation)
    problem = use.problem
    sizes = problem.sizes | {"K": 2}
    weights = make_dataspace(
        "Weights", *(dim for rank in problem.dataspace("Weights").projection for dim, _ in rank), "K"
    )
    spaces = (weights, *problem.dataspaces[1:])
    return [
        reduction(f"{name}.statistics", shape, axes, count, operation=operation, results=2),
        _layer(f"{name}.apply", operation, sizes, spaces, count),
    ]


def embedding(name: str, *, N: int, C: int, count: int = 1) -> Layer:
    """N rows of C words looked up in a table.

    Args:
        name: of the layer.
        N: rows that are looked up.
        C: words of a row.
        count: how often the network runs the layer.

    Raises:
        InvalidInput: an argument is not a positive integer.
    """
    sizes = {"N": N, "C": C}
    check_sizes(name, sizes)
    spaces = (
        make_dataspace("Weights", "N", "C"),
        make_dataspace("Inputs", "N"),
        _results("N", "C"),
    )
    return _layer(name, "embed", sizes, spaces, count)


def _layer(name: str, operation: str, sizes: dict[str, int], spaces: tuple[Dataspace, ...], count: int) -> Layer:
    problem = Problem(tuple(sizes), tuple(sizes.values()), spaces, name=operation)
    return Layer(name, problem, count, stored_weights=False, operation=operation)


def _results(*ranks: str) -> Dataspace:
    return make_dataspace("Outputs", *ranks, read_write=True)


def _sizes(name: str, shape: Shape) -> dict[str, int]:
    if len(shape) not in AXES:
        raise InvalidInput(f"shape of layer {name} is {tuple(shape)}; it must have 1 to {max(AXES)} axes")
    sizes = dict(zip(AXES[len(shape)], shape, strict=True))
    check_sizes(name, sizes)
    return sizes
