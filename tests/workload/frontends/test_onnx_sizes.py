"""Axes that an ONNX model leaves free: the batch by its name or place, others by theirs."""

import pytest

import dlco
from dlco.errors import InvalidInput

from .onnx_models import model, node, weights

FREE = model([node("Conv", "x w")], {"x": ("batch", 8, "height", 15)}, [weights("w", 4, 8, 3, 3)])
FIXED = model([node("Conv", "x w")], {"x": (2, 8, 14, 15)}, [weights("w", 4, 8, 3, 3)])


def product(left, right, *, outputs=None):
    """The product of two inputs of these shapes."""
    built = model([node("MatMul", "x z")], {"x": left, "z": right})
    if outputs is not None:
        for size in outputs:
            built.graph.output[0].type.tensor_type.shape.dim.add(dim_param=size)
    return built


def test_free_axes_take_the_batch_and_the_sizes_given():
    expected = dlco.conv2d("op", N=3, C=8, M=4, P=18, Q=13, R=3, S=3)
    assert list(dlco.from_onnx(FREE, batch=3, sizes={"height": 20})) == [expected]
    assert list(dlco.from_onnx(FREE, sizes={"height": 20, "batch": 3})) == [expected]
    assert list(dlco.from_onnx(FREE, batch=3, sizes={"height": 20, "batch": 3})) == [expected]
    assert dlco.from_onnx(FREE, sizes={"height": 20})[0].problem.sizes["N"] == 1
    assert FREE.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "batch"  # the model given stays as it was


def test_every_free_axis_is_named_in_what_refuses_them():
    with pytest.raises(InvalidInput, match=r"axis 2 of ONNX input 'x' is free; .*sizes=\{'height': 224\}"):
        dlco.from_onnx(FREE)
    both = model([node("Conv", "x w")], {"x": (1, 8, "h", "w")}, [weights("w", 4, 8, 3, 3)])
    with pytest.raises(InvalidInput, match=r"axis 2 .* is free, one of 2 .*sizes=\{'h': 224, 'w': 224\}"):
        dlco.from_onnx(both)


BATCHES = ["batch", "batch_size", "Batch", "N", "n", "bs", "B", "images_batch", "dynamic_batch_size"]


@pytest.mark.parametrize("name", BATCHES)
def test_a_batch_is_known_by_its_name_on_any_axis_of_any_input(name):
    expected = [dlco.matmul("op", B=7, M=3, K=4, N=5)]
    assert list(dlco.from_onnx(product((7, name, 4), (7, 4, 5)), batch=3)) == expected
    assert list(dlco.from_onnx(product((7, 3, 4), (7, 4, name)), batch=5)) == expected
    both = product((name, 2, name), (name, name, 5), outputs=(name, "rows", "more"))
    assert list(dlco.from_onnx(both, batch=3)) == [dlco.matmul("op", B=3, M=2, K=3, N=5)]
    assert dlco.from_onnx(both).macs == 2 * 5


def test_beside_a_batch_by_name_a_first_axis_is_no_batch():
    sequence = product(("seq", "batch", 4), (4, 5))
    with pytest.raises(InvalidInput, match=r"axis 0 of ONNX input 'x' is free; .*\{'seq': 224\}"):
        dlco.from_onnx(sequence, batch=3)
    assert dlco.from_onnx(sequence, batch=3, sizes={"seq": 7}).macs == 7 * 3 * 4 * 5


@pytest.mark.parametrize("names", [("unk__12", "unk__12"), ("unk__12", "unk__13"), ("s0", "s77"), (None, None)])
def test_first_axes_without_a_telling_name_are_the_batch(names):
    first, second = names
    found = dlco.from_onnx(product((first, 3, 4), (second, 4, 5)), batch=6)
    assert list(found) == [dlco.matmul("op", B=6, M=3, K=4, N=5)]


def test_a_first_axis_of_one_input_is_known_elsewhere():
    found = dlco.from_onnx(product(("unk__12", 2, 4), (4, "unk__12")), batch=6)
    assert list(found) == [dlco.matmul("op", M=6 * 2, K=4, N=6)]


def test_an_axis_without_a_name_is_called_by_its_place():
    unnamed = model([node("Conv", "x w")], {"x": (2, 8, None, 15)}, [weights("w", 4, 8, 3, 3)])
    with pytest.raises(InvalidInput, match=r"axis 2 .* as in sizes=\{'x:2': 224\}"):
        dlco.from_onnx(unnamed)
    assert list(dlco.from_onnx(unnamed, sizes={"x:2": 14})) == list(dlco.from_onnx(FIXED))


REFUSED = {
    "a batch that the file fixes": (FIXED, {"batch": 3}, "batch is 3, but the ONNX file fixes the first axis of input"),
    "a batch said twice": (
        FREE,
        {"batch": 3, "sizes": {"batch": 2, "height": 9}},
        "batch is 3, but the size given of its axis 'batch' is 2",
    ),
    "a name misspelt": (FREE, {"sizes": {"heigth": 9}}, "no free axis of that name; it has 'batch', 'height'"),
    "a name where all is fixed": (FIXED, {"sizes": {"height": 9}}, "no free axis of that name; it has none"),
    "a place that has a name": (FREE, {"sizes": {"x:2": 9}}, "no free axis of that name"),
    "a size of 0": (FREE, {"sizes": {"height": 0}}, "size of height is 0"),
    "a size in words": (FREE, {"sizes": {"height": "9"}}, "size of height is '9'"),
    "a batch of 0": (FREE, {"batch": 0}, "batch is 0"),
    "no sizes by name": (FREE, {"sizes": [("height", 9)]}, "sizes is .*; it must be sizes by the names of axes"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_fits_no_axis_is_refused(what):
    built, options, message = REFUSED[what]
    with pytest.raises(InvalidInput, match=message):
        dlco.from_onnx(built, **options)
    assert dlco.from_onnx(FIXED, batch=2).macs == dlco.from_onnx(FIXED).macs
