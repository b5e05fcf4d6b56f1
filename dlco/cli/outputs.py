"""Files that a command writes: checked before it starts to work, and put in place together at its end."""

import json
import os
import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from math import isfinite
from pathlib import Path
from typing import Any

from dlco.errors import InvalidInput


def check_outputs(files: Mapping[str, str | None], folders: Mapping[str, str | None] | None = None) -> None:
    """Raise `InvalidInput` unless every output can be written where it is to go.

    Args:
        files: paths by the option that gave them; None where it was not given.
        folders: the same of outputs that are folders.
    """
    given = [(option, path, False) for option, path in files.items() if path is not None]
    given += [(option, path, True) for option, path in (folders or {}).items() if path is not None]
    taken: dict[Path, str] = {}
    for option, path, is_folder in given:
        _check(option, Path(path), is_folder)
        other = taken.setdefault(Path(path).resolve(), option)
        if other != option:
            raise InvalidInput(f"{other} and {option} both name {path!r}; each output needs a place of its own")


Writers = Mapping[str | None, Callable[[Path], object]]
"""What writes each output, by its path; one whose path is None was not asked for."""


def write_outputs(writers: Writers) -> None:
    """Write files and folders so that either all of them appear or none does.

    Each is written to a draft beside its place first; a folder that is already there keeps its other files.

    Raises:
        InvalidInput: one cannot be written.
    """
    with ExitStack() as stack:
        drafts = []
        for path, write in writers.items():
            if path is None:
                continue
            try:
                target = Path(path).resolve()
                desk = stack.enter_context(tempfile.TemporaryDirectory(dir=target.parent, prefix=".dlco-"))
                write(draft := Path(desk, target.name))
            except OSError as error:
                raise InvalidInput(f"{path!r} cannot be written: {error.strerror or error}") from None
            drafts.append((draft, target))
        for draft, target in drafts:
            _move(draft, target)


def to_json(data: Any) -> str:
    """One JSON document; numbers that JSON does not know (infinite, not a number) become null."""
    return json.dumps(_finite(data), indent=1, allow_nan=False)


def _check(option: str, path: Path, is_folder: bool) -> None:
    shown = os.fspath(path)
    if is_folder and path.is_dir():
        writable = path
    elif path.is_dir() or (path.exists() and (is_folder or not path.is_file())):
        kind = "folder" if is_folder else "regular file"
        raise InvalidInput(f"{option} is {shown!r}; it must be a {kind} or not exist")
    else:
        writable = path.resolve().parent
    if not writable.is_dir():
        raise InvalidInput(f"{option} is {shown!r}, but there is no folder {os.fspath(writable)!r}; make it first")
    if not os.access(writable, os.W_OK | os.X_OK):
        raise InvalidInput(f"{option} is {shown!r}, but the folder {os.fspath(writable)!r} cannot be written to")


def _move(draft: Path, target: Path) -> None:
    """Put a draft in place, file by file where the target is a folder already."""
    if draft.is_dir() and target.is_dir():
        for part in draft.iterdir():
            _move(part, target / part.name)
    else:
        os.replace(draft, target)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not isfinite(value) else value
