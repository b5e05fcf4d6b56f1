"""What a user gets: a wheel and a source archive of dlco, from which README's example runs in an empty environment."""

import os
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).parents[2]
NOT_SOURCE = shutil.ignore_patterns(".*", "__pycache__", "*.egg-info", "build", "dist", "out")
CONSTRAINTS = "source/constraints.txt"  # relative: pip splits the variable at spaces, which a path may hold
BUILD = "from setuptools import build_meta; print(build_meta.{what}('..'))"  # what pip and build call


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(shutil.copytree(ROOT, tmp_path_factory.mktemp("package") / "source", ignore=NOT_SOURCE))


@pytest.fixture(scope="module")
def build(source: Path) -> Callable[..., Path]:
    """Builds a wheel ("build_wheel") or a source archive ("build_sdist") of a folder, with this environment's tools."""

    def make(what: str, folder: Path = source) -> Path:
        said = run(sys.executable, "-c", BUILD.format(what=what), folder=folder)
        return folder.parent / said.splitlines()[-1]

    return make


@pytest.fixture(scope="module")
def wheel(build: Callable[..., Path]) -> Path:
    return build("build_wheel")


@pytest.fixture(scope="module")
def archive(build: Callable[..., Path]) -> Path:
    return build("build_sdist")


def run(*command: str | Path, folder: Path) -> str:
    """Run a command in a folder; if it fails, fail with what it said."""
    environment = os.environ | {"PIP_CONSTRAINT": CONSTRAINTS, "PIP_BUILD_CONSTRAINT": CONSTRAINTS}
    environment.pop("PYTHONPATH", None)
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, f"{command} exited with {done.returncode}:\n{done.stdout}{done.stderr}"
    return done.stdout


def files(folder: Path) -> set[str]:
    """The files in a folder that belong to the source."""
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    return {name for name in found if not name.startswith((".", "build/")) and ".egg-info" not in name}


def test_wheel_holds_dlco_and_nothing_else(source: Path, wheel: Path) -> None:
    package = {f"dlco/{name}" for name in files(source / "dlco")}
    names = set(ZipFile(wheel).namelist())
    metadata = {name for name in names if re.match(r"dlco-[^/]+\.dist-info/", name)}

    assert names - metadata == package
    assert {"dlco/py.typed", "dlco/__init__.pyi"} <= names
    assert any(name.endswith("/LICENSE") for name in metadata)


def test_source_archive_holds_the_package_and_its_tests(source: Path, archive: Path) -> None:
    with tarfile.open(archive) as content:
        names = {Path(*Path(one.name).parts[1:]).as_posix() for one in content if one.isfile()}
    names = {name for name in names if ".egg-info/" not in name}
    folders = {f"{place}/{name}" for place in ("dlco", "tests") for name in files(source / place)}
    beside = {
        *("CHANGELOG.md", "LICENSE", "MANIFEST.in", "Makefile", "README.md", "constraints.txt", "pyproject.toml"),
        *("setup.cfg", "PKG-INFO"),
    }
    assert names == folders | beside


def test_the_wheel_of_the_source_archive_is_the_same(
    tmp_path: Path, build: Callable[..., Path], archive: Path, wheel: Path
) -> None:
    with tarfile.open(archive) as content:
        content.extractall(tmp_path, filter="data")
    (unpacked,) = tmp_path.iterdir()
    again, first = ZipFile(build("build_wheel", unpacked)), ZipFile(wheel)
    assert set(again.namelist()) == set(first.namelist())
    assert all(again.read(name) == first.read(name) for name in first.namelist() if name.endswith(".py"))


@pytest.mark.slow
def test_readme_example_runs_from_the_wheel_in_an_empty_environment(wheel: Path, tmp_path: Path) -> None:
    (example,) = re.findall(r"^```python\n(.*?)^```$", (ROOT / "README.md").read_text(), re.DOTALL | re.MULTILINE)
    efforts = (ROOT / "tests" / "efforts.py").read_text()
    brief = example.replace("budget=budget)", "budget=budget, effort=replace(BRIEF, starts=1))")
    assert brief != example
    (tmp_path / "example.py").write_text(f"from dataclasses import replace\n{efforts}\n{brief}")
    binaries = tmp_path / "environment" / "bin"
    place = wheel.parent

    run(sys.executable, "-m", "venv", tmp_path / "environment", folder=place)
    run(binaries / "pip", "install", "--no-compile", wheel, folder=place)
    run(binaries / "pip", "check", folder=place)

    assert run(binaries / "python", "-I", "example.py", folder=tmp_path).strip()
    assert "solve" in run(binaries / "dlco", "--help", folder=tmp_path)
    assert "dlco" in run(binaries / "dlco", "doctor", folder=tmp_path)
