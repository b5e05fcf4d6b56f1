"""What the inside of an array costs at least, against all mappings of all parts of tiny layers on random machines."""

import random
from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from dlco import conv2d, depthwise_conv2d, linear
from dlco.bound.compulsory import used_words
from dlco.exact.sums import Hull
from dlco.fusion.inside import inside_of
from dlco.fusion.retained import Residence, retained_front
from dlco.hardware import Architecture, Level, eyeriss_like, generic, simba_like, tpu_like
from dlco.workload import Layer
from dlco.workload.problem import Problem

from ..exact.test_wires import wired
from .test_plan import points_under, random_level, random_machine

ROUND = 1 - 1e-9


def is_above(hull: Hull, energy: float, cycles: float) -> bool:
    """Whether a hull bounds a point."""
    least = hull.energy_at(np.array([cycles / ROUND]))[0]
    return cycles >= hull.cycles[0] * ROUND and energy >= least * ROUND


def part_of(problem: Problem, sizes: dict[str, int]) -> Problem:
    return Problem(problem.dimensions, tuple((problem.sizes | sizes).values()), problem.dataspaces)


def tiny(rng: random.Random) -> tuple[Problem, list[str]]:
    """A layer, and dimensions of its result."""
    kind, few = rng.choice(("conv", "conv", "linear", "depthwise")), rng.choice
    if kind == "linear":
        return linear("fc", N=few((3, 5)), C=few((2, 4)), M=few((2, 6))).problem, ["N", "M"]
    if kind == "depthwise":
        layer = depthwise_conv2d("deep", C=few((2, 3)), P=few((3, 4)), Q=1, R=2, S=1)
        return layer.problem, ["P", layer.problem.dimensions[0]]
    (deep, wide), rows = few(((1, 2), (2, 1), (1, 4))), few((2, 3))
    layer = conv2d("conv", C=deep, M=wide, P=few((3, 4, 5)), Q=1, R=rows, S=1, stride=few((1, 1, 2)))
    return layer.problem, ["P", "M"]


def fanned(level: Level, rng: random.Random) -> Level:
    """A level over several of what lies inside, or over one."""
    x, y = rng.choice(((1, 1), (2, 1), (1, 2), (3, 1)))
    return replace(level, fanout_x=x, fanout_y=y)


@pytest.mark.parametrize("seed", range(24))
def test_no_mapping_of_any_part_is_below(seed: int) -> None:
    rng = random.Random(seed)
    machine, (problem, dims) = random_machine(rng), tiny(rng)
    if rng.random() < 0.3:  # two levels inside the array
        inner = replace(machine.levels[0], name="L00", capacity=rng.choice((3, 4)))
        between = random_level(rng, "L0", capacity=rng.choice((6, 12)), bypass=machine.levels[0].bypass)
        machine = replace(machine, levels=(inner, between, *machine.levels[1:]))
    if seed >= 10:  # fan-outs at several levels
        machine = replace(machine, levels=(*(fanned(one, rng) for one in machine.levels[:-2]), *machine.levels[-2:]))
    machine = wired(machine, rng) if seed % 2 else machine
    memory = machine.level("L1")
    homes = {s: "L1" for s in ("Inputs", "Outputs") if s not in memory.bypass and rng.random() < 0.7}
    cut = [dim for dim in dims if problem.sizes[dim] > 1 and rng.random() < 0.8]
    inside = inside_of(problem, Residence(tuple(homes.items())).machine(machine), frozenset(cut), ())
    assert inside is not None
    found = 0
    for extents in product(*(range(1, problem.sizes[dim] + 1) for dim in cut)):
        part = part_of(problem, dict(zip(cut, extents, strict=True)))
        hull = inside.hull(part.macs, {space.name: used_words(part, space) for space in part.dataspaces})
        points = points_under(part, machine, homes, {})
        found += len(points)
        assert all(is_above(hull, *point) for point in points), (extents, points, hull)
    assert found or homes


@pytest.mark.parametrize(
    ("machine", "layer"),
    [
        (eyeriss_like(), conv2d("conv", C=12, M=12, P=14, Q=14, R=3, S=3)),
        (generic(), conv2d("conv", C=12, M=12, P=14, Q=14, R=3, S=3)),
        (simba_like(), conv2d("conv", C=12, M=12, P=14, Q=14, R=3, S=3)),
        (simba_like(), conv2d("conv", C=64, M=64, P=14, Q=14, R=3, S=3)),
        (tpu_like(), conv2d("conv", C=64, M=64, P=14, Q=14, R=3, S=3)),
        (tpu_like(), depthwise_conv2d("deep", C=96, P=14, Q=14, R=3, S=3)),
        (tpu_like(), linear("fc", N=96, C=192, M=256)),
    ],
)
def test_it_is_near_what_the_best_mappings_cost(machine: Architecture, layer: Layer) -> None:
    """Of layers that are not cut, on machines of one fan-out and of several."""
    problem = layer.problem
    residence = Residence((("Inputs", machine.levels[-2].name), ("Outputs", machine.levels[-2].name)))
    front = retained_front(problem, machine, residence)
    hull = inside_of(problem, residence.machine(machine), frozenset(), ()).hull(
        problem.macs, {space.name: used_words(problem, space) for space in problem.dataspaces}
    )
    for energy, cycles in zip(front.front.energy_pj.tolist(), front.front.cycles.tolist(), strict=True):
        assert is_above(hull, energy, cycles)
    best = (front.front.energy_pj * front.front.cycles).min().item()
    assert 0.9 * best < (hull.energy * hull.cycles).min() <= best
