"""What the exact search covers."""

from math import prod

from dlco.cost.shape import compile_problem
from dlco.exact.array import why_no_array
from dlco.exact.case import Case
from dlco.exact.count_tables import CountTables
from dlco.exact.hierarchy import HierarchyTables
from dlco.exact.tiles import Tiles
from dlco.mapping.kept import free_levels

MAX_STATES = 200_000  # of a lattice: the tables of the bounds take up to 0.5 KB a state and dataspace
MAX_DIMS = 10  # of bound above 1: sets of loops are listed
MAX_CHOICES = 4096  # of what all levels keep, where it is free
MAX_BOUND = 1 << 20  # of a dimension: tables have an entry for every number up to it
MAX_COUNTS = 1_500_000  # states of a lattice of counts
MAX_COUNTS_SEVERAL = 600_000  # the same where several levels fan out: each has tables over them
MAX_WHOLE = 200_000  # tiles that a processing element holds, whatever their numbers
MAX_FACTORS = 100_000  # spatial factors, likewise


def why_not_covered(case: Case) -> str | None:
    """Why the exact search does not cover a case, in words that follow "because"; None where it does."""
    reason = _why_no_tables(case)
    if reason:
        return reason
    asked = {
        "what levels keep is free": case.keep_free,
        "mappings are to be uneven": case.uneven,
    }
    wanted = " and ".join(words for words, some in asked.items() if some)
    reason = why_no_array(case) if wanted else None
    if reason:
        return f"{reason}, and {wanted}"
    if case.imperfect:
        return _why_not_imperfect(case)
    return case.why_not_uneven if case.uneven else None


def _why_no_tables(case: Case) -> str | None:
    """Why `LayerTables` do not describe a case; None where they do."""
    problem, architecture = case.problem, case.architecture
    names = {space.name for space in problem.dataspaces}
    if architecture.is_split:
        return f"memories of {architecture.name!r} are in parts"
    for name in sorted(names):
        if all(name in level.bypass | case.resolved.bypassed(level.name) for level in architecture.levels):
            return f"no level of {architecture.name!r} keeps {name}"
    for space in compile_problem(problem).spaces:
        if any(len(rank) > 2 for rank in space.ranks):
            return f"three dimensions share a rank of {space.name}"
        if space.read_write and any(len(rank) > 1 or rank[0][1] != 1 for rank in space.ranks):
            return f"{space.name} is written with gaps or overlaps"
    if case.keep_free:
        free = free_levels(architecture, case.constraints)
        ways = prod(2 ** len(names - level.bypass) for level in architecture.levels if level.name in free)
        if ways > MAX_CHOICES:
            return f"its levels may keep {ways:,} sets of dataspaces; up to {MAX_CHOICES:,} are covered"
    dims = len(compile_problem(problem).live)
    if dims > MAX_DIMS:
        return f"it has {dims} dimensions; up to {MAX_DIMS} are covered"
    states = Tiles(problem).lattice.size
    if states > MAX_STATES:
        return f"its tiles have {states:,} extents; up to {MAX_STATES:,} are covered"
    return None


def _why_not_imperfect(case: Case) -> str | None:
    """The same of a case that is covered with perfect factors, with those that need not divide the bounds."""
    if case.keep_free or case.uneven:
        how = "what levels keep is free" if case.keep_free else "mappings are to be uneven"
        return f"factors need not divide the bounds, and {how}"
    if any(slot.exact or slot.at_most or slot.rest for slot in case.resolved.slots):
        return "factors need not divide the bounds, and some are constrained"
    several = why_no_array(case) is not None
    kind, most = (HierarchyTables, MAX_COUNTS_SEVERAL) if several else (CountTables, MAX_COUNTS)
    tables = kind(case.problem, case.architecture, case.constraints)
    if max(tables.lattice.bounds, default=1) > MAX_BOUND:
        return f"a bound is {max(tables.lattice.bounds):,}; up to {MAX_BOUND:,} are covered"
    if tables.lattice.size > most:
        return f"its bounds have {tables.lattice.size:,} numbers of tiles; up to {most:,} are covered"
    for level in range(tables.shared + 1):
        if len(tables.fan(level).listed(MAX_FACTORS)) > MAX_FACTORS:
            return f"a fan-out has more than {MAX_FACTORS:,} vectors of spatial factors"
    if isinstance(tables, CountTables) and len(tables.whole_tiles(MAX_WHOLE)) > MAX_WHOLE:
        return f"a processing element holds more than {MAX_WHOLE:,} tiles"
    return None
