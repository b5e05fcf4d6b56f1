"""The relaxed problem: real factors and sizes found by nonlinear programming, and rounded."""

from dlco.relax.discretize import round_factors, round_sizes
from dlco.relax.relax import Relaxed, relax

__all__ = [
    "Relaxed",
    "relax",
    "round_factors",
    "round_sizes",
]
