"""The optimiser: relax, round, search, bound."""

from dlco.optimize.budget import OBJECTIVES, Budget
from dlco.optimize.effort import SolveEffort
from dlco.optimize.exact import LayerFront, enumerate_layer, enumerate_machines, enumerate_network
from dlco.optimize.front import Front, FrontEffort, FrontPoint, pareto, weighted_sum_front
from dlco.optimize.progress import Progress
from dlco.optimize.solution import LayerCost, NetworkCost, Solution
from dlco.optimize.solve import solve

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
