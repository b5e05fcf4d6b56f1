"""Checkpoints: a run that is cut off anywhere and taken up again ends as one that was not."""

import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from dlco import Budget, InvalidInput, SolveEffort, solve
from dlco.hardware import Architecture, HardwareSpace, generic
from dlco.optimize.journal import Journal, fingerprint
from dlco.optimize.progress import Progress
from dlco.optimize.solution import Solution
from dlco.workload import Layer

CONTENT = {"table": torch.arange(6.0).view(2, 3), "rows": [torch.tensor([1, 2])], "n": 3, "x": 0.5, "none": None}


def test_what_is_recorded_is_recalled(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "run.ckpt", "request", resume=False)
    journal.record("part", CONTENT)
    journal.close()
    again = Journal(tmp_path / "run.ckpt", "request", resume=True)
    found = again.recall("part")
    assert torch.equal(found["table"], CONTENT["table"])
    assert torch.equal(found["rows"][0], CONTENT["rows"][0])
    assert (found["n"], found["x"], found["none"]) == (3, 0.5, None)
    assert again.recall("another part") is None


@pytest.mark.parametrize("content", [b"", b"not a database at all, but long enough to look like one" * 20])
def test_a_file_that_is_no_checkpoint_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "run.ckpt"
    path.write_bytes(content)
    with pytest.raises(InvalidInput, match=r"run\.ckpt"):
        Journal(path, "request", resume=True)


def test_files_are_neither_overwritten_nor_mixed_up(tmp_path: Path) -> None:
    path = tmp_path / "run.ckpt"
    with pytest.raises(InvalidInput, match="there is no such file"):
        Journal(path, "request", resume=True)
    Journal(path, "request", resume=False).close()
    with pytest.raises(InvalidInput, match="there already"):
        Journal(path, "request", resume=False)
    with pytest.raises(InvalidInput, match="other arguments"):
        Journal(path, "another request", resume=True)


def test_fingerprints_tell_requests_apart() -> None:
    things = [generic(), Budget(), Budget(area_mm2=1.0), {"a": 1}, {"a": 2}, (1, 2), (12,), frozenset("ab"), "ab"]
    prints = [fingerprint(thing) for thing in things]
    assert len(set(prints)) == len(prints)
    assert prints == [fingerprint(thing) for thing in things]


def test_a_fingerprint_does_not_depend_on_the_process() -> None:
    """Sets of names have another order in every process."""
    code = "from dlco.hardware import generic; from dlco.optimize.journal import fingerprint; print(fingerprint("
    code += "(generic(), frozenset(['Weights', 'Inputs', 'Outputs']))))"
    runs = {subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout for _ in range(2)}
    assert runs == {fingerprint((generic(), frozenset(["Weights", "Inputs", "Outputs"]))) + "\n"}


def same(one: Solution, two: Solution) -> bool:
    return (one.mappings, one.architecture, one.cost, one.evaluations, one.lower_bound) == (
        two.mappings,
        two.architecture,
        two.cost,
        two.evaluations,
        two.lower_bound,
    )


@pytest.mark.parametrize("reports", [1, 4, 9, 25])
@pytest.mark.parametrize("free", [False, True], ids=["fixed", "space"])
def test_an_interrupted_run_is_taken_up_again(
    reports: int,
    free: bool,
    machine: Architecture,
    space: HardwareSpace,
    network: list[Layer],
    effort: SolveEffort,
    tmp_path: Path,
) -> None:
    hardware = space if free else machine
    whole = solve(network, hardware, effort=effort)
    seen = 0

    def stop(progress: Progress) -> None:
        nonlocal seen
        seen += 1
        if seen >= reports:
            raise KeyboardInterrupt

    path = tmp_path / "run.ckpt"
    solve(network, hardware, effort=effort, progress=stop, checkpoint=path)
    assert same(solve(network, hardware, effort=effort, resume=path), whole)
    assert same(solve(network, hardware, effort=effort, resume=path), whole), "a finished run answers at once"
    with pytest.raises(InvalidInput, match="other arguments"):
        solve(network, hardware, effort=effort, seed=1, resume=path)


PROGRAM = """
import sys
from dlco import Budget, SolveEffort, solve, conv2d
from dlco.hardware import eyeriss_space
from dlco.optimize.bound import BoundEffort
from dlco.optimize.fleet import FleetEffort
from dlco.optimize.local_search import Effort
layers = [conv2d(f"conv{i}", C=8 * i, M=16, P=14, Q=14, R=3, S=3) for i in range(1, 4)]
effort = SolveEffort(starts=1, relax_rounds=1, survey=2, machines=2, descents=1, steps=3, polishes=1,
                     fleet=FleetEffort(generations=3, machines=4, guided=8, mappings=Effort(rounds=4),
                                       longer=Effort(rounds=6, islands=2)),
                     bound=BoundEffort(nodes=60, side=20, boxes=0),
                     polish=Effort(rounds=20, population=8, neighbours=8, islands=4))
print("ready", flush=True)
file = {sys.argv[1]: sys.argv[2]} if len(sys.argv) > 2 else {}
solve(layers, eyeriss_space(), "edp", Budget(area_mm2=4), effort=effort, **file).save(sys.argv[-1])
"""


@pytest.mark.slow
def test_a_killed_run_is_taken_up_again(tmp_path: Path) -> None:
    """Killed (-9) at several moments, then resumed to the end: the same answer as without."""
    path = tmp_path / "run.ckpt"
    subprocess.run([sys.executable, "-c", PROGRAM, str(tmp_path / "whole.json")], check=True, capture_output=True)
    whole = Solution.load(tmp_path / "whole.json")
    end = str(tmp_path / "end.json")
    for wait in (0.3, 0.8, 1.5, 2.5):
        mode = "resume" if path.exists() else "checkpoint"
        command = [sys.executable, "-c", PROGRAM, mode, str(path), end]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(wait)
            process.kill()
    mode = "resume" if path.exists() else "checkpoint"
    subprocess.run([sys.executable, "-c", PROGRAM, mode, str(path), end], check=True, capture_output=True)
    assert same(Solution.load(end), whole)
