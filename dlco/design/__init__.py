"""What is asked for and what is found: objectives, budgets, solutions, fronts, co-designs, and their tables."""

from dlco.design.budget import Budget
from dlco.design.codesign import CoDesign, CoPoint
from dlco.design.dominance import hypervolume, knee, nondominated
from dlco.design.front import Front, FrontPoint
from dlco.design.fused_chain import FusedChain
from dlco.design.network_cost import LayerCost, NetworkCost
from dlco.design.objective import OBJECTIVES
from dlco.design.resident import Resident
from dlco.design.sensitivity import Sensitivity
from dlco.design.solution import Solution

__all__ = [
    "OBJECTIVES",
    "Budget",
    "CoDesign",
    "CoPoint",
    "Front",
    "FrontPoint",
    "FusedChain",
    "LayerCost",
    "NetworkCost",
    "Resident",
    "Sensitivity",
    "Solution",
    "hypervolume",
    "knee",
    "nondominated",
]
