"""Constructors of the usual layers: each returns one `Layer`, whose problem is an affine einsum.

Every problem has exactly the dataspaces "Weights", "Inputs" and "Outputs" (the result). Convolutions spell their
dimensions as Timeloop's CNN_Layer does: N batch, C input and M output channels, R and S the kernel's rows and
columns, P and Q the output's. Strides and dilations are coefficients of the projections, so they take no dimension;
padding takes none either, since the nest runs over outputs and P, Q are their sizes.

Sizes are counts of elements. Each constructor raises `InvalidInput` naming the layer, the argument and its value
when a size, stride or count is not an integer of at least 1.
"""

from collections.abc import Sequence

from dlco.errors import InvalidInput
from dlco.workload.layer import Layer
from dlco.workload.problem import Dataspace, Problem, Rank, check_positive_int

PerAxis = int | Sequence[int]
"""One integer for every axis, or one integer an axis."""


def conv2d(
    name: str,
    *,
    N: int = 1,
    C: int,
    M: int,
    P: int,
    Q: int,
    R: int,
    S: int,
    stride: PerAxis = 1,
    dilation: PerAxis = 1,
    groups: int = 1,
    count: int = 1,
) -> Layer:
    """A 2-D convolution, plain or grouped.

    Args:
        name: of the layer, unique within its network.
        N: batch size.
        C: input channels, of all groups together.
        M: output channels, of all groups together.
        P: output rows.
        Q: output columns.
        R: kernel rows.
        S: kernel columns.
        stride: output step in input elements; a pair is (rows, columns).
        dilation: kernel step in input elements; a pair is (rows, columns).
        groups: how many groups the channels fall into; must divide C and M.
        count: how often the network runs the layer.

    Returns:
        A layer over the dimensions C M R S N P Q. With `groups` above 1 they are G C M R S N P Q and C and M are the
        channels of one group.

    Raises:
        InvalidInput: an argument is not a positive integer, or `groups` does not divide C and M.

    Examples:
        >>> dlco.conv2d("conv1", C=3, M=64, P=112, Q=112, R=7, S=7, stride=2).macs
        118013952
    """
    channels = _channels(name, C, M, groups)
    return _convolution(name, channels, {"R": R, "S": S}, N, {"P": P, "Q": Q}, stride, dilation, count)


def depthwise_conv2d(
    name: str,
    *,
    N: int = 1,
    C: int,
    P: int,
    Q: int,
    R: int,
    S: int,
    stride: PerAxis = 1,
    dilation: PerAxis = 1,
    count: int = 1,
) -> Layer:
    """A 2-D convolution of each channel by its own kernel.

    Arguments are those of `conv2d`, less M, which equals C. For several outputs a channel use `conv2d` with
    `groups=C`.

    Returns:
        A layer over the dimensions C R S N P Q.

    Raises:
        InvalidInput: an argument is not a positive integer.

    Examples:
        >>> dlco.depthwise_conv2d("dw", C=32, P=56, Q=56, R=3, S=3).problem.dimensions
        ('C', 'R', 'S', 'N', 'P', 'Q')
    """
    return _convolution(name, {"C": C}, {"R": R, "S": S}, N, {"P": P, "Q": Q}, stride, dilation, count)


def conv1d(
    name: str,
    *,
    N: int = 1,
    C: int,
    M: int,
    P: int,
    R: int,
    stride: PerAxis = 1,
    dilation: PerAxis = 1,
    groups: int = 1,
    count: int = 1,
) -> Layer:
    """A 1-D convolution: `conv2d` without columns.

    Returns:
        A layer over the dimensions C M R N P, preceded by G where `groups` is above 1.

    Raises:
        InvalidInput: an argument is not a positive integer, or `groups` does not divide C and M.

    Examples:
        >>> dlco.conv1d("window", C=1, M=1, P=12, R=3).problem.words("Inputs")
        14
    """
    return _convolution(name, _channels(name, C, M, groups), {"R": R}, N, {"P": P}, stride, dilation, count)


def conv3d(
    name: str,
    *,
    N: int = 1,
    C: int,
    M: int,
    D: int,
    P: int,
    Q: int,
    T: int,
    R: int,
    S: int,
    stride: PerAxis = 1,
    dilation: PerAxis = 1,
    groups: int = 1,
    count: int = 1,
) -> Layer:
    """A 3-D convolution: `conv2d` with a depth, of T kernel planes and D output planes, before the rows.

    Returns:
        A layer over the dimensions C M T R S N D P Q, preceded by G where `groups` is above 1. Strides and dilations
        of three are (planes, rows, columns).

    Raises:
        InvalidInput: an argument is not a positive integer, or `groups` does not divide C and M.
    """
    taps, positions = {"T": T, "R": R, "S": S}, {"D": D, "P": P, "Q": Q}
    return _convolution(name, _channels(name, C, M, groups), taps, N, positions, stride, dilation, count)


def transposed_conv2d(
    name: str,
    *,
    N: int = 1,
    C: int,
    M: int,
    H: int,
    W: int,
    R: int,
    S: int,
    stride: PerAxis = 1,
    dilation: PerAxis = 1,
    groups: int = 1,
    count: int = 1,
) -> Layer:
    """A transposed 2-D convolution in scatter form: every input element adds a scaled kernel to the outputs.

    The dimensions run over the input's H rows and W columns, so no multiplication by an inserted zero is counted.
    The outputs are what is computed before any padding is cut off: `stride * (H - 1) + dilation * (R - 1) + 1` rows.

    Returns:
        A layer over the dimensions C M R S N H W, preceded by G where `groups` is above 1.

    Raises:
        InvalidInput: an argument is not a positive integer, or `groups` does not divide C and M.

    Examples:
        >>> up = dlco.transposed_conv2d("up", C=8, M=4, H=16, W=16, R=2, S=2, stride=2)
        >>> up.problem.words("Outputs")  # 4 channels of 32 x 32
        4096
    """
    channels, taps, positions = _channels(name, C, M, groups), {"R": R, "S": S}, {"H": H, "W": W}
    return _convolution(name, channels, taps, N, positions, stride, dilation, count, scatter=True)


def transposed_conv1d(
    name: str,
    *,
    N: int = 1,
    C: int,
    M: int,
    H: int,
    R: int,
    stride: PerAxis = 1,
    dilation: PerAxis = 1,
    groups: int = 1,
    count: int = 1,
) -> Layer:
    """A transposed 1-D convolution: `transposed_conv2d` without columns, over H input positions.

    Returns:
        A layer over the dimensions C M R N H, preceded by G where `groups` is above 1.

    Raises:
        InvalidInput: an argument is not a positive integer, or `groups` does not divide C and M.
    """
    channels = _channels(name, C, M, groups)
    return _convolution(name, channels, {"R": R}, N, {"H": H}, stride, dilation, count, scatter=True)


def transposed_conv3d(
    name: str,
    *,
    N: int = 1,
    C: int,
    M: int,
    D: int,
    H: int,
    W: int,
    T: int,
    R: int,
    S: int,
    stride: PerAxis = 1,
    dilation: PerAxis = 1,
    groups: int = 1,
    count: int = 1,
) -> Layer:
    """A transposed 3-D convolution: `transposed_conv2d` with T kernel planes and D input planes before the rows.

    Returns:
        A layer over the dimensions C M T R S N D H W, preceded by G where `groups` is above 1. Strides and dilations
        of three are (planes, rows, columns).

    Raises:
        InvalidInput: an argument is not a positive integer, or `groups` does not divide C and M.
    """
    taps, positions = {"T": T, "R": R, "S": S}, {"D": D, "H": H, "W": W}
    return _convolution(name, _channels(name, C, M, groups), taps, N, positions, stride, dilation, count, scatter=True)


def linear(name: str, *, N: int = 1, C: int, M: int, count: int = 1) -> Layer:
    """A fully connected layer: N vectors of C features to M features each.

    Returns:
        The 1x1 convolution of a 1x1 image, over C M R S N P Q, so that a network's convolutions and linear layers
        share one shape. For a sequence, N is batch times tokens.

    Raises:
        InvalidInput: an argument is not a positive integer.

    Examples:
        >>> dlco.linear("fc", C=512, M=1000).parameters
        512000
    """
    return conv2d(name, N=N, C=C, M=M, P=1, Q=1, R=1, S=1, count=count)


def matmul(name: str, *, M: int, K: int, N: int, B: int = 1, count: int = 1) -> Layer:
    """B products of an (M, K) by a (K, N) matrix, both of them computed by the network.

    The (K, N) operand is called "Weights" but holds no parameters; a product with trained weights is a `linear`.

    Returns:
        A layer over the dimensions B M K N, with `stored_weights` False.

    Raises:
        InvalidInput: an argument is not a positive integer.

    Examples:
        >>> product = dlco.matmul("product", M=128, K=64, N=256)
        >>> product.macs, product.parameters
        (2097152, 0)
    """
    bounds = {"B": B, "M": M, "K": K, "N": N}
    check_sizes(name, bounds)
    dataspaces = (
        make_dataspace("Weights", "B", "K", "N"),
        make_dataspace("Inputs", "B", "M", "K"),
        make_dataspace("Outputs", "B", "M", "N", read_write=True),
    )
    problem = Problem(tuple(bounds), tuple(bounds.values()), dataspaces, name="MatMul")
    return Layer(name, problem, count, stored_weights=False)


def attention_scores(
    name: str, *, N: int = 1, heads: int, queries: int, keys: int | None = None, head_dim: int, count: int = 1
) -> Layer:
    """The products of queries with keys of multi-head attention.

    Args:
        name: of the layer.
        N: batch size.
        heads: attention heads.
        queries: tokens that attend.
        keys: tokens attended to; as many as `queries` unless given.
        head_dim: features of one head.
        count: how often the network runs the layer.

    Returns:
        A `matmul` of N * heads products, (queries, head_dim) by (head_dim, keys).

    Raises:
        InvalidInput: an argument is not a positive integer.

    Examples:
        >>> dlco.attention_scores("scores", heads=12, queries=128, head_dim=64).problem.sizes
        {'B': 12, 'M': 128, 'K': 64, 'N': 128}
    """
    keys = queries if keys is None else keys
    check_sizes(name, {"N": N, "heads": heads, "queries": queries, "keys": keys, "head_dim": head_dim})
    return matmul(name, B=N * heads, M=queries, K=head_dim, N=keys, count=count)


def attention_values(
    name: str, *, N: int = 1, heads: int, queries: int, keys: int | None = None, head_dim: int, count: int = 1
) -> Layer:
    """The products of attention weights with values; arguments as for `attention_scores`.

    Returns:
        A `matmul` of N * heads products, (queries, keys) by (keys, head_dim).

    Raises:
        InvalidInput: an argument is not a positive integer.
    """
    keys = queries if keys is None else keys
    check_sizes(name, {"N": N, "heads": heads, "queries": queries, "keys": keys, "head_dim": head_dim})
    return matmul(name, B=N * heads, M=queries, K=keys, N=head_dim, count=count)


def _convolution(
    name: str,
    channels: dict[str, int],
    taps: dict[str, int],
    N: int,
    positions: dict[str, int],
    stride: PerAxis,
    dilation: PerAxis,
    count: int,
    *,
    scatter: bool = False,
) -> Layer:
    """A layer whose taps slide along as many axes as there are positions.

    Tap k at position p meets element `dilation * k + stride * p` of the inputs, or of the outputs if `scatter`.
    """
    bounds = channels | taps | {"N": N} | positions
    check_sizes(name, bounds)
    strides = each_axis(f"stride of layer {name}", stride, len(positions))
    dilations = each_axis(f"dilation of layer {name}", dilation, len(positions))
    windows = [
        ((tap, spacing), (position, step))
        for tap, position, spacing, step in zip(taps, positions, dilations, strides, strict=True)
    ]
    depthwise = "M" not in channels
    into = [dim for dim in channels if dim != "M"]
    out_of = [dim for dim in channels if dim != "C" or depthwise]
    dataspaces = (
        make_dataspace("Weights", *channels, *taps),
        make_dataspace("Inputs", "N", *into, *(positions if scatter else windows)),
        make_dataspace("Outputs", "N", *out_of, *(windows if scatter else positions), read_write=True),
    )
    shape = "Transposed_CNN_Layer" if scatter else "CNN_Layer"
    return Layer(name, Problem(tuple(bounds), tuple(bounds.values()), dataspaces, name=shape), count)


def make_dataspace(name: str, *ranks: str | Rank, read_write: bool = False) -> Dataspace:
    """A dataspace whose ranks are given as terms, or as the one dimension they are."""
    return Dataspace(name, tuple(((rank, 1),) if isinstance(rank, str) else rank for rank in ranks), read_write)


def _channels(name: str, C: int, M: int, groups: int) -> dict[str, int]:
    """The channel dimensions: C and M, or those of one group beside G where there are several groups."""
    check_sizes(name, {"C": C, "M": M, "groups": groups})
    if C % groups or M % groups:
        raise InvalidInput(f"groups of layer {name} is {groups}; it must divide C = {C} and M = {M}")
    return {"C": C, "M": M} if groups == 1 else {"G": groups, "C": C // groups, "M": M // groups}


def each_axis(field: str, value: PerAxis, axes: int) -> tuple[int, ...]:
    """One positive integer for each of so many axes; `InvalidInput`, naming the field, for anything else."""
    values = tuple(value) if isinstance(value, Sequence) else (value,) * axes
    if len(values) != axes:
        raise InvalidInput(f"{field} is {value!r}; it must be one integer or {axes} of them")
    for entry in values:
        check_positive_int(field, entry)
    return values


def check_sizes(name: str, sizes: dict[str, int]) -> None:
    """Raise `InvalidInput`, naming the layer and the argument, unless all sizes are positive integers."""
    for argument, size in sizes.items():
        check_positive_int(f"{argument} of layer {name}", size)
