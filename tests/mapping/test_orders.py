"""The orders that stand for all others, against every permutation."""

from itertools import permutations

from hypothesis import given, settings
from hypothesis import strategies as st

from dlco.mapping.orders import Reuse, class_of, level_orders

DIMS = (0, 1, 2, 3)


@st.composite
def reuses(draw: st.DrawFn) -> tuple[Reuse, ...]:
    spaces = []
    for _ in range(draw(st.integers(1, 3))):
        relevant = draw(st.frozensets(st.sampled_from(DIMS)))
        spaces.append(Reuse(relevant, draw(st.frozensets(st.sampled_from(sorted(relevant) or [9])))))
    return tuple(spaces)


def restricted(order: tuple[int, ...], loops: list[int]) -> tuple[int, ...]:
    return tuple(d for d in order if d in loops)


@given(spaces=reuses(), innermost=st.lists(st.sampled_from(DIMS), unique=True, max_size=2))
@settings(max_examples=30)
def test_every_permutation_has_exactly_one_order_of_its_class(spaces: tuple[Reuse, ...], innermost: list[int]) -> None:
    some = level_orders(DIMS, spaces, tuple(innermost), True)
    assert all(order[: len(innermost)] == tuple(innermost) for order in some.orders)
    for code, needed in enumerate(some.needed.tolist()):
        loops = [d for d in DIMS if code >> d & 1]
        fixed = list(restricted(tuple(innermost), loops))
        classes = [class_of(p, spaces) for p in permutations(loops) if list(p[: len(fixed)]) == fixed]
        listed = [class_of(restricted(o, loops), spaces) for o, yes in zip(some.orders, needed, strict=True) if yes]
        assert len(listed) == len(set(listed))
        assert set(listed) == set(classes)


@given(spaces=reuses())
@settings(max_examples=30)
def test_what_is_left_out_as_never_better_has_one_that_keeps_more_in_place(spaces: tuple[Reuse, ...]) -> None:
    some = level_orders(DIMS, spaces, (), False)
    for code, needed in enumerate(some.needed.tolist()):
        loops = [d for d in DIMS if code >> d & 1]
        listed = [class_of(restricted(o, loops), spaces) for o, yes in zip(some.orders, needed, strict=True) if yes]
        for order in permutations(loops):
            one = class_of(order, spaces)
            assert any(
                all(a >= b and y in (None, x) for (a, x), (b, y) in zip(other, one, strict=True)) for other in listed
            )


def test_a_convolution_needs_few_orders() -> None:
    c, m, r, s, n, p, q = range(7)
    spaces = (
        Reuse(frozenset({c, m, r, s}), frozenset()),
        Reuse(frozenset({n, c, p, q, r, s}), frozenset({p, q, r, s})),
        Reuse(frozenset({n, m, p, q}), frozenset()),
    )
    assert level_orders(tuple(range(7)), spaces, (), False).most == 8
