import pickle
from dataclasses import replace
from math import inf

import pytest
import torch

import dlco
from dlco.bound import BoundEffort
from dlco.errors import InvalidInput
from dlco.hardware import Architecture, Level, Machine
from dlco.optimize import SolveEffort
from dlco.search.local_search import Effort

THREE = Architecture(
    (
        Level("register", "regfile", 8, area_um2=10, fanout_y=2),
        Level("buffer", "SRAM", 100, multiple_buffering=3, area_um2=1000, fanout_x=4, fanout_y=3),
        Level("DRAM", "DRAM", fanout_x=2),
    ),
    mac_area_um2=5,
)
STEP = Effort(rounds=3, patience=3, islands=1)
QUICK = SolveEffort(
    starts=1,
    relax_rounds=1,
    polishes=1,
    survey=2,
    machines=1,
    roundings=2,
    descents=1,
    steps=1,
    fit=STEP,
    step=STEP,
    polish=STEP,
    bound=BoundEffort(nodes=5, side=2, rounds=1, boxes=0),
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
        ({"capacity": -1}, "capacity of level 'buffer' is -1; it must be a number of at least 0"),
        ({"capacity": float("nan")}, "capacity of level 'buffer' is nan"),
        ({"read_pj": -1}, "read_pj of level 'buffer' is -1; it must be a number of at least 0"),
        ({"area_um2": inf}, "area_um2 of level 'buffer' is infinite; it must be finite"),
        ({"leak_pj": 1e200}, r"leak_pj of level 'buffer' is 1e\+200; it must be from 0 to 1e\+15"),
        ({"update_pj": float("nan")}, "update_pj of level 'buffer' is nan"),
        ({"read_bandwidth": 1e-300}, "read_bandwidth of level 'buffer' is 1e-300; it must be at least 1e-15"),
        ({"shared_bandwidth": float("nan")}, "shared_bandwidth of level 'buffer' is nan"),
        ({"multiple_buffering": inf}, "multiple_buffering of level 'buffer' is infinite; it must be finite"),
        ({"word_bits": 2**70}, r"word_bits of level 'buffer' is \d+; it must be an integer of at most 2\^53"),
        ({"block_size": 2**62}, r"block_size of level 'buffer' is \d+; it must be an integer of at most 2\^53"),
        ({"fanout_y": 10**400}, r"fanout_y of level 'buffer' is \d+; it must be an integer of at most 2\^53"),
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


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mac_pj": inf}, "mac_pj of 'system' is infinite; it must be finite"),
        ({"mac_pj": 1e300}, r"mac_pj of 'system' is 1e\+300; it must be from 0 to 1e\+15"),
        ({"mac_pj": float("nan")}, "mac_pj of 'system' is nan"),
        ({"mac_area_um2": inf}, "mac_area_um2 of 'system' is infinite"),
        ({"cycle_s": inf}, "cycle_s of 'system' is infinite"),
        ({"cycle_s": 5e-324}, r"cycle_s of 'system' is 5e-324; it must be from 1e-15 to 1e\+15"),
        ({"mac_bits": 2**70}, "mac_bits of 'system' is"),
        ({"levels": (Level("a", fanout_x=2**40), Level("b", fanout_x=2**40))}, r"MACs; there may be 2\^53"),
        ({"levels": (Level("a", capacity=0), Level("b", capacity=0))}, "capacity of every level of 'system' is 0"),
    ],
)
def test_bad_machines(change: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        replace(THREE, **change)  # type: ignore[arg-type]


def test_a_level_without_room_bypasses_all() -> None:
    """It counts as one that bypasses all three by name, for a mapping and for the search."""
    layer = dlco.linear("fc", C=16, M=12)
    names = frozenset({"Weights", "Inputs", "Outputs"})
    register = Level("register", "regfile", 16, read_pj=0.1, write_pj=0.1, update_pj=0.1)
    empty = Level("dummy", capacity=0, fanout_x=4, read_pj=7, leak_pj=0.25)
    dram = Level("DRAM", "DRAM", fanout_x=2, read_pj=100, write_pj=100, update_pj=100)
    machine = Architecture((register, empty, dram))
    named = machine.with_bypass({})
    named = replace(named, levels=(register, replace(empty, capacity=8, bypass=names), dram))
    solutions = [dlco.solve([layer], one, effort=QUICK) for one in (machine, named)]
    values = [(one.value, one.lower_bound, one.mappings) for one in solutions]
    assert values[0] == values[1]
    costs = [dlco.evaluate(layer, one, solutions[0].mappings["fc"]) for one in (machine, named)]
    assert costs[0].energy_pj.item() == costs[1].energy_pj.item() > 0
    assert costs[0].counts.reads[1].sum() == costs[0].counts.fills[1].sum() == 0


def test_everything_is_bypassed_whatever_it_is_called() -> None:
    empty = Level("dummy", capacity=0, bypass={"Weights"})
    other = frozenset({"A"})
    copy = pickle.loads(pickle.dumps(empty))
    for bypass in (empty.bypass, empty.bypass | other, other | empty.bypass, copy.bypass):
        assert "any name" in bypass
    assert Architecture((Level("register"), empty)).with_bypass({"dummy": []}).levels[1] == empty
    assert replace(empty, capacity=1, bypass={"Weights"}).bypass == {"Weights"}
