"""Comparing with Timeloop: figures a user has, the program where it is installed, and solutions."""

import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from dlco import timeloop
from dlco.errors import InvalidInput, InvalidMapping
from dlco.hardware.architecture import Architecture
from dlco.mapping.mapping import Mapping
from dlco.mapping.rules import CountingRules
from dlco.workload.layer import Layer

FILES = ("arch.yaml", "problem.yaml", "mapping.yaml")
OUTPUTS = ("timeloop-model.stats.txt", "timeloop-model.map+stats.xml")


@pytest.fixture
def folder(data: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(data / "printed", tmp_path / "case"))


@dataclass(frozen=True)
class Solution:
    architecture: Architecture
    mappings: dict[str, Mapping]
    layers: tuple[Layer, ...]


@pytest.fixture
def solution(data: Path) -> Solution:
    case = data / "printed"
    architecture = timeloop.read_architecture(case / "arch.yaml")
    problem = timeloop.read_problem(case / "problem.yaml")
    mapping = timeloop.read_mapping(case / "mapping.yaml", problem, architecture)
    layers = (Layer("dw/1", problem), Layer("dw 1", problem), Layer("..", problem))
    return Solution(architecture, {layer.name: mapping for layer in layers}, layers)


@pytest.fixture
def installed(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program that prints what timeloop-model printed, and its arguments to a file."""
    place = tmp_path / "bin"
    place.mkdir()
    path = place / "timeloop-model"
    path.write_text(
        f"#!{sys.executable}\n"
        "import os, shutil, sys, time\n"
        f"case = {str(data / 'printed')!r}\n"
        f"open({str(tmp_path / 'arguments')!r}, 'w').write(' '.join(sys.argv[1:]))\n"
        "mode = os.environ.get('FAKE', '')\n"
        "links = os.environ.get('TIMELOOP_DISABLE_LINK_TRANSFERS')\n"
        "if mode == 'refuse': sys.exit(\"ERROR: couldn't map level ifmap_spad: mapped tile size 18 exceeds 12\")\n"
        "if mode == 'crash' or links: print('Assertion failed', flush=True); sys.exit(3)\n"
        "if mode == 'slow': time.sleep(60)\n"
        f"for name in {OUTPUTS!r}: shutil.copy(os.path.join(case, name), name)\n"
    )
    path.chmod(0o755)
    monkeypatch.delenv("TIMELOOP_MODEL", raising=False)
    monkeypatch.setenv("PATH", str(place), prepend=os.pathsep)
    return tmp_path


def test_figures_that_the_user_has(folder: Path) -> None:
    result = timeloop.compare(folder)
    assert result.max_relative_error == 0
    assert {row.level for row in result.rows} >= {"", "compute", "DRAM", "psum_spad"}
    assert len([row for row in result.rows if row.quantity == "reads"]) == 15
    assert "largest relative error: 0 over" in str(result)
    assert result.to_dict()["rows"][0]["quantity"] == "cycles"


@pytest.mark.parametrize("output", OUTPUTS)
def test_one_of_the_two_files_is_enough(folder: Path, output: str) -> None:
    (folder / output).unlink()
    assert timeloop.compare(folder).max_relative_error == 0


def test_a_difference_is_seen(folder: Path) -> None:
    path = folder / OUTPUTS[1]
    path.write_text(path.read_text().replace("<item>18816</item>", "<item>18817</item>"))
    result = timeloop.compare(folder)
    assert 0 < result.max_relative_error == pytest.approx(1 / 18817)
    worst = max(result.rows, key=lambda row: row.relative_error)
    assert (worst.level, worst.dataspace, worst.ours, worst.theirs) == ("psum_spad", "Outputs", 18816, 18817)
    unlinked = timeloop.compare(folder, CountingRules())
    assert len(unlinked.rows) == len(result.rows)


MAPPER_INPUT = """
architecture:
  version: 0.4
  subtree:
  - name: top
    local:
    - {name: "Main[1..1]", class: DRAM, attributes: {width: 16, datawidth: 16}}
    - {name: "Buffer[1..1]", class: SRAM, attributes: {depth: 64, width: 16, datawidth: 16}}
    - {name: "MAC[1..1]", class: intmac, attributes: {datawidth: 16}}
problem:
  shape:
    dimensions: [P, R]
    data_spaces:
    - {name: Weights, projection: [R]}
    - {name: Inputs, projection: [R+P]}
    - {name: Outputs, projection: [P], read_write: true}
  instance: {P: 16, R: 3}
mapping: []
mapper: {version: 0.4, algorithm: random}
"""
MAP = """
mapping:
- {target: Buffer, type: temporal, factors: P1 R1, permutation: PR}
- {target: Main, type: temporal, factors: P16 R3, permutation: RP}
"""
STATS = """
Buffer and Arithmetic Levels
----------------------------
=== Main ===
    SPECS
        Technology : DRAM
    STATS
    Cycles : 48
    Weights:
        Scalar reads (per-instance) : 48
    Inputs:
        Scalar reads (per-instance) : {inputs}
    Outputs:
        Scalar updates (per-instance) : {outputs}
Networks
--------
Summary Stats
-------------
Cycles: 48
"""


def mapper_folder(folder: Path, inputs: int, outputs: int) -> Path:
    """A folder as timeloop-mapper leaves it, with another mapping and what else it writes beside its own."""
    folder.mkdir(exist_ok=True)
    (folder / "parsed-processed-input.yaml").write_text(MAPPER_INPUT)
    (folder / "timeloop-mapper.map.yaml").write_text(MAP)
    (folder / "timeloop-mapper.stats.txt").write_text(STATS.format(inputs=inputs, outputs=outputs))
    (folder / "timeloop-mapper.ERT_summary.yaml").write_text("ERT_summary: {version: 0.4}\n")
    (folder / "mapping.yaml").write_text("mapping: [{target: Main, type: temporal, factors: P16 R3}]\n")
    return folder


def test_a_folder_that_the_mapper_left(tmp_path: Path) -> None:
    """Its empty `mapping` hides no map file, and its figures are of its own mapping.

    Timeloop takes each step outwards, of one position back over the two that R went forward after its first, for no
    move: the inputs fetched are 3 and two more at each of 15 steps.
    """
    result = timeloop.compare(mapper_folder(tmp_path / "mapper", inputs=33, outputs=16))
    assert result.max_relative_error == 0
    assert result.remarks == ()
    assert {(row.dataspace, row.theirs) for row in result.rows} >= {("Inputs", 33), ("Outputs", 16)}


def test_older_figures_of_dataspaces_that_slide_are_explained(tmp_path: Path) -> None:
    """Issue 295 of NVlabs/timeloop: P x R reads of inputs."""
    (remark,) = timeloop.compare(mapper_folder(tmp_path / "a", inputs=48, outputs=16)).remarks
    assert "until January 2025" in remark
    assert remark.endswith("all figures agree")
    (remark,) = timeloop.compare(mapper_folder(tmp_path / "b", inputs=47, outputs=16)).remarks
    assert not remark.endswith("all figures agree")
    assert timeloop.compare(mapper_folder(tmp_path / "c", inputs=48, outputs=17)).remarks == ()
    assert timeloop.compare(mapper_folder(tmp_path / "d", inputs=33, outputs=17)).remarks == ()


def test_figures_of_another_machine_or_mapping_are_refused(folder: Path) -> None:
    (folder / OUTPUTS[1]).unlink()
    path = folder / OUTPUTS[0]
    good = path.read_text()
    path.write_text(good.replace("=== psum_spad ===", "=== accumulator ==="))
    with pytest.raises(InvalidInput, match="have no level 'psum_spad'; it leaves out those without energy only"):
        timeloop.compare(folder)
    path.write_text(good.replace("    Outputs:\n", "    Results:\n"))
    with pytest.raises(InvalidInput, match="have no 'Outputs' at psum_spad; the mapping keeps it there"):
        timeloop.compare(folder)


def test_one_file_with_everything_under_another_name(folder: Path) -> None:
    whole = "".join((folder / name).read_text() + "\n" for name in FILES)
    for name in FILES:
        (folder / name).unlink()
    (folder / "all.yml").write_text(whole)
    assert timeloop.compare(folder).max_relative_error == 0


def test_tables_in_files_of_their_own_and_what_timeloop_left(folder: Path) -> None:
    arch, _, tables = (folder / "arch.yaml").read_text().partition("ERT:")
    (folder / "arch.yaml").write_text(arch)
    ert, _, art = tables.partition("ART:")
    (folder / "timeloop-model.ERT.yaml").write_text("ERT:" + ert)
    (folder / "timeloop-model.ART.yaml").write_text("ART:" + art)
    (folder / "timeloop-model.flattened_architecture.yaml").write_text("architecture: {local: []}")
    (folder / "timeloop-model.map.yaml").write_text("mapping: nonsense")
    assert timeloop.compare(folder).max_relative_error == 0


def test_cases_one_folder_further_down(folder: Path) -> None:
    shutil.copytree(folder, folder.parent / "also")
    assert {row.case for row in timeloop.compare(folder.parent).rows} == {"also", "case"}


def test_folders_that_hold_no_case(folder: Path) -> None:
    (folder / "copy.yaml").write_text((folder / "problem.yaml").read_text())
    with pytest.raises(InvalidInput, match=r"problem stands in both copy\.yaml and problem\.yaml"):
        timeloop.compare(folder)
    (folder / "copy.yaml").unlink()
    (folder / "other.stats.txt").write_text("")
    with pytest.raises(InvalidInput, match=r"holds 2 files \*stats\.txt; there may be one"):
        timeloop.compare(folder)
    (folder / "problem.yaml").unlink()
    with pytest.raises(InvalidInput, match="holds no case"):
        timeloop.compare(folder)
    with pytest.raises(InvalidInput, match="it must be a folder"):
        timeloop.compare(folder / "none")
    with pytest.raises(InvalidInput, match="solution is int without 'architecture'"):
        timeloop.compare(3)  # type: ignore[arg-type]


def test_program_on_path(folder: Path, installed: Path) -> None:
    for name in OUTPUTS:
        (folder / name).unlink()
    read = timeloop.run(folder)
    assert read["levels"]["DRAM"]["Inputs"]["reads"] > 0
    assert (installed / "arguments").read_text().split() == [str(folder / name) for name in sorted(FILES)]
    assert sorted(path.name for path in folder.iterdir()) == sorted([*FILES, "expected.json"])
    assert timeloop.compare(folder).max_relative_error == 0
    with pytest.raises(InvalidInput, match="failed on 'case' with code 3; it said: Assertion failed"):
        timeloop.run(folder, rules=CountingRules("timeloop"))
    with pytest.raises(InvalidInput, match="restart is 'refetch'; timeloop-model knows its own rule only"):
        timeloop.run(folder, rules=CountingRules())


def test_what_the_program_may_do(folder: Path, installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE", "refuse")
    with pytest.raises(InvalidMapping, match="cannot map level ifmap_spad: mapped tile size 18") as error:
        timeloop.run(folder)
    assert error.value.level == "ifmap_spad"
    monkeypatch.setenv("FAKE", "slow")
    with pytest.raises(InvalidInput, match=r"took more than 0\.5 s"):
        timeloop.run(folder, timeout_s=0.5)
    monkeypatch.setenv("TIMELOOP_MODEL", str(folder / "arch.yaml"))
    with pytest.raises(InvalidInput, match=r"\$TIMELOOP_MODEL is .*; it must be a program that can be run"):
        timeloop.run(folder)
    monkeypatch.setenv("TIMELOOP_MODEL", str(installed / "bin" / "timeloop-model"))
    monkeypatch.setenv("FAKE", "")
    assert timeloop.run(folder)["cycles"] > 0


def test_no_program(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TIMELOOP_MODEL", raising=False)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(InvalidInput, match=r"^timeloop-model is not on PATH and \$TIMELOOP_MODEL is not set$"):
        timeloop.run(folder)


@pytest.mark.timeloop
@pytest.mark.skipif(
    not (os.environ.get("TIMELOOP_MODEL") or shutil.which("timeloop-model")), reason="timeloop-model is not installed"
)
def test_the_program_itself(folder: Path, solution: Solution) -> None:
    for name in OUTPUTS:
        (folder / name).unlink()
    assert timeloop.compare(folder).max_relative_error < 1e-6
    assert timeloop.compare(solution).max_relative_error < 1e-6


def test_solutions(solution: Solution, installed: Path) -> None:
    result = timeloop.compare(solution)
    assert result.max_relative_error == 0
    assert {row.case for row in result.rows} == {"dw_1", "dw_1_", "layer"}


@pytest.mark.parametrize("version", ["0.3", "0.4"])
def test_written_folders(solution: Solution, tmp_path: Path, version: str) -> None:
    places = timeloop.write(solution, tmp_path / "a" / "b", version)
    assert [place.name for place in places] == ["dw_1", "dw_1_", "layer"]
    for place in places:
        assert sorted(path.name for path in place.iterdir()) == sorted(FILES)
        architecture = timeloop.read_architecture(place / "arch.yaml")
        problem = timeloop.read_problem(place / "problem.yaml")
        assert timeloop.read_mapping(place / "mapping.yaml", problem, architecture) == solution.mappings["dw/1"]
        counted = timeloop.model(*(place / name for name in FILES))
        assert counted == timeloop.model(*(place / name for name in FILES), rules=timeloop.TIMELOOP_RULES)


def test_nothing_is_written_where_something_is_wrong(solution: Solution, tmp_path: Path) -> None:
    short = Solution(solution.architecture, {}, solution.layers)
    with pytest.raises(InvalidMapping, match="layer 'dw/1' has no mapping"):
        timeloop.write(short, tmp_path / "out")
    with pytest.raises(InvalidInput, match=r"version is '1'; allowed: 0\.3, 0\.4"):
        timeloop.write(solution, tmp_path / "out", version="1")
    assert not (tmp_path / "out").exists()
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidInput, match="cannot be written"):
        timeloop.write(solution, tmp_path / "file")
