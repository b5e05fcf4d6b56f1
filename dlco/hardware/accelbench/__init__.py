"""CODEBench's accelerator model, AccelBench: its design space of 13 numbers, its costs, and what networks cost on it.

Source: Tuli, Li, Sharma and Jha, "CODEBench: A Neural Architecture and Hardware Accelerator Co-Design Framework", ACM
TECS 22(3), 2023, and its published program; the figures are in `dlco/hardware/data/accelbench.json`. The machine is
after SPRING (Yu and Jha, 2019). Kept for comparison with work that reports in AccelBench's numbers: areas, leakage,
cycles, loads and energies follow its rules to the last digit.

It is no simulator of a machine; `network_costs` and `AccelBench.to_architecture` say what it counts and what departs.
"""

from dlco.hardware.accelbench.assumptions import Assumptions
from dlco.hardware.accelbench.costs import area_mm2, lane_power_w, leakage_w
from dlco.hardware.accelbench.cycles import lane_cycles
from dlco.hardware.accelbench.machine import SPRING, AccelBench, AccelBenchCost
from dlco.hardware.accelbench.network import NetworkCosts, network_costs, pair_costs
from dlco.hardware.accelbench.sizes import accelbench_space
from dlco.hardware.accelbench.space import AccelBenchSpace

__all__ = [
    "SPRING",
    "AccelBench",
    "AccelBenchCost",
    "AccelBenchSpace",
    "Assumptions",
    "NetworkCosts",
    "accelbench_space",
    "area_mm2",
    "lane_cycles",
    "lane_power_w",
    "leakage_w",
    "network_costs",
    "pair_costs",
]
