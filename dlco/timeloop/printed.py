"""The map that Timeloop prints (`timeloop-model.map.txt`, `timeloop-mapper.map.txt`) as a mapping file."""

import os
import re
from collections.abc import Iterator

from dlco.errors import InvalidInput
from dlco.timeloop.document import Source, read_text
from dlco.timeloop.yaml_text import flow_list
from dlco.workload.problem import Problem

_HEADER = re.compile(r"(\w+) \[((?:\s*\w+:\d+ \(\d+\))*)\s*\]")
_LOOP = re.compile(r"[|\s]*for (\w+) in \[0:(\d+(?:,\d+)?)\)(?: \(Spatial-([XY])\))?")
_OTHER = re.compile(r"-*|[|\s]*<< Compute >>")


def as_mapping_file(source: Source, problem: Problem) -> Source:
    """The mapping file that a printed map stands for; any other source as it is.

    Args:
        source: path or text.
        problem: its dataspaces are what the map's levels keep or not.

    Raises:
        InvalidInput: a printed map with a line that is none, or a loop of no level.
    """
    is_text = isinstance(source, str) and "\n" in source
    if not is_text and not (isinstance(source, str | os.PathLike) and os.fspath(source).endswith(".txt")):
        return source
    text = str(source) if is_text else read_text(source, "mapping")
    if _HEADER.match(text.lstrip()) is None:
        return source
    return "\n".join(["mapping:", *_directives(text, problem), ""])


def _directives(text: str, problem: Problem) -> Iterator[str]:
    """A line for every directive, outermost level first."""
    levels: list[tuple[str, list[str], list[tuple[str, str, str | None]]]] = []
    for number, line in enumerate(text.splitlines(), start=1):
        header, loop = _HEADER.fullmatch(line.strip()), _LOOP.fullmatch(line.rstrip())
        if header:
            levels.append((header[1], re.findall(r"(\w+):", header[2]), []))
        elif loop and levels:
            levels[-1][2].append((loop[1], loop[2], loop[3]))
        elif not _OTHER.fullmatch(line.strip()):
            raise InvalidInput(f"printed map, line {number}: {line.strip()[:60]!r} is no level, loop or rule of it")
    for level, kept, loops in levels:
        container = level.startswith("inter_") and level.endswith("_spatial")
        time = [(dim, factor) for dim, factor, axis in loops if axis is None]
        x, y = ([(dim, factor) for dim, factor, axis in loops if axis == which] for which in "XY")
        if time or not container:
            yield _directive(level, "temporal", time)
        if x or y:
            yield _directive(level, "spatial", [*y, *x], f", split: {len(x)}")
        if not container:
            bypass = [space.name for space in problem.dataspaces if space.name not in kept]
            yield f"- {{target: {level}, type: bypass, keep: {flow_list(kept)}, bypass: {flow_list(bypass)}}}"


def _directive(target: str, kind: str, loops: list[tuple[str, str]], more: str = "") -> str:
    """Loops, outermost first, as a directive."""
    factors = flow_list(f'"{dim}={factor}"' for dim, factor in loops)
    order = flow_list(dim for dim, _ in reversed(loops))
    return f"- {{target: {target}, type: {kind}, factors: {factors}, permutation: {order}{more}}}"
