"""Exact answers: by proof with a best-first search, also over boxes of machines, or by listing every mapping."""

from dlco.exact.enumerate import enumerate_layer, enumerate_network
from dlco.exact.layer_front import LayerFront
from dlco.exact.machines import MachineEffort, MachineSearch
from dlco.exact.optimal import OptimalFront, optimal_layer

__all__ = [
    "LayerFront",
    "MachineEffort",
    "MachineSearch",
    "OptimalFront",
    "enumerate_layer",
    "enumerate_network",
    "optimal_layer",
]
