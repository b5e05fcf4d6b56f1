"""A layer's loop nest as HTML, its lines coloured by level."""

from html import escape

from dlco.design.solution import Solution
from dlco.report.drawing.colours import level_colours
from dlco.report.pictures.loop_nest import layer_nest

_LINE = "border-left:0.6em solid {colour};padding:0.1em 0 0.1em {indent}em;white-space:pre-wrap"


def loop_nest_html(solution: Solution, layer: str) -> str:
    """The loop nest as a fragment of HTML that needs nothing else: a stripe of its level's colour at every line.

    Raises:
        InvalidInput: a name that no layer has.
    """
    colours = level_colours(solution.architecture)
    lines = []
    for line in layer_nest(solution, layer):
        head = line.kind == "level"
        style = _LINE.format(colour=colours[line.level], indent=0.6 if head else 1.6 + 1.1 * line.depth)
        style += ";font-weight:bold" if head else ";font-style:italic" if line.kind == "spatial" else ""
        lines.append(f'<div style="{style}">{escape(line.text)}</div>')
    body = "\n".join(lines)
    return f'<div style="font-family:ui-monospace,Menlo,Consolas,monospace;font-size:0.9em">\n{body}\n</div>'
