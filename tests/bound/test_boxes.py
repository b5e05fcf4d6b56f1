"""Boxes of machines: cut in two, they leave out no machine and hold none twice."""

from dataclasses import replace
from itertools import product
from math import inf

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from dlco import matmul
from dlco.bound.boxes import NetworkBound, NetworkBounding, SizeBox
from dlco.bound.branch import LayerBound
from dlco.bound.compulsory import layer_floors
from dlco.bound.program import Aim
from dlco.hardware.architecture import Architecture, Level
from dlco.hardware.space import HardwareSpace, Parameter, as_space
from dlco.hardware.technology import TECHNOLOGY_45NM

LAYERS = [matmul("one", M=4, K=4, N=4), matmul("two", M=8, K=2, N=2, count=3)]
BASE = Architecture(
    (
        Level("Registers", kind="regfile", capacity=16, read_pj=0.3, write_pj=0.3, update_pj=0.3),
        Level("Buffer", capacity=256, read_pj=6, write_pj=6, update_pj=6, fanout_x=2, fanout_y=2),
        Level("DRAM", kind="DRAM", read_pj=90, write_pj=90, update_pj=90),
    )
)
AIM = Aim(1.0, 1.0, cycles=inf, area_um2=inf, macs=inf)


def grids(least: int) -> st.SearchStrategy[tuple[int, ...]]:
    sizes = st.lists(st.integers(least, 200), min_size=1, max_size=6, unique=True)
    return sizes.map(lambda found: tuple(sorted(found)))


@st.composite
def boxes(draw: st.DrawFn) -> tuple[HardwareSpace, SizeBox]:
    """A space of one to three free sizes, and some of its machines."""
    free = [("Buffer", "fanout_x", 1), ("Registers", "capacity", 4), ("Buffer", "capacity", 16)]
    parameters = [
        Parameter(level, field, draw(grids(least))) for level, field, least in free[: draw(st.integers(1, len(free)))]
    ]
    ends = [sorted(draw(st.tuples(*[st.integers(0, len(p.grid) - 1)] * 2))) for p in parameters]
    return HardwareSpace(BASE, tuple(parameters), TECHNOLOGY_45NM), SizeBox(*map(tuple, zip(*ends, strict=True)))


def machines(box: SizeBox) -> list[tuple[int, ...]]:
    """Grid positions of all machines of a box."""
    return list(product(*(range(low, high + 1) for low, high in zip(box.low, box.high, strict=True))))


@given(boxes(), st.lists(st.floats(0, 1), min_size=6, max_size=6))
@settings(max_examples=60)
def test_halves_hold_every_machine_of_their_box_once(
    given_: tuple[HardwareSpace, SizeBox], chosen: list[float]
) -> None:
    """Wherever in the box the layers would like their sizes to be; halves are cut on until one machine is left."""
    space, whole = given_
    bounding = NetworkBounding(LAYERS, space, layer_floors(LAYERS, space))
    aims = [AIM] * len(LAYERS)
    todo, single = [whole], []
    while todo:
        box = todo.pop()
        costs = bounding._costs(box)
        models = [bounding._model(*pair, costs) for pair in zip(LAYERS, bounding.floors, strict=True)]
        bounding.models[box] = models
        low, high = (np.log(ends) for ends in bounding._sizes(box))
        found = []
        for i, model in enumerate(models):
            x = np.zeros(model.n)
            x[model.sizes] = low + (high - low) * chosen[3 * i : 3 * i + len(low)]
            found.append(LayerBound(1.0, 1, False, x=None if chosen[0] > 0.9 else x))
        halves = bounding._halves(box, NetworkBound(2.0, 2, False, tuple(found)), aims)
        if not halves:
            single += machines(box)
            assert box.low == box.high
            continue
        assert sorted(machines(halves[0]) + machines(halves[1])) == sorted(machines(box))
        todo += halves
    assert sorted(single) == sorted(machines(whole))


def test_a_bound_that_cuts_boxes_is_no_higher_than_any_machine_s_own() -> None:
    """Each machine is bounded by itself, to the end; a grid point that boxes left out would be below."""
    parameters = (Parameter("Buffer", "fanout_x", (1, 2, 3)), Parameter("Registers", "capacity", (4, 8, 16)))
    space = HardwareSpace(BASE, parameters, TECHNOLOGY_45NM)
    floors = layer_floors(LAYERS, space)
    for aim in (AIM, replace(AIM, energy=0.0), replace(AIM, time=0.0)):
        aims = [aim] * len(LAYERS)
        cut = NetworkBounding(LAYERS, space, floors).bound(aims, 40, 20).value
        alone = []
        for sizes in product(*(p.grid for p in parameters)):
            machine = as_space(space.architecture(tuple(map(float, sizes))))
            alone.append(NetworkBounding(LAYERS, machine, layer_floors(LAYERS, machine)).bound(aims, 400, 0).value)
        assert cut <= min(alone) * (1 + 1e-6)
