"""The benchmarks' results: what is kept of a run, and that the page shows these and nothing else."""

import json
import os
import platform
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
PAYLOAD = {
    "title": "A title",
    "text": "What is measured.",
    "tables": [{"title": "Seconds", "head": ["method", "s"], "rows": [["a|b", 1.25], ["c", None]]}],
    "targets": [{"name": "gap", "target": "at most 12 %", "value": 0.1, "met": True}],
}


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))


@pytest.fixture
def common(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    import common

    monkeypatch.setattr(common, "RESULTS", tmp_path)
    return common


def test_page_is_what_the_results_make() -> None:
    import report

    assert (BENCHMARKS / "README.md").read_text(encoding="utf-8") == report.readme(), "run benchmarks/report.py"


def test_committed_results_are_complete() -> None:
    import common

    for path in (BENCHMARKS / "results").glob("*.json"):
        result = json.loads(path.read_text(encoding="utf-8"))
        common.check_payload(result["payload"])
        assert result["name"] == path.stem
        assert result["commit"], f"{path.name} does not say which commit it measured"
        assert result["machine"].keys() >= {"cores", "cpu", "memory_gib", "load_before", "python", "torch"}


def test_saved_results_come_back_with_where_they_are_from(
    common: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["/somewhere/benchmarks/mine.py", "--seed", "3", "/somewhere/else/file"])
    path = common.save_results("mine", PAYLOAD)
    result = common.load_results("mine")
    assert result["payload"] == PAYLOAD
    assert result["command"] == "python benchmarks/mine.py --seed 3 file"
    assert [one.name for one in tmp_path.iterdir()] == ["mine.json"]
    text = path.read_text(encoding="utf-8")
    assert "somewhere" not in text
    assert str(BENCHMARKS.parent) not in text
    assert platform.node() not in text
    assert os.path.expanduser("~") not in text
    assert common.load_results("another") is None


def test_numbers_of_all_kinds_are_kept_as_plain_ones(common: ModuleType) -> None:
    common.save_results("mine", PAYLOAD | {"data": {"x": torch.tensor(2.5), "y": (1, float("inf")), 3: True}})
    assert common.load_results("mine")["payload"]["data"] == {"x": 2.5, "y": [1, None], "3": True}


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"title": None}, "title"),
        ({"extra": 1}, "extra"),
        ({"tables": [{"title": "t", "head": ["a"], "rows": [[1, 2]]}]}, "1 columns"),
        ({"tables": [{"title": "t", "head": ["a"]}]}, "rows"),
        ({"targets": [{"name": "t", "target": 1, "value": 2}]}, "met"),
        ({"targets": [{"name": "t", "target": 1, "value": 2, "met": "yes"}]}, "yes"),
    ],
)
def test_a_payload_that_the_page_cannot_show_is_refused(
    common: ModuleType, tmp_path: Path, wrong: dict[str, object], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        common.save_results("mine", PAYLOAD | wrong)
    assert not list(tmp_path.iterdir())


def test_page_shows_every_result_and_names_those_missing(
    common: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import report

    monkeypatch.setattr(report, "RESULTS", tmp_path)
    common.save_results("unexpected", PAYLOAD)
    text = report.readme()
    for name in report.BENCHMARKS:
        assert f"| {name} | not run |" in text
    assert "| unexpected | A title | 1 of 1 |" in text
    assert "| gap | at most 12 % | 0.1 | yes |" in text
    assert "| a\\|b | 1.25 |" in text
    assert "| c | – |" in text


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (None, "–"),
        (True, "yes"),
        (1234567, "1,234,567"),
        (2.0, "2"),
        (0.12345, "0.1235"),
        (9.8e16, "9.8e+16"),
        ("a", "a"),
    ],
)
def test_cells_are_shown_alike_everywhere(common: ModuleType, cell: object, text: str) -> None:
    assert common.shown(cell) == text
