"""Machines: fixed ones, spaces of them, and the technology that prices their parts."""

from dlco.hardware.accelbench import AccelBench, AccelBenchSpace, Assumptions, accelbench_space
from dlco.hardware.architecture import Architecture, Container, Level, Machine
from dlco.hardware.dram import DRAM_KINDS
from dlco.hardware.exchange import with_dram
from dlco.hardware.eyeriss import eyeriss_chip
from dlco.hardware.gemmini import gemmini_config, gemmini_scala
from dlco.hardware.limits import Limit
from dlco.hardware.network import Mesh, Network
from dlco.hardware.nodes import get_technology
from dlco.hardware.parameter import Parameter, Tie
from dlco.hardware.posynomial import Posynomial, Term
from dlco.hardware.presets import (
    dpu_alu_like,
    dpu_like,
    eyeriss_like,
    eyeriss_space,
    gemmini_like,
    gemmini_space,
    generic,
    generic_space,
    get_hardware,
    simba_like,
    simba_space,
    tpu_like,
    tpu_space,
)
from dlco.hardware.space import HardwareSpace
from dlco.hardware.split import split
from dlco.hardware.technology import (
    EYERISS_NORMALISED,
    TECHNOLOGY_45NM,
    MemoryCost,
    MemoryCurves,
    Technology,
)
from dlco.hardware.widths import at_word_bits
from dlco.hardware.wires import Wires

__all__ = [
    "DRAM_KINDS",
    "EYERISS_NORMALISED",
    "TECHNOLOGY_45NM",
    "AccelBench",
    "AccelBenchSpace",
    "Architecture",
    "Assumptions",
    "Container",
    "HardwareSpace",
    "Level",
    "Limit",
    "Machine",
    "MemoryCost",
    "MemoryCurves",
    "Mesh",
    "Network",
    "Parameter",
    "Posynomial",
    "Technology",
    "Term",
    "Tie",
    "Wires",
    "accelbench_space",
    "at_word_bits",
    "dpu_alu_like",
    "dpu_like",
    "eyeriss_chip",
    "eyeriss_like",
    "eyeriss_space",
    "gemmini_config",
    "gemmini_like",
    "gemmini_scala",
    "gemmini_space",
    "generic",
    "generic_space",
    "get_hardware",
    "get_technology",
    "simba_like",
    "simba_space",
    "split",
    "tpu_like",
    "tpu_space",
    "with_dram",
]
