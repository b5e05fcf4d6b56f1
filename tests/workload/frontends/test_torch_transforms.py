"""`from_torch` where an operator runs more often, or otherwise, than a trace shows at first sight."""

import logging

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - as torch users write it
from torch import nn
from torch.utils.checkpoint import checkpoint

import dlco
from dlco.errors import InvalidInput
from dlco.workload.frontends import torch_export
from dlco.workload.frontends.torch_count import model_macs

from .truth import counted_macs


class Two(nn.Module):
    """A linear layer under a transform or in a loop, and one behind it."""

    def __init__(self, around):
        super().__init__()
        self.inner, self.outer = nn.Linear(8, 8), nn.Linear(8, 4)
        self.around = around

    def forward(self, x):
        return self.outer(self.around(self.inner, x))


def layers(network):
    return {layer.name: (layer.problem, layer.count) for layer in network}


OUTER = dlco.linear("outer", N=4, C=8, M=4)


def test_vmap_of_a_linear_layer_counts_every_sample():
    class Mapped(nn.Module):
        def __init__(self):
            super().__init__()
            self.l = nn.Linear(8, 8)

        def forward(self, x):
            return torch.vmap(self.l)(x)

    network = dlco.from_torch(Mapped(), (4, 8))
    assert (network.macs, network.mapped_share) == (256, 1)
    assert list(network) == [dlco.linear("l", N=4, C=8, M=8)]


VMAPS = {
    "of a linear layer": (lambda w, x: torch.vmap(lambda row: F.linear(row, w))(x), [(4, 8)], (6, 8)),
    "within a vmap": (lambda w, x: torch.vmap(torch.vmap(lambda row: F.linear(row, w)))(x), [(4, 3, 8)], (6, 8)),
    "along other axes": (lambda w, x: torch.vmap(lambda a: a @ w.t(), in_dims=1, out_dims=1)(x), [(3, 4, 8)], (6, 8)),
    "of a vector": (lambda w, x: torch.vmap(lambda row: torch.mv(w, row))(x), [(4, 8)], (6, 8)),
    "of one operand": (lambda w, x, y: torch.vmap(torch.matmul, (None, 0))(x, y), [(3, 8), (4, 8, 2)], (1,)),
    "in chunks": (lambda w, x: torch.vmap(lambda a: F.linear(a, w), chunk_size=2)(x), [(5, 8)], (6, 8)),
    "over weights": (lambda w, x: torch.vmap(lambda v, a: F.linear(a, v))(w, x), [(4, 3, 8)], (4, 6, 8)),
    "over weights alone": (lambda w, x: torch.vmap(lambda v: F.linear(x, v))(w), [(3, 8)], (4, 6, 8)),
    "of a product": (lambda w, x, y: torch.vmap(torch.mm)(x, y), [(4, 8, 3), (4, 3, 5)], (1,)),
    "of a convolution": (lambda w, x: torch.vmap(lambda a: F.conv2d(a, w))(x), [(5, 2, 3, 8, 8)], (4, 3, 3, 3)),
    "over kernels": (lambda w, x: torch.vmap(lambda v, a: F.conv2d(a, v))(w, x), [(5, 2, 3, 8, 8)], (5, 4, 3, 3, 3)),
}


class Calls(nn.Module):
    def __init__(self, function, shape):
        super().__init__()
        self.function, self.weight = function, nn.Parameter(torch.empty(shape))

    def forward(self, *inputs):
        return self.function(self.weight, *inputs)


@pytest.mark.parametrize("kind", VMAPS)
def test_vmap_counts_what_torch_counts(kind):
    function, shapes, weight = VMAPS[kind]
    model = Calls(function, weight).to("meta")
    network = dlco.from_torch(model, shapes)
    assert network.macs == counted_macs(model, *shapes) > 0
    assert network.mapped_share == 1


def test_vmap_of_attention_is_its_two_products():
    model = Calls(lambda w, q: torch.vmap(F.scaled_dot_product_attention)(q, q, q), (1,))
    network = dlco.from_torch(model, (4, 2, 3, 8))
    assert (network.macs, network.mapped_share) == (4 * 2 * 3 * 3 * (8 + 8), 1)


def test_an_ensemble_by_stacked_weights_is_all_its_members():
    class Ensemble(nn.Module):
        def __init__(self):
            super().__init__()
            members = [nn.Linear(8, 3) for _ in range(5)]
            state, _ = torch.func.stack_module_state(members)
            self.state = nn.ParameterDict({name: nn.Parameter(value) for name, value in state.items()})
            self.member = [nn.Linear(8, 3).to("meta")]  # hidden from the module: one that only runs

        def forward(self, x):
            run = lambda state, x: torch.func.functional_call(self.member[0], state, (x,))  # noqa: E731
            return torch.vmap(run, in_dims=(0, None))(dict(self.state), x)

    assert dlco.from_torch(Ensemble(), (4, 8)).macs == 5 * 4 * 8 * 3


def test_element_wise_operators_under_vmap_do_not_break_the_import():
    network = dlco.from_torch(Two(lambda inner, x: inner(torch.vmap(torch.sin)(x))), (4, 8))
    assert layers(network) == layers([dlco.linear("inner", N=4, C=8, M=8), OUTER])
    assert {operators.kind for operators in network.unmapped} == {"sin"}


def test_map_and_scan_run_their_body_once_a_slice():
    from torch._higher_order_ops import map as mapped
    from torch._higher_order_ops import scan

    network = dlco.from_torch(Two(lambda inner, x: mapped(lambda row: inner(row.sin()), x)), (4, 8))
    assert layers(network) == layers([dlco.linear("inner", N=1, C=8, M=8, count=4), OUTER])
    assert [(one.kind, one.count, one.results) for one in network.unmapped] == [("sin", 4, 4 * 8)]

    def step(inner, state, row):
        new = inner(state) + row
        return new, new.clone()

    model = Two(lambda inner, x: scan(lambda s, r: step(inner, s, r), torch.zeros(8), x)[1])
    network = dlco.from_torch(model, (4, 8), macs_only=True)
    assert layers(network) == layers([dlco.linear("inner", N=1, C=8, M=8, count=4), OUTER])
    assert network.mapped_share == 1


def test_loops_and_branches_whose_data_says_how_often_leave_the_share_open():
    from torch._higher_order_ops import while_loop

    def loop(inner, x, body):
        return while_loop(lambda i, x: i < 5, lambda i, x: (i + 1, body(inner, x)), (torch.tensor(0), x))[1]

    network = dlco.from_torch(Two(lambda inner, x: loop(inner, x, lambda inner, x: inner(x))), (4, 8))
    assert (layers(network), network.mapped_share) == (layers([OUTER]), None)
    assert ("while_loop", None) in {(one.kind, one.macs) for one in network.unmapped}
    network = dlco.from_torch(Two(lambda inner, x: inner(loop(inner, x, lambda inner, x: x * 2))), (4, 8))
    assert network.mapped_share == 1

    def branch(inner, x, other):
        return torch.cond(x.sum() > 0, lambda x: inner(x), lambda x: other(x), (x,))

    network = dlco.from_torch(Two(lambda inner, x: branch(inner, x, lambda x: inner(inner(x)))), (4, 8))
    assert network.mapped_share is None
    network = dlco.from_torch(Two(lambda inner, x: branch(inner, x, lambda x: inner(2 * x))), (4, 8))
    assert network.mapped_share == OUTER.macs / (OUTER.macs + 4 * 8 * 8)  # either way as many


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("reentrant", [False, True])
def test_checkpointed_modules_run_once(reentrant):
    network = dlco.from_torch(Two(lambda inner, x: checkpoint(inner, x, use_reentrant=reentrant)), (4, 8))
    assert layers(network) == layers([dlco.linear("inner", N=4, C=8, M=8), OUTER])


def test_own_autograd_functions_are_read():
    class Product(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, w):
            return x @ w

        @staticmethod
        def backward(ctx, grad):
            raise AssertionError

    network = dlco.from_torch(Two(lambda inner, x: Product.apply(x, inner.weight)), (4, 8))
    assert layers(network) == layers([dlco.linear("inner", N=4, C=8, M=8), OUTER])


def test_flex_attention_counts_as_full():
    from torch.nn.attention.flex_attention import flex_attention

    network = dlco.from_torch(Calls(lambda w, q: flex_attention(q, q, q), (1,)), (1, 2, 16, 8))
    assert network.macs == 2 * 2 * 16 * 16 * 8


def test_gradients_are_refused_not_left_out():
    for gradient in (torch.func.grad, torch.func.jacrev):
        with pytest.raises(InvalidInput, match="model Two cannot be traced"):
            dlco.from_torch(Two(lambda inner, x, g=gradient: g(lambda x: inner(x).sum())(x)), (4, 8))


@pytest.mark.filterwarnings("ignore")
def test_what_torch_counts_beyond_the_trace_is_said_and_listed(caplog):
    """Forward derivatives multiply by tangents that are zero; the trace drops those, torch's counter does not."""
    model = Two(lambda inner, x: torch.func.jvp(inner, (x,), (x,))[1])
    counted = model_macs(model.eval(), (torch.empty(4, 8),), {})
    with caplog.at_level(logging.WARNING, logger="dlco"):
        network = dlco.from_torch(model, (4, 8))
    missing = counted - network.macs
    assert missing > 0
    assert f"torch counts {counted} MACs, {missing} more than the operators found in its trace" in caplog.text
    assert (network.unmapped[0].kind, network.unmapped[0].macs) == ("untraced", missing)
    assert network.mapped_share == network.macs / counted


def test_an_operator_that_the_import_loses_is_missed_by_torchs_count(caplog, monkeypatch):
    def losing(graph, stored, wires, **_):
        wires.course.run({})
        return [OUTER]

    monkeypatch.setattr(torch_export, "_operators", losing)
    with caplog.at_level(logging.WARNING, logger="dlco"):
        network = dlco.from_torch(Two(lambda inner, x: inner(x)), (4, 8))
    assert "torch counts 384 MACs, 256 more" in caplog.text
    assert network.mapped_share == pytest.approx(1 / 3)


def test_counting_leaves_the_model_as_it_was():
    class Remembers(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner, self.last, self.calls = nn.Linear(8, 8), None, 0
            self.register_buffer("seen", torch.zeros(8))

        def forward(self, x):
            self.last, self.calls = x, self.calls + 1
            self.seen += 1
            return self.inner(x)

    model = Remembers()
    weight = model.inner.weight
    assert model_macs(model, (torch.empty(4, 8),), {}) == 256
    assert (model.last, model.calls, model.seen.sum()) == (None, 0, 0)
    assert model.inner.weight is weight


def test_a_model_that_does_not_run_on_fake_tensors_has_no_count():
    assert model_macs(nn.Linear(8, 8), (torch.empty(4, 7),), {}) is None
