"""A co-design as a web page: the network chosen and its accuracy, the search, and the solution in full."""

from dlco.design.codesign import CoDesign, FoundPair
from dlco.design.figures import pretty
from dlco.design.objective import ACCURACY, Objective
from dlco.design.table import Table
from dlco.report.nas import plot_codesign, plot_progress
from dlco.report.pages.html import card, document, paragraphs, picture, table
from dlco.report.pages.solution import solution_lead, solution_sections


def codesign_page(design: CoDesign, title: str = "", source: str = "") -> str:
    """A whole HTML document.

    Args:
        design: what to show.
        title: what to call the network; its space unless given.
        source: where the co-design comes from, such as a file's name.
    """
    accuracy = accuracy_card(design)
    said = [
        f"{design.status}: {design.message}",
        f"{design.space} network {design.network}",
        *design.sum_text,
        f"{design.method}: {design.evaluations:,} pairs evaluated, {design.queries:,} networks judged, "
        f"{design.mappings:,} mappings, {design.seconds:.1f} s, seed {design.seed}",
    ]
    lead = f"{paragraphs(said)}\n{solution_lead(design.solution, accuracy)}"
    heading = f"{title or design.space} on {design.solution.architecture.name}"
    pairs = ("pairs", "Networks and machines", pairs_section(design))
    return document(heading, lead, [pairs, *solution_sections(design.solution, source)])


def accuracy_card(design: FoundPair) -> str:
    """The accuracy, and what was asked of it."""
    wanted = [] if design.least_accuracy is None else [f"at least {design.least_accuracy:g} % asked for"]
    wanted += ["maximised"] if design.objective == ACCURACY else []
    return card("accuracy", design.accuracy, f"{design.accuracy:.2f} %", wanted)


def pairs_section(design: FoundPair) -> str:
    """The pairs on the front as a picture and a table, and how the search went."""
    front = picture(
        plot_codesign(design),
        "pairs",
        "Pairs of a network and a machine that no other evaluated pair beats in accuracy, energy and latency at once; "
        "the ring marks the one chosen, the colour is the latency.",
    )
    progress = picture(
        plot_progress({design.method: design}), "progress", "The best pair within the limits over the pairs evaluated."
    )
    rows = tuple(
        (
            f"{point.accuracy:.2f}",
            pretty(Objective.ENERGY.shown(point.energy_pj)),
            pretty(Objective.LATENCY.shown(point.latency_s)),
            f"{point.area_mm2:.4g}",
            f"{point.macs:,}",
            point.network,
        )
        for point in design.front
    )
    header = ("accuracy, %", "energy", "latency", "area mm2", "MACs", "network")
    return front + table(Table("Pairs on the front", header, rows, text_columns=frozenset({5}))) + progress
