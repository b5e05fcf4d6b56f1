"""Networks: how they are laid out by the areas they span, and the ways of words over them."""

from dataclasses import replace

import pytest
import torch

from dlco.errors import InvalidInput
from dlco.hardware import (
    DRAM_KINDS,
    EYERISS_NORMALISED,
    TECHNOLOGY_45NM,
    Architecture,
    HardwareSpace,
    Level,
    Network,
    Parameter,
    Wires,
    get_hardware,
    get_technology,
    split,
    with_dram,
)
from dlco.hardware.network import MACS, Way, ways
from dlco.hardware.resize import with_networks

PRESETS = ("eyeriss", "simba", "gemmini", "tpu", "generic")
PLAIN = Wires(pj_per_bit_mm=0.2, track_um=0.5, covered=0.5, register_pj_per_bit=0.001)


def machine(kind: str = "tree") -> Architecture:
    """4 x 2 elements of 10,000 um2 (MAC 3,600 and registers of 6,400 less their link's wires) under a buffer."""
    link = 2 * 16 * 0.5 * 0.5 * 0.5 * 60.0  # both ways, half covered, half the MAC's side
    registers = Level("registers", "regfile", 8, area_um2=6400 - link, network=Network("link"))
    buffer = Level("buffer", capacity=64, area_um2=250000, read_bandwidth=4, fanout_x=4, fanout_y=2)
    buffer = replace(buffer, network=Network(kind))
    levels = (registers, buffer, Level("DRAM", "DRAM", network=Network("link")))
    return with_networks(Architecture(levels, mac_area_um2=3600), PLAIN)


def test_a_tree_is_laid_out_by_hand() -> None:
    inner, tree, outer = (level.network for level in machine().levels)
    assert inner is not None
    assert tree is not None
    assert outer is not None
    assert inner.reach_pj == pytest.approx(0.2e-3 * 30)  # half the MAC's side
    assert tree.reach_pj == pytest.approx(0.2e-3 * 100 * (4 / 4 + 2 / 2))
    assert tree.step_pj == pytest.approx(0.2e-3 * 100)
    track = 2 * 16 * 0.5 * 0.5
    assert tree.area_um2 == pytest.approx(track * (4 * 200 + 8 * 100))
    assert outer.reach_pj == pytest.approx(0.2e-3 * 250)  # half the buffer's side
    assert (inner.step_pj, outer.step_pj) == (0, 0)
    whole = 8 * 10000 + 250000 + tree.area_um2 + outer.area_um2
    assert machine().area_mm2 == pytest.approx(whole * 1e-6)
    assert machine().tensors().area_mm2.item() == pytest.approx(whole * 1e-6)


def test_a_systolic_array_has_registers() -> None:
    network = machine("systolic").level("buffer").network
    assert network is not None
    assert network.reach_pj == pytest.approx(0.2e-3 * 100 * (4 + 2) / 4)
    assert network.step_pj == pytest.approx(0.2e-3 * 100 + 0.001)


@pytest.mark.parametrize("name", PRESETS)
def test_presets_have_wires_unless_they_are_left_out(name: str) -> None:
    wired, plain = get_hardware(name), get_hardware(name, wires=False)
    assert all(level.network is None for level in plain.levels)
    assert replace(wired, levels=tuple(replace(lv, network=None) for lv in wired.levels)) == plain
    bare = get_hardware(name, technology=EYERISS_NORMALISED)  # says nothing of wires
    assert bare == get_hardware(name, technology=EYERISS_NORMALISED, wires=False)
    for level in wired.levels:
        assert level.network is not None
        assert level.network.reach_pj > 0
        assert (level.network.step_pj > 0) == (level.children > 1)


@pytest.mark.parametrize("name", PRESETS)
def test_a_space_lays_out_its_machines_as_the_preset_does(name: str) -> None:
    space = get_hardware(name, space=True)
    generator = torch.Generator().manual_seed(1)
    for sizes in space.sample(4, generator):
        one, row = space.architecture(sizes), space.machine(sizes)
        again = with_networks(one, TECHNOLOGY_45NM.wires)
        assert again == one
        for field in ("reach_pj", "step_pj", "network_um2"):
            assert torch.equal(getattr(one.tensors(), field), getattr(row, field))
        assert one.area_mm2 == pytest.approx(row.area_mm2.item(), rel=1e-14)
    sizes = space.base_sizes.clone().requires_grad_()
    made = space.machine(sizes)
    (made.reach_pj.sum() + made.step_pj.sum() + made.area_mm2).backward()
    assert sizes.grad is not None
    assert bool((sizes.grad >= 0).all())
    assert bool(torch.isfinite(sizes.grad).all())


def test_logs_of_wires_are_convex_in_logs_of_sizes() -> None:
    """What makes them fit a geometric program."""
    space = get_hardware("eyeriss", space=True)
    generator = torch.Generator().manual_seed(2)
    ends = torch.rand(2, 200, len(space.parameters), generator=generator, dtype=torch.float64)
    logs = space.low.log() + ends * (space.high / space.low).log()
    a, b, middle = (space.machine(x.exp()) for x in (*logs, logs.mean(0)))
    for field in ("reach_pj", "step_pj", "network_um2"):
        rows = [getattr(one, field).clamp(min=1e-30).log() for one in (a, b, middle)]
        assert bool((rows[2] <= (rows[0] + rows[1]) / 2 + 1e-9).all())


def test_wires_at_other_nodes_follow_the_supply() -> None:
    for name, vdd in (("65nm", 1.1), ("7nm", 0.7)):
        wires = get_technology(name).wires
        assert wires is not None
        assert TECHNOLOGY_45NM.wires is not None
        assert wires.pj_per_bit_mm == pytest.approx(TECHNOLOGY_45NM.wires.pj_per_bit_mm * vdd**2)
    lower = get_technology("45nm", vdd=0.8).wires
    assert lower is not None
    assert lower.pj_per_bit_mm == pytest.approx(0.12 / 0.81 * 0.64)
    assert lower.track_um == 0.36


def test_ways_of_words() -> None:
    kept = [[True, False], [False, True], [False, False], [True, True]]
    found = ways(kept, [False, False, True, False])
    assert found == [
        Way(0, 0, MACS, (0,), (), None),
        Way(0, 3, 0, (2, 3), (1,), 2),
        Way(1, 1, MACS, (0, 1), (), None),
        Way(1, 3, 1, (2, 3), (), 2),
    ]
    both = ways([[False], [False], [True]], [True, True, False])
    assert both == [Way(0, 2, MACS, (0, 1, 2), (), 0)]


def test_parts_of_a_memory_share_its_network() -> None:
    whole = get_hardware("generic")
    apart = split(whole, [("RegisterFile", name) for name in ("Outputs", "Inputs", "Weights")])
    assert apart.area_mm2 == pytest.approx(whole.area_mm2)
    first, second = apart.levels[0], apart.levels[1]
    assert first.network is not None
    assert second.network == replace(first.network, area_um2=0.0)
    with pytest.raises(InvalidInput, match="network of level 'RegisterFile_Inputs'"):
        replace(apart, levels=(first, replace(second, network=None), *apart.levels[2:]))


def test_another_dram_has_other_wires() -> None:
    for kind in DRAM_KINDS:
        one = with_dram(get_hardware("eyeriss"), kind)
        assert TECHNOLOGY_45NM.wires is not None
        area = with_networks(one, TECHNOLOGY_45NM.wires).level("DRAM").network.area_um2  # type: ignore[union-attr]
        assert one.level("DRAM").network.area_um2 == pytest.approx(area)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"kind": "mesh"}, "kind of a network is 'mesh'; allowed: link, tree, systolic, or None"),
        ({"reach_pj": -1.0}, "reach_pj of a network"),
        ({"kind": "link", "step_pj": 1.0}, "a link has no steps"),
    ],
)
def test_networks_that_are_none_are_refused(fields: dict, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        Network(**fields)


def test_a_technology_without_wires_leaves_the_bases_as_they_are() -> None:
    wired, free = get_hardware("eyeriss"), (Parameter("shared_glb", "fanout_x", (2, 4)),)
    space = HardwareSpace(wired, free, EYERISS_NORMALISED)
    assert space.wires is None
    assert [level.network for level in space.architecture([4]).levels] == [level.network for level in wired.levels]


def test_networks_of_parts_are_laid_out_as_those_of_their_memories() -> None:
    free = (Parameter("GlobalBuffer", "fanout_x", (4, 16, 32)), Parameter("GlobalBuffer", "capacity", (16384, 65536)))
    whole, order = get_hardware("generic"), [("RegisterFile", name) for name in ("Outputs", "Inputs", "Weights")]
    for sizes in ([4, 65536], [32, 16384]):
        made = HardwareSpace(split(whole, order), free).architecture(sizes)
        assert made == split(HardwareSpace(whole, free).architecture(sizes), order)


def test_what_is_no_network_is_refused() -> None:
    with pytest.raises(InvalidInput, match="network of level 'buffer' is 3; it must be a Network, or None"):
        Level("buffer", network=3)  # type: ignore[arg-type]
