"""The exact search on machines whose wires cost energy, against every mapping listed; and on presets."""

import random
from dataclasses import replace

import pytest

from dlco import conv2d, evaluate, solve
from dlco.exact import optimal_layer
from dlco.exact.array import why_no_array
from dlco.exact.case import Case
from dlco.hardware import Architecture, Network, get_hardware
from dlco.hardware.box import Box, Boxes

from .test_imperfect import random_layer as random_odd_layer
from .test_optimal import check, random_hierarchy, random_layer, random_machine


def wired(machine: Architecture, rng: random.Random) -> Architecture:
    """The machine with networks between most of its levels, links and arrays anywhere, and words of two widths."""
    levels = []
    for level in machine.levels:
        network = Network(None, rng.choice((0.0, 0.05, 0.4, 3.0)), rng.choice((0.0, 0.02, 0.3, 2.0)))
        given = network if rng.random() < 0.85 else None
        levels.append(replace(level, network=given, word_bits=rng.choice((8, 16))))
    return replace(machine, levels=tuple(levels))


@pytest.mark.parametrize("inside", [1, 2, 3])
def test_the_front_is_that_of_every_mapping_listed(inside: int) -> None:
    rng, done = random.Random(70 + inside), 0
    while done < 4:
        layer, machine = random_layer(rng, (4000, 600, 200, 60)[inside]), random_machine(rng, inside)
        done += check(layer, wired(machine, rng))


@pytest.mark.parametrize("levels", [2, 3, 4])
def test_the_front_of_a_machine_of_any_hierarchy_is_that_of_every_mapping_listed(levels: int) -> None:
    rng, done = random.Random(80 + levels), 0
    while done < 3:
        layer, machine = random_layer(rng, (4000, 4000, 600, 200)[levels - 1]), random_hierarchy(rng, levels)
        done += check(layer, wired(machine, rng))


@pytest.mark.parametrize("name", ["eyeriss", "generic", "gemmini"])
def test_wires_change_what_is_best_on_presets(name: str) -> None:
    """What is best with wires is no dearer, with wires, than what is best without."""
    layer = conv2d("conv", C=8, M=8, P=4, Q=4, R=3, S=1)
    machine, plain = get_hardware(name), get_hardware(name, wires=False)
    found, before = optimal_layer(layer, machine), optimal_layer(layer, plain)
    assert found.proved
    least = float(found.front.energy_pj.min())
    priced = [evaluate(layer, machine, mapping).energy_pj.item() for mapping in before.front.mappings]
    assert float(before.front.energy_pj.min()) < least <= min(priced) * (1 + 1e-12)


def test_solve_counts_wires_and_proves_the_optimum() -> None:
    layer = conv2d("conv", C=8, M=8, P=4, Q=4, R=3, S=1)
    solution = solve([layer], get_hardware("generic"), "energy")
    cost = solution.layer_costs["conv"]
    assert solution.gap == pytest.approx(0, abs=1e-9)
    assert cost.wire_pj > 0
    assert cost.energy_pj == pytest.approx(sum(cost.level_pj.values()) + cost.mac_pj + cost.leak_pj + cost.wire_pj)
    assert "wires" in str(solution)
    assert ",wire_pj," in solution.to_csv().splitlines()[0]
    assert type(solution).from_dict(solution.to_dict()) == solution


@pytest.mark.parametrize("name", ["eyeriss", "simba", "gemmini"])
def test_wires_of_a_box_are_never_dearer_than_those_of_its_machines(name: str) -> None:
    rng, space = random.Random(name), get_hardware(name, space=True)
    boxes = Boxes(space)
    for _ in range(15):
        ends = [sorted(rng.choices(range(len(parameter.grid)), k=2)) for parameter in space.parameters]
        box = Box(tuple(low for low, _ in ends), tuple(high for _, high in ends))
        at_best = boxes.optimistic(box)
        index = space.low.new_tensor([rng.randint(low, high) for low, high in ends]).long()
        machine = space.architecture_at(index)
        assert boxes.least_area(box) <= machine.area_mm2
        for least, true in zip(at_best.levels, machine.levels, strict=True):
            assert least.network is not None
            assert true.network is not None
            assert least.network.kind == true.network.kind
            assert least.network.reach_pj <= true.network.reach_pj
            assert least.network.step_pj <= true.network.step_pj
        point = Box(tuple(index.tolist()), tuple(index.tolist()))
        assert boxes.optimistic(point) == machine
        assert boxes.least_area(point) <= machine.area_mm2 * (1 + 1e-12)
        assert boxes.least_area(point) == pytest.approx(machine.area_mm2)


@pytest.mark.parametrize("inside", [0, 1, 2])
def test_the_front_of_factors_that_need_not_divide_is_that_of_every_mapping_listed(inside: int) -> None:
    rng, done = random.Random(90 + inside), 0
    while done < 3:
        layer, machine = random_odd_layer(rng, (600, 150, 60)[inside]), wired(random_machine(rng, inside), rng)
        done += check(layer, machine, imperfect=True, limit=40_000)


@pytest.mark.parametrize("levels", [2, 3])
def test_the_front_of_any_hierarchy_with_such_factors_is_that_of_every_mapping_listed(levels: int) -> None:
    rng, done = random.Random(95 + levels), 0
    while done < 3:
        layer, machine = random_odd_layer(rng, (300, 60)[levels - 2]), wired(random_hierarchy(rng, levels), rng)
        if why_no_array(Case.of(layer, machine)):
            done += check(layer, machine, imperfect=True, limit=20_000)
