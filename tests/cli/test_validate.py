import json
import shutil
from pathlib import Path

import pytest

PRINTED = Path(__file__).parents[1] / "data" / "timeloop" / "printed"


@pytest.fixture
def printed(tmp_path_factory) -> Path:
    """A case with what Timeloop printed for it."""
    return Path(shutil.copytree(PRINTED, tmp_path_factory.mktemp("validate") / "printed"))


def test_figures_that_agree(dlco, printed):
    ran = dlco("validate", printed)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.endswith("figures: all agree\n")


def test_a_figure_that_differs_is_found(dlco, printed):
    for path in printed.glob("timeloop-model.*"):
        path.write_text(path.read_text().replace("18816", "18817"))
    ran = dlco("validate", printed)
    assert ran.code == 1
    assert "of them differ" in ran.out


def test_json_says_whether_all_agree(dlco, printed):
    ran = dlco("validate", printed, "--json")
    compared = json.loads(ran.out)
    assert ran.code == 0
    assert compared["agrees"] is True
    assert compared["differing"] == 0
    assert compared["max_relative_error"] == 0
    assert {row["case"] for row in compared["rows"]} == {"printed"}


def test_a_folder_without_a_case_is_one_sentence(dlco, tmp_path):
    for folder in (tmp_path, tmp_path / "missing"):
        ran = dlco("validate", folder)
        assert (ran.code, ran.out) == (2, "")
        assert ran.err.startswith("dlco: error: folder ")
        assert ran.err.count("\n") == 1


def test_without_timeloop_and_without_its_output_it_says_so(dlco, case, monkeypatch):
    monkeypatch.delenv("TIMELOOP_MODEL", raising=False)
    monkeypatch.setenv("PATH", "")
    ran = dlco("validate", case)
    assert (ran.code, ran.out) == (2, "")
    assert "timeloop-model is not on PATH" in ran.err
