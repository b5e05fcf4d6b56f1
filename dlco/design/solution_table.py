"""A solution as tables: its totals against their limits, the machine, and a row a layer."""

from dataclasses import dataclass
from html import escape

from dlco.design.figures import si, with_unit
from dlco.design.machine_table import NAME_WIDTH, machine_table
from dlco.design.objective import JOULES, Objective
from dlco.design.sensitivity_table import sensitivity_tables
from dlco.design.solution import Solution
from dlco.design.table import Table
from dlco.hardware.architecture import Architecture
from dlco.mapping.mapping import Factors, Mapping
from dlco.texts import clip, printable_lines

LISTED = (Objective.LATENCY, Objective.ENERGY, Objective.POWER, Objective.AREA, Objective.EDP)
"""The totals in the order in which tables and pages list them."""
SPATIAL_WIDTH = 44


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
    for level in reversed(architecture.levels):
        own = [i for i, name in enumerate(mapping.levels) if name == level.name or name.startswith(f"{level.name}_")]
        split = [i for i in own if max(*mapping.spatial_x[i], *mapping.spatial_y[i]) > 1]  # of parts one has them
        i = (split or own)[0]
        sides = [
            _loops(mapping, i, factors)
            for factors, fanout in ((mapping.spatial_x, level.fanout_x), (mapping.spatial_y, level.fanout_y))
            if fanout > 1
        ]
        if sides:
            parts.append(" x ".join(sides))
    return " | ".join(parts) or "-"


def solution_tables(solution: Solution) -> list[Table]:
    """Totals, machine and layers; and what more of the machine is worth, where that is known."""
    tables = [_totals(solution), machine_table(solution.architecture), _layers(solution)]
    tables += [resident_table(solution)] if solution.course else []
    tables += [chain_table(solution)] if solution.chains else []
    return tables + sensitivity_tables(solution.known_sensitivities)


def solution_text(solution: Solution) -> str:
    """The whole solution as plain text in fixed width, at most some 115 columns wide."""
    tables = "\n\n".join(table.to_text() for table in solution_tables(solution))
    return f"{printable_lines(headline(solution))}\n\n{tables}"


def solution_html(solution: Solution) -> str:
    """The whole solution as a fragment of HTML that needs nothing else."""
    tables = "\n".join(table.to_html() for table in solution_tables(solution))
    return f"<div>\n<p>{escape(printable_lines(headline(solution)))}</p>\n{tables}\n</div>"


def headline(solution: Solution) -> str:
    """Status and message, and in a second line what is proved of better designs."""
    text = f"{solution.status}: {solution.message}"
    if solution.lower_bound is None or solution.value <= 0:
        return text
    bound = solution.objective.text(solution.lower_bound)
    proved = solution.certificate
    return f"{text}\n{proved[0].upper()}{proved[1:]}: none goes below {bound}."


def _totals(solution: Solution) -> Table:
    uses = {use.limit: use for use in solution.budget.total_uses(solution.cost)}
    rows = [("cycles", f"{solution.cost.cycles:,.0f}", "", "", "")]
    for objective in LISTED:
        use = uses.get(objective.limit or "")
        limit = "" if use is None else with_unit(use.most, objective.unit)
        verdict = "" if use is None else "EXCEEDED" if use.broken else "ok"
        aim = "minimised" if objective == solution.objective else ""
        rows.append((objective.label, objective.shown(solution.cost.objective(objective)), limit, verdict, aim))
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
            si(row.energy_pj * JOULES, "J"),
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


def resident_table(solution: Solution) -> Table:
    """A row for every result that stays on the chip."""
    rows = tuple(
        (
            clip(solution.course[one.first], NAME_WIDTH),
            str(one.first + 1),
            str(one.last + 1),
            one.level,
            f"{one.words:,}",
            clip(", ".join(f"{solution.course[step]} ({space})" for step, space in one.reads), SPATIAL_WIDTH),
        )
        for one in solution.residents
    )
    return Table(
        "On the chip",
        ("result of", "from step", "to step", "stays in", "words", "read by"),
        rows,
        text_columns=frozenset({0, 3, 5}),
        note=f"Of {len(solution.course)} steps. All other results go through the outermost level.",
    )


def chain_table(solution: Solution) -> Table:
    """A row for every chain that runs tile by tile."""
    rows = tuple(
        (
            f"{one.first + 1} to {one.last + 1}",
            clip(f"{solution.course[one.first]} ... {solution.course[one.last]}", SPATIAL_WIDTH),
            " x ".join(f"{dim}{size}" for dim, size in one.tiling.cut),
            f"{one.tiled.tiles:,}",
            one.tiling.halo,
            one.tiling.weights,
            one.level,
            f"{max(one.words(step) for step in range(one.first, one.last + 1)):,}",
        )
        for one in solution.chains
    )
    return Table(
        "Tile by tile",
        ("steps", "layers", "tile", "tiles", "halo", "weights", "stays in", "words"),
        rows,
        text_columns=frozenset({0, 1, 2, 4, 5, 6}),
        note="Tiles of the last layer's result; words: what the chain takes beside the tiles of all other operands.",
    )


def _share(part: float, whole: float) -> float:
    return part / whole if whole > 0 else 0.0


def _loops(mapping: Mapping, level: int, factors: Factors) -> str:
    bounds = dict(zip(mapping.dimensions, factors[level], strict=True))
    return " ".join(f"{dim}{bounds[dim]}" for dim in mapping.spatial_order[level] if bounds[dim] > 1) or "1"
