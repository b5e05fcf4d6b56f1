"""Files are replaced whole, by whoever writes them, and documents are read with an error that names what is wrong."""

import os
import stat
import threading
from pathlib import Path

import pytest

from dlco.errors import InvalidInput
from dlco.files import read_json, write_whole


def test_threads_that_write_one_file_leave_one_of_their_contents(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    contents = [letter * size for letter, size in (("a", 2_000_000), ("b", 1000), ("c", 0))]
    write_whole(path, contents[0])
    seen, failed, stop = set(), [], threading.Event()

    def write(content: str) -> None:
        try:
            for _ in range(20):
                write_whole(path, content)
        except OSError as error:
            failed.append(error)

    def read() -> None:
        while not stop.is_set():
            seen.add(path.read_text())

    writers = [threading.Thread(target=write, args=(content,)) for content in contents]
    reader = threading.Thread(target=read)
    for thread in (reader, *writers):
        thread.start()
    for thread in writers:
        thread.join()
    stop.set()
    reader.join()
    assert not failed
    assert seen <= set(contents)
    assert os.listdir(tmp_path) == ["result.json"]


@pytest.mark.skipif(os.name == "nt", reason="permission bits are POSIX's")
@pytest.mark.parametrize("mask", [0o022, 0o077, 0o000])
def test_permissions_are_those_of_an_opened_file(tmp_path: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        write_whole(tmp_path / "new", "text")
        (tmp_path / "other").touch()
    finally:
        os.umask(before)
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("new", "other")]
    assert modes[0] == modes[1] == 0o666 & ~mask
    os.chmod(tmp_path / "new", 0o640)
    write_whole(tmp_path / "new", "again")
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o640


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_a_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "place").mkdir()
    for name in ("old", "dangling"):
        (tmp_path / name).symlink_to(tmp_path / "place" / name)
    (tmp_path / "place" / "old").write_text("old")
    for name in ("old", "dangling"):
        write_whole(tmp_path / name, "new")
        assert (tmp_path / name).is_symlink()
        assert (tmp_path / "place" / name).read_text() == "new"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes with names are POSIX's")
def test_what_is_no_file_is_written_to(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    got = []
    reader = threading.Thread(target=lambda: got.append((tmp_path / "pipe").read_text()))
    reader.start()
    write_whole(tmp_path / "pipe", "text")
    reader.join()
    assert got == ["text"]
    assert (tmp_path / "pipe").is_fifo()


def test_a_name_as_long_as_they_come(tmp_path: Path) -> None:
    write_whole(tmp_path / ("x" * 250), b"bytes")
    assert (tmp_path / ("x" * 250)).read_bytes() == b"bytes"


def test_the_content_is_on_the_disk_before_its_name_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = []
    for name in ("fsync", "replace"):
        original = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *a, n=name, f=original: (steps.append(n), f(*a))[1])
    write_whole(tmp_path / "file", "text")
    assert steps == ["fsync", "replace", "fsync"]


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_write_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    (tmp_path / "file").write_text("old")

    def fail(*arguments: object) -> None:
        raise OSError("no more")

    with monkeypatch.context() as patched:
        patched.setattr(os, step, fail)
        with pytest.raises(OSError, match="no more"):
            write_whole(tmp_path / "file", "new")
    assert os.listdir(tmp_path) == ["file"]
    assert (tmp_path / "file").read_text() == "old"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"a": 1, "b": {"c": 1, "c": 2}}', "'c' is there twice"),
        ('{"a": NaN}', "NaN is no number of JSON"),
        ('{"a": [-Infinity]}', "-Infinity is no number"),
        ('{"a": 1e999}', "1e999 is too large"),
        ('{"a": ' + "9" * 5000 + "}", "cannot be read"),
        ("[" * 100_000, "cannot be read"),
        ("", "cannot be read"),
    ],
)
def test_what_no_document_should_hold_is_named(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(InvalidInput, match=r"solution file .*a\.json") as caught:
        read_json("solution", tmp_path / "a.json")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
