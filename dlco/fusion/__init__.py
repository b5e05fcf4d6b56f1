"""Networks on fixed machines with results that stay on the chip between layers: the best over all choices."""

from dlco.fusion.chains import Fused, candidates_of
from dlco.fusion.plan import Plan, best_plan
from dlco.fusion.tensors import Tensor, tensors_of

__all__ = ["Fused", "Plan", "Tensor", "best_plan", "candidates_of", "tensors_of"]
