"""The FPGA benchmark's own work: element-wise layers, lanes, and the fit; the mapping is `solve`'s."""

from math import ceil

import numpy as np
import pytest

import dlco
from dlco.nas.spaces import MnasNet

pytest.importorskip("scipy")
nas_rank = pytest.importorskip("nas_rank")


def test_layers_without_multiply_accumulates_have_their_own_kinds() -> None:
    space = MnasNet()
    network = space.parse("e1k3l1s1-e4k3l2s0-e6k5l1s1-e4k3l1s0-e4k3l1s0-e4k3l1s0-e1k3l3s0")
    beside = {
        layer.name: (nas_rank.kind_of(layer), layer.count) for layer in space.to_layers(network) if not layer.macs
    }
    assert beside == {
        "mean_32_112x112": ("pool", 1),
        "scale_32_112x112": ("scale", 1),
        "add_24_56x56": ("add", 1),
        "mean_144_28x28": ("pool", 1),
        "scale_144_28x28": ("scale", 1),
        "add_320_7x7": ("add", 2),
        "mean_1280_7x7": ("pool", 1),
    }
    assert {nas_rank.kind_of(layer) for layer in space.layers} == set(nas_rank.KINDS)


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
        dlco.workload.pool2d("pool", C=24, P=1, Q=1, R=7, S=7),
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
