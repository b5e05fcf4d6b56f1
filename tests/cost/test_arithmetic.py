"""The exact and the smooth model beside each other, and the three restart rules beside each other."""

from dataclasses import replace
from math import log

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dlco.cost.arithmetic import EXACT, SMOOTH, Smooth
from dlco.cost.cost import Cost, Counts
from dlco.cost.model import evaluate
from dlco.mapping.rules import RESTARTS, CountingRules

from .cases import DENSE, FAMILIES, Case, Sizes, block, cases, make_case

ROUNDING = 1 + 1e-12


def energised(case: Case, seed: int = 0) -> Case:
    """The same machine with energies, leakage and bandwidths drawn at random; one word a block."""
    generator = torch.Generator().manual_seed(seed)

    def draw() -> float:
        return float(torch.rand((), generator=generator, dtype=torch.float64)) + 0.1

    levels = tuple(
        replace(
            level,
            read_pj=draw(),
            write_pj=draw(),
            update_pj=draw(),
            leak_pj=draw(),
            read_bandwidth=draw(),
            write_bandwidth=draw(),
            shared_bandwidth=2 * draw(),
        )
        for level in case.architecture.levels
    )
    return replace(case, architecture=replace(case.architecture, levels=levels))


def tables(counts: Counts) -> dict[str, torch.Tensor]:
    return {"reads": counts.reads, "fills": counts.fills, "updates": counts.updates}


def cost(case: Case, arithmetic: object = None, restart: str = "refetch") -> Cost:
    return evaluate(case.problem, case.architecture, case.mapping, CountingRules(restart), arithmetic)  # type: ignore[arg-type]


# Powers of two: of two steps along one rank one divides the other, and smooth children share as exact ones do.
evenly = cases(families=DENSE, primes=(2,), steps=(1, 2))


@st.composite
def full(draw: st.DrawFn) -> Case:
    """Every loop that is anywhere is at every level, so that smooth arithmetic finds no loop of bound 1."""
    dims, problem_of = FAMILIES[draw(st.sampled_from(DENSE))]
    present = draw(st.lists(st.sampled_from(dims), min_size=1, max_size=4, unique=True))
    count = draw(st.integers(2, 4))

    def temporal() -> Sizes:
        return {d: draw(st.sampled_from((2, 4))) for d in draw(st.permutations(present))}

    def spatial() -> Sizes:
        return dict.fromkeys(draw(st.lists(st.sampled_from(present), max_size=2, unique=True)), 2)

    pair = st.tuples(st.sampled_from((1, 2)), st.sampled_from((1, 2)))
    blocks = [block(t=temporal(), x=spatial(), y=spatial()) for _ in range(count)]
    return make_case(problem_of(draw(pair), draw(pair)), dims, *blocks)


class TestSmoothAgainstExact:
    @given(case=evenly)
    def test_counts_and_energy_are_never_below(self, case: Case) -> None:
        case = energised(case)
        exact, smooth = cost(case, EXACT), cost(case, SMOOTH)
        for name, table in tables(smooth.counts).items():
            assert (table * ROUNDING >= tables(exact.counts)[name]).all(), name
        assert (smooth.access_pj * ROUNDING >= exact.access_pj).all()
        assert smooth.cycles * ROUNDING > exact.cycles - 1  # which are rounded up
        assert smooth.mac_pj == exact.mac_pj

    @given(case=full())
    def test_counts_are_the_same_where_no_loop_has_bound_1(self, case: Case) -> None:
        case = energised(case)
        exact, smooth = cost(case, EXACT), cost(case, SMOOTH)
        for name, table in tables(smooth.counts).items():
            torch.testing.assert_close(table, tables(exact.counts)[name].double(), rtol=1e-12, atol=1e-9, msg=name)
        torch.testing.assert_close(smooth.access_pj, exact.access_pj, rtol=1e-12, atol=1e-9)

    @given(case=full())
    def test_cycles_are_a_p_norm_of_what_each_resource_needs(self, case: Case) -> None:
        case = energised(case)
        exact, smooth = cost(case, EXACT), cost(case, SMOOTH)
        candidates = 4 * (1 + case.levels)  # compute and three bandwidths a level, then compute and the levels
        assert smooth.cycles * ROUNDING > exact.cycles - 1
        assert smooth.cycles <= candidates ** (1 / SMOOTH.sharpness) * exact.cycles * ROUNDING

    def test_a_loop_of_bound_1_keeps_its_place_in_the_smooth_model(self) -> None:
        conv = FAMILIES["conv"][1]((1, 1), (1, 1))
        stays = make_case(conv, "CMP", block(), block(t={"P": 4, "M": 2}), block(t={"C": 2}))
        turned = make_case(conv, "CMP", block(), block(t={"C": 1, "P": 4, "M": 2}), block(t={"C": 2}))
        assert cost(stays, EXACT).energy_pj == cost(turned, EXACT).energy_pj
        weights = [
            float(cost(case, arithmetic).counts.fills[0, 0])
            for case in (stays, turned)
            for arithmetic in (EXACT, SMOOTH)
        ]
        assert weights == [4, 4, 4, 16]


class TestSmoothMaximum:
    values = st.lists(st.floats(1e-3, 1e12), min_size=1, max_size=6)

    @given(values=values, sharpness=st.sampled_from((4.0, 16.0, 64.0, 256.0)))
    def test_lies_between_the_maximum_and_its_bound(self, values: list[float], sharpness: float) -> None:
        smooth = float(Smooth(sharpness).maximum([torch.tensor(v, dtype=torch.float64) for v in values]))
        tolerance = 1 + 1e-13 * max(1, log(max(values)) + 40)
        assert max(values) <= smooth * tolerance
        assert smooth <= len(values) ** (1 / sharpness) * max(values) * tolerance

    @pytest.mark.parametrize("count", [1, 2, 5])
    def test_equal_candidates_reach_the_bound(self, count: int) -> None:
        smooth = Smooth(8.0).maximum([torch.tensor(3.0, dtype=torch.float64)] * count)
        assert float(smooth) == pytest.approx(3 * count**0.125, rel=1e-12)

    @given(values=values)
    def test_exact_maximum(self, values: list[float]) -> None:
        assert float(EXACT.maximum([torch.tensor(v, dtype=torch.float64) for v in values])) == max(values)


class TestExactRounding:
    @given(quotient=st.integers(0, 10**12), divisor=st.integers(1, 10**4))
    def test_whole_quotients_stay_whole(self, quotient: int, divisor: int) -> None:
        product = torch.tensor(float(quotient * divisor), dtype=torch.float64)
        assert float(EXACT.floor(product / divisor)) == quotient

    @given(words=st.integers(0, 10**12), parts=st.integers(1, 10**4))
    def test_floor_and_ceiling_of_ratios(self, words: int, parts: int) -> None:
        ratio = torch.tensor(float(words), dtype=torch.float64) / parts
        assert float(EXACT.floor(ratio)) == words // parts
        assert float(EXACT.ceil(ratio)) == -(-words // parts)

    @given(a=st.integers(1, 100), b=st.integers(1, 100))
    def test_steps_meet_on_their_common_divisor(self, a: int, b: int) -> None:
        shared = float(EXACT.common_step(torch.tensor(float(a)), torch.tensor(float(b))))
        assert a % shared == b % shared == 0
        assert not any(a % larger == b % larger == 0 for larger in range(int(shared) + 1, min(a, b) + 1))


class TestRestartRules:
    @given(case=cases())
    def test_refetch_is_the_dearest_and_no_count_is_negative(self, case: Case) -> None:
        refetch, overlap, timeloop = (
            tables(cost(case, EXACT, rule).counts) for rule in ("refetch", "overlap", "timeloop")
        )
        for name, most in refetch.items():
            assert (overlap[name] <= most).all(), name
            assert (timeloop[name] <= most).all(), name
            assert (overlap[name] >= 0).all(), name
            assert (timeloop[name] >= 0).all(), name

    @given(case=cases(families=("matmul",)))
    def test_rules_agree_without_windows(self, case: Case) -> None:
        first, *others = (tables(cost(case, EXACT, rule).counts) for rule in RESTARTS)
        for other in others:
            assert all(torch.equal(first[name], other[name]) for name in first)

    @given(case=cases())
    def test_a_tile_is_filled_with_all_it_holds(self, case: Case) -> None:
        read_only = [s for s, space in enumerate(case.problem.dataspaces) if not space.read_write]
        for rule in RESTARTS:
            counts = cost(case, EXACT, rule).counts
            for s in read_only:
                kept = [level for level in range(case.levels) if counts.tile[level, s] > 0]
                for level in kept[:-1]:
                    assert counts.fills[level, s] >= counts.tile[level, s], rule


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_smooth_maximum_with_a_resource_that_nothing_needs(dtype: torch.dtype) -> None:
    rows = [torch.tensor(v, dtype=dtype, requires_grad=True) for v in (5.0, 0.0)]
    best = SMOOTH.maximum(rows)
    best.backward()
    assert float(best.detach()) == pytest.approx(5.0)
    assert [float(row.grad) for row in rows] == pytest.approx([1.0, 0.0])  # type: ignore[arg-type]
