"""Graphs in torch against what their space counts, and weights taken over against those they came from."""

import pytest
import torch
from torch import nn

from dlco.errors import InvalidInput
from dlco.nas.spaces import CnnGraph, GraphSpace
from dlco.nas.spaces.cnn_graph import run_module
from dlco.nas.spaces.digit_graphs import digit_graphs
from dlco.nas.spaces.operations import ACTIVATIONS
from dlco.nas.supernet.graph import GraphNetwork, matched

SPACE = digit_graphs()
IMAGES = torch.rand(3, 1, 8, 8, generator=torch.Generator().manual_seed(0))


def drawn(n: int, space: GraphSpace = SPACE, seed: int = 0) -> list[CnnGraph]:
    return space.sample(n, torch.Generator().manual_seed(seed))


def macs_run(built: nn.Module, images: torch.Tensor) -> int:
    """Multiply-accumulates of every convolution and linear layer that runs, by hooks."""
    found: list[int] = []
    for part in built.modules():
        if isinstance(part, nn.Conv2d | nn.Linear):
            part.register_forward_hook(lambda p, _, out: found.append(p.weight[0].numel() * out.numel()))
    with torch.no_grad():
        built.eval()(images)
    return sum(found)


@pytest.mark.parametrize("space", [SPACE, GraphSpace(resolution=16, modules=3, largest_vector=4096)])
def test_parameters_macs_and_shapes_are_those_that_torch_counts(space: GraphSpace) -> None:
    images = torch.zeros(1, space.channels, space.resolution, space.resolution)
    for network in drawn(40, space):
        built = GraphNetwork(space, network)
        assert macs_run(built, images) == space.macs(network)
        assert sum(p.numel() for p in built.parameters()) == space.parameters(network)
        with torch.no_grad():
            maps, channels, size = images, space.channels, space.resolution
            for module, part in zip(network.modules, built.body, strict=True):
                maps = part(maps)
                _, _, channels, size = run_module(module, channels, size, 1)
                assert maps.shape == (1, channels, size, size)
            assert built(images).shape == (1, space.classes)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation_is_torchs(activation: str) -> None:
    space = GraphSpace((f"conv1x1-c2-{activation}",), channels=1, resolution=2, classes=2)
    built = GraphNetwork(space, space.parse(f"conv1x1-c2-{activation}:01,12;flatten"))
    convolution, function = built.body[0].steps[0]
    images = torch.linspace(-4, 8, 4).reshape(1, 1, 2, 2)
    names = {name.lower(): name for name in dir(nn)}
    expected = getattr(nn, names[activation])()(convolution(images))
    torch.testing.assert_close(function(convolution(images)), expected)


def test_a_module_by_hand() -> None:
    """Added at a vertex: what a pool and a projected input give; concatenated: maps of 8 and 4 rows; a shortcut."""
    text = "conv3x3-c8-p1-bn-relu,maxpool3x3-s2-p1:01,02,03,12,13,23;global-avg-pool"
    built = GraphNetwork(SPACE, SPACE.parse(text), seed=2).eval()
    (module,) = built.body
    conv, pool = module.steps
    inner = conv(IMAGES)
    pooled = pool(inner + module.shortcuts["2"](IMAGES))
    joined = torch.cat([inner, pooled.repeat_interleave(2, -1).repeat_interleave(2, -2)], 1)
    expected = joined + module.shortcuts["3"](IMAGES)
    torch.testing.assert_close(built(IMAGES), built.head[1](expected.mean((-2, -1))))


def test_first_weights_hang_on_the_seed_alone() -> None:
    (network,) = drawn(1, seed=4)
    torch.manual_seed(5)
    state = torch.get_rng_state()
    one, again, other = (GraphNetwork(SPACE, network, seed).eval()(IMAGES) for seed in (0, 0, 1))
    assert one.equal(again)
    assert not one.equal(other)
    assert torch.get_rng_state().equal(state)


def test_all_weights_taken_over_make_the_same_function() -> None:
    for network in drawn(20):
        known, built = GraphNetwork(SPACE, network, 1), GraphNetwork(SPACE, network, 2)
        for part in known.modules():
            if isinstance(part, nn.BatchNorm2d):
                part.running_mean = torch.rand(part.num_features)
        assert built.inherit(network, known.state_dict()) == 1
        assert built.eval()(IMAGES).equal(known.eval()(IMAGES))


CONV, WIDE, POOL = "conv3x3-c8-p1-bn-relu", "conv3x3-c16-p1-bn-relu", "maxpool3x3-p1"


@pytest.mark.parametrize(
    ("mine", "theirs", "same"),
    [
        # behind and before a module that was added
        (f"{CONV}:01,12/{CONV}:01,12/{POOL}:01,12;flatten", f"{CONV}:01,12/{POOL}:01,12;flatten", {"body.0", "head"}),
        # an operation without weights exchanged
        (f"{CONV},{POOL}:01,12,23;flatten", f"{CONV},dropout-p1:01,12,23;flatten", {"body", "head"}),
        # the same operation over other channels, and all that hangs on it
        (f"{WIDE}:01,12/{CONV}:01,12;flatten", f"{CONV}:01,12/{CONV}:01,12;flatten", {"head"}),
        # an operation of the head taken out
        (f"{CONV}:01,12;global-avg-pool", f"{CONV}:01,12;global-avg-pool,dense-84-relu", {"body"}),
        # a shortcut added: only it is new
        (f"{CONV}:01,02,12;flatten", f"{CONV}:01,12;flatten", {"body.0.steps", "head"}),
    ],
)
def test_weights_are_taken_over_where_operation_and_shapes_agree(mine: str, theirs: str, same: set[str]) -> None:
    network, other = SPACE.parse(mine), SPACE.parse(theirs)
    known, built = GraphNetwork(SPACE, other, 1), GraphNetwork(SPACE, network, 2)
    before = {name: each.clone() for name, each in built.state_dict().items()}
    share = built.inherit(other, known.state_dict())
    copied = 0
    for name, each in built.named_parameters():
        kept = each.equal(before[name]) and before[name].unique().numel() > 1
        if any(name.startswith(part) for part in same):
            assert not kept, name
            copied += each.numel()
        elif before[name].unique().numel() > 1:
            assert kept, name
        else:
            assert each.equal(before[name])
    assert share == pytest.approx(copied / SPACE.parameters(network))


def test_chains_are_matched_from_the_front_then_from_the_end() -> None:
    assert matched("abcd", "abxcd") == [(0, 0), (1, 1), (2, 3), (3, 4)]
    assert matched("abc", "axc") == [(0, 0), (1, 1), (2, 2)]
    assert matched("aab", "ab") == [(0, 0), (2, 1)]
    assert matched("ab", "ab") == [(0, 0), (1, 1)]


def test_a_network_of_another_space_is_refused() -> None:
    with pytest.raises(InvalidInput, match="operation is 'conv1x1-c256-bn-relu'"):
        GraphNetwork(SPACE, CnnGraph.parse("conv1x1-c256-bn-relu:01,12;flatten"))
