"""dlco: size a CNN accelerator and schedule a network on it, together."""

from importlib.metadata import PackageNotFoundError, version

from dlco import hardware, simulate, timeloop
from dlco.cost import Cost, CountingRules, evaluate
from dlco.errors import DlcoError, Infeasible, InvalidInput, InvalidMapping, NotSupported
from dlco.hardware import Architecture, HardwareSpace, Level
from dlco.mapping import Mapping, MappingBatch
from dlco.optimize import Budget, Front, FrontEffort, Progress, Solution, SolveEffort, pareto, solve
from dlco.workload import (
    Layer,
    Problem,
    attention_scores,
    attention_values,
    conv1d,
    conv2d,
    conv3d,
    depthwise_conv2d,
    linear,
    matmul,
    networks,
    transposed_conv2d,
)

try:
    __version__ = version("dlco")
except PackageNotFoundError:  # run from a source tree that is not installed
    __version__ = "0"

__all__ = [
    "Architecture",
    "Budget",
    "Cost",
    "CountingRules",
    "DlcoError",
    "Front",
    "FrontEffort",
    "HardwareSpace",
    "Infeasible",
    "InvalidInput",
    "InvalidMapping",
    "Layer",
    "Level",
    "Mapping",
    "MappingBatch",
    "NotSupported",
    "Problem",
    "Progress",
    "Solution",
    "SolveEffort",
    "attention_scores",
    "attention_values",
    "conv1d",
    "conv2d",
    "conv3d",
    "depthwise_conv2d",
    "evaluate",
    "hardware",
    "linear",
    "matmul",
    "networks",
    "pareto",
    "simulate",
    "solve",
    "timeloop",
    "transposed_conv2d",
]
