"""The networks against what their authors publish: multiply-accumulates, parameters and, for ResNet-18, each layer."""

import pytest

from dlco.errors import InvalidInput
from dlco.workload import NETWORKS, get_network, macs, networks, parameters

# torchvision's weight metadata ("GFLOPS", which counts multiply-accumulates, to three decimals, and "num_params"),
# and the same multiply-accumulates in full, counted by forward hooks on torchvision 0.28's convolutions and linears.
PUBLISHED = {
    "alexnet": (0.714, 714_188_480, 61_100_840),
    "vgg16": (15.470, 15_470_264_320, 138_357_544),
    "resnet18": (1.814, 1_814_073_344, 11_689_512),
    "resnet34": (3.664, 3_663_761_408, 21_797_672),
    "resnet50": (4.089, 4_089_184_256, 25_557_032),
    "mobilenet_v2": (0.301, 300_774_272, 3_504_872),
    "mobilenet_v3_large": (0.217, 216_589_760, 5_483_032),
    "efficientnet_b0": (0.386, 385_814_752, 5_288_548),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_macs_are_the_published_ones(name):
    giga, exact, _ = PUBLISHED[name]
    assert macs(NETWORKS[name]()) == exact
    assert round(exact / 1e9, 3) == giga


def beside_weights(name, layer):
    """Biases and batch-norm parameters that go with one execution of a layer.

    A convolution followed by batch norm has no bias but a scale and a shift a channel; linear layers,
    squeeze-and-excitation and all of AlexNet and VGG have a bias a channel and no normalisation.
    """
    sizes = layer.problem.sizes
    outputs = sizes.get("M", sizes["C"])
    biased = name in ("alexnet", "vgg16") or layer.name.startswith("fc") or layer.name.endswith(("squeeze", "excite"))
    return outputs if biased else 2 * outputs


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameters_with_biases_and_batch_norm_are_exactly_the_published_ones(name):
    layers = NETWORKS[name]()
    beside = sum(layer.count * beside_weights(name, layer) for layer in layers)
    assert parameters(layers) + beside == PUBLISHED[name][2]


RESNET18 = {  # C, M, R, S, N, P, Q, stride, count; as Timeloop's mapper was given them
    "conv1": (3, 64, 7, 7, 1, 112, 112, 2, 1),
    "layer1": (64, 64, 3, 3, 1, 56, 56, 1, 4),
    "layer2_down": (64, 128, 3, 3, 1, 28, 28, 2, 1),
    "layer2_short": (64, 128, 1, 1, 1, 28, 28, 2, 1),
    "layer2": (128, 128, 3, 3, 1, 28, 28, 1, 3),
    "layer3_down": (128, 256, 3, 3, 1, 14, 14, 2, 1),
    "layer3_short": (128, 256, 1, 1, 1, 14, 14, 2, 1),
    "layer3": (256, 256, 3, 3, 1, 14, 14, 1, 3),
    "layer4_down": (256, 512, 3, 3, 1, 7, 7, 2, 1),
    "layer4_short": (256, 512, 1, 1, 1, 7, 7, 2, 1),
    "layer4": (512, 512, 3, 3, 1, 7, 7, 1, 3),
    "fc": (512, 1000, 1, 1, 1, 1, 1, 1, 1),
}


def stride(layer):
    return dict(layer.problem.dataspace("Inputs").projection[2])["P"]


def test_resnet18_layer_by_layer():
    layers = networks.resnet18()
    assert {layer.name: (*layer.problem.bounds, stride(layer), layer.count) for layer in layers} == RESNET18
    assert [layer.name for layer in layers] == list(RESNET18)
    assert all(layer.problem.dimensions == tuple("CMRSNPQ") for layer in layers)


def test_vit_blocks_patches_and_head_add_up_to_the_published_network():
    layers = networks.vit_b16_block()
    hidden, tokens = 768, 197
    patches, head = 3 * 16 * 16 * hidden, hidden * 1000
    assert 12 * macs(layers) + 14 * 14 * patches + head == 17_563_828_224  # published: 17.564 G
    block = parameters(layers) + (4 * hidden + 3072 + hidden) + 2 * 2 * hidden  # biases, two layer norms
    rest = (patches + hidden) + hidden + tokens * hidden + 2 * hidden + (head + 1000)
    assert 12 * block + rest == 86_567_656


def test_bert_block_has_the_parameters_of_an_encoder_layer():
    layers = networks.bert_base_block()
    biases, layer_norms = 4 * 768 + 3072 + 768, 2 * 2 * 768
    assert parameters(layers) + biases + layer_norms == 7_087_872
    per_token = 4 * 768 * 768 + 2 * 768 * 3072
    assert macs(layers) == 128 * per_token + 2 * 12 * 128 * 128 * 64
    assert macs(networks.bert_base_block(sequence_length=1)) == per_token + 2 * 768


@pytest.mark.parametrize("name", NETWORKS)
def test_a_batch_multiplies_work_and_not_parameters(name):
    one, four = NETWORKS[name](), NETWORKS[name](batch=4)
    assert macs(four) == 4 * macs(one)
    assert parameters(four) == parameters(one)
    assert [layer.name for layer in four] == [layer.name for layer in one]


@pytest.mark.parametrize("name", NETWORKS)
def test_no_shape_and_no_name_occurs_twice(name):
    layers = NETWORKS[name]()
    assert len({layer.problem for layer in layers}) == len({layer.name for layer in layers}) == len(layers)


@pytest.mark.parametrize(
    ("name", "executions"),
    [
        ("alexnet", 8),
        ("vgg16", 16),
        ("resnet18", 21),
        ("resnet34", 37),
        ("resnet50", 54),
        ("mobilenet_v2", 53),
        ("mobilenet_v3_large", 64),
        ("efficientnet_b0", 82),
        ("bert_base_block", 8),
        ("vit_b16_block", 8),
    ],
)
def test_counts_add_up_to_the_networks_depth(name, executions):
    assert sum(layer.count for layer in NETWORKS[name]()) == executions


@pytest.mark.parametrize("spelling", ["resnet18", "ResNet-18", "res_net_18", "RESNET18"])
def test_networks_are_found_by_any_spelling(spelling):
    assert get_network(spelling, batch=2) == networks.resnet18(batch=2)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_registry_holds_the_functions(name):
    assert NETWORKS[name] is getattr(networks, name)
    assert get_network(name) == NETWORKS[name](batch=1)


def test_an_unknown_network_is_refused_with_the_closest_name():
    with pytest.raises(InvalidInput) as caught:
        get_network("mobilenet_v4")
    message = str(caught.value)
    assert message.startswith("network is 'mobilenet_v4'; it must be one of alexnet, vgg16, resnet18, ")
    assert message.endswith("(closest: mobilenet_v2)")


@pytest.mark.parametrize("name", ["", "zzz", None, 18])
def test_a_name_like_no_other_is_refused_without_a_guess(name):
    with pytest.raises(InvalidInput, match=f"network is {name!r}; it must be one of .*gpt2_small_decode$"):
        get_network(name)


@pytest.mark.parametrize("batch", [0, -1, 1.5, "1"])
@pytest.mark.parametrize("name", NETWORKS)
def test_a_bad_batch_is_refused(name, batch):
    with pytest.raises(InvalidInput) as caught:
        get_network(name, batch=batch)
    assert str(caught.value) == f"batch is {batch!r}; it must be an integer of at least 1"


def test_a_bad_sequence_length_is_refused():
    with pytest.raises(InvalidInput, match="sequence_length is 0; it must be an integer of at least 1"):
        networks.bert_base_block(sequence_length=0)


def test_several_networks_are_one_list_by_how_often_they_run():
    parts = {"resnet18": networks.resnet18(), "bert": networks.bert_base_block()}
    both = networks.together(parts, {"bert": 3})
    assert macs(both) == macs(parts["resnet18"]) + 3 * macs(parts["bert"])
    assert len({layer.name for layer in both}) == len(both) == sum(map(len, parts.values()))
    with pytest.raises(InvalidInput, match="weights names 'vgg', which is none of resnet18, bert"):
        networks.together(parts, {"vgg": 2})
    with pytest.raises(InvalidInput, match="weight of bert is 0"):
        networks.together(parts, {"bert": 0})
    with pytest.raises(InvalidInput, match="networks is empty"):
        networks.together({})
