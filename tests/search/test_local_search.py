"""Local search against every mapping of a tiny problem."""

from functools import cache

import pytest
import torch

from dlco import conv1d, conv2d, linear, matmul
from dlco.cost.model import evaluate
from dlco.hardware import eyeriss_like, simba_like
from dlco.hardware.architecture import Architecture, Machine
from dlco.mapping.checks import check_mapping
from dlco.mapping.mapping import SPATIAL_X, SPATIAL_Y
from dlco.search.group import Group, make_groups
from dlco.search.items import Items
from dlco.search.local_search import Effort, local_search
from dlco.search.table import LATE, UNFIT, MappingTable, best_of, merit_of
from dlco.search.unit_moves import UnitMoves, random_start
from dlco.workload import Layer

from ..exhaustive import Point, every_point

EFFORT = Effort(rounds=80, patience=25, population=4, neighbours=16)
STARTS = 6


def items_for(architecture: Architecture, layers: list[int], prices: list[float], cap: float = torch.inf) -> Items:
    """One item a layer and price, on one machine."""
    n = len(layers)
    machine = Machine(**{name: x.expand(n, 1, *x.shape) for name, x in vars(architecture.tensors()).items()})
    price = torch.tensor(prices, dtype=torch.float64)
    return Items(torch.tensor(layers), machine, price, torch.full_like(price, cap), torch.full_like(price, torch.inf))


def searched(
    group: Group, items: Items, seed: int = 0, effort: Effort = EFFORT, n: int = STARTS
) -> tuple[MappingTable, MappingTable]:
    """(random start, what the search makes of it)."""
    generator = torch.Generator().manual_seed(seed)
    moves = UnitMoves(group, items)
    start = moves.assess(*random_start(group, items.layer, n, generator))
    found, _ = local_search(moves, start.best(effort.population), effort, generator)
    return start, found


@cache
def points_of(layer: Layer, architecture: Architecture) -> tuple[Point, ...]:
    return tuple(every_point(layer.problem, architecture))


TINY = {
    "product": matmul("layer", M=4, K=2, N=3),
    "window": conv1d("layer", C=1, M=2, P=4, R=3, stride=2),
    "gap": conv1d("layer", C=2, M=1, P=4, R=2, stride=3),
    "dilated": conv1d("layer", C=1, M=2, P=3, R=4, dilation=2),
}


@pytest.mark.parametrize("kind", TINY)
def test_reaches_the_optimum_at_every_price_of_time(kind: str, machine: Architecture) -> None:
    layer = TINY[kind]
    (group,) = make_groups([layer], machine)
    truth = points_of(layer, machine)
    rate = min(e for e, _ in truth) / min(t for _, t in truth)
    prices = [rate * multiple for multiple in (1e-6, 0.1, 0.3, 1.0, 3.0, 10.0, 1e4)]
    items = items_for(machine, [0] * 4 * len(prices), sorted(prices * 4))  # four searches a price
    _, found = searched(group, items)
    best = found.merit[:, 0].view(len(prices), 4).amin(-1)
    for price, merit in zip(prices, best.tolist(), strict=True):
        assert merit == pytest.approx(min(e + price * t for e, t in truth), rel=1e-12)


def test_every_figure_it_returns_is_some_mapping_s(machine: Architecture) -> None:
    """No energy and cycles that no listed mapping has: nothing slips through the checks."""
    layer = TINY["product"]
    (group,) = make_groups([layer], machine)
    _, found = searched(group, items_for(machine, [0] * 8, [10.0**k for k in range(8)]))
    truth = {(round(e, 6), t) for e, t in points_of(layer, machine)}
    fit = found.merit < UNFIT
    assert bool(fit[:, 0].all())
    pairs = zip(found.energy_pj[fit].tolist(), found.cycles[fit].tolist(), strict=True)
    assert {(round(e, 6), t) for e, t in pairs} <= truth


def test_a_power_cap_is_kept_where_a_mapping_keeps_it(machine: Architecture) -> None:
    layer = TINY["product"]
    (group,) = make_groups([layer], machine)
    truth = points_of(layer, machine)
    least, fastest = min(e / t for e, t in truth), min(truth, key=lambda p: p[1])
    cap = (least + fastest[0] / fastest[1]) / 2
    _, found = searched(group, items_for(machine, [0] * 4, [cap] * 4, cap))
    assert bool((found.energy_pj[:, 0] <= cap * found.cycles[:, 0] * (1 + 1e-9)).all())


def test_the_same_seed_finds_the_same(machine: Architecture) -> None:
    (group,) = make_groups([TINY["product"]], machine)
    items = items_for(machine, [0] * 3, [1.0, 100.0, 1e4])
    one, two = searched(group, items, seed=7)[1], searched(group, items, seed=7)[1]
    assert all(torch.equal(getattr(one, name), getattr(two, name)) for name in vars(one))


def test_merit_never_gets_worse_and_is_sorted() -> None:
    layers = [conv2d("a", C=8, M=16, P=14, Q=14, R=3, S=3), conv2d("b", C=16, M=8, P=7, Q=7, R=1, S=1)]
    (group,) = make_groups(layers, eyeriss_like())
    items = items_for(eyeriss_like(), [0, 1], [50.0, 50.0])
    start, found = searched(group, items, effort=Effort(rounds=1))
    best = start.merit.amin(-1)
    generator = torch.Generator().manual_seed(3)
    for _ in range(15):
        assert bool((found.merit[:, 0] <= best).all())
        assert bool((found.merit[:, 1:] >= found.merit[:, :-1]).all())
        best = found.merit[:, 0]
        found, _ = local_search(UnitMoves(group, items), found, Effort(rounds=2), generator)


def test_starts_that_do_not_fit_are_repaired(machine: Architecture) -> None:
    layer = matmul("layer", M=12, K=12, N=12)
    (group,) = make_groups([layer], machine)
    items = items_for(machine, [0] * 3, [1.0] * 3)
    units, levels = group.primes.shape[1], group.levels
    slots = torch.tensor([group.space.slots.index(slot) for slot in ((0, 0), (1, 1), (1, 2))])
    assignment = slots[:, None, None].expand(3, 1, units).contiguous()  # all in the registers, all along X, all along Y
    position = torch.arange(group.dims, dtype=torch.int8).expand(3, 1, levels, group.dims).contiguous()
    moves = UnitMoves(group, items)
    start = moves.assess(assignment, position)
    assert bool((start.merit >= UNFIT).all())
    found, evaluated = local_search(moves, start, EFFORT, torch.Generator().manual_seed(0))
    assert evaluated > 0
    assert bool((found.merit[:, 0] < UNFIT).all())
    for item in range(3):
        check_mapping(layer.problem, machine, group.mapping(0, found.coding[item, 0], found.position[item, 0]))


@pytest.mark.parametrize("architecture", [eyeriss_like(), simba_like()], ids=lambda a: a.name)
def test_results_are_valid_distinct_and_priced_as_evaluate_prices_them(architecture: Architecture) -> None:
    layers = [
        conv2d("a", C=8, M=16, P=14, Q=14, R=3, S=3),
        conv2d("b", C=16, M=8, P=7, Q=7, R=3, S=3, stride=2),
        linear("c", C=30, M=50),
    ]
    (group,) = make_groups(layers, architecture)
    items = items_for(architecture, [0, 1, 2], [20.0, 20.0, 20.0])
    _, found = searched(group, items, effort=Effort(rounds=40, patience=40, population=6))
    for item in range(3):
        merits = found.merit[item].tolist()
        assert len(set(merits)) == len(merits)
        for k in range(6):
            assert merits[k] < UNFIT
            mapping = group.mapping(item, found.coding[item, k], found.position[item, k])
            check_mapping(layers[item].problem, architecture, mapping)
            cost = evaluate(layers[item], architecture, mapping)
            assert cost.energy_pj.item() == pytest.approx(found.energy_pj[item, k].item(), rel=1e-12)
            assert cost.cycles.item() == found.cycles[item, k].item()
            assert merits[k] == pytest.approx(cost.energy_pj.item() + 20 * cost.cycles.item(), rel=1e-12)
            assert not any(
                x > 1 and y > 1
                for xs, ys in zip(mapping.spatial_x, mapping.spatial_y, strict=True)
                for x, y in zip(xs, ys, strict=True)
            )


def test_a_dimension_on_both_axes_does_not_fit(machine: Architecture) -> None:
    (group,) = make_groups([matmul("layer", M=6, K=1, N=1)], machine)
    items = items_for(machine, [0], [1.0])
    slots = [group.space.slots.index(slot) for slot in ((1, SPATIAL_X), (1, SPATIAL_Y))]
    primes = group.primes[0].tolist()
    split = torch.tensor([[[slots[0] if prime == 2 else slots[1] for prime in primes]]])
    position = torch.arange(group.dims, dtype=torch.int8).expand(1, 1, group.levels, group.dims).contiguous()
    moves = UnitMoves(group, items)
    assert moves.assess(split, position).merit.item() >= UNFIT
    along = torch.tensor([[[slots[0] if prime == 2 else 0 for prime in primes]]])
    assert moves.assess(along, position).merit.item() < UNFIT


def test_patience_ends_a_search_that_finds_nothing_more(machine: Architecture) -> None:
    (group,) = make_groups([matmul("layer", M=2, K=1, N=1)], machine)
    items = items_for(machine, [0], [1.0])
    _, found = searched(group, items)
    effort = Effort(rounds=1000, patience=3, population=2, neighbours=5)
    again, evaluated = local_search(UnitMoves(group, items), found.best(2), effort, torch.Generator().manual_seed(1))
    assert evaluated == 3 * 2 * 5
    assert again.merit[0, 0] == found.merit[0, 0]


def test_a_layer_of_a_single_mac_is_searched_like_any_other(machine: Architecture) -> None:
    layer = matmul("layer", M=1, K=1, N=1)
    (group,) = make_groups([layer], machine)
    _, found = searched(group, items_for(machine, [0], [1.0]))
    ((energy, cycles),) = points_of(layer, machine)
    assert found.merit[0, 0].item() == pytest.approx(energy + cycles)


def merit(energy: float, cycles: float, excess: float = 0.0, price: float = 1.0, cap: float = torch.inf) -> float:
    rows = (torch.tensor(x, dtype=torch.float64) for x in (energy, cycles, excess, price, cap, torch.inf))
    return merit_of(*rows).item()


def test_merits_by_hand() -> None:
    assert merit(10.0, 3.0, price=2.0) == 16.0
    # at 2 pJ a cycle 10 pJ last 5 cycles; each of the 2 missing is charged twice its price, and the cap
    assert merit(10.0, 3.0, cap=2.0) == 13.0 + 2 * (2 * 1.0 + 2.0)
    assert merit(10.0, 5.0, cap=2.0) == 15.0
    assert merit(10.0, 7.0, cap=2.0) == 17.0
    late = [torch.tensor(x, dtype=torch.float64) for x in (10.0, 6.0, 0.0, 1.0, torch.inf, 4.0)]
    assert merit_of(*late).item() == 16.0 * (1 + LATE * 0.5)
    late[1] = torch.tensor(4.0, dtype=torch.float64)
    assert merit_of(*late).item() == 14.0


def test_mappings_that_do_not_fit_rank_behind_all_that_do_the_less_they_overflow_the_better() -> None:
    rows = [merit(1e280, 1e15), merit(0.0, 1.0, excess=1e-9), merit(0.0, 1.0, excess=1.0), merit(0.0, 1.0, excess=1e12)]
    assert rows == sorted(rows)
    assert len(set(rows)) == 4
    assert rows[0] < UNFIT <= rows[1]


def test_being_too_fast_for_the_cap_never_pays() -> None:
    """Of two mappings of one energy, the one that goes beyond the cap is worse than one at the cap."""
    for cap in (0.5, 2.0, 7.0):
        for price in (1e-3 * cap, cap):
            at_cap = merit(14.0, 14.0 / cap, price=price, cap=cap)
            assert all(merit(14.0, 14.0 / cap * share, price=price, cap=cap) > at_cap for share in (0.2, 0.6, 0.95))


def test_the_best_come_first_and_equals_once() -> None:
    merits = torch.tensor([[3.0, 1.0, 2.0, 1.0, 3.0], [5.0, 5.0, 5.0, 5.0, 4.0]], dtype=torch.float64)
    assert best_of(merits, 3).tolist() == [[1, 2, 0], [4, 0, 1]]  # too few others: an equal fills up
