"""`Document`: a result that is kept in a file of JSON, and read back only where it holds."""

import json
import os
from typing import Any, ClassVar, Self

from dlco.design.codec import decode_fields, encode
from dlco.errors import DlcoError, InvalidInput
from dlco.files import read_json, write_whole
from dlco.version import __version__

GARBLED = (KeyError, IndexError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError)
"""What comes of a document whose fields are each of their type and do not belong together."""


class Document:
    """Base of the dataclasses that are saved; every one says below what it is, and checks what it says.

    Formats count from 1. A document of the first versions, which says neither its kind nor its format, is of format 1.

    Attributes:
        KIND: what the document says that it is.
        FORMAT: goes up when older readers could no longer read it.
        LATER: fields that files of this format's first version lack.
    """

    KIND: ClassVar[str]
    FORMAT: ClassVar[int] = 1
    LATER: ClassVar[frozenset[str]] = frozenset()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the result as JSON; the file is replaced whole or not at all."""
        write_whole(path, json.dumps(self.to_dict(), indent=1))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read a saved result. Raises `InvalidInput` where the file is none or does not add up."""
        return cls.from_dict(read_json(_word(cls.KIND), path))

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, strings, lists and dictionaries: what `save` writes."""
        stamp = {"kind": self.KIND, "format": self.FORMAT, "dlco": __version__}
        return stamp | {name: encode(value) for name, value in vars(self).items()}

    @classmethod
    def from_dict(cls, data: Any) -> Self:
        """The inverse of `to_dict`. Raises `InvalidInput` for anything else."""
        word = _word(cls.KIND)
        _check_stamp(word, cls.KIND, cls.FORMAT, data)
        known = {name: data[name] for name in cls.__dataclass_fields__ if name in data}  # type: ignore[attr-defined]
        try:
            found: Self = decode_fields(cls, known, f"of the {word}", cls.LATER)
            found._check_true(data)
        except DlcoError as error:
            raise InvalidInput(str(error)) from None
        except GARBLED as error:
            raise InvalidInput(f"{word} file lacks or garbles a field: {error}") from None
        return found

    def _check_true(self, data: dict[str, Any]) -> None:
        """Raise `InvalidInput` unless all that was read, from `data`, belongs together."""
        raise NotImplementedError


def _word(kind: str) -> str:
    return kind.removeprefix("dlco ")


def _check_stamp(word: str, kind: str, newest: int, data: object) -> None:
    """Raise `InvalidInput` unless a document is of this kind, and of a format up to the one that is written now."""
    if not isinstance(data, dict):
        raise InvalidInput(f"{word} is {type(data).__name__}; it must be a dictionary")
    if data.get("kind", kind) != kind:
        raise InvalidInput(f"{word} is wanted, but this is a {data['kind']!r}")
    version = data.get("format", 1)
    if isinstance(version, bool) or not isinstance(version, int) or version < 1:
        raise InvalidInput(f"format of the {word} is {version!r}; this version reads 1 to {newest}")
    if version > newest:
        writer = f"written by dlco {data['dlco']}" if isinstance(data.get("dlco"), str) else "of a newer dlco"
        raise InvalidInput(f"format of the {word} is {version}, {writer}; this version reads 1 to {newest}")
