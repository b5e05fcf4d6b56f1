"""Results for people: tables, pictures, pages and a progress bar."""

from dlco.design.table import LayerRow, layer_rows, solution_html, solution_text
from dlco.progress_bar import ProgressBar
from dlco.report.evaluation import evaluation_text
from dlco.report.front import plot_front
from dlco.report.front_page import front_page
from dlco.report.nest import loop_nest_html
from dlco.report.page import solution_page
from dlco.report.picture import plot_solution
from dlco.report.pictures import (
    plot_convergence,
    plot_energy,
    plot_floor_plan,
    plot_latency,
    plot_loop_nest,
    plot_roofline,
    plot_utilization,
)

__all__ = [
    "LayerRow",
    "ProgressBar",
    "evaluation_text",
    "front_page",
    "layer_rows",
    "loop_nest_html",
    "plot_convergence",
    "plot_energy",
    "plot_floor_plan",
    "plot_front",
    "plot_latency",
    "plot_loop_nest",
    "plot_roofline",
    "plot_solution",
    "plot_utilization",
    "solution_html",
    "solution_page",
    "solution_text",
]
