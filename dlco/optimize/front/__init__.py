"""Fronts: what several objectives trade, and the designs that show it."""

from dlco.optimize.front.pareto import pareto
from dlco.optimize.front.request import FrontEffort
from dlco.optimize.front.weighted import weighted_sum_front

__all__ = ["FrontEffort", "pareto", "weighted_sum_front"]
