"""Accuracy oracles: what judges the networks of a space."""

from dlco.nas.oracles.accuracy import Accuracy, Counted, DifferentiableAccuracy
from dlco.nas.oracles.ensemble import Ensemble, EnsembleTraining
from dlco.nas.oracles.fit import fit_predictor, load_predictor
from dlco.nas.oracles.function import FunctionAccuracy
from dlco.nas.oracles.natsbench import NatsBenchAccuracy
from dlco.nas.oracles.predictor import Predictor, Quality
from dlco.nas.oracles.rank import kendall_tau
from dlco.nas.oracles.ridge import Ridge
from dlco.nas.oracles.table import TableAccuracy
from dlco.nas.oracles.variants import VariantsAccuracy, variants_accuracy

__all__ = [
    "Accuracy",
    "Counted",
    "DifferentiableAccuracy",
    "Ensemble",
    "EnsembleTraining",
    "FunctionAccuracy",
    "NatsBenchAccuracy",
    "Predictor",
    "Quality",
    "Ridge",
    "TableAccuracy",
    "VariantsAccuracy",
    "fit_predictor",
    "kendall_tau",
    "load_predictor",
    "variants_accuracy",
]
