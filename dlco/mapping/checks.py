"""Does one mapping fit its problem and its machine? Exact, in Python integers, with an error that says why not."""

from collections.abc import Iterable
from math import inf, prod

from dlco.errors import InvalidMapping
from dlco.hardware.architecture import Architecture
from dlco.mapping.mapping import SPATIAL_X, SPATIAL_Y, TEMPORAL, Mapping
from dlco.workload.problem import Dataspace, Problem


def check_mapping(problem: Problem, architecture: Architecture, mapping: Mapping, *, imperfect: bool = False) -> None:
    """Refuse a mapping that the machine cannot run.

    Checked in this order: names, factors against bounds, every dataspace kept somewhere; then, level by level
    from the innermost outwards as Timeloop does, fan-outs and capacity. A level's capacity must hold the bounding
    boxes of the tiles it keeps, together.

    Args:
        problem: the work.
        architecture: the machine.
        mapping: what is checked.
        imperfect: let the factors of a dimension multiply to more than its bound, the last tile of a loop being cut
            short (`dlco.cost.imperfect`), as long as each is of use: at most the number of tiles that it counts.

    Raises:
        InvalidMapping: the first thing wrong; its `level` names the level, where it is one level's fault.
    """
    _check_names(problem, architecture, mapping)
    (_check_cover if imperfect else _check_factors)(problem, mapping)
    tiles = tile_words(problem, mapping)
    kept = kept_dataspaces(problem, mapping, architecture)
    for space in problem.dataspaces:
        if not any(space.name in names for names in kept.values()):
            raise InvalidMapping(f"{space.name} is kept at no level; at least one of {_list(mapping.levels)} must")
    for level, x, y in zip(architecture.levels, mapping.spatial_x, mapping.spatial_y, strict=True):
        for axis, factors, fanout in (("X", x, level.fanout_x), ("Y", y, level.fanout_y)):
            if prod(factors) > fanout:
                dims = _list(f"{d} {n}" for d, n in zip(mapping.dimensions, factors, strict=True) if n > 1)
                raise InvalidMapping(
                    f"spatial loops along {axis} at {level.name} ({dims}) need {prod(factors)} children "
                    f"but there are {fanout}",
                    level.name,
                )
        needed = {name: tiles[level.name][name] for name in kept[level.name]}
        capacity = level.usable_capacity
        if sum(needed.values()) > capacity:
            parts = _list(f"{name} {words}" for name, words in needed.items())
            room = int(capacity) if capacity < inf else capacity
            raise InvalidMapping(
                f"tile at {level.name} needs {sum(needed.values())} words ({parts}) but there is room for {room}",
                level.name,
            )


def tile_words(problem: Problem, mapping: Mapping) -> dict[str, dict[str, int]]:
    """Words of every dataspace's tile at every level, as `words[level][dataspace]`, levels innermost first.

    A level's tile is what all loops at and under it touch (its own spatial and temporal ones included), as a
    bounding box: gaps that strides leave are counted. Bypassed tiles are listed too.
    """
    extents = dict.fromkeys(mapping.dimensions, 1)
    words = {}
    for level, slots in zip(mapping.levels, mapping.factors, strict=True):
        for dim, factors in zip(mapping.dimensions, zip(*slots, strict=True), strict=True):
            extents[dim] *= prod(factors)
        inside = {dim: min(extent, problem.sizes[dim]) for dim, extent in extents.items()}
        words[level] = {space.name: _box(space, inside) for space in problem.dataspaces}
    return words


def kept_dataspaces(
    problem: Problem, mapping: Mapping, architecture: Architecture | None = None
) -> dict[str, tuple[str, ...]]:
    """Names of the dataspaces that each level keeps: those that neither mapping nor architecture bypasses."""
    kept = {}
    for i, (level, bypass) in enumerate(zip(mapping.levels, mapping.bypass, strict=True)):
        skipped = bypass if architecture is None else bypass | architecture.levels[i].bypass
        kept[level] = tuple(space.name for space in problem.dataspaces if space.name not in skipped)
    return kept


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


def _check_factors(problem: Problem, mapping: Mapping) -> None:
    for i, (dim, bound) in enumerate(problem.sizes.items()):
        product = prod(row[i] for level in mapping.factors for row in level)
        if product != bound:
            raise InvalidMapping(f"factors of {dim} multiply to {product}; they must multiply to its bound {bound}")


def _check_cover(problem: Problem, mapping: Mapping) -> None:
    for i, (dim, bound) in enumerate(problem.sizes.items()):
        tiles = bound
        for level, slots in zip(mapping.levels, mapping.factors, strict=True):
            for slot in (SPATIAL_X, SPATIAL_Y, TEMPORAL):
                factor = slots[slot][i]
                if factor > tiles:
                    raise InvalidMapping(
                        f"factor of {dim} at {level} is {factor}; there it counts {tiles} tiles", level
                    )
                tiles = -(-tiles // factor)
        if tiles > 1:
            reach = prod(row[i] for level in mapping.factors for row in level)
            raise InvalidMapping(f"factors of {dim} multiply to {reach}; they must cover its bound {bound}")


def _box(space: Dataspace, extents: dict[str, int]) -> int:
    return prod(1 + sum(coef * (extents[dim] - 1) for dim, coef in rank) for rank in space.projection)


def _list(names: Iterable[str]) -> str:
    return ", ".join(names)
