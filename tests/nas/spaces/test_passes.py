"""Layers without multiply-accumulates in the spaces' networks, and the switch that leaves them out."""

from collections import Counter

import pytest
import torch

from dlco.nas.spaces import Digits, GraphSpace, MnasNet, NasBench201, OfaMobileNetV3, ResNet

CONV, POOL = "conv3x3-c8-p1-bn-relu", "maxpool3x3-s2-p1"
SPACES = [
    lambda **options: NasBench201(**options),
    lambda **options: OfaMobileNetV3(**options),
    lambda **options: MnasNet(**options),
    lambda **options: ResNet(18, **options),
    lambda **options: Digits(**options),
    lambda **options: GraphSpace((CONV, POOL), modules=3, vertices=4, resolution=16, landmarks=4, **options),
]


def beside(space, network) -> dict[str, int]:
    return {layer.name: layer.count for layer in space.to_layers(network) if not layer.macs}


@pytest.mark.parametrize("build", SPACES)
def test_the_switch_leaves_them_out_and_nothing_else(build) -> None:
    space, bare = build(), build(macs_only=True)
    for network in space.sample(4, torch.Generator().manual_seed(3)):
        all_ = Counter({layer.work: layer.count for layer in space.to_layers(network)})
        left = Counter({layer.work: layer.count for layer in bare.to_layers(network)})
        assert {work: n for work, n in all_.items() if work[2] == "multiply-accumulate"} == left
        assert all_ != left
        assert space.macs(network) == bare.macs(network)
        assert space.parameters(network) == bare.parameters(network)


def test_cells_of_pooling_alone() -> None:
    space = NasBench201()
    network = space.parse(
        "|avg_pool_3x3~0|+|avg_pool_3x3~0|avg_pool_3x3~1|+|" + "".join(f"avg_pool_3x3~{i}|" for i in range(3))
    )
    assert beside(space, network) == {
        "pool2x2s2_16_16x16": 1, "pool2x2s2_32_8x8": 1, "mean_64_8x8": 1,
        "pool3x3_16_32x32": 30, "pool3x3_32_16x16": 30, "pool3x3_64_8x8": 30,
        "add_16_32x32": 15, "add_32_16x16": 16, "add_64_8x8": 16,
    }  # fmt: skip


def test_nothing_is_added_where_one_edge_comes() -> None:
    space = NasBench201()
    chain = space.parse("|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|none~1|avg_pool_3x3~2|")
    found = beside(space, chain)
    assert (found["pool3x3_16_32x32"], found["add_32_16x16"], found["add_64_8x8"]) == (5, 1, 1)
    assert "add_16_32x32" not in found


def test_a_residual_network_has_one_addition_a_block() -> None:
    space = ResNet(18, widths=(1.0,))
    assert beside(space, ()) == {
        "pool3x3s2_64_56x56": 1, "add_64_56x56": 2, "add_128_28x28": 2, "add_256_14x14": 2, "add_512_7x7": 2,
        "mean_512_7x7": 1,
    }  # fmt: skip


def test_blocks_of_once_for_all_add_where_nothing_changes_shape() -> None:
    space = OfaMobileNetV3()
    found = beside(space, space.parse("k3e3.k3e3-k3e3.k3e3-k3e3.k3e3-k3e3.k3e3-k3e3.k3e3"))
    added = {name: n for name, n in found.items() if name.startswith("add")}
    assert added == {f"add_{C}_{P}x{P}": 1 for C, P in ((16, 112), (24, 56), (40, 28), (80, 14), (112, 14), (160, 7))}
    scaled = [name for name in found if name.startswith("scale")]
    assert scaled == [
        "scale_72_28x28",
        "scale_120_28x28",
        "scale_240_14x14",
        "scale_336_14x14",
        "scale_336_7x7",
        "scale_480_7x7",
    ]


def test_a_graph_adds_what_comes_together() -> None:
    space = GraphSpace((CONV, POOL), modules=2, vertices=5, resolution=8)
    three = space.parse(f"{CONV},{CONV},{POOL}:01,02,13,23,03,34;global-avg-pool")
    assert beside(space, three) == {"add_8_8x8": 2, "pool3x3s2_8_4x4": 1, "mean_8_4x4": 1}
    through = space.parse(f"{CONV}:01,12,02;flatten")
    assert beside(space, through) == {"add_8_8x8": 1}
