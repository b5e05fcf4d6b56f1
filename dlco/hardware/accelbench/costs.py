"""What AccelBench's accelerators cost by themselves: area, leakage, the power of their units, energies of accesses."""

import torch

from dlco.errors import InvalidInput
from dlco.hardware.accelbench.figures import (
    NUMBERS,
    figures,
    lane_module,
    mac_lane,
    memories,
    parts,
    pe_module,
)

AREA, POWER, LEAKAGE = 0, 1, 2  # columns of a module's figures
FIFOS = 2  # a MAC: one for its activation, one for its weight
IM2COL = 2.0  # times that a convolution is charged this module


def area_mm2(vectors: torch.Tensor, activation: str = "ReLU") -> torch.Tensor:
    """Areas, mm2, `[...]` of vectors `[..., 13]`: modules at 14 nm, and buffers in proportion to their MB (CACTI).

    Raises:
        InvalidInput: the last dimension is not 13, or an unknown activation.
    """
    return _modules(vectors, activation, AREA, 1.0) * 1e-6 + _buffers(vectors, "area_mm2")


def leakage_w(vectors: torch.Tensor, activation: str = "ReLU") -> torch.Tensor:
    """Leakage of modules and buffers, W, `[...]` of vectors `[..., 13]`; the main memory has none.

    Raises:
        InvalidInput: the last dimension is not 13, or an unknown activation.
    """
    return (_modules(vectors, activation, LEAKAGE, 1.0) + _buffers(vectors, "leakage_mw")) * 1e-3


def lane_power_w(vectors: torch.Tensor, activation: str = "ReLU", *, im2col: float = IM2COL) -> torch.Tensor:
    """W that a convolution is charged for every cycle of `cycles`, `[...]` of vectors `[..., 13]`.

    MAC lanes, their FIFOs and sparsity modules, im2col `im2col` times (twice; not at all for a product of matrices),
    and the PEs' dataflow control, all of the machine's whatever a layer uses. Im2col's 423 mW a lane is nearly all.

    Raises:
        InvalidInput: the last dimension is not 13, or an unknown activation.
    """
    found = parts(vectors)
    lane = whole_lane(found.macs, activation, POWER, im2col)
    return found.pes * (found.lanes * lane + figures()["pe_modules"]["dataflow"][POWER]) * 1e-3


def whole_lane(macs: torch.Tensor, activation: str, column: int, im2col: float) -> torch.Tensor:
    """One figure of a whole lane of `macs` `[...]` MACs."""
    fifos = FIFOS * macs * figures()["fifo"][column]
    return mac_lane(macs, activation, column) + fifos + lane_module(column, im2col=im2col)


def _modules(vectors: torch.Tensor, activation: str, column: int, im2col: float) -> torch.Tensor:
    """One figure of all modules, `[...]`."""
    found = parts(vectors)
    return found.pes * (found.lanes * whole_lane(found.macs, activation, column, im2col) + pe_module(column))


def _buffers(vectors: torch.Tensor, figure: str) -> torch.Tensor:
    """One figure of the three buffers together, `[...]`; it is in proportion to their MB."""
    found, table = parts(vectors), figures()["buffers"]
    total = torch.zeros_like(found.pes)
    for name in ("activation", "weight", "mask"):
        total = total + table[name][figure] / table[name]["mb"] * getattr(found, f"{name}_mb")
    return total


def buffer_nj(vectors: torch.Tensor, buffer: str) -> torch.Tensor:
    """Energy, nJ, `[...]` to load or drop a cube of 64 words: the mean of read and write, with the root of the MB.

    Args:
        vectors: `[..., 13]`.
        buffer: "activation", "weight" or "mask".

    Raises:
        InvalidInput: the last dimension is not 13, or another buffer.
    """
    table = figures()["buffers"]
    if buffer not in table:
        raise InvalidInput(f"buffer is {buffer!r}; allowed: {', '.join(table)}")
    row, mb = table[buffer], getattr(parts(vectors), f"{buffer}_mb")
    return (row["read_nj"] + row["write_nj"]) / 2 * (mb / row["mb"]).sqrt()


def main_memory_nj(vectors: torch.Tensor) -> torch.Tensor:
    """Energy an access of the main memory, nJ, `[...]`, as its table says; for numbers off it those of the nearest."""
    parts(vectors)  # checks
    pairs = vectors.new_tensor(list(memories()))
    energies = vectors.new_tensor(list(memories().values()))
    columns = [NUMBERS.index("memory_type"), NUMBERS.index("memory_config")]
    return energies[(vectors[..., None, columns] - pairs).abs().sum(-1).argmin(-1)]


def cycle_s() -> float:
    """Seconds a clock cycle."""
    return 1e-6 / float(figures()["clock_mhz"])
