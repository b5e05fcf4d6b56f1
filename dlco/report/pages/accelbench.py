"""A co-design on AccelBench as a web page: network and accelerator, the search, and the cycles of every phase."""

from dlco.design.accelbench_design import AccelBenchDesign
from dlco.design.figures import pretty
from dlco.design.objective import Objective
from dlco.report.pages.codesign import accuracy_card, pairs_section
from dlco.report.pages.html import card, document, paragraphs, table

SHOWN = (Objective.ENERGY, Objective.LATENCY, Objective.POWER, Objective.AREA)


def accelbench_page(design: AccelBenchDesign, title: str = "", source: str = "") -> str:
    """A whole HTML document.

    Args:
        design: what to show.
        title: what to call the network; its space unless given.
        source: where the co-design comes from, such as a file's name.
    """
    said = [
        f"{design.status}: {design.message}",
        f"{design.space} network {design.network}",
        *design.sum_text,
        design.batch_text,
        f"{design.method}: {design.evaluations:,} pairs evaluated, {design.queries:,} networks judged, "
        f"{design.seconds:.1f} s, seed {design.seed}",
        *([source] if source else []),
    ]
    values = {one: design.cost.objective(one) for one in SHOWN}
    cards = [card(one.label, value, pretty(one.shown(value)), ["an image"]) for one, value in values.items()]
    lead = f'{paragraphs(said)}\n<dl class="cards">{accuracy_card(design)}{"".join(cards)}</dl>'
    machine, phases = design.tables
    sections = [
        ("pairs", "Networks and machines", pairs_section(design)),
        ("machine", "Accelerator", table(machine)),
        ("phases", "Cycles", table(phases)),
    ]
    return document(f"{title or design.space} on AccelBench", lead, sections)
