"""CODEBench's accelerator model, AccelBench: its design space of 13 numbers, its costs, and its cycle rule.

Source: Tuli, Li, Sharma and Jha, "CODEBench: A Neural Architecture and Hardware Accelerator Co-Design Framework", ACM
TECS 22(3), 2023, and its published program; the figures are in `dlco/hardware/data/accelbench.json`. The machine is
after SPRING (Yu and Jha, 2019). Kept for comparison with work that reports in AccelBench's numbers: areas and leakage
are its own to the last digit, and so are the cycles of its MAC lanes.

It is no simulator of a machine; `AccelBench.cycles` and `AccelBench.to_architecture` say what departs.
"""

from dlco.hardware.accelbench.cycles import lane_cycles
from dlco.hardware.accelbench.machine import AccelBench, area_mm2, lane_power_w, leakage_w
from dlco.hardware.accelbench.sizes import accelbench_space
from dlco.hardware.accelbench.space import AccelBenchSpace

__all__ = ["AccelBench", "AccelBenchSpace", "accelbench_space", "area_mm2", "lane_cycles", "lane_power_w", "leakage_w"]
