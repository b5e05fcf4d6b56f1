"""The constructors: dimensions and projections literally, words by hand, and every refusal."""

import pytest

from dlco.errors import InvalidInput
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


def written(layer):
    """The projections as text: {"Inputs": "N C 2R+3P ..."}, coefficients of 1 left out."""

    def rank(terms):
        return "+".join(f"{'' if coefficient == 1 else coefficient}{dim}" for dim, coefficient in terms)

    return {space.name: " ".join(map(rank, space.projection)) for space in layer.problem.dataspaces}


CONV = dict(C=4, M=6, P=5, Q=7, R=3, S=2)
TRANSPOSED = dict(C=4, M=6, H=5, W=7, R=3, S=2)


@pytest.mark.parametrize(
    ("layer", "dimensions", "weights", "inputs", "outputs"),
    [
        (conv2d("x", **CONV), "C M R S N P Q", "C M R S", "N C R+P S+Q", "N M P Q"),
        (conv2d("x", **CONV, stride=2, dilation=3), "C M R S N P Q", "C M R S", "N C 3R+2P 3S+2Q", "N M P Q"),
        (
            conv2d("x", **CONV, stride=(2, 3), dilation=(4, 5)),
            "C M R S N P Q",
            "C M R S",
            "N C 4R+2P 5S+3Q",
            "N M P Q",
        ),
        (
            conv2d("x", **CONV, stride=2, groups=2),
            "G C M R S N P Q",
            "G C M R S",
            "N G C R+2P S+2Q",
            "N G M P Q",
        ),
        (
            depthwise_conv2d("x", C=4, P=5, Q=7, R=3, S=2, stride=2),
            "C R S N P Q",
            "C R S",
            "N C R+2P S+2Q",
            "N C P Q",
        ),
        (conv1d("x", C=4, M=6, P=5, R=3, stride=2, dilation=3), "C M R N P", "C M R", "N C 3R+2P", "N M P"),
        (
            conv3d("x", **CONV, D=2, T=3, stride=(2, 1, 1)),
            "C M T R S N D P Q",
            "C M T R S",
            "N C T+2D R+P S+Q",
            "N M D P Q",
        ),
        (
            transposed_conv2d("x", **TRANSPOSED, stride=(2, 3), dilation=(4, 1)),
            "C M R S N H W",
            "C M R S",
            "N C H W",
            "N M 4R+2H S+3W",
        ),
        (
            transposed_conv2d("x", **TRANSPOSED, groups=2),
            "G C M R S N H W",
            "G C M R S",
            "N G C H W",
            "N G M R+H S+W",
        ),
        (linear("x", C=4, M=6), "C M R S N P Q", "C M R S", "N C R+P S+Q", "N M P Q"),
        (matmul("x", M=2, K=3, N=4), "B M K N", "B K N", "B M K", "B M N"),
    ],
)
def test_dimensions_and_projections(layer, dimensions, weights, inputs, outputs):
    assert " ".join(layer.problem.dimensions) == dimensions
    assert written(layer) == {"Weights": weights, "Inputs": inputs, "Outputs": outputs}
    assert [space.name for space in layer.problem.dataspaces if space.read_write] == ["Outputs"]


def test_words_of_a_strided_convolution():
    layer = conv2d("conv1", N=1, C=3, M=64, P=112, Q=112, R=7, S=7, stride=2, count=1)
    # the sizes that Timeloop prints for this layer
    assert layer.problem.words("Weights") == 9408
    assert layer.problem.words("Inputs") == 157323
    assert layer.problem.words("Outputs") == 802816
    assert layer.macs == 118013952


def test_groups_divide_the_channels():
    layer = conv2d("x", **CONV, groups=2)
    assert layer.problem.sizes == {"G": 2, "C": 2, "M": 3, "R": 3, "S": 2, "N": 1, "P": 5, "Q": 7}
    assert layer.macs * 2 == conv2d("x", **CONV).macs
    assert layer.parameters * 2 == conv2d("x", **CONV).parameters


def test_a_linear_layer_shares_the_shape_of_a_1x1_convolution():
    assert linear("fc", N=2, C=4, M=6).problem == conv2d("c", N=2, C=4, M=6, P=1, Q=1, R=1, S=1).problem


def test_problem_names_are_timeloops():
    assert conv2d("x", **CONV).problem.name == "CNN_Layer"
    assert conv2d("x", **CONV, groups=2).problem.name == "CNN_Layer"
    assert depthwise_conv2d("x", C=4, P=5, Q=7, R=3, S=2).problem.name == "CNN_Layer"
    assert matmul("x", M=2, K=3, N=4).problem.name == "MatMul"


def test_attention_is_a_batch_of_products_without_parameters():
    scores = attention_scores("scores", N=2, heads=3, queries=5, keys=7, head_dim=4)
    values = attention_values("values", N=2, heads=3, queries=5, keys=7, head_dim=4)
    assert scores.problem.sizes == {"B": 6, "M": 5, "K": 4, "N": 7}
    assert values.problem.sizes == {"B": 6, "M": 5, "K": 7, "N": 4}
    assert scores.problem.words("Outputs") == values.problem.words("Inputs")
    assert scores.parameters == values.parameters == 0


def test_self_attention_has_as_many_keys_as_queries():
    assert attention_scores("s", heads=1, queries=5, head_dim=4).problem.sizes["N"] == 5
    assert attention_values("v", heads=1, queries=5, head_dim=4).problem.sizes["K"] == 5


COMPLETE = {
    conv2d: CONV | dict(N=1),
    depthwise_conv2d: dict(N=1, C=4, P=5, Q=7, R=3, S=2),
    conv1d: dict(N=1, C=4, M=6, P=5, R=3),
    conv3d: CONV | dict(N=1, D=2, T=3),
    transposed_conv2d: TRANSPOSED | dict(N=1),
    linear: dict(N=1, C=4, M=6),
    matmul: dict(B=1, M=2, K=3, N=4),
    attention_scores: dict(N=1, heads=2, queries=3, keys=3, head_dim=4),
    attention_values: dict(N=1, heads=2, queries=3, keys=3, head_dim=4),
}


@pytest.mark.parametrize(
    ("constructor", "argument"),
    [(constructor, argument) for constructor, sizes in COMPLETE.items() for argument in [*sizes, "count"]],
    ids=lambda value: getattr(value, "__name__", value),
)
@pytest.mark.parametrize("value", [0, -3, 2.0, "8"])
def test_every_size_must_be_a_positive_integer(constructor, argument, value):
    with pytest.raises(InvalidInput) as caught:
        constructor("x", **(COMPLETE[constructor] | {argument: value}))
    assert str(caught.value) == f"{argument} of layer x is {value!r}; it must be an integer of at least 1"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stride": 0}, "stride of layer x is 0; it must be an integer of at least 1"),
        ({"stride": (1, 0)}, "stride of layer x is 0; it must be an integer of at least 1"),
        ({"stride": (1, 2, 3)}, "stride of layer x is (1, 2, 3); it must be one integer or 2 of them"),
        ({"dilation": [1]}, "dilation of layer x is [1]; it must be one integer or 2 of them"),
        ({"dilation": 1.5}, "dilation of layer x is 1.5; it must be an integer of at least 1"),
        ({"stride": "2"}, "stride of layer x is '2'; it must be one integer or 2 of them"),
        ({"groups": 0}, "groups of layer x is 0; it must be an integer of at least 1"),
        ({"groups": 4}, "groups of layer x is 4; it must divide C = 4 and M = 6"),
        ({"groups": 3}, "groups of layer x is 3; it must divide C = 4 and M = 6"),
    ],
)
@pytest.mark.parametrize(("constructor", "sizes"), [(conv2d, CONV), (transposed_conv2d, TRANSPOSED)])
def test_bad_strides_dilations_and_groups_are_refused(constructor, sizes, changes, message):
    with pytest.raises(InvalidInput) as caught:
        constructor("x", **sizes, **changes)
    assert str(caught.value) == message


@pytest.mark.parametrize("constructor", COMPLETE)
def test_a_layer_needs_a_name(constructor):
    with pytest.raises(InvalidInput, match="name of a layer is ''; it must be a non-empty string"):
        constructor("", **COMPLETE[constructor])
