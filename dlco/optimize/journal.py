"""`Journal`: finished parts of a long run on disk, so that the run can be taken up again where it was cut off.

A run is a fixed sequence of parts, each a pure function of the request and of the parts before. What is recorded of a
part is all that it hands on; a resumed run reads the parts it finds and computes the others, and so ends with the
same answer as one that was never interrupted.
"""

import hashlib
import io
import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import torch

from dlco.errors import InvalidInput

FORMAT = "dlco checkpoint 1"


class Journal:
    """A file of finished parts. Each is written whole or not at all, also where the process is killed meanwhile.

    Args:
        path: the file.
        request: what the run was asked for, anything built of dataclasses, tensors and plain values.
        resume: take up the run of an existing file; otherwise the file must not exist yet.

    Raises:
        InvalidInput: the file is missing, is there already, is no checkpoint, or belongs to another request.
    """

    def __init__(self, path: str | os.PathLike[str], request: object, *, resume: bool) -> None:
        self.path = Path(path)
        shown = repr(os.fspath(path))
        if resume and not self.path.is_file():
            raise InvalidInput(f"resume is {shown}; there is no such file")
        if not resume and self.path.exists():
            raise InvalidInput(f"checkpoint is {shown}, which is there already; pass it as resume to go on with it")
        print_ = fingerprint(request)
        try:
            if not resume:
                _create(self.path, [("format", FORMAT.encode()), ("request", print_.encode())])
            self._file = sqlite3.connect(self.path, isolation_level=None)
            found = {name: self._read(name) for name in ("format", "request")}
        except (sqlite3.Error, OSError, ValueError) as error:
            raise InvalidInput(f"checkpoint file {shown} cannot be used: {error}") from None
        if found["format"] != FORMAT.encode():
            raise InvalidInput(f"resume is {shown}; it is no checkpoint of this version")
        if found["request"] != print_.encode():
            raise InvalidInput(f"resume is {shown}; it belongs to a run with other arguments")

    def recall(self, name: str) -> Any | None:
        """What was recorded of a part, or None; raises `InvalidInput` where the file was damaged since."""
        try:
            content = self._read(name)
            return None if content is None else torch.load(io.BytesIO(content), weights_only=True)
        except Exception as error:  # what a damaged archive raises is of many kinds
            reason = " ".join(str(error).split())[:200]
            raise InvalidInput(f"checkpoint file {os.fspath(self.path)!r} is damaged at {name!r}: {reason}") from None

    def record(self, name: str, content: Any) -> None:
        """Keep tensors, numbers and texts, in lists and dictionaries, under a part's name."""
        buffer = io.BytesIO()
        torch.save(content, buffer)
        self._file.execute("INSERT OR REPLACE INTO parts VALUES (?, ?)", (name, buffer.getvalue()))

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def _read(self, name: str) -> bytes | None:
        row = self._file.execute("SELECT content FROM parts WHERE name = ?", (name,)).fetchone()
        return None if row is None else row[0]


def _create(path: Path, head: list[tuple[str, bytes]]) -> None:
    """A file with its first parts, made beside its place: a run killed meanwhile leaves no half of it there."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.part")
    draft.unlink(missing_ok=True)
    try:
        with closing(sqlite3.connect(draft)) as file, file:
            file.execute("CREATE TABLE parts (name TEXT PRIMARY KEY, content BLOB NOT NULL)")
            file.executemany("INSERT INTO parts VALUES (?, ?)", head)
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)


@contextmanager
def recording(
    checkpoint: str | os.PathLike[str] | None, resume: str | os.PathLike[str] | None, request: object
) -> Iterator[Journal | None]:
    """The journal that arguments `checkpoint` or `resume` ask for, while the block runs; None where neither is given.

    Raises:
        InvalidInput: both are given, or the file is not what it should be (see `Journal`).
    """
    if checkpoint is not None and resume is not None:
        raise InvalidInput(
            f"checkpoint is {checkpoint!r} and resume is {resume!r}, both given; resume alone goes on with its own file"
        )
    path = checkpoint if resume is None else resume
    if path is None:
        yield None
        return
    journal = Journal(path, request, resume=resume is not None)
    try:
        yield journal
    finally:
        journal.close()


def recorded(journal: Journal | None, name: str, compute: Callable[[], Any]) -> Any:
    """What the journal has under a part's name, else what `compute` returns, which is then kept there.

    Args:
        journal: or None, for a run that keeps nothing.
        name: of the part.
        compute: returns tensors, numbers and texts, in lists and dictionaries.
    """
    found = journal.recall(name) if journal else None
    if found is None:
        found = compute()
        if journal:
            journal.record(name, found)
    return found


def fingerprint(value: object) -> str:
    """A digest of dataclasses, tensors and plain values that is the same in every process."""
    return hashlib.sha256(_spell(value).encode()).hexdigest()


def _spell(value: object) -> str:
    if is_dataclass(value) and not isinstance(value, type):
        inside = ",".join(f"{item.name}={_spell(getattr(value, item.name))}" for item in fields(value))
        return f"{type(value).__qualname__}({inside})"
    if isinstance(value, torch.Tensor):
        return f"tensor{value.tolist()!r}"
    if isinstance(value, Mapping):
        return "{" + ",".join(sorted(f"{_spell(k)}:{_spell(v)}" for k, v in value.items())) + "}"
    if isinstance(value, set | frozenset):
        return "{" + ",".join(sorted(map(_spell, value))) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(_spell, value)) + "]"
    return repr(value)
