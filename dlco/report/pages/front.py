"""A front as a web page: its picture, a row a point, what each point costs, and every machine."""

from dlco.design.figures import pretty
from dlco.design.front import Front, FrontPoint
from dlco.design.front_table import front_table
from dlco.design.machine_table import machine_sizes, machine_table
from dlco.design.solution_table import LISTED, headline, layer_rows
from dlco.design.table import Table
from dlco.hardware.architecture import Architecture
from dlco.report.front import plot_front
from dlco.report.pages.html import Section, document, facts, folded, paragraphs, picture, table
from dlco.report.pages.solution import cost_cards
from dlco.report.pictures import plot_floor_plan
from dlco.version import __version__


def front_page(front: Front, title: str = "", source: str = "") -> str:
    """A whole HTML document.

    Args:
        front: what to show.
        title: what to call the network.
        source: where the front comes from, such as a file's name.
    """
    lead = paragraphs([f"{front.status}: {front.message}"])
    return document(f"{title or 'Network'}: {front.title}", lead, _sections(front, title, source))


def _sections(front: Front, title: str, source: str) -> list[Section]:
    whole = picture(
        plot_front(front, title=title),
        "front",
        "Every design of which no other is better on all axes, with its machine where there is room; a pointer on a "
        "point shows the rest. The knee is where the front bends most.",
    )
    points = "\n".join(_point(i, point, point is front.knee) for i, point in enumerate(front.points))
    known = [
        ("page written by", f"dlco {__version__}"),
        ("front from", source),
        ("seed", str(front.seed)),
        ("mappings evaluated", f"{front.evaluations:,}"),
        ("time", f"{front.seconds:.1f} s"),
        ("hypervolume", f"{front.hypervolume():.4g} in logs of the axes"),
    ]
    return [
        ("front", "Front", whole + table(front_table(front))),
        ("points", "Points", points or paragraphs(["There is none."])),
        ("machines", "Machines", _machines(front)),
        ("provenance", "Provenance", facts(known)),
    ]


def _point(i: int, point: FrontPoint, knee: bool) -> str:
    """A point's proof, its costs and what its layers take, folded under its figures."""
    solution = point.solution
    content = paragraphs(pretty(headline(solution)).splitlines()) + cost_cards(solution) + table(_layers(point))
    figures = ", ".join(one.shown(solution.cost.objective(one)) for one in LISTED)
    return folded(f"{i + 1}{' (knee)' if knee else ''}: {pretty(figures)}", content)


def _machines(front: Front) -> str:
    """Every machine once, with its area, folded under its sizes and the points that it belongs to."""
    points: dict[Architecture, list[int]] = {}
    for i, point in enumerate(front.points):
        points.setdefault(point.solution.architecture, []).append(i + 1)
    parts = []
    for k, (machine, numbers) in enumerate(points.items()):
        plan = picture(plot_floor_plan(machine), f"area{k + 1}", "Area of the machine, to scale.")
        named = ", ".join(map(str, numbers))
        summary = f"{machine_sizes(machine)}: point{'s' if len(numbers) > 1 else ''} {named}"
        parts.append(folded(summary, table(machine_table(machine)) + plan))
    return "\n".join(parts)


def _layers(point: FrontPoint) -> Table:
    rows = tuple(
        (row.name, str(row.count), f"{row.cycles:,.0f}", f"{row.energy_pj * 1e-6:,.4g}", row.spatial)
        for row in layer_rows(point.solution)
    )
    header = ("layer", "count", "cycles", "energy, µJ", "spatial, X x Y")
    return Table("Layers, all executions", header, rows, text_columns=frozenset({0, 4}))
