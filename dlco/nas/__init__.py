"""Network and accelerator chosen together: spaces of networks, and what they compute."""

from dlco.design.accelbench_design import AccelBenchDesign
from dlco.design.codesign import CoDesign, CoPoint
from dlco.design.weighted_sum import WeightedSum
from dlco.design.width_choice import AtWidth, WidthChoice
from dlco.nas.cosearch import cosearch
from dlco.nas.options import CosearchOptions
from dlco.nas.space import Decision, Factor, FactoredSpace, Network, NetworkSpace
from dlco.nas.spaces import CnnGraph, Digits, GraphSpace, MnasNet, Module, NasBench201, OfaMobileNetV3, ResNet, Variants
from dlco.nas.surrogate import NetworkSearch, boshnas
from dlco.nas.widths import cosearch_widths

__all__ = [
    "AccelBenchDesign",
    "AtWidth",
    "CnnGraph",
    "CoDesign",
    "CoPoint",
    "CosearchOptions",
    "Decision",
    "Digits",
    "Factor",
    "FactoredSpace",
    "GraphSpace",
    "MnasNet",
    "Module",
    "NasBench201",
    "Network",
    "NetworkSearch",
    "NetworkSpace",
    "OfaMobileNetV3",
    "ResNet",
    "Variants",
    "WeightedSum",
    "WidthChoice",
    "boshnas",
    "cosearch",
    "cosearch_widths",
]
