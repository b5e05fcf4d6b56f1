"""The files that timeloop-model prints."""

import json
import re
from pathlib import Path

import pytest

from dlco.errors import InvalidInput
from dlco.timeloop import read_stats
from dlco.timeloop.stats import parse_stats, parse_xml

SPACES = ("Weights", "Inputs", "Outputs")


@pytest.fixture
def printed(data: Path) -> Path:
    return data / "printed"


@pytest.fixture
def expected(printed: Path) -> dict:
    return json.loads((printed / "expected.json").read_text())


@pytest.fixture
def stats(printed: Path) -> str:
    return (printed / "timeloop-model.stats.txt").read_text()


@pytest.fixture
def xml(printed: Path) -> str:
    return (printed / "timeloop-model.map+stats.xml").read_text()


def flat(figures: dict, path: str = "") -> dict[str, float]:
    found = {}
    for key, value in figures.items():
        found |= flat(value, f"{path}{key}.") if isinstance(value, dict) else {path + key: value}
    return found


def test_both_files_have_every_recorded_figure(printed: Path, expected: dict) -> None:
    read = read_stats(printed / "timeloop-model.stats.txt", printed / "timeloop-model.map+stats.xml", SPACES)
    assert flat(read) == pytest.approx(flat(expected), rel=1e-6, abs=0.00501)
    assert isinstance(read["levels"]["DRAM"]["Inputs"]["reads"], int)


def test_text_alone_has_what_is_kept(printed: Path, expected: dict) -> None:
    read = flat(read_stats(printed / "timeloop-model.stats.txt"))
    theirs = flat(expected)
    assert "levels.psum_spad.Weights.reads" not in read
    assert read == pytest.approx({key: theirs[key] for key in read}, rel=1e-6, abs=0.00501)
    missing = set(theirs) - set(read)
    assert all(theirs[key] == 0 or key.endswith("utilized_instances") for key in missing)


def test_xml_alone_has_the_counts(xml: str, expected: dict) -> None:
    read = parse_xml(xml, SPACES)
    assert read["cycles"] == expected["cycles"]
    assert read["levels"]["DRAM"]["Outputs"]["updates"] == expected["levels"]["DRAM"]["Outputs"]["updates"]


def test_other_spellings(stats: str, expected: dict) -> None:
    energy = expected["fj_per_compute"] / 1000
    text = stats.replace("fJ/Compute", "pJ/Compute").replace(f"= {expected['fj_per_compute']:.2f}", f"= {energy:.6e}")
    text = re.sub(r"Scalar (reads|fills|updates) ", r"Actual scalar \1 ", text)
    text = text.replace("Utilized capacity   ", "Max utilized data storage capacity   ")
    text = text.replace("Computes (total)", "Actual Computes (total)")
    assert flat(parse_stats(text)) == pytest.approx(flat(parse_stats(stats)))


@pytest.mark.parametrize("text", ["", "hello", "=== x ===\n\nNetworks\n", "\nNetworks\nSummary Stats\nCycles: 3\n"])
def test_text_that_is_no_statistics(text: str) -> None:
    with pytest.raises(InvalidInput, match="it must be what timeloop-model printed"):
        parse_stats(text)


def test_damaged_numbers(stats: str) -> None:
    with pytest.raises(InvalidInput, match="statistics have 'many' where a number must be"):
        parse_stats(stats.replace("\nCycles: ", "\nCycles: many "))


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("<engine", "<!ENTITY a 'b'><engine", "declares entities"),
        ("<boost", "<<boost", "cannot be parsed"),
        ("levels_>", "storeys_>", "has no levels"),
        ("<level_name>DRAM</level_name>", "", "a level without a name"),
        ("<slowdown>", "<showdown>", "cannot be parsed"),
        ("<cycles>", "<cycles>x", "where a number must be"),
        ("t_>", "u_>", "has no specs_/instances/t_"),
    ],
)
def test_damaged_xml(xml: str, old: str, new: str, sentence: str) -> None:
    with pytest.raises(InvalidInput, match=sentence):
        parse_xml(xml.replace(old, new), SPACES)


def test_wrong_number_of_dataspaces(xml: str) -> None:
    with pytest.raises(InvalidInput, match="has 3 dataspaces at psum_spad; the problem has 2"):
        parse_xml(xml, SPACES[:2])


def test_no_file_at_all(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="at least one file must be given"):
        read_stats()
    with pytest.raises(InvalidInput, match="No such file"):
        read_stats(tmp_path / "timeloop-model.stats.txt")
