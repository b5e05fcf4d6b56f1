"""The FPGA benchmark's own work: element-wise layers, lanes, and the fit; the mapping is `solve`'s."""

from math import ceil

import numpy as np
import pytest

import dlco
from dlco.nas.spaces import MnasNet

pytest.importorskip("scipy")
nas_rank = pytest.importorskip("nas_rank")


def test_elementwise_layers_of_a_network() -> None:
    text = "e1k3l1s1-e4k3l2s0-e6k5l1s1-e4k3l1s0-e4k3l1s0-e4k3l1s0-e1k3l3s0"
    space = MnasNet()
    names = [layer.name for layer in nas_rank.elementwise(space.options(space.parse(text)))]
    assert names == [
        "pool_32_112x112",
        "scale_32_112x112",
        "add_24_56x56",
        "pool_144_28x28",
        "scale_144_28x28",
        "add_320_7x7",
        "add_320_7x7",
        "pool_1280_7x7",
    ]


def test_elementwise_layers_follow_the_maps_of_the_space() -> None:
    # a squeeze-and-excitation works on the map that the depthwise layer before it leaves
    space = MnasNet()
    text = "-".join(["e6k3l2s1"] * 7)
    network = space.parse(text)
    pooled = {
        layer.name.partition("_")[2] for layer in nas_rank.elementwise(space.options(network)) if "pool" in layer.name
    }
    left = {layer.name.partition("_")[2] for layer in space.to_layers(network) if layer.name.startswith("depthwise")}
    assert pooled - {"1280_7x7"} == left


def test_elementwise_layers_move_their_words() -> None:
    for layer, reads in ((nas_rank.pool(6, 5), 150), (nas_rank.scale(6, 5), 150 + 6), (nas_rank.add(6, 5), 300)):
        words = {space.name: layer.problem.words(space) for space in layer.problem.dataspaces}
        out = words.pop("Outputs")
        assert sum(words.values()) == reads
        assert out == (6 if layer.name.startswith("pool") else 150)
        assert layer.macs == 150
        assert nas_rank.kind_of(layer) == layer.name.partition("_")[0]


def test_least_cycles_by_hand() -> None:
    conv = dlco.conv2d("conv", C=40, M=24, P=14, Q=14, R=3, S=3)
    assert nas_rank.least_cycles(conv) == ceil(40 / 16) * ceil(24 / 16) * 14 * ceil(14 / 8) * 9
    depthwise = dlco.depthwise_conv2d("depthwise", C=40, P=7, Q=7, R=3, S=3)
    assert nas_rank.least_cycles(depthwise) == ceil(40 / 16) * 7 * ceil(7 / 4) * 9
    linear = dlco.linear("linear", C=1280, M=1000)  # its weights take longer to come than to use
    assert nas_rank.least_cycles(linear) == (1280 * 1000 + 1280) / 32


def test_layers_are_mapped_within_the_lanes() -> None:
    layers = [
        dlco.conv2d("conv", C=24, M=40, P=7, Q=7, R=3, S=3),
        nas_rank.pool(24, 7),
    ]
    cycles, evaluations = nas_rank.map_layers(layers, seed=0)
    assert evaluations > 0
    for layer in layers:
        least = nas_rank.least_cycles(layer)
        assert least <= cycles[layer.name] <= 1.2 * least + 1


def test_fit_finds_the_factors_of_networks_that_follow_it() -> None:
    generator = np.random.default_rng(0)
    features = generator.random((60, 4)) * [1e6, 1e3, 1.0, 0.0]
    measured = features @ np.array([2e-6, 0.0, 3.0, 5.0])
    train = np.arange(60) < 20
    np.testing.assert_allclose(nas_rank.fitted(features, measured, train), measured, rtol=1e-9)


def test_table_holds_the_measured_networks() -> None:
    rows = nas_rank.read_table()
    assert len(rows) == 5136
    space = MnasNet()
    for row in rows[::500]:
        assert space.format(space.parse(row["arch"])) == row["arch"]
