"""`from_torch` on small modules: every kind of operator, against torch's own count, and layers spelt out."""

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - as torch users write it
from torch import nn

import dlco
from dlco.errors import InvalidInput
from dlco.search.local_search import Effort

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


def scaled(left, right):
    left, right, one = left.to(torch.float8_e4m3fn), right.to(torch.float8_e4m3fn), torch.ones(1, device=left.device)
    return torch._scaled_mm(left, right.t(), one, one, out_dtype=torch.bfloat16)


PRODUCTS = {
    "mm": (lambda w, x, y: x @ y, [(3, 4), (4, 5)]),
    "matmul that broadcasts": (lambda w, x, y: torch.matmul(x, y), [(7, 1, 3, 4), (2, 4, 5)]),
    "addmm": (lambda w, x, y: torch.addmm(w, x, y), [(3, 4), (4, 5)]),
    "bmm": (lambda w, x, y: torch.bmm(x, y), [(2, 3, 4), (2, 4, 5)]),
    "baddbmm": (lambda w, x, y: torch.baddbmm(w, x, y), [(2, 3, 4), (2, 4, 5)]),
    "einsum": (lambda w, x, y: torch.einsum("bqhd,bkhd->bhqk", x, y), [(2, 3, 4, 5), (2, 6, 4, 5)]),
    "einsum of three": (lambda w, x, y: torch.einsum("ab,bc,bd->acd", x, y, w), [(2, 3), (3, 4)], (3, 5)),
    "einsum with a diagonal": (lambda w, x, y: torch.einsum("bii,bi->b", x, y), [(2, 3, 3), (2, 3)]),
    "einsum with an ellipsis": (lambda w, x, y: torch.einsum("...ij,...jk", x, y), [(2, 3, 4), (5, 2, 4, 6)]),
    "einsum that sums one operand first": (lambda w, x, y: torch.einsum("ij,jk->k", x, y), [(2, 3), (3, 4)]),
    "tensordot": (lambda w, x, y: torch.tensordot(x, y, ([1, 2], [0, 1])), [(3, 4, 5), (4, 5, 6)]),
    "tensordot by a number of axes": (lambda w, x, y: torch.tensordot(x, y, 1), [(3, 2, 4), (4, 6)]),
    "inner": (lambda w, x, y: torch.inner(x, y), [(3, 2, 4), (6, 4)]),
    "multi_dot in the cheapest order": (lambda w, x, y: torch.linalg.multi_dot([x, y, w]), [(2, 9), (9, 3)], (3, 5)),
    "a power of a matrix": (lambda w, x: torch.linalg.matrix_power(x, 5), [(4, 4)]),
    "a cell of a recurrent network": (lambda w, x, h: torch.gru_cell(x, h, w, w), [(2, 5), (2, 5)], (15, 5)),
    "8-bit floats": (lambda w, x: scaled(x, x), [(32, 32)]),
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


UNCOUNTED = {  # by torch's counter; inputs, and multiply-accumulates by hand
    "addmv": (lambda w, x, y: torch.addmv(w, x, y), [(1, 4), (4,)], 4),
    "addbmm": (lambda w, x, y: torch.addbmm(w, x, y), [(2, 3, 4), (2, 4, 5)], 2 * 3 * 4 * 5),
    "vdot": (lambda w, x, y: torch.vdot(x, y), [(4,), (4,)], 4),
    "vecdot": (lambda w, x, y: torch.linalg.vecdot(x, y), [(5, 4, 3), (4, 3)], 5 * 4 * 3),
    "vecdot along another axis": (lambda w, x, y: torch.linalg.vecdot(x, y, dim=1), [(5, 4, 3), (4, 3)], 5 * 4 * 3),
    "bilinear": (
        lambda w, x, y: F.bilinear(x, y, w.expand(6, 3, 4)),
        [(2, 3), (2, 4)],
        2 * 6 * 4 * (3 + 1),
    ),
    "conv_tbc": (lambda w, x, y: torch.conv_tbc(x, y, w.expand(6), 1), [(7, 2, 3), (3, 3, 6)], 7 * 2 * 6 * 3 * 3),
    "_int_mm": (lambda w, x, y: torch._int_mm(x.char(), y.char()), [(32, 16), (16, 24)], 32 * 16 * 24),
    "attention of a group": (
        lambda w, q, k: F.scaled_dot_product_attention(q, k, k, enable_gqa=True),
        [(1, 4, 5, 8), (1, 2, 5, 8)],
        2 * 4 * 5 * 5 * 8,
    ),
    "attention behind a mask": (
        lambda w, q: F.scaled_dot_product_attention(q, q, q, attn_mask=w.expand(5, 5)),
        [(1, 4, 5, 8)],
        2 * 4 * 5 * 5 * 8,
    ),
}


@pytest.mark.parametrize("kind", UNCOUNTED)
def test_products_that_torch_does_not_count(kind):
    function, shapes, macs = UNCOUNTED[kind]
    network = dlco.from_torch(Calls(function, 1), shapes)
    assert (network.macs, network.mapped_share) == (macs, 1)


WITHOUT_PRODUCTS = {
    "transposed": "bchw->bhwc",
    "diagonal": "bcii->bci",
    "trace": "bcii->b",
    "summed": "bchw->bc",
    "of everything": "bchw->",
    "as it is": "bchw",
}


@pytest.mark.parametrize("kind", WITHOUT_PRODUCTS)
def test_an_einsum_of_one_operand_multiplies_nothing_and_is_listed(kind):
    class Reads(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3)

        def forward(self, x):
            x = self.conv(x)
            return x.mean(), torch.einsum(WITHOUT_PRODUCTS[kind], x)

    network = dlco.from_torch(Reads(), (2, 3, 8, 8), macs_only=True)
    assert [layer.name for layer in network] == ["conv"]
    assert ("einsum", 0) in {(operators.kind, operators.macs) for operators in network.unmapped}
    assert network.mapped_share == 1


@pytest.mark.parametrize("equation", ["ij,kl->ijkl", "ij,ij->ij", "ij,ij->ji", "ij,jk->ijk"])
def test_products_that_sum_nothing_are_listed_without_macs(equation):
    second = (4, 5) if "k" in equation else (3, 4)
    model = Calls(lambda w, x, y: (torch.einsum(equation, x, y), x @ w), 4, 2)
    network = dlco.from_torch(model, [(3, 4), second])
    assert [layer.name for layer in network] == ["matmul"]
    assert [(operators.kind, operators.macs) for operators in network.unmapped] == [("einsum", 0)]


HIDDEN = {  # operators that multiply and add, and torch's counter does not say how often
    "distances": lambda x: torch.cdist(x, x),
    "distances within": lambda x: F.pdist(x),
    "a system of equations": lambda x: torch.linalg.solve(x, x),
    "a Fourier transform": lambda x: torch.fft.fft(x).real,
    "a sparse matrix": lambda x: torch.sparse.mm(x.to_sparse(), x),
}


@pytest.mark.parametrize("kind", HIDDEN)
def test_operators_with_unknown_macs_leave_the_share_open(kind):
    network = dlco.from_torch(Calls(lambda w, x: HIDDEN[kind](x @ w), 4, 4), (4, 4))
    assert (network.macs, network.mapped_share) == (64, None)


def test_empty_operands_have_no_layer():
    def run(w, x, image):
        empty = image[:0]
        pieces = [x @ w, x[:0] @ w, x[:, :0] @ w[:0], F.linear(x[:0], w)]
        return torch.cat(pieces), F.conv2d(empty, image), F.scaled_dot_product_attention(empty, empty, empty)

    network = dlco.from_torch(Calls(run, 4, 4), [(3, 4), (1, 2, 5, 5)])
    assert list(network) == [dlco.linear("matmul", N=3, C=4, M=4)]
    assert network.mapped_share == 1


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
    network = {layer.name: layer for layer in dlco.from_torch(model, (2, 10, 32), macs_only=True)}
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
    found = [(layer.name, layer.problem.sizes["P"]) for layer in network]
    assert found == [("0", 8), ("1.max_pool2d", 4), ("0_2", 4)]


def test_what_has_no_layer_is_listed_by_kind():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.ReLU(), nn.Flatten())
    network = dlco.from_torch(model, (1, 3, 10, 10), macs_only=True)
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
