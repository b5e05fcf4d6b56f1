"""A solution as a web page that needs no other file: machine, costs, proof, pictures, layers, loop nests."""

from collections.abc import Mapping
from typing import Any

from dlco.cost.rules import DEFAULT_RULES
from dlco.design.layout import Table, pretty, si
from dlco.design.solution import Solution
from dlco.design.table import QUANTITIES, headline, layer_rows, machine_table, shown_value, within
from dlco.report.breakdown import breakdowns
from dlco.report.html import Section, card, document, facts, folded, paragraphs, picture, table
from dlco.report.nest import loop_nest_html
from dlco.report.pictures import (
    plot_convergence,
    plot_energy,
    plot_floor_plan,
    plot_latency,
    plot_roofline,
    plot_utilization,
)
from dlco.report.pictures.roofline import has_roofline
from dlco.version import __version__
from dlco.workload.layer import Layer

BUDGETS = {"latency": "latency_s", "energy": "energy_j", "power": "power_w", "area": "area_mm2"}
"""By objective: the budget's limit on it."""


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
    return [
        ("machine", "Machine", _machine(solution)),
        ("budget", "Budget", budget_section(solution)),
        ("energy", "Energy", _energy(solution)),
        ("latency", "Latency", _latency(solution)),
        ("utilisation", "Utilisation", _utilization(solution)),
        ("layers", "Layers", table(layer_table(solution))),
        ("mappings", "Loop nests", _nests(solution)),
        ("search", "Search", _search(solution)),
        ("provenance", "Provenance", facts(provenance(solution, source))),
    ]


def cost_cards(solution: Solution, first: str = "") -> str:
    """The network's totals with their limits; what was minimised is marked, and so is what exceeds its limit."""
    cards = [first]
    for name, (attribute, unit, scale) in QUANTITIES.items():
        value = getattr(solution.cost, attribute)
        limit = solution.budget.limits.get(BUDGETS.get(name, ""))
        notes = ["minimised"] if name == solution.objective else []
        over = limit is not None and not within(value * scale, limit)
        if limit is not None:
            notes.append(f"{'EXCEEDS' if over else 'within'} {pretty(shown_value(limit, unit))}")
        kind = "over" if over else "aim" if name == solution.objective else ""
        label = "EDP" if name == "edp" else name
        cards.append(card(label, value, pretty(shown_value(value * scale, unit)), notes, kind))
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
                pretty(si(row.energy_pj * 1e-12, "J")),
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
        ("counting rules", f"restart {rules.restart!r}, {forwarding}"),
        ("effort", _effort(solution.effort) or "not recorded"),
    ]


def _machine(solution: Solution) -> str:
    machine = solution.architecture
    plan = picture(
        plot_floor_plan(machine),
        "area",
        "Area to scale: left the whole machine, right one element of its array, enlarged. A sketch of sizes, without "
        "wires and pads.",
    )
    return table(machine_table(machine)) + plan


def budget_section(solution: Solution) -> str:
    """Every limit beside what the design needs, and the limits that exclude each other."""
    budget, cost = solution.budget, solution.cost
    uses = {"area_mm2": cost.area_mm2, "power_w": cost.power_w, "latency_s": cost.latency_s}
    uses["energy_j"] = cost.energy_pj * 1e-12
    rows = [(name, uses[name], limit) for name, limit in budget.limits.items()]
    if budget.pe_count is not None:
        rows.append(("pe_count", solution.architecture.macs, budget.pe_count))
    rows += [
        (f"{what} of {level}", used, limit) for what, level, used, limit in budget.level_uses(solution.architecture)
    ]
    for layer in solution.layers:
        limit = budget.layer_limit(layer.name)
        if limit < float("inf"):
            seconds = solution.layer_costs[layer.name].cycles * solution.architecture.cycle_s
            rows.append((f"layer_latency_s of {layer.name}", seconds, limit))
    if not rows:
        return paragraphs(["No limits were set."])
    cells = tuple(
        (name, f"{used:.5g}", f"{limit:.5g}", f"{100 * used / limit:.1f}", "ok" if within(used, limit) else "EXCEEDED")
        for name, used, limit in rows
    )
    limits = Table("", ("limit", "design", "at most", "used %", ""), cells, text_columns=frozenset({0, 4}))
    conflicts = paragraphs(str(conflict) for conflict in solution.conflicts)
    return table(limits) + conflicts


def _energy(solution: Solution) -> str:
    return picture(
        plot_energy(solution),
        "energy",
        "Energy of all executions of every layer: the colour is the level that is read or written, the hatch the "
        "dataspace that moves.",
    )


def _latency(solution: Solution) -> str:
    bounds = picture(
        plot_latency(solution),
        "latency",
        "Left, cycles of all executions; right, what the loops and every level's bandwidth alone would take. The bound "
        "at 100 % sets the layer's cycles and colours its bar.",
    )
    if not has_roofline(solution):
        return bounds
    roof = picture(
        plot_roofline(solution),
        "roofline",
        "Roofline of the outermost level of limited bandwidth: layers on the slanted line wait for it. The larger a "
        "point, the more of the network's cycles its layer takes.",
    )
    return bounds + roof


def _utilization(solution: Solution) -> str:
    return picture(
        plot_utilization(solution),
        "utilisation",
        "Left, MACs in use (pale) and at work on average (dark); right, the share of each buffer that the tiles fill.",
    )


def _nests(solution: Solution) -> str:
    parts = []
    for layer in solution.layers:
        one = solution.layer_costs[layer.name]
        times = f" ×{layer.count}" if layer.count > 1 else ""
        energy = pretty(si(one.energy_pj * 1e-12, "J"))
        summary = f"{layer.name}{times}: {_sizes(layer)}; {one.cycles:,.0f} cycles, {energy} each"
        parts.append(folded(summary, f'<div class="nest">{loop_nest_html(solution, layer.name)}</div>'))
    return "\n".join(parts)


def _search(solution: Solution) -> str:
    return picture(
        plot_convergence(solution),
        "convergence",
        "The objective over time: of the relaxed problem, whose sizes and factors are real numbers; of the best whole "
        "design; and the proved bound, below which no design lies.",
    )


def _sizes(layer: Layer) -> str:
    """The dimensions above 1, such as "C64 M64 P56 Q56 R3 S3"."""
    return " ".join(f"{d}{n}" for d, n in layer.problem.sizes.items() if n > 1) or "1"


def _effort(effort: Mapping[str, Any]) -> str:
    """Nested figures as a line of text."""
    parts = (f"{k} ({_effort(v)})" if isinstance(v, Mapping) else f"{k} {v}" for k, v in effort.items())
    return ", ".join(parts)
