"""Boxes of machines: no machine in one is better than its most optimistic machine, in anything."""

import random
from math import inf

import pytest
import torch

from dlco import evaluate, matmul
from dlco.hardware import (
    HardwareSpace,
    MemoryCurves,
    Parameter,
    Posynomial,
    Term,
    Tie,
    eyeriss_space,
    gemmini_space,
    generic,
    simba_space,
)
from dlco.hardware.box import Box, Boxes
from dlco.mapping import MapSpace

FALLING = MemoryCurves(*(Posynomial((Term(9.0, -0.8, 0.4), Term(0.2, 0.6, 1.4))),) * 4, in_bits=False)
SPACES = {
    "eyeriss": eyeriss_space(),
    "simba": simba_space(),
    "gemmini": gemmini_space(),
    "falling": HardwareSpace(
        generic(),
        (
            Parameter("GlobalBuffer", "capacity", (256, 1024, 4096, 65536)),
            Parameter("GlobalBuffer", "bandwidth", (1, 2, 8, 32), also=(Tie("RegisterFile", "capacity", 8.0),)),
            Parameter("GlobalBuffer", "fanout_x", (1, 2, 8), also=(Tie("DRAM", "read_bandwidth", 0.5),)),
        ),
        curves=(("GlobalBuffer", FALLING),),
    ).subject_to("GlobalBuffer.capacity >= 100 * GlobalBuffer.bandwidth"),
}


def random_box(rng: random.Random, boxes: Boxes) -> Box | None:
    ends = [sorted(rng.choices(range(len(parameter.grid)), k=2)) for parameter in boxes.space.parameters]
    return boxes.trimmed(Box(tuple(low for low, _ in ends), tuple(high for _, high in ends)))


@pytest.mark.parametrize("name", SPACES)
def test_no_machine_of_a_box_is_better_than_its_most_optimistic_one(name):
    rng, space = random.Random(name), SPACES[name]
    boxes, layer, tried = Boxes(space), matmul("mm", M=8, K=12, N=16), 0
    while tried < 12:
        box = random_box(rng, boxes)
        if box is None:
            continue
        at_best = boxes.optimistic(box)
        index = torch.tensor([rng.randint(low, high) for low, high in zip(box.low, box.high, strict=True)])
        if not bool(space.within(index)):
            continue
        machine = space.architecture_at(index)
        assert boxes.least_area(box) <= machine.area_mm2
        assert boxes.least_macs(box) <= machine.macs
        for own, best in zip(machine.levels, at_best.levels, strict=True):
            for field in ("usable_capacity", "fanout_x", "fanout_y", "read_bandwidth", "write_bandwidth"):
                assert getattr(own, field) <= getattr(best, field)
            assert own.shared_bandwidth <= best.shared_bandwidth
            assert best.leak_pj <= own.leak_pj
            for words in (1, 3, 7, 64):
                for field in ("read_pj", "write_pj", "update_pj"):
                    spent = [-(-words // level.block_size) * getattr(level, field) for level in (best, own)]
                    assert spent[0] <= spent[1]
        generator = torch.Generator().manual_seed(tried)
        mapspace = MapSpace.of(layer.problem, machine)
        mappings = mapspace.batch(*mapspace.random(64, generator))
        here, there = (evaluate(layer, one, mappings) for one in (machine, at_best))
        fits = here.valid
        assert bool(there.valid[fits].all())
        assert bool((there.cycles <= here.cycles)[fits].all())
        assert bool((there.energy_pj <= here.energy_pj * (1 + 1e-12))[fits].all())
        tried += 1


def test_a_box_of_one_machine_is_that_machine():
    space = SPACES["falling"]
    box = Box((3, 1, 2), (3, 1, 2))
    assert box.is_point
    assert Boxes(space).optimistic(box) == space.architecture([65536, 2, 8])


def test_what_breaks_limits_is_trimmed_and_nothing_else():
    space = SPACES["falling"]
    machines = {}
    for index in torch.cartesian_prod(*(torch.arange(len(p.grid)) for p in space.parameters)):
        if bool(space.within(index)):
            machines[tuple(index.tolist())] = space.architecture_at(index)
    areas = sorted(machine.area_mm2 for machine in machines.values())
    for area, macs in ((inf, inf), (areas[len(areas) // 2], inf), (areas[3], 8), (areas[0] / 2, inf)):
        whole = Boxes(space, area, macs).whole
        kept = [at for at, one in machines.items() if one.area_mm2 <= area and one.macs <= macs]
        if whole is None:
            assert not kept
            continue
        assert all(a <= i <= b for at in kept for a, i, b in zip(whole.low, at, whole.high, strict=True))


def test_halves_cover_a_box():
    box = Box((0, 1), (2, 3))
    assert sorted(box.cuts()) == [(0, 0), (0, 1), (1, 1), (1, 2)]
    for p, at in box.cuts():
        low, high = box.halves(p, at)
        assert low.size + high.size == box.size == 9
