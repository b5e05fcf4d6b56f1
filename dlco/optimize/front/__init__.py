"""Fronts: what several objectives trade, and the designs that show it."""

from dlco.optimize.front.pareto import pareto
from dlco.optimize.front.request import FrontEffort

__all__ = ["FrontEffort", "pareto"]
