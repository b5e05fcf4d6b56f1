"""Constraints in the discrete search, against every mapping of tiny problems and a reading of its own of the words."""

from math import prod

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dlco import conv1d, conv2d, matmul
from dlco.cost.model import evaluate_many
from dlco.errors import InvalidInput
from dlco.hardware import eyeriss_like
from dlco.hardware.architecture import Architecture, Machine
from dlco.mapping import Constraints, SlotConstraint
from dlco.mapping.mapping import Mapping
from dlco.mapping.mapspace import MapSpace
from dlco.search.group import Group, make_groups
from dlco.search.items import Items
from dlco.search.local_search import Effort, local_search
from dlco.search.table import UNFIT, MappingTable
from dlco.search.unit_moves import UnitMoves, random_start
from dlco.workload import Layer

from ..exhaustive import every_mapping

EFFORT = Effort(rounds=60, patience=20, population=4, neighbours=16)


def meets(mapping: Mapping, constraints: Constraints) -> bool:
    """Whether a mapping keeps the constraints, read from its loops."""
    dims = mapping.dimensions
    for slot in constraints.slots:
        i = mapping.levels.index(slot.level)
        x, y = mapping.spatial_x[i], mapping.spatial_y[i]
        bounds = mapping.temporal[i] if slot.kind == "temporal" else [a * b for a, b in zip(x, y, strict=True)]
        if any(bounds[dims.index(dim)] != factor for dim, factor in slot.exact):
            return False
        if any(bounds[dims.index(dim)] > factor for dim, factor in slot.at_most):
            return False
        if any(x[dims.index(dim)] > 1 for dim in slot.axis_y) or any(y[dims.index(dim)] > 1 for dim in slot.axis_x):
            return False
        if slot.kind == "temporal" and mapping.order[i][: len(slot.innermost)] != slot.innermost:
            return False
    return True


def search(
    layers: list[Layer], architecture: Architecture, constraints: Constraints, prices: list[float], seed: int = 0
) -> tuple[Group, MappingTable, MappingTable]:
    """(group, random start, what the search makes of it), one item a layer and price."""
    (group,) = make_groups(layers, architecture, constraints=constraints)
    layer = torch.arange(len(layers)).repeat_interleave(len(prices))
    n = len(layer)
    machine = Machine(**{name: x.expand(n, 1, *x.shape) for name, x in vars(architecture.tensors()).items()})
    price = torch.tensor(prices, dtype=torch.float64).repeat(len(layers))
    never = torch.full_like(price, torch.inf)
    items = Items(layer, machine, price, never, never)
    generator = torch.Generator().manual_seed(seed)
    moves = UnitMoves(group, items)
    start = moves.assess(*random_start(group, layer, 8, generator))
    return group, start, local_search(moves, start.best(EFFORT.population), EFFORT, generator)[0]


TEMPORAL_DRAM = SlotConstraint("DRAM", "temporal", at_most=(("M", 2),), innermost=("M",))
CASES = {
    "exact": (matmul("layer", M=4, K=2, N=3), (SlotConstraint("Registers", "temporal", exact=(("M", 2), ("N", 1))),)),
    "spatial": (
        matmul("layer", M=4, K=2, N=3),
        (SlotConstraint("Buffer", "spatial", exact=(("M", 2), ("K", 1)), axis_y=("N",)),),
    ),
    "limits": (
        matmul("layer", M=4, K=2, N=3),
        (TEMPORAL_DRAM, SlotConstraint("Buffer", "spatial", at_most=(("M", 1), ("N", 1)))),
    ),
    "orders": (
        conv1d("layer", C=1, M=2, P=4, R=3, stride=2),
        (
            SlotConstraint("DRAM", "temporal", innermost=("P", "M", "R")),
            SlotConstraint("Buffer", "temporal", innermost=("M",)),
        ),
    ),
    "no loops in DRAM": (
        conv1d("layer", C=1, M=2, P=4, R=2),
        (SlotConstraint("DRAM", "temporal", exact=(("M", 1), ("P", 1), ("R", 1))),),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_reaches_the_best_of_all_mappings_that_meet_the_constraints(case: str, machine: Architecture) -> None:
    layer, slots = CASES[case]
    constraints = Constraints(slots)
    every = every_mapping(layer.problem, machine)
    keeps = torch.tensor([meets(every.mapping(i), constraints) for i in range(len(every.factors))])
    assert 0 < int(keeps.sum()) < len(keeps)
    totals = evaluate_many(layer.problem, machine, every)
    energy, cycles = totals.energy_pj[keeps], totals.cycles[keeps]
    rate = float(energy.min() / cycles.min())
    prices = [rate * multiple for multiple in (1e-6, 0.3, 1.0, 3.0, 1e4)]
    group, _, found = search([layer], machine, constraints, sorted(prices * 4))  # four searches a price
    best = found.merit[:, 0].view(len(prices), 4).amin(-1)
    for price, merit in zip(prices, best.tolist(), strict=True):
        assert merit == pytest.approx(float((energy + price * cycles).min()), rel=1e-12)
    for item, k in (found.merit < UNFIT).nonzero().tolist():
        assert meets(group.mapping(0, found.coding[item, k], found.position[item, k]), constraints)


LAYERS = [
    conv2d("a", C=6, M=8, P=4, Q=6, R=3, S=1),
    conv2d("b", C=12, M=4, P=7, Q=2, R=1, S=3, stride=2),
    conv2d("c", C=1, M=20, P=2, Q=4, R=3, S=3),
]


@st.composite
def some_constraints(draw: st.DrawFn) -> Constraints:
    slots = []
    for level in eyeriss_like().levels:
        for kind in ("temporal", "spatial"):
            dims = draw(st.lists(st.sampled_from("CMPQRS"), unique=True, max_size=4))
            fixed = draw(st.integers(0, len(dims)))
            free = [d for d in "CMPQRS" if d not in dims]
            slots.append(
                SlotConstraint(
                    level.name,
                    kind,
                    exact=tuple((dim, 1) for dim in dims[:fixed]),
                    at_most=tuple((dim, draw(st.integers(1, 4))) for dim in dims[fixed:]),
                    innermost=tuple(draw(st.permutations("CMPQRS")))[: draw(st.integers(0, 3))],
                    axis_x=tuple(free[:1]) if kind == "spatial" else (),
                )
            )
    return Constraints(tuple(slots))


@given(constraints=some_constraints(), seed=st.integers(0, 9))
@settings(max_examples=15, deadline=None)
def test_nothing_that_breaks_a_constraint_fits(constraints: Constraints, seed: int) -> None:
    architecture = eyeriss_like()
    try:
        group, start, found = search(LAYERS, architecture, constraints, [100.0], seed)
    except InvalidInput:  # constraints that leave no mapping
        return
    for population in (start, found):
        for item, k in (population.merit < UNFIT).nonzero().tolist():
            mapping = group.mapping(item, population.coding[item, k], population.position[item, k])
            assert meets(mapping, constraints)
            space = MapSpace.of(LAYERS[item].problem, architecture, constraints)
            own = population.coding[item, k, : len(space.primes)]
            assert bool(space.contains(own))
    for item, layer in enumerate(LAYERS):  # and what breaks one only because of its limits is known to
        space = MapSpace.of(layer.problem, architecture, constraints)
        inside = space.contains(start.coding[item, :, : len(space.primes)])
        assert bool((inside | (start.merit[item] >= UNFIT)).all())


def test_a_start_keeps_orders_and_slots_and_its_first_lies_as_far_out_as_it_may() -> None:
    constraints = Constraints(
        (
            SlotConstraint("DRAM", "temporal", exact=(("C", 1), ("M", 1)), innermost=("Q", "P")),
            SlotConstraint("shared_glb", "temporal", exact=(("M", 1),)),
        )
    )
    architecture = eyeriss_like()
    (group,) = make_groups(LAYERS, architecture, constraints=constraints)
    layer = torch.arange(len(LAYERS))
    assignment, position = random_start(group, layer, 40, torch.Generator().manual_seed(0))
    top, below = len(architecture.levels) - 1, architecture.index("shared_glb")
    for item, one in enumerate(LAYERS):
        for k in range(40):
            assert meets(group.mapping(item, assignment[item, k], position[item, k]), constraints)
        first = group.mapping(item, assignment[item, 0], position[item, 0])
        for d, (dim, bound) in enumerate(one.problem.sizes.items()):
            where = {"C": below, "M": below - 1}.get(dim, top)
            assert first.temporal[where][d] == bound
    orders = {tuple(row) for row in position[:, :, top].flatten(0, 1).tolist()}
    assert len(orders) > 50  # the other loops stand in any order


def test_starts_that_break_constraints_are_repaired(machine: Architecture) -> None:
    layer = matmul("layer", M=4, K=2, N=3)
    constraints = Constraints((SlotConstraint("DRAM", "temporal", at_most=(("M", 2),), exact=(("K", 1),)),))
    (group,) = make_groups([layer], machine, constraints=constraints)
    plain = machine.tensors()
    items = Items(
        torch.zeros(1, dtype=torch.long),
        Machine(**{name: x.expand(1, 1, *x.shape) for name, x in vars(plain).items()}),
        torch.ones(1, dtype=torch.float64),
        torch.full((1,), torch.inf, dtype=torch.float64),
        torch.full((1,), torch.inf, dtype=torch.float64),
    )
    outside = torch.full((1, 1, group.primes.shape[1]), group.space.slots.index((2, 0)))
    position = torch.arange(group.dims, dtype=torch.int8).expand(1, 1, group.levels, group.dims).contiguous()
    moves = UnitMoves(group, items)
    start = moves.assess(*moves.settled(outside, position))
    assert float(start.merit) >= UNFIT
    found, _ = local_search(moves, start, EFFORT, torch.Generator().manual_seed(0))
    assert float(found.merit[0, 0]) < UNFIT
    assert meets(group.mapping(0, found.coding[0, 0], found.position[0, 0]), constraints)


def test_layers_of_a_group_share_limits_and_orders() -> None:
    """The search reads them from the first layer's space."""
    constraints = Constraints(
        (
            SlotConstraint("DRAM", "temporal", at_most=(("C", 4),), innermost=("P", "C")),
            SlotConstraint("shared_glb", "spatial", at_most=(("M", 2), ("P", 3))),
        )
    )
    architecture = eyeriss_like()
    spaces = [MapSpace.of(layer.problem, architecture, constraints) for layer in LAYERS]
    for space in spaces[1:]:
        assert space.slots == spaces[0].slots
        assert torch.equal(space.limits, spaces[0].limits)
        assert torch.equal(space.order_key, spaces[0].order_key)
    assert len({prod(space.primes.tolist()) for space in spaces}) == len(spaces)


def test_a_layer_whose_units_are_all_pinned_has_its_one_mapping(machine: Architecture) -> None:
    layer = matmul("layer", M=4, K=1, N=1)
    constraints = Constraints((SlotConstraint("Buffer", "temporal", exact=(("M", 4),)),))
    group, _, found = search([layer], machine, constraints, [1.0])
    mapping = group.mapping(0, found.coding[0, 0], found.position[0, 0])
    assert meets(mapping, constraints)
    assert float(found.merit[0, 0]) < UNFIT
