"""Sums of progressions, beside an enumeration of them."""

from itertools import product
from random import Random

import pytest

from dlco.workload import sumset
from dlco.workload.sumset import Term, distinct_sums


def enumerated(terms: list[Term]) -> int:
    return len(
        {sum(c * x for (c, _), x in zip(terms, at, strict=True)) for at in product(*(range(b) for _, b in terms))}
    )


def drawn(seed: int, count: int) -> list[list[Term]]:
    rng = Random(seed)
    coefficients = (1, 1, 2, 3, 5, 8, 13, 21, 40)
    return [[(rng.choice(coefficients), rng.randint(1, 6)) for _ in range(rng.randint(0, 4))] for _ in range(count)]


def test_counts_are_those_of_an_enumeration() -> None:
    for terms in drawn(0, 1500):
        assert distinct_sums(terms) == enumerated(terms), terms


def test_without_room_for_a_table_no_count_is_above_the_truth(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two terms and of those that fill a progression it is exact all the same."""
    monkeypatch.setattr(sumset, "_LARGEST_TABLE", 0)
    exact = 0
    for terms in drawn(1, 1500):
        counted, true = distinct_sums(terms), enumerated(terms)
        assert counted <= true, terms
        assert counted == true or len(terms) > 2, terms
        exact += counted == true
    assert exact > 1200


@pytest.mark.parametrize(
    ("terms", "count"),
    [
        ([(1, 10**7), (1, 11)], 10**7 + 10),
        ([(1, 30_000), (1, 30_000)], 59_999),
        ([(10**6, 1000), (1, 3)], 3000),
        ([(2, 10**12), (3, 10**12)], 5 * (10**12 - 1) + 1 - 2),
        ([(2**i, 2) for i in range(50)], 2**50),
        ([(10**i, 3) for i in range(20)], 3**20),
    ],
)
def test_large_ones_take_no_enumeration(terms: list[Term], count: int) -> None:
    """The fourth: of 0 .. 5 (n - 1) all but 1 and its mirror image are reached."""
    assert distinct_sums(terms) == count
