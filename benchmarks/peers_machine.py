"""The fixed machines on which mappers are compared, and what another tool is told of a machine and its layers."""

from math import inf
from typing import Any

from dlco import Architecture, Layer, Level

CONV = ("C", "M", "R", "S", "N", "P", "Q")
PJ = {"mac": 1.0, "rf": 1.0, "glb": 6.0, "dram": 200.0}


def machine(
    pe_x: int, pe_y: int, rf_words: int = 256, glb_words: int = 65536, dram_words_per_cycle: float = 8.0
) -> Architecture:
    """PEs with one register file each, a shared buffer and memory; Eyeriss' normalised energies a 16-bit word.

    Only the memory's bandwidth is limited, each way.
    """

    def level(name: str, kind: str, capacity: float, pj: float, **rest: Any) -> Level:
        return Level(name, kind, capacity, read_pj=pj, write_pj=pj, update_pj=pj, **rest)

    wide = dram_words_per_cycle
    return Architecture(
        (
            level("RegisterFile", "regfile", rf_words, PJ["rf"]),
            level("GlobalBuffer", "SRAM", glb_words, PJ["glb"], fanout_x=pe_x, fanout_y=pe_y),
            level("DRAM", "DRAM", inf, PJ["dram"], read_bandwidth=wide, write_bandwidth=wide),
        ),
        mac_pj=PJ["mac"],
        name=f"{pe_x} x {pe_y} PEs",
    )


def question(architecture: Architecture, layers: list[Layer], **more: Any) -> dict[str, Any]:
    """What a peer's script is asked."""
    register, buffer, memory = architecture.levels
    numbers = {
        "pe_x": buffer.fanout_x,
        "pe_y": buffer.fanout_y,
        "rf_words": int(register.capacity),
        "glb_words": int(buffer.capacity),
        "dram_words_per_cycle": int(memory.read_bandwidth),
        "pj": PJ,
    }
    return {"machine": numbers, "layers": [{"name": one.name, **sizes(one)} for one in layers], **more}


def sizes(layer: Layer) -> dict[str, int]:
    """C, M, P, Q, R, S and the stride of a convolution of batch 1, as the peers take them."""
    bounds = layer.problem.sizes
    (inputs,) = (space for space in layer.problem.dataspaces if space.name == "Inputs")
    steps = {dim: step for rank in inputs.projection for dim, step in rank}
    if set(bounds) != set(CONV) or bounds["N"] != 1 or steps["P"] != steps["Q"]:
        raise ValueError(f"{layer.name} is no plain convolution of batch 1")
    return {dim: bounds[dim] for dim in "CMPQRS"} | {"stride": steps["P"]}
