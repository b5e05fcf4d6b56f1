"""Fronts: what several objectives trade, and the designs that show it."""

from dlco.optimize.front.dominance import hypervolume, knee, nondominated
from dlco.optimize.front.front import Front, FrontPoint
from dlco.optimize.front.pareto import pareto
from dlco.optimize.front.request import FrontEffort
from dlco.optimize.front.weighted import weighted_sum_front

__all__ = [
    "Front",
    "FrontEffort",
    "FrontPoint",
    "hypervolume",
    "knee",
    "nondominated",
    "pareto",
    "weighted_sum_front",
]
