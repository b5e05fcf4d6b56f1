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
