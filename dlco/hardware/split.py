"""Memories taken apart by dataspace: the machine on which uneven mappings are mappings.

In an even mapping a level cuts the loops of all that it keeps at one place. Where it may cut each dataspace's loops
elsewhere, it stands as several levels, its parts, that keep some of its dataspaces each and carry loops between them;
all parts together fit its capacity and share its ports. Even mappings are those without loops between parts.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from dlco.errors import InvalidInput
from dlco.hardware.architecture import Architecture, Level

Order = list[tuple[str, tuple[str, ...]]]


def split(
    architecture: Architecture,
    order: Iterable[tuple[str, str | Iterable[str]]],
    fanouts: Mapping[str, str] | None = None,
) -> Architecture:
    """The machine on which uneven mappings of another one are mappings.

    Args:
        architecture: the machine whose memories are taken apart.
        order: (level, its dataspace or dataspaces) of every part, innermost part first; of a level that is named,
            every dataspace that it keeps. Parts of a level that come one
            after another take its place. Where parts of several levels come in turns, they take the place of all
            levels from the innermost to the outermost of these, which must all be named; then a part inside the array
            may stand outside one beyond it, for dataspaces without windows (`dlco.cost.crossing`).
        fanouts: by level, a dataspace of the part that has its fan-out; by default the innermost part has it.

    Returns:
        The machine, named as before; parts are called "level_dataspace". The same energy an access, ports, area and
        leakage as before.

    Raises:
        InvalidInput: an unknown level, a dataspace that the level bypasses or that is named twice, parts in turns that
            leave out a level between, or constraints on a level that is taken apart.

    Examples:
        >>> machine = dlco.hardware.generic()
        >>> apart = dlco.hardware.split(machine, [("RegisterFile", s) for s in ("Outputs", "Inputs", "Weights")])
        >>> [level.name for level in apart.levels]
        ['RegisterFile_Outputs', 'RegisterFile_Inputs', 'RegisterFile_Weights', 'GlobalBuffer', 'DRAM']
    """
    asked = [(name, (some,) if isinstance(some, str) else tuple(some)) for name, some in order]
    _check(architecture, asked)
    fanned = _fanned(asked, fanouts or {})
    first: set[str] = set()
    stacks: dict[int, list[Level]] = {}
    for number, (name, spaces) in enumerate(asked):
        level = architecture.level(name)
        part = replace(
            level,
            name="_".join((name, *spaces)),
            bypass=level.bypass | {space for other, some in asked for space in some if other == name} - set(spaces),
            memory=name,
        )
        if name in first:
            part = replace(part, area_um2=0.0, leak_pj=0.0)
        if number != fanned[name]:
            part = replace(part, fanout_x=1, fanout_y=1)
        first.add(name)
        stacks.setdefault(_place(architecture, asked, name), []).append(part)
    gone = {architecture.index(name) for name, _ in asked}
    levels: list[Level] = []
    for i, level in enumerate(architecture.levels):
        levels += stacks.get(i, []) if i in gone else [level]
    boxes = tuple(
        replace(box, level="_".join((box.level, *asked[fanned[box.level]][1]))) if box.level in fanned else box
        for box in architecture.containers
    )
    return replace(architecture, levels=tuple(levels), containers=boxes)


def _check(architecture: Architecture, asked: Order) -> None:
    """Raise `InvalidInput` where parts are not of levels as they are."""
    for i, (name, spaces) in enumerate(asked):
        level = architecture.level(name)
        if level.memory is not None:
            raise InvalidInput(f"order names {name!r}, which is a part of {level.memory!r} already")
        if not spaces:
            raise InvalidInput(f"order has a part of {name!r} that keeps no dataspace; each must keep one or more")
        for space in spaces:
            if space in level.bypass:
                raise InvalidInput(f"order has a part of {name!r} that keeps {space!r}, which {name!r} bypasses")
            if sum(space in some for other, some in asked[: i + 1] if other == name) > 1 or spaces.count(space) > 1:
                raise InvalidInput(f"order names {space!r} twice for {name!r}; one part of a level keeps it")
    fixed = architecture.constraints
    for where in [*(slot.level for slot in fixed.slots), *(at for at, _ in (*fixed.bypass, *fixed.keep))]:
        if any(where == name for name, _ in asked):
            raise InvalidInput(f"constraints name {where!r}; a level with constraints cannot be taken apart")


def _fanned(asked: Order, fanouts: Mapping[str, str]) -> dict[str, int]:
    """By level, the position in the order of the part that has its fan-out."""
    found: dict[str, int] = {}
    for number, (name, spaces) in enumerate(asked):
        if fanouts.get(name) in spaces if name in fanouts else name not in found:
            found[name] = number
    for name, space in fanouts.items():
        if name not in found:
            raise InvalidInput(f"fanouts has {space!r} for {name!r}; no part of that level keeps it")
    return found


def _place(architecture: Architecture, asked: Order, name: str) -> int:
    """The position of the level whose place the parts of a level take: of those in turns, the innermost one's."""
    index = [architecture.index(one) for one, _ in asked]
    spans = {at: (index.index(at), len(index) - 1 - index[::-1].index(at)) for at in index}
    own = architecture.index(name)
    low, high = spans[own]
    while True:  # all levels with parts between these, or that have these between theirs
        some = [span for span in spans.values() if span[0] <= high and low <= span[1]]
        wide = min(start for start, _ in some), max(end for _, end in some)
        if wide == (low, high):
            break
        low, high = wide
    together = index[low : high + 1]
    for between in range(min(together), max(together) + 1):
        if between not in together:
            names = [architecture.levels[at].name for at in (min(together), max(together), between)]
            raise InvalidInput(
                f"order has parts of {names[0]!r} and {names[1]!r} in turns and leaves out {names[2]!r} between them; "
                "name it too"
            )
    return min(together)
