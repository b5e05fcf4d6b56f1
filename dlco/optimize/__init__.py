"""The optimiser: relax, round, search, bound."""

from dlco.design.budget import Budget
from dlco.design.front import Front, FrontPoint
from dlco.design.network_cost import LayerCost, NetworkCost
from dlco.design.objective import OBJECTIVES
from dlco.design.sensitivity import Sensitivity
from dlco.design.solution import Solution
from dlco.exact import LayerFront, enumerate_layer, enumerate_network
from dlco.optimize.effort import SolveEffort
from dlco.optimize.front import FrontEffort, pareto
from dlco.optimize.options import RunOptions
from dlco.optimize.sensitivity import sensitivities
from dlco.optimize.solve import solve
from dlco.progress import Progress

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
    "RunOptions",
    "Sensitivity",
    "Solution",
    "SolveEffort",
    "enumerate_layer",
    "enumerate_network",
    "pareto",
    "sensitivities",
    "solve",
]
