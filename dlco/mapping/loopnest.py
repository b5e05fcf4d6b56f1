"""A mapping as the loop nest that a person would write."""

from collections.abc import Iterator
from dataclasses import dataclass

from dlco.hardware.architecture import Architecture
from dlco.mapping.kept import kept_dataspaces, machine_of
from dlco.mapping.mapping import SPATIAL_X, SPATIAL_Y, TEMPORAL, Mapping
from dlco.mapping.tiles import last_factors, tile_words
from dlco.texts import printable
from dlco.workload.problem import Problem


@dataclass(frozen=True)
class NestLine:
    """One line of a loop nest.

    Attributes:
        kind: "level" (a header), "temporal" or "spatial" (a loop), or "body".
        level: the storage level whose header or loop it is; of the body, the innermost one.
        depth: loops around it; of a header too.
        text: such as "for M in [0:8)", without indentation.
    """

    kind: str
    level: str
    depth: int
    text: str


def render_loop_nest(mapping: Mapping, problem: Problem | None = None, architecture: Architecture | None = None) -> str:
    """The loops of a mapping as text, outermost level first, loops of bound 1 left out; arguments as `nest_lines`."""
    lines = nest_lines(mapping, problem, architecture)
    indents = ["" if line.kind == "level" else "  " * (line.depth + 1) for line in lines]
    return "\n".join(indent + printable(line.text) for indent, line in zip(indents, lines, strict=True))


def nest_lines(
    mapping: Mapping, problem: Problem | None = None, architecture: Architecture | None = None
) -> list[NestLine]:
    """The loops of a mapping, outermost level first, loops of bound 1 left out.

    Args:
        mapping: what to print.
        problem: where given, each level's header lists the words of every tile it keeps, the nest ends in the
            problem's own product, and a loop whose last run is cut short (imperfect factors) says to how many.
        architecture: where given too, tiles that it bypasses are left out of the headers.
    """
    header = {level: level for level in mapping.levels}
    body = "MAC"
    if problem is not None:
        ranks = () if architecture is None else machine_of(problem, architecture, mapping).ranks
        tiles = tile_words(problem, mapping, ranks)
        for level, names in kept_dataspaces(problem, mapping, architecture).items():
            sizes = ", ".join(f"{name} {tiles[level][name]:,}" for name in names)
            header[level] = f"{level} [{sizes or 'keeps nothing'}]"
        results = ", ".join(space.name for space in problem.dataspaces if space.read_write)
        operands = " * ".join(space.name for space in problem.dataspaces if not space.read_write)
        body = f"{results} += {operands or 1}"
    lines = []
    depth, last = 0, last_factors(mapping, problem)
    for i in reversed(range(len(mapping.levels))):
        name = mapping.levels[i]
        lines.append(NestLine("level", name, depth, header[name]))
        for kind, loop in _loops(mapping, i, last[i]):
            lines.append(NestLine(kind, name, depth, loop))
            depth += 1
    lines.append(NestLine("body", mapping.levels[0], depth, body))
    return lines


def _loops(mapping: Mapping, level: int, last: list[list[int]]) -> Iterator[tuple[str, str]]:
    """(kind, text) of one level's loops, outermost first: temporal, then spatial along Y, then along X.

    `last`: `[3][dims]` iterations of each in its last run.
    """
    for slot, order, mark in (
        (TEMPORAL, mapping.order, ""),
        (SPATIAL_Y, mapping.spatial_order, " (Spatial-Y)"),
        (SPATIAL_X, mapping.spatial_order, " (Spatial-X)"),
    ):
        rows = zip(mapping.factors[level][slot], last[slot], strict=True)
        bounds = dict(zip(mapping.dimensions, rows, strict=True))
        for dim in reversed(order[level]):
            bound, end = bounds[dim]
            if bound > 1:
                cut = f", the last time [0:{end})" if end < bound else ""
                yield "temporal" if slot == TEMPORAL else "spatial", f"for {dim} in [0:{bound}){mark}{cut}"
