"""Network and accelerator chosen together: spaces of networks, and what they compute."""

from dlco.design.codesign import CoDesign, CoPoint
from dlco.nas.cosearch import cosearch
from dlco.nas.space import Decision, Factor, FactoredSpace, Network, Space
from dlco.nas.spaces import CnnGraph, Digits, GraphSpace, MnasNet, Module, NasBench201, OfaMobileNetV3, ResNet
from dlco.nas.surrogate import NetworkSearch, boshnas

__all__ = [
    "CnnGraph",
    "CoDesign",
    "CoPoint",
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
    "OfaMobileNetV3",
    "ResNet",
    "Space",
    "boshnas",
    "cosearch",
]
