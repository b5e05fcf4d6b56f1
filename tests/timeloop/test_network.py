"""A network as a file, a folder of files, or the folders that `write` makes."""

import pytest

import dlco
from dlco.errors import InvalidInput
from dlco.timeloop import read_network, write_problem

LAYERS = [dlco.conv2d(f"layer{i}", C=4, M=8, P=i, Q=5, R=3, S=3, stride=2) for i in (2, 10)]


def same(found, expected):
    bounds = [(layer.name, layer.problem.bounds, layer.problem.dataspaces) for layer in found]
    return bounds == [(layer.name, layer.problem.bounds, layer.problem.dataspaces) for layer in expected]


def test_a_file_is_one_layer(tmp_path):
    (tmp_path / "layer2.yaml").write_text(write_problem(LAYERS[0].problem))
    assert same(read_network(tmp_path / "layer2.yaml"), LAYERS[:1])


def test_a_folder_is_a_layer_a_file_by_number(tmp_path):
    for layer, ending in zip(LAYERS, ("yaml", "yml"), strict=True):
        (tmp_path / f"{layer.name}.{ending}").write_text(write_problem(layer.problem))
    (tmp_path / "README").write_text("not a layer")
    assert same(read_network(tmp_path), LAYERS)
    assert same(read_network(str(tmp_path)), LAYERS)


def test_folders_with_a_problem_each_are_layers(tmp_path):
    for layer in LAYERS:
        (tmp_path / layer.name).mkdir()
        (tmp_path / layer.name / "problem.yaml").write_text(write_problem(layer.problem))
        (tmp_path / layer.name / "arch.yaml").write_text("not read")
    (tmp_path / "other").mkdir()
    assert same(read_network(tmp_path), LAYERS)


@pytest.mark.parametrize("path", ["missing.yaml", "missing", "a\0b", 7])
def test_what_is_not_there_is_refused(path):
    with pytest.raises(InvalidInput):
        read_network(path)


def test_an_empty_folder_and_another_file_are_refused(tmp_path):
    with pytest.raises(InvalidInput, match=r"holds no file that ends in \.yaml"):
        read_network(tmp_path)
    (tmp_path / "arch.yaml").write_text("architecture: {}")
    with pytest.raises(InvalidInput, match=r"arch\.yaml"):
        read_network(tmp_path)
