"""What levels keep as a choice: the search's front against every mapping of every bypass listed."""

import random
from dataclasses import replace
from itertools import combinations, product

import numpy as np
import pytest
import torch

from dlco import evaluate, matmul, networks
from dlco.bound.compulsory import layer_floors
from dlco.design.dominance import unbeaten
from dlco.errors import DlcoError, InvalidInput, NotSupported
from dlco.exact import LayerFront, enumerate_layer, optimal_layer
from dlco.exact.case import Case
from dlco.exact.covered import why_not_covered
from dlco.exact.keeping import choices
from dlco.hardware import generic
from dlco.hardware.architecture import Architecture
from dlco.mapping import Constraints, SlotConstraint
from dlco.workload import Layer

from .test_masks import random_constraints
from .test_optimal import points, random_layer, random_machine
from .test_wires import wired

NAMES = ("Weights", "Inputs", "Outputs")


def listed(layer: Layer, machine: Architecture, constraints: Constraints | None, limit: int) -> LayerFront | None:
    """The front of all mappings of all bypasses; None where none fits. Raises where there are more than so many."""
    fixed = {level for level, _ in (constraints or Constraints()).bypass + (constraints or Constraints()).keep}
    every = [frozenset(out) for n in range(4) for out in combinations(NAMES, n)]
    menus = [[level.bypass] if level.name in fixed else every for level in machine.levels[:-1]]
    names = [level.name for level in machine.levels[:-1]]
    found, count = [], 0
    for chosen in product(*menus):
        bypass = dict(zip(names, chosen, strict=True))
        if any(not machine.level(name).bypass <= out for name, out in bypass.items()):
            continue
        keeps = machine.with_bypass(bypass)
        try:
            front = enumerate_layer(layer, keeps, constraints, limit=limit - count)
        except InvalidInput as error:
            if "no mapping" not in str(error):
                raise
            continue
        count += front.evaluated
        found.append(front)
    if not found:
        return None
    energy, cycles = (torch.cat([getattr(front, name) for front in found]) for name in ("energy_pj", "cycles"))
    keep = unbeaten(energy, cycles)
    return LayerFront(energy[keep], cycles[keep], (), count)


@pytest.mark.parametrize("inside", [0, 1, 2])
def test_the_front_is_that_of_every_mapping_of_every_bypass_listed(inside):
    rng, done, gained = random.Random(inside), 0, 0
    while done < (10, 8, 3)[inside]:
        layer, machine = random_layer(rng, (1500, 150, 24)[inside]), random_machine(rng, inside)
        machine = wired(machine, random.Random(done)) if done % 2 else machine
        constraints = None
        try:
            if rng.random() < 0.4:
                constraints = random_constraints(rng, layer, machine)
            best = listed(layer, machine, constraints, (60_000, 60_000, 20_000)[inside])
        except DlcoError:  # too many, or constraints that do not fit
            continue
        if best is None:
            with pytest.raises(NotSupported, match="no mapping"):
                optimal_layer(layer, machine, constraints, keep_free=True)
            continue
        found = optimal_layer(layer, machine, constraints, keep_free=True)
        assert found.proved
        assert points(found.front).shape == points(best).shape, (layer, machine, constraints)
        assert np.allclose(points(found.front), points(best), rtol=1e-9), (layer, machine, constraints)
        for mapping, (cycles, energy) in zip(found.front.mappings, points(found.front), strict=True):
            cost = evaluate(layer, machine, mapping)  # checks the mapping, too
            assert (cost.cycles.item(), cost.energy_pj.item()) == pytest.approx((cycles, energy), rel=1e-12)
        floor = layer_floors([layer], machine, [level.name for level in machine.levels[:-1]])[0]
        assert floor.energy <= best.energy_pj.min() * (1 + 1e-9)
        done += 1
        gained += any(any(mapping.bypass) for mapping in found.front.mappings)
    assert gained


def test_stopped_at_any_time_it_leaves_bounds_that_hold():
    layer, machine = networks.resnet18()[3], generic()
    whole = optimal_layer(layer, machine, keep_free=True)
    assert whole.proved
    for calls in (0, 1, 3, 7):
        left = iter(range(calls))
        stopped = optimal_layer(layer, machine, keep_free=True, go_on=lambda left=left: next(left, None) is not None)
        known = np.concatenate([points(stopped.front), stopped.open.numpy()[:, ::-1]])
        for cycles, energy in points(whole.front):
            assert ((known[:, 0] <= cycles) & (known[:, 1] <= energy * (1 + 1e-9))).any()


def test_where_something_is_stated_nothing_is_chosen():
    layer, machine = matmul("mm", M=4, K=4, N=4), generic()
    rows = len(machine.levels) - 1
    assert len(choices(Case.of(layer, machine))) == 8**rows
    stated = Constraints(bypass=(("GlobalBuffer", frozenset({"Weights"})),))
    chosen = choices(Case.of(layer, machine, stated))
    assert len(chosen) == 8 ** (rows - 1)
    assert {one[machine.index("GlobalBuffer")] for one in chosen} == {frozenset({"Weights"})}
    kept = Constraints(keep=(("GlobalBuffer", frozenset({"*"})),))
    assert len(choices(Case.of(layer, replace(machine, constraints=kept)))) == 8 ** (rows - 1)
    own = machine.with_bypass({"GlobalBuffer": ["Weights"]})
    assert len(choices(Case.of(layer, own))) == 8 ** (rows - 1) * 4
    assert choices(Case.of(layer, own))[0] == (frozenset(),) * len(machine.levels)


def test_more_choices_than_can_be_told_apart_are_refused():
    machine = generic()
    inner = [replace(machine.levels[0], name=f"R{i}") for i in range(4)]
    deep = replace(machine, levels=(*inner, *machine.levels[1:]))
    case = Case.of(matmul("mm", M=4, K=4, N=4), deep, keep_free=True)
    assert why_not_covered(case) == "its levels may keep 32,768 sets of dataspaces; up to 4,096 are covered"
    assert why_not_covered(replace(case, keep_free=False)) is None


def test_constraints_that_leave_no_spatial_factors_leave_no_mapping():
    wide = SlotConstraint("GlobalBuffer", "spatial", exact=(("M", 64), ("K", 64)))
    with pytest.raises(NotSupported, match="no mapping"):
        optimal_layer(matmul("mm", M=64, K=64, N=1), generic(), Constraints((wide,)), keep_free=True)
