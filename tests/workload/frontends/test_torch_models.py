"""`from_torch` on the models that people have: torchvision's and timm's, without weights."""

import pytest

import dlco
from dlco.workload import NETWORKS, macs, networks

from .truth import counted_macs, on_meta

IMAGE = (1, 3, 224, 224)


def shapes(layers):
    return {layer.problem: layer.count for layer in layers}


@pytest.mark.parametrize(
    "name", ["resnet18", "resnet50", "mobilenet_v2", "mobilenet_v3_large", "vgg16", "efficientnet_b0", "alexnet"]
)
def test_models_are_the_network_tables_layer_by_layer(torchvision, name):
    model = on_meta(torchvision.models.get_model, name)
    network = dlco.from_torch(model, IMAGE, macs_only=True)
    assert shapes(network) == shapes(NETWORKS[name]())
    assert network.mapped_share == 1


def test_resnet18_by_name(torchvision):
    network = dlco.from_torch(on_meta(torchvision.models.resnet18), (4, 3, 224, 224), macs_only=True)
    counts = {layer.name: layer.count for layer in network}
    stages = [f"layer{i}.0.{part}" for i in (2, 3, 4) for part in ("conv1", "conv2", "downsample.0")]
    assert list(counts) == ["conv1", "layer1.0.conv1", *stages, "fc"]
    assert (counts["layer1.0.conv1"], counts["layer2.0.conv2"], counts["fc"]) == (4, 3, 1)
    assert network.macs == macs(networks.resnet18(batch=4))


def test_a_vision_transformer_is_its_blocks_patches_and_head(torchvision):
    network = dlco.from_torch(on_meta(torchvision.models.vit_b_16), IMAGE, macs_only=True)
    block = {layer.problem: 12 * layer.count for layer in networks.vit_b16_block()}
    found = shapes(network)
    qkv = dlco.linear("qkv", N=197, C=768, M=3 * 768).problem  # the table has three products where torch has one
    projection = dlco.linear("projection", N=197, C=768, M=768).problem
    assert found.pop(qkv) == 12
    assert block.pop(projection) == 12 * 4
    assert found.pop(projection) == 12
    patches = dlco.conv2d("patches", C=3, M=768, P=14, Q=14, R=16, S=16, stride=16).problem
    assert found == block | {patches: 1, dlco.linear("head", C=768, M=1000).problem: 1}
    assert {"encoder.layers.encoder_layer_0.self_attention.scores"} < {layer.name for layer in network}


ZOO = {"convnext_tiny": IMAGE, "shufflenet_v2_x1_0": IMAGE, "squeezenet1_1": IMAGE, "r3d_18": (1, 3, 8, 56, 56)}
SLOW = {"densenet121": IMAGE, "googlenet": IMAGE, "swin_t": IMAGE}


@pytest.mark.parametrize("name", [*ZOO, *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)])
def test_torchvision_models_have_the_macs_that_torch_counts(torchvision, name):
    shape = (ZOO | SLOW)[name]
    options = {"init_weights": False} if name == "googlenet" else {}
    model = on_meta(torchvision.models.get_model, name, weights=None, **options)
    network = dlco.from_torch(model, shape)
    assert network.macs == counted_macs(model, shape)
    assert network.mapped_share == 1


@pytest.mark.parametrize("name", ["mixer_s32_224", "resnetv2_18"])
def test_timm_models_have_the_macs_that_torch_counts(timm, name):
    model = on_meta(timm.create_model, name, pretrained=False)
    network = dlco.from_torch(model, IMAGE, macs_only=True)
    assert network.macs == counted_macs(model, IMAGE)
    assert network.mapped_share == 1
