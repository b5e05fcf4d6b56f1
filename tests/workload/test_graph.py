"""Networks as graphs: what reads whose result, as torch and ONNX tell it and as the built-in networks have it."""

import pytest
import torch
from torch import nn

import dlco
from dlco.errors import InvalidInput
from dlco.workload import NETWORKS, Edge, Graph, Network, Step, get_graph, get_network, macs, parameters


class Block(nn.Module):
    """A basic block of ResNet-18, as its paper has it."""

    def __init__(self, channels, width, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.short = nn.Identity() if channels == width else nn.Conv2d(channels, width, 1, stride, bias=False)

    def forward(self, x):
        y = torch.relu(self.bn1(self.conv1(x)))
        shortcut = self.short(x)
        y = self.bn2(self.conv2(y))
        y += shortcut
        return torch.relu_(y)


def resnet18():
    stages = [(64, 64, 1), (64, 64, 1), (64, 128, 2), (128, 128, 1), (128, 256, 2), (256, 256, 1), (256, 512, 2)]
    blocks = [Block(*stage) for stage in [*stages, (512, 512, 1)]]
    stem = [nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
    return nn.Sequential(*stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 1000))


@pytest.mark.parametrize("macs_only", [False, True])
def test_the_built_in_network_has_the_course_that_torch_traces(macs_only):
    with torch.device("meta"):
        traced = dlco.from_torch(resnet18(), (1, 3, 224, 224), macs_only=macs_only)
    built = get_graph("resnet18", macs_only=macs_only)
    problems = [[network.layer_of(at).problem for at in range(len(network.graph.steps))] for network in (traced, built)]
    assert problems[0] == problems[1]
    assert traced.graph.edges == built.graph.edges
    assert traced.graph.results == built.graph.results == {len(built.graph.steps) - 1}


@pytest.mark.parametrize("name", NETWORKS)
def test_with_products_alone_the_layers_are_those_of_the_list(name):
    assert list(get_graph(name, batch=2, macs_only=True)) == get_network(name, batch=2)


@pytest.mark.parametrize("name", NETWORKS)
def test_results_are_as_large_as_what_reads_them(name):
    network = get_graph(name)
    for edge in network.graph.edges:
        writer, reader = (network.layer_of(at).problem for at in (edge.source, edge.target))
        written, read = writer.words("Outputs"), reader.words(edge.space)
        steps = dict(reader.dataspace(edge.space).projection[-1]) if "Q" in reader.sizes else {}
        padded = len(steps) > 1  # a window: the box holds the padding, or leaves out what strides pass by
        assert (
            written == read
            or padded
            or (written > read and "qkv" in network.graph.steps[edge.source].layer)
            or (
                network.graph.steps[edge.target].layer == "head"  # of the last token alone
            )
        ), (edge, written, read)


def test_a_residual_is_read_by_the_sum_and_stays_until_then():
    graph = get_graph("resnet18").graph
    add = [at for at, step in enumerate(graph.steps) if step.layer == "layer1_add"]
    assert [edge.target for edge in graph.outputs[add[0]]] == [add[0] + 1, add[1]]
    merged = get_graph("resnet18", macs_only=True).graph  # the sum is computed where the block's result is written
    assert [(edge.target, edge.space) for edge in merged.outputs[0]] == [(1, "Inputs"), (2, None)]


def test_attention_reads_queries_keys_and_values():
    network = get_graph("vit_b16_block")
    names = [step.layer for step in network.graph.steps]
    assert names[2:6] == ["projection", "projection", "projection", "scores"]
    reads = {names[at]: [(e.source, e.space) for e in network.graph.inputs[at]] for at in range(5, 10)}
    assert reads["scores"] == [(2, "Inputs"), (3, "Weights")]
    assert reads["softmax.statistics"] == [(5, "Inputs")]
    assert reads["softmax.apply"] == [(5, "Inputs"), (6, "Weights")]
    assert reads["values"] == [(4, "Weights"), (7, "Inputs")]


def test_gpt2_has_the_parameters_and_multiply_accumulates_of_the_released_model():
    prefill = get_network("gpt2_small_prefill")
    hidden, blocks = 768, 12
    beside = blocks * (3 * hidden + hidden + 4 * hidden + hidden + 4 * hidden) + 2 * hidden  # biases, norms
    assert parameters(prefill) + 1024 * hidden + beside == 124_439_808  # the head's words are the embedding's
    tokens = 1024
    weights = blocks * 12 * hidden**2
    assert macs(prefill) == tokens * weights + blocks * 2 * tokens**2 * hidden + 50257 * hidden
    decode = dlco.networks.gpt2_small_decode(past=1000, tokens=3)
    attended = sum(2 * blocks * hidden * keys for keys in (1001, 1002, 1003))
    assert macs(decode) == 3 * (weights + 50257 * hidden) + attended
    assert {layer.name: layer.count for layer in decode}["scores_1002"] == blocks
    with pytest.raises(InvalidInput, match="tokens are 1025 with those in the cache; the model has 1024 positions"):
        dlco.networks.gpt2_small_decode(past=1024)


def test_keys_and_values_of_a_cache_come_from_dram():
    class Cached(nn.Module):
        def __init__(self):
            super().__init__()
            self.q, self.kv, self.out = nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 8)

        def forward(self, x, past):
            keys = torch.cat([past, self.kv(x)], 1)
            return self.out(torch.softmax(self.q(x) @ keys.transpose(1, 2), -1) @ keys)

    graph = dlco.from_torch(Cached(), [(1, 1, 8), (1, 5, 8)]).graph
    named = {step.layer: at for at, step in enumerate(graph.steps)}
    keys, queries = 0, 1  # two linear layers of one shape
    assert keys in graph.results
    assert not graph.outputs[keys]
    assert [(e.source, e.space) for e in graph.inputs[named["matmul"]]] == [(queries, "Inputs")]


def test_parts_side_by_side_are_read_as_one():
    class Fire(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b, self.c = nn.Conv2d(4, 4, 1), nn.Conv2d(4, 6, 1), nn.Conv2d(10, 2, 1)

        def forward(self, x):
            return self.c(torch.cat([self.a(x), self.b(x)], 1))

    assert dlco.from_torch(Fire(), (1, 4, 3, 3)).graph.edges == (Edge(0, 2, "Inputs"), Edge(1, 2, "Inputs"))


def test_what_no_layer_stands_for_reads_from_dram():
    class Mixed(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.cell, self.b = nn.Linear(8, 8), nn.LSTM(8, 8, batch_first=True), nn.Linear(8, 4)

        def forward(self, x):
            return self.b(self.cell(self.a(x))[0])

    graph = dlco.from_torch(Mixed(), (1, 5, 8)).graph
    assert graph.edges == ()
    assert graph.results == {0, 1}


def test_bodies_of_loops_have_no_edges():
    class Mapped(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(8, 8), nn.Linear(8, 4)

        def forward(self, x):
            return self.b(torch.vmap(lambda one: self.a(one))(x))

    graph = dlco.from_torch(Mapped(), (3, 5, 8)).graph
    assert [edge.space for edge in graph.edges] in (["Inputs"], [])
    assert sum(step.count for step in graph.steps) == 2


def test_onnx_tells_the_same():
    onnx = pytest.importorskip("onnx")
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    weights = [helper.make_tensor(name, kind, (4, 4, 1, 1), [0.0] * 16) for name in ("a", "b", "c")]
    nodes = [
        helper.make_node("Conv", ["x", "a"], ["u"]),
        helper.make_node("Relu", ["u"], ["v"]),
        helper.make_node("Conv", ["v", "b"], ["w"]),
        helper.make_node("Add", ["w", "v"], ["s"]),
        helper.make_node("Concat", ["s", "w"], ["t"], axis=2),
        helper.make_node("Conv", ["t", "c"], ["y"]),
    ]
    values = [helper.make_tensor_value_info(name, kind, (1, 4, rows, 3)) for name, rows in (("x", 3), ("y", 6))]
    model = helper.make_model(helper.make_graph(nodes, "g", values[:1], values[1:], weights))
    graph = dlco.from_onnx(model).graph
    assert graph.edges == (
        *(Edge(0, 1, "Inputs"), Edge(0, 2, "Weights"), Edge(1, 2, "Inputs")),
        *(Edge(1, 3, "Inputs"), Edge(2, 3, "Inputs")),
    )
    assert graph.results == {3}


def test_a_graph_that_does_not_fit_its_layers_is_refused():
    layer = dlco.linear("a", N=2, C=2, M=2, count=2)
    with pytest.raises(InvalidInput, match="count of layer a is 2; the network's steps run it 1 times"):
        Network("n", (layer,), Graph((Step("a"),)))
    with pytest.raises(InvalidInput, match="edge goes from step 1 to step 0 of 2; it must go to a later one"):
        Graph((Step("a"), Step("a")), (Edge(1, 0, "Inputs"),))
    with pytest.raises(InvalidInput, match="space of an edge to layer a is 'Outputs'; the layer reads Weights, Inputs"):
        Network("n", (layer,), Graph((Step("a"), Step("a")), (Edge(0, 1, "Outputs"),)))
    with pytest.raises(InvalidInput, match="channels is given, but network resnet18 takes the batch alone"):
        get_graph("resnet18", channels=3)
