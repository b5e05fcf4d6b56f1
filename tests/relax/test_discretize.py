"""Rounding keeps every product, leaves what is whole already, and stays on the grid and within the area."""

from collections.abc import Callable
from itertools import product
from math import log

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dlco import conv2d, linear
from dlco.cost.model import evaluate_totals
from dlco.hardware import eyeriss_like, eyeriss_space
from dlco.hardware.architecture import Machine
from dlco.hardware.space import HardwareSpace
from dlco.mapping import Constraints, SlotConstraint
from dlco.optimize import Budget
from dlco.relax.discretize import round_factors, round_sizes
from dlco.search.group import Group, make_groups
from dlco.search.score import Score
from dlco.search.unit_moves import random_start

LAYERS = [
    conv2d("one", C=12, M=24, P=14, Q=14, R=3, S=3),
    conv2d("two", C=5, M=64, P=7, Q=1, R=1, S=7, stride=2),
    linear("three", C=97, M=1000),
]


@pytest.fixture(scope="module")
def group() -> Group:
    (group,) = make_groups(LAYERS, eyeriss_like())
    return group


def factors_of(group: Group, assignment: torch.Tensor) -> torch.Tensor:
    """`[n, layers, slots, dims]` of assignments `[n, layers, units]`."""
    table = group.factors(torch.arange(len(group.layers)), assignment.transpose(0, 1).contiguous())
    return table.flatten(2, 3)[:, :, group.slot_cell].transpose(0, 1)


def test_the_group_holds_all_layers(group: Group) -> None:
    assert len(group.layers) == 3


@given(st.integers(0, 10**6), st.floats(0.1, 20))
def test_factors_multiply_to_the_bounds(group: Group, seed: int, sharpness: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    shape = (3, len(group.layers), len(group.slot_cell), group.dims)
    share = torch.softmax(sharpness * torch.randn(shape, generator=generator, dtype=torch.float64), dim=2)
    logs = share * group.bounds.log()[None, :, None, :]
    rounded = round_factors(group, logs, 4, generator)
    assert rounded.shape == (3, len(group.layers), 4, group.primes.shape[1])
    for copy in range(4):
        factors = factors_of(group, rounded[:, :, copy])
        assert torch.equal(factors.prod(2), group.bounds.expand(3, -1, -1))


@given(st.integers(0, 10**6))
def test_whole_factors_round_to_themselves(group: Group, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    assignment, _ = random_start(group, torch.arange(len(group.layers)), 5, generator)
    factors = factors_of(group, assignment.transpose(0, 1))
    rounded = round_factors(group, factors.log(), 1, generator)[:, :, 0]
    torch.testing.assert_close(factors_of(group, rounded), factors, rtol=0, atol=0)


def test_a_prime_goes_where_it_is_missed_most() -> None:
    (group,) = make_groups([linear("layer", C=7, M=1)], eyeriss_like())
    channel = group.shape.live[0]
    for slot in range(len(group.slot_cell)):
        logs = torch.zeros(1, 1, len(group.slot_cell), group.dims, dtype=torch.float64)
        logs[0, 0, :, channel] = torch.tensor(7.0).log() * 0.3 / (len(group.slot_cell) - 1)
        logs[0, 0, slot, channel] = torch.tensor(7.0).log() * 0.7
        rounded = round_factors(group, logs, 1, torch.Generator())[:, :, 0]
        assert factors_of(group, rounded)[0, 0, slot, channel] == 7


def test_copies_differ_and_repeat_with_their_seed(group: Group) -> None:
    shape = (1, len(group.layers), len(group.slot_cell), group.dims)
    logs = torch.full(shape, 1 / len(group.slot_cell), dtype=torch.float64) * group.bounds.log()[None, :, None, :]
    one, two = (round_factors(group, logs, 8, torch.Generator().manual_seed(1)) for _ in range(2))
    assert torch.equal(one, two)
    assert len(one.flatten(0, 1).transpose(0, 1).flatten(1).unique(dim=0)) > 1


SPACE = eyeriss_space()
ENDS = st.tuples(*(st.floats(0, 1) for _ in SPACE.parameters))


def sizes_at(space: HardwareSpace, share: tuple[float, ...]) -> torch.Tensor:
    return (space.low.log() + torch.tensor(share, dtype=torch.float64) * (space.high / space.low).log()).exp()


def beyond(area: float | None) -> Callable[[Machine], torch.Tensor]:
    """By how much machines exceed an area, as `round_sizes` asks."""
    return Score("edp", Budget(area_mm2=area), cycle_s=1e-9).machine_excess


def area_of(space: HardwareSpace, index: torch.Tensor) -> float:
    return space.architecture(space.index_to_sizes(index)).area_mm2


@given(ENDS, st.floats(0.5, 40))
def test_rounded_sizes_are_on_the_grid_and_within_the_area(share: tuple[float, ...], area: float) -> None:
    index = round_sizes(SPACE, sizes_at(SPACE, share), beyond(area))
    assert bool((index >= 0).all())
    assert all(i < len(p.grid) for i, p in zip(index.tolist(), SPACE.parameters, strict=True))
    smallest = area_of(SPACE, torch.zeros_like(index))
    assert area_of(SPACE, index) <= max(area, smallest) * (1 + 1e-12)


@given(ENDS)
def test_sizes_round_to_the_nearest_where_the_area_allows(share: tuple[float, ...]) -> None:
    sizes = sizes_at(SPACE, share)
    free = round_sizes(SPACE, sizes, beyond(None))
    for i, parameter, size in zip(free.tolist(), SPACE.parameters, sizes.tolist(), strict=True):
        away = [abs(log(value / size)) for value in parameter.grid]
        assert away[i] <= min(away) + 1e-12
    assert torch.equal(round_sizes(SPACE, sizes, beyond(area_of(SPACE, free) * (1 + 1e-9))), free)


def test_a_machine_over_the_area_is_rounded_to_one_that_no_step_up_could_keep(space: HardwareSpace) -> None:
    """On a grid small enough to list: the rounded machine fits, and it is not needlessly small."""
    areas = {
        index: area_of(space, torch.tensor(index)) for index in product(*(range(len(p.grid)) for p in space.parameters))
    }
    for area in sorted(areas.values())[1:-1]:
        index = tuple(round_sizes(space, space.high, beyond(area)).tolist())
        assert areas[index] <= area * (1 + 1e-12)
        assert areas[index] > min(areas.values()) or sorted(areas.values())[1] > area


def test_repaired_roundings_fit(group: Group) -> None:
    """Random real factors mostly overflow; a few primes moved out make nearly all of them fit."""
    generator = torch.Generator().manual_seed(0)
    shape = (4, len(group.layers), len(group.slot_cell), group.dims)
    share = torch.softmax(3 * torch.randn(shape, generator=generator, dtype=torch.float64), dim=2)
    logs = share * group.bounds.log()[None, :, None, :]
    machine = eyeriss_like().tensors()

    def fitting(assignment: torch.Tensor) -> float:
        layer = torch.arange(len(group.layers))
        flat = assignment.movedim(1, 0).flatten(1, 2)
        factors = group.factors(layer, flat)
        places = [list(range(group.dims))] * group.levels
        found = evaluate_totals(group.shape.select(layer[:, None]), machine, group.kept, factors, places)
        return found.valid.double().mean().item()

    plain = round_factors(group, logs, 4, torch.Generator().manual_seed(1))
    fitted = round_factors(group, logs, 4, torch.Generator().manual_seed(1), machine=machine)
    assert fitting(fitted) >= 0.9 > fitting(plain)
    for copy in range(4):
        assert torch.equal(factors_of(group, fitted[:, :, copy]).prod(2), group.bounds.expand(4, -1, -1))


def test_primes_lie_where_the_constraints_allow() -> None:
    constraints = Constraints((SlotConstraint("shared_glb", "temporal", exact=(("M", 1), ("C", 1))),))
    (group,) = make_groups(LAYERS[:1], eyeriss_like(), constraints=constraints)
    assert not bool(group.allowed.all())
    generator = torch.Generator().manual_seed(0)
    logs = torch.rand(5, 1, len(group.slot_cell), group.dims, generator=generator, dtype=torch.float64)
    for machine in (None, eyeriss_like().tensors()):
        rounded = round_factors(group, logs, 6, generator, machine=machine)
        allowed = group.allowed[None, :, None].expand(5, -1, 6, -1, -1)
        assert bool(allowed.gather(-1, rounded[..., None]).all())
