"""Whether a key that is not known looks like a known one misspelt."""

from collections.abc import Iterable
from difflib import SequenceMatcher

_SHORTEST = 4
_LIKE = 0.75


def near(key: str, known: Iterable[str]) -> str | None:
    """The known key that a strange one looks like, or None.

    Case and underscores aside the two are equal, or both have four letters or more and most of them in common, or the
    strange one is the beginning of the known one.
    """
    plain = _plain(key)
    for word in known:
        if _plain(word) == plain:
            return word
    if not _SHORTEST <= len(plain) <= 60:
        return None
    for word in known:
        if _plain(word).startswith(plain):
            return word
    alike = [(SequenceMatcher(None, plain, _plain(word)).ratio(), word) for word in known if len(word) >= _SHORTEST]
    likeness, word = max(alike, default=(0.0, ""))
    return word if likeness >= _LIKE else None


def _plain(key: str) -> str:
    return key.casefold().replace("_", "")
