"""Layers and networks: what there is to compute, with no word of hardware."""

from dlco.workload import networks
from dlco.workload.graph import Edge, Graph, Network, Step
from dlco.workload.layer import Layer, check_layers, macs, parameters
from dlco.workload.layers import (
    attention_scores,
    attention_values,
    conv1d,
    conv2d,
    conv3d,
    depthwise_conv2d,
    linear,
    matmul,
    transposed_conv1d,
    transposed_conv2d,
    transposed_conv3d,
)
from dlco.workload.networks import NETWORKS, get_graph, get_network
from dlco.workload.passes import embedding, normalise, pointwise, pool2d, reduction, upsample2d
from dlco.workload.problem import Dataspace, Problem

__all__ = [
    "NETWORKS",
    "Dataspace",
    "Edge",
    "Graph",
    "Layer",
    "Network",
    "Problem",
    "Step",
    "attention_scores",
    "attention_values",
    "check_layers",
    "conv1d",
    "conv2d",
    "conv3d",
    "depthwise_conv2d",
    "embedding",
    "get_graph",
    "get_network",
    "linear",
    "macs",
    "matmul",
    "networks",
    "normalise",
    "parameters",
    "pointwise",
    "pool2d",
    "reduction",
    "transposed_conv1d",
    "transposed_conv2d",
    "transposed_conv3d",
    "upsample2d",
]
