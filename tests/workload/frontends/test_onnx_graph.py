"""`from_onnx` on files written here: every operator."""

from contextlib import suppress

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

import dlco
from dlco.errors import DlcoError, InvalidInput
from dlco.workload import networks

from .onnx_models import integers, model, node, weights

onnx = pytest.importorskip("onnx")
helper, TensorProto = onnx.helper, onnx.TensorProto

IMAGE = {"x": (2, 8, 14, 15)}
LAYERS = {  # of one operator: node, inputs, weights, and the layer that it is
    "Conv": (
        node("Conv", "x w", strides=[2, 1], pads=[1, 0, 1, 0], dilations=[1, 2], group=4),
        IMAGE,
        weights("w", 16, 2, 3, 5),
        dlco.conv2d("op", N=2, C=8, M=16, P=7, Q=7, R=3, S=5, stride=(2, 1), dilation=(1, 2), groups=4),
    ),
    "Conv that keeps the size": (
        node("Conv", "x w", auto_pad="SAME_UPPER", strides=[2, 2]),
        IMAGE,
        weights("w", 4, 8, 3, 3),
        dlco.conv2d("op", N=2, C=8, M=4, P=7, Q=8, R=3, S=3, stride=2),
    ),
    "depthwise Conv": (
        node("Conv", "x w", group=8),
        IMAGE,
        weights("w", 8, 1, 3, 3),
        dlco.depthwise_conv2d("op", N=2, C=8, P=12, Q=13, R=3, S=3),
    ),
    "1-D Conv": (
        node("Conv", "x w", dilations=[3]),
        {"x": (2, 8, 20)},
        weights("w", 4, 8, 3),
        dlco.conv1d("op", N=2, C=8, M=4, P=14, R=3, dilation=3),
    ),
    "3-D Conv": (
        node("Conv", "x w", strides=[1, 2, 2]),
        {"x": (1, 2, 4, 9, 9)},
        weights("w", 3, 2, 2, 3, 3),
        dlco.conv3d("op", C=2, M=3, D=3, P=4, Q=4, T=2, R=3, S=3, stride=(1, 2, 2)),
    ),
    "ConvTranspose": (
        node("ConvTranspose", "x w", strides=[2, 2], group=2, output_padding=[1, 1]),
        IMAGE,
        weights("w", 8, 3, 4, 4),
        dlco.transposed_conv2d("op", N=2, C=8, M=6, H=14, W=15, R=4, S=4, stride=2, groups=2),
    ),
    "Gemm": (
        node("Gemm", "x w", transB=1),
        {"x": (5, 8)},
        weights("w", 3, 8),
        dlco.linear("op", N=5, C=8, M=3),
    ),
    "Gemm on its side": (
        node("Gemm", "x w", transA=1),
        {"x": (8, 5)},
        weights("w", 8, 3),
        dlco.linear("op", N=5, C=8, M=3),
    ),
    "MatMul with weights": (
        node("MatMul", "x w"),
        {"x": (2, 7, 8)},
        weights("w", 8, 3),
        dlco.linear("op", N=14, C=8, M=3),
    ),
    "MatMul of two inputs": (
        node("MatMul", "x z"),
        {"x": (2, 3, 5, 8), "z": (2, 3, 8, 4)},
        None,
        dlco.matmul("op", B=6, M=5, K=8, N=4),
    ),
    "Einsum": (
        node("Einsum", "x z", equation="bqhd, bkhd -> bhqk"),
        {"x": (2, 5, 3, 8), "z": (2, 7, 3, 8)},
        None,
        dlco.matmul("op", B=6, M=5, K=8, N=7),
    ),
}


@pytest.mark.parametrize("kind", LAYERS)
def test_operators(kind):
    operator, inputs, initializer, layer = LAYERS[kind]
    found = dlco.from_onnx(model([operator], inputs, [initializer] if initializer else []))
    assert list(found) == [layer]
    assert (found.unmapped, found.mapped_share) == ((), 1.0)


def test_attention_is_two_products():
    attention = node("Attention", "q k v", q_num_heads=6, kv_num_heads=2)
    found = dlco.from_onnx(model([attention], {"q": (2, 5, 48), "k": (2, 7, 16), "v": (2, 7, 8)}, opset=23))
    scores = dlco.matmul("op.scores", B=4, M=15, K=8, N=7)  # three heads share the keys of one
    assert list(found) == [scores, dlco.matmul("op.values", B=4, M=15, K=7, N=4)]


def test_quantised_weights_are_weights():
    nodes = [
        node("DequantizeLinear", "w scale", "dense"),
        node("Conv", "x dense"),
    ]
    quantised = helper.make_tensor("w", TensorProto.INT8, (4, 8, 3, 3), bytes(4 * 8 * 9), raw=True)
    found = dlco.from_onnx(model(nodes, IMAGE, [quantised, weights("scale", 1)]))
    assert list(found) == [dlco.conv2d("op", N=2, C=8, M=4, P=12, Q=13, R=3, S=3)]
    assert found.unmapped == ()  # what needs no input is computed once, not in every run


def test_names_come_from_weights_or_paths():
    nodes = [
        node("Conv", "x block.0.weight", "a", name="/block/block.0/Conv"),
        node("Conv", "a onnx::Conv_7", "b", name="/block/block.1/Conv"),
        node("MatMul", "b b", "c", name="/block/block.1/MatMul"),
        node("Conv", "c onnx::Conv_8", "d", name=""),
    ]
    initializers = [weights("block.0.weight", 8, 8, 1, 1), weights("onnx::Conv_7", 4, 8, 1, 1)]
    found = dlco.from_onnx(model(nodes, {"x": (2, 8, 5, 5)}, [*initializers, weights("onnx::Conv_8", 2, 4, 1, 1)]))
    assert [layer.name for layer in found] == ["block.0", "block.1", "block.1.MatMul", "d"]


def test_names_that_a_terminal_would_obey_are_made_harmless():
    nodes = [node("MatMul", "x w", "a", name="a\x1b[2J\nb"), node("Odd\x07", "a", "b", name="\x1b", domain="mine")]
    found = dlco.from_onnx(model(nodes, {"x": (3, 4)}, [weights("w", 4, 5)]))
    assert (found[0].name, found.unmapped[0].kind, found.unmapped[0].first) == ("a?[2J?b", "Odd?", "?")
    assert all(line.isprintable() for line in str(found).splitlines())


FIXED = model([node("Conv", "x w")], IMAGE, [weights("w", 4, 8, 3, 3)])


def test_shapes_that_the_graph_computes_are_followed():
    nodes = [
        node("Conv", "x w", "a"),
        node("Shape", "a", "shape"),
        node("Gather", "shape first", "batch"),
        node("Concat", "batch rest", "target", axis=0),
        node("Reshape", "a target", "flat"),
        node("MatMul", "flat v"),
    ]
    constants = [weights("w", 4, 8, 3, 3), weights("v", 4 * 12 * 13, 10), integers("first", 0), integers("rest", -1)]
    found = dlco.from_onnx(model(nodes, {"x": ("n", 8, 14, 15)}, constants), batch=3)
    assert found[1] == dlco.linear("op_2", N=3, C=4 * 12 * 13, M=10)
    assert found.unmapped == ()


def test_functions_are_opened():
    inner = helper.make_function("mine", "inner", ["p", "q"], ["r"], [node("MatMul", "p q", "r")], FIXED.opset_import)
    outer = helper.make_function(
        "mine", "outer", ["p", "q"], ["s"], [node("inner", "p q", "s", domain="mine")], imports()
    )
    found = dlco.from_onnx(
        model([node("outer", "x w", domain="mine")], {"x": (3, 4)}, [weights("w", 4, 5)], [inner, outer])
    )
    assert [layer.problem for layer in found] == [dlco.linear("x", N=3, C=4, M=5).problem]


def imports():
    return [helper.make_opsetid("", 18), helper.make_opsetid("mine", 1)]


def function(name, calls):
    nodes = [node(call, "p" if i == 0 else f"t{i}", f"t{i + 1}", domain="mine") for i, call in enumerate(calls)]
    return helper.make_function("mine", name, ["p"], [f"t{len(calls)}"], nodes, imports())


def test_functions_that_never_end_are_refused():
    circle = [function("f", ["g"]), function("g", ["f"])]
    with pytest.raises(InvalidInput, match="calls itself"):
        dlco.from_onnx(model([node("f", "x", domain="mine")], {"x": (3, 4)}, functions=circle))
    doubling = [function(f"f{i}", [f"f{i + 1}"] * 2) for i in range(60)] + [function("f60", ["f60x"])]
    with pytest.raises(InvalidInput, match="operators; at most"):
        dlco.from_onnx(model([node("f0", "x", domain="mine")], {"x": (3, 4)}, functions=doubling))


def test_values_that_grow_without_end_are_not_followed():
    doubling = [node("Concat", f"c{i} c{i}", f"c{i + 1}", axis=0) for i in range(60)]
    huge = [node("ConstantOfShape", "size", "ones"), node("Range", "zero end one", "z")]
    scalars = [helper.make_tensor(n, TensorProto.INT64, [], [v]) for n, v in (("zero", 0), ("one", 1), ("end", 10**15))]
    constants = [weights("w", 4, 5), integers("c0", 1, 2), integers("size", 10**9, 10**9), *scalars]
    found = dlco.from_onnx(model([node("MatMul", "x w", "a"), *doubling, *huge], {"x": (3, 4)}, constants))
    assert list(found) == [dlco.linear("op", N=3, C=4, M=5)]


def test_what_has_no_layer_is_listed_with_its_macs():
    nodes = [
        node("MatMul", "x w", "a", name="enter"),
        node("LSTM", "a wx wh", "b", name="remember", hidden_size=5),
        node("Relu", "b", "c", name="act"),
        helper.make_node("Mystery", ["c"], ["d"], name="odd", domain="mine"),
    ]
    constants = [weights("w", 8, 6), weights("wx", 1, 20, 6), weights("wh", 1, 20, 5)]
    found = dlco.from_onnx(model(nodes, {"x": (7, 2, 8)}, constants))
    rows = {operators.kind: (operators.first, operators.macs) for operators in found.unmapped}
    assert rows == {"Mystery": ("odd", None), "LSTM": ("remember", 7 * 2 * 20 * (6 + 5)), "Relu": ("act", 0)}
    assert found.mapped_share is None
    assert dlco.from_onnx(model(nodes[:3], {"x": (7, 2, 8)}, constants)).mapped_share == 672 / (672 + 3080)


def test_an_operator_of_an_unknown_shape_is_listed_not_guessed():
    nodes = [node("MatMul", "x w", "a"), node("NonZero", "a", "b"), node("MatMul", "z b", "c", name="after")]
    found = dlco.from_onnx(model(nodes, {"x": (3, 4), "z": (5, 2)}, [weights("w", 4, 5)]))
    assert [layer.name for layer in found] == ["op"]
    assert ("MatMul", "after", None) in {(u.kind, u.first, u.macs) for u in found.unmapped}


def test_operators_without_products_are_layers_and_a_switch_leaves_them_out():
    nodes = [
        node("Conv", "x w", "a", name="conv", pads=[1, 1, 1, 1]),
        node("MaxPool", "a", "b", name="pool", kernel_shape=[2, 2], strides=[2, 2]),
        node("GlobalAveragePool", "b", "g", name="mean"),
        node("Sigmoid", "g", "s", name="gate"),
        node("Mul", "b s", "c", name="scale"),
        node("Add", "c b", "d", name="add"),
        node("Add", "d bias", "e", name="shift"),
        node("ReduceMean", "e", "r", name="reduce", keepdims=0),
    ]
    constants = [weights("w", 4, 3, 3, 3), weights("bias", 4, 1, 1)]
    read = dlco.from_onnx(model(nodes, {"x": (1, 3, 8, 8)}, constants))
    assert [(layer.name, layer.operation, layer.problem.words("Outputs")) for layer in read if not layer.macs] == [
        ("pool", "pool", 64),
        ("mean", "pool", 4),
        ("scale", "scale", 64),
        ("add", "add", 64),
        ("reduce", "pool", 1),
    ]
    assert {one.kind for one in read.unmapped} == {"Sigmoid", "Add"}  # the second Add is a bias
    alone = dlco.from_onnx(model(nodes, {"x": (1, 3, 8, 8)}, constants), macs_only=True)
    assert [layer.operation for layer in alone] == ["multiply-accumulate"]


@pytest.mark.filterwarnings("ignore")
def test_resnet18_as_torch_exports_it(tmp_path, torchvision):
    path = tmp_path / "resnet18.onnx"
    options = dict(input_names=["image"], dynamic_axes={"image": {0: "batch"}}, dynamo=False)
    torch.onnx.export(torchvision.models.resnet18().eval(), (torch.zeros(1, 3, 224, 224),), path, **options)
    network = dlco.from_onnx(path, batch=2, macs_only=True)
    assert {layer.problem: layer.count for layer in network} == {
        layer.problem: layer.count for layer in networks.resnet18(batch=2)
    }
    assert {"conv1", "layer1.0.conv1", "layer2.0.downsample.0", "fc"} < {layer.name for layer in network}
    assert (network.name, network.mapped_share) == ("resnet18", 1.0)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("dynamo", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_what_torch_exports_is_what_torch_traces(tmp_path, dynamo):
    if dynamo:
        pytest.importorskip("onnxscript")
    path = tmp_path / "block.onnx"
    block = nn.Sequential(
        nn.Conv1d(6, 16, 4, stride=4),
        nn.ConvTranspose1d(16, 16, 3, groups=2, padding=1),
        nn.Flatten(2),
        nn.TransformerEncoderLayer(10, 2, 20, batch_first=True),
    ).eval()
    torch.onnx.export(block, (torch.zeros(3, 6, 40),), path, dynamo=dynamo, **({"verbose": False} if dynamo else {}))
    traced, read = dlco.from_torch(block, (3, 6, 40)), dlco.from_onnx(path)
    assert read.macs == traced.macs
    assert read.mapped_share == 1
    assert sorted(layer.problem.bounds for layer in read) == sorted(layer.problem.bounds for layer in traced)


EINSUMS = {  # equation, shapes, and multiply-accumulates
    "transposed": ("bchw->bhwc", [(2, 3, 4, 5)], 0),
    "a trace": ("bii->b", [(2, 3, 3)], 0),
    "a sum": ("bchw->bc", [(2, 3, 4, 5)], 0),
    "a sum in other letters": ("B C h w -> B", [(2, 3, 4, 5)], 0),
    "without an arrow": ("ii", [(3, 3)], 0),
    "an outer product": ("i,j->ij", [(3,), (4,)], 0),
    "element by element": ("ij,ij->ij", [(3, 4), (3, 4)], 0),
    "a diagonal": ("bii,bi->b", [(2, 3, 3), (2, 3)], 2 * 3),
    "an ellipsis": ("...ij,...jk->...ik", [(7, 1, 3, 4), (2, 4, 5)], 7 * 2 * 3 * 4 * 5),
    "an ellipsis without an arrow": ("...ij, ...jK", [(2, 3, 4), (2, 4, 5)], 2 * 3 * 4 * 5),
    "a sum of one alone": ("ij,jk->k", [(2, 3), (3, 4)], 3 * 4),
    "three operands": ("ab,bc,cd->ad", [(2, 3), (3, 4), (4, 5)], 2 * 3 * 4 + 2 * 4 * 5),
}


@pytest.mark.parametrize("kind", EINSUMS)
def test_einsums(kind):
    equation, shapes, macs = EINSUMS[kind]
    inputs = {f"x{i}": shape for i, shape in enumerate(shapes)}
    nodes = [node("Einsum", " ".join(inputs), equation=equation), node("MatMul", "a w", "z", name="last")]
    found = dlco.from_onnx(model(nodes, inputs | {"a": (1, 2)}, [weights("w", 2, 1)]))
    assert found.macs - 2 == macs
    assert found.mapped_share == 1
    assert [(one.kind, one.macs) for one in found.unmapped] == ([] if macs else [("Einsum", 0)])


def test_products_within_branches_and_loops_leave_the_share_open():
    flag = helper.make_tensor("flag", TensorProto.BOOL, [], [True])
    for kind, share in (("MatMul", None), ("Add", 1)):
        y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
        body = helper.make_graph([node(kind, "x x", "y")], "body", [], [y])
        branch = helper.make_node("If", ["flag"], ["b"], name="if", then_branch=body, else_branch=body)
        found = dlco.from_onnx(model([node("MatMul", "x w", "a"), branch], {"x": (4, 4)}, [weights("w", 4, 4), flag]))
        assert (found.macs, found.mapped_share) == (64, share)


def test_what_a_loop_takes_from_around_it_makes_it_no_constant():
    """The product captures the input; the loop itself is given constants alone."""
    from_outside = [helper.make_tensor_value_info("i", TensorProto.INT64, []), info("go", TensorProto.BOOL)]
    body = helper.make_graph(
        [node("MatMul", "a a", "b"), node("Identity", "go", "on")],
        "body",
        from_outside,
        [info("on", TensorProto.BOOL), info("b", TensorProto.FLOAT)],
    )
    constants = [weights("w", 4, 4), helper.make_tensor("times", TensorProto.INT64, [], [5])]
    loop = helper.make_node("Loop", ["times", ""], ["c"], name="loop", body=body)
    found = dlco.from_onnx(model([node("MatMul", "x w", "a"), loop], {"x": (4, 4)}, constants))
    assert [(one.kind, one.macs) for one in found.unmapped] == [("Loop", None)]


def info(name, kind):
    return helper.make_tensor_value_info(name, kind, None)


def test_quantising_activations_has_no_products():
    nodes = [
        node("QuantizeLinear", "x scale", "q"),
        node("DequantizeLinear", "q scale", "d"),
        node("MatMul", "d w"),
    ]
    found = dlco.from_onnx(model(nodes, {"x": (3, 4)}, [weights("w", 4, 5), weights("scale", 1)]))
    assert (found.macs, found.mapped_share) == (60, 1)


def test_operators_that_a_later_version_of_onnx_may_bring_leave_the_share_open():
    later = helper.make_node("MatMulSomehow", ["a", "a"], ["b"], name="later")
    found = dlco.from_onnx(model([node("MatMul", "x w", "a"), later], {"x": (3, 4)}, [weights("w", 4, 5)]))
    assert [(one.kind, one.macs) for one in found.unmapped] == [("MatMulSomehow", None)]


@pytest.mark.parametrize("kind", ["FusedMatMul", "MatMulNBits", "MultiHeadAttention", "FusedConv"])
def test_operators_of_other_domains_leave_the_share_open(kind):
    operator = helper.make_node(kind, ["a", "w"], ["b"], name="fused", domain="mine")
    found = dlco.from_onnx(model([node("MatMul", "x w", "a"), operator], {"x": (4, 4)}, [weights("w", 4, 4)]))
    assert (found.macs, found.mapped_share, found.unmapped[0].first) == (64, None, "fused")


def test_empty_operands_have_no_layer():
    nodes = [node("MatMul", "x w", "a"), node("MatMul", "none w", "b"), node("Conv", "still k", "c")]
    inputs = {"x": (3, 4), "still": (1, 2, 5, 5)}
    empty = [weights("none", 0, 4), weights("w", 4, 4), weights("k", 0, 2, 3, 3)]
    found = dlco.from_onnx(model(nodes, inputs, empty))
    assert list(found) == [dlco.linear("op", N=3, C=4, M=4)]
    assert found.mapped_share == 1


BAD = {
    "nothing": b"",
    "text": b"not a model, but a sentence",
    "bytes": bytes(range(256)),
    "no graph": onnx.ModelProto(ir_version=8).SerializeToString(),
}


@pytest.mark.parametrize("what", BAD)
def test_what_is_no_model_is_refused(tmp_path, what):
    path = tmp_path / "net.onnx"
    path.write_bytes(BAD[what])
    with pytest.raises(InvalidInput, match="holds no ONNX model"):
        dlco.from_onnx(path)


@pytest.mark.parametrize("path", ["missing.onnx", ".", "a\0b", 7])
def test_what_is_no_file_is_refused(path):
    with pytest.raises(InvalidInput, match="ONNX"):
        dlco.from_onnx(path)


def test_shapes_that_contradict_each_other_are_refused():
    with pytest.raises(InvalidInput, match=r"channels do not agree|cannot be inferred"):
        dlco.from_onnx(model([node("Conv", "x w")], IMAGE, [weights("w", 4, 7, 3, 3)]))
    with pytest.raises(InvalidInput, match="attribute group of ONNX operator op must be of type INT"):
        dlco.from_onnx(model([node("Conv", "x w", group="two")], IMAGE, [weights("w", 4, 8, 3, 3)]))


FILE = bytearray(FIXED.SerializeToString())
CHANGES = st.lists(st.tuples(st.integers(0, len(FILE) - 1), st.integers(0, 255)), min_size=1, max_size=6)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(CHANGES)
def test_a_damaged_file_raises_nothing_but_our_own_errors(tmp_path, changes):
    damaged = FILE.copy()
    for place, byte in changes:
        damaged[place] = byte
    path = tmp_path / "net.onnx"
    path.write_bytes(damaged)
    with suppress(DlcoError):
        assert dlco.from_onnx(path).macs > 0
