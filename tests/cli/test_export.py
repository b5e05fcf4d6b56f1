import csv
import io
import json
from dataclasses import replace

import pytest

from dlco.hardware import gemmini_like, generic
from dlco.timeloop import read_architecture


def test_a_solution_goes_to_timeloop_and_to_a_table(dlco, saved, solution, tmp_path):
    ran = dlco("export", saved, "--timeloop", "out", "--timeloop-version", "0.4", "--csv", "layers.csv")
    assert (ran.code, ran.out, ran.err) == (0, "", "")
    text = (tmp_path / "out" / "conv1" / "arch.yaml").read_text()
    assert text.startswith("variables: {version: 0.4,")
    assert read_architecture(text) == solution.architecture == generic(wires=False)
    (row,) = csv.DictReader(io.StringIO((tmp_path / "layers.csv").read_text()))
    assert float(row["energy_pj"]) == solution.cost.energy_pj


def test_a_machine_that_is_no_gemmini_is_refused_before_anything_is_written(dlco, saved, tmp_path):
    ran = dlco("export", saved, "--gemmini", "config.scala", "--csv", "layers.csv")
    assert ran.code == 2
    assert "architecture 'generic' is no Gemmini: it has 3 levels" in ran.err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("suffix", ["json", "scala"])
def test_a_gemmini_is_written(dlco, saved, solution, tmp_path, monkeypatch, suffix):
    monkeypatch.setattr("dlco.cli.export.Solution.load", lambda path: replace(solution, architecture=gemmini_like()))
    ran = dlco("export", saved, "--gemmini", f"config.{suffix}")
    assert ran.code == 0, ran.err
    text = (tmp_path / f"config.{suffix}").read_text()
    assert ("meshRows = 16" in text) if suffix == "scala" else (json.loads(text)["meshRows"] == 16)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "no output is given; at least one of --timeloop, --gemmini, --csv must be"),
        (["--gemmini", "config.txt"], "--gemmini is 'config.txt'; its suffix must be one of .scala, .json"),
        (["--csv", "no/layers.csv"], "there is no folder"),
        (["--timeloop", "out", "--timeloop-version", "0.2"], "'0.2'"),
    ],
)
def test_bad_arguments_are_one_sentence(dlco, saved, arguments, sentence):
    ran = dlco("export", saved, *arguments)
    assert ran.code == 2
    assert sentence in ran.err
    assert ran.err.count("\n") == 1
