"""Results for people: tables, pictures, pages and a progress bar."""

from dlco.report.evaluation import evaluation_text
from dlco.report.page import solution_page
from dlco.report.picture import plot_solution
from dlco.report.progress import ProgressBar
from dlco.report.table import LayerRow, layer_rows, solution_html, solution_text

__all__ = [
    "LayerRow",
    "ProgressBar",
    "evaluation_text",
    "layer_rows",
    "plot_solution",
    "solution_html",
    "solution_page",
    "solution_text",
]
