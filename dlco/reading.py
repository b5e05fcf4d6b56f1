"""Reading files that others wrote: so much and no more, whatever a compressed file would unfold to."""

import gzip
import io
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path

from dlco.errors import InvalidInput

_LONGEST_LINE = 1 << 20  # characters
_LARGEST_TABLE = 1 << 27  # characters


def read_limited(path: str | os.PathLike[str], limit: int) -> bytes:
    """A file's content.

    Raises:
        InvalidInput: it is larger than `limit` bytes.
        OSError: it cannot be read.
    """
    with Path(path).open("rb") as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise InvalidInput(f"{Path(path).name} is larger than {limit >> 20} MiB, which no such file is")
    return content


def read_text(path: str | os.PathLike[str], limit: int, encoding: str = "utf-8") -> str:
    """A file's text, whatever its line breaks.

    Raises:
        InvalidInput: it is larger than `limit` bytes.
        OSError, UnicodeDecodeError: it cannot be read.
    """
    return io.TextIOWrapper(io.BytesIO(read_limited(path, limit)), encoding=encoding).read()


def read_lines(path: str | os.PathLike[str]) -> Iterator[str]:
    """The lines of a text in UTF-8, unpacked on the way where its name ends in .gz.

    Raises:
        InvalidInput: a line or the whole is longer than any table's.
        OSError, EOFError, zlib.error, UnicodeDecodeError: it cannot be read.
    """
    name = Path(path).name
    total = 0
    with gzip.open(path) if Path(path).suffix == ".gz" else Path(path).open("rb") as file:
        text = io.TextIOWrapper(file, encoding="utf-8", newline="")
        while line := text.readline(_LONGEST_LINE):
            total += len(line)
            if len(line) == _LONGEST_LINE or total > _LARGEST_TABLE:
                most = f"lines of {_LONGEST_LINE} characters and {_LARGEST_TABLE >> 20} MiB in all"
                raise InvalidInput(f"{name} is longer than any such table: it may have {most}")
            yield line


def check_archive(content: bytes, limit: int) -> None:
    """Raise `InvalidInput` for a zip archive whose parts unfold to more than `limit` bytes.

    Raises:
        zipfile.BadZipFile: it is no such archive.
    """
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        size = sum(part.file_size for part in archive.infolist())
    if size > limit:
        raise InvalidInput(f"its parts unfold to {size} bytes; {limit} go")
