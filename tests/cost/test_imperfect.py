"""Factors that do not divide the bounds, against executed loop nests whose last tiles are cut short."""

from dataclasses import fields, replace
from math import prod

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dlco import conv1d, conv2d, evaluate, matmul
from dlco.cost.imperfect import imperfect_cost
from dlco.cost.model import evaluate_totals
from dlco.cost.nest import positions
from dlco.cost.shape import compile_problem
from dlco.errors import InvalidMapping
from dlco.hardware.architecture import Architecture, Level
from dlco.mapping.kept import kept_table
from dlco.mapping.mapping import SPATIAL_X, SPATIAL_Y, TEMPORAL, Mapping
from dlco.simulate import count_accesses
from dlco.workload import Problem

from .cases import Case, block, cases, make_case
from .imperfect_walker import ImperfectWalker

COSTS = {
    "read_pj": 1.25,
    "write_pj": 2.5,
    "update_pj": 3.0,
    "leak_pj": 0.5,
    "read_bandwidth": 1.5,
    "write_bandwidth": 2,
}


@st.composite
def problems(draw: st.DrawFn) -> Problem:
    small = st.integers(1, 3)
    if draw(st.booleans()):
        return matmul("layer", M=draw(st.integers(1, 7)), K=draw(st.integers(1, 7)), N=draw(small)).problem
    sizes = {"C": draw(small), "M": draw(small), "P": draw(st.integers(1, 7)), "R": draw(st.integers(1, 4))}
    return conv1d("layer", **sizes, stride=draw(small), dilation=draw(st.integers(1, 2))).problem


@st.composite
def imperfect_cases(draw: st.DrawFn) -> Case:
    """A small layer whose bounds are covered, not divided, by the factors of two or three levels."""
    problem = draw(problems())
    dims, levels = problem.dimensions, draw(st.integers(2, 3))
    factors = [[[1] * len(dims) for _ in range(3)] for _ in range(levels)]
    for d, bound in enumerate(problem.bounds):
        tiles = bound
        for level in range(levels):
            axis = draw(st.sampled_from((SPATIAL_X, SPATIAL_Y, None)))
            for slot in (SPATIAL_X, SPATIAL_Y, TEMPORAL):
                if slot in (axis, TEMPORAL):
                    outermost = (level, slot) == (levels - 1, TEMPORAL)
                    factors[level][slot][d] = tiles if outermost else draw(st.integers(1, tiles))
                    tiles = -(-tiles // factors[level][slot][d])

    def table(slot: int) -> tuple[tuple[int, ...], ...]:
        return tuple(tuple(level[slot]) for level in factors)

    names = tuple(f"L{i}" for i in range(levels))
    orders = tuple(tuple(draw(st.permutations(dims))) for _ in range(levels))
    mapping = Mapping(
        dims,
        names,
        table(TEMPORAL),
        table(SPATIAL_X),
        table(SPATIAL_Y),
        orders,
        (dims,) * levels,
        (frozenset(),) * levels,
    )
    machine = Architecture(
        tuple(
            Level(name, fanout_x=prod(level[SPATIAL_X]), fanout_y=prod(level[SPATIAL_Y]), **COSTS)
            for name, level in zip(names, factors, strict=True)
        )
    )
    return Case(problem, machine, mapping)


@given(case=imperfect_cases())
def test_macs_steps_and_tiles_are_those_of_the_executed_nest(case: Case) -> None:
    cost = evaluate(case.problem, case.architecture, case.mapping)
    walkers = [ImperfectWalker(case.problem, case.mapping, space) for space in case.problem.dataspaces]
    assert cost.mac_pj.item() == pytest.approx(walkers[0].macs() * case.architecture.mac_pj, rel=1e-12)
    assert walkers[0].macs() == case.problem.macs
    unhurried = replace(
        case.architecture,
        levels=tuple(Level(x.name, fanout_x=x.fanout_x, fanout_y=x.fanout_y) for x in case.architecture.levels),
    )
    assert evaluate(case.problem, unhurried, case.mapping).cycles.item() == walkers[0].cycles()
    tiles = [[walker.largest_tile(level) for walker in walkers] for level in range(case.levels)]
    assert cost.counts.tile.tolist() == tiles
    assert cost.valid.item()


@given(case=imperfect_cases())
def test_words_moved_are_those_of_the_executed_nest(case: Case) -> None:
    counts = evaluate(case.problem, case.architecture, case.mapping).counts
    instances = counts.instances[:, None]
    reads, fills, updates = (table * instances for table in (counts.reads, counts.fills, counts.updates))
    for s, space in enumerate(case.problem.dataspaces):
        walker = ImperfectWalker(case.problem, case.mapping, space)
        for level in range(case.levels):
            filled = walker.fills(level) if level < case.levels - 1 else 0
            first = walker.first_visits(level) if space.read_write else 0
            asked, close = walker.asked(level), {"rel": 1e-9, "abs": 1e-9}
            assert reads[level, s].item() == pytest.approx(asked - first, **close), (space.name, level)
            assert updates[level, s].item() == pytest.approx(asked * space.read_write, **close), (space.name, level)
            assert fills[level, s].item() == pytest.approx(max(0, filled - first), **close), (space.name, level)


@pytest.mark.parametrize(("rows", "asked"), [(5, 3), (6, 4), (7, 4), (8, 4)])
def test_children_who_share_their_words_ask_as_often_as_the_first_of_them(rows: int, asked: int) -> None:
    """Pairs of rows on two children, who both take the weights past a level that bypasses them: one row is alone."""
    inner = block(t={"M": 2}, bypass="Weights")
    case = make_case(lambda sizes: matmul("mm", **sizes).problem, "MKNB", inner, block(t={"M": 2}, x={"M": 2}), block())
    problem = replace(case.problem, bounds=tuple(rows if d == "M" else 1 for d in case.problem.dimensions))
    assert evaluate(problem, case.architecture, case.mapping).counts.reads[1, 0].item() == asked
    assert count_accesses(problem, case.architecture, case.mapping).reads[1][0] == asked


@given(case=imperfect_cases())
def test_no_instance_writes_faster_than_its_bandwidth(case: Case) -> None:
    cost = evaluate(case.problem, case.architecture, case.mapping)
    for level in range(case.levels - 1):
        words = sum(
            ImperfectWalker(case.problem, case.mapping, space).most_filled(level)
            for space in case.problem.dataspaces
            if not space.read_write
        )
        assert cost.level_cycles[level].item() >= words / COSTS["write_bandwidth"] - 1e-9


@given(case=cases(primes=(2, 3, 5)))
def test_perfect_mappings_cost_the_same_to_the_last_bit(case: Case) -> None:
    machine = replace(case.architecture, levels=tuple(replace(level, **COSTS) for level in case.architecture.levels))
    plain = evaluate(case.problem, machine, case.mapping)
    kept = kept_table(case.problem, None, case.mapping.bypass)
    other = imperfect_cost(case.problem, machine.tensors(), kept, case.mapping.batch())
    for field in fields(plain):
        if field.name != "counts":
            assert torch.equal(getattr(plain, field.name), getattr(other, field.name)), field.name
    for field in fields(plain.counts):
        assert torch.equal(getattr(plain.counts, field.name), getattr(other.counts, field.name)), field.name


@given(case=imperfect_cases())
def test_batches_have_the_same_totals(case: Case) -> None:
    cost = evaluate(case.problem, case.architecture, case.mapping)
    batch = case.mapping.batch()
    totals = evaluate_totals(
        compile_problem(case.problem),
        case.architecture.tensors(),
        kept_table(case.problem, case.architecture),
        batch.factors.expand(3, -1, -1, -1),
        positions(batch.order).expand(3, -1, -1),
        bounds=torch.tensor(case.problem.bounds),
    )
    assert totals.cycles.tolist() == [cost.cycles.item()] * 3
    assert totals.energy_pj.tolist() == [cost.energy_pj.item()] * 3
    assert totals.overflow.tolist() == [0.0] * 3


def test_nonsense_is_refused() -> None:
    layer = conv2d("layer", C=1, M=7, R=1, S=1, P=13, Q=1)
    machine = Architecture((Level("RF", capacity=20), Level("DRAM", fanout_x=4)))
    dims = layer.problem.dimensions

    def mapping(x: int, inner: int, outer: int) -> Mapping:
        def row(**factors: int) -> tuple[int, ...]:
            return tuple(factors.get(d, 1) for d in dims)

        return Mapping(
            dims,
            ("RF", "DRAM"),
            (row(P=inner), row(P=outer, M=7)),
            (row(), row(P=x)),
            (row(), row()),
            (dims, dims),
            (dims, dims),
            (frozenset(),) * 2,
        )

    good = mapping(4, 2, 2)
    cost = evaluate(layer, machine, good)
    assert cost.cycles.item() == 7 * 4  # 2 x 4 x 2 = 16 places for 13 rows: the second run keeps the first child busy
    assert cost.utilization.item() == pytest.approx(7 * 13 / 4 / 28)
    with pytest.raises(InvalidMapping, match="factors of P multiply to 8; they must multiply to its bound 13"):
        evaluate(layer, machine, mapping(4, 2, 1))
    with pytest.raises(InvalidMapping, match=r"factors of P multiply to 24; .* bound 13, or .* \(3 at DRAM counts 2\)"):
        evaluate(layer, machine, mapping(4, 2, 3))
    with pytest.raises(InvalidMapping, match="need 5 children"):
        evaluate(layer, machine, mapping(5, 2, 2))
    with pytest.raises(InvalidMapping, match="tile at RF needs 21 words"):
        evaluate(layer, machine, mapping(1, 10, 2))
