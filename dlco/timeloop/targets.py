"""What mappings and constraints have in common: directives of a kind, for a target that is a level or a container."""

import re
from collections.abc import Callable, Collection, Iterator
from collections.abc import Mapping as Table

from dlco.errors import NotSupported
from dlco.hardware.architecture import Architecture
from dlco.timeloop.document import Entry

UNMODELLED = (  # they change counts: refused unless empty
    *("no_reuse", "no_temporal_reuse", "rmw_first_update", "rmw_on_first_writeback", "no_link_transfer"),
    *("no_multicast_no_reduction", "no_multicast", "no_coalesce", "passthrough"),
)
_BYPASS = ("bypass", "datatype", "dataspace", "bypassing")
_GAP = re.compile(r"[\s,]*")


def read_kind(entry: Entry) -> str:
    """What a directive is on: "temporal", "spatial" or "bypass"; raises `InvalidInput` for another type."""
    kind = entry.text()
    if kind not in ("temporal", "spatial", *_BYPASS):
        raise entry.error(f"type is {kind!r}; allowed: temporal, spatial, bypass, datatype, dataspace")
    return "bypass" if kind in _BYPASS else kind


def read_target(entry: Entry, kind: str, architecture: Architecture, containers: Table[str, str]) -> tuple[str, str]:
    """(level, container) of a target: a name, or a level's number; the container is "" where it is a level itself.

    A component with a fan-out of its own is a level and a container: its spatial loops are the container's.

    Args:
        entry: the target.
        kind: of the directive.
        architecture: its levels.
        containers: level by name of the containers that fan out from it.
    """
    name = entry.text()
    names = [level.name for level in architecture.levels]
    if name in names and not (kind == "spatial" and name in containers):
        return name, ""
    inner = re.sub(r"^inter_(.+)_spatial$", r"\1", name)
    if inner in containers:
        return containers[inner], inner
    if name.isdecimal() and len(name) < 4 and int(name) < len(names):
        return names[int(name)], ""
    raise entry.error(f"target is {entry.shown}; {architecture.name!r} has {', '.join([*names, *containers])}")


def check_modelled(fields: Table[str, Entry], keys: Collection[str], target: str) -> None:
    """Raise `NotSupported` where one of some keys that dlco does not model says something."""
    for key in keys:
        if key in fields and fields[key].value:
            raise NotSupported(f"{fields[key].where}: {key} is given for {target}; dlco does not model it")


def factor_matches(
    item: Entry, text: str, pattern: re.Pattern[str], where: str, refuse: Callable[[str], None] = lambda text: None
) -> Iterator[re.Match[str]]:
    """The factors of a text such as "C=16 M<=8" or "C16,M8", one after the other.

    Args:
        item: where it stands.
        text: what it says, to its comment if it has one.
        pattern: one factor, with the groups "name", "sign", "factor" and "rest", the residual.
        where: whose factors they are, for errors.
        refuse: raises a better error, where it knows one, for what is no factor.

    Raises:
        InvalidInput: anything else is in between, or a factor is larger than 31 bits hold.
    """
    text = text.partition("#")[0]
    at = _GAP.match(text).end()  # type: ignore[union-attr]
    while at < len(text):
        match = pattern.match(text, at)
        if match is None:
            refuse(text[at:])
            raise item.error(f"factors of {where} have {text[at : at + 40]!r}; they must be such as C=16 or C<=16")
        if max(int(match["factor"]), int(match["rest"] or 0)) >= 2**31:
            raise item.error(f"factors of {where} have {match['name']}={match['factor'][:20]}; they must be below 2^31")
        yield match
        at = _GAP.match(text, match.end()).end()  # type: ignore[union-attr]
