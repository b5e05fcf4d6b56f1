import json
from pathlib import Path

import pytest

from dlco.design.sensitivity import Sensitivity
from dlco.design.solution_table import solution_text


def test_a_table_is_printed(dlco, saved, solution):
    ran = dlco("report", saved)
    assert ran == type(ran)(0, solution_text(solution) + "\n", "")


@pytest.mark.parametrize(
    ("name", "start"), [("out.png", b"\x89PNG"), ("out.svg", b"<?xml"), ("out.html", b"<!DOCTYPE")]
)
def test_pictures_and_pages_are_written(dlco, saved, tmp_path, name, start):
    ran = dlco("report", saved, "-o", name)
    assert ran == type(ran)(0, "", "")
    assert (tmp_path / name).read_bytes().startswith(start)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_sensitivities_are_asked_for(dlco, saved, tmp_path, monkeypatch):
    found = (Sensitivity("glb.capacity", 64.0, -0.25, -0.5, 0.0),)
    monkeypatch.setattr("dlco.optimize.sensitivity.sensitivities", lambda solution: found)
    assert "What one per cent more is worth" not in dlco("report", saved).out
    assert "glb.capacity" in dlco("report", saved, "--sensitivities").out
    assert dlco("report", saved, "--sensitivities", "-o", "page.html").code == 0
    assert 'id="sensitivities"' in (tmp_path / "page.html").read_text()


@pytest.mark.parametrize(
    ("output", "said"),
    [("out.txt", "its suffix must be one of .png, .svg, .pdf, .html"), ("missing/out.png", "there is no folder")],
)
def test_outputs_that_cannot_be(dlco, saved, output, said):
    ran = dlco("report", saved, "-o", output)
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 1}', "nonsense", '{"format": 99}'])
def test_a_file_that_is_no_solution_is_one_sentence(dlco, tmp_path, text):
    (tmp_path / "bad.json").write_text(text)
    ran = dlco("report", "bad.json")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("dlco: error: ")
    assert ran.err.count("\n") == 1


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (("layer_costs",), {}, "no cost or no mapping of layer 'conv1'"),
        (("mappings",), {}, "no cost or no mapping of layer 'conv1'"),
        (("mappings", "conv1", "levels"), ["a", "b", "c"], "no cost or no mapping of layer 'conv1'"),
        (
            ("layer_costs", "conv1", "cycles"),
            "many",
            "cycles in the layer_costs of the solution ('conv1') is 'many'",
        ),
        (("layer_costs", "conv1", "level_pj"), {"DRAM": 1.0}, "level_pj of layer 'conv1'"),
        (
            ("layer_costs", "conv1", "level_pj", "DRAM"),
            None,
            "level_pj in the layer_costs of the solution ('conv1') ('DRAM') is None",
        ),
        (("cost", "edp"), None, "edp in the cost of the solution is None"),
        (("lower_bound",), "low", "lower_bound of the solution is 'low'"),
        (("objective",), "speed", "objective of the solution is 'speed'"),
    ],
)
def test_an_incomplete_solution_is_one_sentence(dlco, saved, path, value, said):
    data = json.loads(saved.read_text())
    place = data
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    saved.write_text(json.dumps(data))
    ran = dlco("report", saved)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("dlco: error: ")
    assert ran.err.count("\n") == 1
    assert said in ran.err


def test_a_missing_file_is_one_sentence(dlco):
    ran = dlco("report", "missing.json")
    assert ran.code == 2
    assert "'missing.json'" in ran.err
    assert ran.err.count("\n") == 1


@pytest.mark.parametrize(("kind", "title"), [("front", "latency and power"), ("codesign", "EDP")])
def test_fronts_and_co_designs_are_shown_too(dlco, tmp_path, kind, title):
    saved = Path(__file__).parent.parent / "data" / "saved" / f"{kind}_format1.json"
    ran = dlco("report", saved)
    assert (ran.code, ran.err) == (0, "")
    assert len(ran.out.splitlines()) > 5
    for name, start in (("out.png", b"\x89PNG"), ("out.html", b"<!DOCTYPE")):
        assert dlco("report", saved, "-o", name) == type(ran)(0, "", "")
        assert (tmp_path / name).read_bytes().startswith(start)
    page = (tmp_path / "out.html").read_text()
    assert title in page
    assert f"{kind}_format1.json" in page
