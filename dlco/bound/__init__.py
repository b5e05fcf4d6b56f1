"""Lower bounds: values of the objective that no design within the budget goes below."""

from dlco.bound.certificate import BoundEffort, Certificate, lower_bound, without_bypassed
from dlco.bound.compulsory import compulsory_bound

__all__ = [
    "BoundEffort",
    "Certificate",
    "compulsory_bound",
    "lower_bound",
    "without_bypassed",
]
