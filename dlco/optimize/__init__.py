"""The optimiser: relax, round, search, bound."""

from dlco.optimize.attempts import FrontEffort
from dlco.optimize.budget import OBJECTIVES, Budget
from dlco.optimize.enumerate import LayerFront, enumerate_layer, enumerate_network
from dlco.optimize.enumerate_machines import enumerate_machines
from dlco.optimize.front import Front, FrontPoint
from dlco.optimize.pareto import pareto
from dlco.optimize.progress import Progress
from dlco.optimize.solution import LayerCost, NetworkCost, Solution
from dlco.optimize.solve import SolveEffort, solve
from dlco.optimize.weighted import weighted_sum_front

__all__ = [
    "OBJECTIVES",
    "Budget",
    "Front",
    "FrontEffort",
    "FrontPoint",
    "LayerCost",
    "LayerFront",
    "NetworkCost",
    "Progress",
    "Solution",
    "SolveEffort",
    "enumerate_layer",
    "enumerate_machines",
    "enumerate_network",
    "pareto",
    "solve",
    "weighted_sum_front",
]
