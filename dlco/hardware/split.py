"""Memories taken apart by dataspace: the machine on which uneven mappings are mappings.

In an even mapping a level cuts the loops of all that it keeps at one place. Where it may cut each dataspace's loops
elsewhere, it stands as several levels, its parts, that keep some of its dataspaces each and carry loops between them;
all parts together fit its capacity and share its ports. Even mappings are those without loops between parts.

An uneven mapping names its levels by their parts, such as "GlobalBuffer_Inputs", so that the machine that it runs on
is the one that it was made for, taken apart as the names say (`taken_apart`).
"""

from collections.abc import Iterable, Mapping, Sequence
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
            every dataspace that it keeps. A level of one part stays as it is. Parts of a level that come one after
            another take its place. Where levels are named out of their order, or parts of several come in turns, they
            take the place of all levels from the innermost to the outermost of these, which must all be named; then a
            part inside the array may stand outside one beyond it, for dataspaces without windows
            (`dlco.cost.crossing`).
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
    often = [name for name, _ in asked]
    stacks: dict[int, list[Level]] = {}
    for number, (name, spaces) in enumerate(asked):
        level = architecture.level(name)
        if often.count(name) > 1:
            own = {space for other, some in asked for space in some if other == name}
            level = replace(level, name=part_name(name, spaces), bypass=level.bypass | own - set(spaces), memory=name)
            if name in often[:number]:
                network = None if level.network is None else replace(level.network, area_um2=0.0)
                level = replace(level, area_um2=0.0, leak_pj=0.0, network=network)
            if number != fanned[name]:
                level = replace(level, fanout_x=1, fanout_y=1)
        stacks.setdefault(_place(architecture, often, name), []).append(level)
    levels: list[Level] = []
    for i, level in enumerate(architecture.levels):
        levels += stacks.get(i, []) if level.name in often else [level]
    boxes = tuple(
        replace(box, level=part_name(box.level, asked[fanned[box.level]][1])) if often.count(box.level) > 1 else box
        for box in architecture.containers
    )
    found, inside_out = (
        tuple(dict.fromkeys(lv.memory or lv.name for lv in some)) for some in (levels, architecture.levels)
    )
    inside_out = architecture.memories or inside_out
    return replace(
        architecture, levels=tuple(levels), containers=boxes, memories=() if found == inside_out else inside_out
    )


def part_name(level: str, spaces: Sequence[str]) -> str:
    """What the part of a level that keeps some dataspaces is called."""
    return "_".join((level, *spaces))


def levels_of(architecture: Architecture, apart: Architecture) -> list[list[int]]:
    """For each level of a machine the positions of its parts in the same machine taken apart, or of itself."""
    if apart is architecture:
        return [[i] for i in range(len(architecture.levels))]
    return [
        [i for i, part in enumerate(apart.levels) if (part.memory or part.name) == level.name]
        for level in architecture.levels
    ]


def taken_apart(
    architecture: Architecture,
    names: Sequence[str],
    spaces: Sequence[str],
    fanned: Iterable[str] = (),
    windows: Iterable[str] = (),
) -> Architecture:
    """The machine whose levels are called so: the architecture itself, or with its memories taken apart.

    Args:
        architecture: a machine.
        names: of the levels, innermost first; of those taken apart, the parts' as `part_name` has them.
        spaces: the dataspaces' names.
        fanned: names of levels that have their memory's fan-out; by default its innermost part has it that stands
            outside all parts further in that keep dataspaces of `windows`.
        windows: names of dataspaces with windows that slide.

    Returns:
        The architecture itself where the names do not come from taking it apart.
    """
    if tuple(names) == tuple(level.name for level in architecture.levels):
        return architecture
    known: dict[str, tuple[str, tuple[str, ...]]] = {}
    for level in architecture.levels:
        kept = [space for space in spaces if space not in level.bypass]
        known |= {part_name(level.name, [space]): (level.name, (space,)) for space in kept}
        known.setdefault(level.name, (level.name, tuple(kept)))
    order = [known[name] for name in names if name in known]
    if len(order) < len(names) or any(not some for _, some in order) or architecture.is_split:
        return architecture
    fanouts = {}
    for level in architecture.levels:
        inside = [
            i
            for i, (name, some) in enumerate(order)
            if architecture.index(name) < architecture.index(level.name) and set(some) & set(windows)
        ]
        beyond = [some for i, (name, some) in enumerate(order) if name == level.name and i > max(inside, default=-1)]
        if beyond:
            fanouts[level.name] = beyond[0][0]
    fanouts |= {known[name][0]: known[name][1][0] for name in fanned if name in known}
    apart = split(architecture, order, fanouts)
    return apart if tuple(level.name for level in apart.levels) == tuple(names) else architecture


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


def _place(architecture: Architecture, often: Sequence[str], name: str) -> int:
    """The position of the level whose place a level takes: of those in turns or out of order, the innermost one's."""
    spans = {architecture.index(one): (often.index(one), len(often) - 1 - often[::-1].index(one)) for one in set(often)}
    together = {architecture.index(name)}
    while True:
        more = {
            at
            for at, (first, last) in spans.items()
            for other in together
            if at == other or not (last < spans[other][0] if at < other else spans[other][1] < first)
        }
        if more == together:
            break
        together = more
    for between in range(min(together), max(together)):
        if between not in together:
            names = [architecture.levels[at].name for at in (min(together), max(together), between)]
            raise InvalidInput(
                f"order has {names[0]!r} and {names[1]!r} in turns and leaves out {names[2]!r} between; name it too"
            )
    return min(together)
