"""Operators by their shapes: multiply-accumulates as torch counts them, and what is shared counted once."""

from itertools import permutations
from math import prod

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - as torch users write it
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from dlco.errors import InvalidInput
from dlco.workload import conv2d, depthwise_conv2d, linear, matmul
from dlco.workload.frontends.operators import attention, convolution, einsum, matmul_equation

INDICES = "abcde"
TERMS = ["".join(term) for length in (1, 2, 3) for term in permutations(INDICES, length)]


def counted(run, *shapes):
    with FlopCounterMode(display=False) as counter:
        result = run(*(torch.empty(shape, device="meta") for shape in shapes))
    return counter.get_total_flops() // 2, tuple(result.shape)


def total(layers):
    return sum(layer.macs for layer in layers)


@st.composite
def einsums(draw):
    """(equation, shapes) of operands without a repeated index, some index summed over."""
    size = {index: draw(st.integers(2, 4)) for index in INDICES}  # of axes of 1 torch makes element-wise products
    terms = [draw(st.sampled_from(TERMS)) for _ in range(2)]
    used = dict.fromkeys("".join(terms))
    out = "".join(index for index in used if draw(st.booleans()))
    return f"{','.join(terms)}->{out}", [tuple(size[index] for index in term) for term in terms]


@settings(max_examples=80, deadline=None)
@given(einsums())
def test_einsums_of_two_operands_have_the_macs_that_torch_counts(case):
    equation, shapes = case
    (left, right), out = equation.split("->")[0].split(","), equation.split("->")[1]
    if not (set(left) & set(right)) - set(out):
        assert einsum("x", equation, shapes, [False, False]) == []
        return
    macs, _ = counted(lambda a, b: torch.einsum(equation, a, b), *shapes)
    sizes = dict(zip(left, shapes[0], strict=True)) | dict(zip(right, shapes[1], strict=True))
    lonely = {index for index in sizes if index not in out and (index in left) != (index in right)}
    by_hand = prod(size for index, size in sizes.items() if index not in lonely)
    assert total(einsum("x", equation, shapes, [False, False])) == by_hand
    assert macs == by_hand


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(1, 3), max_size=2),
    st.sampled_from(["both", "left", "right", "ones"]),
    st.integers(1, 4),
    st.integers(1, 4),
    st.integers(1, 4),
)
def test_matmul_broadcasts(batch, whose, m, k, n):
    left = (*(batch if whose in ("both", "left") else [1] * len(batch) if whose == "ones" else []), m, k)
    right = (*(batch if whose != "left" else []), k, n)
    macs, shape = counted(torch.matmul, left, right)
    (layer,) = einsum("x", matmul_equation(len(left), len(right)), [left, right], [False, False])
    assert layer.macs == macs == prod(shape) * k
    shared = prod(batch) if whose == "both" else 1
    assert layer.problem.sizes["B"] == shared  # what one operand lacks is no batch but more rows or columns


def test_vectors():
    assert total(einsum("x", matmul_equation(1, 1), [(5,), (5,)], [False, False])) == 5
    assert total(einsum("x", matmul_equation(2, 1), [(3, 5), (5,)], [False, False])) == 15
    assert total(einsum("x", matmul_equation(1, 3), [(5,), (2, 5, 4)], [False, False])) == 40


def test_a_stored_operand_is_the_weights_on_either_side():
    tokens, weights = (2, 7, 8), (8, 6)
    expected = linear("x", N=14, C=8, M=6)
    assert einsum("x", "btc,cm->btm", [tokens, weights], [False, True]) == [expected]
    assert einsum("x", "cm,btc->btm", [weights, tokens], [True, False]) == [expected]
    assert einsum("x", "...c,cm", [tokens, weights], [False, True]) == [expected]


def test_stored_weights_of_their_own_for_each_batch_stay_a_matmul():
    (layer,) = einsum("x", "gtc,gcm->gtm", [(4, 7, 8), (4, 8, 6)], [False, True])
    assert layer.problem == matmul("x", B=4, M=7, K=8, N=6).problem
    assert layer.parameters == 4 * 8 * 6


def test_an_einsum_of_three_goes_from_left_to_right_unless_told():
    shapes = [(2, 3), (3, 4), (4, 5)]
    assert total(einsum("x", "ab,bc,cd->ad", shapes, [False] * 3)) == 2 * 3 * 4 + 2 * 4 * 5
    assert total(einsum("x", "ab,bc,cd->ad", shapes, [False] * 3, [1, 2, 0, 1])) == 3 * 4 * 5 + 2 * 3 * 5


@pytest.mark.parametrize("equation", ["bchw->bhwc", "bchw->bc", "b c h w -> ", "bchw", "...hw->...wh", "bccw->bw"])
def test_an_einsum_of_one_operand_has_no_products(equation):
    shape = (2, 3, 3, 5)
    assert einsum("x", equation, [shape], [False]) == []
    assert counted(lambda a: torch.einsum(equation, a), shape)[0] == 0


@st.composite
def diagonals(draw):
    """(equation, shapes) of two operands whose indices may repeat within an operand."""
    size = {index: draw(st.integers(2, 4)) for index in INDICES}
    terms = ["".join(draw(st.lists(st.sampled_from(INDICES), min_size=1, max_size=4))) for _ in range(2)]
    out = "".join(index for index in dict.fromkeys("".join(terms)) if draw(st.booleans()))
    return f"{','.join(terms)}->{out}", [tuple(size[index] for index in term) for term in terms]


@settings(max_examples=60, deadline=None)
@given(diagonals())
def test_einsums_along_diagonals_have_the_macs_that_torch_counts(case):
    equation, shapes = case
    macs, _ = counted(lambda a, b: torch.einsum(equation, a, b), *shapes)
    assert total(einsum("x", equation, shapes, [False, False])) == macs


def test_axes_of_one_broadcast_and_an_ellipsis_counts_from_the_end():
    shapes = [(7, 1, 3, 4), (2, 4, 5)]
    macs, _ = counted(lambda a, b: torch.einsum("...ij,...jk->...ik", a, b), *shapes)
    for equation in ("...ij,...jk->...ik", "... i j, ... j k", "...Ij,...jK->...IK"):
        assert total(einsum("x", equation, shapes, [False, False])) == macs == 7 * 2 * 3 * 4 * 5


def test_long_einsums_go_from_left_to_right():
    shapes = [(2, 3), (3, 4), (4, 5), (5, 6)]
    by_hand = 2 * 3 * 4 + 2 * 4 * 5 + 2 * 5 * 6
    assert total(einsum("x", "ab,bc,cd,de->ae", shapes, [False] * 4)) == by_hand
    assert total(einsum("x", "ab,bc,cd,de", shapes, [False] * 4)) == by_hand


@pytest.mark.parametrize(
    "equation", ["ab->a", "abc,bc->a", "ab,bc,cd->a", "a1,bc->a", "a..b,bc->ac", "ab,bc->ad", "ab,bc->aa"]
)
def test_an_equation_that_does_not_fit_is_refused(equation):
    with pytest.raises(InvalidInput, match="einsum"):
        einsum("x", equation, [(2, 3), (3, 4)], [False, False])


def test_axes_of_different_sizes_are_refused():
    with pytest.raises(InvalidInput, match="twice in an operand"):
        einsum("x", "aa,ab->b", [(2, 3), (2, 4)], [False, False])
    with pytest.raises(InvalidInput, match="different sizes"):
        einsum("x", "ab,bc->ac", [(2, 3), (4, 5)], [False, False])


@settings(max_examples=60, deadline=None)
@given(
    axes=st.integers(1, 3),
    transposed=st.booleans(),
    groups=st.integers(1, 3),
    channels=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    taps=st.integers(1, 3),
    stride=st.integers(1, 3),
    dilation=st.integers(1, 2),
    padding=st.integers(0, 1),
    batched=st.booleans(),
)
def test_convolutions_have_the_macs_that_torch_counts(
    axes, transposed, groups, channels, taps, stride, dilation, padding, batched
):
    C, M = (groups * each for each in channels)
    inputs = (*([2] if batched else []), C, *range(6, 6 + axes))
    weights = ((C, M // groups) if transposed else (M, C // groups)) + (taps,) * axes
    run = getattr(F, f"conv{'_transpose' if transposed else ''}{axes}d")
    options = dict(stride=stride, dilation=dilation, groups=groups)
    macs, outputs = counted(lambda x, w: run(x, w, padding=padding, **options), inputs, weights)
    layer = convolution("x", inputs=inputs, weights=weights, outputs=outputs, transposed=transposed, **options)
    by_hand = prod(inputs if transposed else outputs) * prod(weights[1:])
    assert layer.macs == macs == by_hand
    assert layer.parameters == prod(weights)


def test_convolutions_by_shape():
    shapes = dict(inputs=(2, 8, 14, 15), weights=(8, 1, 3, 5), outputs=(2, 8, 7, 6))
    depthwise = convolution("x", **shapes, stride=[2], groups=8)
    assert depthwise == depthwise_conv2d("x", N=2, C=8, P=7, Q=6, R=3, S=5, stride=2)
    shapes = dict(inputs=(2, 8, 14, 15), weights=(16, 2, 3, 5), outputs=(2, 16, 7, 6))
    grouped = convolution("x", **shapes, stride=(2, 1), dilation=(1, 3), groups=4)
    assert grouped == conv2d("x", N=2, C=8, M=16, P=7, Q=6, R=3, S=5, stride=(2, 1), dilation=(1, 3), groups=4)


def test_channels_that_do_not_agree_are_refused():
    with pytest.raises(InvalidInput, match="channels do not agree"):
        convolution("x", inputs=(1, 8, 5, 5), weights=(4, 3, 1, 1), outputs=(1, 4, 5, 5))
    with pytest.raises(InvalidInput, match="one to three axes"):
        convolution("x", inputs=(1, 8), weights=(4, 8), outputs=(1, 4))


def test_heads_that_share_keys_are_rows_of_one_product():
    query, key, value = (2, 8, 5, 16), (2, 2, 7, 16), (2, 2, 7, 12)
    scores, values = attention("block", query, key, value)
    assert scores == matmul("block.scores", B=4, M=20, K=16, N=7)  # 4 query heads of 5 queries meet the same 7 keys
    assert values == matmul("block.values", B=4, M=20, K=7, N=12)
