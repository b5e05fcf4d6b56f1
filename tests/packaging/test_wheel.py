"""What a user gets: a wheel of dlco and nothing else, from which README's example runs in an empty environment."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).parents[2]
NOT_SOURCE = shutil.ignore_patterns(".*", "__pycache__", "*.egg-info", "build", "dist", "out")
CONSTRAINTS = "source/constraints.txt"  # relative: pip splits the variable at spaces, which a path may hold


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return Path(shutil.copytree(ROOT, tmp_path / "source", ignore=NOT_SOURCE))


@pytest.fixture
def wheel(source: Path) -> Path:
    run(sys.executable, "-m", "pip", "wheel", "--no-deps", "--wheel-dir", ".", "./source", folder=source.parent)
    (wheel,) = source.parent.glob("*.whl")
    return wheel


def run(*command: str | Path, folder: Path) -> str:
    """Run a command in a folder that holds `source`; if it fails, fail with what it said."""
    environment = os.environ | {"PIP_CONSTRAINT": CONSTRAINTS, "PIP_BUILD_CONSTRAINT": CONSTRAINTS}
    environment.pop("PYTHONPATH", None)
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, f"{command} exited with {done.returncode}:\n{done.stdout}{done.stderr}"
    return done.stdout


def test_wheel_holds_dlco_and_nothing_else(source: Path, wheel: Path) -> None:
    package = {path.relative_to(source).as_posix() for path in (source / "dlco").rglob("*") if path.is_file()}
    names = set(ZipFile(wheel).namelist())
    metadata = {name for name in names if re.match(r"dlco-[^/]+\.dist-info/", name)}

    assert names - metadata == package
    assert any(name.endswith("/LICENSE") for name in metadata)


@pytest.mark.slow
def test_readme_example_runs_from_the_wheel_in_an_empty_environment(wheel: Path, tmp_path: Path) -> None:
    (example,) = re.findall(r"^```python\n(.*?)^```$", (ROOT / "README.md").read_text(), re.DOTALL | re.MULTILINE)
    (tmp_path / "example.py").write_text(example)
    binaries = tmp_path / "environment" / "bin"

    run(sys.executable, "-m", "venv", "environment", folder=tmp_path)
    run(binaries / "pip", "install", "--no-compile", wheel, folder=tmp_path)
    run(binaries / "pip", "check", folder=tmp_path)

    assert run(binaries / "python", "-I", "example.py", folder=tmp_path).strip()
    assert "solve" in run(binaries / "dlco", "--help", folder=tmp_path)
