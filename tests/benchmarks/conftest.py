"""The benchmarks as a test imports them, and the tiny problems of the optimiser's tests."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

from ..optimize.conftest import _one_thread, machine, network, product_layer, space, window_layer

__all__ = ["_one_thread", "machine", "network", "product_layer", "space", "window_layer"]
