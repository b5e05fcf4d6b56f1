"""Front ends: networks from PyTorch models, ONNX files and CSV tables, as sequences of layers for `dlco.solve`."""

from dlco.workload.frontends.csv_table import from_csv, to_csv
from dlco.workload.frontends.imported import ImportedNetwork, Unmapped
from dlco.workload.frontends.onnx_graph import from_onnx
from dlco.workload.frontends.torch_export import from_torch

__all__ = ["ImportedNetwork", "Unmapped", "from_csv", "from_onnx", "from_torch", "to_csv"]
