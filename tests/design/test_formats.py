"""Files of earlier versions are read, those of later ones refused, and results go through pickle and JSON."""

import json
import pickle
from pathlib import Path

import pytest

from dlco import Front, Solution
from dlco.errors import InvalidInput
from dlco.nas import AccelBenchDesign, CoDesign, WidthChoice

SAVED = Path(__file__).parents[1] / "data" / "saved"
KINDS = {
    "solution": Solution,
    "front": Front,
    "codesign": CoDesign,
    "accelbench": AccelBenchDesign,
    "widths": WidthChoice,
}


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def old(kind: str) -> dict:
    """What a file of format 1 holds, as its first version wrote it."""
    return json.loads((SAVED / f"{kind}_format1.json").read_text())


def test_the_first_format_is_read(kind: str, old: dict) -> None:
    found = KINDS[kind].from_dict(old)
    if kind == "accelbench":
        assert (found.status, found.bill.cycles) == ("solved", old["bill"]["cycles"])
        return
    if kind == "widths":
        assert (found.status, found.word_bits, found.at(4)) == ("solved", 16, None)
        found, old, kind = found.best, old["widths"][1]["design"], "codesign"
    design = {"solution": found, "front": None, "codesign": getattr(found, "solution", None)}[kind]
    written = {"solution": old, "front": None, "codesign": old.get("solution")}[kind]
    if kind == "front":
        design, written = found.points[0].solution, old["points"][0]["solution"]
    assert found.status == "solved"
    assert design.cost.energy_pj == written["cost"]["energy_pj"]
    assert sum(one.energy_pj * one.count for one in design.layer_costs.values()) == pytest.approx(design.cost.energy_pj)


def test_a_file_without_a_format_is_of_the_first(kind: str, old: dict) -> None:
    del old["format"]
    old.pop("kind", None)
    assert KINDS[kind].from_dict(old) == KINDS[kind].load(SAVED / f"{kind}_format1.json")


def test_a_format_to_come_is_refused(kind: str, old: dict) -> None:
    with pytest.raises(InvalidInput, match=r"format of the .* is 7, written by dlco 9\.1; this version reads 1"):
        KINDS[kind].from_dict(old | {"format": 7, "dlco": "9.1"})
    with pytest.raises(InvalidInput, match="is 2, of a newer dlco; this version reads 1"):
        KINDS[kind].from_dict(old | {"format": 2})


def test_another_kind_is_refused(kind: str) -> None:
    other = KINDS["front" if kind != "front" else "codesign"]
    with pytest.raises(InvalidInput, match="is wanted, but this is a 'dlco "):
        other.from_dict(KINDS[kind].load(SAVED / f"{kind}_format1.json").to_dict())


def test_a_field_to_come_is_passed_over(kind: str, old: dict) -> None:
    """A later version of the same format may say more."""
    assert KINDS[kind].from_dict(old | {"weather": "fine"}) == KINDS[kind].from_dict(old)


def test_json_and_pickle_give_it_back(kind: str, tmp_path: Path) -> None:
    found = KINDS[kind].load(SAVED / f"{kind}_format1.json")
    found.save(tmp_path / "again.json")
    again = json.loads((tmp_path / "again.json").read_text())
    assert (again["format"], again["kind"].split()[0]) == (1, "dlco")
    assert again["dlco"]
    assert KINDS[kind].load(tmp_path / "again.json") == found
    assert pickle.loads(pickle.dumps(found)) == found
