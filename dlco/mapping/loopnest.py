"""A mapping as the loop nest that a person would write."""

from collections.abc import Iterator

from dlco.hardware.architecture import Architecture
from dlco.mapping.checks import kept_dataspaces, tile_words
from dlco.mapping.mapping import Mapping
from dlco.workload.problem import Problem


def render_loop_nest(mapping: Mapping, problem: Problem | None = None, architecture: Architecture | None = None) -> str:
    """The loops of a mapping as text, outermost level first, loops of bound 1 left out.

    Args:
        mapping: what to print.
        problem: where given, each level's header lists the words of every tile it keeps, and the nest ends in
            the problem's own product.
        architecture: where given too, tiles that it bypasses are left out of the headers.
    """
    header = {level: level for level in mapping.levels}
    body = "MAC"
    if problem is not None:
        tiles = tile_words(problem, mapping)
        for level, names in kept_dataspaces(problem, mapping, architecture).items():
            sizes = ", ".join(f"{name} {tiles[level][name]:,}" for name in names)
            header[level] = f"{level} [{sizes or 'keeps nothing'}]"
        results = ", ".join(space.name for space in problem.dataspaces if space.read_write)
        operands = " * ".join(space.name for space in problem.dataspaces if not space.read_write)
        body = f"{results} += {operands or 1}"
    lines = []
    depth = 0
    for i in reversed(range(len(mapping.levels))):
        lines.append(header[mapping.levels[i]])
        for loop in _loops(mapping, i):
            lines.append(f"{'  ' * (depth + 1)}{loop}")
            depth += 1
    lines.append(f"{'  ' * (depth + 1)}{body}")
    return "\n".join(lines)


def _loops(mapping: Mapping, level: int) -> Iterator[str]:
    """One level's loops, outermost first: temporal, then spatial along Y, then along X."""
    for factors, order, mark in (
        (mapping.temporal, mapping.order, ""),
        (mapping.spatial_y, mapping.spatial_order, " (Spatial-Y)"),
        (mapping.spatial_x, mapping.spatial_order, " (Spatial-X)"),
    ):
        bounds = dict(zip(mapping.dimensions, factors[level], strict=True))
        for dim in reversed(order[level]):
            if bounds[dim] > 1:
                yield f"for {dim} in [0:{bounds[dim]}){mark}"
