"""A solution as a web page that needs no other file: its picture and its tables."""

from base64 import b64encode
from html import escape
from io import BytesIO

from dlco.optimize.solution import Solution
from dlco.report.picture import plot_solution
from dlco.report.table import solution_html


def solution_page(solution: Solution, title: str = "") -> str:
    """A whole HTML document; `title` is what to call the network."""
    buffer = BytesIO()
    plot_solution(solution, title=title).savefig(buffer, format="png", dpi=150)
    picture = f"data:image/png;base64,{b64encode(buffer.getvalue()).decode('ascii')}"
    heading = escape(f"{title or 'Network'} on {solution.architecture.name}")
    return f"""<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>{heading}</title></head>
<body style="font-family:sans-serif;max-width:75em;margin:2em auto;padding:0 1em">
<h1>{heading}</h1>
<img src="{picture}" alt="Energy and cycles of each layer" style="max-width:100%">
{solution_html(solution)}
</body>
</html>
"""
