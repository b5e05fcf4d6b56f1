"""The errors dlco raises for what a user gave it. Each message is one sentence: field, value, what is allowed."""

from dlco.texts import printable


class DlcoError(Exception):
    """Base class of every error that dlco raises on purpose; what it says may be shown on any terminal."""

    def __init__(self, message: str = "") -> None:
        super().__init__(printable(message))


class InvalidInput(DlcoError, ValueError):
    """An argument, a file or a field of it is not what it should be."""


class InvalidMapping(DlcoError, ValueError):
    """A mapping does not fit its problem or its architecture.

    Attributes:
        level: the name of the storage level that refused it, or None where no single level did.
    """

    def __init__(self, message: str, level: str | None = None) -> None:
        super().__init__(message)
        self.level = level


class NotSupported(DlcoError, NotImplementedError):
    """The input is well-formed, but asks for something that dlco does not model (yet)."""


class Infeasible(InvalidInput):
    """Limits that no design can meet, proved before any search."""


def reason_of(error: BaseException) -> str:
    """What an error says, in one short line; its type where it says nothing."""
    return " ".join(str(error).split())[:300] or type(error).__name__
