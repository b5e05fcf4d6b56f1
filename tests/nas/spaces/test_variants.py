"""Resolutions as a decision: each network is one of its variant's space, and its accuracy that oracle's."""

import pytest
import torch

from dlco import Budget
from dlco.errors import InvalidInput
from dlco.nas import NasBench201, OfaMobileNetV3, Variants
from dlco.nas.cosearch import explore
from dlco.nas.evaluator import Evaluator
from dlco.nas.oracles import FunctionAccuracy, VariantsAccuracy, variants_accuracy
from dlco.nas.oracles.accuracy import DifferentiableAccuracy
from dlco.nas.request import CoRequest
from dlco.search import LayerCosts
from tests.nas.small import FAST, Linear, make_hardware, make_space

SPACE = Variants("resolution", {str(size): NasBench201(resolution=size) for size in (16, 32)})


def test_networks_are_those_of_their_variant() -> None:
    networks = SPACE.sample(6, torch.Generator().manual_seed(0))
    assert {network[0] for network in networks} == {0, 1}
    for network in networks:
        own = SPACE.variant(network)
        assert own is list(SPACE.spaces.values())[network[0]]
        assert SPACE.macs(network) == own.macs(network[1:])
        assert SPACE.parameters(network) == own.parameters(network[1:])
        layers = {layer.work: layer.count for layer in SPACE.to_layers(network)}
        assert layers == {layer.work: layer.count for layer in own.to_layers(network[1:])}
        assert SPACE.parse(SPACE.format(network)) == network
        assert SPACE.format(network) == f"{16 << network[0]}: {own.format(network[1:])}"
        assert sum(other[0] != network[0] for other in SPACE.neighbours(network)) == 1
    counts = SPACE.counts(networks)
    macs = counts @ torch.tensor([float(layer.macs) for layer in SPACE.layers], dtype=torch.float64)
    assert macs.tolist() == [SPACE.macs(network) for network in networks]


def test_what_a_variant_forbids_is_forbidden() -> None:
    space = Variants("resolution", {"224": OfaMobileNetV3(224), "160": OfaMobileNetV3(160)})
    (network,) = space.sample(1, torch.Generator().manual_seed(1))
    assert not space.is_valid((network[0], 0, 0, 9, 0, *network[5:]))  # a fourth block behind an absent third
    for text in ("k3", "96: k3", "160:k3"):
        with pytest.raises(InvalidInput, match="must begin with one of 224, 160"):
            space.parse(text)
    with pytest.raises(InvalidInput, match="'b' has other decisions or factors than 'a'"):
        Variants("which", {"a": NasBench201(), "b": make_space()})
    with pytest.raises(InvalidInput, match="empty"):
        Variants("which", {})


def test_each_oracle_judges_its_own_networks() -> None:
    spaces = {"a": make_space(), "b": make_space()}
    space = Variants("which", spaces)
    less = FunctionAccuracy(spaces["b"], lambda network: 70.0 + network[0])
    oracle = variants_accuracy(space, {"a": Linear(spaces["a"]), "b": less})
    assert oracle.accuracy([(1, 2, 0, 0), (0, 1, 0, 0), (1, 0, 1, 1)]).tolist() == [72.0, 83.0, 70.0]
    assert not isinstance(oracle, DifferentiableAccuracy)
    with pytest.raises(InvalidInput, match="oracles is of b; it must be of a, b"):
        VariantsAccuracy(space, {"b": less})


def test_the_gradient_is_that_of_all_variants() -> None:
    spaces = {"a": make_space(), "b": make_space()}
    space = Variants("which", spaces)
    oracle = variants_accuracy(space, {name: Linear(one) for name, one in spaces.items()})
    assert isinstance(oracle, DifferentiableAccuracy)
    networks = space.sample(8, torch.Generator().manual_seed(0))
    encoding = space.encode(networks).requires_grad_()
    judged = oracle.accuracy_of_encoding(encoding)
    torch.testing.assert_close(judged, oracle.accuracy(networks))
    judged.sum().backward()
    assert encoding.grad is not None
    assert bool((encoding.grad[:, :2] > 0).all())


def test_a_co_search_chooses_the_variant() -> None:
    space = Variants("which", {"a": make_space(), "b": make_space()})
    worth = (0.0, 7.0)
    oracle = FunctionAccuracy(space, lambda network: 60 + sum(network[1:]) + worth[network[0]])
    request = CoRequest(space, oracle, make_hardware(), "accuracy", Budget(area_mm2=9.0))
    evaluator = Evaluator(request, LayerCosts(request.hardware, request.score, effort=FAST), 150)
    explore(request, evaluator, "local-search", seed=0)
    assert evaluator.best is not None
    assert evaluator.best.pair.network == (1, 2, 2, 2)
