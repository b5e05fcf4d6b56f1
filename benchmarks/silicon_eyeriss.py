"""Eyeriss' chip: its layers, row-stationary mappings, and what dlco's cost model predicts of them.

The chip's figures are those of Chen et al., JSSC 2017, tables III to VI. AlexNet's mappings are published there.
VGG-16's are not: those in data/eyeriss_vgg16_mapping.csv are inferred. m, n and e are those of least energy (a buffer
access at 6, a word of DRAM at 200) of all that fit the chip with the published number of PEs at work, conv4_3 as
conv4_2; p, q, r and t are as the measured buffer traffic has it, which is mostly sums, read and written once for every
q r input channels. So VGG-16's buffer traffic is no prediction, nor are the times of its layers that wait for the
buffer; its DRAM traffic, its power and its other times are.
"""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod
from pathlib import Path

from silicon_common import number, read_rows, whole

from dlco import Architecture, Layer, Mapping, conv2d, evaluate
from dlco.cost import Cost
from dlco.hardware import eyeriss_chip
from dlco.hardware.eyeriss import BUFFER_BYTES_S, FILTER_WORDS, IDLE_W, LINK_BYTES_S
from dlco.mapping import row_stationary
from dlco.simulate import Density

DATA = Path(__file__).with_name("data")
COLUMNS = ("network", "layer", "batch", "power_mw", "processing_latency_ms", "zeros_in_ifmaps_percent")
COLUMNS += ("total_latency_ms", "active_pes", "global_buffer_mb", "dram_mb")
QUANTITIES = ("processing_ms", "buffer_mb", "dram_mb", "power_mw", "active_pes", "total_ms")
GROUPS = {("alexnet", name): 2 for name in ("conv2", "conv4", "conv5")}
PADDING = {("alexnet", "conv1"): 0, ("alexnet", "conv2"): 2}  # all others have 1
WORD = 2  # bytes
CODED = 64 / 3 / 16
"""Words of a run-length code for a word that is not zero: three pairs (5 bits of run, 16 of level) in 64 bits."""


@dataclass(frozen=True)
class Run:
    """One layer on the chip.

    Attributes:
        name: network and layer; `layer`, `architecture`, `mapping`: what ran.
        zeros, zeros_out: shares of zeros in its inputs, and in its outputs as far as known (the next layer's inputs).
        unpadded: share of the padded inputs that are no padding.
        measured: by name of `QUANTITIES`.
    """

    name: str
    layer: Layer
    architecture: Architecture
    mapping: Mapping
    zeros: float
    zeros_out: float
    unpadded: float
    measured: dict[str, float]

    @cached_property
    def cost(self) -> Cost:
        """By the cost model, dense."""
        return evaluate(self.layer, self.architecture, self.mapping)

    def predicted(self) -> dict[str, float]:
        """The same quantities by the cost model."""
        seconds, dram = self.processing_s(), self.dram_words() * WORD
        return {
            "processing_ms": 1e3 * seconds,
            "buffer_mb": 1e-6 * WORD * self.buffer_words(),
            "dram_mb": 1e-6 * dram,
            "power_mw": 1e3 * (IDLE_W + 1e-12 * self.work_pj() / seconds),
            "active_pes": float(self.pes()),
            "total_ms": 1e3 * (seconds + dram / LINK_BYTES_S),
        }

    def processing_s(self) -> float:
        """Seconds of the array: the longer of the buffer's words at its rate, and of passes with their filters loaded.

        Words are the cost model's counts: its own cycles of a port take the last, smaller pass for a full one.
        """
        filters = float(self.cost.counts.reads[-1][self._spaces["Weights"]]) / FILTER_WORDS
        passes = (float(self.cost.compute_cycles) + filters) * self.architecture.cycle_s
        return max(passes, WORD * self.buffer_words() / BUFFER_BYTES_S)

    def pes(self) -> int:
        """PEs at work in a full pass."""
        level = len(self.architecture.levels) - 2
        across = zip(self.mapping.spatial_x[level], self.mapping.spatial_y[level], strict=True)
        return prod(min(x * y, bound) for (x, y), bound in zip(across, self.layer.problem.bounds, strict=True))

    def buffer_words(self) -> float:
        """Words that the array reads from and writes to the buffer, and sums that leave it for DRAM."""
        counts, spaces = self.cost.counts, self._spaces
        buffer = len(self.architecture.levels) - 2
        array = counts.reads[buffer].sum() + counts.updates[buffer].sum()
        return float(array + counts.updates[-1][spaces["Outputs"]])

    def dram_words(self) -> float:
        """Words between chip and DRAM; inputs and outputs coded where that is shorter, padding left out."""
        counts, spaces = self.cost.counts, self._spaces
        inputs = float(counts.reads[-1][spaces["Inputs"]]) * self.unpadded
        outputs = float(counts.updates[-1][spaces["Outputs"]] + counts.reads[-1][spaces["Outputs"]])
        coded = inputs * min(1.0, CODED * (1 - self.zeros)) + outputs * min(1.0, CODED * (1 - self.zeros_out))
        return float(counts.reads[-1][spaces["Weights"]]) + coded

    def work_pj(self) -> float:
        """Energy of the chip beyond what it draws at idle: accesses and MACs, without those gated for a zero input.

        A zero input is read; its MAC, its filter word and its sum are left alone.
        """
        density = Density(activations=1 - self.zeros, zeros="gate", compressed=False)
        cost = evaluate(self.layer, self.architecture, self.mapping, density=density)
        return float(cost.access_pj[:-1].sum() + cost.mac_pj)

    @property
    def _spaces(self) -> dict[str, int]:
        return {space.name: i for i, space in enumerate(self.layer.problem.dataspaces)}


def mappings(network: str) -> dict[str, dict[str, int]]:
    """By layer, sizes and mapping of a network on the chip."""
    with (DATA / f"eyeriss_{network}_mapping.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    numbers = (*"HRECMU", *"mnepqrt")
    return {row["layer"]: {name: int(row[name]) for name in numbers} for row in rows}


def read_runs(path: Path) -> list[Run]:
    """The layers of a CSV file of `COLUMNS`, of AlexNet ("alexnet") and VGG-16 ("vgg16")."""
    known = {network: mappings(network) for network in ("alexnet", "vgg16")}
    rows = list(read_rows(path, COLUMNS))
    zeros = {
        (row["network"], row["layer"]): number(path, line, row, "zeros_in_ifmaps_percent") / 100 for line, row in rows
    }
    architecture, runs = eyeriss_chip(), []
    for line, row in rows:
        network, name = key = row["network"], row["layer"]
        if network not in known or name not in known[network]:
            allowed = "; ".join(f"{one}: {', '.join(layers)}" for one, layers in known.items())
            raise SystemExit(f"{path.name}, line {line}: layer is {network} {name}; known are {allowed}")
        names = list(known[network])
        following = (network, names[min(names.index(name) + 1, len(names) - 1)])
        runs.append(
            _run(
                key,
                known[network][name],
                whole(path, line, row, "batch"),
                architecture,
                (zeros[key], zeros.get(following, zeros[key])),
                {
                    quantity: number(path, line, row, column)
                    for quantity, column in {
                        "processing_ms": "processing_latency_ms",
                        "buffer_mb": "global_buffer_mb",
                        "dram_mb": "dram_mb",
                        "power_mw": "power_mw",
                        "active_pes": "active_pes",
                        "total_ms": "total_latency_ms",
                    }.items()
                },
            )
        )
    return runs


def _run(
    key: tuple[str, str],
    sizes: dict[str, int],
    batch: int,
    architecture: Architecture,
    zeros: Sequence[float],
    measured: dict[str, float],
) -> Run:
    groups = GROUPS.get(key, 1)
    layer = conv2d(
        "_".join(key),
        N=batch,
        C=sizes["C"] * groups,
        M=sizes["M"],
        P=sizes["E"],
        Q=sizes["E"],
        R=sizes["R"],
        S=sizes["R"],
        stride=sizes["U"],
        groups=groups,
    )
    numbers = {name: sizes[name] for name in "mnepqrt"}
    numbers["n"] = min(numbers["n"], batch)
    mapping = row_stationary(layer, architecture, **numbers)
    unpadded = (1 - 2 * PADDING.get(key, 1) / sizes["H"]) ** 2
    return Run(" ".join(key), layer, architecture, mapping, zeros[0], zeros[1], unpadded, measured)
