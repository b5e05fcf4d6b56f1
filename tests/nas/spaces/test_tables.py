"""The published spaces against rows of their published tables: texts, parameters and multiply-accumulates."""

import csv
import re
from decimal import Decimal
from pathlib import Path

import pytest
import torch

from dlco.errors import InvalidInput
from dlco.nas.spaces import MnasNet, NasBench201, OfaMobileNetV3
from dlco.nas.spaces.mnasnet import BLOCKS

DATA = Path(__file__).parents[2] / "data" / "nas"


def rows(table):
    with (DATA / f"{table}.csv").open(newline="") as file:
        found = list(csv.DictReader(file))
    assert len(found) == 40
    return found


def in_millions(words):
    """As the tables print it: in millions, to four decimals."""
    return (Decimal(words) / 1_000_000).quantize(Decimal("0.0001"))


TABLES = {"ofa_mobilenetv3": OfaMobileNetV3, "nasbench201": NasBench201, "accel_nasbench": MnasNet}


@pytest.mark.parametrize("table", TABLES)
def test_the_tables_texts_come_back(table):
    space = TABLES[table]()
    for row in rows(table):
        assert space.format(space.parse(row["arch"])) == row["arch"]


def test_once_for_all_to_the_last_unit():
    space = OfaMobileNetV3()
    for row in rows("ofa_mobilenetv3"):
        network = space.parse(row["arch"])
        assert space.parameters(network) == int(row["params"])
        assert space.macs(network) == int(row["macs"])


def test_nasbench201_to_the_last_digit():
    space = NasBench201()
    for row in rows("nasbench201"):
        network = space.parse(row["arch"])
        assert in_millions(space.parameters(network)) == Decimal(row["params_M"])
        assert in_millions(space.macs(network)) == Decimal(row["macs_M"])


def beside_the_layers(space, network, text):
    """What Accel-NASBench's table counts besides: 4 an element normalised, and each average over a feature map."""
    convolutions = [layer for layer in space.to_layers(network) if not layer.name.startswith("linear")]
    beside = sum(4 * layer.count * layer.problem.words("Outputs") for layer in convolutions) + 1280 * (7 * 7 + 1)
    channels, size = 32, 112
    for block, (width, stride, _) in zip(text.split("-"), BLOCKS, strict=True):
        expansion, _, layers, excited = map(int, re.findall(r"\d", block))
        size = -(-size // stride)
        for _ in range(layers):
            beside += excited * expansion * channels * (size**2 + 1)
            channels = width
    return beside


def test_accel_nasbench_to_the_last_digit():
    space = MnasNet(macs_only=True)
    for row in rows("accel_nasbench"):
        network = space.parse(row["arch"])
        assert in_millions(space.parameters(network)) == Decimal(row["params"])
        counted = space.macs(network) + beside_the_layers(space, network, row["arch"])
        assert in_millions(counted) == Decimal(row["macs"])
        assert 0.857 < space.macs(network) / 1e6 / float(row["macs"]) < 0.964


def test_a_stage_of_once_for_all_has_no_gap():
    space = OfaMobileNetV3()
    network = space.parse("k3e3.k3e3-k3e3.k3e3-k5e3.k3e3-k3e3.k5e3-k5e3.k3e3.k7e6")
    absent, present = len(space.decisions[-1].options) - 1, 0
    assert network[-2:] == (8, absent)
    assert not space.is_valid((*network[:-2], absent, present))
    assert space.is_valid((*network[:-2], absent, absent))


def test_a_stage_of_once_for_all_is_as_often_two_as_four_blocks_deep():
    space = OfaMobileNetV3()
    texts = map(space.format, space.sample(900, torch.Generator().manual_seed(0)))
    depths = [len(stage.split(".")) for text in texts for stage in text.split("-")]
    for depth in (2, 3, 4):
        assert abs(depths.count(depth) / len(depths) - 1 / 3) < 0.03  # over 4 standard deviations


def test_the_last_two_blocks_of_a_stage_have_the_same_layers():
    space = OfaMobileNetV3()
    start = "k3e3.k3e3-k3e3.k3e3-k5e3.k3e3-k3e3.k5e3-k5e3.k3e3"
    one, other = (space.to_layers(space.parse(start + rest)) for rest in (".k7e6.k5e4", ".k5e4.k7e6"))
    assert {(layer.problem, layer.count) for layer in one} == {(layer.problem, layer.count) for layer in other}


@pytest.mark.parametrize("size", [10, 100])
def test_classes_change_the_last_layer_alone(size):
    network = (3, 2, 1, 0, 4, 3)
    cifar10, other = NasBench201(), NasBench201(classes=size)
    assert other.macs(network) - cifar10.macs(network) == 64 * (size - 10)
    assert other.parameters(network) - cifar10.parameters(network) == 65 * (size - 10)


def test_a_quarter_of_the_pixels_takes_a_quarter_of_the_convolutions():
    network = (3, 2, 1, 0, 4, 3)
    large, small = NasBench201(), NasBench201(resolution=16)
    assert large.macs(network) - 640 == 4 * (small.macs(network) - 640)
    assert large.parameters(network) == small.parameters(network)


@pytest.mark.parametrize("space", [OfaMobileNetV3, NasBench201, MnasNet])
def test_a_batch_multiplies_work_and_not_parameters(space):
    network = space().sample(1, torch.Generator().manual_seed(3))[0]
    assert space(batch=4).macs(network) == 4 * space().macs(network)
    assert space(batch=4).parameters(network) == space().parameters(network)


@pytest.mark.parametrize("space", [OfaMobileNetV3, NasBench201, MnasNet])
@pytest.mark.parametrize("argument", ["resolution", "batch", "classes"])
def test_bad_arguments_are_refused(space, argument):
    with pytest.raises(InvalidInput, match=f"{argument} is 0; it must be an integer of at least 1"):
        space(**{argument: 0})


OFA = "k3e3.k3e3-k3e3.k3e3-k3e3.k3e3-k3e3.k3e3-"
NB201 = "|none~0|+|none~0|none~1|+|none~0|none~1|"


@pytest.mark.parametrize(
    ("space", "text", "message"),
    [
        (OfaMobileNetV3(), OFA + "k3e3", "must have 5 stages of 2 to 4 blocks"),
        (OfaMobileNetV3(), OFA + "k3e3.k3e3-k3e3.k3e3", "must have 5 stages of 2 to 4 blocks"),
        (OfaMobileNetV3(), OFA + "k3e3.k9e3", "stage5 block2 is 'k9e3'; it must be one of k3e3, "),
        (OfaMobileNetV3(), OFA + "k3e3.k3e3.none", "absent blocks are left out"),
        (NasBench201(), NB201 + "skip~2|", "node3 from node2 is 'skip'; it must be one of none, "),
        (NasBench201(), NB201 + "none~1|", "it must be a string such as"),
        (NasBench201(), NB201 + "none~2", "it must be a string such as"),
        (NasBench201(), NB201[1:] + "none~2|", "it must be a string such as"),
        (MnasNet(), "e6k3l1s0-" * 6 + "e6k3l1", "it must be 7 blocks"),
        (MnasNet(), "e6k3l1s0-" * 6 + "e6k3l4s0", "block6 l is 'l4'; it must be one of l1, l2, l3"),
    ],
)
def test_texts_of_no_network_are_refused(space, text, message):
    with pytest.raises(InvalidInput, match=re.escape(message)):
        space.parse(text)
