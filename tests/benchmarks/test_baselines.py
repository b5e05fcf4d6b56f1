"""Every baseline on problems whose best design is known: valid, within limits and budgets, repeatable, never better."""

from collections.abc import Callable, Sequence
from math import exp, inf, log

import pytest
import torch
from baselines import METHODS, Evaluator, Exhausted, Found, Task, run
from baselines.mappings import move_out, random_mappings
from hypothesis import given
from hypothesis import strategies as st

import dlco
from dlco import Budget, InvalidInput, Layer
from dlco.hardware import eyeriss_space
from dlco.hardware.architecture import Architecture
from dlco.hardware.space import HardwareSpace
from dlco.mapping.checks import check_mapping
from dlco.mapping.mapspace import AXES
from dlco.search.score import BROKEN, Score

from ..exhaustive import every_mapping, optimum

LIBRARY = {"genetic": "pymoo", "bayesian": "optuna", "evolution": "cma"}
# Descending a gradient takes seconds for few evaluations; a batch of machines with their inner search takes thousands.
EVALUATIONS = {"gumbel": 8_000, "descent": 1_200, "bayesian": 40_000}
MANY = 15_000  # all others


@pytest.fixture(params=METHODS)
def method(request: pytest.FixtureRequest) -> str:
    if request.param in LIBRARY:
        pytest.importorskip(LIBRARY[request.param])
    return str(request.param)


@pytest.fixture(scope="module")
def best_edp(network: list[Layer], machine: Architecture, space: HardwareSpace) -> dict[bool, float]:
    """The optimum on the machine (True) and on the space."""
    return {True: optimum(network, machine, "edp"), False: optimum(network, space, "edp")}


@pytest.fixture(scope="module")
def limited(network: list[Layer], space: HardwareSpace) -> tuple[Budget, float]:
    """Limits that bind, and the least energy within them."""
    free = optimum(network, space, "latency")
    area = optimum(network, space, "area", Budget(latency_s=2 * free))
    budget = Budget(area_mm2=1.2 * area, latency_s=2 * free)
    return budget, optimum(network, space, "energy", budget)


def totals(found: Found, layers: Sequence[Layer]) -> tuple[float, float]:
    """(energy pJ, cycles) through `dlco.evaluate`, all mappings checked on the way."""
    energy = cycles = 0.0
    for layer in layers:
        mapping = found.mappings[layer.name]
        check_mapping(layer.problem, found.architecture, mapping)
        cost = dlco.evaluate(layer, found.architecture, mapping)
        assert bool(cost.valid)
        energy += layer.count * cost.energy_pj.item()
        cycles += layer.count * cost.cycles.item()
    return energy, cycles


@pytest.mark.parametrize("fixed", [False, True])
def test_finds_a_valid_design_no_better_than_the_best(
    method: str,
    fixed: bool,
    network: list[Layer],
    machine: Architecture,
    space: HardwareSpace,
    best_edp: dict[bool, float],
) -> None:
    found = run(
        method, Task.of(network, machine if fixed else space, "edp"), 3, evaluations=EVALUATIONS.get(method, MANY)
    )
    assert found is not None
    assert found.feasible
    energy, cycles = totals(found, network)
    assert found.value == pytest.approx(energy * cycles, rel=1e-12)
    assert best_edp[fixed] * (1 - 1e-12) <= found.value <= 1.5 * best_edp[fixed]
    assert 0 < found.evaluations <= EVALUATIONS.get(method, MANY)


def test_keeps_the_limits(
    method: str, network: list[Layer], space: HardwareSpace, limited: tuple[Budget, float]
) -> None:
    budget, best = limited
    found = run(method, Task.of(network, space, "energy", budget), 0, evaluations=EVALUATIONS.get(method, MANY))
    assert found is not None
    assert found.feasible
    assert found.violation == 0
    energy, cycles = totals(found, network)
    assert cycles * space.base.cycle_s <= budget.latency_s * (1 + 1e-9)
    assert found.architecture.area_mm2 <= budget.area_mm2 * (1 + 1e-9)
    assert energy >= best * (1 - 1e-12)


def test_gets_better_than_its_first_designs(method: str) -> None:
    evaluations = {**EVALUATIONS, "gumbel": 24_000}.get(method, 20_000)  # a rounding of its takes thousands
    layers = dlco.networks.resnet18()[1:3]
    found = run(
        method,
        Task.of(layers, eyeriss_space(wires=False), "edp", Budget(area_mm2=1.5)),
        0,
        evaluations=evaluations,
    )
    assert found is not None
    assert found.feasible
    assert found.score < found.first
    values = [value for _, _, value in found.trace]
    assert values == sorted(values, reverse=True)
    assert values[-1] == pytest.approx(found.value, rel=1e-9)
    energy, cycles = totals(found, layers)
    assert energy * cycles == pytest.approx(found.value, rel=1e-12)


def test_the_same_seed_gives_the_same_design(method: str, network: list[Layer], space: HardwareSpace) -> None:
    def once(seed: int) -> tuple[object, ...]:
        found = run(
            method,
            Task.of(network, space, "edp", Budget(area_mm2=0.1)),
            seed,
            evaluations=EVALUATIONS.get(method, 6_000),
        )
        assert found is not None
        return found.value, found.evaluations, found.mappings, [(n, value) for _, n, value in found.trace]

    assert once(1) == once(1)


def test_a_limit_out_of_reach_is_reported_not_hidden(method: str, network: list[Layer], machine: Architecture) -> None:
    budget = Budget(latency_s=0.5 * optimum(network, machine, "latency"))
    found = run(
        method, Task.of(network, machine, "edp", budget), 0, evaluations=min(6_000, EVALUATIONS.get(method, MANY))
    )
    assert found is not None
    assert not found.feasible
    assert found.trace == ()
    assert exp(found.violation) == pytest.approx(found.cost.latency_s / budget.latency_s)
    assert found.violation >= log(2) - 1e-9


def test_seconds_stop_a_search(network: list[Layer], machine: Architecture) -> None:
    ticks = iter(range(1000))
    evaluator = Evaluator(Task.of(network, machine), seconds=10, clock=lambda: next(ticks))
    for _ in range(9):
        evaluator.spend(1)
    with pytest.raises(Exhausted):
        evaluator.spend(1)
    assert evaluator.evaluations == 9


def test_the_evaluator_agrees_with_evaluate(network: list[Layer], space: HardwareSpace) -> None:
    task = Task.of(network, space)
    evaluator = Evaluator(task)
    generator = torch.Generator().manual_seed(0)
    index = task.draw_machines(3, generator)
    for g, group in enumerate(task.groups):
        assignment, position = random_mappings(task, g, index, 5, generator)
        mapped = evaluator.assess(g, index, assignment, position)
        for m in range(3):
            for i, layer in enumerate(group.layers):
                for k in range(5):
                    mapping = group.mapping(i, assignment[m, i, k], position[m, i, k])
                    cost = dlco.evaluate(layer, task.architecture(index[m]), mapping)
                    assert bool(cost.valid)
                    assert mapped.overflow[m, i, k] == 0
                    assert mapped.energy_pj[m, i, k].item() == pytest.approx(cost.energy_pj.item(), rel=1e-9)
                    assert mapped.cycles[m, i, k].item() == cost.cycles.item()
    assert evaluator.evaluations == 3 * 5 * len(network)


@given(seed=st.integers(0, 2**31))
def test_what_is_moved_out_fits_and_what_fits_stays(seed: int) -> None:
    task = Task.of(dlco.networks.resnet18()[:4], eyeriss_space(wires=False))
    generator = torch.Generator().manual_seed(seed)
    index = task.draw_machines(2, generator)
    for g, group in enumerate(task.groups):
        units = group.primes.shape[1]
        drawn = torch.randint(len(group.slot_cell), (2, len(group.layers), 20, units), generator=generator)
        moved = move_out(task, g, index, drawn, generator)
        position = torch.zeros(*moved.shape[:3], group.levels, group.dims, dtype=torch.int8)
        assert bool((Evaluator(task).assess(g, index, moved, position).overflow == 0).all())
        again = move_out(task, g, index, moved, generator)
        assert bool(((again == moved) | (group.primes[:, None] == 1)).all())
        before, after = (group.slot_cell[table] for table in (drawn, moved))
        changed = (before // len(AXES) != after // len(AXES)) & (group.primes[:, None] > 1)
        assert bool((after[changed] // len(AXES) > before[changed] // len(AXES)).all())  # outwards
        assert bool((after[changed] % len(AXES) == 0).all())  # to temporal loops


def test_every_mapping_of_a_tiny_layer_can_be_drawn(product_layer: Layer, machine: Architecture) -> None:
    task = Task.of([product_layer], machine)
    group = task.groups[0]
    generator = torch.Generator().manual_seed(0)
    assignment, _ = random_mappings(task, 0, torch.zeros(1, 0, dtype=torch.long), 200_000, generator)
    drawn = group.factors(torch.zeros(1, dtype=torch.long), assignment[0])[0].flatten(1).unique(dim=0)
    listed = every_mapping(product_layer.problem, machine).factors.flatten(1).unique(dim=0)
    assert torch.equal(drawn, listed)


def test_a_machine_is_reduced_to_the_area_limit() -> None:
    task = Task.of(dlco.networks.resnet18(), eyeriss_space(wires=False), "edp", Budget(area_mm2=0.8))
    index = task.within_area(task.lengths - 1)
    assert task.architecture(index).area_mm2 <= 0.8
    assert torch.equal(task.within_area(index), index)


def test_a_layer_that_does_not_fit_ranks_behind_every_broken_limit(network: list[Layer], machine: Architecture) -> None:
    task = Task.of(network, machine, "edp", Budget(latency_s=1e-12))
    evaluator = Evaluator(task)
    index = torch.zeros(1, 0, dtype=torch.long)
    scores = []
    for slot in (0, None):  # everything innermost, or what fits
        mapped = []
        for g, group in enumerate(task.groups):
            assignment = torch.zeros(1, len(group.layers), 1, group.primes.shape[1], dtype=torch.long)
            if slot is None:
                assignment = move_out(task, g, index, assignment, torch.Generator().manual_seed(0))
            position = torch.zeros(*assignment.shape[:3], group.levels, group.dims, dtype=torch.int8)
            mapped.append(evaluator.assess(g, index, assignment, position))
        scores.append(evaluator.settle(index, mapped).score.item())
        assert (evaluator.found() is None) == (slot == 0)
    assert BROKEN < scores[1] < scores[0] < inf


@pytest.mark.parametrize("call", [lambda t: run("annealing", t, 0, seconds=1), lambda t: run("random", t, 0)])
def test_bad_calls_are_refused(call: Callable[[Task], object], network: list[Layer], machine: Architecture) -> None:
    with pytest.raises(ValueError, match=r"allowed|infinite"):
        call(Task.of(network, machine))


def test_limits_that_baselines_do_not_know_are_refused(network: list[Layer], machine: Architecture) -> None:
    with pytest.raises(InvalidInput, match="pe_count"):
        Task.of(network, machine, "edp", Budget(pe_count=4))
    assert Task.of(network, machine).score == Score("edp", Budget(), machine.cycle_s)
