"""Gemmini's RTL: its points as layers, machines and mappings, and what is predicted for each.

The points are DOSA's (MICRO 2023; its repository's data/firesim_test_data/dataset.csv, BSD-2-Clause): layers of four
networks with DOSA's mappings, run on the RTL of a weight-stationary 16 x 16 Gemmini under FireSim. A point has its own
buffer sizes. What was run follows from gemmini-rocc-tests (gemmini-data-collection/layers/extract_data_csv.py): the
tile under DRAM and the order of the loops at DRAM; P is along a row of pixels.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dosa_template import machine, read_mapping
from silicon_common import read_rows, whole

from dlco import Architecture, Layer, Mapping, conv2d, evaluate
from dlco.simulate import GemminiTiming, simulate_gemmini, simulate_timing

SIDE = 16
COLUMNS = (
    *("accumulator_words", "scratchpad_words", "stride_p", "stride_q", "R", "S", "P", "Q", "C", "K", "N", "mapping"),
    *("timeloop_cycles", "rtl_cycles"),
)


@dataclass(frozen=True)
class Point:
    """One run on the RTL.

    Attributes:
        layer, architecture, mapping: what ran.
        rtl_cycles: measured; `timeloop_cycles`: by Timeloop on DOSA's architecture.
    """

    layer: Layer
    architecture: Architecture
    mapping: Mapping
    rtl_cycles: int
    timeloop_cycles: int

    @property
    def shape(self) -> tuple[int, ...]:
        """Bounds and strides of the layer: what points of one layer share."""
        inputs = self.layer.problem.dataspace("Inputs")
        return (*self.layer.problem.bounds, *(c for rank in inputs.projection for _, c in rank))


def read_points(path: Path) -> list[Point]:
    """The points of a CSV file of `COLUMNS`."""
    points = []
    for number, row in read_rows(path, COLUMNS):
        sizes = {dim: whole(path, number, row, dim) for dim in "NCPQRS"}
        steps = tuple(whole(path, number, row, name) for name in ("stride_p", "stride_q"))
        layer = conv2d(f"row_{number}", M=whole(path, number, row, "K"), stride=steps, **sizes)
        words = [whole(path, number, row, name) for name in ("scratchpad_words", "accumulator_words")]
        architecture = machine(SIDE, words[0] / 1024, words[1] * 4 / 1024)
        points.append(
            Point(
                layer,
                architecture,
                read_mapping(re.sub(r"\[\w*\]", "", row["mapping"]), layer),
                whole(path, number, row, "rtl_cycles"),
                whole(path, number, row, "timeloop_cycles"),
            )
        )
    return points


def cost_model_cycles(points: Sequence[Point]) -> list[float]:
    """By dlco's cost model."""
    return [float(evaluate(one.layer, one.architecture, one.mapping).cycles) for one in points]


def rtl_cycles(points: Sequence[Point], model: GemminiTiming | None = None) -> list[float]:
    """By `dlco.simulate.simulate_gemmini`."""
    return [simulate_gemmini(one.layer, one.architecture, one.mapping, model).cycles for one in points]


def simulator_cycles(points: Sequence[Point]) -> list[float]:
    """By dlco's simulator, which executes any machine tile by tile and knows nothing of Gemmini."""
    return [simulate_timing(one.layer, one.architecture, one.mapping).cycles for one in points]


def described(point: Point, cycles: float) -> dict[str, Any]:
    """A point's figures."""
    sizes = " ".join(f"{dim}{bound}" for dim, bound in point.layer.problem.sizes.items() if bound > 1)
    return {"layer": sizes, "measured": point.rtl_cycles, "predicted": cycles, "timeloop": point.timeloop_cycles}
