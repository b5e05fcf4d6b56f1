"""Bounds of machines whose wires cost energy and area, against every design there is."""

import random
from dataclasses import replace
from math import inf

import numpy as np
import pytest

from dlco import Budget, conv1d, matmul
from dlco.bound import BoundEffort, lower_bound
from dlco.bound.compulsory import compulsory_bound
from dlco.bound.unit_costs import Sum, unit_costs
from dlco.exact import optimal_layer
from dlco.hardware import (
    Architecture,
    HardwareSpace,
    Level,
    Network,
    Parameter,
    eyeriss_space,
    get_hardware,
    simba_space,
)
from dlco.hardware.resize import with_networks
from dlco.hardware.technology import TECHNOLOGY_45NM
from dlco.hardware.wires import Wires
from dlco.workload import Layer

from ..exhaustive import every_choice, machines_of

EFFORT = BoundEffort(nodes=60, side=30, rounds=2)
MARGIN = 1 + 1e-9
NAMES = ("Weights", "Inputs", "Outputs")
LAYERS = (matmul("layer", M=3, K=4, N=2), conv1d("layer", C=2, M=2, P=3, R=2), conv1d("layer", C=1, M=2, P=4, R=3))
THICK = Wires(pj_per_bit_mm=40.0, track_um=2.0, register_pj_per_bit=0.05)
"""Wires that cost as much as anything else in tiny machines."""


def machine(rng: random.Random, kinds: tuple[str | None, ...]) -> Architecture:
    """Three levels, one of which fans out; networks of these kinds."""
    fan = rng.randrange(3)
    levels = []
    for i, kind in enumerate(kinds):
        x, y = (rng.choice((1, 2, 3)), rng.choice((1, 2))) if i == fan else (1, 1)
        bypass = rng.sample(NAMES, rng.choice((0, 0, 1))) if i < 2 else ()
        given = Network(None, rng.choice((0.0, 0.2)), rng.choice((0.0, 0.1, 0.5)), 50.0)
        network = given if kind is None else Network("link" if x * y == 1 else kind)
        level = Level(
            f"L{i}",
            kind="regfile" if i == 0 else "SRAM",
            capacity=inf if i == 2 else rng.choice((8, 16)),
            word_bits=rng.choice((8, 16)),
            read_bandwidth=rng.choice((1.0, 4.0, inf)),
            read_pj=4.0**i,
            write_pj=4.0**i,
            update_pj=4.0**i,
            leak_pj=rng.choice((0.0, 0.1)),
            area_um2=100.0,
            fanout_x=x,
            fanout_y=y,
            bypass=frozenset(bypass),
            network=network,
        )
        levels.append(level)
    return with_networks(Architecture(tuple(levels), mac_pj=0.5, mac_area_um2=50.0), THICK)


def check(layer: Layer, hardware: Architecture | HardwareSpace, objective: str, area: float | None) -> None:
    choices = [c for one in machines_of(hardware) for c in every_choice([layer], one, trim=True)]
    values = sorted(c.area_mm2 for c in choices)
    budget = Budget() if area is None else Budget(area_mm2=values[int(area * (len(values) - 1))])
    best = min(c.value(objective) for c in choices if c.within(budget))
    bound = lower_bound([layer], hardware, objective, budget, effort=EFFORT)
    assert 0.2 * best < bound.value <= best * MARGIN
    assert compulsory_bound([layer], hardware, objective, budget) <= best * MARGIN


@pytest.mark.parametrize("seed", range(2, 5))
def test_no_mapping_beats_the_bound(seed: int) -> None:
    rng = random.Random(seed)
    one = machine(rng, tuple(rng.choice((None, "tree", "systolic")) for _ in range(3)))
    check(rng.choice(LAYERS), one, rng.choice(("energy", "edp", "latency")), None)


@pytest.mark.parametrize("seed", range(3))
def test_no_machine_of_a_space_beats_the_bound(seed: int) -> None:
    rng = random.Random(100 + seed)
    base = machine(rng, ("tree", "systolic" if seed % 2 else "tree", "link" if seed % 3 else "tree"))
    base = replace(base, levels=(replace(base.levels[0], network=Network("tree")), *base.levels[1:]))
    free = (
        Parameter("L0", "capacity", (4, 16)),
        Parameter("L0", "fanout_x", (1, 2, 3)),
        Parameter("L1", "bandwidth", (1, 2)),
    )
    space = HardwareSpace(base, free, replace(TECHNOLOGY_45NM, wires=THICK))
    check(rng.choice(LAYERS), space, rng.choice(("energy", "edp")), rng.choice((None, 0.3)))


@pytest.mark.parametrize("space", [eyeriss_space(), simba_space()], ids=lambda space: space.base.name)
def test_wires_in_a_bound_are_never_dearer_than_those_of_a_machine(space: HardwareSpace) -> None:
    """And the same where the box is one machine."""
    rng = np.random.default_rng(3)
    low, high = space.low.numpy(), space.high.numpy()
    for a, b in rng.random((20, 2, len(low))):
        ends = (
            np.exp(np.log(low) + np.minimum(a, b) * np.log(high / low)),
            np.exp(np.log(low) + np.maximum(a, b) * np.log(high / low)),
        )
        x = np.log(ends[0]) + rng.random(len(low)) * np.log(ends[1] / ends[0])
        wide, point = unit_costs(space, *ends), unit_costs(space, np.exp(x), np.exp(x))
        made = space.machine(space.low.new_tensor(np.exp(x)))
        for i, (own, exact) in enumerate(zip(wide.levels, point.levels, strict=True)):
            pairs = ((own.reach, exact.reach, made.reach_pj), (own.step, exact.step, made.step_pj))
            for least, same, true in (*pairs, (own.wires, exact.wires, made.network_um2)):
                value = true[i].item()
                assert least(x) <= value * (1 + 1e-9)
                assert same(x) == pytest.approx(value, rel=1e-9)
        assert wide.area(x) * 1e-6 <= made.area_mm2.item() * (1 + 1e-9)


def test_a_tangent_touches_a_power_of_a_sum() -> None:
    one = Sum(np.log([2.0, 3.0]), np.array([[1.0, 0.0], [0.5, -1.0]]))
    at, off = np.array([0.3, -0.2]), np.array([1.4, 0.9])
    tangent = one.tangent(at, 0.5)
    assert tangent(at) == pytest.approx(one(at) ** 0.5)
    assert tangent(off) < one(off) ** 0.5


def test_words_that_walk_networks_are_compulsory() -> None:
    layer = matmul("layer", M=3, K=4, N=2)
    for name in ("eyeriss", "simba", "gemmini"):
        wired, plain = (get_hardware(name, wires=wires) for wires in (True, False))
        least = {}
        for one in (wired, plain):
            listed = optimal_layer(layer, one).front.energy_pj
            least[one] = compulsory_bound([layer], one, "energy")
            assert least[one] <= float(listed.min()) * MARGIN
        assert least[wired] > least[plain]
