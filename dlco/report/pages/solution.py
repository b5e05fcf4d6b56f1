"""A solution as a web page that needs no other file: machine, costs, proof, pictures, layers, loop nests."""

from collections.abc import Callable, Mapping
from typing import Any

from matplotlib.figure import Figure

from dlco.design.figures import pretty, si, with_unit
from dlco.design.machine_table import machine_table
from dlco.design.objective import Objective
from dlco.design.sensitivity_table import sensitivity_tables
from dlco.design.solution import Solution
from dlco.design.solution_table import LISTED, chain_table, headline, layer_rows, resident_table
from dlco.design.table import Table
from dlco.hardware.architecture import Architecture
from dlco.mapping.kept import FREE
from dlco.mapping.rules import DEFAULT_RULES
from dlco.report.breakdown import breakdowns
from dlco.report.pages.html import Section, card, document, facts, folded, paragraphs, picture, table
from dlco.report.pages.nest import loop_nest_html
from dlco.report.pictures import (
    plot_convergence,
    plot_energy,
    plot_floor_plan,
    plot_latency,
    plot_residents,
    plot_roofline,
    plot_sensitivities,
    plot_utilization,
)
from dlco.report.pictures.roofline import has_roofline
from dlco.version import __version__
from dlco.workload.layer import Layer

_CAPTIONS = {
    "area": "Area to scale: left the whole machine, right one element of its array, enlarged. A sketch of sizes: "
    "every level takes the area of its wires too, those to DRAM as DRAM, and there are no pads.",
    "energy": "Energy of all executions of every layer: the colour is the level that is read or written, the hatch the "
    "dataspace that moves.",
    "latency": "Left, cycles of all executions; right, what the loops and every level's bandwidth alone would take. "
    "The bound at 100 % sets the layer's cycles and colours its bar.",
    "roofline": "Roofline of the outermost level of limited bandwidth: layers on the slanted line wait for it. The "
    "larger a point, the more of the network's cycles its layer takes.",
    "utilisation": "Left, MACs in use (pale) and at work on average (dark); right, the share of each buffer that the "
    "tiles fill.",
    "residents": "What stays on the chip, step by step: a bar for every result, as high as the words that it takes. "
    "The line is the memory's room, of which tiles take the rest.",
    "sensitivity": "What one per cent more is worth: the bar is the slope of the lower bound, the line what is proved "
    "of the best design where the figure changes by 5 %, or the end of a grid by a step, whichever way.",
    "convergence": "The objective over time: of the relaxed problem, whose sizes and factors are real numbers; of the "
    "best whole design; and the proved bound, below which no design lies.",
}


def solution_page(solution: Solution, title: str = "", source: str = "") -> str:
    """A whole HTML document.

    Args:
        solution: what to show.
        title: what to call the network.
        source: where the solution comes from, such as a file's name.
    """
    heading = f"{title or 'Network'} on {solution.architecture.name}"
    return document(heading, solution_lead(solution), solution_sections(solution, source))


def solution_lead(solution: Solution, first: str = "") -> str:
    """Status, what is proved, and the totals as cards; `first` is a card before them."""
    return f"{paragraphs(pretty(headline(solution)).splitlines())}\n{cost_cards(solution, first)}"


def solution_sections(solution: Solution, source: str = "") -> list[Section]:
    """All that a page says of a solution below its totals."""
    roof = _drawn(plot_roofline, solution, "roofline") if has_roofline(solution) else ""
    return [
        ("machine", "Machine", _machine(solution)),
        ("budget", "Budget", budget_section(solution)),
        ("energy", "Energy", _drawn(plot_energy, solution, "energy")),
        ("latency", "Latency", _drawn(plot_latency, solution, "latency") + roof),
        ("utilisation", "Utilisation", _drawn(plot_utilization, solution, "utilisation")),
        *([("residents", "On the chip", _residents(solution))] if solution.course else []),
        *([("sensitivities", "Sensitivities", _sensitivities(solution))] if solution.known_sensitivities else []),
        ("layers", "Layers", table(layer_table(solution))),
        ("mappings", "Loop nests", _nests(solution)),
        ("search", "Search", _drawn(plot_convergence, solution, "convergence")),
        ("provenance", "Provenance", facts(provenance(solution, source))),
    ]


def cost_cards(solution: Solution, first: str = "") -> str:
    """The network's totals with their limits; what was minimised is marked, and so is what exceeds its limit."""
    cards = [first]
    uses = {use.limit: use for use in solution.budget.total_uses(solution.cost)}
    for objective in LISTED:
        value, use = solution.cost.objective(objective), uses.get(objective.limit or "")
        aim, over = objective == solution.objective, use is not None and use.broken
        notes = ["minimised"] if aim else []
        if use is not None:
            notes.append(f"{'EXCEEDS' if over else 'within'} {pretty(with_unit(use.most, objective.unit))}")
        kind = "over" if over else "aim" if aim else ""
        cards.append(card(objective.label, value, pretty(objective.shown(value)), notes, kind))
    cycles = solution.cost.cycles
    cards.append(card("cycles", cycles, f"{cycles:,.0f}"))
    return f'<dl class="cards">{"".join(cards)}</dl>'


def layer_table(solution: Solution) -> Table:
    """A row a layer: its size, what it costs, what sets its cycles, and how it lies on the array."""
    rows = []
    for layer, row, one in zip(solution.layers, layer_rows(solution), breakdowns(solution), strict=True):
        rows.append(
            (
                row.name,
                _sizes(layer),
                str(row.count),
                si(row.macs),
                f"{row.cycles:,.0f}",
                one.bound_by,
                pretty(Objective.ENERGY.shown(row.energy_pj)),
                f"{100 * row.utilization:.1f}",
                f"{100 * row.edp_share:.1f}",
                row.spatial,
            )
        )
    header = ("layer", "size", "count", "MACs", "cycles", "set by", "energy", "used %", "EDP %", "spatial, X x Y")
    return Table(
        "",
        header,
        tuple(rows),
        text_columns=frozenset({0, 1, 5, 9}),
        note="MACs, cycles and energy are those of all executions; EDP % is the mean of the shares of both.",
    )


def provenance(solution: Solution, source: str = "") -> list[tuple[str, str]]:
    """What someone needs to get the solution again, and to know how it was counted."""
    rules = DEFAULT_RULES
    forwarding = "words pass between neighbours" if rules.neighbour_forwarding else "nothing passes between neighbours"
    return [
        ("page written by", f"dlco {__version__}"),
        ("solution from", source),
        ("objective", solution.objective),
        ("seed", str(solution.seed)),
        ("mappings evaluated", f"{solution.evaluations:,}"),
        ("time", f"{solution.seconds:.1f} s"),
        ("factors", "need not divide their dimensions" if solution.imperfect else "divide their dimensions"),
        ("levels keep", "what each mapping chooses" if solution.keep == FREE else "what is stated"),
        ("counting rules", f"restart {rules.restart!r}, {forwarding}"),
        ("effort", _effort(solution.effort) or "not recorded"),
    ]


def _machine(solution: Solution) -> str:
    return table(machine_table(solution.architecture)) + _drawn(plot_floor_plan, solution.architecture, "area")


def _drawn(plot: Callable[[Any], Figure], what: Solution | Architecture, name: str) -> str:
    return picture(plot(what), name, _CAPTIONS[name])


def budget_section(solution: Solution) -> str:
    """Every limit beside what the design needs, and the limits that exclude each other."""
    uses = solution.budget.uses(solution.architecture, solution.layer_costs, solution.cost)
    if not uses:
        return paragraphs(["No limits were set."])
    cells = tuple(
        (
            use.limit,
            f"{use.used:.5g}",
            f"{use.most:.5g}",
            f"{100 * use.used / use.most:.1f}",
            "EXCEEDED" if use.broken else "ok",
        )
        for use in uses
    )
    limits = Table("", ("limit", "design", "at most", "used %", ""), cells, text_columns=frozenset({0, 4}))
    conflicts = paragraphs(str(conflict) for conflict in solution.conflicts)
    return table(limits) + conflicts


def _residents(solution: Solution) -> str:
    stays = bool(solution.residents or solution.chains)
    drawn = _drawn(plot_residents, solution, "residents") if stays else ""
    return drawn + table(resident_table(solution)) + (table(chain_table(solution)) if solution.chains else "")


def _sensitivities(solution: Solution) -> str:
    tables = "".join(map(table, sensitivity_tables(solution.known_sensitivities)))
    return _drawn(plot_sensitivities, solution, "sensitivity") + tables


def _nests(solution: Solution) -> str:
    parts = []
    for layer in solution.layers:
        one = solution.layer_costs[layer.name]
        times = f" ×{layer.count}" if layer.count > 1 else ""
        energy = pretty(Objective.ENERGY.shown(one.energy_pj))
        summary = f"{layer.name}{times}: {_sizes(layer)}; {one.cycles:,.0f} cycles, {energy} each"
        parts.append(folded(summary, f'<div class="nest">{loop_nest_html(solution, layer.name)}</div>'))
    return "\n".join(parts)


def _sizes(layer: Layer) -> str:
    """The dimensions above 1, such as "C64 M64 P56 Q56 R3 S3"."""
    return " ".join(f"{d}{n}" for d, n in layer.problem.sizes.items() if n > 1) or "1"


def _effort(effort: Mapping[str, Any]) -> str:
    """Nested figures as a line of text."""
    parts = (f"{k} ({_effort(v)})" if isinstance(v, Mapping) else f"{k} {v}" for k, v in effort.items())
    return ", ".join(parts)
