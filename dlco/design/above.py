"""How a result shows itself: by what stands above it, imported by name when it is asked for.

Tables know the results that they show, pictures know tables, and searches return results. A result that prints, draws
or looks further into itself calls them from below; this is the one place where dlco does so.
"""

from collections.abc import Callable
from importlib import import_module
from typing import Any

SHOWN_BY = {
    "solution_text": "dlco.design.solution_table",
    "solution_html": "dlco.design.solution_table",
    "front_text": "dlco.design.front_table",
    "plot_front": "dlco.report.front",
    "sensitivities": "dlco.optimize.sensitivity",
}


def shown_by(name: str) -> Callable[..., Any]:
    """The function of a name that shows a result."""
    function: Callable[..., Any] = getattr(import_module(SHOWN_BY[name]), name)
    return function
