"""DOSA's machine, constants, map space and recorded figures, in dlco's terms.

DOSA (Hong et al., "DOSA: Differentiable Model-Based One-Loop Search for DNN Accelerators", MICRO 2023) sizes a
weight-stationary array like Gemmini's: a register for one weight in each of pe x pe elements, an accumulator of 32-bit
sums under each column, a scratchpad of 8-bit weights and inputs, and DRAM. Input channels lie across the rows and
output channels across the columns; the scratchpad has no temporal loops, and no loop that moves the weights lies at
the registers. Its constants are fits to 40 nm estimates: pJ an access of a word, words a cycle.

DOSA has no area. The one here is a least-squares fit to the areas of 95 machines that its repository ships, mm2:
0.01384 + 4.045e-4 pe^2 + 2.6036e-3 SP_KB + 5.5497e-3 ACC_KB + 1.0875e-3 pe (5.4 % mean error).

DOSA tries three loop orders at DRAM (for weights, inputs and outputs in place); dlco has no constraint "one of three",
so there all orders are free. Every order keeps one of the three tensors in place; they differ in sliding windows alone.
"""

import json
from math import isclose
from pathlib import Path
from typing import Any

from dlco import Architecture, Layer, Level, Mapping, conv2d
from dlco.hardware import TECHNOLOGY_45NM, HardwareSpace, MemoryCurves, Parameter, Posynomial, Term, Tie
from dlco.mapping import Constraints, SlotConstraint

DATA = Path(__file__).with_name("data")
RECORDED: dict[str, Any] = json.loads((DATA / "dosa.json").read_text(encoding="utf-8"))
NETWORKS = tuple(RECORDED["enumerated"])

KB = 1024.0  # bytes
SCRATCHPAD_BITS, ACCUMULATOR_BITS = 8, 32
COLUMN_WORDS = 4096  # the largest accumulator under a column: 2,048 KB under 128


def curves(pj: tuple[float, float], um2: tuple[float, float]) -> MemoryCurves:
    """A memory whose energy a word and area are a constant and so much a KB; of bits."""

    def line(constant: float, per_kb: float) -> Posynomial:
        return Posynomial((Term(constant, 0.0), Term(per_kb, 1.0))).rescaled(size=1 / (8 * KB))

    return MemoryCurves(line(*pj), line(*pj), Posynomial(()), line(*um2), in_bits=True)


# of the accumulator under one column, and of the scratchpad
ACCUMULATOR = curves((1.94, 0.1005), (1087.5, 5549.7))
SCRATCHPAD = curves((0.49, 0.02513), (13840.0, 2603.6))
REGISTER_PJ, DRAM_PJ, MAC_PJ, PE_UM2 = 0.48746, 100.0, 0.5608, 404.5


def machine(pe: int, scratchpad_kb: float, accumulator_kb: float) -> Architecture:
    """DOSA's machine of a PE side and of buffer sizes in KB (the accumulator's of all columns together)."""
    words = (scratchpad_kb * KB * 8 / SCRATCHPAD_BITS, accumulator_kb * KB * 8 / ACCUMULATOR_BITS / pe)
    for name, count in zip(("scratchpad", "accumulator"), words, strict=True):
        if count != int(count):
            raise ValueError(f"{name} of {words} words; whole words only")
    column, pool = ACCUMULATOR.cost(words[1], ACCUMULATOR_BITS, 1), SCRATCHPAD.cost(words[0], SCRATCHPAD_BITS, 1)
    return Architecture(
        levels=(
            Level(
                "Registers",
                "regfile",
                capacity=1,
                word_bits=8,
                read_pj=REGISTER_PJ,
                write_pj=REGISTER_PJ,
                update_pj=REGISTER_PJ,
                bypass=frozenset({"Inputs", "Outputs"}),
            ),
            Level(
                "Accumulator",
                capacity=words[1],
                word_bits=ACCUMULATOR_BITS,
                shared_bandwidth=2,
                read_pj=float(column.read_pj),
                write_pj=float(column.write_pj),
                update_pj=float(column.write_pj),
                area_um2=float(column.area_um2),
                fanout_y=pe,
                bypass=frozenset({"Weights", "Inputs"}),
            ),
            Level(
                "Scratchpad",
                capacity=words[0],
                word_bits=SCRATCHPAD_BITS,
                shared_bandwidth=2 * pe,
                read_pj=float(pool.read_pj),
                write_pj=float(pool.write_pj),
                update_pj=float(pool.write_pj),
                area_um2=float(pool.area_um2),
                fanout_x=pe,
                bypass=frozenset({"Outputs"}),
            ),
            Level(
                "DRAM",
                "DRAM",
                word_bits=8,
                shared_bandwidth=8,
                read_pj=DRAM_PJ,
                write_pj=DRAM_PJ,
                update_pj=DRAM_PJ,
            ),
        ),
        mac_pj=MAC_PJ,
        mac_area_um2=PE_UM2,
        mac_bits=8,
        name="DOSA",
    )


def grid(low: int, high: int, steps: int) -> tuple[float, ...]:
    """Powers of 2 from `low` to `high` with `steps` steps an octave, as whole numbers."""
    values = {round(low * 2 ** (k / steps)) for k in range(64 * steps) if low * 2 ** (k / steps) <= high * 1.0001}
    return tuple(float(value) for value in sorted(values))


def space(steps: int = 4) -> HardwareSpace:
    """PE sides 4 to 128, scratchpads of 1 to 2,048 KB, accumulators of 16 to 4,096 words a column.

    The scratchpad's bandwidth and both sides of the array are one size.
    """
    side = Parameter(
        "Accumulator",
        "fanout_y",
        (4, 8, 16, 32, 64, 128),
        also=(Tie("Scratchpad", "fanout_x"), Tie("Scratchpad", "shared_bandwidth", 2.0)),
    )
    return HardwareSpace(
        machine(16, 128, 32),
        (
            side,
            Parameter("Scratchpad", "capacity", grid(1024, 2048 * 1024, steps)),
            Parameter("Accumulator", "capacity", grid(16, COLUMN_WORDS, steps)),
        ),
        TECHNOLOGY_45NM,  # both memories follow their own curves
        curves=(("Accumulator", ACCUMULATOR), ("Scratchpad", SCRATCHPAD)),
    )


def _only(level: str, kind: str, free: str) -> SlotConstraint:
    return SlotConstraint(level, kind, exact=tuple((dim, 1) for dim in "CMRSNPQ" if dim not in free))


_WITHIN = (
    SlotConstraint("Accumulator", "temporal", innermost=("P", "Q", "N")),
    _only("Accumulator", "spatial", "C"),
    _only("Scratchpad", "temporal", ""),
    _only("Scratchpad", "spatial", "M"),
)
CONSTRAINTS = Constraints((_only("Registers", "temporal", "PQN"), *_WITHIN))
"""What DOSA fixes of a mapping. Weights stay in place while P, Q and N run, as in its own inner order."""

NO_REGISTER_LOOPS = Constraints((_only("Registers", "temporal", ""), *_WITHIN))
"""The same costs from fewer mappings: P, Q and N cost alike at the registers and as the accumulator's innermost."""


def network(name: str) -> list[Layer]:
    """One of the four networks, with DOSA's layer counts; its K are output channels."""
    layers = []
    for i, row in enumerate(_rows(name)):
        sizes = {dim: row[dim] for dim in "NCPQRS"}
        steps = {"stride": (row["stride_w"], row["stride_h"]), "dilation": (row["dilation_w"], row["dilation_h"])}
        layers.append(conv2d(f"layer_{i}", M=row["K"], count=row["count"], **sizes, **steps))
    return layers


def _rows(name: str) -> list[dict[str, int]]:
    rows: list[dict[str, int]] = json.loads((DATA / "dosa_networks.json").read_text(encoding="utf-8"))[name]
    return rows


def read_mapping(text: str, layer: Layer) -> Mapping:
    """A mapping as recorded: levels and loops from the outside in, "X" behind a spatial one, K for output channels."""
    dims, names = layer.problem.dimensions, ("Registers", "Accumulator", "Scratchpad", "DRAM")
    tables = {axis: [dict.fromkeys(dims, 1) for _ in names] for axis in "TXY"}
    orders: list[list[str]] = [[] for _ in names]
    for part in text.split(" - "):
        head, *loops = part.split()
        level = int(head[1:])
        for loop in loops:
            dim, bound = loop[0].replace("K", "M"), loop[1:]
            axis = {1: "Y", 2: "X"}[level] if bound.endswith("X") else "T"
            tables[axis][level][dim] *= int(bound.rstrip("X"))
            if axis == "T":
                orders[level].insert(0, dim)
    rows = {axis: tuple(tuple(row[dim] for dim in dims) for row in table) for axis, table in tables.items()}
    order = tuple(tuple(dict.fromkeys([*loops, *dims])) for loops in orders)
    return Mapping(
        dims, names, rows["T"], rows["X"], rows["Y"], order, (dims,) * len(names), (frozenset(),) * len(names)
    )


def layer_of(recorded: dict[str, Any]) -> Layer:
    """The layer that a recorded mapping belongs to."""
    stated = recorded["layer"]
    sizes = {"stride_w" if key == "stride" else key: value for key, value in stated.items()}
    for row, layer in zip(_rows(recorded["network"]), network(recorded["network"]), strict=True):
        if sizes.items() <= row.items():
            return layer
    raise ValueError(f"{recorded['network']} has no layer of {stated}")


def area_mm2(pe: float, scratchpad_kb: float, accumulator_kb: float) -> float:
    """The area fit as it is written in this module's first lines."""
    return 0.01384 + 4.045e-4 * pe**2 + 2.6036e-3 * scratchpad_kb + 5.5497e-3 * accumulator_kb + 1.0875e-3 * pe


def sizes_of(found: Architecture) -> tuple[int, float, float]:
    """PE side, scratchpad KB and accumulator KB (all columns) of a machine of the template."""
    pe = found.level("Accumulator").fanout_y
    kb = found.level("Scratchpad").capacity * SCRATCHPAD_BITS / 8 / KB
    sums = found.level("Accumulator").capacity * ACCUMULATOR_BITS / 8 / KB * pe
    if not isclose(found.area_mm2, area_mm2(pe, kb, sums), rel_tol=1e-6):
        raise ValueError(f"area is {found.area_mm2}; the fit gives {area_mm2(pe, kb, sums)}")
    return pe, kb, sums
