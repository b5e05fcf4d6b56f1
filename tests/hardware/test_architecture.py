from dataclasses import replace
from math import inf

import pytest
import torch

from dlco.errors import InvalidInput
from dlco.hardware import Architecture, Level, Machine

THREE = Architecture(
    (
        Level("register", "regfile", 8, area_um2=10, fanout_y=2),
        Level("buffer", "SRAM", 100, multiple_buffering=3, area_um2=1000, fanout_x=4, fanout_y=3),
        Level("DRAM", "DRAM", fanout_x=2),
    ),
    mac_area_um2=5,
)


def test_instances_and_area() -> None:
    assert THREE.instances == (24, 2, 1)
    assert THREE.macs == 48
    assert THREE.area_mm2 == pytest.approx((24 * 10 + 2 * 1000 + 48 * 5) * 1e-6)
    machine = THREE.tensors()
    assert machine.instances.tolist() == [24, 2, 1]
    assert float(machine.macs) == 48
    assert float(machine.area_mm2) == pytest.approx(THREE.area_mm2)


def test_multiple_buffering_rounds_down() -> None:
    assert THREE.level("buffer").usable_capacity == 33
    assert THREE.tensors().capacity.tolist() == [8, 33, inf]


def test_with_bypass_changes_the_named_levels_alone() -> None:
    once = THREE.with_bypass({"buffer": ["Weights"]})
    both = once.with_bypass({"register": ["Inputs"]})
    assert [level.bypass for level in both.levels] == [{"Inputs"}, {"Weights"}, frozenset()]
    assert both.with_bypass({"buffer": [], "register": []}) == THREE
    with pytest.raises(InvalidInput, match="level is 'cache'; 'system' has register, buffer, DRAM"):
        THREE.with_bypass({"cache": ["Weights"]})


def test_dtype_and_select() -> None:
    machine = THREE.tensors(dtype=torch.float32)
    assert machine.read_pj.dtype == torch.float32
    batch = Machine(**{name: torch.stack([value, 2 * value]) for name, value in vars(machine).items()})
    chosen = batch.select(torch.tensor([[1], [0]]))
    assert chosen.read_pj.shape == (2, 1, 3)
    assert torch.equal(chosen.cycle_s[0, 0], 2 * machine.cycle_s)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": ""}, "name of a level is ''"),
        ({"kind": "flash"}, "kind of level 'buffer' is 'flash'; allowed: regfile, SRAM, DRAM"),
        ({"capacity": 0}, "capacity of level 'buffer' is 0; it must be a number above 0"),
        ({"capacity": float("nan")}, "capacity of level 'buffer' is nan"),
        ({"read_pj": -1}, "read_pj of level 'buffer' is -1; it must be a number of at least 0"),
        ({"area_um2": inf}, "area_um2 of level 'buffer' is infinite; it must be finite"),
        ({"block_size": 1.5}, "block_size of level 'buffer' is 1.5; it must be an integer of at least 1"),
        ({"fanout_x": 0}, "fanout_x of level 'buffer' is 0; it must be an integer of at least 1"),
    ],
)
def test_bad_levels(change: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        replace(Level("buffer"), **change)  # type: ignore[arg-type]


def test_level_names_are_distinct() -> None:
    with pytest.raises(InvalidInput, match="they must be one or more, of distinct names"):
        Architecture((Level("buffer"), Level("buffer")))
