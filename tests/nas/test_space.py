"""Spaces whose layers fall into factors: a small one worked by hand, and what holds for every one of them."""

from itertools import product

import pytest
import torch

from dlco.errors import InvalidInput
from dlco.nas.space import Decision, Factor, FactoredSpace
from dlco.nas.spaces import MnasNet, NasBench201, OfaMobileNetV3, ResNet
from dlco.workload import conv2d, linear, macs, matmul
from dlco.workload.layer import merge_layers

STEM = linear("stem", C=3, M=4)
SMALL = linear("small", C=4, M=2)
LARGE = linear("large", C=4, M=8)


def by_hand():
    """A stem of 12 words; width small or large (8, 32 words) and depth (times 1, 2, 3); a bias where it is large."""
    decisions = [Decision("width", ("small", "large")), Decision("depth", ("d1", "d2", "d3"))]
    layers = {(w, d): ((SMALL, LARGE)[w],) * (d + 1) for w in range(2) for d in range(3)}
    factors = [Factor((), {(): (STEM,)}), Factor((0, 1), layers, {(1, d): 8 * (d + 1) for d in range(3)})]
    return FactoredSpace("by_hand", decisions, factors)


def named(layers):
    return [(layer.name, layer.count) for layer in layers]


def test_a_space_by_hand():
    space = by_hand()
    assert named(space.to_layers((0, 0))) == [("stem", 1), ("small", 1)]
    assert named(space.to_layers((1, 2))) == [("stem", 1), ("large", 3)]
    assert (space.parameters((0, 1)), space.parameters((1, 2))) == (12 + 2 * 8, 12 + 3 * (32 + 8))
    assert (space.macs((0, 1)), space.macs((1, 2))) == (12 + 2 * 8, 12 + 3 * 32)
    assert list(space.networks()) == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]
    assert space.neighbours((0, 1)) == [(1, 1), (0, 0), (0, 2)]
    assert space.encode([(0, 1), (1, 2)]).tolist() == [[1, 0, 0, 1, 0], [0, 1, 0, 0, 1]]
    assert (space.format((1, 0)), space.parse("large-d1")) == ("large-d1", (1, 0))
    assert named(space.layers) == [("stem", 1), ("small", 1), ("large", 1)]
    assert space.counts([(0, 0), (1, 2)]).tolist() == [[1, 1, 0], [1, 0, 3]]
    stem, blocks = space.factor_counts
    assert stem.tolist() == [[1, 0, 0]]
    assert blocks.tolist() == [[0, 1, 0], [0, 2, 0], [0, 3, 0], [0, 0, 1], [0, 0, 2], [0, 0, 3]]


def test_layers_merge_by_shape_and_origin_of_their_weights():
    same = linear("other name", C=4, M=2, count=5)
    computed = matmul("computed", M=1, K=4, N=2)
    merged = merge_layers([SMALL, computed, same, LARGE, computed])
    assert named(merged) == [("small", 6), ("computed", 2), ("large", 1)]
    strided = [conv2d("a", C=1, M=1, P=4, Q=4, R=1, S=1, stride=stride) for stride in (1, 2)]
    assert len(merge_layers(strided)) == 2


SPACES = [
    OfaMobileNetV3(),
    OfaMobileNetV3(resolution=160, batch=2),
    NasBench201(),
    NasBench201(classes=120, resolution=16),
    MnasNet(),
    ResNet(18),
    ResNet(50, widths=(0.5, 1), kernels=(3, 5), resolutions=(192, 224)),
]
every_space = pytest.mark.parametrize("space", SPACES, ids=lambda space: space.name)


def drawn(space, n=12, seed=0):
    return space.sample(n, torch.Generator().manual_seed(seed))


@every_space
def test_layers_are_the_union_over_the_factors(space):
    for network in drawn(space):
        union = [layer for f in space.factors() for layer in f.layers[tuple(network[at] for at in f.decisions)]]
        merged = {(layer.problem, layer.count) for layer in merge_layers(union)}
        found = space.to_layers(network)
        assert {(layer.problem, layer.count) for layer in found} == merged
        assert len(found) == len(merged)
        assert space.macs(network) == sum(layer.macs * layer.count for layer in union) == macs(found)


@every_space
def test_counts_give_the_same_layers_all_at_once(space):
    networks = drawn(space)
    counts = space.counts(networks)
    assert counts.shape == (len(networks), len(space.layers))
    for network, row in zip(networks, counts.tolist(), strict=True):
        by_name = {layer.name: count for layer, count in zip(space.layers, row, strict=True) if count}
        assert by_name == dict(named(space.to_layers(network)))


@every_space
def test_a_name_stands_for_one_shape_throughout_a_space(space):
    assert len({layer.name for layer in space.layers}) == len({layer.problem for layer in space.layers})
    assert len({layer.name for layer in space.layers}) == len(space.layers)


@every_space
def test_neighbours_are_all_valid_networks_that_differ_in_one_decision(space):
    network = drawn(space, 1)[0]
    expected = set()
    for at, decision in enumerate(space.decisions):
        for option in range(len(decision.options)):
            other = (*network[:at], option, *network[at + 1 :])
            if other != network and space.is_valid(other):
                expected.add(other)
    found = space.neighbours(network)
    assert set(found) == expected
    assert len(found) == len(expected) > 0
    assert all(network in space.neighbours(other) for other in found[:3])


@every_space
def test_encoding_is_one_hot_and_tells_networks_apart(space):
    networks = list(dict.fromkeys(drawn(space, 40)))
    encoded = space.encode(networks)
    assert encoded.shape == (len(networks), sum(len(decision.options) for decision in space.decisions))
    assert encoded.dtype == torch.float64
    assert (encoded.sum(1) == len(space.decisions)).all()
    assert len(set(map(tuple, encoded.tolist()))) == len(networks)
    assert space.encode([]).shape == (0, encoded.shape[1])


@every_space
def test_samples_are_valid_and_hang_on_the_seed_alone(space):
    networks = drawn(space, 30)
    assert len(networks) == 30
    assert all(space.is_valid(network) for network in networks)
    assert networks == drawn(space, 30)
    assert networks != drawn(space, 30, seed=1)


@every_space
def test_texts_come_back(space):
    for network in drawn(space):
        assert space.parse(space.format(network)) == network
    with pytest.raises(InvalidInput):
        space.parse("nothing of the kind")


@every_space
def test_what_is_no_network_is_refused(space):
    good = drawn(space, 1)[0]
    for bad in (good[:-1], list(good), (*good[:-1], 99), (*good[:-1], -1), (*good[:-1], 0.0), None):
        assert not space.is_valid(bad)
        with pytest.raises(InvalidInput, match=r"network is .*; it must be a network of the space"):
            space.to_layers(bad)


def test_samples_are_uniform_over_options():
    space = NasBench201()
    share = space.encode(drawn(space, 3000)).mean(0)
    assert (share - 0.2).abs().max() < 0.035  # 4.8 standard deviations of a share of 3000


def test_networks_are_every_combination():
    space = NasBench201()
    assert list(space.networks()) == list(product(range(5), repeat=6))


@pytest.mark.parametrize("n", [0, -1, 1.5])
def test_a_bad_number_of_samples_is_refused(n):
    with pytest.raises(InvalidInput, match=f"n is {n}; it must be an integer of at least 1"):
        by_hand().sample(n, torch.Generator())


def test_bad_descriptions_are_refused():
    width = Decision("width", ("a", "b"))
    with pytest.raises(InvalidInput, match=r"options of decision width is .*distinct"):
        Decision("width", ("a", "a"))
    with pytest.raises(InvalidInput, match="options of decision width is"):
        Decision("width", ())
    with pytest.raises(InvalidInput, match="names must be distinct"):
        FactoredSpace("twice", [width, width], [])
    with pytest.raises(InvalidInput, match="factor names decision 1; wrong has 1 of them"):
        FactoredSpace("wrong", [width], [Factor((1,), {(0,): ()})])
    with pytest.raises(InvalidInput, match=r"factor of width has layers for 1 combinations.* each of the 2"):
        FactoredSpace("incomplete", [width], [Factor((0,), {(0,): (SMALL,)})])
    with pytest.raises(InvalidInput, match="depth is 'd4'; it must be one of d1, d2, d3"):
        by_hand().parse("small-d4")
    with pytest.raises(InvalidInput, match=r"options is \['small'\]; by_hand needs 2 of them"):
        by_hand().parse("small")


def test_expected_counts_are_the_networks_at_corners_and_the_mean_over_independent_draws():
    space = by_hand()  # whose factor depends on both decisions
    networks = list(space.networks())
    assert torch.equal(space.expected_counts(space.encode(networks)), space.counts(networks))
    width, depth = torch.tensor([0.3, 0.7]).double(), torch.tensor([0.2, 0.5, 0.3]).double()
    chances = torch.stack([width[a] * depth[b] for a, b in networks])
    mean = space.expected_counts(torch.cat([width, depth])[None])[0]
    torch.testing.assert_close(mean, chances @ space.counts(networks))
