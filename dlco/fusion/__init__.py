"""Networks on fixed machines with results that stay on the chip between layers: the proved optimum over all choices."""

from dlco.fusion.plan import Plan, best_plan
from dlco.fusion.tensors import Tensor, tensors_of

__all__ = ["Plan", "Tensor", "best_plan", "tensors_of"]
