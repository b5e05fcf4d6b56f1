"""Does one mapping fit its problem and its machine? Exact, in Python integers, with an error that says why not."""

from collections.abc import Iterable
from itertools import pairwise
from math import inf, prod

from dlco.errors import InvalidMapping
from dlco.hardware.architecture import Architecture
from dlco.mapping.kept import kept_dataspaces, machine_of
from dlco.mapping.mapping import Mapping
from dlco.mapping.tiles import tile_words
from dlco.workload.problem import Problem


def check_mapping(problem: Problem, architecture: Architecture, mapping: Mapping) -> None:
    """Refuse a mapping that the machine cannot run.

    Checked in this order: names, factors against bounds, every dataspace kept somewhere; then, level by level
    from the innermost outwards as Timeloop does, fan-outs and capacity. A level's capacity must hold the bounding
    boxes of the tiles it keeps, together.

    The factors of a dimension may multiply to more than its bound (imperfect factors, the last tile of a loop being
    cut short: `dlco.cost.imperfect`), as long as each is of use: at most the number of tiles that it counts.

    Args:
        problem: the work.
        architecture: the machine; of an uneven mapping, before it was taken apart or after.
        mapping: what is checked.

    Raises:
        InvalidMapping: the first thing wrong; its `level` names the level, where it is one level's fault.
    """
    architecture = machine_of(problem, architecture, mapping)
    _check_names(problem, architecture, mapping)
    _check_cover(problem, mapping)
    tiles = tile_words(problem, mapping, architecture.ranks)
    kept = kept_dataspaces(problem, mapping, architecture)
    for space in problem.dataspaces:
        if not any(space.name in names for names in kept.values()):
            raise InvalidMapping(f"{space.name} is kept at no level; at least one of {_list(mapping.levels)} must")
        _check_chain(space.name, architecture, kept)
    for i, (level, x, y) in enumerate(zip(architecture.levels, mapping.spatial_x, mapping.spatial_y, strict=True)):
        for axis, factors, fanout in (("X", x, level.fanout_x), ("Y", y, level.fanout_y)):
            if prod(factors) > fanout:
                dims = _list(f"{d} {n}" for d, n in zip(mapping.dimensions, factors, strict=True) if n > 1)
                raise InvalidMapping(
                    f"spatial loops along {axis} at {level.name} ({dims}) need {prod(factors)} children "
                    f"but there are {fanout}",
                    level.name,
                )
        if architecture.parts[i] != i:  # the innermost part has been checked for all
            continue
        parts = [lv.name for lv, part in zip(architecture.levels, architecture.parts, strict=True) if part == i]
        needed = {name: tiles[part][name] for part in parts for name in kept[part]}
        capacity = level.usable_capacity
        if sum(needed.values()) > capacity:
            sizes = _list(f"{name} {words}" for name, words in needed.items())
            room = int(capacity) if capacity < inf else capacity
            raise InvalidMapping(
                f"tile at {level.memory or level.name} needs {sum(needed.values())} words ({sizes}) "
                f"but there is room for {room}",
                level.name,
            )


def is_imperfect(problem: Problem, mapping: Mapping) -> bool:
    """Whether the factors of some dimension multiply to more than its bound, so that last tiles are cut short."""
    return any(reach > bound for reach, bound in zip(mapping.reach, problem.bounds, strict=True))


def _check_names(problem: Problem, architecture: Architecture, mapping: Mapping) -> None:
    levels = tuple(level.name for level in architecture.levels)
    if mapping.levels != levels:
        raise InvalidMapping(
            f"levels of the mapping are {_list(mapping.levels)}; {architecture.name!r} has {_list(levels)}"
        )
    if mapping.dimensions != problem.dimensions:
        raise InvalidMapping(
            f"dimensions of the mapping are {_list(mapping.dimensions)}; the problem has {_list(problem.dimensions)}"
        )
    names = [space.name for space in problem.dataspaces]
    for level, bypass in zip(mapping.levels, mapping.bypass, strict=True):
        for name in sorted(bypass.difference(names)):
            raise InvalidMapping(f"bypass at {level} names dataspace {name!r}; the problem has {_list(names)}", level)


def _check_cover(problem: Problem, mapping: Mapping) -> None:
    for (dim, bound), reach in zip(problem.sizes.items(), mapping.reach, strict=True):
        tiles = bound
        for i, _, factor in mapping.loops(dim):
            if factor > tiles:
                level = mapping.levels[i]
                raise InvalidMapping(
                    f"factors of {dim} multiply to {reach}; they must multiply to its bound {bound}, "
                    f"or each count tiles that there are ({factor} at {level} counts {tiles})",
                    level,
                )
            tiles = -(-tiles // factor)
        if tiles > 1:
            raise InvalidMapping(f"factors of {dim} multiply to {reach}; they must multiply to its bound {bound}")


def _check_chain(space: str, architecture: Architecture, kept: dict[str, tuple[str, ...]]) -> None:
    """A dataspace goes through memories from the outside in, through one part of each."""
    chain = [
        (rank, level.name)
        for rank, level in zip(architecture.ranks, architecture.levels, strict=True)
        if space in kept[level.name]
    ]
    for (inner, below), (outer, above) in pairwise(chain):
        if outer == inner:
            memory = architecture.level(above).memory
            raise InvalidMapping(f"{space} is kept by {below} and {above}; one part of {memory} may keep it", above)
        if outer < inner:
            raise InvalidMapping(f"{space} is kept by {above} outside {below}, which is a memory further out", above)


def _list(names: Iterable[str]) -> str:
    return ", ".join(names)
