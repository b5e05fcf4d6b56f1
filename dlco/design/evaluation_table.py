"""One evaluated mapping as tables: its totals, and every level's accesses and cycles."""

from typing import Any

from dlco.design.figures import si
from dlco.design.network_cost import NetworkCost
from dlco.design.objective import JOULES
from dlco.design.solution_table import LISTED
from dlco.design.table import Table
from dlco.hardware.architecture import Architecture
from dlco.mapping.kept import kept_dataspaces
from dlco.mapping.loopnest import render_loop_nest
from dlco.mapping.mapping import Mapping
from dlco.workload.problem import Problem


def evaluation_text(
    problem: Problem, architecture: Architecture, mapping: Mapping, figures: dict[str, Any], rules: str
) -> str:
    """Loop nest, accesses, levels and totals, as plain text in fixed width.

    Args:
        problem: the work.
        architecture: the machine.
        mapping: how the one runs on the other.
        figures: what `dlco.timeloop.model` returns for them, with `with_totals`.
        rules: name of the counting rules, to be printed.
    """
    tables = (_accesses(problem, architecture, mapping, figures), _levels(problem, architecture, figures))
    nest = render_loop_nest(mapping, problem, architecture)
    return "\n\n".join([nest, *(table.to_text() for table in tables), _totals(figures, rules)])


def with_totals(figures: dict[str, Any], architecture: Architecture) -> dict[str, Any]:
    """The figures and what follows from them: `latency_s`, `power_w` and `edp` (pJ x cycles)."""
    cost = NetworkCost.of(figures["energy_pj"], figures["cycles"], figures["area_mm2"], architecture.cycle_s)
    return figures | {name: getattr(cost, name) for name in ("latency_s", "power_w", "edp")}


def _accesses(problem: Problem, architecture: Architecture, mapping: Mapping, figures: dict[str, Any]) -> Table:
    kept = kept_dataspaces(problem, mapping, architecture)
    rows = []
    for level in reversed(architecture.levels):
        for space in kept[level.name]:
            one = figures["levels"][level.name][space]
            counts = (one[key] for key in ("utilized_capacity", "reads", "fills", "updates", "utilized_instances"))
            rows.append((level.name, space, *map(_count, counts), _energy(one["energy_pj_total"])))
    return Table(
        "Accesses",
        ("level", "dataspace", "tile", "reads", "fills", "updates", "instances", "energy"),
        tuple(rows),
        text_columns=frozenset({0, 1}),
        note="Tile, reads, fills and updates are words of one instance; energy is that of all instances in use.",
    )


def _levels(problem: Problem, architecture: Architecture, figures: dict[str, Any]) -> Table:
    rows = []
    for level in reversed(architecture.levels):
        one = figures["levels"][level.name]
        accesses = sum(one[space.name].get("energy_pj_total", 0.0) for space in problem.dataspaces)
        leakage = one["leakage_pj_total"]
        energies = (accesses, leakage, accesses + leakage)
        rows.append((level.name, f"{one['cycles']:,}", *map(_energy, energies)))
    compute = figures["compute"]
    energies = (compute["energy_pj"], 0.0, compute["energy_pj"])
    rows.append((architecture.mac_name, f"{compute['cycles']:,}", *map(_energy, energies)))
    if "networks" in figures:
        wires = sum(pj for network in figures["networks"].values() for pj in network.values())
        rows.append(("networks", "", _energy(wires), "", _energy(wires)))
    header = ("level", "cycles", "accesses", "leakage", "energy")
    note = "Cycles are those that the level alone would need; the slowest sets the total."
    return Table("Levels", header, tuple(rows), note=note)


def _totals(figures: dict[str, Any], rules: str) -> str:
    return "\n".join(
        (
            f"cycles       {figures['cycles']:,}",
            *(f"{one.label:<13}{one.shown(figures[one.total])}" for one in LISTED),
            f"utilisation  {figures['utilization_percent']:.1f} %",
            f"rules        {rules}",
        )
    )


def _count(words: float) -> str:
    """Whole, or a mean over instances (imperfect factors)."""
    return f"{words:,}" if isinstance(words, int) else f"{words:,.2f}"


def _energy(pj: float) -> str:
    return si(pj * JOULES, "J")
