"""Limits between sizes: what cvxpy and texts state, held against cvxpy's own values and against lists of machines."""

from dataclasses import replace
from itertools import product

import cvxpy as cp
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dlco.errors import Infeasible, InvalidInput
from dlco.hardware import HardwareSpace, Limit, Parameter, Tie, eyeriss_space, generic, simba_space
from dlco.journal import fingerprint

GRID = (2, 3, 4, 6, 8, 12, 16, 24)
A, B, C = "GlobalBuffer.capacity", "RegisterFile.capacity", "GlobalBuffer.fanout_x"


def small(*grids: tuple[float, ...]) -> HardwareSpace:
    """Capacities of buffer and registers, and the side of a square array."""
    buffer, registers, side = grids or (GRID, GRID, GRID)
    return HardwareSpace(
        generic(),
        (
            Parameter("GlobalBuffer", "capacity", tuple(16 * x for x in buffer)),
            Parameter("RegisterFile", "capacity", tuple(4 * x for x in registers)),
            Parameter("GlobalBuffer", "fanout_x", side, also=(Tie("GlobalBuffer", "fanout_y"),)),
        ),
    )


SPACE = small()
SIZES = [SPACE[name] for name in (A, B, C)]


def every_index(space: HardwareSpace) -> torch.Tensor:
    """All grid positions `[machines, parameters]`."""
    return torch.tensor(list(product(*(range(len(p.grid)) for p in space.parameters))))


# --- forms --------------------------------------------------------------------------------------------------------

POSITIVE = st.floats(0.1, 10).map(lambda x: round(x, 2))
EXPONENT = st.sampled_from([-2, -1, -0.5, 0.5, 1, 1.5, 2])


@st.composite
def products(draw: st.DrawFn) -> "cp.Expression":
    """A product of powers of sizes and a number."""
    found = cp.Constant(draw(POSITIVE))
    for size in draw(st.lists(st.sampled_from(SIZES), max_size=3)):
        found = found * size ** draw(EXPONENT) if draw(st.booleans()) else found / size
    return found


def convex(parts: st.SearchStrategy) -> st.SearchStrategy:
    """What log-log convexity is kept by."""
    two = st.tuples(parts, parts)
    return st.one_of(
        two.map(lambda both: both[0] + both[1]),
        two.map(lambda both: cp.maximum(*both)),
        two.map(lambda both: cp.sum(cp.hstack(both))),
        two.map(lambda both: cp.max(cp.vstack(both))),
        two.map(lambda both: cp.hstack(both) @ [2.0, 3.0]),
        st.tuples(parts, products()).map(lambda both: both[0] * both[1]),
        st.tuples(parts, products()).map(lambda both: both[0] / both[1]),
        parts.map(lambda one: one**2),
    )


CONVEX = st.recursive(products(), convex, max_leaves=4)
ROOTS = st.one_of(
    CONVEX.map(cp.sqrt),
    st.tuples(CONVEX, CONVEX).map(lambda both: cp.pnorm(cp.hstack(both), 2)),
    st.tuples(products(), products()).map(lambda both: cp.geo_mean(cp.hstack(both))),
    st.tuples(products(), products()).map(lambda both: cp.prod(cp.hstack(both))),
)
CONCAVE = st.one_of(
    products(),
    st.tuples(products(), products()).map(lambda both: cp.minimum(*both)),
    st.tuples(products(), products()).map(lambda both: cp.harmonic_mean(cp.hstack(both))),
    CONVEX.map(lambda one: 1 / one),
)


def stated(constraint: "cp.Constraint") -> HardwareSpace | None:
    """The space with a limit, unless it names no size, or is too long."""
    try:
        return SPACE.subject_to(constraint)
    except InvalidInput as error:
        if "names no size" in str(error) or "60 products" in str(error):
            return None
        raise


@given(st.one_of(CONVEX, ROOTS), CONCAVE, st.lists(st.floats(0.2, 5), min_size=3, max_size=3))
@settings(max_examples=120, deadline=None)
def test_limits_say_what_cvxpy_says(left: "cp.Expression", right: "cp.Expression", scale: list[float]) -> None:
    """At any sizes, every limit holds exactly where the inequality of cvxpy does."""
    constraint = left <= right
    assert constraint.is_dgp()
    space = stated(constraint)
    if space is None:
        return
    sizes = [max(float(s), 1e-3) for s in scale]
    for variable, value in zip(SIZES, sizes, strict=True):
        variable.value = value
    ratio = float(left.value) / float(right.value)
    excess = float(space.excess(torch.tensor(sizes, dtype=torch.float64)).amax())
    if abs(ratio - 1) > 1e-6:
        assert (excess > 0) == (ratio > 1)


@given(CONVEX, CONCAVE)
@settings(max_examples=60, deadline=None)
def test_texts_give_limits_back(left: "cp.Expression", right: "cp.Expression") -> None:
    """Nothing is lost in a limit's text, not the last digit of a coefficient."""
    space = stated(left <= right)
    for limit in space.limits if space else ():
        assert Limit.parse(str(limit)) == [limit]
        assert SPACE.subject_to(str(limit)).limits == (limit,)


@pytest.mark.parametrize(
    ("text", "stated"),
    [
        (f"{A} <= 4 * {B}", lambda a, b, c: a <= 4 * b),
        (f"4 * {B} >= {A}", lambda a, b, c: a / b <= 4),
        (f"{A} / {B} <= 4", lambda a, b, c: 2 * a <= 8 * b),
        (f"max({A}, {B} * {C}) <= 500", lambda a, b, c: cp.maximum(a, b * c) <= 500),
        (f"({A} + {B}) ** 2 <= 1e6 * {C} ** 0.5", lambda a, b, c: (a + b) ** 2 <= 1e6 * c**0.5),
        (f"sqrt({A} * {B}) <= min(100, 7 * {C})", lambda a, b, c: cp.sqrt(a * b) <= cp.minimum(100, 7 * c)),
        (f"{A} == 64 * {C}", lambda a, b, c: a == 64 * c),
        (f"{A} ** (1 / 2) * {B} ** -1 >= 2", lambda a, b, c: a**0.5 * b**-1 >= 2),
        (f"'{A}' <= 300", lambda a, b, c: a <= 300),
    ],
)
def test_texts_and_cvxpy_state_the_same(text: str, stated) -> None:  # type: ignore[no-untyped-def]
    texts, expressions = SPACE.subject_to(text), SPACE.subject_to(stated(*SIZES))
    assert texts == expressions
    assert hash(texts) == hash(expressions)
    assert fingerprint(texts) == fingerprint(expressions) != fingerprint(SPACE)


def test_several_at_once() -> None:
    """A chain in a text, several limits in one call and one after the other."""
    chain = SPACE.subject_to(f"100 <= {A} <= 4 * {B}")
    assert chain == SPACE.subject_to(SPACE[A] >= 100, SPACE[A] <= 4 * SPACE[B])
    assert chain == SPACE.subject_to(SPACE[A] >= 100).subject_to(SPACE[A] <= 4 * SPACE[B])
    assert chain == chain.subject_to(f"100 <= {A}")
    rows = SPACE.subject_to(cp.hstack([SPACE[A], SPACE[B]]) <= [100, 50])
    assert [str(limit) for limit in rows.limits] == [f"{A} <= 100", f"{B} <= 50"]


def test_variables_are_the_same_whenever_they_are_asked_for() -> None:
    assert SPACE[A] is small()[A]
    assert SPACE[A] is SPACE.subject_to(f"{A} <= 100")[A]
    assert SPACE[A].is_pos()
    assert SPACE[A].name() == A
    assert SPACE.subject_to(SPACE["GlobalBuffer.fanout_y"] <= 8) == SPACE.subject_to(f"{C} <= 8")
    ties = (Tie("RegisterFile", "capacity", 0.5),)
    tied = HardwareSpace(generic(), (Parameter("GlobalBuffer", "capacity", (64, 128), also=ties),))
    assert [str(one) for one in tied.subject_to(tied[B] <= 40).limits] == [f"{A} <= 80"]


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda a, b, c: a <= b + 1, "allowed is: sums, products"),
        (lambda a, b, c: a - b <= 1, "NegExpression is none of the functions that go"),
        (lambda a, b, c: cp.exp(a) <= 9, "exp is none of the functions that go"),
        (lambda a, b, c: cp.minimum(a, b) <= 9, "a minimum, or one over a sum, is to be at most something"),
        (lambda a, b, c: cp.sqrt(a + b) + c <= 9, "a root of a sum is added to something"),
        (lambda a, b, c: cp.sqrt(a + b) * (a + c) <= 9, "is multiplied by"),
        (lambda a, b, c: a + b == c, "allowed between products"),
        (lambda a, b, c: a <= -3, "must be finite and above 0"),
        (lambda a, b, c: cp.Constant(1) <= 2, "names no size"),
        (lambda a, b, c: cp.SOC(a, b), "it must be an inequality"),
        (lambda a, b, c: a, "it must be an inequality"),
        (lambda a, b, c: 3, "it must be an inequality"),
        (lambda a, b, c: (a + b) ** 100 <= c, "more than 60 products"),
        (lambda a, b, c: a**2000 <= c, "1000"),
        (lambda a, b, c: cp.Parameter(pos=True, name="p") * a <= c, "parameter p has no value"),
        (lambda a, b, c: cp.Variable(pos=True, name="mine") <= c, "mine is no size of the space of 'generic'"),
        (lambda a, b, c: simba_space()["GlobalBuffer.fanout_x"] <= 4, "no size of the space of 'generic'"),
        (lambda a, b, c: small((1, 2), GRID, GRID)[A] <= 4, "no size of the space of 'generic'"),
        (lambda a, b, c: f"{A} < 4", "another sign"),
        (lambda a, b, c: f"{A} - 3 <= 4", "holds something else"),
        (lambda a, b, c: "__import__('os').getcwd() <= 4", "holds something else"),
        (lambda a, b, c: f"{A}", "has no <="),
        (lambda a, b, c: f"{A} <=", "no arithmetic"),
        (lambda a, b, c: f"{A} <= {'(' * 500}1{')' * 500}", "no arithmetic"),
        (lambda a, b, c: f"{A} <= 9{'+9' * 20000}", "characters"),
        (lambda a, b, c: f"{A} <= 1e999", "must be finite and above 0"),
        (lambda a, b, c: f"0 * {A} <= 1", "must be finite and above 0"),
        (lambda a, b, c: f"{A} ** {B} <= 1", "holds something else"),
        (lambda a, b, c: "Buffer.capacity <= 4", "free sizes of 'generic' are: GlobalBuffer.capacity"),
        (lambda a, b, c: "DRAM.read_bandwidth <= 4", "free sizes of 'generic' are"),
        (lambda a, b, c: f"sqrt({A}, {B}) <= 4", "other arguments"),
    ],
)
def test_what_is_refused(make, why: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InvalidInput) as caught:
        SPACE.subject_to(make(*SIZES))
    assert why in str(caught.value)


def test_strict_inequalities_are_refused_by_cvxpy_itself() -> None:
    with pytest.raises(NotImplementedError, match="Strict"):
        SPACE[A] < 4  # noqa: B015


def test_sizes_that_are_not_free() -> None:
    for name in ("DRAM.capacity", "GlobalBuffer", "", 3, "GlobalBuffer.capacity.capacity"):
        with pytest.raises(InvalidInput, match="free sizes of"):
            SPACE[name]  # type: ignore[index]
    with pytest.raises(InvalidInput, match="none"):
        HardwareSpace(generic())[A]
    with pytest.raises(InvalidInput, match="none of the parameters"):
        replace(SPACE, limits=tuple(Limit.parse("x.capacity <= 3")))


# --- machines -----------------------------------------------------------------------------------------------------

LIMITS = st.lists(
    st.sampled_from(
        [
            f"{A} <= 4 * {B}",
            f"{A} >= 2 * {B}",
            f"{A} * {C} <= 1000",
            f"{A} + 3 * {B} <= 20 * {C}",
            f"{B} * {C} >= 200",
            f"{A} == 16 * {C}",
            f"{B} ** 2 <= {A} * {C} ** 0.5",
            f"max({A}, 8 * {B}) <= min(30 * {C}, 350)",
            f"{A} / {B} + {B} / {A} <= 2.6",
        ]
    ),
    min_size=1,
    max_size=3,
    unique=True,
)
GRIDS = st.lists(st.sampled_from(GRID), min_size=1, max_size=6, unique=True).map(lambda xs: tuple(sorted(xs)))


@given(st.tuples(GRIDS, GRIDS, GRIDS), LIMITS, st.lists(st.floats(0, 0.999), min_size=3, max_size=3))
@settings(max_examples=80, deadline=None)
def test_machines_within_limits(grids: tuple, texts: list[str], at: list[float]) -> None:
    """Every machine of the grid, listed: those within are kept, near others, and none is cut off by trimming."""
    space = small(*grids).subject_to(*texts)
    index = every_index(space)
    kept = torch.tensor([all(_holds(text, space.index_to_sizes(row)) for text in texts) for row in index])
    assert torch.equal(space.within(index), kept)
    start = torch.tensor([int(share * len(p.grid)) for share, p in zip(at, space.parameters, strict=True)])
    if not bool(kept.any()):
        for fails in (lambda: space.brought_within(start), space.trimmed):
            with pytest.raises(Infeasible, match="no machine on the grid keeps the limits"):
                fails()
        return
    found = space.brought_within(start)
    assert bool(space.within(found))
    assert not bool(space.within(start)) or torch.equal(found, start)
    trimmed = space.trimmed()
    machines = {tuple(row) for row in space.index_to_sizes(index[kept]).tolist()}
    left = every_index(trimmed)
    assert {tuple(row) for row in trimmed.index_to_sizes(left[trimmed.within(left)]).tolist()} == machines
    drawn = space.sample(5, torch.Generator().manual_seed(0))
    assert {tuple(row) for row in drawn.tolist()} <= machines
    assert bool(space.within(space.neighbours(found)).all())


def test_a_machine_outside_the_limits_is_refused() -> None:
    space = SPACE.subject_to(f"{A} <= 4 * {B}")
    assert space.architecture([64, 16, 4]).level("GlobalBuffer").capacity == 64
    with pytest.raises(InvalidInput, match=rf"{A} 96, {B} 16, {C} 4; the space has the limit {A} <= 4 \* {B}"):
        space.architecture([96, 16, 4])


def test_excess_is_differentiable() -> None:
    space = SPACE.subject_to(f"{A} + {B} ** 2 <= 3 * {C}", f"{A} <= {B}")
    sizes = torch.tensor([[50.0, 7.0, 9.0], [40.0, 6.0, 3.0]], dtype=torch.float64, requires_grad=True)
    assert space.excess(sizes).shape == (2, 2)
    assert torch.autograd.gradcheck(space.excess, sizes)


def test_infeasibility_of_a_large_grid_is_proved_at_once() -> None:
    """Five million machines, none of them listed."""
    space = eyeriss_space()
    with pytest.raises(Infeasible):
        space.subject_to("shared_glb.capacity <= 5 * weights_spad.capacity").trimmed()
    names = [f"{level}.capacity" for level in ("ifmap_spad", "weights_spad", "psum_spad")]
    crossed = space.subject_to(f"{' + '.join(names)} <= 100", f"{' * '.join(names)} >= 200000")
    with pytest.raises(Infeasible):
        crossed.trimmed()


def _holds(text: str, sizes: torch.Tensor) -> bool:
    """The text as Python computes it, up to rounding."""
    a, b, c = sizes.tolist()
    plain = text.replace(A, str(a)).replace(B, str(b)).replace(C, str(c))
    for sign, slack in (("<=", "* (1 + 1e-9)"), (">=", "* (1 - 1e-9)")):
        if sign in plain:
            left, right = plain.split(sign)
            return bool(eval(f"({left}) {sign} ({right}) {slack}"))
    left, right = plain.split("==")
    return abs(eval(left) / eval(right) - 1) < 1e-9
