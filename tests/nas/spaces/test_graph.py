"""CNN graphs: what they compute, when two are the same, how far they lie apart."""

import re
from itertools import combinations, permutations, product

import networkx as nx
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from dlco.errors import InvalidInput
from dlco.nas.spaces import CnnGraph, GraphSpace, Module
from dlco.nas.spaces.cnn_graph import run_module
from dlco.nas.spaces.distance import EDGE, Landmarks, distances, module_distances
from dlco.nas.spaces.graph import OPERATIONS
from dlco.nas.spaces.operations import parse_operation

CONV, WIDE, POOL = "conv3x3-c8-p1-bn-relu", "conv1x1-c16-bn-relu", "maxpool3x3-s2-p1"
HEAD = ("global-avg-pool",)


def connected(edges, last):
    """Whether every vertex lies on a path from the first to the last."""
    graph = nx.DiGraph(edges)
    graph.add_nodes_from(range(last + 1))
    return (nx.descendants(graph, 0) | {0}) == (nx.ancestors(graph, last) | {last}) == set(range(last + 1))


def all_graphs(last):
    pairs = list(combinations(range(last + 1), 2))
    sets = (edges for count in range(1, len(pairs) + 1) for edges in combinations(pairs, count))
    return [edges for edges in sets if connected(edges, last)]


GRAPHS = [all_graphs(last) for last in (1, 2, 3, 4)]


@st.composite
def modules(draw, operations=(CONV, WIDE, POOL)):
    graphs = draw(st.sampled_from(GRAPHS))
    edges = draw(st.sampled_from(graphs))
    return Module(tuple(draw(st.sampled_from(operations)) for _ in range(max(edges[-1]) - 1)), edges)


def as_networkx(module):
    graph = nx.DiGraph(module.edges)
    labels = ("input", *module.operations, "output")
    nx.set_node_attributes(graph, dict(enumerate(labels)), "label")
    return graph


def chained(network):
    """The whole network as one graph, each module's output leading to the next one's input."""
    whole = nx.DiGraph()
    for at, module in enumerate(network.modules):
        graph = nx.relabel_nodes(as_networkx(module), lambda vertex, at=at: (at, vertex))
        whole = nx.union(whole, graph)
        if at:
            whole.add_edge((at - 1, len(network.modules[at - 1].operations) + 1), (at, 0))
    return whole


def same_graph(one, other):
    return nx.is_isomorphic(one, other, node_match=lambda a, b: a["label"] == b["label"])


# What two modules share


@given(modules(), modules())
def test_modules_are_equal_where_networkx_finds_them_isomorphic(one, other):
    isomorphic = same_graph(as_networkx(one), as_networkx(other))
    assert (one == other) == isomorphic
    if isomorphic:
        assert hash(one) == hash(other)


@given(modules(), st.randoms(use_true_random=False))
def test_a_renumbered_module_is_the_same(module, random):
    order = list(range(1, len(module.operations) + 1))
    random.shuffle(order)
    number = {0: 0, len(order) + 1: len(order) + 1} | {vertex: at for at, vertex in enumerate(order, start=1)}
    edges = [(number[source], number[to]) for source, to in module.edges]
    random.shuffle(edges)
    if all(source < to for source, to in edges):
        renumbered = Module(tuple(module.operations[vertex - 1] for vertex in order), tuple(edges))
        assert renumbered == module
        one, other = CnnGraph((module,) * 2, HEAD), CnnGraph((renumbered, module), HEAD)
        assert (one, hash(one), one.fingerprint()) == (other, hash(other), other.fingerprint())


def test_networks_are_equal_where_networkx_finds_them_isomorphic():
    space = GraphSpace((CONV, POOL), modules=2, vertices=4, head_vertices=4)
    networks = [CnnGraph(network.modules, HEAD) for network in space.sample(40, torch.Generator().manual_seed(0))]
    same = 0
    graphs = [chained(network) for network in networks]
    for (one, graph), (other, other_graph) in combinations(zip(networks, graphs, strict=True), 2):
        isomorphic = same_graph(graph, other_graph)
        assert (one == other) == (one.fingerprint() == other.fingerprint()) == isomorphic
        same += isomorphic
    assert same > 3


def test_the_order_of_the_modules_and_the_head_matter():
    one, other = Module((CONV,), ((0, 1), (1, 2))), Module((WIDE,), ((0, 1), (1, 2)))
    networks = [CnnGraph(order, head) for order in ((one, other), (other, one)) for head in (HEAD, ("flatten",))]
    assert len(set(networks)) == len({network.fingerprint() for network in networks}) == 4


# What a network computes


@pytest.mark.parametrize("text", [o for o in OPERATIONS if o.startswith(("conv", "maxpool", "avgpool"))])
@pytest.mark.parametrize(("channels", "size"), [(48, 14), (64, 7), (3, 1)])
def test_shapes_work_and_parameters_of_each_operation_are_torchs(text, channels, size):
    window = int(re.search(r"\d+x(\d+)", text)[1])
    part = {letter: int(number) for letter, number in re.findall(r"-([cgps])(\d+)", text)}
    sliding = {"kernel_size": window, "stride": part.get("s", 1), "padding": part.get("p", 0)}
    wanted = part.get("c", channels)
    groups = max(
        g for g in range(1, (channels if "-dw" in text else part.get("g", 1)) + 1) if channels % g == wanted % g == 0
    )
    if "pool" in text:
        module = nn.MaxPool2d(**sliding)
    else:
        convolution = nn.Conv2d(channels, wanted, groups=groups, bias=False, **sliding)
        module = nn.Sequential(convolution, nn.BatchNorm2d(wanted))
    with torch.no_grad():
        out = module.eval()(torch.zeros(1, channels, size, size))
    found, beside, *leaving = run_module(Module((text,), ((0, 1), (1, 2))), channels, size, 1)
    assert [*leaving] == [out.shape[1], out.shape[2]] == [out.shape[1], out.shape[3]]
    words = sum(parameter.numel() for parameter in module.parameters())
    assert beside + sum(layer.parameters for layer in found) == words
    if "conv" in text:
        assert sum(layer.macs for layer in found) == out[0].numel() * convolution.weight[0].numel()


def shapes(module, channels=4, size=8):
    found, beside, width, leaving = run_module(module, channels, size, 1)
    sizes = [layer.problem.sizes for layer in found if layer.macs]
    return [(s["C"], s["M"], s["R"], s["P"]) for s in sizes], beside, width, leaving


def test_a_shortcut_passes_a_1x1_convolution_with_bias():
    module = Module((CONV,), ((0, 1), (1, 2), (0, 2)))
    assert shapes(module) == ([(4, 8, 3, 8), (4, 8, 1, 8)], 2 * 8 + 8, 8, 8)


def test_outputs_are_concatenated_and_the_smaller_one_stretched():
    module = Module((CONV, POOL), ((0, 1), (0, 2), (1, 3), (2, 3)))
    assert shapes(module) == ([(4, 8, 3, 8)], 2 * 8, 8 + 4, 8)
    shrunk = Module((POOL,), ((0, 1), (1, 2)))
    assert shapes(shrunk) == ([], 0, 4, 4)


def test_what_is_added_is_widened_to_the_widest():
    module = Module((CONV, WIDE, CONV), ((0, 1), (0, 2), (1, 3), (2, 3), (3, 4)))
    found, beside, width, size = shapes(module)
    assert sorted(found) == sorted([(4, 8, 3, 8), (8, 16, 1, 8), (4, 16, 1, 8), (16, 8, 3, 8)])
    assert (beside, width, size) == (2 * 8 + 16 + 2 * 16 + 2 * 8, 8, 8)


def test_the_modules_input_is_projected_before_it_is_added_within():
    module = Module((CONV, POOL), ((0, 1), (0, 2), (1, 2), (2, 3)))
    assert shapes(module) == ([(4, 8, 3, 8), (4, 8, 1, 8)], 2 * 8 + 8, 8, 4)


def test_a_pool_widened_beside_a_convolution_has_a_projection_behind_it():
    module = Module((POOL, CONV, CONV), ((0, 1), (0, 2), (1, 3), (2, 3), (3, 4)))
    found, beside, *_ = shapes(module)
    assert sorted(found) == sorted([(4, 8, 1, 4), (4, 8, 3, 8), (8, 8, 3, 8)])
    assert beside == 8 + 2 * 8 + 2 * 8


def test_an_upsampling_is_a_layer_without_multiply_accumulates():
    space = GraphSpace(("upsample-s20", "upsample-s15"), modules=1, resolution=10)
    for operation, name in (("upsample-s20", "resize2_3_20x20"), ("upsample-s15", "resize1_3_15x15")):
        (layer,) = [
            layer
            for layer in space.to_layers(space.parse(f"{operation}:01,12;global-avg-pool"))
            if layer.operation == "upsample"
        ]
        side = int(operation.removeprefix("upsample-s"))
        assert (layer.name, layer.problem.words("Outputs"), layer.macs) == (name, 3 * side * side, 0)


def test_a_module_of_one_edge_is_a_1x1_convolution():
    assert shapes(Module((), ((0, 1),))) == ([(4, 4, 1, 8)], 4, 4, 8)


def test_a_network_by_hand():
    space = GraphSpace((CONV, POOL), resolution=8, classes=10)
    network = space.parse(f"{CONV}:01,12/{POOL}:01,12;flatten,dense-84-relu,dropout-p5")
    layers = {layer.name: layer.macs for layer in space.to_layers(network) if layer.macs}
    assert layers == {
        "conv3x3_3to8_8x8": 3 * 8 * 9 * 64,
        f"linear_{8 * 16}to84": 128 * 84,
        "linear_84to10": 840,
    }
    assert space.macs(network) == sum(layers.values())
    assert space.parameters(network) == 3 * 8 * 9 + 16 + 129 * 84 + 85 * 10
    again = space.parse(f"{CONV}:01,12/{CONV}:01,12/{CONV}:01,12;global-avg-pool")
    assert [(layer.name, layer.count) for layer in space.to_layers(again) if not layer.macs] == [("mean_8_8x8", 1)]
    assert [layer.count for layer in space.to_layers(again) if layer.macs] == [1, 2, 1]
    assert GraphSpace((CONV, POOL), resolution=8, batch=3).macs(network) == 3 * space.macs(network)


# The space


SPACE = GraphSpace(landmarks=24, features=8)


def drawn(n, seed=0, space=SPACE):
    return space.sample(n, torch.Generator().manual_seed(seed))


def test_samples_are_valid_keep_the_limits_and_hang_on_the_seed_alone():
    networks = drawn(40)
    assert networks == drawn(40)
    assert networks != drawn(40, seed=1)
    for network in networks:
        assert SPACE.is_valid(network)
        assert 1 <= len(network.modules) <= 16
        assert all(len(module.operations) <= 3 and len(module.edges) <= 8 for module in network.modules)
        assert all(connected(module.edges, len(module.operations) + 1) for module in network.modules)
        assert SPACE.parse(SPACE.format(network)) == network
        assert SPACE.macs(network) > 0
        assert SPACE.parameters(network) > 0
    assert len(set(networks)) > 35
    assert SPACE.decisions == ()


def test_small_images_are_no_trouble():
    tiny = GraphSpace(resolution=4, modules=6)
    for network in drawn(10, space=tiny):
        assert tiny.is_valid(network)


def edits(one, other):
    """The fewest vertices, edges and head operations added, removed or exchanged; `networkx` counts the modules'."""
    same = {"node_match": lambda a, b: a["label"] == b["label"]}
    return nx.graph_edit_distance(one, other, roots=(0, 0), **same)


def test_neighbours_are_valid_new_and_one_edit_away():
    network = min(drawn(10, seed=2), key=lambda network: abs(len(network.modules) - 3))
    found = SPACE.neighbours(network)
    assert len(set(found)) == len(found) > 50
    assert network not in found
    for other in found[:: len(found) // 25]:
        assert SPACE.is_valid(other)
        if len(other.modules) == len(network.modules) and other.head == network.head:
            changed = [pair for pair in zip(network.modules, other.modules, strict=True) if pair[0] != pair[1]]
            assert len(changed) == 1
            # an edge or an operation is one edit; a vertex is itself with an edge, or with two instead of a third
            assert edits(*map(as_networkx, changed[0])) in (1, 3, 4)


def test_every_kind_of_edit_is_tried():
    space = GraphSpace((CONV, POOL), modules=3, vertices=4, head_vertices=6, resolution=8)
    network = space.parse(f"{CONV}:01,12/{CONV},{POOL}:01,12,23;global-avg-pool,dense-84-relu")
    found = {space.format(other) for other in space.neighbours(network)}
    rest = f"{CONV},{POOL}:01,12,23;global-avg-pool,dense-84-relu"
    assert {
        f"{POOL}:01,12/{rest}",
        f"{CONV}:01,02,12/{rest}",
        f"{CONV},{POOL}:01,12,23/{rest}",
        f":01/{rest}",
        rest,
        f"{CONV}:01,12/{CONV}:01,12/{rest}",
        f"{CONV}:01,12/" + rest.replace("global-avg-pool", "flatten"),
        f"{CONV}:01,12/" + rest.replace(",dense-84-relu", ""),
        f"{CONV}:01,12/{rest},dropout-p2",
        f"{CONV}:01,12/" + rest.replace("84", "120"),
    } <= found


# Distances


LABELS = (*OPERATIONS[:3], OPERATIONS[12], OPERATIONS[20], "maxpool3x3-s2-p1", "dropout-p5")


def l1(one, other):
    return sum(abs(a - b) for a, b in zip(one, other, strict=True))


def networkx_distance(one, other):
    """The graph edit distance at the same costs, found by networkx's search."""
    far = 1e6

    def exchange(a, b):
        if {a["label"], b["label"]} & {"input", "output"}:
            return 0.0 if a["label"] == b["label"] else far
        return l1(*(parse_operation(vertex["label"]).features() for vertex in (a, b)))

    def alone(vertex):
        return far if vertex["label"] in ("input", "output") else sum(parse_operation(vertex["label"]).features())

    return nx.graph_edit_distance(
        as_networkx(one),
        as_networkx(other),
        node_subst_cost=exchange,
        node_del_cost=alone,
        node_ins_cost=alone,
        edge_subst_cost=lambda a, b: 0.0,
        edge_del_cost=lambda edge: EDGE,
        edge_ins_cost=lambda edge: EDGE,
        roots=(0, 0),
    )


def least_edit(one, other):
    """The least cost over all ways to match some vertices between of one with some of the other."""
    mine, theirs = ([parse_operation(o).features() for o in module.operations] for module in (one, other))
    whole = sum(map(sum, mine + theirs)) + EDGE * (len(one.edges) + len(other.edges))
    best = float("inf")
    for count in range(min(len(mine), len(theirs)) + 1):
        for some, matched in product(combinations(range(len(mine)), count), permutations(range(len(theirs)), count)):
            pairs = list(zip(some, matched, strict=True))
            image = {0: 0, len(mine) + 1: len(theirs) + 1} | {i + 1: j + 1 for i, j in pairs}
            kept = {(image.get(source), image.get(to)) for source, to in one.edges} & set(other.edges)
            saved = sum(sum(mine[i]) + sum(theirs[j]) - l1(mine[i], theirs[j]) for i, j in pairs)
            best = min(best, whole - saved - 2 * EDGE * len(kept))
    return best


def test_module_distances_are_graph_edit_distances():
    """Exactly the least over all matchings; what networkx finds is never less, and mostly the same.

    Where removing and adding costs as much as exchanging, networkx 3.6 misses the edges that the latter keeps.
    """
    networks = drawn(12, seed=5)
    several = [module for network in networks for module in network.modules][:18]
    assert len({len(module.operations) for module in several}) == 4
    found = module_distances(several[:4], several[4:])
    least = [[least_edit(one, other) for other in several[4:]] for one in several[:4]]
    torch.testing.assert_close(found, torch.tensor(least, dtype=torch.float64), rtol=1e-12, atol=1e-12)
    over = [networkx_distance(one, other) for one in several[:4] for other in several[4:]]
    over = torch.tensor(over, dtype=torch.float64).view_as(found) - found
    assert over.min() > -1e-9
    assert (over < 1e-9).double().mean() > 0.8


@given(modules(LABELS), modules(LABELS), modules(LABELS))
def test_module_distances_are_a_metric(one, other, third):
    table = module_distances([one, other, third], [one, other, third])
    torch.testing.assert_close(table, table.T, rtol=1e-12, atol=1e-12)
    assert table[0, 0] == 0
    assert (table[0, 1] == 0) == (one == other)
    assert table[0, 2] <= table[0, 1] + table[1, 2] + 1e-12


def chain_distance(one, other, exchange, size):
    """The edit distance of two chains: the best of all ways to pair some items of one with some of the other."""
    best = sum(map(size, one)) + sum(map(size, other))
    for pairs in range(1, min(len(one), len(other)) + 1):
        for mine, theirs in product(combinations(range(len(one)), pairs), combinations(range(len(other)), pairs)):
            paired = sum(exchange(one[i], other[j]) for i, j in zip(mine, theirs, strict=True))
            left = [one[i] for i in range(len(one)) if i not in mine]
            left += [other[j] for j in range(len(other)) if j not in theirs]
            best = min(best, paired + sum(map(size, left)))
    return best


def test_network_distances_are_the_least_over_all_alignments():
    space = GraphSpace(modules=4, head_vertices=6)
    networks = drawn(9, seed=4, space=space)
    found = distances(networks[:4], networks[4:])

    def of_module(module):
        return sum(sum(parse_operation(o).features()) for o in module.operations) + EDGE * len(module.edges)

    for row, one in enumerate(networks[:4]):
        for column, other in enumerate(networks[4:]):
            by_modules = chain_distance(
                one.modules, other.modules, lambda a, b: module_distances([a], [b]).item(), of_module
            )
            by_head = chain_distance(
                one.head,
                other.head,
                lambda a, b: l1(parse_operation(a).features(), parse_operation(b).features()),
                lambda o: sum(parse_operation(o).features()),
            )
            assert found[row, column].item() == pytest.approx(by_modules + by_head, rel=1e-12)


def test_coordinates_of_graphs_along_a_line_are_a_line():
    """Graphs that differ in one operation's channels lie on a line; one that was no landmark finds its place there."""
    line = [CnnGraph((Module((f"conv1x1-c{2**k}-bn-relu",), ((0, 1), (1, 2))),), HEAD) for k in range(9)]
    fixed = [line[k] for k in (0, 1, 4, 7)]
    coordinates = Landmarks(fixed, features=4)
    assert coordinates.features == 1
    places = coordinates(line)[:, 0]
    steps = places.diff()
    torch.testing.assert_close(steps, steps[:1].expand(8))
    assert coordinates(fixed)[:, 0].var(unbiased=False).item() == pytest.approx(1)
    assert coordinates(fixed).mean().item() == pytest.approx(0, abs=1e-12)


def test_encoding_keeps_most_of_the_distances():
    networks = drawn(40, seed=9)
    encoded = SPACE.encode(networks)
    assert encoded.shape == (40, 8)
    assert encoded.dtype == torch.float64
    assert SPACE.encode([]).shape == (0, 8)
    true, kept = distances(networks, networks), torch.cdist(encoded, encoded)
    assert torch.corrcoef(torch.stack([true.flatten(), kept.flatten()]))[0, 1] > 0.8
    again = GraphSpace(landmarks=24, features=8).encode(networks[:3])
    assert torch.equal(encoded[:3], again)


# What is refused


@pytest.mark.parametrize(
    ("operations", "edges", "message"),
    [
        ((CONV,), ((0, 1),), "all 3 vertices must lie between input and output"),
        ((CONV,), ((0, 2), (0, 1)), "all 3 vertices must lie between"),
        ((CONV,), ((0, 1), (1, 2), (2, 1)), "distinct pairs of vertices 0 to 2, ascending"),
        ((CONV,), ((0, 1), (0, 1), (1, 2)), "distinct pairs"),
        (("dense-10-relu",), ((0, 1), (1, 2)), "'dense-10-relu', which belongs into the head"),
        ((CONV,) * 7, (), "there may be 6 of them"),
    ],
)
def test_bad_modules_are_refused(operations, edges, message):
    with pytest.raises(InvalidInput, match=message):
        Module(operations, edges)


@pytest.mark.parametrize(
    "text", ["", "conv3x3", "conv3x5-c8-relu", "conv3x3-c0-bn-relu", "conv3x3-c8-bn-swash", "maxpool", "dense-0-relu"]
)
def test_bad_operations_are_refused(text):
    with pytest.raises(InvalidInput, match=re.escape(f"operation is {text!r}; it must be one such as")):
        parse_operation(text)


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("conv1x1-c96-g8-bn-silu", {"kernel": 1, "channels": 96, "groups": 8, "norm": True, "activation": "silu"}),
        ("conv3x3-c728-dw-bn-relu", {"kernel": 3, "channels": 728, "depthwise": True, "norm": True}),
        ("conv11x11-c64-p3-s4-bn-relu", {"kernel": 11, "channels": 64, "padding": 3, "stride": 4}),
        ("avgpool3x3-s2-p1", {"kind": "avgpool", "stride": 2, "padding": 1}),
        ("upsample-s240", {"kind": "upsample", "stride": 240}),
        ("channel_shuffle-g8", {"kind": "channel_shuffle", "groups": 8}),
        ("dropout-p11", {"kind": "dropout", "rate": "11"}),
        ("global-avg-pool", {"kind": "global-avg-pool"}),
        ("dense-4096-relu", {"kind": "dense", "channels": 4096, "activation": "relu"}),
    ],
)
def test_cnnbenchs_spellings_are_understood(text, meaning):
    operation = parse_operation(text)
    assert {name: getattr(operation, name) for name in meaning} == meaning


def test_padding_and_stride_come_in_either_order():
    one, other = parse_operation("maxpool3x3-s2-p1"), parse_operation("maxpool3x3-p1-s2")
    assert one == other
    assert (one.stride, one.padding) == (2, 1)


@pytest.mark.parametrize("text", ["", ":01", ":01;", "a:01;flatten", ":0;flatten", ":01;dense-84-relu", ":02;flatten"])
def test_texts_of_no_network_are_refused(text):
    with pytest.raises(InvalidInput):
        CnnGraph.parse(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("/".join([":01"] * 4) + ";flatten", "network has 4 modules; there may be 3"),
        (f"{CONV},{CONV},{CONV}:01,12,23,34;flatten", "module has 5 vertices and 4 edges; there may be 4 and 7"),
        (f"{WIDE}:01,12;flatten", f"operation is '{WIDE}'; it must be one of"),
        (":01;flatten,dropout-p2,dropout-p2", r"head is .*; it may have 2 operations"),
        (":01;flatten,dense-7-relu", "operation of the head is 'dense-7-relu'"),
        ("conv7x7-c8-bn-relu:01,12/conv7x7-c8-bn-relu:01,12;flatten", "window is 7x7; the feature map .* has 4 rows"),
        ("channel_shuffle-g8:01,12;flatten", "groups of a shuffle is 8; it must divide 3 channels"),
        (
            "upsample-s1500:01,12;flatten",
            r"head is \('flatten',\); .* has 6750000 features, .*largest_vector is 6400000",
        ),
    ],
)
def test_networks_outside_the_space_are_refused(text, message):
    operations = (CONV, "conv7x7-c8-bn-relu", "channel_shuffle-g8", "upsample-s1500")
    space = GraphSpace(operations, modules=3, vertices=4, head_vertices=5, resolution=10)
    network = CnnGraph.parse(text)
    assert not space.is_valid(network)
    for ask in (space.to_layers, space.parameters, space.format, space.neighbours):
        with pytest.raises(InvalidInput, match=message):
            ask(network)
    assert not space.is_valid((0, 1))


def test_the_largest_vector_is_the_authors_unless_told_otherwise():
    """A map of 800x800 with 10 channels may be flattened, and one of 224x224 with 127; not a channel more."""
    conv = "conv1x1-c{}-bn-relu"
    for size, channels in ((800, 10), (224, 127)):
        space = GraphSpace((conv.format(channels), conv.format(channels + 1)), resolution=size)
        most, more = (CnnGraph.parse(f"{conv.format(c)}:01,12;flatten") for c in (channels, channels + 1))
        assert space.is_valid(most)
        assert f"linear_{size**2 * channels}to10" in [layer.name for layer in space.to_layers(most)]
        assert not space.is_valid(more)
        pooled = CnnGraph(more.modules, HEAD)
        assert space.is_valid(pooled)
    tight = GraphSpace((CONV,), resolution=8, largest_vector=8 * 64)
    assert tight.is_valid(CnnGraph.parse(f"{CONV}:01,12;flatten,dense-1024-relu"))
    assert not GraphSpace((CONV,), resolution=8, largest_vector=511).is_valid(CnnGraph.parse(f"{CONV}:01,12;flatten"))


def test_what_the_head_may_do_and_the_images_channels_are_arguments():
    space = GraphSpace((CONV,), modules=1, dense=("dense-7-silu",), channels=1, resolution=8)
    network = space.parse(f"{CONV}:01,12;global-avg-pool,dense-7-silu")
    assert space.parameters(network) == 9 * 8 + 16 + 9 * 7 + 8 * 10
    assert {operation for network in drawn(30, space=space) for operation in network.head[1:]} == {"dense-7-silu"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"modules": 0}, "modules is 0"),
        ({"vertices": 7}, "vertices is 7; it must be an integer from 2 to 6"),
        ({"head_vertices": 3}, "head_vertices is 3; it must be an integer from 4 to 64"),
        ({"landmarks": 1}, "landmarks is 1"),
        ({"operations": ()}, "operations is .*distinct"),
        ({"operations": (CONV, CONV)}, "operations is .*distinct"),
        ({"operations": ("flatten",)}, "operations holds 'flatten', which belongs into the head"),
        ({"dense": ()}, "dense is .*distinct"),
        ({"dense": ("dense-84-relu", POOL)}, "dense holds 'maxpool3x3-s2-p1'; it must be such as"),
        ({"channels": 0}, "channels is 0"),
        ({"largest_vector": 0}, "largest_vector is 0"),
        ({"operations": ("conv",)}, "operation is 'conv'"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(InvalidInput, match=message):
        GraphSpace(**arguments)
