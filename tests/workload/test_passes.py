"""Layers without multiply-accumulates: their words and operations, against torch's own results' sizes."""

import pytest
import torch
from torch import nn

import dlco
from dlco import evaluate
from dlco.errors import InvalidInput
from dlco.exact import enumerate_layer
from dlco.hardware import generic
from dlco.workload import Layer, embedding, normalise, pointwise, pool2d, reduction, upsample2d


def words(layer: Layer) -> dict[str, int]:
    return {space.name: layer.problem.words(space) for space in layer.problem.dataspaces}


@pytest.mark.parametrize(("window", "stride", "size"), [(3, 2, 15), (2, 2, 8), (3, 1, 7)])
def test_a_pool_reads_its_windows_and_writes_what_torch_writes(window, stride, size):
    out = nn.MaxPool2d(window, stride)(torch.zeros(2, 5, size, size))
    layer = pool2d("pool", N=2, C=5, P=out.shape[2], Q=out.shape[3], R=window, S=window, stride=stride)
    read = (out.shape[2] - 1) * stride + window
    assert words(layer) == {"Inputs": 2 * 5 * read * read, "Outputs": out.numel()}
    assert (layer.macs, layer.operations, layer.parameters) == (0, out.numel() * window**2, 0)


@pytest.mark.parametrize("scale", [(2, 2), (3, 1)])
def test_an_upsampling_reads_its_map_and_writes_what_torch_writes(scale):
    out = nn.Upsample(scale_factor=scale)(torch.zeros(2, 5, 4, 6))
    layer = upsample2d("up", N=2, C=5, H=4, W=6, scale=scale)
    assert words(layer) == {"Inputs": 2 * 5 * 4 * 6, "Outputs": out.numel()}
    assert (layer.macs, layer.operations, layer.parameters) == (0, out.numel(), 0)


def test_sums_scales_and_normalisations_count_their_operands():
    assert words(pointwise("add", (1, 8, 4, 4), (1, 8, 4, 4))) == {"Weights": 128, "Inputs": 128, "Outputs": 128}
    scale = pointwise("scale", (2, 8, 4, 4), (2, 8, 1, 1), operation="scale")
    assert words(scale) == {"Weights": 16, "Inputs": 256, "Outputs": 256}
    assert words(reduction("mean", (2, 8, 4, 4), (2, 3))) == {"Inputs": 256, "Outputs": 16}
    statistics, use = normalise("norm", (6, 16), (1,))
    assert words(statistics) == {"Inputs": 96, "Outputs": 12}
    assert words(use) == {"Weights": 12, "Inputs": 96, "Outputs": 96}
    assert words(embedding("table", N=7, C=16)) == {"Weights": 112, "Inputs": 7, "Outputs": 112}


def test_they_are_mapped_to_the_optimum_like_any_other_layer():
    layers = [pool2d("pool", C=4, P=2, Q=2, R=2, S=2, stride=2), pointwise("add", (4, 3, 2), (4, 3, 2))]
    layers += normalise("softmax", (4, 6), (1,), operation="softmax")
    for layer in layers:
        found = dlco.solve([layer], generic())
        listed = enumerate_layer(layer, generic())
        best = (listed.energy_pj * listed.cycles).min().item()
        assert found.gap == 0
        assert found.cost.edp == pytest.approx(best, rel=1e-9)
        assert evaluate(layer, generic(), found.mappings[layer.name]).cycles.item() == found.cost.cycles
        assert found.layer_costs[layer.name].macs == 0


def test_an_upsampling_is_mapped_to_the_best_of_all_mappings():
    layer = upsample2d("up", C=4, H=2, W=3, scale=2)
    listed = enumerate_layer(layer, generic())
    found = dlco.solve([layer], generic(), bound=False)
    assert found.cost.edp == pytest.approx((listed.energy_pj * listed.cycles).min().item(), rel=1e-9)


def test_what_is_no_layer_is_refused():
    with pytest.raises(InvalidInput, match="operation of layer x is 'dance'; allowed: multiply-accumulate, pool"):
        Layer("x", dlco.matmul("x", M=2, K=2, N=2).problem, operation="dance")
    with pytest.raises(InvalidInput, match="P of layer pool is 0"):
        pool2d("pool", C=1, P=0, Q=1, R=1, S=1)
    with pytest.raises(InvalidInput, match="operands of layer add have shapes"):
        pointwise("add", (4, 3), (4, 2))
    with pytest.raises(InvalidInput, match="axes of layer mean are"):
        reduction("mean", (4, 3), (2,))
    with pytest.raises(InvalidInput, match="scale of layer up is 0"):
        upsample2d("up", C=1, H=1, W=1, scale=0)
    with pytest.raises(InvalidInput, match="it must have 1 to 5 axes"):
        reduction("mean", (1, 2, 3, 4, 5, 6), (2,))


class Everything(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table, self.norm = nn.Embedding(100, 16), nn.LayerNorm(16)
        self.attention = nn.MultiheadAttention(16, 2, batch_first=True)
        self.stem, self.batch = nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8)
        self.pool, self.group = nn.MaxPool2d(2), nn.GroupNorm(2, 8)

    def forward(self, tokens, image):
        x = self.norm(self.table(tokens))
        x = x + self.attention(x, x, x, need_weights=False)[0]
        y = self.pool(self.batch(self.stem(image)).relu())
        y = self.group(y) * torch.sigmoid(y.mean((2, 3), keepdim=True))
        return x, y


def test_torch_s_operators_become_layers_and_a_switch_leaves_them_out():
    inputs = (torch.zeros(2, 5, dtype=torch.long), (2, 3, 8, 8))
    network = dlco.from_torch(Everything(), inputs)
    found = {layer.name: (layer.operation, words(layer)) for layer in network if not layer.macs}
    assert found == {
        "table.embedding": ("embed", {"Weights": 160, "Inputs": 10, "Outputs": 160}),
        "norm.layer_norm.statistics": ("normalise", {"Inputs": 160, "Outputs": 20}),
        "norm.layer_norm.apply": ("normalise", {"Weights": 20, "Inputs": 160, "Outputs": 160}),
        "attention.softmax.statistics": ("softmax", {"Inputs": 100, "Outputs": 40}),
        "attention.softmax.apply": ("softmax", {"Weights": 40, "Inputs": 100, "Outputs": 100}),
        "add": ("add", {"Weights": 160, "Inputs": 160, "Outputs": 160}),
        "pool.max_pool2d": ("pool", {"Inputs": 1024, "Outputs": 256}),
        "group.group_norm.statistics": ("normalise", {"Inputs": 256, "Outputs": 8}),
        "group.group_norm.apply": ("normalise", {"Weights": 8, "Inputs": 256, "Outputs": 256}),
        "mean": ("pool", {"Inputs": 256, "Outputs": 16}),
        "mul": ("scale", {"Weights": 16, "Inputs": 256, "Outputs": 256}),
    }
    assert {one.kind for one in network.unmapped} == {"batch_norm", "relu", "sigmoid"}
    alone = dlco.from_torch(Everything(), inputs, macs_only=True)
    assert all(layer.macs for layer in alone)
    assert alone.macs == network.macs
    assert {"embedding", "layer_norm", "add", "max_pool2d"} < {one.kind for one in alone.unmapped}


def test_a_table_holds_pools_and_embeddings(tmp_path):
    layers = [pool2d("pool", C=4, P=3, Q=3, R=3, S=3, stride=2, count=2), embedding("table", N=5, C=8)]
    dlco.to_csv(layers, tmp_path / "net.csv")
    assert list(dlco.from_csv(tmp_path / "net.csv")) == layers
    with pytest.raises(InvalidInput, match="leave such layers out with macs_only=True"):
        dlco.to_csv([pointwise("add", (4, 3), (4, 3))], tmp_path / "other.csv")
