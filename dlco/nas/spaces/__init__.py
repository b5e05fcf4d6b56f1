"""The network spaces that dlco knows."""

from dlco.nas.spaces.cnn_graph import CnnGraph, Module
from dlco.nas.spaces.digits import Digits
from dlco.nas.spaces.graph import GraphSpace
from dlco.nas.spaces.mnasnet import MnasNet
from dlco.nas.spaces.nasbench201 import NasBench201
from dlco.nas.spaces.ofa import OfaMobileNetV3
from dlco.nas.spaces.resnet import ResNet
from dlco.nas.spaces.variants import Variants

__all__ = [
    "CnnGraph",
    "Digits",
    "GraphSpace",
    "MnasNet",
    "Module",
    "NasBench201",
    "OfaMobileNetV3",
    "ResNet",
    "Variants",
]
