"""The relaxed problem: real factors and sizes found by nonlinear programming, and rounded."""

from dlco.optimize.relaxed.discretize import round_factors, round_sizes
from dlco.optimize.relaxed.relax import Relaxed, relax

__all__ = [
    "Relaxed",
    "relax",
    "round_factors",
    "round_sizes",
]
