"""`Journal`: finished parts of a long run on disk, so that the run can be taken up again where it was cut off.

A run is a fixed sequence of parts, each a pure function of the request and of the parts before. What is recorded of a
part is all that it hands on; a resumed run reads the parts it finds and computes the others, and so ends with the
same answer as one that was never interrupted.

The file is an SQLite database of one table. Every part stands beside a digest of its name, its content and the request,
so that what was damaged since is refused and never computed with. A run outlives its checkpoint: where parts can no
longer be kept it says so once, and goes on.
"""

import hashlib
import io
import logging
import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import torch

from dlco.errors import InvalidInput, reason_of
from dlco.files import draft_beside
from dlco.reading import check_archive
from dlco.version import __version__

log = logging.getLogger("dlco")

FORMAT = "dlco checkpoint 3"
TABLE = "CREATE TABLE parts (name TEXT PRIMARY KEY, content BLOB NOT NULL, digest BLOB NOT NULL) WITHOUT ROWID"
HEAD = ("format", "request", "dlco", "torch")
WAIT_S = 5.0  # for another process to let go of the file, before the first part that is not kept

Part = TypeVar("Part")


class Journal:
    """A file of finished parts. Each is written whole or not at all, also where the process is killed meanwhile.

    Args:
        path: the file.
        request: what the run was asked for, anything built of dataclasses, tensors and plain values.
        resume: take up the run of an existing file; otherwise the file must not exist yet. Of several runs that begin
            the same file at once, one does.

    Raises:
        InvalidInput: the file is missing, is there already, is no checkpoint, is damaged, or belongs to another request
            or another version of dlco. Another version of torch, which may round differently, is warned about.
    """

    def __init__(self, path: str | os.PathLike[str], request: object, *, resume: bool) -> None:
        self._said = False
        self._names: set[str] = set()
        self.path = _checked_path("resume" if resume else "checkpoint", path)
        self._shown = repr(os.fspath(path))
        self._request = fingerprint(request)
        versions = {"dlco": __version__, "torch": torch.__version__}
        try:
            if not resume:
                head = {"format": FORMAT, "request": self._request} | versions
                _create(self.path, [(name, *self._sealed(name, text.encode())) for name, text in head.items()])
            self._file = sqlite3.connect(self.path, timeout=WAIT_S, isolation_level=None)
            try:
                self._open(versions)
            except BaseException:
                self._file.close()
                raise
        except InvalidInput:
            raise
        except FileExistsError:
            raise InvalidInput(
                f"checkpoint is {self._shown}, which is there already; pass it as resume to go on with it"
            ) from None
        except (sqlite3.Error, OSError, ValueError) as error:
            raise InvalidInput(f"checkpoint file {self._shown} cannot be used: {reason_of(error)}") from None

    def _open(self, versions: Mapping[str, str]) -> None:
        """Look at what the file says of itself, and at which parts it has."""
        found = self._file.execute("SELECT type, name, sql FROM sqlite_master LIMIT 3").fetchall()
        if found != [("table", "parts", TABLE)]:  # no view, which may never end, and nothing that acts on a change
            raise InvalidInput(f"resume is {self._shown}; it is no checkpoint of this version")
        head = {name: self._file.execute(_SELECT, (name,)).fetchone() for name in HEAD}
        if any(row is None for row in head.values()) or head["format"][0] != FORMAT.encode():
            raise InvalidInput(f"resume is {self._shown}; it is no checkpoint of this version")
        asked, self._request = self._request, str(head["request"][0], "utf-8", "replace")
        said = {name: self._unsealed(name, *row).decode() for name, row in head.items()}
        if self._request != asked:
            raise InvalidInput(f"resume is {self._shown}; it belongs to a run with other arguments")
        if said["dlco"] != versions["dlco"]:
            raise InvalidInput(
                f"resume is {self._shown}, a checkpoint of dlco {said['dlco']}; this is {versions['dlco']}, whose runs "
                "may have other parts"
            )
        if said["torch"] != versions["torch"]:
            log.warning(
                "checkpoint file %s was begun with torch %s; with %s the result may not be the same to the last digit",
                self._shown,
                said["torch"],
                versions["torch"],
            )
        for name, content, digest in self._file.execute("SELECT name, content, digest FROM parts"):
            self._unsealed(name, content, digest)  # all of them now, not when the run comes to them
            self._names.add(name)

    def has(self, name: str) -> bool:
        """Whether a part is recorded."""
        return name in self._names

    def recall(self, name: str, read: Callable[[Any], Part] = lambda content: content) -> Part | None:
        """What was recorded of a part, or None.

        Args:
            name: of the part.
            read: makes of the content what is wanted of it.

        Raises:
            InvalidInput: the file was damaged since, or the part is none that `read` can read.
        """
        if name not in self._names:
            return None
        try:
            row = self._file.execute(_SELECT, (name,)).fetchone()
        except sqlite3.OperationalError as error:  # deleted or locked meanwhile: the part is computed again
            self._warn(error)
            return None
        except sqlite3.Error as error:
            self._refuse(name, reason_of(error))
        if row is None:
            self._refuse(name, "the part is gone")
        content = self._unsealed(name, *row)
        try:
            check_archive(content, len(content))  # torch compresses none of its own
            return read(torch.load(io.BytesIO(content), weights_only=True))
        except Exception as error:  # what a part of another kind raises is of many kinds
            self._refuse(name, reason_of(error))

    def record(self, name: str, content: Any) -> None:
        """Keep tensors, numbers and texts, in lists and dictionaries, under a part's name.

        Where the file cannot be written a warning says so, once, and the run goes on.
        """
        buffer = io.BytesIO()
        torch.save(content, buffer)
        try:
            row = (name, *self._sealed(name, buffer.getvalue()))
            self._file.execute("INSERT OR REPLACE INTO parts VALUES (?, ?, ?)", row)
        except sqlite3.Error as error:
            self._warn(error)
        else:
            self._names.add(name)

    def chapter(self, title: str) -> "Journal":
        """A journal of a run within this one: its parts are kept here, under names that begin with the title."""
        return _Chapter(self, title)

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def _sealed(self, name: str, content: bytes) -> tuple[bytes, bytes]:
        """(content, the digest that belongs beside it under this name)."""
        seal = hashlib.blake2b(digest_size=32)
        for piece in (self._request.encode(), name.encode(), content):
            seal.update(len(piece).to_bytes(8, "big") + piece)
        return content, seal.digest()

    def _unsealed(self, name: str, content: object, digest: object) -> bytes:
        """The content, once it is what was recorded."""
        if not isinstance(name, str) or not isinstance(content, bytes) or self._sealed(name, content)[1] != digest:
            self._refuse(name, "it is not what was recorded")
        return content

    def _refuse(self, name: str, reason: str) -> NoReturn:
        raise InvalidInput(f"checkpoint file {self._shown} is damaged at {name!r}: {reason}") from None

    def _warn(self, error: sqlite3.Error) -> None:
        if not self._said:
            log.warning(
                "checkpoint file %s cannot be used any more (%s); the run goes on, and what it does from here on may "
                "have to be done again where it is resumed",
                self._shown,
                reason_of(error),
            )
            self._said = True
            self._file.execute("PRAGMA busy_timeout = 0")  # the next parts do not wait


class _Chapter(Journal):
    """The parts of another journal whose names begin with a title."""

    def __init__(self, book: Journal, title: str) -> None:
        self._book, self._title = book, title

    def has(self, name: str) -> bool:
        return self._book.has(f"{self._title}: {name}")

    def recall(self, name: str, read: Callable[[Any], Part] = lambda content: content) -> Part | None:
        return self._book.recall(f"{self._title}: {name}", read)

    def record(self, name: str, content: Any) -> None:
        self._book.record(f"{self._title}: {name}", content)

    def close(self) -> None:
        """Nothing: the file is the other's."""


_SELECT = "SELECT content, digest FROM parts WHERE name = ?"


def _checked_path(argument: str, path: object) -> Path:
    """The file's path, absolute: names such as ":memory:" mean something else to SQLite."""
    try:
        text = os.fspath(path)  # type: ignore[call-overload]
    except TypeError:
        text = None
    if not isinstance(text, str) or not text or "\0" in text:
        raise InvalidInput(f"{argument} is {path!r}; it must be the path of a file")
    absolute = Path(os.path.abspath(text))
    if argument == "resume" and not os.path.isfile(absolute):
        raise InvalidInput(f"resume is {text!r}; there is no such file")
    return absolute


def _create(path: Path, head: list[tuple[str, bytes, bytes]]) -> None:
    """A file with its first parts, made beside its place: a run killed meanwhile leaves no half of it there.

    Raises:
        FileExistsError: there is something at its place already.
    """
    if os.path.lexists(path):
        raise FileExistsError
    draft = draft_beside(path)
    try:
        with closing(sqlite3.connect(draft)) as file, file:
            file.execute(TABLE)
            file.executemany("INSERT INTO parts VALUES (?, ?, ?)", head)
        try:
            os.link(draft, path)
        except FileExistsError:
            raise
        except OSError:  # a file system without links
            open(path, "xb").close()
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


def recorded(
    journal: Journal | None,
    name: str,
    compute: Callable[[], Any],
    read: Callable[[Any], Part] = lambda content: content,
) -> Part:
    """What `read` makes of what the journal has under a part's name, or of what `compute` returns, then kept there.

    Args:
        journal: or None, for a run that keeps nothing.
        name: of the part.
        compute: returns tensors, numbers and texts, in lists and dictionaries.
        read: raises where the content is of another kind, which is then an `InvalidInput`.
    """
    found = journal.recall(name, read) if journal else None
    if found is not None:
        return found
    content = compute()
    if journal:
        journal.record(name, content)
    return read(content)


def check_table(name: str, table: object, shape: tuple[int | None, ...], below: int | None = None) -> None:
    """Raise `ValueError` unless a part's table is of a shape.

    Args:
        name: for the error.
        table: what the part has.
        shape: sizes; None for one that is free.
        below: where given, the table holds whole numbers from 0 to below this.
    """
    if not isinstance(table, torch.Tensor) or len(table.shape) != len(shape):
        raise ValueError(f"{name} is no table of {len(shape)} axes")
    if any(size is not None and size != n for n, size in zip(table.shape, shape, strict=True)):
        raise ValueError(f"{name} is of shape {tuple(table.shape)}")
    if below is not None and (
        table.is_floating_point() or (table.numel() > 0 and not 0 <= int(table.min()) <= int(table.max()) < below)
    ):
        raise ValueError(f"{name} holds other numbers than 0 to {below - 1}")


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
