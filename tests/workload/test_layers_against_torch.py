"""The projections are right: each problem, executed as the loop nest it stands for, computes what torch computes."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - as torch users write it
from hypothesis import given, settings
from hypothesis import strategies as st

from dlco.workload import (
    attention_scores,
    attention_values,
    conv1d,
    conv2d,
    conv3d,
    depthwise_conv2d,
    linear,
    matmul,
    transposed_conv2d,
)


def extents(problem, name):
    return tuple(1 + sum(c * (problem.sizes[d] - 1) for d, c in rank) for rank in problem.dataspace(name).projection)


def execute(problem, weights, inputs):
    """Visit every point of the iteration space once: Outputs[...] += Weights[...] * Inputs[...]."""
    grid = dict(zip(problem.dimensions, np.indices(problem.bounds), strict=True))

    def at(name):
        return tuple(sum(c * grid[d] for d, c in rank) for rank in problem.dataspace(name).projection)

    outputs = np.zeros(extents(problem, "Outputs"), dtype=np.int64)
    np.add.at(outputs, at("Outputs"), weights[at("Weights")] * inputs[at("Inputs")])
    return outputs


def operands(problem, seed=0):
    """Random integers of the shapes the projections imply, so that sums are exact in any order."""
    rng = np.random.default_rng(seed)
    return tuple(rng.integers(-9, 10, extents(problem, name)) for name in ("Weights", "Inputs"))


def tensor(array):
    return torch.from_numpy(array).double()


def torch_convolution(problem, weights, inputs, convolve, **options):
    """Torch's answer, from arrays in the order of the projections: C M ..., or G C M ... and N G C ..., or C ..."""
    sizes = problem.sizes
    groups = sizes.get("G", 1)
    if "M" not in sizes:
        groups = sizes["C"]
        kernel = tensor(weights)[:, None]
    else:
        grouped = tensor(weights).reshape(groups, sizes["C"], sizes["M"], *weights.shape[-inputs_axes(problem) :])
        transposed = convolve is F.conv_transpose2d
        kernel = (grouped if transposed else grouped.transpose(1, 2)).flatten(0, 1)
    images = tensor(inputs).reshape(sizes["N"], -1, *inputs.shape[-inputs_axes(problem) :])
    return convolve(images, kernel, groups=groups, **options).numpy()


def inputs_axes(problem):
    return sum(dim in problem.dimensions for dim in "TRS")


def assert_computes(layer, convolve, **options):
    weights, inputs = operands(layer.problem)
    expected = torch_convolution(layer.problem, weights, inputs, convolve, **options)
    ours = execute(layer.problem, weights, inputs)
    assert ours.size == expected.size  # P and Q are exactly the outputs that these inputs give
    np.testing.assert_array_equal(ours.reshape(expected.shape), expected)


SIZES = dict(N=2, C=4, M=6, P=3, Q=4, R=3, S=2)
OPTIONS = [
    dict(),
    dict(stride=2),
    dict(stride=(1, 3)),
    dict(dilation=2),
    dict(dilation=(3, 1)),
    dict(stride=(2, 3), dilation=(3, 2)),
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("groups", [1, 2])
def test_conv2d(options, groups):
    assert_computes(conv2d("x", **SIZES, **options, groups=groups), F.conv2d, **options)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_depthwise_conv2d(options):
    sizes = {dim: size for dim, size in SIZES.items() if dim != "M"}
    assert_computes(depthwise_conv2d("x", **sizes, **options), F.conv2d, **options)


def test_depthwise_with_a_multiplier_is_a_grouped_convolution():
    layer = conv2d("x", **(SIZES | dict(M=8)), groups=4)
    assert layer.problem.sizes["M"] == 2
    assert_computes(layer, F.conv2d)


@pytest.mark.parametrize("options", [dict(), dict(stride=3), dict(dilation=2), dict(stride=2, dilation=3)], ids=str)
@pytest.mark.parametrize("groups", [1, 2])
def test_conv1d(options, groups):
    assert_computes(conv1d("x", N=2, C=4, M=6, P=5, R=3, **options, groups=groups), F.conv1d, **options)


@pytest.mark.parametrize("options", [dict(), dict(stride=(2, 1, 3), dilation=(1, 2, 3))], ids=str)
@pytest.mark.parametrize("groups", [1, 2])
def test_conv3d(options, groups):
    layer = conv3d("x", N=2, C=2, M=4, D=2, P=3, Q=2, T=2, R=3, S=2, **options, groups=groups)
    assert_computes(layer, F.conv3d, **options)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("groups", [1, 2])
def test_transposed_conv2d(options, groups):
    layer = transposed_conv2d("x", N=2, C=4, M=6, H=3, W=4, R=3, S=2, **options, groups=groups)
    assert_computes(layer, F.conv_transpose2d, **options)


def test_padding_only_changes_what_the_inputs_hold():
    layer = conv2d("x", C=2, M=3, P=5, Q=5, R=3, S=3, stride=2)
    weights, _ = operands(layer.problem)
    image = np.random.default_rng(1).integers(-9, 10, (1, 2, 9, 9))
    padded = np.pad(image, ((0, 0), (0, 0), (1, 1), (1, 1)))
    expected = F.conv2d(tensor(image), tensor(weights).transpose(0, 1), stride=2, padding=1).numpy()
    np.testing.assert_array_equal(execute(layer.problem, weights, padded), expected)


def test_linear():
    layer = linear("x", N=3, C=4, M=5)
    weights, inputs = operands(layer.problem)
    expected = F.linear(tensor(inputs).flatten(1), tensor(weights).flatten(1).T).numpy()
    np.testing.assert_array_equal(execute(layer.problem, weights, inputs).reshape(3, 5), expected)


def test_matmul():
    layer = matmul("x", B=2, M=3, K=4, N=5)
    weights, inputs = operands(layer.problem)
    np.testing.assert_array_equal(execute(layer.problem, weights, inputs), inputs @ weights)


def test_attention_products():
    batch, heads, queries, keys, head_dim = 2, 3, 4, 5, 6
    sizes = dict(N=batch, heads=heads, queries=queries, keys=keys, head_dim=head_dim)
    rng = np.random.default_rng(0)
    q = rng.integers(-9, 10, (batch, heads, queries, head_dim))
    k, v = rng.integers(-9, 10, (2, batch, heads, keys, head_dim))

    def flat(array):
        return array.reshape(batch * heads, *array.shape[2:])

    scores = execute(attention_scores("s", **sizes).problem, flat(k.swapaxes(2, 3)), flat(q))
    values = execute(attention_values("v", **sizes).problem, flat(v), scores)
    expected = torch.einsum("bhqd,bhkd,bhkf->bhqf", tensor(q), tensor(k), tensor(v)).numpy()
    np.testing.assert_array_equal(values, flat(expected))


pairs = st.tuples(st.integers(1, 3), st.integers(1, 3))


@settings(max_examples=40, deadline=None)
@given(
    groups=st.integers(1, 3),
    channels=pairs,
    batch=st.integers(1, 2),
    positions=pairs,
    taps=pairs,
    stride=pairs,
    dilation=pairs,
    transposed=st.booleans(),
)
def test_any_small_convolution(groups, channels, batch, positions, taps, stride, dilation, transposed):
    C, M = (groups * per_group for per_group in channels)
    options = dict(stride=stride, dilation=dilation)
    common = dict(N=batch, C=C, M=M, R=taps[0], S=taps[1], groups=groups) | options
    if transposed:
        layer = transposed_conv2d("x", H=positions[0], W=positions[1], **common)
    else:
        layer = conv2d("x", P=positions[0], Q=positions[1], **common)
    assert_computes(layer, F.conv_transpose2d if transposed else F.conv2d, **options)
