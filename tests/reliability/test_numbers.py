"""Very large and very small work: every count to the last digit, every figure a finite number."""

from dataclasses import fields, replace
from math import comb, inf, isfinite, prod

import pytest
import torch
from hypothesis import given, reject, settings
from hypothesis import strategies as st

import dlco
from dlco import Architecture, HardwareSpace, InvalidInput, Level, NotSupported, SolveEffort
from dlco.bound import BoundEffort
from dlco.cost import TIMELOOP_RULES, Cost, CountingRules, evaluate
from dlco.mapping import SlotConstraint
from dlco.mapping.factors import prime_factors
from dlco.mapping.kept import kept_dataspaces
from dlco.mapping.mapping import MappingBatch
from dlco.mapping.mapspace import MapSpace
from dlco.mapping.places import Place, count_splits
from dlco.search.local_search import Effort
from dlco.workload.problem import check_countable

from ..cost.cases import FAMILIES, Case, block, cases, conv, make_case, products, skewed
from ..efforts import EVOLUTION
from .big_counts import big_counts

LARGE = (2, 3, 31, 127, 1021)
"""Loop bounds that make some 2^20 to 2^60 MACs of the random cases."""

QUICK = Effort(rounds=3, patience=3, islands=2)
EFFORT = SolveEffort(
    starts=1,
    relax_rounds=2,
    machines=2,
    roundings=2,
    descents=1,
    steps=2,
    fit=QUICK,
    step=QUICK,
    polishes=0,
    bound=BoundEffort(nodes=6, side=2, rounds=0, boxes=0),
    batches=5,
)


@st.composite
def large_cases(draw: st.DrawFn, families: tuple[str, ...] = tuple(FAMILIES), primes: tuple[int, ...] = LARGE) -> Case:
    """As `cases`, but of any size whose counts fit 64 bits."""
    case = draw(cases(families=families, primes=primes))
    try:
        check_countable(case.problem)
    except InvalidInput:
        reject()
    return case


def expected(case: Case) -> dict[str, list[list[int]]]:
    kept = kept_dataspaces(case.problem, case.mapping, case.architecture)
    return big_counts(case.problem, case.mapping, [kept[level] for level in case.mapping.levels])


def counted(case: Case, rules: CountingRules | None = None) -> Cost:
    return evaluate(case.problem, case.architecture, case.mapping, rules or CountingRules())


def assert_finite(cost: Cost) -> None:
    """No NaN, nothing infinite, nothing below 0."""
    for part in (cost, cost.counts):
        for field in fields(part):
            value = getattr(part, field.name)
            if isinstance(value, torch.Tensor) and value.dtype != torch.bool:
                assert bool(torch.isfinite(value).all()), field.name
                assert bool((value >= 0).all()), field.name
    assert isfinite(cost.edp)
    assert isfinite(cost.power_w)


FEW = 30  # of the slower examples


class TestCounts:
    @settings(max_examples=FEW)
    @given(case=cases())
    def test_the_reference_is_the_cost_model_where_float64_is_exact(self, case: Case) -> None:
        """tests/cost holds the model of small nests against their execution; so this ties the reference to that."""
        counts = evaluate(case.problem, case.architecture, case.mapping.batch()).counts
        for name, table in expected(case).items():
            assert getattr(counts, name).tolist() == table, name

    @given(case=large_cases(families=("conv", "depthwise", "grouped", "matmul", "conv1d", "conv3d", "transposed")))
    def test_counts_are_exact_to_the_last_digit(self, case: Case) -> None:
        if any(prod((*x, *y)) > 5000 for _, x, y in case.mapping.factors):
            reject()  # the reference lists children
        counts = counted(case).counts
        for name, table in expected(case).items():
            assert getattr(counts, name).dtype == torch.int64
            assert getattr(counts, name).tolist() == table, name

    @settings(max_examples=FEW)
    @given(
        case=large_cases(families=("conv", "matmul", "conv3d", "transposed")),
        restart=st.sampled_from(("overlap", "timeloop")),
    )
    def test_integers_agree_with_float64_under_every_rule(self, case: Case, restart: str) -> None:
        rules = CountingRules(restart)
        whole = counted(case, rules)
        real = evaluate(case.problem, case.architecture, case.mapping.batch(), rules)
        for field in fields(whole.counts):
            if field.name != "partition":  # rounded down, and so one apart where float64 falls short of a whole number
                one, other = (getattr(cost.counts, field.name) for cost in (whole, real))
                torch.testing.assert_close(one.double(), other, rtol=1e-9, atol=0.5, msg=field.name)
        assert torch.equal(whole.energy_pj, real.energy_pj)

    def test_beyond_2_to_the_53_where_float64_has_gaps(self) -> None:
        odd = {"M": 2**20 - 3, "K": 2**21 - 9, "N": 2**20 + 7}
        case = make_case(
            products((1, 1), (1, 1)), "MKN", block(t={"K": odd["K"]}), block(t={"N": odd["N"], "M": odd["M"]})
        )
        macs = prod(odd.values())
        assert float(macs) != macs
        counts = counted(case).counts
        assert counts.reads[0, 0].item() == macs
        assert counts.updates[0, 2].item() == macs
        assert counts.reads[0, 2].item() == macs - odd["M"] * odd["N"]

    def test_a_batch_of_integers_is_counted_in_integers(self) -> None:
        case = make_case(conv(), "CPR", block(t={"C": 3, "R": 3}), block(t={"P": 5}))
        batch = MappingBatch.stack([case.mapping] * 2, dtype=torch.int64)
        counts = evaluate(case.problem, case.architecture, batch).counts
        assert counts.reads.dtype == torch.int64
        assert torch.equal(counts.reads[1], counted(case).counts.reads)

    def test_shares_of_tensors_whose_product_exceeds_64_bits(self) -> None:
        strided = conv(stride=(2, 1))
        case = make_case(
            strided,
            "MPQ",
            block(t={"P": 2**14 + 1}),
            block(t={"M": 2**10}, x={"P": 3}),
            block(t={"Q": 2**15 - 1, "P": 2**4}),
        )
        counts = counted(case).counts
        for name, table in expected(case).items():
            assert getattr(counts, name).tolist() == table, name

    @pytest.mark.parametrize("bounds", [(2**21, 2**21, 2**21), (2**62, 2, 1), (10**400, 1, 1)])
    def test_work_beyond_64_bits_is_refused(self, bounds: tuple[int, int, int]) -> None:
        layer = dlco.matmul("huge", M=bounds[0], K=bounds[1], N=bounds[2])
        with pytest.raises(InvalidInput, match="so that counts fit 64 bits"):
            dlco.solve([layer], machine(), effort=EFFORT, bound=False, progress=False)
        case = make_case(products((1, 1), (1, 1)), "MKN", block(), block(t=dict(zip("MKN", bounds, strict=True))))
        with pytest.raises(InvalidInput, match="so that counts fit 64 bits"):
            counted(case)

    def test_the_largest_work_that_fits(self) -> None:
        case = make_case(products((1, 1), (1, 1)), "MKN", block(), block(t={"M": 2**31 - 1, "N": 2**31 - 1, "K": 2}))
        cost = counted(case)
        assert_finite(cost)
        assert cost.counts.reads[1].tolist() == expected(case)["reads"][1]

    def test_children_too_many_to_list_are_refused(self) -> None:
        many = 2**21
        wide = make_case(conv(), "M", block(x={"M": many}), block())
        assert counted(wide).counts.reads[0].tolist() == [many, 1, 0]
        with pytest.raises(NotSupported, match="serves 2097152 children"):
            counted(wide, TIMELOOP_RULES)
        three = make_case(skewed(), "CMPRT", block(x={"P": 2**8, "R": 2**8, "T": 2**8}), block())
        with pytest.raises(NotSupported, match="three loops"):
            counted(three)


class TestCosts:
    @settings(max_examples=FEW)
    @given(
        case=large_cases(),
        pj=st.sampled_from((0.0, 5e-324, 1e-3, 1e12)),
        leak=st.sampled_from((0.0, 1e-12, 1e3)),
        bandwidth=st.sampled_from((1e-6, 1.0, 1e18, inf)),
        block_size=st.sampled_from((1, 3, 2**31)),
        cycle_s=st.sampled_from((1e-15, 1e-9, 1.0)),
    )
    def test_are_finite_numbers_on_any_machine(
        self, case: Case, pj: float, leak: float, bandwidth: float, block_size: int, cycle_s: float
    ) -> None:
        levels = tuple(
            replace(
                level,
                read_pj=pj,
                write_pj=pj,
                update_pj=pj,
                leak_pj=leak,
                read_bandwidth=bandwidth,
                write_bandwidth=bandwidth,
                block_size=block_size,
            )
            for level in case.architecture.levels
        )
        machine = Architecture(levels, mac_pj=pj, cycle_s=cycle_s)
        try:
            assert_finite(evaluate(case.problem, machine, case.mapping))
        except NotSupported:
            reject()

    @pytest.mark.parametrize("family", [name for name in FAMILIES if name != "grouped"])  # which has two groups
    def test_of_one_multiplication(self, family: str) -> None:
        dims, problem_of = FAMILIES[family]
        case = make_case(problem_of((1, 1), (1, 1)), dims, block(), block())
        for rules in (CountingRules(), TIMELOOP_RULES):
            cost = counted(case, rules)
            assert_finite(cost)
            assert cost.cycles == 1
            assert cost.counts.reads.tolist()[1] == [1, 1, 0]

    @pytest.mark.parametrize("capacity", [3, inf])
    def test_capacities_at_their_ends(self, capacity: float) -> None:
        case = make_case(conv(), "CMP", block(capacity=capacity), block(t={"C": 2**13 - 1, "M": 2**14, "P": 2**13}))
        assert_finite(counted(case))


class TestSpaces:
    @given(
        bound=st.integers(1, 5000),
        places=st.lists(
            st.tuples(st.integers(0, 2), st.none() | st.integers(1, 6), st.none() | st.integers(1, 40)),
            min_size=1,
            max_size=4,
        ),
    )
    def test_ways_to_split_a_bound_are_those_listed(self, bound: int, places: list[tuple]) -> None:
        if any(exact and most and exact > most for _, exact, most in places):
            reject()
        made = [
            Place(
                level,
                tuple((axis, axis) for axis in range(1, count + 1)),
                SlotConstraint(
                    "L",
                    "spatial",
                    exact=() if exact is None else (("C", exact),),
                    at_most=() if most is None else (("C", most),),
                ),
            )
            for level, (count, exact, most) in enumerate(places)
        ]

        def listed(left: int, rest: list[Place]) -> int:
            if not rest:
                return int(left == 1)
            factors = [f for f in range(1, left + 1) if left % f == 0]
            return sum(rest[0].ways("C", f) * listed(left // f, rest[1:]) for f in factors)

        assert count_splits("C", bound, made) == listed(bound, made)

    def test_a_bound_of_very_many_divisors(self) -> None:
        bound = 963761198400  # 6,720 divisors
        work = dlco.matmul("m", M=bound, K=1, N=1).problem
        two = Architecture((Level("A"), Level("B"), Level("C")))
        assert MapSpace.of(work, two).size == prod(comb(e + 2, 2) for e in (6, 4, 2, *[1] * 6)) * 24**3

    def test_a_prime_of_31_bits(self) -> None:
        assert prime_factors(2**31 - 1) == (2**31 - 1,)

    def test_a_bound_beyond_what_factors_hold_is_refused(self) -> None:
        work = dlco.matmul("m", M=2**53 + 1, K=1, N=1).problem
        with pytest.raises(InvalidInput, match="bound of dimension M"):
            MapSpace.of(work, Architecture((Level("A"),)))


def machine(**changes: object) -> Architecture:
    """A register file, a buffer and memory over 4 x 4 MACs; `changes` to all of them, but memory holds everything."""
    levels = (
        Level("RF", "regfile", 64, read_pj=1, write_pj=1, update_pj=1),
        Level("Buffer", "SRAM", 4096, read_pj=6, write_pj=6, update_pj=6, fanout_x=4, fanout_y=4),
        Level("DRAM", "DRAM", read_pj=200, write_pj=200, update_pj=200, read_bandwidth=4.0),
    )
    changed = [replace(level, **changes) for level in levels]  # type: ignore[arg-type]
    return Architecture((*changed[:-1], replace(changed[-1], capacity=inf)))


class TestSolve:
    """`solve` ends with a valid design and finite figures."""

    @pytest.mark.parametrize(
        "layer",
        [
            dlco.matmul("one", M=1, K=1, N=1),
            dlco.conv2d("prime", C=13, M=17, P=29, Q=29, R=7, S=5),
            dlco.matmul("prime31", M=2**31 - 1, K=1, N=3),
            dlco.matmul("2to40", M=2**14, K=2**13, N=2**13),
            dlco.matmul("2to53", M=2**20 - 3, K=2**13 - 1, N=2**20 + 7),
            dlco.matmul("2to62", M=2**21, K=2**20, N=2**21),
        ],
        ids=lambda layer: layer.name,
    )
    def test_layers_of_any_size(self, layer: dlco.Layer) -> None:
        found = dlco.solve([layer], machine(), objective="edp", effort=EFFORT, bound=True, progress=False)
        assert_finite(evaluate(layer, found.architecture, found.mappings[layer.name]))
        assert found.lower_bound is not None
        assert 0 < found.lower_bound <= found.value * (1 + 1e-9)

    @pytest.mark.parametrize(
        ("name", "changes", "objective"),
        [
            ("zero leakage, no limits", {"capacity": inf, "read_bandwidth": inf, "leak_pj": 0.0}, "edp"),
            ("one word a dataspace", {"capacity": 3.0}, "edp"),
            ("no energies", {"read_pj": 0.0, "write_pj": 0.0, "update_pj": 0.0}, "latency"),
            ("tiny energies", {"read_pj": 1e-300, "write_pj": 1e-300, "update_pj": 1e-300}, "energy"),
            ("huge fan-outs", {"fanout_x": 2**17, "fanout_y": 1}, "edp"),
            ("slow", {"read_bandwidth": 1e-9, "leak_pj": 1e6}, "power"),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    def test_machines_at_their_ends(self, name: str, changes: dict, objective: str) -> None:
        layer = dlco.conv2d("layer", C=16, M=16, P=14, Q=14, R=3, S=3)
        found = dlco.solve([layer], machine(**changes), objective=objective, effort=EFFORT, bound=True, progress=False)
        assert_finite(evaluate(layer, found.architecture, found.mappings["layer"]))
        assert found.lower_bound is not None
        assert found.lower_bound <= found.value * (1 + 1e-9)

    def test_a_memory_too_small_for_the_layer_is_refused(self) -> None:
        small = Architecture((Level("RF", "regfile", 64, read_pj=1), Level("DRAM", "DRAM", 127, read_pj=1)))
        with pytest.raises(InvalidInput, match="'DRAM', the outermost, is 127 words; layer 'm' needs 128"):
            dlco.solve([dlco.matmul("m", M=8, K=4, N=8)], small, effort=EFFORT, bound=False, progress=False)

    def test_a_space_of_machines_for_one_multiplication(self) -> None:
        space: HardwareSpace = dlco.hardware.get_hardware("eyeriss", space=True)
        effort = replace(EFFORT, evolution=EVOLUTION)
        found = dlco.solve([dlco.matmul("one", M=1, K=1, N=1)], space, effort=effort, bound=False, progress=False)
        assert isfinite(found.value)
