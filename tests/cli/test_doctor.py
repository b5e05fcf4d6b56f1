import json
import platform

import torch

from dlco import __version__
from dlco.cli import doctor


def test_what_there_is(dlco, monkeypatch):
    monkeypatch.delenv("TIMELOOP_MODEL", raising=False)
    monkeypatch.setenv("PATH", "")
    ran = dlco("doctor")
    assert (ran.code, ran.err) == (0, "")
    lines = dict(line.split("  ", 1) for line in ran.out.splitlines())
    found = {name: value.strip() for name, value in lines.items()}
    assert found["python"] == platform.python_version()
    assert found["torch"] == torch.__version__
    assert f"{torch.get_num_threads()} threads in torch" in found["cores"]
    assert "timeloop-model is not on PATH" in found["timeloop"]
    assert {"[onnx]", "[vision]", "[pandas]", "[nas]", "[dask]", "[ray]"} <= set(found)


def test_a_program_for_programs(dlco, monkeypatch, tmp_path):
    program = tmp_path / "timeloop-model"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("TIMELOOP_MODEL", str(program))
    found = json.loads(dlco("doctor", "--json").out)
    assert found["timeloop"] == {"program": str(program), "why_not": None}
    assert found["computer"]["cores"] >= 1
    assert isinstance(found["computer"]["gpus"], list)


def test_what_is_missing_is_said(dlco, monkeypatch):
    monkeypatch.setattr(doctor, "find_spec", lambda module: None)
    monkeypatch.setattr(doctor, "NEEDED", ("torch", "no-such-package"))
    out = dlco("doctor").out
    assert "[vision]" in out
    assert "missing: torchvision, timm" in out
    assert "no-such-package  missing" in out


def test_the_version_is_the_packages():
    assert doctor.examine()["dlco"] == __version__
