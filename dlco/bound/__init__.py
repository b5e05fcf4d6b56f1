"""Lower bounds: values of the objective that no design within the budget goes below."""

from dlco.bound.certificate import BoundEffort, Certificate, lower_bound, without_bypassed
from dlco.bound.compulsory import compulsory_bound
from dlco.bound.proof import LayerProof

__all__ = [
    "BoundEffort",
    "Certificate",
    "LayerProof",
    "compulsory_bound",
    "lower_bound",
    "without_bypassed",
]
