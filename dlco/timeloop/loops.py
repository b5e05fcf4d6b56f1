"""What Timeloop's mappings and constraints share: targets, factors, permutations and lists of dataspaces."""

import re
from collections.abc import Mapping as Table
from dataclasses import dataclass
from functools import lru_cache

from dlco.errors import NotSupported
from dlco.hardware.architecture import Architecture
from dlco.timeloop.document import Entry
from dlco.timeloop.targets import UNMODELLED, check_modelled, factor_matches, read_kind, read_target
from dlco.workload.problem import Problem

_OTHER_KINDS = ("skew", "max_overbooked_proportion", "utilization", "parallelism")
_LABELS = ("name", "notes")


@dataclass(frozen=True)
class Directive:
    """One entry of a mapping or of a list of constraints.

    Attributes:
        level: index of the storage level it speaks of, innermost 0.
        depth: of spatial ones, how many of v0.4's containers lie further out than the one it names.
        kind: "temporal", "spatial" or "bypass".
        target: as written.
        fields: its other keys.
        entry: where it stands.
    """

    level: int
    depth: int
    kind: str
    target: str
    fields: dict[str, Entry]
    entry: Entry


def read_directive(entry: Entry, architecture: Architecture, containers: Table[str, str]) -> Directive:
    """A directive whose keys and target are known.

    Args:
        entry: the mapping of keys.
        architecture: what targets name.
        containers: level by name of the containers that fan out from it.

    Raises:
        InvalidInput: an unknown key, kind or target.
        NotSupported: a directive that changes results and that dlco does not model.
    """
    given = entry.mapping().get("type")
    if given is not None and given.value in _OTHER_KINDS:
        raise NotSupported(f"{entry.where}: type is {given.shown}; dlco does not model it")
    fields = entry.fields(
        ["target", "type"], ["factors", "permutation", "split", "keep", "bypass"], (*UNMODELLED, *_LABELS)
    )
    kind = read_kind(fields["type"])
    check_modelled(fields, UNMODELLED, fields["target"].shown)
    level, container = read_target(fields["target"], kind, architecture, containers)
    depth = 1 + list(containers).index(container) if container else 0
    index = [one.name for one in architecture.levels].index(level)
    return Directive(index, depth, kind, fields["target"].text(), fields, entry)


@dataclass(frozen=True)
class Factor:
    """One factor as written: `sign` "=" or "<=", `end`, and the `residual` of imperfect ones (`end` of others)."""

    sign: str
    end: int
    residual: int


def read_factors(entry: Entry | None, problem: Problem, where: str) -> dict[str, Factor]:
    """Factors by dimension of "C=16 P=4,2", "C16,P4,2" or ["C=16", "P=4,2"]; P ends at 4, and its last run at 2.

    A factor of 0 stands for the whole bound, as in Timeloop.

    Raises:
        InvalidInput: an unknown dimension, one given twice, or anything else between the factors.
    """
    found: dict[str, Factor] = {}
    for item, words in _parts(entry):

        def refuse(text: str, item: Entry = item) -> None:
            name = re.match(r"\w+?(?=[\s=<>\d]|$)", text)
            if name and name[0] not in problem.sizes:
                raise item.error(
                    f"factors of {where} name {name[0]!r}; the problem has {', '.join(problem.dimensions)}"
                )

        for match in factor_matches(item, words, _pattern(problem.dimensions), where, refuse):
            dim = match["name"]
            if dim in found:
                raise item.error(f"factors of {where} name {dim} twice; once is allowed")
            end = int(match["factor"]) or problem.sizes[dim]
            residual = end if match["rest"] is None else int(match["rest"])
            found[dim] = Factor("<=" if match["sign"] == "<=" else "=", end, residual)
    return found


@lru_cache
def _pattern(dimensions: tuple[str, ...]) -> re.Pattern[str]:
    """One factor; names are tried longest first, since C16 is C=16 and may also be the dimension C1 and 6."""
    names = "|".join(re.escape(dim) for dim in sorted(dimensions, key=len, reverse=True))
    return re.compile(
        rf"(?P<name>{names})\s*(?P<sign><=|==?|)\s*(?P<factor>\d{{1,18}})(?:,(?P<rest>\d{{1,18}}))?(?![\w=])", re.ASCII
    )


def read_permutation(entry: Entry | None, problem: Problem, where: str) -> tuple[str, ...]:
    """Dimensions of "CPM", "C,P,M" or [C, P, M], innermost first; those left out are not added.

    Raises:
        InvalidInput: an unknown dimension, or one given twice.
    """
    dims: list[str] = []
    for item, words in _parts(entry):
        for word in re.split(r"[\s,]+", words):
            dims += [word] if word in problem.sizes else list(word)
        for dim in dims:
            if dim not in problem.sizes:
                raise item.error(
                    f"permutation of {where} names {dim!r}; the problem has {', '.join(problem.dimensions)}"
                )
            if dims.count(dim) > 1:
                raise item.error(f"permutation of {where} names {dim} twice; once is allowed")
    return tuple(dims)


def complete(permutation: tuple[str, ...], problem: Problem) -> tuple[str, ...]:
    """All dimensions: those given, then the others in the problem's order."""
    return permutation + tuple(dim for dim in problem.dimensions if dim not in permutation)


def read_dataspaces(entry: Entry | None, problem: Problem, where: str) -> list[str]:
    """Names of a `keep` or `bypass` list; raises `InvalidInput` for one that the problem does not have."""
    names = entry.texts() if entry and entry.value is not None else []
    allowed = [space.name for space in problem.dataspaces]
    for name in names:
        if name not in allowed:
            raise entry.error(f"{entry.name} of {where} names {name!r}; the problem has {', '.join(allowed)}")  # type: ignore[union-attr]
    return names


def _parts(entry: Entry | None) -> list[tuple[Entry, str]]:
    """The texts of a list or of a scalar, and where they stand.

    A number of its own belongs to the factor before it: YAML parts the items of [M=4,3] at its comma.
    """
    if entry is None or not entry.value:
        return []
    parts: list[tuple[Entry, str]] = []
    for item in entry.items() if isinstance(entry.value, list) else [entry]:
        text = item.text()
        if parts and text.isdecimal():
            item, text = parts[-1][0], f"{parts.pop()[1]},{text}"
        parts.append((item, text))
    return parts
