"""Small random layers, mappings and machines for property tests, and mappings written in one line."""

from collections.abc import Callable, Mapping as Table, Sequence
from dataclasses import dataclass

from hypothesis import strategies as st

from dlco.hardware.architecture import Architecture, Level
from dlco.mapping.mapping import Mapping
from dlco.workload import (
    Dataspace,
    Problem,
    conv1d,
    conv2d,
    conv3d,
    depthwise_conv2d,
    matmul,
    transposed_conv2d,
)
