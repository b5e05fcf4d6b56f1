"""A front as a table: a row a point, with its machine in two figures."""

from dlco.design.figures import with_unit
from dlco.design.front import Front
from dlco.design.machine_table import memory_text
from dlco.design.objective import Objective
from dlco.design.table import Table


def front_table(front: Front) -> Table:
    """A row a point, ascending along the first axis, and what they cover."""
    knee = front.knee
    bounds = any(point.solution.lower_bound is not None for point in front.points)
    rows = []
    for i, point in enumerate(front.points):
        machine = point.solution.architecture
        row = [str(i + 1), *(axis.shown(value) for axis, value in zip(front.axes, point.values, strict=True))]
        if bounds:
            gap = point.solution.gap
            row.append("" if gap is None else f"{100 * gap:.1f}")
        rows.append((*row, f"{machine.macs:,}", memory_text(machine.memory_bits), "knee" if point is knee else ""))
    header = ["", *(axis.label for axis in front.axes), *["gap %"] * bounds, "MACs", "memory", ""]
    limits = limits_text(front)
    return Table(
        f"{front.status}: {front.message}",
        tuple(header),
        tuple(rows),
        text_columns=frozenset({len(header) - 1}),
        note=f"{len(front.points)} designs of {len(front.points) + len(front.dominated)} found; hypervolume "
        f"{front.hypervolume():.4g} in logs; {front.evaluations:,} mappings evaluated in {front.seconds:.1f} s, "
        f"seed {front.seed}." + (f"\nWithin {limits}." if limits else ""),
    )


def front_text(front: Front) -> str:
    """The front as plain text in fixed width."""
    return front_table(front).to_text()


def limits_text(front: Front) -> str:
    """The budget's limits on totals, such as "area 4 mm2, latency 41.3 ms"."""
    limited = [(Objective.limited_by(limit), most) for limit, most in front.budget.limits.items()]
    return ", ".join(f"{objective.label} {with_unit(most, objective.unit)}" for objective, most in limited)
