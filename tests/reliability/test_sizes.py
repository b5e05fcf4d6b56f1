"""Work that is too large for the searches is refused in a sentence before they start, and large numbers are no work."""

from math import prod

import pytest

import dlco
from dlco.bound.compulsory import used_words
from dlco.errors import InvalidInput
from dlco.mapping.factors import prime_factors
from dlco.workload import Dataspace, Layer, Problem
from dlco.workload.problem import Rank


def einsum(dimensions: int, one_rank: bool = False) -> Layer:
    names = tuple(f"d{i}" for i in range(dimensions))
    every: tuple[Rank, ...] = tuple(((name, 1),) for name in names)
    first = (tuple((name, 2**i) for i, name in enumerate(names)),) if one_rank else every[: dimensions // 2]
    spaces = (Dataspace("A", first), Dataspace("B", every[dimensions // 3 :]), Dataspace("O", every[::2], True))
    return Layer("einsum", Problem(names, (2,) * dimensions, spaces))


@pytest.mark.parametrize("dimensions", [12, 15, 30, 60])
@pytest.mark.parametrize("run", [dlco.solve, dlco.pareto])
def test_more_dimensions_than_can_be_ordered(dimensions: int, run) -> None:
    sentence = f"layer 'einsum' has {dimensions} dimensions above 1; schedules are searched for up to 11"
    with pytest.raises(InvalidInput, match=sentence):
        run([einsum(dimensions)], dlco.hardware.generic())


def test_dimensions_of_one_position_count_for_nothing() -> None:
    problem = einsum(8).problem
    padded = Problem(
        (*problem.dimensions, *(f"x{i}" for i in range(40))), (*problem.bounds, *(1,) * 40), problem.dataspaces
    )
    assert dlco.mapping.orders.check_loops([Layer("padded", padded)]) is None


def test_more_dimensions_than_any_problem_has() -> None:
    with pytest.raises(InvalidInput, match="problem has 65 dimensions and 3 dataspaces; there may be 64"):
        einsum(65)


@pytest.mark.parametrize(
    "layers", [None, "x", [1], [], {}, 3, dlco.linear("a", C=1, M=1), [dlco.linear("a", C=1, M=1)] * 2, ["x" * 10_000]]
)
def test_layers_that_are_none(layers: object) -> None:
    with pytest.raises(InvalidInput, match=r"^layers (is|holds) .{0,300}$"):
        dlco.solve(layers, dlco.hardware.generic())


@pytest.mark.parametrize("count", [10**400, 10**5000, -(10**5000), 2**63], ids=["400", "5000", "below", "63"])
def test_counts_beyond_64_bits(count: int) -> None:
    with pytest.raises(InvalidInput, match=r"^count of layer a is .{0,80}$"):
        dlco.linear("a", C=4, M=4, count=count)
    assert dlco.linear("a", C=4, M=4, count=10**18).count == 10**18


@pytest.mark.parametrize(
    "number", [94906249 * 94906267, 2**53 - 111, 2**61 - 1, 2**10 * 10007**2, 7 * 10009 * 10037 * 999983, 720720, 1]
)
def test_primes_of_large_bounds(number: int) -> None:
    primes = prime_factors(number)
    assert prod(primes) == number
    assert list(primes) == sorted(primes)
    assert all(pow(2, p - 1, p) == 1 for p in primes if p > 2)


def test_used_words_of_long_windows() -> None:
    """P + R - 1 positions each, gaps of strides left out."""
    for P, R, stride, words in ((10**7, 11, 1, 10**7 + 10), (30_000, 30_000, 1, 59_999), (1000, 3, 10**6, 3000)):
        problem = dlco.conv1d("c", C=2, M=1, P=P, R=R, stride=stride).problem
        assert used_words(problem, problem.dataspace("Inputs")) == 2 * words
    wide = einsum(20, one_rank=True).problem
    assert used_words(wide, wide.dataspace("A")) == 2**20
