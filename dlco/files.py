"""Files of results: replaced whole or not at all, and read with an error that names them."""

import json
import os
from pathlib import Path
from typing import Any

from dlco.errors import InvalidInput
from dlco.version import __version__


def write_whole(path: str | os.PathLike[str], content: str | bytes) -> None:
    """Write a file beside its place and move it there: whoever reads it finds the old content or the new."""
    target = Path(path)
    draft = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        draft.write_bytes(content.encode() if isinstance(content, str) else content)
        os.replace(draft, target)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def read_json(what: str, path: str | os.PathLike[str]) -> Any:
    """The document in a JSON file; `InvalidInput`, naming `what` it should hold, where there is none to be read."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InvalidInput(f"{what} file {os.fspath(path)!r} cannot be read: {error}") from None


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
