"""Mappings executed: on numbers, word by word, and in time. An independent truth beside the cost model.

It shares no formula with `dlco.cost`, and knows nothing of it.
"""

from dlco.simulate.chain import ChainExecution, execute_chain
from dlco.simulate.counts import AccessCounts, count_accesses
from dlco.simulate.engine import simulate_timing
from dlco.simulate.execute import Execution, execute
from dlco.simulate.gemmini import GemminiTime, GemminiTiming, simulate_gemmini
from dlco.simulate.result import LayerSimulation, Simulation, simulate
from dlco.simulate.timing import Stall, Timing, TimingModel, Transfer
from dlco.simulate.trace import chrome_trace, plot_timing, write_trace
from dlco.simulate.traffic import Traffic
from dlco.workload.density import Density

__all__ = [
    "AccessCounts",
    "ChainExecution",
    "Density",
    "Execution",
    "GemminiTime",
    "GemminiTiming",
    "LayerSimulation",
    "Simulation",
    "Stall",
    "Timing",
    "TimingModel",
    "Traffic",
    "Transfer",
    "chrome_trace",
    "count_accesses",
    "execute",
    "execute_chain",
    "plot_timing",
    "simulate",
    "simulate_gemmini",
    "simulate_timing",
    "write_trace",
]
