"""Checkpoints: a run that is cut off anywhere and taken up again ends as one that was not."""

import io
import logging
import os
import pickle
import random
import shutil
import sqlite3
import struct
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from dlco import Budget, InvalidInput, SolveEffort, solve
from dlco.design.solution import Solution
from dlco.hardware import Architecture, HardwareSpace, gemmini_like, generic
from dlco.journal import Journal, fingerprint
from dlco.progress import Progress
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
    code = "from dlco.hardware import generic; from dlco.journal import fingerprint; print(fingerprint("
    code += "(generic(), frozenset(['Weights', 'Inputs', 'Outputs']))))"
    runs = {subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout for _ in range(2)}
    assert runs == {fingerprint((generic(), frozenset(["Weights", "Inputs", "Outputs"]))) + "\n"}


# --- damage ----------------------------------------------------------------------------------------------------


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    """A checkpoint with a part."""
    journal = Journal(tmp_path / "whole.ckpt", "request", resume=False)
    journal.record("part", CONTENT)
    journal.record("proof", {"value": 2561043477.4679494, "how": "branching"})
    journal.close()
    return tmp_path / "whole.ckpt"


def test_a_flipped_bit_is_refused_or_of_no_consequence(whole: Path) -> None:
    raw, rng = whole.read_bytes(), random.Random(1)
    refused = 0
    for _ in range(150):
        bad = bytearray(raw)
        bad[rng.randrange(len(bad))] ^= 1 << rng.randrange(8)
        whole.write_bytes(bad)
        try:
            with closing(Journal(whole, "request", resume=True)) as journal:
                part, proof = journal.recall("part"), journal.recall("proof")
        except InvalidInput:
            refused += 1
        else:
            assert part is None or torch.equal(part["table"], CONTENT["table"])
            assert proof is None or proof["value"] == 2561043477.4679494
    assert refused > 30


def test_a_flipped_bit_of_a_proof_is_refused(network: list[Layer], effort: SolveEffort, tmp_path: Path) -> None:
    """The bit that made a bound above the design's own figure."""
    path, machine = tmp_path / "run.ckpt", gemmini_like()
    effort = replace(effort, exact=False)
    found = solve(network, machine, effort=effort, checkpoint=path)
    raw = bytearray(path.read_bytes())
    at = raw.find(b"G" + struct.pack(">d", found.lower_bound))  # as pickles write floats
    assert at > 0
    raw[at + 3] ^= 0x10
    path.write_bytes(raw)
    with pytest.raises(InvalidInput, match="is damaged at 'proof"):
        solve(network, machine, effort=effort, resume=path)


def tampered(path: Path, *commands: tuple[str, tuple[object, ...]]) -> Path:
    with closing(sqlite3.connect(path)) as file, file:
        for command, values in commands:
            file.execute(command, values)
    return path


class Boom:
    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return (os.system, ("touch ran",))


def archive(content: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


@pytest.mark.parametrize("content", [archive({"x": 1}), pickle.dumps(Boom()), archive(Boom()), b"", "text", 7])
def test_a_part_put_in_place_of_another_is_refused(whole: Path, content: object, monkeypatch) -> None:
    monkeypatch.chdir(whole.parent)
    tampered(whole, ("UPDATE parts SET content = ? WHERE name = 'part'", (content,)))
    with pytest.raises(InvalidInput, match="is damaged at 'part'"):
        Journal(whole, "request", resume=True)
    assert not (whole.parent / "ran").exists()


def test_code_and_packed_archives_are_refused_also_with_a_right_digest(whole: Path, monkeypatch) -> None:
    monkeypatch.chdir(whole.parent)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("archive/data.pkl", bytes(10_000_000))
    for content in (archive(Boom()), packed.getvalue()):
        with closing(Journal(whole, "request", resume=True)) as journal:
            row = ("bad", *journal._sealed("bad", content))
            journal._file.execute("INSERT OR REPLACE INTO parts VALUES (?, ?, ?)", row)
        with closing(Journal(whole, "request", resume=True)) as journal, pytest.raises(InvalidInput, match="'bad'"):
            journal.recall("bad")
    assert not (whole.parent / "ran").exists()


ENDLESS = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT x, x, x FROM c"


@pytest.mark.parametrize(
    "commands",
    [
        [("ALTER TABLE parts RENAME TO others", ()), (f"CREATE VIEW parts AS {ENDLESS}", ())],
        [("CREATE TRIGGER t BEFORE INSERT ON parts BEGIN SELECT raise(ABORT, 'x'); END", ())],
        [("DROP TABLE parts", ())],
        [("CREATE TABLE more (x)", ())],
        [("DELETE FROM parts WHERE name = 'format'", ())],
        [("DELETE FROM parts WHERE name = 'torch'", ())],
        [("UPDATE parts SET content = x'00' WHERE name = 'format'", ())],
    ],
    ids=["view", "trigger", "no table", "another table", "no format", "no version", "another format"],
)
def test_another_database_is_no_checkpoint(whole: Path, commands: list) -> None:
    with pytest.raises(InvalidInput, match="no checkpoint of this version"):
        Journal(tampered(whole, *commands), "request", resume=True)


def test_a_part_of_another_kind_is_refused(
    space: HardwareSpace, network: list[Layer], effort: SolveEffort, tmp_path: Path
) -> None:
    """With the right digest, as a faulty version of dlco might have written it."""
    path = tmp_path / "run.ckpt"
    solve(network, space, effort=effort, checkpoint=path)
    with closing(sqlite3.connect(path)) as file:
        names = [name for (name,) in file.execute("SELECT name FROM parts")]
        (request,) = file.execute("SELECT content FROM parts WHERE name = 'request'").fetchone()
    first = {kind: next(name for name in names if name.startswith(kind)) for kind in ("begin", "search", "proof")}
    for name in first.values():
        with closing(sqlite3.connect(path)) as file:
            (content,) = file.execute("SELECT content FROM parts WHERE name = ?", (name,)).fetchone()
        right = torch.load(io.BytesIO(content), weights_only=True)
        for wrong in ({"x": 1}, [torch.zeros(1)], 5, {key: torch.zeros(2, 2) for key in right}):
            bad = tmp_path / "bad.ckpt"
            shutil.copy(path, bad)
            journal = Journal.__new__(Journal)
            journal._request = request.decode()
            row = (*journal._sealed(name, archive(wrong)), name)
            tampered(bad, ("UPDATE parts SET content = ?, digest = ? WHERE name = ?", row))
            with pytest.raises(InvalidInput, match="is damaged at"):
                solve(network, space, effort=effort, resume=bad)


# --- versions and places ---------------------------------------------------------------------------------------


def test_another_version_of_dlco_is_refused_and_one_of_torch_warned_about(whole: Path, monkeypatch, caplog) -> None:
    with monkeypatch.context() as patched:
        patched.setattr("dlco.journal.__version__", "9.9")
        with pytest.raises(InvalidInput, match=r"a checkpoint of dlco .*; this is 9\.9"):
            Journal(whole, "request", resume=True)
    monkeypatch.setattr(torch, "__version__", "9.9")
    with caplog.at_level(logging.WARNING, "dlco"), closing(Journal(whole, "request", resume=True)) as journal:
        assert journal.recall("proof")["how"] == "branching"
    assert "was begun with torch" in caplog.text


@pytest.mark.parametrize("resume", [False, True])
@pytest.mark.parametrize("path", [5, None, "", b"a", "a\0b", "x" * 400, ".", "no/such/folder"])
def test_a_path_that_is_none_is_one_sentence(path: object, resume: bool, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InvalidInput, match=r"resume|checkpoint"):
        Journal(path, "request", resume=resume)  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


def test_a_path_is_no_word_of_the_database(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in (":memory:", "file:a?mode=memory"):
        Journal(name, "request", resume=False).close()
        assert (tmp_path / name).is_file()
        Journal(name, "request", resume=True).close()


def test_of_runs_that_begin_one_file_at_once_one_does(tmp_path: Path) -> None:
    for attempt in range(8):
        path, ready, won, lost = tmp_path / f"{attempt}.ckpt", threading.Barrier(6), [], []

        def begin(request: str, path: Path = path, ready: threading.Barrier = ready, won=won, lost=lost) -> None:
            ready.wait()
            try:
                journal = Journal(path, request, resume=False)
            except InvalidInput as error:
                lost.append(str(error))
            else:
                journal.record("part", request)
                journal.close()
                won.append(request)

        threads = [threading.Thread(target=begin, args=(f"request {i}",)) for i in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(won) == 1
        assert all("there already" in text for text in lost)
        with closing(Journal(path, won[0], resume=True)) as journal:
            assert journal.recall("part") == won[0]
    assert len(list(tmp_path.iterdir())) == 8, "no draft is left"


def test_a_folder_without_links_will_do(tmp_path: Path, monkeypatch) -> None:
    def refuse(*arguments: object) -> None:
        raise PermissionError("no links here")

    monkeypatch.setattr(os, "link", refuse)
    Journal(tmp_path / "a.ckpt", "request", resume=False).close()
    Journal(tmp_path / "a.ckpt", "request", resume=True).close()
    with pytest.raises(InvalidInput, match="there already"):
        Journal(tmp_path / "a.ckpt", "request", resume=False)


# --- a run outlives its checkpoint -----------------------------------------------------------------------------

FAULTS: dict[str, Callable[[Path], object]] = {
    "deleted": lambda path: path.unlink(),
    "folder deleted": lambda path: shutil.rmtree(path.parent),
    "overwritten": lambda path: path.write_bytes(b"x" * 5000),
    "truncated": lambda path: os.truncate(path, 0),
    "table dropped": lambda path: tampered(path, ("DROP TABLE parts", ())),
}


@pytest.fixture(scope="module")
def undisturbed(machine: Architecture, network: list[Layer], effort: SolveEffort) -> Solution:
    return solve(network, machine, effort=effort)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_run_goes_on_without_its_checkpoint(
    fault: str,
    machine: Architecture,
    network: list[Layer],
    effort: SolveEffort,
    undisturbed: Solution,
    tmp_path: Path,
    caplog,
) -> None:
    path = tmp_path / "folder" / "run.ckpt"
    path.parent.mkdir()
    done = []

    def meanwhile(progress: Progress) -> None:
        if not done:
            done.append(FAULTS[fault](path))

    found = solve(network, machine, effort=effort, checkpoint=path, progress=meanwhile)
    assert same(found, undisturbed)
    assert len([one for one in caplog.messages if "cannot be used any more" in one]) == 1


def test_a_locked_file_is_waited_for_once_and_then_done_without(whole: Path, monkeypatch, caplog) -> None:
    monkeypatch.setattr("dlco.journal.WAIT_S", 0.05)
    with closing(Journal(whole, "request", resume=True)) as journal, closing(sqlite3.connect(whole)) as other:
        other.isolation_level = None
        other.execute("BEGIN EXCLUSIVE")
        journal.record("later", 1)
        assert journal.recall("part") is None  # cannot be read either: it is computed again
        other.execute("ROLLBACK")
        journal.record("last", 2)
        assert journal.recall("last") == 2
    assert len(caplog.messages) == 1


def test_a_full_disk_stops_no_run(tmp_path: Path, caplog) -> None:
    resource = pytest.importorskip("resource")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    with closing(Journal(tmp_path / "run.ckpt", "request", resume=False)) as journal:
        journal.record("small", 1)
        resource.setrlimit(resource.RLIMIT_FSIZE, (16_384, limits[1]))  # bytes that a file may grow to
        try:
            journal.record("large", torch.zeros(100_000))
            journal.record("large too", torch.zeros(100_000))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert len(caplog.messages) == 1
    with closing(Journal(tmp_path / "run.ckpt", "request", resume=True)) as journal:
        assert (journal.recall("small"), journal.recall("large")) == (1, None)


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
from dlco.bound import BoundEffort
from dlco.exact import MachineEffort
from dlco.search.evolution import EvolutionEffort
from dlco.search.local_search import Effort
layers = [conv2d(f"conv{i}", C=8 * i, M=16, P=14, Q=14, R=3, S=3) for i in range(1, 4)]
effort = SolveEffort(starts=1, relax_rounds=1, survey=2, machines=2, descents=1, steps=3, polishes=1,
                     evolution=EvolutionEffort(generations=3, machines=4, near_bound=8, mappings=Effort(rounds=4),
                                       longer=Effort(rounds=6, islands=2)),
                     bound=BoundEffort(nodes=60, side=20, boxes=0), boxes=MachineEffort(boxes=0),
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
