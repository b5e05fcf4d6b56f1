"""Problem and Layer: what they compute and what they refuse."""

import pytest

from dlco.errors import InvalidInput
from dlco.workload import Dataspace, Layer, Problem, check_layers, linear, macs, matmul, parameters

WEIGHTS = Dataspace("Weights", ((("K", 1),), (("N", 1),)))
RESULT = Dataspace("Outputs", ((("M", 1),), (("N", 1),)), read_write=True)


def problem(**changes):
    fields = {"dimensions": ("M", "K", "N"), "bounds": (2, 3, 4), "dataspaces": (WEIGHTS, RESULT)}
    return Problem(**(fields | changes))


def test_macs_words_and_sizes():
    p = problem()
    assert p.macs == 24
    assert p.sizes == {"M": 2, "K": 3, "N": 4}
    assert p.words("Weights") == 12
    assert p.words(RESULT) == 8
    assert WEIGHTS.dimensions == {"K", "N"}


def test_words_count_the_bounding_box_of_a_window():
    window = Dataspace("Inputs", ((("N", 3), ("K", 2)),))
    assert problem(dataspaces=(window, RESULT)).words("Inputs") == 1 + 3 * 3 + 2 * 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"bounds": (2, 3)}, "problem has 3 dimensions but 2 bounds"),
        ({"bounds": (2, 0, 4)}, "bound of dimension K is 0; it must be an integer of at least 1"),
        ({"bounds": (2, 3.0, 4)}, "bound of dimension K is 3.0; it must be an integer of at least 1"),
        ({"bounds": (2, True, 4)}, "bound of dimension K is True; it must be an integer of at least 1"),
        ({"dimensions": ("M", "M", "N")}, "dimensions is ('M', 'M', 'N'); it must be one or more distinct names"),
        ({"dimensions": (), "bounds": ()}, "dimensions is (); it must be one or more distinct names"),
        ({"dataspaces": ()}, "dataspaces is []; it must be one or more distinct names"),
        (
            {"dataspaces": (RESULT, RESULT)},
            "dataspaces is ['Outputs', 'Outputs']; it must be one or more distinct names",
        ),
        ({"dataspaces": (WEIGHTS,)}, "dataspaces ['Weights'] has no result; one must be read_write"),
        (
            {"dataspaces": (RESULT, Dataspace("X", ((("Z", 1),),)))},
            "projection of X names dimension 'Z'; the problem has M, K, N",
        ),
        (
            {"dataspaces": (RESULT, Dataspace("X", ((("K", 0),),)))},
            "coefficient of K in X is 0; it must be an integer of at least 1",
        ),
    ],
)
def test_a_bad_problem_is_refused_in_one_sentence(changes, message):
    with pytest.raises(InvalidInput) as caught:
        problem(**changes)
    assert str(caught.value) == message


def test_an_unknown_dataspace_is_refused():
    with pytest.raises(InvalidInput, match="dataspace is 'Bias'; the problem has Weights, Outputs"):
        problem().words("Bias")


def test_sums_over_a_network_weigh_counts_and_skip_computed_weights():
    layers = [linear("fc", C=3, M=5, count=2), matmul("scores", M=2, K=3, N=4)]
    assert macs(layers) == 2 * 15 + 24
    assert parameters(layers) == 2 * 15
    assert macs(iter(layers)) == 54


@pytest.mark.parametrize("name", ["", None, 3])
def test_a_layer_needs_a_name(name):
    with pytest.raises(InvalidInput, match=r"name of a layer is .*; it must be a non-empty string"):
        Layer(name, problem())


@pytest.mark.parametrize("count", [0, -1, 1.5, None])
def test_a_layer_counts_at_least_once(count):
    with pytest.raises(InvalidInput, match=f"count of layer fc is {count}; it must be an integer of at least 1"):
        Layer("fc", problem(), count)


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([], "layers is empty; it must hold at least one Layer"),
        (["conv1"], "layers holds 'conv1'; every entry must be a dlco.Layer"),
        ([linear("fc", C=1, M=1)] * 2, "layers holds two layers named 'fc'; names must be distinct"),
    ],
)
@pytest.mark.parametrize("ask", [check_layers, macs, parameters])
def test_a_bad_list_of_layers_is_refused(ask, layers, message):
    with pytest.raises(InvalidInput) as caught:
        ask(layers)
    assert str(caught.value) == message
