"""Machines of any size as Timeloop's files, and back."""

from dataclasses import replace
from pathlib import Path

import pytest

from dlco import evaluate, linear, solve
from dlco.errors import InvalidInput
from dlco.hardware import Architecture, Level, generic, generic_space, get_technology
from dlco.hardware.eyeriss import eyeriss_chip
from dlco.timeloop import read_architecture, read_mapping, write, write_architecture

LARGE = Architecture(
    (
        Level("registers", "regfile", 2**34, block_size=3, read_bandwidth=0.5, multiple_buffering=1.5),
        Level("dummy", capacity=0, word_bits=8, block_size=2, fanout_x=2**40, fanout_y=2, leak_pj=1e-30),
        Level("odd", capacity=7, block_size=2, shared_bandwidth=1e9),
        Level("blocks", capacity=8 * (2**32 - 1), word_bits=8, block_size=8),
        Level("wide", word_bits=2**20, block_size=2**20),
        Level("DRAM", "DRAM", word_bits=64, read_pj=1e15, update_pj=1e-20),
    ),
    mac_pj=1e-20,
    mac_bits=2**32 - 1,
    cycle_s=1e-15,
)


@pytest.mark.parametrize("version", ["0.3", "0.4"])
@pytest.mark.parametrize("technology", ["45nm", "65nm", "7nm", "eyeriss-normalised", "null", "16nm: FinFET"])
def test_the_technology_is_written_and_reads_back(version: str, technology: str) -> None:
    text = write_architecture(replace(LARGE, technology=technology), version)
    assert read_architecture(text).technology == technology
    assert read_architecture(text) == LARGE  # no figure depends on it


@pytest.mark.parametrize("version", ["0.3", "0.4"])
def test_a_preset_says_which_technology_it_is_of(version: str) -> None:
    machine = generic(get_technology("16nm"))
    space = generic_space(get_technology("7nm"))
    assert (machine.technology, eyeriss_chip().technology, space.base.technology) == ("16nm", "65nm", "7nm")
    assert "technology: 16nm" in write_architecture(machine).replace('"', "")
    for one in (machine, eyeriss_chip(), space.architecture(space.low)):
        assert read_architecture(write_architecture(one, version)).technology == one.technology


def test_what_wires_make_of_area_and_energy_is_said_where_they_are_left_out(
    caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    wired, bare, layer = generic(), generic(wires=False), linear("fc", C=8, M=4)
    assert write_architecture(wired) == write_architecture(bare)
    area = f"{1 - bare.area_mm2 / wired.area_mm2:.1%}"
    said = "wires of RegisterFile, GlobalBuffer, DRAM are left out: Timeloop counts networks by other rules; "
    said += f"without them the area is {area} less"
    assert caplog.messages == [said]
    found = solve([layer], wired, "energy")
    (folder,) = write(found, tmp_path)
    machine = read_architecture(folder / "arch.yaml")
    assert machine == bare
    mapping = read_mapping(folder / "mapping.yaml", layer.problem, machine)
    share = 1 - evaluate(layer, machine, mapping).energy_pj.item() / found.cost.energy_pj
    assert caplog.messages[1:] == [f"{said}, the energy {share:.1%}"]


@pytest.mark.parametrize("version", ["0.3", "0.4"])
def test_what_is_written_reads_back_at_the_ends_of_its_range(version: str) -> None:
    """Sizes in blocks, words or KiB, whichever 32 bits hold; a level that keeps nothing; fan-outs beyond 32 bits."""
    assert read_architecture(write_architecture(LARGE, version)) == LARGE


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            {"capacity": 2**32 + 1},
            r"capacity of level 'a' is 4294967297 words; Timeloop's files hold sizes to 4294967295",
        ),
        ({"capacity": 2.5}, "capacity of level 'a' is 2.5; Timeloop takes whole words"),
        ({"word_bits": 2**32}, "words and blocks of level 'a' are larger than Timeloop's files take"),
        ({"block_size": 2**32}, "words and blocks of level 'a' are larger than Timeloop's files take"),
    ],
)
def test_what_timeloop_has_no_room_for_is_not_written(change: dict[str, float], sentence: str) -> None:
    with pytest.raises(InvalidInput, match=sentence):
        write_architecture(Architecture((Level("a", **change),)))  # type: ignore[arg-type]
