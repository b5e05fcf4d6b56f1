"""The relaxed problem: real factors and sizes found by nonlinear programming, and rounded."""

from dlco.relax.arrow import onto_simplex
from dlco.relax.classes import Classes, better_orders, draw_classes, draw_factors
from dlco.relax.discretize import round_factors, round_sizes
from dlco.relax.program import RelaxedLayers
from dlco.relax.relax import Relaxed, relax

__all__ = [
    "Classes",
    "Relaxed",
    "RelaxedLayers",
    "better_orders",
    "draw_classes",
    "draw_factors",
    "onto_simplex",
    "relax",
    "round_factors",
    "round_sizes",
]
