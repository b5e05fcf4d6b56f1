"""Imperfect factors under Timeloop's rules, against its own recursion without shortcuts and against hand counts."""

from dataclasses import replace
from math import prod

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dlco import conv1d, matmul
from dlco.cost.executed import timeloop_figures
from dlco.cost.model import evaluate
from dlco.cost.residual import CutNest, Walk
from dlco.errors import InvalidInput, InvalidMapping, NotSupported
from dlco.hardware.architecture import Architecture, Level
from dlco.mapping.mapping import SPATIAL_X, SPATIAL_Y, TEMPORAL, Mapping, MappingBatch
from dlco.mapping.rules import TIMELOOP_RULES, CountingRules
from dlco.mapping.tiles import residuals
from dlco.workload import Layer

from .cases import Case, cases
from .test_imperfect import COSTS, imperfect_cases
from .timeloop_walker import TimeloopWalker


@st.composite
def chains(draw: st.DrawFn) -> Case:
    """Rows of a convolution in up to three loops each that do not divide them, in time or side by side."""
    outputs, taps = draw(st.integers(5, 60)), draw(st.integers(1, 5))
    layer = conv1d("layer", C=draw(st.integers(1, 2)), M=1, P=outputs, R=taps, stride=draw(st.integers(1, 3)))
    dims = layer.problem.dimensions
    tables = [[[1] * len(dims) for _ in range(3)] for _ in range(3)]  # [levels][slots][dims]
    for dim, bound in layer.problem.sizes.items():
        left = bound
        for level in range(3):
            slot = draw(st.sampled_from((TEMPORAL, TEMPORAL, SPATIAL_X, SPATIAL_Y))) if level < 2 else TEMPORAL
            factor = min(left, draw(st.integers(1, 5))) if level < 2 else left
            tables[level][slot][dims.index(dim)] = factor
            left = -(-left // factor)
    names = ("L0", "L1", "L2")
    orders = tuple(tuple(draw(st.permutations(dims))) for _ in names)
    bypass = tuple(
        frozenset(draw(st.sets(st.sampled_from(("Weights", "Inputs", "Outputs"))))) if level < 2 else frozenset()
        for level in range(3)
    )
    time, x, y = (tuple(tuple(level[slot]) for level in tables) for slot in (TEMPORAL, SPATIAL_X, SPATIAL_Y))
    mapping = Mapping(dims, names, time, x, y, orders, (dims,) * 3, bypass)
    levels = (Level(n, fanout_x=prod(a), fanout_y=prod(b), **COSTS) for n, a, b in zip(names, x, y, strict=True))
    return Case(layer.problem, Architecture(tuple(levels)), mapping)


@given(
    case=st.one_of(chains(), chains(), imperfect_cases(), cases(primes=(2, 3))),
    links=st.booleans(),
    wider=st.integers(0, 2),
)
@settings(max_examples=150, deadline=None)
def test_every_step_is_timeloops(case: Case, links: bool, wider: int) -> None:
    if case.problem.macs > 5000:
        return
    nest = CutNest.of(case.problem, case.mapping)
    meshes = [(level.fanout_x + wider, level.fanout_y + wider // 2) for level in case.architecture.levels]
    for space in case.problem.dataspaces:
        walker = TimeloopWalker(case.problem, case.mapping, space, meshes, links)
        for level, (width, height) in enumerate(meshes):
            tally, theirs = Walk(nest, level, space, width, links, height).tally(), walker.level(level)
            assert (+tally.groups, tally.linked) == (+theirs.groups, theirs.linked), (space.name, level)
            assert {key: hops for key, hops in tally.hops.items() if hops} == dict(+theirs.hops), (space.name, level)
            if nest.spatial(level):
                assert tally.spread == theirs.size
            if level:
                assert tally.tile == walker.tile(level - 1)
        macs = Walk(nest, 0, space, meshes[0][0], links).tally()
        assert (macs.runs, macs.most) == (sum(walker.runs.values()), len(walker.runs))


LINKLESS = CountingRules("timeloop")


def nested(layer: Layer, *levels: dict[str, dict[str, int]]) -> tuple[Architecture, Mapping]:
    """A mapping of levels, each of time and x factors by dimension, on a machine that fits it."""
    dims, names = layer.problem.dimensions, tuple(f"L{i}" for i in range(len(levels)))
    time, x = (tuple(tuple(level.get(slot, {}).get(d, 1) for d in dims) for level in levels) for slot in ("time", "x"))
    ones = ((1,) * len(dims),) * len(levels)
    mapping = Mapping(
        dims, names, time, x, ones, (dims,) * len(names), (dims,) * len(names), (frozenset(),) * len(names)
    )
    return Architecture(tuple(Level(n, fanout_x=prod(row), **COSTS) for n, row in zip(names, x, strict=True))), mapping


def test_residuals_are_the_digits_of_the_last_place() -> None:
    assert residuals(7, [4, 2]) == [3, 2]
    assert residuals(23, [2, 5, 3]) == [1, 2, 3]
    assert residuals(12, [4, 3]) == [4, 3]
    assert residuals(1, [1, 1]) == [1, 1]
    assert residuals(9, [4, 2])[-1] > 2  # they do not cover it


def test_every_word_is_read_once_where_nothing_comes_again() -> None:
    """17 rows in two runs of five pairs: the last run has four, the last pair one row."""
    layer = matmul("mm", M=17, K=1, N=1)
    machine, mapping = nested(layer, {"time": {"M": 2}}, {"time": {"M": 5}}, {"time": {"M": 2}})
    cost = evaluate(layer, machine, mapping, TIMELOOP_RULES)
    assert cost.counts.fills[0, 1].item() == cost.counts.reads[1, 1].item() == 17
    assert cost.counts.tile[:, 1].tolist() == [2, 10, 17]
    assert cost.counts.computes.item() == 17
    assert cost.compute_cycles.item() == 2 * 5 * 2  # loops are charged to their ends
    assert cost.utilization.item() == 17 / cost.cycles.item()


def test_a_window_slides_on_to_the_end_of_a_cut_loop() -> None:
    """Windows of 3 over 11 places in runs of 6 and 5: whole at the start of a run, then a word a step."""
    layer = conv1d("conv", C=1, M=2, P=11, R=3)
    machine, mapping = nested(layer, {"time": {"R": 3}}, {"time": {"P": 6}, "x": {"M": 2}}, {"time": {"P": 2}})
    for rules in (LINKLESS, TIMELOOP_RULES):
        counts = evaluate(layer, machine, mapping, rules).counts
        assert counts.reads[1, 1].item() == counts.fills[0, 1].item() == (3 + 5) + (3 + 4)


def test_idle_instances_count_as_no_part_of_one() -> None:
    """7 rows on 4 children: 4, then 3; 3.5 on average, of which Timeloop charges 3."""
    layer = matmul("mm", M=7, K=1, N=1)
    machine, mapping = nested(layer, {}, {"x": {"M": 4}}, {"time": {"M": 2}})
    cost = evaluate(layer, machine, mapping, TIMELOOP_RULES)
    assert cost.counts.instances.tolist() == [3, 1, 1]
    assert cost.counts.reads[:, 1].tolist() == [2, 7, 7]  # the first child works twice
    assert cost.counts.fills[:, 1].tolist() == [1, 7, 0]  # 7 / 4, rounded down
    assert cost.mac_pj.item() == 2 * 3
    assert cost.leak_pj.tolist() == [0.5 * cost.cycles.item() * n for n in (3, 1, 1)]


def test_bandwidth_is_charged_with_the_mean_instance() -> None:
    layer = matmul("mm", M=7, K=3, N=2)
    machine, mapping = nested(layer, {"time": {"K": 3, "N": 2}}, {"x": {"M": 4}}, {"time": {"M": 2}})
    slow = replace(
        machine, levels=(replace(machine.levels[0], read_bandwidth=0.5, write_bandwidth=1e9), *machine.levels[1:])
    )
    cost = evaluate(layer, slow, mapping, TIMELOOP_RULES)
    assert cost.counts.reads[0].tolist() == [12, 12, 9]
    assert cost.level_cycles[0].item() == (9 + 9 + 7) / 0.5  # three quarters of each, rounded up


@given(case=imperfect_cases(), links=st.booleans())
@settings(max_examples=30)
def test_batches_are_their_mappings(case: Case, links: bool) -> None:
    rules = TIMELOOP_RULES if links else LINKLESS
    single = evaluate(case.problem, case.architecture, case.mapping, rules)
    batch = evaluate(case.problem, case.architecture, MappingBatch.stack([case.mapping] * 2, torch.int64), rules)
    for name in ("cycles", "energy_pj", "utilization", "valid", "level_cycles"):
        assert torch.equal(getattr(batch, name)[1], getattr(single, name)), name
    assert torch.equal(batch.counts.reads[0], single.counts.reads)
    assert batch.valid.all()


def test_a_batch_of_perfect_and_imperfect_mappings() -> None:
    """The perfect ones cost what they cost alone; what leaves work out is not valid."""
    layer = matmul("mm", M=6, K=2, N=2)
    machine, perfect = nested(layer, {"time": {"K": 2}}, {"x": {"M": 3}}, {"time": {"M": 2, "N": 2}})
    machine = replace(machine, levels=tuple(replace(level, fanout_x=4) for level in machine.levels))
    cut = replace(perfect, spatial_x=(perfect.spatial_x[0], (1, 4, 1, 1), perfect.spatial_x[2]))
    short = replace(perfect, temporal=(*perfect.temporal[:2], (1, 1, 1, 2)))
    batch = MappingBatch.stack([perfect, cut, short])
    for rules in (CountingRules(), LINKLESS, TIMELOOP_RULES):
        cost = evaluate(layer, machine, batch, rules)
        assert cost.valid.tolist() == [True, True, False]
        for i, mapping in enumerate((perfect, cut)):
            alone = evaluate(layer, machine, mapping, rules)
            assert (cost.energy_pj[i], cost.cycles[i]) == (alone.energy_pj, alone.cycles)


def test_what_is_not_defined_is_refused() -> None:
    layer = matmul("mm", M=7, K=1, N=1)
    machine, mapping = nested(layer, {"time": {"M": 4}}, {"time": {"M": 2}})
    for rules in (CountingRules("overlap"), CountingRules(neighbour_forwarding=True)):
        with pytest.raises(NotSupported, match="only the default rules and Timeloop's are defined"):
            evaluate(layer, machine, mapping, rules)
    numbers = machine.tensors()
    two = replace(numbers, **{name: torch.stack([value] * 2) for name, value in vars(numbers).items()})
    with pytest.raises(InvalidInput, match="one machine at a time; machine is a batch"):
        evaluate(layer, two, mapping, LINKLESS)
    machine, mapping = nested(layer, {}, {"x": {"M": 2}}, {"time": {"M": 2}})
    both = replace(mapping, spatial_y=((1,) * 4, (1, 2, 1, 1), (1,) * 4))
    machine = replace(machine, levels=tuple(replace(level, fanout_y=2) for level in machine.levels))
    assert evaluate(layer, machine, both).compute_cycles.item() == 2
    with pytest.raises(NotSupported, match="M is split along both X and Y of L1, and cut short along X"):
        evaluate(layer, machine, both, LINKLESS)
    nowhere = MappingBatch.stack(
        [replace(mapping, temporal=((1,) * 4, (1,) * 4, (1, 4, 1, 1)), bypass=(frozenset({"Inputs"}),) * 3)]
    )
    with pytest.raises(InvalidMapping, match="Inputs is kept at no level"):
        evaluate(matmul("mm", M=7, K=1, N=1), machine, nowhere, LINKLESS)
    children = 2**21
    wide = matmul("wide", M=children + 1, K=1, N=1)
    machine, mapping = nested(wide, {}, {"x": {"M": children}}, {"time": {"M": 2}})
    with pytest.raises(NotSupported, match=f"L1 serves {children} children"):
        evaluate(wide, machine, mapping, LINKLESS)


def test_recorded_perfect_mappings_are_executed_alike() -> None:
    """The execution and the closed forms, which recorded figures pin down, agree where factors divide the bounds."""
    layer = conv1d("conv", C=2, M=4, P=12, R=3, stride=2)
    machine, mapping = nested(
        layer, {"time": {"R": 3, "P": 2}}, {"time": {"P": 3}, "x": {"M": 2}}, {"time": {"M": 2, "P": 2, "C": 2}}
    )
    closed = evaluate(layer, machine, mapping, TIMELOOP_RULES).counts
    kept, widths = [[True] * 3] * 3, [level.fanout_x for level in machine.levels]
    run = timeloop_figures(layer.problem, mapping, kept, widths)
    for name in ("reads", "fills", "updates", "partition", "tile", "instances"):
        assert getattr(closed, name).tolist() == getattr(run, name), name
