"""The matrix-form cost model: exact on integer mappings, differentiable on real ones."""

from dlco.cost.arithmetic import EXACT, SMOOTH, WHOLE, Exact, Smooth, Whole
from dlco.cost.cost import Cost, Counts, Totals
from dlco.cost.model import evaluate, evaluate_many
from dlco.cost.rules import DEFAULT_RULES, TIMELOOP_RULES, CountingRules

__all__ = [
    "DEFAULT_RULES",
    "EXACT",
    "SMOOTH",
    "TIMELOOP_RULES",
    "WHOLE",
    "Cost",
    "CountingRules",
    "Counts",
    "Exact",
    "Smooth",
    "Totals",
    "Whole",
    "evaluate",
    "evaluate_many",
]
