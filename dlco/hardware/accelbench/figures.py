"""The figures of AccelBench's program, and what a vector of its 13 numbers counts."""

import json
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

import torch

from dlco.errors import InvalidInput

NUMBERS = (
    "batch_parallel",
    "input_channel_parallel",
    "x_parallel",
    "y_parallel",
    "output_channel_parallel",
    "kernel_x_parallel",
    "kernel_y_parallel",
    "batch",
    "activation_mb",
    "weight_mb",
    "mask_mb",
    "memory_type",
    "memory_config",
)
"""Order of a vector. The authors call the first seven Pib, Pif, Pix, Piy, Pof, Pkx, Pky."""

ACTIVATIONS = ("ReLU", "SiLU", "both")


@cache
def figures() -> dict[str, Any]:
    """The table `dlco/hardware/data/accelbench.json`; modules are (um2, mW while it works, mW of leakage)."""
    text = files("dlco.hardware").joinpath("data/accelbench.json").read_text(encoding="utf-8")
    table: dict[str, Any] = json.loads(text)
    return table


@cache
def options() -> dict[str, tuple[int, ...]]:
    """What each number may be; `memory_type` and `memory_config` together are one of `memories`."""
    table = figures()
    grids = {name: tuple(values) for name, values in table["options"].items()}
    kernels = grids.pop("kernel_parallel")
    grids |= {"kernel_x_parallel": kernels, "kernel_y_parallel": kernels}
    for i, name in enumerate(("memory_type", "memory_config")):
        grids[name] = tuple(sorted({memory[i] for memory in memories()}))
    return {name: grids[name] for name in NUMBERS}


@cache
def memories() -> dict[tuple[int, int], float]:
    """The main memories, (type, configuration): nJ an access."""
    return {(one["type"], one["config"]): one["nj"] for one in figures()["memories"]}


class Parts(NamedTuple):
    """What vectors `[..., 13]` count, each `[...]`: PEs, lanes of a PE, MACs of a lane, and MB of the buffers."""

    pes: torch.Tensor
    lanes: torch.Tensor
    macs: torch.Tensor
    activation_mb: torch.Tensor
    weight_mb: torch.Tensor
    mask_mb: torch.Tensor


def parts(vectors: torch.Tensor) -> Parts:
    """The counts of vectors `[..., 13]`; raises `InvalidInput` for another last dimension."""
    if vectors.dim() == 0 or vectors.shape[-1] != len(NUMBERS):
        raise InvalidInput(f"vectors has shape {tuple(vectors.shape)}; its last dimension must be {len(NUMBERS)}")
    column = dict(zip(NUMBERS, vectors.to(torch.float64).unbind(-1), strict=True))
    return Parts(
        column["batch_parallel"] * column["x_parallel"] * column["y_parallel"],
        column["output_channel_parallel"] * column["kernel_x_parallel"] * column["kernel_y_parallel"],
        column["input_channel_parallel"],
        column["activation_mb"],
        column["weight_mb"],
        column["mask_mb"],
    )


def mac_lane(macs: torch.Tensor, activation: str, column: int) -> torch.Tensor:
    """One figure of the MAC lane (0 um2, 1 mW, 2 mW of leakage) for lanes of `macs` `[...]` MACs.

    Raises:
        InvalidInput: an activation that is not one of `ACTIVATIONS`.
    """
    if activation not in ACTIVATIONS:
        raise InvalidInput(f"activation is {activation!r}; allowed: {', '.join(ACTIVATIONS)}")
    wide, narrow = (macs.new_tensor(figures()["mac_lane"][width][activation][column]) for width in ("16", "1"))
    return torch.where(macs > 1, wide, narrow)


def lane_module(column: int, *, im2col: float = 1.0) -> float:
    """One figure of the other modules of a lane, FIFOs apart; the im2col module counted `im2col` times."""
    modules = figures()["lane_modules"]
    return sum(row[column] * (im2col if name == "im2col" else 1.0) for name, row in modules.items())


def pe_module(column: int) -> float:
    """One figure of the modules that a PE has one of."""
    return sum(row[column] for row in figures()["pe_modules"].values())
