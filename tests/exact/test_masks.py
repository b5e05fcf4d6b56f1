"""The best-first search under constraints of all kinds, against every mapping listed that meets them."""

import random
import re
from dataclasses import replace

import numpy as np
import pytest

from dlco import matmul
from dlco.errors import DlcoError, InvalidInput
from dlco.exact import enumerate_layer, optimal_layer
from dlco.hardware import generic
from dlco.hardware.architecture import Architecture
from dlco.mapping import Constraints, SlotConstraint
from dlco.mapping.factors import divisors
from dlco.mapping.mapspace import MapSpace
from dlco.workload import Layer

from .test_optimal import points, random_hierarchy, random_layer, random_machine


def random_slot(rng: random.Random, layer: Layer, level: str, kind: str) -> SlotConstraint:
    """Some factors, limits, axes and loops that lead the order."""
    sizes = layer.problem.sizes
    dims, leading, axes = (rng.sample(list(sizes), len(sizes)) for _ in range(3))
    found: dict[str, list] = {"exact": [], "at_most": [], "rest": []}
    for dim in dims[: rng.choice((0, 1, 2, 3))]:
        factor, how = rng.choice(divisors(sizes[dim])), rng.choice(("exact", "at_most", "at_most", "rest"))
        found[how].append(
            dim if how == "rest" else (dim, rng.choice((1, 2, factor) if how == "at_most" else (1, factor)))
        )
    more: dict[str, object] = {"innermost": tuple(leading[: rng.choice((0, 0, 1, 2, 4))])}
    if kind == "spatial" and rng.random() < 0.2:
        more["split"] = rng.choice((0, 1, 2, 3))
    elif kind == "spatial":
        x, y = rng.choice((0, 1, 2)), rng.choice((0, 1, 2))
        more |= {"axis_x": tuple(axes[:x]), "axis_y": tuple(axes[x : x + y])}
    names = [space.name for space in layer.problem.dataspaces]
    odd = {"only": True, "without": (rng.choice(names),), "within": (rng.choice(names),)}
    more |= {name: value for name, value in odd.items() if rng.random() < 0.05}
    return SlotConstraint(level, kind, **{name: tuple(rows) for name, rows in found.items()}, **more)


def random_constraints(rng: random.Random, layer: Layer, machine: Architecture) -> Constraints:
    """Constraints of every kind; some leave no mapping."""
    few = rng.choice((0.2, 0.5))
    fans = [level.name for level in machine.levels if level.fanout_x * level.fanout_y > 1]
    places = [(level.name, "temporal") for level in machine.levels] + [(name, "spatial") for name in fans]
    slots = tuple(random_slot(rng, layer, *place) for place in places if rng.random() < few)
    bypass, keep = [], []
    for level in machine.levels[:-1]:
        names = [space.name for space in layer.problem.dataspaces]
        out = frozenset(rng.sample(names, rng.choice((0, 0, 0, 1, 2))))
        kept = frozenset(name for name in names if name not in out | level.bypass and rng.random() < 0.2)
        bypass += [(level.name, out)] if out else []
        keep += [(level.name, kept)] if kept else []
    return Constraints(slots, tuple(bypass), tuple(keep))


def check(layer: Layer, machine: Architecture, constraints: Constraints | None) -> int:
    """How many mappings the search was held against; 0 where none was listed."""
    try:
        listed = enumerate_layer(layer, machine, constraints, limit=100_000)
    except DlcoError as error:
        if "limit is" not in str(error):
            said = "no mapping of the problem" if "no mapping of the problem" in str(error) else re.escape(str(error))
            with pytest.raises(DlcoError, match=said):
                optimal_layer(layer, machine, constraints)
        return 0
    found = optimal_layer(layer, machine, constraints)
    assert found.proved
    assert points(found.front).shape == points(listed).shape, (layer, machine, constraints)
    assert np.allclose(points(found.front), points(listed), rtol=1e-9), (layer, machine, constraints)
    space = MapSpace.of(layer.problem, machine, constraints)
    for mapping in found.front.mappings:
        assert bool(space.contains(space.assignment_of(mapping.batch().factors)))
        assert mapping.bypass == space.bypass
        for order, place in zip(mapping.order, space.places[::2], strict=True):
            leading = place.constraint.innermost
            assert order[: len(leading)] == leading
    return listed.evaluated


@pytest.mark.parametrize("inside", [0, 1, 2, 3])
def test_the_front_is_that_of_every_mapping_that_meets_the_constraints(inside):
    rng, done = random.Random(inside), 0
    while done < 25:
        layer, machine = random_layer(rng, (4000, 600, 200, 60)[inside]), random_machine(rng, inside)
        try:
            constraints = random_constraints(rng, layer, machine)
        except InvalidInput:  # an exact factor above its own limit
            continue
        carried = rng.random() < 0.3
        machine = replace(machine, constraints=constraints) if carried else machine
        done += check(layer, machine, None if carried else constraints) > 0


@pytest.mark.parametrize("levels", [1, 2, 3, 4])
def test_constraints_hold_on_machines_of_any_hierarchy(levels):
    rng, done = random.Random(levels), 0
    while done < 15:
        layer, machine = random_layer(rng, (4000, 4000, 600, 200)[levels - 1]), random_hierarchy(rng, levels)
        try:
            constraints = random_constraints(rng, layer, machine)
        except InvalidInput:
            continue
        done += check(layer, machine, constraints) > 0


def test_names_that_the_layer_does_not_have_are_refused():
    constraints = Constraints((SlotConstraint("DRAM", "temporal", exact=(("Z", 1),)),))
    with pytest.raises(InvalidInput, match="names dimension 'Z'"):
        optimal_layer(matmul("mm", M=4, K=4, N=4), generic(), constraints)
