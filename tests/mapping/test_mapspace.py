from dataclasses import replace
from itertools import permutations, product
from math import factorial, prod

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from dlco.errors import InvalidInput
from dlco.hardware.architecture import Architecture, Level
from dlco.mapping import Constraints, MappingBatch, MapSpace, SlotConstraint, check_mapping
from dlco.mapping.constraints import resolve
from dlco.mapping.factors import prime_factors
from dlco.workload.problem import Dataspace, Problem

TINY = Problem(("A", "B"), (4, 6), (Dataspace("T", ((("A", 1),), (("B", 1),)), read_write=True),))
PAIR = Architecture((Level("In"), Level("Out", fanout_x=4, fanout_y=4)))


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def divisors(n: int) -> list[int]:
    return [d for d in range(1, n + 1) if n % d == 0]


@st.composite
def slot_constraints(draw, level: str, kind: str) -> SlotConstraint:
    dims = st.lists(st.sampled_from(TINY.dimensions), unique=True).map(tuple)
    exact = tuple((dim, draw(st.sampled_from(divisors(TINY.sizes[dim])))) for dim in draw(dims))
    at_most = tuple((dim, max(draw(st.integers(1, 4)), dict(exact).get(dim, 1))) for dim in draw(dims))
    axis_x = draw(dims) if kind == "spatial" else ()
    axis_y = tuple(dim for dim in draw(dims) if dim not in axis_x) if kind == "spatial" else ()
    return SlotConstraint(level, kind, exact, at_most, draw(dims), axis_x, axis_y)


def met(table: tuple, constraints: Constraints) -> bool:
    """Whether factors `[level][axis][dim]` meet constraints on TINY and PAIR, from the words of the docstring."""
    for i, level in enumerate(PAIR.levels):
        for d, dim in enumerate(TINY.dimensions):
            time, x, y = (table[i][axis][d] for axis in range(3))
            if x > 1 and y > 1:
                return False
            for kind, factor in (("temporal", time), ("spatial", x * y)):
                slot = constraints.slot(level.name, kind)
                if dict(slot.exact).get(dim, factor) != factor or factor > dict(slot.at_most).get(dim, factor):
                    return False
                if (dim in slot.axis_x and y > 1) or (dim in slot.axis_y and x > 1):
                    return False
    return True


def all_tables(constraints: Constraints) -> set[tuple]:
    """Every factor table of TINY on PAIR that meets the constraints, by trying all of them."""
    cells = [(0, 0), (1, 0), (1, 1), (1, 2)]
    splits = [
        [split for split in product(divisors(bound), repeat=len(cells)) if prod(split) == bound]
        for bound in TINY.bounds
    ]
    tables = set()
    for per_dim in product(*splits):
        table = [[[1] * len(TINY.bounds) for _ in range(3)] for _ in PAIR.levels]
        for d, split in enumerate(per_dim):
            for (level, axis), factor in zip(cells, split, strict=True):
                table[level][axis][d] = factor
        frozen = nested(table)
        if met(frozen, constraints):
            tables.add(frozen)
    return tables


def nested(table: list) -> tuple:
    return tuple(tuple(tuple(int(f) for f in row) for row in level) for level in table)


def tables_of(space: MapSpace, assignment: torch.Tensor) -> list[tuple]:
    return [nested(table) for table in space.factors(assignment).tolist()]


@settings(deadline=None, max_examples=60)
@given(
    inner=slot_constraints("In", "temporal"),
    outer=slot_constraints("Out", "temporal"),
    spatial=slot_constraints("Out", "spatial"),
)
def test_the_space_is_what_trying_everything_finds(inner, outer, spatial):
    constraints = Constraints((inner, outer, spatial))
    assume(all(factor <= TINY.sizes[dim] for slot in constraints.slots for dim, factor in slot.exact))
    try:
        resolve(constraints, TINY, PAIR)
    except InvalidInput:
        assume(False)
    truth = all_tables(constraints)
    if not truth:
        with pytest.raises(InvalidInput, match="leave no way to split its bound"):
            MapSpace.of(TINY, PAIR, constraints)
        return
    space = MapSpace.of(TINY, PAIR, constraints)
    everything = torch.tensor(list(product(range(len(space.slots)), repeat=len(space.primes))))
    inside = everything[space.contains(everything)]
    assert set(tables_of(space, inside)) == truth

    orders = prod(
        sum(order[: len(slot.innermost)] == slot.innermost for order in permutations(TINY.dimensions))
        for slot in (inner, outer)
    )
    assert space.size == len(truth) * orders

    encoded = space.assignment_of(torch.tensor(sorted(truth), dtype=torch.float64))
    assert space.contains(encoded).all()
    assert tables_of(space, encoded) == sorted(truth)

    assignment, order = space.random(300, seeded())
    assert set(tables_of(space, assignment)) <= truth
    for row, slot in ((0, inner), (1, outer)):
        lead = [TINY.dimensions.index(dim) for dim in slot.innermost]
        assert (order[:, row, : len(lead)] == torch.tensor(lead)).all()
    assert (order.sort(-1).values == torch.arange(2)).all()
    assert space.spatial_order[1, : len(spatial.innermost)].tolist() == [
        TINY.dimensions.index(dim) for dim in spatial.innermost
    ]


def test_without_constraints_sampling_reaches_every_mapping():
    space = MapSpace.of(TINY, PAIR)
    assignment, order = space.random(20_000, seeded())
    seen = set(zip(tables_of(space, assignment), map(str, order.tolist()), strict=True))
    assert len(seen) == space.size


def test_units_and_orders_are_drawn_uniformly():
    problem = Problem(("A", "B", "C"), (2, 1, 1), (Dataspace("T", ((("A", 1),),), read_write=True),))
    space = MapSpace.of(problem, PAIR)
    assignment, order = space.random(60_000, seeded())
    assert torch.allclose(assignment[:, 0].bincount() / 60_000, torch.full((4,), 1 / 4), atol=0.01)
    for level in range(2):
        code = (order[:, level] * torch.tensor([9, 3, 1])).sum(-1)
        counts = code.unique(return_counts=True)[1]
        assert torch.allclose(counts / 60_000, torch.full((6,), 1 / 6), atol=0.01)


def test_the_same_seed_draws_the_same_mappings(problem, machine):
    space = MapSpace.of(problem, machine)
    for first, second in zip(space.random(50, seeded(3)), space.random(50, seeded(3)), strict=True):
        assert torch.equal(first, second)
    assert not torch.equal(space.random(50, seeded(3))[0], space.random(50, seeded(4))[0])


def test_slots_are_the_temporal_loops_and_the_axes_with_a_fanout(problem, machine):
    assert MapSpace.of(problem, machine).slots == ((0, 0), (1, 0), (1, 1), (1, 2), (2, 0))
    one_axis = Architecture((Level("In"), Level("Out", fanout_y=2)))
    assert MapSpace.of(TINY, one_axis).slots == ((0, 0), (1, 0), (1, 2))


def test_free_fanouts_are_slots_whatever_their_size():
    flat = Architecture((Level("In"), Level("Out")))
    assert MapSpace.of(TINY, flat, free_fanout=[("Out", 1), ("Out", 2)]).slots == ((0, 0), (1, 0), (1, 1), (1, 2))
    with pytest.raises(InvalidInput, match="level is 'Cache'"):
        MapSpace.of(TINY, flat, free_fanout=[("Cache", 1)])


def test_units_are_the_primes_of_the_bounds(problem, machine):
    space = MapSpace.of(problem, machine)
    assert space.primes.tolist() == [2, 2, 2, 3, 2, 2, 2, 3]
    assert space.unit_dim.tolist() == [0, 0, 1, 1, 2, 2, 2, 3]


@given(st.integers(1, 10**6))
def test_prime_factors_are_primes_and_multiply_to_the_number(number):
    primes = prime_factors(number)
    assert prod(primes) == number
    assert all(prime > 1 and all(prime % d for d in range(2, int(prime**0.5) + 1)) for prime in primes)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.int64])
def test_factors_are_exact_in_any_dtype_and_batch_shape(problem, machine, dtype):
    space = MapSpace.of(problem, machine)
    assignment, _ = space.random(24, seeded())
    factors = space.factors(assignment.view(2, 3, 4, -1), dtype)
    assert factors.dtype == dtype
    assert factors.shape == (2, 3, 4, 3, 3, 4)
    assert (factors.flatten(-3, -2).prod(-2) == torch.tensor(problem.bounds)).all()
    assert torch.equal(space.factors(assignment[0], dtype), factors[0, 0, 0])
    assert torch.equal(space.factors(space.assignment_of(factors), dtype), factors)


def test_large_bounds_stay_exact():
    bounds = (2**31 - 1, 3**30)
    space = MapSpace.of(replace(TINY, bounds=bounds), PAIR)
    assignment, _ = space.random(1000, seeded())
    assert (space.factors(assignment, torch.int64).flatten(-3, -2).prod(-2) == torch.tensor(bounds)).all()
    assert torch.equal(space.factors(assignment).long(), space.factors(assignment, torch.int64))


def test_one_axis_sees_a_dimension_on_both_axes():
    space = MapSpace.of(TINY, PAIR)
    x, y = space.slots.index((1, 1)), space.slots.index((1, 2))
    units = torch.tensor([[x, y, 0, 0], [x, x, y, y], [x, 0, y, 0], [0, 0, x, y]])
    assert space.one_axis(units).tolist() == [False, True, True, False]
    assert space.contains(units).tolist() == [False, True, True, False]


def test_a_problem_of_ones_has_only_orders(machine, problem):
    space = MapSpace.of(replace(problem, bounds=(1, 1, 1, 1)), machine)
    assert space.size == factorial(4) ** 3
    assignment, order = space.random(5, seeded())
    assert assignment.shape == (5, 0)
    assert (space.batch(assignment, order).factors == 1).all()
    assert torch.equal(space.assignment_of(space.factors(assignment)), assignment)
    assert space.contains(assignment).all()


def test_mappings_go_to_batches_and_back(problem, machine):
    constraints = Constraints(
        (SlotConstraint("Buffer", "spatial", innermost=("R", "P")),), bypass=(("Buffer", frozenset({"Inputs"})),)
    )
    space = MapSpace.of(problem, machine, constraints)
    assignment, order = space.random(20, seeded())
    batch = space.batch(assignment, order)
    assert batch.bypass == (frozenset(), frozenset({"Inputs"}), frozenset())
    mappings = [batch.mapping(i) for i in range(20)]
    assert all(mapping.spatial_order[1] == ("R", "P", "C", "M") for mapping in mappings)
    again = MappingBatch.stack(mappings)
    for name in ("factors", "order", "spatial_order"):
        assert torch.equal(getattr(again, name), getattr(batch, name))
    assert torch.equal(space.factors(space.assignment_of(again.factors)), batch.factors)


def test_random_valid_returns_only_what_fits(problem, machine):
    space = MapSpace.of(problem, machine)

    def fits(batch: MappingBatch) -> torch.Tensor:
        return (batch.factors[:, 1, 1].prod(-1) <= 4) & (batch.factors[:, 1, 2].prod(-1) <= 2)

    assignment, order = space.random_valid(100, seeded(), fits)
    assert len(assignment) == len(order) == 100
    roomy = replace(machine, levels=tuple(replace(level, capacity=1e9) for level in machine.levels))
    batch = space.batch(assignment, order)
    for i in range(100):
        check_mapping(problem, roomy, batch.mapping(i))


def test_random_valid_gives_up_after_max_tries(problem, machine):
    space = MapSpace.of(problem, machine)
    drawn = []

    def never(batch: MappingBatch) -> torch.Tensor:
        drawn.append(len(batch.factors))
        return torch.zeros(len(batch.factors), dtype=torch.bool)

    assignment, order = space.random_valid(10, seeded(), never, max_tries=10_000)
    assert sum(drawn) == 10_000
    assert assignment.shape == (0, len(space.primes))
    assert order.shape == (0, 3, 4)
    assert len(space.random_valid(10, seeded(), never, max_tries=0)[0]) == 0


def test_impossible_constraints_are_refused(problem, machine):
    spatial = Constraints((SlotConstraint("Registers", "spatial", exact=(("C", 2),)),))
    with pytest.raises(InvalidInput, match="exact factor of C of the spatial loops at Registers is 2; no fan-out"):
        MapSpace.of(problem, machine, spatial)
    everywhere = Constraints(
        tuple(
            SlotConstraint(lv.name, kind, at_most=(("R", 2),))
            for lv in machine.levels
            for kind in ("temporal", "spatial")
        )
    )
    with pytest.raises(InvalidInput, match="constraints on R leave no way to split its bound 3"):
        MapSpace.of(problem, machine, everywhere)


def test_limits_that_random_draws_cannot_meet_are_named(monkeypatch):
    monkeypatch.setattr("dlco.mapping.mapspace.MAX_REDRAWS", 3)
    problem = replace(TINY, bounds=(2**20, 2))
    constraints = Constraints((SlotConstraint("In", "temporal", at_most=(("A", 2),)),))
    with pytest.raises(InvalidInput, match="at_most of A is so tight that drawing does not meet it"):
        MapSpace.of(problem, PAIR, constraints).random(100, seeded())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda f: f[..., :1], "its last three must be"),
        (lambda f: f * 1.5, "factors must be integers of at least 1"),
        (lambda f: -f, "factors must be integers of at least 1"),
        (lambda f: f * torch.nan, "factors must be integers of at least 1"),
        (lambda f: f * 2, "factors of A multiply to"),
        (lambda f: f.flip(-3), "factors put A where the constraints leave it no loop"),
    ],
)
def test_factors_outside_the_space_are_refused(change, said):
    space = MapSpace.of(TINY, PAIR)
    x = space.slots.index((1, 1))
    with pytest.raises(InvalidInput, match=said):
        space.assignment_of(change(space.factors(torch.tensor([x, x, 0, 0]))))
