"""What `dlco solve` takes for a network beside its name: tables, ONNX models, Timeloop's problems."""

import pytest

import dlco.cli.solve as command
from dlco import linear, to_csv
from dlco.timeloop import write_problem


@pytest.fixture
def layers(monkeypatch, solution):
    """The layers that `solve` was last asked to map; it answers at once."""
    asked = []

    def answer(given, **_):
        asked[:] = given
        return solution

    monkeypatch.setattr(command, "solve", answer)
    return asked


NETWORK = [linear("a", N=2, C=8, M=4, count=3), linear("b", N=2, C=4, M=2)]
HARDWARE = ("--hardware", "eyeriss", "--quiet")


def test_a_table(dlco, layers):
    to_csv(NETWORK, "net.csv")
    ran = dlco("solve", "net.csv", *HARDWARE)
    assert (ran.code, ran.out, ran.err) == (0, "", "")
    assert layers == NETWORK


def test_a_folder_of_problems(dlco, layers, tmp_path):
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "a.yaml").write_text(write_problem(NETWORK[0].problem))
    assert dlco("solve", "net", *HARDWARE).code == 0
    assert [(layer.name, layer.problem.bounds) for layer in layers] == [("a", NETWORK[0].problem.bounds)]


@pytest.fixture
def model(tmp_path):
    """An ONNX model of one layer with weights, whose batch is free, and an operator that nobody knows."""
    onnx = pytest.importorskip("onnx")
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    nodes = [helper.make_node("MatMul", ["x", "a.weight"], ["y"])]
    nodes += [helper.make_node("Mystery", ["y"], ["z"], domain="mine")]
    weights = helper.make_tensor("a.weight", kind, (8, 4), bytes(4 * 8 * 4), raw=True)
    ends = [helper.make_tensor_value_info(name, kind, shape) for name, shape in (("x", ["n", 8]), ("z", None))]
    graph = helper.make_graph(nodes, "net", ends[:1], ends[1:], [weights])
    imports = [helper.make_opsetid("", 18), helper.make_opsetid("mine", 1)]
    onnx.save(helper.make_model(graph, opset_imports=imports), tmp_path / "net.onnx")


def test_an_onnx_model_and_what_it_leaves_out(dlco, layers, model):
    ran = dlco("solve", "net.onnx", "--batch", "2", *HARDWARE)
    assert ran.code == 0
    assert layers == [linear("a", N=2, C=8, M=4)]
    assert ran.err == "dlco: an unknown share of the network's MACs is in operators that are not mapped: Mystery\n"


def test_files_that_are_no_networks_are_one_sentence(dlco, layers, tmp_path):
    for name in ("net.csv", "net.onnx", "net.yaml"):
        (tmp_path / name).write_text("nonsense: [")
        ran = dlco("solve", name, *HARDWARE)
        assert (ran.code, ran.err.count("\n")) == (2, 1)
        assert "net." in ran.err
    to_csv(NETWORK, "net.csv")
    assert "batch is 2" in dlco("solve", "net.csv", "--batch", "2", *HARDWARE).err
