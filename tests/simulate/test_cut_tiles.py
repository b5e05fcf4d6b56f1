"""Factors beyond the bounds, executed: against the cost model, a walker of sets, numbers, and perfect factors."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import dlco
from dlco.cost.model import evaluate
from dlco.errors import NotSupported
from dlco.hardware import generic, split
from dlco.mapping.mapping import OUTWARDS, Mapping
from dlco.mapping.rules import TIMELOOP_RULES, CountingRules
from dlco.simulate import count_accesses, execute, simulate_timing
from dlco.simulate.cut_tiles import CutWalk
from dlco.simulate.loopnest import LoopNest
from dlco.workload import Dataspace, Problem, conv2d, matmul

from ..cost.cases import DENSE, Block, Case, block, cases, conv, make_case
from ..cost.imperfect_walker import ImperfectWalker
from ..cost.test_imperfect import imperfect_cases
from .test_execute import operands
from .test_timing import timed

FEW = settings(max_examples=settings.default.max_examples // 5, suppress_health_check=[HealthCheck.too_slow])


def covered(factors: tuple[int, ...]) -> list[int]:
    """Bounds that factors, innermost first, cover with none of them in vain."""
    found = []
    for bound in range(1, int(np.prod(factors)) + 1):
        tiles, good = bound, True
        for n in factors:
            good &= n <= tiles
            tiles = -(-tiles // n)
        if good and tiles == 1:
            found.append(bound)
    return found


def shortened(draw: st.DrawFn, case: Case) -> Case:
    """The same mapping for a layer of smaller bounds, so that last tiles are cut short."""
    bounds = tuple(
        draw(st.sampled_from(covered(tuple(level[slot][d] for level in case.mapping.factors for slot in OUTWARDS))))
        for d in range(len(case.mapping.dimensions))
    )
    return replace(case, problem=replace(case.problem, bounds=bounds))


@st.composite
def cut_cases(draw: st.DrawFn, **options: object) -> Case:
    return shortened(draw, draw(cases(**options)))


@st.composite
def cut_timed(draw: st.DrawFn):
    case, model = draw(timed())
    return shortened(draw, case), model


def assert_model_counts_what_is_executed(case: Case) -> None:
    modelled = evaluate(case.problem, case.architecture, case.mapping)
    executed = count_accesses(case.problem, case.architecture, case.mapping)
    assert executed.cycles == modelled.compute_cycles.item()
    for name in ("reads", "fills", "updates"):
        totals = getattr(modelled.counts, name).double() * modelled.counts.instances.double()[:, None]
        for s, space in enumerate(case.problem.dataspaces):
            ours = [row[s] for row in executed.totals(name)]
            assert ours == pytest.approx(totals[:, s].tolist(), rel=1e-9, abs=1e-6), (name, space.name)


@FEW
@given(case=cut_cases(primes=(2, 3, 5)))
def test_the_model_counts_what_is_executed(case: Case) -> None:
    assert_model_counts_what_is_executed(case)


@pytest.mark.slow
@settings(max_examples=1000, suppress_health_check=[HealthCheck.too_slow])
@given(case=cut_cases(primes=(2, 3, 5)))
def test_a_thousand_other_mappings(case: Case) -> None:
    assert_model_counts_what_is_executed(case)


def window(p: int, r: int, stride: int, *blocks: Block) -> Case:
    """A convolution of these bounds along one axis; the blocks' loops cover them."""
    case = make_case(conv(stride=(stride, 1)), "PRM", *blocks)
    bounds = tuple({"P": p, "R": r}.get(d, n) for d, n in case.problem.sizes.items())
    return replace(case, problem=replace(case.problem, bounds=bounds))


@pytest.mark.parametrize(
    "case",
    [
        # rows of filters along one axis, rows of results along the other: the last of both cut short
        window(7, 5, 1, block(t={"P": 2, "R": 2}), block(x={"P": 3}, y={"R": 2}, t={"P": 2, "R": 2}), block()),
        # slid along rows of which the last group's are at the first step again: they are fetched whole
        window(9, 6, 1, block(t={"R": 6}), block(x={"P": 4}, t={"P": 2}), block(t={"P": 2})),
        # what slides in for a cut filter begins where it does for another child's whole one
        window(
            11, 5, 1, block(t={"R": 3}), block(t={"P": 2}, bypass="Inputs"), block(x={"P": 3}, y={"R": 2}),
            block(t={"P": 2}),
        ),
        # children of children, the words bypassing the level between
        window(
            11, 7, 1, block(t={"R": 2}), block(x={"P": 3}, y={"R": 2}, bypass="Inputs"),
            block(x={"P": 2}, y={"R": 2}, t={"P": 2}), block(),
        ),
    ],
)  # fmt: skip
def test_windows_over_children(case: Case) -> None:
    assert_model_counts_what_is_executed(case)


@FEW
@given(case=cut_cases(families=("conv1d", "transposed", "skewed"), primes=(2, 3, 5), spatial=True))
def test_windows_over_children_and_results_with_gaps(case: Case) -> None:
    assert_model_counts_what_is_executed(case)


@FEW
@given(case=imperfect_cases())
def test_what_arrives_at_tiles_is_what_a_walker_over_sets_of_words_finds(case: Case) -> None:
    """Every level keeps everything here."""
    nest = LoopNest.of(case.problem, case.mapping, case.architecture)
    for s, space in enumerate(case.problem.dataspaces):
        walker, walk = ImperfectWalker(case.problem, case.mapping, space), CutWalk(nest, s, "refetch")
        assert [walk.received(level) for level in range(case.levels - 1)] == [
            walker.fills(level) for level in range(case.levels - 1)
        ]
        assert [walk.seen(level) for level in range(case.levels)] == [
            walker.first_visits(level) for level in range(case.levels)
        ]


@FEW
@given(case=cut_cases(families=DENSE))
def test_numbers_move_as_they_are_counted(case: Case) -> None:
    if not LoopNest.of(case.problem, case.mapping).cut:
        return
    done = execute(case.problem, case.mapping, operands(case.problem), case.architecture)
    counted = count_accesses(case.problem, case.architecture, case.mapping, CountingRules("overlap"))
    assert done.steps == counted.cycles
    tables = (*case.mapping.spatial_x, *case.mapping.spatial_y)
    across = {d for row in tables for d, n in zip(case.problem.dimensions, row, strict=True) if n > 1}
    for s, space in enumerate(case.problem.dataspaces):
        if space.read_write and across - space.dimensions:  # an idle child hands its sums over early, not with the rest
            continue
        for name in ("reads", "fills", "updates"):
            moved = [row[s] for row in getattr(done.traffic, name)]
            assert moved == [row[s] for row in counted.totals(name)], (name, space.name)


@FEW
@given(timed_=cut_timed())
def test_turns_that_are_added_up_come_to_what_they_do_one_by_one(timed_) -> None:
    case, model = timed_
    one, all_ = (
        simulate_timing(case.problem, case.architecture, case.mapping, model, repeat=repeat) for repeat in (True, False)
    )
    assert one.cycles == pytest.approx(all_.cycles, rel=1e-6)
    np.testing.assert_allclose(one.timeline[-1], all_.timeline[-1], rtol=1e-6)
    assert one.compute_cycles == count_accesses(case.problem, case.architecture, case.mapping).cycles <= one.cycles


@FEW
@given(timed_=timed(families=DENSE))
def test_perfect_factors_take_the_same_time_either_way(timed_) -> None:
    case, model = timed_
    even = simulate_timing(case.problem, case.architecture, case.mapping, model)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LoopNest, "cut", True)
        listed = simulate_timing(case.problem, case.architecture, case.mapping, model)
    assert listed.cycles == pytest.approx(even.cycles, rel=1e-9)


def test_time_of_a_short_tile_by_hand() -> None:
    # 7 words of weights in tiles of 4 and 3, each used for 2 x words cycles; 1 word a cycle comes in, 10 cycles late.
    inner = block(t={"P": 2, "C": 4}, bypass="Inputs Outputs", write_bandwidth=1.0)
    case = make_case(conv(), "CP", inner, block(t={"C": 2}, kind="DRAM"))
    case = replace(case, problem=replace(case.problem, bounds=(7, *case.problem.bounds[1:])))
    found = simulate_timing(
        case.problem, case.architecture, case.mapping, dlco.simulate.TimingModel(copies=1, dram_latency=10.0)
    )
    assert found.compute_cycles == 14
    assert found.cycles == (10 + 4) + 8 + (10 + 3) + 6
    assert [one.words for one in found.transfers] == [4, 3]


def test_a_layer_of_real_size() -> None:
    """1000 features, four of each PE at a time, over 16 of its columns: 15.6 rounds of 64."""
    layer, machine = dlco.linear("fc", C=64, M=1000), generic()
    sizes = {"RegisterFile": {"M": 4}, "GlobalBuffer": {"C": 4}, "DRAM": {"C": 2, "M": 16}}
    dims, levels = layer.problem.dimensions, tuple(level.name for level in machine.levels)

    def row(**bounds: int) -> tuple[int, ...]:
        return tuple(bounds.get(dim, 1) for dim in dims)

    mapping = Mapping(
        dims, levels, tuple(row(**sizes[level]) for level in levels), (row(), row(C=8), row()),
        (row(), row(M=16), row()), (dims,) * 3, (dims,) * 3, (frozenset(),) * 3,
    )  # fmt: skip
    cost, executed = evaluate(layer, machine, mapping), count_accesses(layer, machine, mapping)
    assert executed.cycles == cost.compute_cycles == 64 // 8 * 64
    for name in ("reads", "updates"):
        totals = getattr(cost.counts, name) * cost.counts.instances[:, None]
        assert [list(row) for row in executed.totals(name)] == [
            [pytest.approx(n) for n in row] for row in totals.tolist()
        ]
    assert simulate_timing(layer, machine, mapping).cycles >= cost.cycles


def test_memories_in_parts() -> None:
    whole = make_case(
        conv(), "CMP", block(t={"P": 4}, x={"M": 2}), block(t={"C": 3}, x={"C": 2}), block(t={"M": 2, "P": 2})
    )
    problem = replace(whole.problem, bounds=tuple({6: 5, 4: 3, 8: 7}.get(n, n) for n in whole.problem.bounds))
    order = [(level, space.name) for level in ("RF", "GLB") for space in problem.dataspaces]
    apart = split(whole.architecture, order, {})
    m, ones = whole.mapping, (1,) * len(problem.dimensions)
    first = [apart.parts[i] == i for i in range(len(apart.levels))]
    of = {level.name: i for i, level in enumerate(whole.architecture.levels)}

    def rows(table: tuple, empty: tuple) -> tuple:
        return tuple(
            table[of[level.memory or level.name]] if own else empty
            for level, own in zip(apart.levels, first, strict=True)
        )

    names = [space.name for space in problem.dataspaces]
    mapping = Mapping(
        m.dimensions,
        tuple(level.name for level in apart.levels),
        rows(m.temporal, ones), rows(m.spatial_x, ones), rows(m.spatial_y, ones),
        rows(m.order, m.dimensions), rows(m.spatial_order, m.dimensions),
        tuple(frozenset(names) - {x.name.split("_")[-1]} if x.memory else frozenset() for x in apart.levels),
    )  # fmt: skip
    joint = count_accesses(problem, whole.architecture, m)
    parts = count_accesses(problem, apart, mapping)
    for name in ("reads", "fills", "updates"):
        together = [[0] * len(names) for _ in whole.architecture.levels]
        for level, row in zip(apart.levels, parts.totals(name), strict=True):
            own = together[of[level.memory or level.name]]
            own[:] = [a + b for a, b in zip(own, row, strict=True)]
        assert [tuple(row) for row in together] == list(joint.totals(name)), name
    modelled = evaluate(problem, apart, mapping).counts
    assert parts.totals("fills")[0] == pytest.approx((modelled.fills[0] * modelled.instances[0]).tolist())


def test_what_cannot_be_executed() -> None:
    layer = conv2d("x", C=1, M=2, R=3, S=1, P=3, Q=1)
    case = make_case(conv(), "CMRP", block(t={"R": 3, "P": 2}), block(t={"P": 2, "M": 2}))
    for rules in (TIMELOOP_RULES, CountingRules("timeloop"), CountingRules("refetch", neighbour_forwarding=True)):
        with pytest.raises(NotSupported, match="executed under refetch and overlap without forwarding alone"):
            count_accesses(layer, case.architecture, case.mapping, rules)
    spaces = (
        Dataspace("Inputs", ((("P", 1),), (("P", 1),))),
        Dataspace("Outputs", ((("P", 1),), (("P", 1),)), read_write=True),
    )
    twice = Problem(("P",), (3,), spaces)
    machine = dlco.Architecture((dlco.Level("RF"), dlco.Level("DRAM")))
    one = ((1,),) * 2
    mapping = Mapping(("P",), ("RF", "DRAM"), ((2,), (2,)), one, one, (("P",),) * 2, (("P",),) * 2, (frozenset(),) * 2)
    with pytest.raises(NotSupported, match="Outputs names a dimension twice"):
        count_accesses(twice, machine, mapping)


def test_too_many_runs_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    layer = matmul("mm", M=5, K=1, N=1)
    case = make_case(lambda sizes: matmul("mm", **sizes).problem, "MKNB", block(), block(t={"M": 3}), block(t={"M": 2}))
    assert simulate_timing(layer, case.architecture, case.mapping).compute_cycles == 5
    monkeypatch.setattr("dlco.simulate.course.MOST_RUNS", 4)
    with pytest.raises(NotSupported, match="take new tiles 6 times; up to 4 are simulated"):
        simulate_timing(layer, case.architecture, case.mapping)
