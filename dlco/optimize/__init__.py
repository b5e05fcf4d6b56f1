"""The optimiser: relax, round, search, bound."""

from dlco.optimize.budget import OBJECTIVES, Budget
from dlco.optimize.progress import Progress
from dlco.optimize.solution import LayerCost, NetworkCost, Solution
from dlco.optimize.solve import SolveEffort, solve

__all__ = ["OBJECTIVES", "Budget", "LayerCost", "NetworkCost", "Progress", "Solution", "SolveEffort", "solve"]
