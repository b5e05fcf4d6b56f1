"""A solution as tables: its totals against their limits, the machine, and a row a layer."""

from dataclasses import dataclass
from html import escape
from math import inf, isclose

from dlco.design.layout import Table, clip, si
from dlco.design.solution import Solution
from dlco.hardware.architecture import Architecture, Level
from dlco.mapping.mapping import Factors, Mapping
from dlco.texts import printable_lines

EDP_UNIT = "pJ x cycles"
NAME_WIDTH = 22
SPATIAL_WIDTH = 44
QUANTITIES = {
    "latency": ("latency_s", "s", 1.0),
    "energy": ("energy_pj", "J", 1e-12),
    "power": ("power_w", "W", 1.0),
    "area": ("area_mm2", "mm2", 1.0),
    "edp": ("edp", EDP_UNIT, 1.0),
}
"""By objective: the field of `NetworkCost`, the unit it is shown in, and how many of that unit one of the field is."""
_BUDGETS = {"latency": "latency_s", "energy": "energy_j", "power": "power_w", "area": "area_mm2"}


@dataclass(frozen=True)
class LayerRow:
    """What a network's table says of one layer, all its executions taken together.

    Attributes:
        name, count: of the layer.
        macs, cycles, energy_pj: of all executions.
        utilization: MACs done over MACs that the machine could have done, 0 to 1.
        edp_share: mean of the layer's shares of the network's energy and of its cycles, 0 to 1. To first order, making
            the layer 1 % cheaper in both makes the network's EDP cheaper by 2 % of this.
        spatial: how its loops are laid out over the array, see `spatial_summary`.
    """

    name: str
    count: int
    macs: int
    cycles: float
    energy_pj: float
    utilization: float
    edp_share: float
    spatial: str


def layer_rows(solution: Solution) -> list[LayerRow]:
    """A row a layer, in the network's order."""
    rows = []
    for layer in solution.layers:
        one = solution.layer_costs[layer.name]
        cycles, energy = one.cycles * one.count, one.energy_pj * one.count
        shares = (_share(cycles, solution.cost.cycles), _share(energy, solution.cost.energy_pj))
        spatial = spatial_summary(solution.mappings[layer.name], solution.architecture)
        rows.append(
            LayerRow(
                layer.name, one.count, one.macs * one.count, cycles, energy, one.utilization, sum(shares) / 2, spatial
            )
        )
    return rows


def spatial_summary(mapping: Mapping, architecture: Architecture) -> str:
    """The spatial loops of each level that has children side by side, outermost level first.

    "M8 C2 x P4 | K16": under the outer level M is split by 8 and C by 2 along X, P by 4 along Y; K by 16 under the
    inner one. A "1" stands for an axis that nothing is split along; an axis of one child is left out.
    """
    parts = []
    for i in reversed(range(len(architecture.levels))):
        level = architecture.levels[i]
        sides = [
            _loops(mapping, i, factors)
            for factors, fanout in ((mapping.spatial_x, level.fanout_x), (mapping.spatial_y, level.fanout_y))
            if fanout > 1
        ]
        if sides:
            parts.append(" x ".join(sides))
    return " | ".join(parts) or "-"


def solution_tables(solution: Solution) -> list[Table]:
    """Totals, machine and layers."""
    return [_totals(solution), machine_table(solution.architecture), _layers(solution)]


def solution_text(solution: Solution) -> str:
    """The whole solution as plain text in fixed width, at most some 115 columns wide."""
    tables = "\n\n".join(table.to_text() for table in solution_tables(solution))
    return f"{printable_lines(headline(solution))}\n\n{tables}"


def solution_html(solution: Solution) -> str:
    """The whole solution as a fragment of HTML that needs nothing else."""
    tables = "\n".join(table.to_html() for table in solution_tables(solution))
    return f"<div>\n<p>{escape(printable_lines(headline(solution)))}</p>\n{tables}\n</div>"


def objective_text(objective: str, value: float) -> str:
    """A value of an objective, in the unit of `NetworkCost.objective`, such as "energy 12.3 mJ".

    Accuracy is in percent; of any other name, such as "loss", the number is all that is shown.
    """
    if objective not in QUANTITIES:
        return f"{objective} {value:.2f} %" if objective == "accuracy" else f"{objective} {value:.4g}"
    _, unit, scale = QUANTITIES[objective]
    return f"{_title(objective)} {shown_value(value * scale, unit)}"


def machine_table(architecture: Architecture) -> Table:
    """A row a storage level, outermost first, and one for the MACs."""
    pairs = reversed(list(zip(architecture.levels, architecture.instances, strict=True)))
    rows = [_level_row(level, instances) for level, instances in pairs]
    mac_area = architecture.mac_area_um2 * architecture.macs * 1e-6
    mac = (architecture.mac_name, "MAC", "", f"{architecture.mac_bits} bits", f"{architecture.macs:,}", "", "")
    rows.append((*mac, _area(mac_area), ""))
    bypassed = any(level.bypass or not level.capacity for level in architecture.levels)
    header = ("level", "kind", "words", "size", "instances", "children", "words/cycle", "area mm2", "bypasses")
    return Table(
        f"Machine {architecture.name}, {architecture.cycle_s * 1e9:g} ns a cycle",
        header if bypassed else header[:-1],
        tuple(row if bypassed else row[:-1] for row in rows),
        text_columns=frozenset({0, 1, 8}),
        note="Words, size and words/cycle (read/write) are an instance's, the area is that of all instances.",
    )


def byte_size(level: Level) -> str:
    """What one instance of a level holds, such as "108 KiB"."""
    size = level.capacity * level.word_bits / 8
    for unit in ("B", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.4g} {unit}"
        size /= 1024
    return f"{size:.4g} GiB"


def within(value: float, limit: float) -> bool:
    """Whether a limit holds, up to rounding errors."""
    return value <= limit or isclose(value, limit, rel_tol=1e-9)


def headline(solution: Solution) -> str:
    """Status and message, and in a second line what is proved of better designs."""
    text = f"{solution.status}: {solution.message}"
    if solution.lower_bound is None or solution.value <= 0:
        return text
    bound = objective_text(solution.objective, solution.lower_bound)
    proved = solution.certificate
    return f"{text}\n{proved[0].upper()}{proved[1:]}: none goes below {bound}."


def _totals(solution: Solution) -> Table:
    limits = solution.budget.limits
    rows = [("cycles", f"{solution.cost.cycles:,.0f}", "", "", "")]
    for name, (attribute, unit, scale) in QUANTITIES.items():
        value = getattr(solution.cost, attribute) * scale
        limit = limits.get(_BUDGETS.get(name, ""))
        verdict = "" if limit is None else "ok" if within(value, limit) else "EXCEEDED"
        aim = "minimised" if name == solution.objective else ""
        rows.append(
            (_title(name), shown_value(value, unit), "" if limit is None else shown_value(limit, unit), verdict, aim)
        )
    return Table(
        "Network",
        ("", "value", "limit", "", ""),
        tuple(rows),
        text_columns=frozenset({0, 3, 4}),
        note=f"{solution.evaluations:,} mappings evaluated in {solution.seconds:.1f} s, seed {solution.seed}.",
    )


def _layers(solution: Solution) -> Table:
    rows = tuple(
        (
            clip(row.name, NAME_WIDTH),
            str(row.count),
            si(row.macs),
            si(row.cycles),
            si(row.energy_pj * 1e-12, "J"),
            f"{100 * row.utilization:.1f}",
            f"{100 * row.edp_share:.1f}",
            clip(row.spatial, SPATIAL_WIDTH),
        )
        for row in layer_rows(solution)
    )
    fans = [level.name for level in reversed(solution.architecture.levels) if level.fanout_x * level.fanout_y > 1]
    return Table(
        "Layers",
        ("layer", "count", "MACs", "cycles", "energy", "used %", "EDP %", "spatial, X x Y"),
        rows,
        text_columns=frozenset({0, 7}),
        note="MACs, cycles and energy are those of all executions; EDP % is the mean of the shares of both."
        + (f"\nSpatial: what is split over the children of {' | '.join(fans)}." if fans else ""),
    )


def _level_row(level: Level, instances: int) -> tuple[str, ...]:
    finite = level.capacity < inf
    return (
        clip(level.name, NAME_WIDTH),
        level.kind,
        f"{level.capacity:,.0f}" if finite else "no limit",
        byte_size(level) if finite else "",
        f"{instances:,}",
        f"{level.fanout_x} x {level.fanout_y}",
        _bandwidth(level),
        _area(level.area_um2 * instances * 1e-6),
        clip(", ".join(sorted(level.bypass)), 24) if level.capacity else "all",
    )


def _bandwidth(level: Level) -> str:
    read, write = (
        "-" if words == inf else f"{words:g}"
        for words in (
            min(level.read_bandwidth, level.shared_bandwidth),
            min(level.write_bandwidth, level.shared_bandwidth),
        )
    )
    return read if read == write else f"{read}/{write}"


def _area(mm2: float) -> str:
    return f"{mm2:.4g}" if mm2 else "-"


def shown_value(value: float, unit: str) -> str:
    """A value with its unit; prefixes only where the unit takes them."""
    return f"{value:.4g} {unit}" if unit in ("mm2", EDP_UNIT) else si(value, unit)


def _title(objective: str) -> str:
    return "EDP" if objective == "edp" else objective


def _share(part: float, whole: float) -> float:
    return part / whole if whole > 0 else 0.0


def _loops(mapping: Mapping, level: int, factors: Factors) -> str:
    bounds = dict(zip(mapping.dimensions, factors[level], strict=True))
    return " ".join(f"{dim}{bounds[dim]}" for dim in mapping.spatial_order[level] if bounds[dim] > 1) or "1"
