"""Pictures of a solution, one a module."""

from dlco.report.pictures.convergence import plot_convergence
from dlco.report.pictures.energy import plot_energy
from dlco.report.pictures.floor_plan import plot_floor_plan
from dlco.report.pictures.latency import plot_latency
from dlco.report.pictures.loop_nest import plot_loop_nest
from dlco.report.pictures.residents import plot_residents
from dlco.report.pictures.roofline import plot_roofline
from dlco.report.pictures.sensitivities import plot_sensitivities
from dlco.report.pictures.utilization import plot_utilization

__all__ = [
    "plot_convergence",
    "plot_energy",
    "plot_floor_plan",
    "plot_latency",
    "plot_loop_nest",
    "plot_residents",
    "plot_roofline",
    "plot_sensitivities",
    "plot_utilization",
]
