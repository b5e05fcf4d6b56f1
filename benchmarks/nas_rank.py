"""Does dlco's latency rank networks as FPGAs do? Against measured latencies of the Accel-NASBench networks.

Every distinct layer of the MnasNet-like space is mapped by `solve`, for latency and with imperfect tiles, onto the
engine of a DPU that runs it: convolutions and linear layers on `dpu_like`, depthwise ones on `dpu_alu_like`. A
network's latency is the sum over its layers. Those without multiply-accumulates are memory traffic to an FPGA, and run
on the second engine: the pooling and the scaling of squeeze-and-excitation, the additions of residual blocks, and the
last pooling. Nothing of that knows a measurement; a table apart says what is
gained by a factor and an overhead for each kind of layer, fitted to a fifth of the networks. The cells of NAS-Bench-201
follow, beside another table (`nas_rank_cells`).

Measured: Accel-NASBench (github.com/afzalxo/Accel-NASBench, Apache-2.0), one image on a ZCU102 (DPUCZDX8G, three cores
B4096) and on a VCK190 (DPUCVDX8G, another design: AI engines at 1,250 MHz with other widths).
"""

import argparse
import csv
import gzip
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from common import Stopwatch, save_results, show
from nas_rank_cells import ranks as cell_ranks
from scipy.optimize import nnls
from scipy.stats import kendalltau, spearmanr

import dlco
from dlco import Architecture, Layer
from dlco.hardware import dpu_alu_like, dpu_like
from dlco.mapping import Constraints, SlotConstraint
from dlco.nas.spaces import MnasNet
from dlco.search import Effort
from dlco.workload.layer import MULTIPLY

TABLE = Path(__file__).resolve().parent / "data" / "accel_nasbench_mnasnet.csv.gz"
BOARDS = ("zcu102", "vck190")
BASELINE = {"all": (0.730, 0.749), "without squeeze-excite": (0.893, 0.870)}  # Spearman of the table's MACs
SEARCH = Effort(rounds=40, patience=10, islands=4)
EFFORT = dlco.SolveEffort(starts=1, relax_rounds=3, fit=SEARCH, polishes=0)
KINDS = ("convolution", "linear", "depthwise", "pool", "scale", "add")


@dataclass(frozen=True)
class Engine:
    """A machine, and which dimensions lie on its lanes.

    Attributes:
        machine: builds it.
        lanes: for each of its levels with children, the dimension along X and the one along Y, if any.
    """

    machine: Callable[..., Architecture]
    lanes: dict[str, tuple[str, ...]]

    def constraints(self, layer: Layer) -> Constraints:
        """All other dimensions of a layer kept off the lanes."""
        slots = []
        for level, (x, *y) in self.lanes.items():
            others = tuple((dim, 1) for dim in layer.problem.dimensions if dim not in (x, *y))
            slots.append(SlotConstraint(level, "spatial", at_most=others, axis_x=(x,), axis_y=tuple(y)))
        return Constraints(tuple(slots))


CONVOLUTIONS = Engine(dpu_like, {"sums": ("C",), "weight_buffer": ("Q", "M")})
CHANNELWISE = Engine(dpu_alu_like, {"weight_buffer": ("Q", "C")})


def kind_of(layer: Layer) -> str:
    """Which of `KINDS` a layer is."""
    if layer.operation != MULTIPLY:
        return layer.operation
    return next((kind for kind in ("linear", "depthwise") if layer.name.startswith(kind)), KINDS[0])


def map_layers(layers: Sequence[Layer], seed: int) -> tuple[dict[str, float], int]:
    """(cycles of the best mapping of each layer by name, mappings evaluated)."""
    groups: dict[tuple[str, ...], list[Layer]] = {}
    for layer in layers:
        groups.setdefault(layer.problem.dimensions, []).append(layer)
    cycles, evaluations = {}, 0
    for group in groups.values():
        engine = CONVOLUTIONS if "M" in group[0].problem.dimensions else CHANNELWISE
        found = dlco.solve(
            group,
            engine.machine(wires=False),
            objective="latency",
            constraints=engine.constraints(group[0]),
            imperfect=True,
            effort=EFFORT,
            seed=seed,
            bound=False,
        )
        cycles |= {name: cost.cycles for name, cost in found.layer_costs.items()}
        evaluations += found.evaluations
    return cycles, evaluations


def least_cycles(layer: Layer) -> float:
    """What no mapping goes below: all lanes at work, or every word moved once."""
    engine = CONVOLUTIONS if "M" in layer.problem.dimensions else CHANNELWISE
    machine = engine.machine(wires=False)
    memory = machine.levels[-1]
    compute = layer.operations
    for level, dims in engine.lanes.items():
        for dim, side in zip(dims, (machine.level(level).fanout_x, machine.level(level).fanout_y), strict=False):
            bound = layer.problem.sizes.get(dim, 1)
            compute = compute // bound * -(-bound // side)
    words = {space.name: layer.problem.words(space) for space in layer.problem.dataspaces}
    out = words.pop("Outputs")
    moved = max(
        sum(words.values()) / memory.read_bandwidth,
        out / memory.write_bandwidth,
        (sum(words.values()) + out) / memory.shared_bandwidth,
    )
    return max(compute, moved)


def read_table() -> list[dict[str, str]]:
    """The measured networks; those that lack a latency are left out."""
    with gzip.open(TABLE, "rt", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return [row for row in rows if all(row[f"latency_{board}"] not in ("", "nan") for board in BOARDS)]


def fitted(features: np.ndarray, measured: np.ndarray, train: np.ndarray) -> np.ndarray:
    """Latencies of all networks from non-negative factors of the features, fitted on the rows `train`."""
    size = features[train].mean(0)
    size[size == 0] = 1.0
    factors, _ = nnls(features[train] / size / measured[train, None], np.ones(int(train.sum())))
    return features / size @ factors


def measure(seed: int) -> dict[str, Any]:
    """The payload."""
    rows = read_table()
    space = MnasNet()
    networks = [space.parse(row["arch"]) for row in rows]
    layers = list(space.layers)
    with Stopwatch() as watch:
        cycles, evaluations = map_layers(layers, seed)
    counts = space.counts(networks).numpy()
    spent = counts * np.array([cycles[layer.name] for layer in layers])
    kinds = np.array([kind_of(layer) for layer in layers])
    weighted = np.array([layer.macs > 0 for layer in layers])
    least = counts @ np.array([least_cycles(layer) for layer in layers])
    totals = {
        "MACs of the table": np.array([float(row["macs"]) for row in rows]),
        "MACs of the layers": counts @ np.array([float(layer.macs) for layer in layers]),
        "dlco, layers with weights only": spent[:, weighted].sum(1),
        "dlco": spent.sum(1),
    }
    measured = {board: np.array([float(row[f"latency_{board}"]) for row in rows]) for board in BOARDS}
    plain = np.array(["s1" not in row["arch"] for row in rows])
    sets = {"all": np.ones(len(rows), dtype=bool), "without squeeze-excite": plain}

    ranks = []
    for method, latency in totals.items():
        row: list[object] = [method]
        for members in sets.values():
            row += [spearmanr(latency[members], measured[board][members])[0] for board in BOARDS]
        ranks.append([*row, *(kendalltau(latency, measured[board])[0] for board in BOARDS)])
    features = np.stack([table[:, kinds == kind].sum(1) for table in (spent, counts) for kind in KINDS], 1)
    train = np.random.default_rng(seed).random(len(rows)) < 0.2
    held_out = []
    for method in ("dlco", "dlco, fitted"):
        row = [method]
        for members in sets.values():
            for board in BOARDS:
                latency = totals["dlco"] if method == "dlco" else fitted(features, measured[board], train)
                row.append(spearmanr(latency[members & ~train], measured[board][members & ~train])[0])
        held_out.append(row)

    machine = dpu_like(wires=False)
    milliseconds = totals["dlco"] * machine.cycle_s * 1e3
    ratio = measured["zcu102"] / milliseconds
    absolute = [
        [name, int(members.sum()), measured["zcu102"][members].mean(), milliseconds[members].mean(),
         float(np.median(ratio[members])), float(np.mean(np.abs(ratio[members] / np.median(ratio[members]) - 1)))]
        for name, members in {**sets, "with squeeze-excite": ~plain}.items()
    ]  # fmt: skip
    shares = [
        [kind, int((kinds == kind).sum()), *(float(spent[members][:, kinds == kind].sum() / spent[members].sum())
         for members in sets.values())]
        for kind in KINDS
    ]  # fmt: skip
    ours = dict((row[0], row[1:5]) for row in ranks)
    cells = [f"{board}, {name}" for name in sets for board in BOARDS]
    head = ["latency from", *cells]
    return {
        "title": "Latency of networks on FPGAs, by rank",
        "text": (
            f"{len(rows)} networks of Accel-NASBench with measured latencies, {int(plain.sum())} of them without "
            f"squeeze-and-excitation, as dlco's latency on a machine like a DPU B4096 ranks them and as their MACs do. "
            f"{len(layers)} distinct layers mapped, {int((~weighted).sum())} of them without multiply-accumulates. The "
            "machine is that of the ZCU102; the VCK190's DPU is another design. No measurement went into dlco's rows, "
            "but for the fitted one."
        ),
        "tables": [
            {
                "title": "Spearman's rank correlation with the measured latency (and Kendall's, over all)",
                "head": [*head, *(f"Kendall, {board}" for board in BOARDS)],
                "rows": ranks,
            },
            {
                "title": f"With a factor and an overhead a kind, fitted to {int(train.sum())} networks: the others",
                "head": head,
                "rows": held_out,
            },
            {
                "title": "Milliseconds on the ZCU102",
                "head": ["networks", "number", "measured", "dlco", "median ratio", "mean deviation from it"],
                "rows": absolute,
            },
            {"title": "Share of dlco's cycles", "head": ["kind", "distinct", *sets], "rows": shares},
            cell_ranks(seed),
            {
                "title": "Mapping the layers",
                "head": ["layers", "mappings evaluated", "CPU seconds", "cycles over the least possible"],
                "rows": [[len(layers), evaluations, watch.cpu_s, float((totals["dlco"] / least).mean())]],
            },
        ],
        "targets": [
            {
                "name": cell,
                "target": f"above {bar} (MACs alone)",
                "value": float(value),
                "met": bool(value > bar),
            }
            for cell, bar, value in zip(
                cells, [bar for pair in BASELINE.values() for bar in pair], ours["dlco"], strict=True
            )
        ],
        "data": {"cycles": cycles},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    payload = measure(parser.parse_args().seed)
    show(payload)
    print(f"\nwritten to {save_results('nas_rank', payload)}")


if __name__ == "__main__":
    main()
