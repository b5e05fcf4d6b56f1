import pytest
import torch

from dlco.errors import InvalidInput
from dlco.hardware import Architecture, HardwareSpace, get_hardware
from dlco.hardware.presets import ARCHITECTURES

NAMES = list(ARCHITECTURES)


@pytest.mark.parametrize("name", NAMES)
def test_preset_lies_on_the_grid_of_its_space(name: str) -> None:
    space, preset = get_hardware(name, space=True), get_hardware(name)
    assert space.base == preset
    assert space.architecture(space.base_sizes) == preset


@pytest.mark.parametrize("name", NAMES)
def test_preset_is_consistent(name: str) -> None:
    preset = get_hardware(name)
    assert preset.name == name
    assert preset.levels[-1].name == "DRAM"
    assert not preset.levels[-1].bypass
    kept = [{"Weights", "Inputs", "Outputs"} - level.bypass for level in preset.levels]
    assert set().union(*kept[:-1]) == {"Weights", "Inputs", "Outputs"}
    for level in preset.levels:
        assert level.read_bandwidth >= level.block_size
        assert level.block_size <= level.capacity
        assert level.update_pj == level.write_pj
    for inner, outer in zip(preset.levels, preset.levels[1:], strict=False):
        shared = {"Weights", "Inputs", "Outputs"} - inner.bypass - outer.bypass
        if shared:  # what feeds a level costs more a word than the level itself
            assert outer.read_pj / outer.block_size > inner.read_pj / inner.block_size


@pytest.mark.parametrize(
    ("name", "macs", "low", "high"),
    [
        ("eyeriss", 168, 1, 2),
        ("simba", 1024, 2, 5),
        ("gemmini", 256, 0.8, 2),
        ("tpu", 16384, 25, 50),
        ("generic", 256, 1.5, 3),
    ],
)
def test_arrays_and_areas(name: str, macs: int, low: float, high: float) -> None:
    preset = get_hardware(name)
    assert preset.macs == macs
    assert low < preset.area_mm2 < high
    parts = sum(level.area_um2 * n for level, n in zip(preset.levels, preset.instances, strict=True))
    parts += preset.network_um2
    assert preset.area_mm2 == pytest.approx((parts + macs * preset.mac_area_um2) * 1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_area_grows_over_a_space(name: str) -> None:
    space = get_hardware(name, space=True)
    areas = [float(space.machine(sizes).area_mm2) for sizes in (space.low, space.base_sizes, space.high)]
    assert areas == sorted(areas)
    assert space.machine(space.sample(1000, torch.Generator().manual_seed(0))).area_mm2.min() >= areas[0]


def test_eyeriss_hierarchy() -> None:
    eyeriss = get_hardware("eyeriss")
    assert [level.name for level in eyeriss.levels] == ["psum_spad", "weights_spad", "ifmap_spad", "shared_glb", "DRAM"]
    assert [level.capacity for level in eyeriss.levels[:-1]] == [16, 192, 12, 55296]
    assert eyeriss.instances == (168, 168, 168, 1, 1)
    assert (eyeriss.level("shared_glb").fanout_x, eyeriss.level("shared_glb").fanout_y) == (14, 12)
    assert eyeriss.level("shared_glb").bypass == {"Weights"}
    assert eyeriss.level("ifmap_spad").bypass == {"Weights", "Outputs"}


def test_lookup() -> None:
    assert isinstance(get_hardware("simba"), Architecture)
    assert isinstance(get_hardware("simba", space=True), HardwareSpace)
    with pytest.raises(InvalidInput, match="hardware is 'tpuv9'; allowed: eyeriss, simba, gemmini, tpu, generic"):
        get_hardware("tpuv9")
