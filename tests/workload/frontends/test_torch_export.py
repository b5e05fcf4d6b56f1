"""`from_torch` on small modules: every kind of operator, against torch's own count, and layers spelt out."""

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - as torch users write it
from torch import nn

import dlco
from dlco.errors import InvalidInput
from dlco.optimize.local_search import Effort

from .truth import counted_macs, on_meta

CONVOLUTIONS = {
    "plain": (nn.Conv2d(4, 6, 3), (2, 4, 9, 8)),
    "padded": (nn.Conv2d(4, 6, 3, padding=(1, 2)), (2, 4, 9, 8)),
    "padded to the same size": (nn.Conv2d(4, 6, (3, 4), padding="same", dilation=2), (2, 4, 9, 8)),
    "padded by reflection": (nn.Conv2d(4, 6, 3, padding=1, padding_mode="reflect"), (2, 4, 9, 8)),
    "strided": (nn.Conv2d(4, 6, (3, 2), stride=(2, 3)), (2, 4, 9, 8)),
    "dilated": (nn.Conv2d(4, 6, 3, dilation=(2, 1)), (2, 4, 9, 8)),
    "grouped": (nn.Conv2d(4, 6, 3, groups=2), (2, 4, 9, 8)),
    "depthwise": (nn.Conv2d(4, 4, 3, groups=4), (2, 4, 9, 8)),
    "depthwise with a multiplier": (nn.Conv2d(4, 8, 3, groups=4), (2, 4, 9, 8)),
    "an image without batch": (nn.Conv2d(4, 6, 3), (4, 9, 8)),
    "1-D": (nn.Conv1d(4, 6, 5, stride=2, dilation=2, groups=2), (2, 4, 31)),
    "3-D": (nn.Conv3d(4, 6, (1, 2, 3), stride=(1, 2, 1), groups=2), (2, 4, 5, 6, 7)),
    "transposed": (nn.ConvTranspose2d(4, 6, (3, 2), stride=2, padding=1, output_padding=1), (2, 4, 5, 7)),
    "transposed, grouped, dilated": (nn.ConvTranspose2d(4, 6, 3, groups=2, dilation=2), (2, 4, 5, 7)),
    "transposed 1-D": (nn.ConvTranspose1d(4, 6, 3, stride=2), (2, 4, 5)),
    "transposed 3-D": (nn.ConvTranspose3d(4, 6, 3, stride=(1, 2, 3)), (2, 4, 3, 4, 5)),
}


def same_problem(layer, expected):
    return (layer.problem, layer.count) == (expected.problem, expected.count)


@pytest.mark.parametrize("kind", CONVOLUTIONS)
def test_convolutions(kind):
    model, shape = CONVOLUTIONS[kind]
    network = dlco.from_torch(nn.Sequential(model), shape)
    assert [layer.name for layer in network] == ["0"]
    assert network.macs == counted_macs(model.to("meta"), shape)
    assert network.mapped_share == 1
    assert network[0].parameters == model.weight.numel()


def test_convolutions_layer_by_layer():
    model = nn.Sequential(
        nn.Conv2d(3, 8, (3, 5), stride=(2, 1), padding=(1, 2), dilation=(1, 2)),
        nn.Conv2d(8, 8, 3, groups=8, padding=1),
        nn.Conv2d(8, 12, 1, groups=4),
        nn.ConvTranspose2d(12, 6, 4, stride=2, padding=1, groups=2),
    )
    expected = [
        dlco.conv2d("0", N=2, C=3, M=8, P=8, Q=12, R=3, S=5, stride=(2, 1), dilation=(1, 2)),
        dlco.depthwise_conv2d("1", N=2, C=8, P=8, Q=12, R=3, S=3),
        dlco.conv2d("2", N=2, C=8, M=12, P=8, Q=12, R=1, S=1, groups=4),
        dlco.transposed_conv2d("3", N=2, C=12, M=6, H=8, W=12, R=4, S=4, stride=2, groups=2),
    ]
    assert list(dlco.from_torch(model, (2, 3, 16, 16))) == expected


class Calls(nn.Module):
    """A module whose forward pass is a function of the inputs and of a parameter `weight`."""

    def __init__(self, function, *shape):
        super().__init__()
        self.function = function
        self.weight = nn.Parameter(torch.empty(shape))

    def forward(self, *inputs):
        return self.function(self.weight, *inputs)


PRODUCTS = {
    "mm": (lambda w, x, y: x @ y, [(3, 4), (4, 5)]),
    "matmul that broadcasts": (lambda w, x, y: torch.matmul(x, y), [(7, 1, 3, 4), (2, 4, 5)]),
    "addmm": (lambda w, x, y: torch.addmm(w, x, y), [(3, 4), (4, 5)]),
    "bmm": (lambda w, x, y: torch.bmm(x, y), [(2, 3, 4), (2, 4, 5)]),
    "baddbmm": (lambda w, x, y: torch.baddbmm(w, x, y), [(2, 3, 4), (2, 4, 5)]),
    "einsum": (lambda w, x, y: torch.einsum("bqhd,bkhd->bhqk", x, y), [(2, 3, 4, 5), (2, 6, 4, 5)]),
    "einsum of three": (lambda w, x, y: torch.einsum("ab,bc,bd->acd", x, y, w), [(2, 3), (3, 4)], (3, 5)),
    "a linear layer": (lambda w, x: F.linear(x, w), [(2, 7, 4)], (5, 4)),
    "a parameter on the left": (lambda w, x: w @ x, [(4, 7)], (5, 4)),
    "attention": (F.scaled_dot_product_attention, [(2, 4, 7, 8), (2, 4, 7, 6)], (2, 4, 9, 8)),
}


@pytest.mark.parametrize("kind", PRODUCTS)
def test_products(kind):
    function, shapes, *weight = PRODUCTS[kind]
    model = Calls(function, *(weight[0] if weight else (1,))).to("meta")
    network = dlco.from_torch(model, shapes)
    assert network.macs == counted_macs(model, *shapes) > 0
    assert network.mapped_share == 1


def test_products_with_vectors():
    for function, shapes, macs in [
        (lambda w, x, y: x @ y, [(3, 4), (4,)], 12),
        (lambda w, x, y: torch.mv(x, y), [(3, 4), (4,)], 12),
        (lambda w, x, y: torch.matmul(x, y), [(4,), (4,)], 4),
        (lambda w, x, y: torch.dot(x, y), [(4,), (4,)], 4),
    ]:
        assert dlco.from_torch(Calls(function, 1), shapes).macs == macs


def test_a_parameter_is_the_weights_through_its_views():
    model = Calls(lambda w, x: torch.matmul(x, w.detach().reshape(4, 5)), 5, 4)
    assert list(dlco.from_torch(model, (2, 7, 4))) == [dlco.linear("matmul", N=14, C=4, M=5)]


def test_weights_that_the_network_computes_are_no_parameters():
    model = Calls(lambda w, x, y: F.conv2d(x, y), 1)
    (layer,) = dlco.from_torch(model, [(2, 3, 8, 8), (6, 3, 3, 3)])
    assert layer.problem == dlco.conv2d("x", N=2, C=3, M=6, P=6, Q=6, R=3, S=3).problem
    assert not layer.stored_weights


def test_standardised_weights_are_still_parameters():
    model = Calls(lambda w, x: F.conv2d(x, w - w.mean((1, 2, 3), keepdim=True)), 6, 3, 3, 3)
    (layer,) = dlco.from_torch(model, (2, 3, 8, 8))
    assert layer.parameters == 6 * 3 * 3 * 3


def test_heads_are_batches_and_tokens_are_rows():
    model = nn.TransformerEncoderLayer(32, 4, 64, batch_first=True)
    network = {layer.name: layer for layer in dlco.from_torch(model, (2, 10, 32))}
    assert list(network) == [
        "self_attn.in_proj",
        "self_attn.scores",
        "self_attn.values",
        "self_attn.out_proj",
        "linear1",
        "linear2",
    ]
    assert network["self_attn.scores"] == dlco.attention_scores(
        "self_attn.scores", N=2, heads=4, queries=10, head_dim=8
    )
    assert network["self_attn.values"] == dlco.attention_values(
        "self_attn.values", N=2, heads=4, queries=10, head_dim=8
    )
    assert network["linear1"] == dlco.linear("linear1", N=20, C=32, M=64)


def test_equal_layers_are_one_with_a_count_and_the_first_name():
    block = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.ReLU())
    model = nn.Sequential(block, nn.Conv2d(4, 4, 3, padding=1), block, nn.Conv2d(4, 8, 1))
    network = dlco.from_torch(model, (1, 4, 8, 8))
    assert [(layer.name, layer.count) for layer in network] == [("0.0", 3), ("3", 1)]
    assert dlco.workload.macs(network) == network.macs


def test_a_module_that_runs_in_two_shapes_is_two_layers():
    conv = nn.Conv2d(4, 4, 3, padding=1)
    network = dlco.from_torch(nn.Sequential(conv, nn.MaxPool2d(2), conv), (1, 4, 8, 8))
    assert [(layer.name, layer.problem.sizes["P"]) for layer in network] == [("0", 8), ("0_2", 4)]


def test_what_has_no_layer_is_listed_by_kind():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.ReLU(), nn.Flatten())
    network = dlco.from_torch(model, (1, 3, 10, 10))
    found = {operators.kind: operators for operators in network.unmapped}
    assert list(found) == ["relu", "batch_norm", "max_pool2d"]  # the most results first; a reshape computes nothing
    assert (found["relu"].count, found["relu"].first, found["relu"].results) == (2, "2", 4 * (64 + 16))
    assert all(operators.macs == 0 for operators in network.unmapped)
    assert network.mapped_share == 1


def test_multiply_accumulates_without_a_layer_are_named_with_their_share():
    class Recurrent(nn.Module):
        def __init__(self):
            super().__init__()
            self.enter = nn.Linear(8, 6)
            self.lstm = nn.LSTM(6, 5)

        def forward(self, x):
            return self.lstm(self.enter(x))[0]

    network = dlco.from_torch(Recurrent(), (7, 2, 8))
    lstm = 7 * 2 * 4 * 5 * (6 + 5)
    assert [layer.name for layer in network] == ["enter"]
    assert (network.unmapped[0].kind, network.unmapped[0].macs, network.unmapped[0].first) == ("lstm", lstm, "lstm")
    assert network.mapped_share == 7 * 2 * 8 * 6 / (7 * 2 * 8 * 6 + lstm)
    assert "lstm" in str(network)


@pytest.mark.parametrize(
    "region",
    [lambda: torch.set_grad_enabled(True), lambda: torch.autocast("cpu", torch.bfloat16)],
    ids=["grad", "autocast"],
)
def test_regions_within_a_model_are_read_too(region):
    class Region(nn.Module):
        def __init__(self):
            super().__init__()
            self.inside, self.outside = nn.Linear(4, 5), nn.Linear(5, 6)

        def forward(self, x):
            with region():
                x = self.inside(x)
            return self.outside(x.float())

    expected = [dlco.linear("inside", N=3, C=4, M=5), dlco.linear("outside", N=3, C=5, M=6)]
    assert list(dlco.from_torch(Region(), (3, 4))) == expected


def test_the_model_stays_as_and_where_it_is():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(), nn.Conv2d(4, 4, 3))
    model[1].eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    addresses = {name: value.data_ptr() for name, value in model.state_dict().items()}
    network = dlco.from_torch(model, (1, 3, 8, 8))
    assert [module.training for module in model] == [True, False, True, True]
    assert {name: value.data_ptr() for name, value in model.state_dict().items()} == addresses
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert list(dlco.from_torch(model.to("meta"), (1, 3, 8, 8))) == list(network)


def test_weights_that_no_memory_could_hold():
    model = on_meta(nn.Linear, 2**20, 2**21)  # 8 TiB
    assert dlco.from_torch(model, (4, 2**20)).macs == 4 * 2**41


def test_several_inputs_by_place_or_name_as_shapes_or_tensors():
    class Pair(nn.Module):
        def forward(self, left, right):
            return left @ right

    shapes = [(2, 3), (3, 4)]
    expected = [dlco.matmul("matmul", M=2, K=3, N=4)]
    for inputs in (shapes, tuple(shapes), [torch.empty(s) for s in shapes], dict(right=shapes[1], left=shapes[0])):
        assert list(dlco.from_torch(Pair(), inputs)) == expected
    assert list(dlco.from_torch(nn.Linear(3, 4), torch.empty(2, 3))) == [dlco.linear("linear", N=2, C=3, M=4)]


def test_half_precision_models_take_shapes():
    assert dlco.from_torch(nn.Linear(3, 4).bfloat16(), (2, 3)).macs == 24


BAD = {
    "no module": (lambda: (torch.relu, (1, 3)), "model is a"),
    "no shape": (lambda: (nn.Linear(3, 4), "1x3"), "inputs is '1x3'"),
    "a size of 0": (lambda: (nn.Linear(3, 4), (0, 3)), "size of inputs is 0"),
    "a size in words": (lambda: (nn.Linear(3, 4), [(1, "3")]), "size of inputs is '3'"),
    "a shape too large": (lambda: (nn.Linear(3, 4), (2**62, 2**62, 3)), "no tensor is that large"),
    "a shape that does not fit": (lambda: (nn.Linear(3, 4), (1, 5)), r"cannot be traced .* \(1, 5\)"),
    "too many inputs": (lambda: (nn.Linear(3, 4), [(1, 3), (1, 3)]), "cannot be traced"),
    "nothing to map": (lambda: (nn.ReLU(), (1, 3)), "nothing to map"),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_arguments_are_refused(what):
    arguments, message = BAD[what]
    with pytest.raises(InvalidInput, match=message):
        dlco.from_torch(*arguments())


def test_a_model_whose_path_depends_on_values_is_refused_with_its_name():
    class Chooses(nn.Module):
        def forward(self, x):
            return x @ x if x.sum() > 0 else x

    with pytest.raises(
        InvalidInput, match=r"model Chooses cannot be traced by torch.export on inputs of shape \(3, 3\)"
    ):
        dlco.from_torch(Chooses(), (3, 3))


def test_it_goes_straight_into_solve():
    network = dlco.from_torch(nn.Sequential(nn.Linear(8, 4), nn.ReLU(), nn.Linear(4, 4)), (1, 8))
    quick = Effort(rounds=2, islands=1)
    effort = dlco.SolveEffort(starts=1, relax_rounds=1, roundings=1, descents=1, fit=quick, polish=quick, step=quick)
    solution = dlco.solve(network, hardware=dlco.hardware.eyeriss_like(), effort=effort, bound=False, progress=False)
    assert list(solution.mappings) == ["0", "2"]
    assert solution.status != "infeasible"
