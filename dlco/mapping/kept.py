"""Which dataspaces a level keeps: those that neither the machine nor a mapping (or its constraints) bypasses there."""

from collections.abc import Sequence

from dlco.hardware.architecture import Architecture
from dlco.hardware.constraints import Constraints
from dlco.hardware.split import taken_apart
from dlco.mapping.mapping import SPATIAL_X, Mapping, MappingBatch
from dlco.workload.problem import Problem

Kept = Sequence[Sequence[bool]]  # [levels][spaces]
STATED, FREE = KEEPS = "stated", "free"  # what levels keep: as machine and constraints say, or a mapping's choice
Bypass = Sequence[frozenset[str]]  # one set a level, innermost first


def bypassed(architecture: Architecture | None, more: Bypass | None = None) -> list[frozenset[str]]:
    """`[levels]` what each level bypasses: by the machine, where one is given, and beyond it."""
    if architecture is None:
        return list(more or ())
    own = [level.bypass for level in architecture.levels]
    return own if more is None else [one | other for one, other in zip(own, more, strict=True)]


def constrained(architecture: Architecture, constraints: Constraints, names: Sequence[str]) -> list[frozenset[str]]:
    """`[levels]` which of the named dataspaces each level bypasses under constraints."""
    return bypassed(architecture, [constraints.bypassed_of(level.name, names) for level in architecture.levels])


def free_levels(architecture: Architecture, constraints: Constraints | None = None) -> frozenset[str]:
    """The levels that may bypass more than is stated: all but the outermost, and those of which something is stated.

    What a machine itself bypasses at a level leaves free what else the level keeps; a constraint of "bypass" or "keep"
    on the level, carried by the machine or beside it, does not.
    """
    both = [architecture.constraints, constraints or Constraints()]
    fixed = {level for one in both for level, _ in one.bypass + one.keep}
    return frozenset(level.name for level in architecture.levels[:-1] if level.name not in fixed)


def kept_table(problem: Problem, architecture: Architecture | None, more: Bypass | None = None) -> list[list[bool]]:
    """`[levels][spaces]` whether each level keeps each dataspace; arguments as `bypassed`."""
    return [[space.name not in out for space in problem.dataspaces] for out in bypassed(architecture, more)]


def machine_of(problem: Problem, architecture: Architecture, mapping: Mapping | MappingBatch) -> Architecture:
    """The machine that a mapping names the levels of: the one given, or that with memories taken apart as it says.

    An uneven mapping's levels are parts of the machine's (`dlco.hardware.split`); the part with the fan-out is the one
    that has the mapping's spatial loops.
    """
    if mapping.levels == tuple(level.name for level in architecture.levels):
        return architecture
    if isinstance(mapping, Mapping):
        rows = zip(mapping.levels, mapping.spatial_x, mapping.spatial_y, strict=True)
        fanned = [name for name, x, y in rows if any(n > 1 for n in (*x, *y))]
    else:
        used = (mapping.factors[..., SPATIAL_X:, :] > 1).movedim(-3, 0).reshape(len(mapping.levels), -1).any(-1)
        fanned = [name for name, there in zip(mapping.levels, used.tolist(), strict=True) if there]
    sizes = problem.sizes
    windows = [
        s.name for s in problem.dataspaces if any(sum(sizes[d] > 1 for d, _ in rank) > 1 for rank in s.projection)
    ]
    return taken_apart(architecture, mapping.levels, [s.name for s in problem.dataspaces], fanned, windows)


def kept_levels(problem: Problem, architecture: Architecture) -> list[tuple[int, ...]]:
    """`[spaces]` the levels of a machine that keep each dataspace, innermost first."""
    columns = zip(*kept_table(problem, architecture), strict=True)
    return [tuple(level for level, keeps in enumerate(column) if keeps) for column in columns]


def kept_dataspaces(
    problem: Problem, mapping: Mapping | MappingBatch, architecture: Architecture | None = None
) -> dict[str, tuple[str, ...]]:
    """Names of the dataspaces that each level keeps: those that neither mapping nor architecture bypasses."""
    names = [space.name for space in problem.dataspaces]
    if architecture is not None:
        architecture = machine_of(problem, architecture, mapping)
    table = kept_table(problem, architecture, mapping.bypass)
    return {
        level: tuple(name for name, keeps in zip(names, row, strict=True) if keeps)
        for level, row in zip(mapping.levels, table, strict=True)
    }
