"""Residual networks of any width: torchvision's at width 1, closed forms elsewhere."""

from collections import Counter

import pytest

from dlco.errors import InvalidInput
from dlco.nas.spaces import ResNet
from dlco.workload import get_network

PUBLISHED = {18: 11_689_512, 34: 21_797_672, 50: 25_557_032}  # torchvision's "num_params"


@pytest.mark.parametrize("depth", PUBLISHED)
def test_at_width_one_they_are_the_known_networks(depth):
    space = ResNet(depth, macs_only=True)
    network = space.parse("w1-w1-w1-w1")
    known = get_network(f"resnet{depth}")
    assert {(layer.problem, layer.count) for layer in space.to_layers(network)} == {
        (layer.problem, layer.count) for layer in known
    }
    assert space.parameters(network) == PUBLISHED[depth]


def shapes(space, text):
    """How often each (C, M, R, P) occurs, of whatever stride."""
    found = Counter()
    for layer in space.to_layers(space.parse(text)):
        if layer.macs:
            found[tuple(layer.problem.sizes[dim] for dim in "CMRP")] += layer.count
    return found


def test_a_width_changes_its_stage_and_what_leaves_it():
    space = ResNet(18, widths=(0.5, 1.0))
    whole, narrow = shapes(space, "w1-w1-w1-w1"), shapes(space, "w1-w0.5-w1-w1")
    assert dict(whole.items() - narrow.items()) == {
        (64, 128, 3, 28): 1, (64, 128, 1, 28): 1, (128, 128, 3, 28): 3, (128, 256, 3, 14): 1, (128, 256, 1, 14): 1,
    }  # fmt: skip
    assert dict(narrow.items() - whole.items()) == {
        (64, 64, 3, 28): 1 + 3, (64, 64, 1, 28): 1, (64, 256, 3, 14): 1, (64, 256, 1, 14): 1,
    }  # fmt: skip


def test_a_bottleneck_leaves_four_times_its_width():
    narrow = shapes(ResNet(50, widths=(0.25, 1.0)), "w0.25-w1-w1-w1")
    first = {(3, 16, 7, 112): 1, (16, 16, 1, 56): 1, (16, 16, 3, 56): 3, (16, 64, 1, 56): 4, (64, 16, 1, 56): 2}
    assert first.items() <= narrow.items()
    assert narrow[64, 128, 1, 56] == narrow[64, 512, 1, 28] == 1


def test_channels_are_multiples_of_eight():
    space = ResNet(18, widths=(0.3, 1.0))
    stem = space.to_layers((0, 0, 0, 0))[0].problem.sizes
    assert stem["M"] == 24  # 19.2, of which 16 would lose more than a tenth
    assert {sizes["M"] for layer in space.layers if layer.macs and (sizes := layer.problem.sizes)["M"] != 1000} == {
        24, 40, 80, 152, 64, 128, 256, 512,
    }  # fmt: skip


def test_kernels_and_resolutions_are_decisions_where_there_is_a_choice():
    space = ResNet(34, widths=(1.0,), kernels=(3, 5), resolutions=(128, 224))
    assert [decision.name for decision in space.decisions] == [
        "resolution",
        *(f"kernel{stage}" for stage in range(1, 5)),
    ]
    plain = get_network("resnet34")
    assert {
        (layer.problem, layer.count) for layer in space.to_layers(space.parse("r224-k3-k3-k3-k3")) if layer.macs
    } == {(layer.problem, layer.count) for layer in plain}
    larger = shapes(space, "r128-k3-k3-k5-k3")
    assert larger[256, 256, 5, 8] == 11
    assert larger[128, 256, 5, 8] == larger[128, 256, 1, 8] == larger[256, 512, 3, 4] == 1
    assert larger[512, 1000, 1, 1] == 1


def test_one_network_is_a_space_too():
    space = ResNet(18, widths=(1.0,))
    assert space.decisions == ()
    assert list(space.networks()) == [()]
    assert space.encode([()]).shape == (1, 0)
    assert space.parameters(()) == PUBLISHED[18]
    assert space.parse(space.format(())) == ()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"depth": 101}, "depth is 101; it must be one of 18, 34, 50"),
        ({"widths": ()}, r"widths is \(\); it must be one or more distinct numbers"),
        ({"widths": (1.0, 1.0)}, "widths is .*distinct"),
        ({"widths": (0.0, 1.0)}, "widths holds 0.0; it must be positive numbers"),
        ({"widths": ("1",)}, "widths holds '1'; it must be positive numbers"),
        ({"kernels": (4,)}, "kernels holds 4; it must be odd numbers"),
        ({"resolutions": (0,)}, "an entry of resolutions is 0"),
        ({"batch": 0}, "batch is 0"),
        ({"classes": 0}, "classes is 0"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(InvalidInput, match=message):
        ResNet(**arguments)
