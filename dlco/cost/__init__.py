"""The matrix-form cost model: exact on integer mappings, differentiable on real ones."""

from dlco.cost.arithmetic import EXACT, INTEGRAL, SMOOTH, Exact, Integral, Smooth
from dlco.cost.cost import Cost, Counts, Totals
from dlco.cost.model import evaluate, evaluate_many
from dlco.mapping.rules import DEFAULT_RULES, TIMELOOP_RULES, CountingRules

__all__ = [
    "DEFAULT_RULES",
    "EXACT",
    "INTEGRAL",
    "SMOOTH",
    "TIMELOOP_RULES",
    "Cost",
    "CountingRules",
    "Counts",
    "Exact",
    "Integral",
    "Smooth",
    "Totals",
    "evaluate",
    "evaluate_many",
]
