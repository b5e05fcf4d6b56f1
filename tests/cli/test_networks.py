"""What `dlco solve` takes for a network beside its name: tables, ONNX models, Timeloop's problems."""

import pytest

import dlco.cli.solve as command
from dlco import conv2d, linear, to_csv
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


@pytest.fixture
def free(tmp_path):
    """An ONNX model of one convolution whose images may have any size."""
    onnx = pytest.importorskip("onnx")
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    weights = helper.make_tensor("w", kind, (16, 3, 3, 3), bytes(4 * 16 * 27), raw=True)
    shapes = {"images": ["batch", 3, "height", "my width"], "y": None}
    ends = [helper.make_tensor_value_info(name, kind, shape) for name, shape in shapes.items()]
    graph = helper.make_graph([helper.make_node("Conv", ["images", "w"], ["y"])], "net", ends[:1], ends[1:], [weights])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), tmp_path / "free.onnx")


def test_layers_of_an_onnx_model_without_multiply_accumulates(dlco, layers, tmp_path):
    onnx = pytest.importorskip("onnx")
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    weights = helper.make_tensor("a.weight", kind, (8, 4), bytes(4 * 8 * 4), raw=True)
    nodes = [helper.make_node("MatMul", ["x", "a.weight"], ["y"]), helper.make_node("Softmax", ["y"], ["z"])]
    ends = [helper.make_tensor_value_info(name, kind, [3, size]) for name, size in (("x", 8), ("z", 4))]
    graph = helper.make_graph(nodes, "net", ends[:1], ends[1:], [weights])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)]), tmp_path / "net.onnx")
    assert dlco("solve", "net.onnx", *HARDWARE).code == 0
    assert [(layer.operation, layer.macs) for layer in layers] == [
        ("multiply-accumulate", 96),
        ("softmax", 0),
        ("softmax", 0),
    ]
    layers.clear()
    assert dlco("solve", "net.onnx", "--macs-only", *HARDWARE).code == 0
    assert [layer.operation for layer in layers] == ["multiply-accumulate"]
    ran = dlco("solve", "resnet18", "--macs-only", *HARDWARE)
    assert (ran.code, ran.err) == (
        2,
        "dlco: error: --macs-only is given, but the network 'resnet18' is no ONNX model (.onnx)\n",
    )


@pytest.mark.parametrize("command", ["solve", "pareto"])
def test_free_axes_of_an_onnx_model_are_named_with_the_option_that_gives_them(dlco, free, command):
    ran = dlco(command, "free.onnx", *HARDWARE)
    assert (ran.code, ran.err) == (
        2,
        "dlco: error: axis 2 of ONNX input 'images' is free, one of 2 without a size; give its size, as in "
        "--size height=224 --size 'my width'=224\n",
    )


def test_free_axes_of_an_onnx_model_take_their_sizes(dlco, layers, free):
    sizes = ("--size", "height=20", "--size", "my width=30")
    assert dlco("solve", "free.onnx", "--batch", "2", *sizes, *HARDWARE).code == 0
    assert [layer.problem for layer in layers] == [conv2d("y", N=2, C=3, M=16, P=18, Q=28, R=3, S=3).problem]
    assert dlco("solve", "free.onnx", "--size", "batch=5", *sizes, *HARDWARE).code == 0
    assert layers[0].problem.sizes["N"] == 5


@pytest.mark.parametrize(
    ("network", "sizes", "message"),
    [
        ("free.onnx", ["height"], "'height' is no AXIS=N, such as height=224"),
        ("free.onnx", ["height=0"], "'height=0' is no AXIS=N"),
        ("free.onnx", ["height=2.5"], "'height=2.5' is no AXIS=N"),
        ("free.onnx", ["=5"], "'=5' is no AXIS=N"),
        ("free.onnx", ["height=5", "height=6"], "--size gives 'height' as 5 and as 6"),
        ("free.onnx", ["heigth=5"], "no free axis of that name; it has 'batch', 'height', 'my width'"),
        ("resnet18", ["height=5"], "'resnet18' is no ONNX model"),
        ("net.csv", ["height=5"], "'net.csv' is no ONNX model"),
    ],
)
def test_sizes_that_fit_no_axis_are_one_sentence(dlco, free, network, sizes, message):
    to_csv(NETWORK, "net.csv")
    ran = dlco("solve", network, *(part for size in sizes for part in ("--size", size)), *HARDWARE)
    assert (ran.code, ran.err.count("\n")) == (2, 1)
    assert message in ran.err


def test_files_that_are_no_networks_are_one_sentence(dlco, layers, tmp_path):
    for name in ("net.csv", "net.onnx", "net.yaml"):
        (tmp_path / name).write_text("nonsense: [")
        ran = dlco("solve", name, *HARDWARE)
        assert (ran.code, ran.err.count("\n")) == (2, 1)
        assert "net." in ran.err
    to_csv(NETWORK, "net.csv")
    assert "batch is 2" in dlco("solve", "net.csv", "--batch", "2", *HARDWARE).err
