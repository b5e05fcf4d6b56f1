"""The same silicon for words of another width: figures by hand from the technology, and machines against spaces."""

from dataclasses import replace
from itertools import product
from math import inf

import pytest
import torch

from dlco import Architecture, HardwareSpace, Level, conv2d, evaluate
from dlco.errors import InvalidInput
from dlco.hardware import (
    EYERISS_NORMALISED,
    TECHNOLOGY_45NM,
    AccelBenchSpace,
    Mesh,
    Parameter,
    Tie,
    accelbench_space,
    at_word_bits,
    dpu_like,
    eyeriss_chip,
    eyeriss_like,
    eyeriss_space,
    gemmini_like,
    gemmini_space,
    generic,
    generic_space,
    get_technology,
    simba_like,
    tpu_like,
)
from dlco.hardware.accelbench import SPRING
from dlco.mapping.checks import check_mapping
from dlco.optimize import SolveEffort, solve

COSTS = ("read_pj", "write_pj", "update_pj", "leak_pj", "area_um2")


def costs(level: Level) -> list[float]:
    return [getattr(level, name) for name in COSTS]


def same(one: Architecture, other: Architecture) -> bool:
    """Whether two machines are one, to the last digits of their energies and areas."""
    plain = [replace(machine, levels=(Level("x"),), mac_pj=1.0, mac_area_um2=1.0) for machine in (one, other)]
    if plain[0] != plain[1] or len(one.levels) != len(other.levels):
        return False
    for a, b in zip(one.tensors().__dict__.values(), other.tensors().__dict__.values(), strict=True):
        if not torch.equal(torch.isinf(a), torch.isinf(b)) or not torch.allclose(a, b, rtol=1e-12, atol=0):
            return False
    stated = ("name", "kind", "capacity", "word_bits", "block_size", "bypass", "multiple_buffering")
    return all(getattr(a, n) == getattr(b, n) for a, b in zip(one.levels, other.levels, strict=True) for n in stated)


@pytest.mark.parametrize("technology", ["45nm", "16nm"])
@pytest.mark.parametrize("bits", [4, 8, 16, 32])
def test_figures_are_those_of_the_technology_by_hand(technology, bits):
    tech = get_technology(technology)
    space = HardwareSpace(generic(tech), (), tech)
    made, more = at_word_bits(space, bits).base, 16 / bits
    registers, buffer, dram = made.levels
    assert (made.mac_bits, [level.word_bits for level in made.levels]) == (bits, [bits] * 3)
    assert made.macs == 256
    assert [level.capacity for level in made.levels] == [256 * more, 65536 * more, inf]
    assert [level.read_bandwidth for level in made.levels] == [4 * more, 16 * more, 8 * more]
    assert [level.write_bandwidth for level in made.levels] == [4 * more, 16 * more, 8 * more]
    mac = tech.mac(bits)
    assert (made.mac_pj, made.mac_area_um2) == pytest.approx((float(mac.pj), float(mac.area_um2)))
    read, write, leak, area = map(float, tech.sram(128 * 1024 * 8 / bits, bits, 256 / bits))
    assert costs(buffer) == pytest.approx([read, write, write, leak, area])
    read, write, *_ = map(float, tech.dram(bits, 128 / bits))
    assert costs(dram)[:3] == pytest.approx([read, write, write])
    known = tech.regfile(256, 16)  # 4096 bits, whose words no estimate tells apart
    assert registers.leak_pj == pytest.approx(float(known.leak_pj))
    assert registers.area_um2 == pytest.approx(float(known.area_um2))
    for name in ("read_pj", "write_pj"):
        word = getattr(registers, name) / registers.block_size
        assert word == pytest.approx(float(getattr(known, name)) * bits / 16)


def test_a_layer_costs_what_its_words_and_macs_come_to():
    """The same mapping moves the same words, each half as wide."""
    layer = conv2d("layer", N=1, C=16, M=16, P=8, Q=8, R=1, S=1)
    wide = generic(wires=False)
    narrow = at_word_bits(wide, 8)
    mapping = solve([layer], wide, "energy", effort=SolveEffort(starts=0), imperfect=False).mappings["layer"]
    check_mapping(layer.problem, narrow, mapping)
    before, after = evaluate(layer, wide, mapping), evaluate(layer, narrow, mapping)
    macs = 16 * 16 * 8 * 8
    leak = sum(level.leak_pj * n for level, n in zip(wide.levels, wide.instances, strict=True))
    moved = float(before.energy_pj) - macs * 3.275 - leak * float(before.cycles)
    pj = 0.0065625 * 8 + 0.0123828 * 64
    assert float(after.energy_pj) == pytest.approx(macs * pj + moved / 2 + leak * float(after.cycles), rel=1e-3)
    assert float(after.cycles) <= float(before.cycles)


@pytest.mark.parametrize("preset", [generic, eyeriss_like, gemmini_like, simba_like, tpu_like, dpu_like])
def test_its_own_width_changes_nothing_and_back_is_where_it_was(preset):
    machine = preset()
    assert at_word_bits(machine, machine.mac_bits) is machine
    narrow = at_word_bits(machine, machine.mac_bits // 2)
    assert same(at_word_bits(narrow, machine.mac_bits), machine)
    assert narrow.area_mm2 < machine.area_mm2
    on_chip = [level for level in machine.levels if level.kind == "SRAM"]
    assert [narrow.level(level.name).area_um2 for level in on_chip] == [level.area_um2 for level in on_chip]


def test_sums_keep_their_words_unless_told():
    machine = gemmini_like()
    narrow = at_word_bits(machine, 4)
    assert [level.word_bits for level in narrow.levels] == [4, 32, 4, 4]
    assert costs(narrow.level("accumulator")) == costs(machine.level("accumulator"))
    told = at_word_bits(machine, 4, {"accumulator": 16}).level("accumulator")
    assert (told.word_bits, told.capacity, told.block_size, told.read_bandwidth) == (16, 2048, 2, 2)
    register, before = narrow.level("registers"), machine.level("registers")
    assert (register.capacity, register.read_bandwidth) == (1, 1)
    assert costs(register) == pytest.approx([cost / 2 for cost in costs(before)])
    kept = at_word_bits(eyeriss_like(), 8, {"psum_spad": 16})
    assert kept.level("psum_spad") == replace(eyeriss_like().level("psum_spad"), network=kept.levels[0].network)


def small(base: Architecture) -> HardwareSpace:
    """Sizes of every kind, ties between levels, limits between sizes of different units."""
    parameters = (
        Parameter("shared_glb", "fanout_x", (4, 14)),
        Parameter("shared_glb", "capacity", (8192, 55296)),
        Parameter("shared_glb", "bandwidth", (2, 8), also=(Tie("DRAM", "bandwidth", 2.0),)),
        Parameter("psum_spad", "capacity", (8, 16), also=(Tie("weights_spad", "capacity", 8.0),)),
        Parameter("ifmap_spad", "read_bandwidth", (2, 4)),
    )
    return HardwareSpace(base, parameters).subject_to(
        "shared_glb.capacity <= 8192 * shared_glb.bandwidth",
        "weights_spad.capacity * shared_glb.fanout_x + psum_spad.capacity <= 1000",
    )


@pytest.mark.parametrize(("bits", "levels"), [(8, {}), (4, {"psum_spad": 8}), (8, {"psum_spad": 16})])
def test_a_space_has_the_machines_at_the_other_width(bits, levels):
    space = small(eyeriss_like())
    narrow = at_word_bits(space, bits, levels)
    assert narrow.size == space.size
    index = torch.tensor(list(product(range(2), repeat=5)))
    within = space.within(index)
    assert 0 < int(within.sum()) < len(index)
    assert torch.equal(narrow.within(index), within)
    for at in index[within]:
        machine = narrow.architecture_at(at)
        assert same(machine, at_word_bits(space.architecture_at(at), bits, levels))
        relaxed = narrow.machine(narrow.index_to_sizes(at))
        assert float(relaxed.area_mm2) == pytest.approx(machine.area_mm2)
    assert at_word_bits(narrow, 16, {"psum_spad": 16}).within(index).equal(within)


def test_curves_of_its_own_count_as_many_bits():
    """Those that know words, as register files', and those that know bits."""
    sizes = Parameter("RegisterFile", "capacity", (64, 256)), Parameter("GlobalBuffer", "capacity", (16384, 65536))
    own = ("RegisterFile", TECHNOLOGY_45NM.regfile_curves), ("GlobalBuffer", TECHNOLOGY_45NM.sram_curves)
    plain, told = HardwareSpace(generic(), sizes), HardwareSpace(generic(), sizes, curves=own)
    for at in product(range(2), repeat=2):
        index = torch.tensor(at)
        assert same(at_word_bits(told, 8).architecture_at(index), at_word_bits(plain, 8).architecture_at(index))
    again = at_word_bits(at_word_bits(told, 8), 4)  # from the curves that the first step made
    assert same(again.architecture_at(index), at_word_bits(told, 4).architecture_at(index))


@pytest.mark.parametrize("make", [eyeriss_space, generic_space, gemmini_space])
def test_the_spaces_of_the_presets_go_to_half_the_width(make):
    space = make()
    narrow = at_word_bits(space, space.base.mac_bits // 2)
    generator = torch.Generator().manual_seed(1)
    for at in space.nearest(space.sample(5, generator)):
        assert same(narrow.architecture_at(at), at_word_bits(space.architecture_at(at), space.base.mac_bits // 2))


def on(level: str, **changes: object) -> Architecture:
    machine = generic()
    return replace(machine, levels=tuple(replace(x, **changes) if x.name == level else x for x in machine.levels))


@pytest.mark.parametrize(
    ("hardware", "bits", "said"),
    [
        (generic(), 0, "bits is 0; it must be an integer of at least 1"),
        (generic(), 8.0, "bits is 8.0; it must be an integer"),
        (generic(), 2, "bits is 2; technology '45nm' has MACs of 4 to 32 bits"),
        (generic(), 64, "bits is 64; technology '45nm' has MACs of 4 to 32 bits"),
        (
            generic(),
            12,
            "capacity of 'RegisterFile' is 256 words of 16 bits; .* whole number of 12-bit words, .*341.333",
        ),
        (on("GlobalBuffer", block_size=1), 32, "block_size of 'GlobalBuffer' is 1 words of 16 bits; .* and make 0.5"),
        (replace(generic(), mac_pj=1.5), 8, "mac_pj of 'generic' is 1.5, which is given: '45nm' has 3.275 at 16 bits"),
        (replace(generic(), mac_area_um2=0.0), 8, "mac_area_um2 of 'generic' is 0"),
        (eyeriss_chip(), 8, "mac_pj of 'eyeriss_chip' is 1, which is given"),
        (generic(get_technology("7nm")), 8, "mac_pj of 'generic' is .*, which is given"),
        (HardwareSpace(generic(EYERISS_NORMALISED), (), EYERISS_NORMALISED), 8, "'eyeriss-normalised', whose MACs"),
        (simba_like(), 16, "word_bits of 'PEAccuBuffer' is 24: neither the 8 of the MACs' operands, nor the 32"),
        (on("RegisterFile", word_bits=8), 4, "word_bits of 'RegisterFile' is 8: neither the 16"),
        (on("GlobalBuffer", memory="one"), 8, "memory of 'GlobalBuffer'"),
        (on("DRAM", network=Mesh(hop_pj=1.0).network(4, 4, 16)), 8, "network of 'DRAM' has a mesh"),
        (accelbench_space(), 8, "mac_pj of 'accelbench' is .* at 20 bits"),
        (AccelBenchSpace(), 8, r"AccelBench's \(AccelBenchSpace\), whose figures are all of words of 20 bits"),
        (SPRING, 16, r"AccelBench's \(AccelBench\), whose figures are all of words of 20 bits"),
        ("generic", 8, "hardware is 'generic'; it must be an Architecture or a HardwareSpace"),
    ],
)
def test_what_has_no_such_words_is_refused(hardware, bits, said):
    with pytest.raises(InvalidInput, match=said):
        at_word_bits(hardware, bits)


def test_levels_and_grids_that_do_not_fit_are_refused():
    with pytest.raises(InvalidInput, match="level is 'buffer'; 'generic' has"):
        at_word_bits(generic(), 8, {"buffer": 16})
    with pytest.raises(InvalidInput, match="bits of 'DRAM' is 0"):
        at_word_bits(generic(), 8, {"DRAM": 0})
    space = HardwareSpace(generic(), (Parameter("RegisterFile", "capacity", (3, 256)),), TECHNOLOGY_45NM)
    with pytest.raises(InvalidInput, match=r"grid of RegisterFile\.capacity holds 3 words, which would be 1\.5"):
        at_word_bits(space, 32)
