"""Whether a key or an attribute that is not known looks like a known one misspelt."""

from collections.abc import Iterable
from difflib import SequenceMatcher
from functools import cache, lru_cache

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


@lru_cache(maxsize=1024)
def misspelt(key: str, known: tuple[str, ...]) -> str | None:
    """The known attribute that a strange one comes to but for case, underscores and a slip or two, or None.

    Stricter than `near`: files have attributes of many tools, and names like a known one need not be it.
    """
    plain = _plain(key)
    letters = set(plain)
    alike = [word for word, own in _spellings(known) if abs(len(word) - len(plain)) <= 2 and len(own ^ letters) <= 4]
    slips, nearest = min(((_slips(plain, word), word) for word in alike), default=(3, ""))
    return next(word for word in known if _plain(word) == nearest) if slips <= (2 if len(nearest) > 8 else 1) else None


@cache
def _spellings(known: tuple[str, ...]) -> list[tuple[str, frozenset[str]]]:
    """The known attributes, plain, with their letters."""
    return [(plain, frozenset(plain)) for plain in map(_plain, known)]


def _slips(one: str, other: str) -> int:
    """How many letters are wrong, missing, too many or changed with their neighbour."""
    rows = [list(range(len(other) + 1))]
    for i, letter in enumerate(one):
        row = [i + 1]
        for j, wanted in enumerate(other):
            least = min(rows[-1][j + 1] + 1, row[-1] + 1, rows[-1][j] + (letter != wanted))
            if i and j and letter == other[j - 1] and wanted == one[i - 1]:
                least = min(least, rows[-2][j - 1] + 1)
            row.append(least)
        rows.append(row)
    return rows[-1][-1]


def _plain(key: str) -> str:
    return key.casefold().replace("_", "")
