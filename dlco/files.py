"""Files of results: replaced whole or not at all, and read with an error that names them."""

import json
import os
from pathlib import Path
from typing import Any

from dlco.errors import InvalidInput


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
