"""Exact answers on fixed machines: by proof with a best-first search, or by listing every mapping of a small space."""

from dlco.exact.enumerate import enumerate_layer, enumerate_network
from dlco.exact.layer_front import LayerFront
from dlco.exact.optimal import OptimalFront, optimal_layer

__all__ = [
    "LayerFront",
    "OptimalFront",
    "enumerate_layer",
    "enumerate_network",
    "optimal_layer",
]
