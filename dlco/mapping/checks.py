"""Does one mapping fit its problem and its machine? Exact, in Python integers, with an error that says why not."""

from collections.abc import Iterable
from math import inf, prod

from dlco.errors import InvalidMapping
from dlco.hardware.architecture import Architecture
from dlco.mapping.mapping import SPATIAL_X, SPATIAL_Y, TEMPORAL, Mapping
from dlco.workload.problem import Dataspace, Problem


def check_mapping(problem: Problem, architecture: Architecture, mapping: Mapping) -> None:
    """Refuse a mapping that the machine cannot run.

    Checked in this order: names, factors against bounds, every dataspace kept somewhere; then, level by level
    from the innermost outwards as Timeloop does, fan-outs and capacity. A level's capacity must hold the bounding
    boxes of the tiles it keeps, together.

    The factors of a dimension may multiply to more than its bound (imperfect factors, the last tile of a loop being
    cut short: `dlco.cost.imperfect`), as long as each is of use: at most the number of tiles that it counts.

    Args:
        problem: the work.
        architecture: the machine.
        mapping: what is checked.

    Raises:
        InvalidMapping: the first thing wrong; its `level` names the level, where it is one level's fault.
    """
    _check_names(problem, architecture, mapping)
    _check_cover(problem, mapping)
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


def is_imperfect(problem: Problem, mapping: Mapping) -> bool:
    """Whether the factors of some dimension multiply to more than its bound, so that last tiles are cut short."""
    products = (prod(column) for column in zip(*(row for level in mapping.factors for row in level), strict=True))
    return any(product > bound for product, bound in zip(products, problem.bounds, strict=True))


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


def _check_cover(problem: Problem, mapping: Mapping) -> None:
    for i, (dim, bound) in enumerate(problem.sizes.items()):
        tiles, reach = bound, prod(row[i] for level in mapping.factors for row in level)
        for level, slots in zip(mapping.levels, mapping.factors, strict=True):
            for slot in (SPATIAL_X, SPATIAL_Y, TEMPORAL):
                factor = slots[slot][i]
                if factor > tiles:
                    raise InvalidMapping(
                        f"factors of {dim} multiply to {reach}; they must multiply to its bound {bound}, "
                        f"or each count tiles that there are ({factor} at {level} counts {tiles})",
                        level,
                    )
                tiles = -(-tiles // factor)
        if tiles > 1:
            raise InvalidMapping(f"factors of {dim} multiply to {reach}; they must multiply to its bound {bound}")


def _box(space: Dataspace, extents: dict[str, int]) -> int:
    return prod(1 + sum(coef * (extents[dim] - 1) for dim, coef in rank) for rank in space.projection)


def _list(names: Iterable[str]) -> str:
    return ", ".join(names)
