"""Results for people: tables, pictures, pages and a progress bar."""

from dlco.design.evaluation_table import evaluation_text
from dlco.design.solution_table import LayerRow, layer_rows, solution_html, solution_text
from dlco.progress_bar import ProgressBar
from dlco.report.front import plot_front
from dlco.report.pages.front import front_page
from dlco.report.pages.nest import loop_nest_html
from dlco.report.pages.solution import solution_page
from dlco.report.pictures import (
    plot_convergence,
    plot_energy,
    plot_floor_plan,
    plot_latency,
    plot_loop_nest,
    plot_residents,
    plot_roofline,
    plot_sensitivities,
    plot_utilization,
)
from dlco.report.pictures.overview import plot_solution

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
    "plot_residents",
    "plot_roofline",
    "plot_sensitivities",
    "plot_solution",
    "plot_utilization",
    "solution_html",
    "solution_page",
    "solution_text",
]
