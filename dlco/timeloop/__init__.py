"""Timeloop in and out: read its files, write them, run it, and compare what it counts with what dlco counts."""

from dlco.mapping.rules import TIMELOOP_RULES
from dlco.timeloop.architecture import read_architecture
from dlco.timeloop.compare import Comparison, compare
from dlco.timeloop.constraints import read_constraints
from dlco.timeloop.mapping import read_mapping
from dlco.timeloop.model import model
from dlco.timeloop.network import read_network
from dlco.timeloop.problem import read_problem
from dlco.timeloop.run import run
from dlco.timeloop.stats import read_stats
from dlco.timeloop.write import write, write_mapping, write_problem
from dlco.timeloop.write_architecture import write_architecture

__all__ = [
    "TIMELOOP_RULES",
    "Comparison",
    "compare",
    "model",
    "read_architecture",
    "read_constraints",
    "read_mapping",
    "read_network",
    "read_problem",
    "read_stats",
    "run",
    "write",
    "write_architecture",
    "write_mapping",
    "write_problem",
]
