"""Exact answers for small map spaces, by listing every mapping."""

from dlco.optimize.exact.enumerate import LayerFront, enumerate_layer, enumerate_network
from dlco.optimize.exact.enumerate_machines import Optima, enumerate_machines

__all__ = [
    "LayerFront",
    "Optima",
    "enumerate_layer",
    "enumerate_machines",
    "enumerate_network",
]
