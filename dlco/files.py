"""Files of results: replaced whole or not at all, and read with an error that names them."""

import json
import os
import secrets
from contextlib import suppress
from math import isfinite
from pathlib import Path
from stat import S_IMODE
from typing import Any, NoReturn

from dlco.errors import InvalidInput
from dlco.version import __version__


def write_whole(path: str | os.PathLike[str], content: str | bytes) -> None:
    """Write a file beside its place and move it there: whoever reads it finds the old content or the new.

    So too where other threads, processes or computers write it at the same time, or where the power fails. It is as
    readable as if it had been opened and written; a link stays one, to a file that is new; and what is no file, such
    as a pipe, is written to as it is.
    """
    data = content.encode() if isinstance(content, str) else content
    target = Path(os.path.realpath(path))
    if target.exists() and not target.is_file() and not target.is_dir():
        target.write_bytes(data)
        return
    draft = draft_beside(target)
    try:
        with open(draft, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileNotFoundError):
            os.chmod(draft, S_IMODE(target.stat().st_mode))
        os.replace(draft, target)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    _keep_entry(target.parent)


def draft_beside(target: Path) -> Path:
    """A path in the target's folder that nothing else has, however long the target's name is."""
    return target.with_name(f".dlco-{secrets.token_hex(8)}.part")


def _keep_entry(folder: Path) -> None:
    """Have the folder's list of names written to the disk, where the system can be asked for it."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def read_json(what: str, path: str | os.PathLike[str]) -> Any:
    """The document in a JSON file; `InvalidInput`, naming `what` it should hold, where there is none to be read.

    That includes what Python's reader lets pass: a name that an object has twice, and numbers that are none.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
        return json.loads(text, object_pairs_hook=_once_each, parse_constant=_no_number, parse_float=_float)
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise InvalidInput(f"{what} file {str(path)!r} cannot be read: {error}") from None


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"{name[:60]!r} is there twice")
        found[name] = value
    return found


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number of JSON")


def _float(text: str) -> float:
    value = float(text)
    if not isfinite(value):
        raise ValueError(f"{text[:60]} is too large for a number")
    return value


def stamp(kind: str, version: int) -> dict[str, Any]:
    """What the first lines of a result's document say: its kind, its format, and the dlco that wrote it."""
    return {"kind": kind, "format": version, "dlco": __version__}


def check_stamp(what: str, kind: str, newest: int, data: object) -> dict[str, Any]:
    """The document of a result, once it is one that this version reads.

    Formats count from 1. A document of the first versions, which says neither its kind nor its format, is of format 1.

    Args:
        what: it should be, for errors.
        kind: as in `stamp`.
        newest: the format that this version writes; it reads all formats up to that one.
        data: what a file holds.

    Raises:
        InvalidInput: it is something else, of another kind, or of a format to come.
    """
    if not isinstance(data, dict):
        raise InvalidInput(f"{what} is {type(data).__name__}; it must be a dictionary")
    if data.get("kind", kind) != kind:
        raise InvalidInput(f"{what} is wanted, but this is a {data['kind']!r}")
    version = data.get("format", 1)
    if isinstance(version, bool) or not isinstance(version, int) or version < 1:
        raise InvalidInput(f"format of the {what} is {version!r}; this version reads 1 to {newest}")
    if version > newest:
        writer = f"written by dlco {data['dlco']}" if isinstance(data.get("dlco"), str) else "of a newer dlco"
        raise InvalidInput(f"format of the {what} is {version}, {writer}; this version reads 1 to {newest}")
    return data
