"""Results that stay on the chip: networks on fixed machines, retained against layer by layer, both proved optimal.

Every network is solved twice over its graph, with every operator that moves words a layer of its own (pooling, sums,
normalisation, softmax): once with all results through DRAM, once with the best choice of those that stay in a memory of
the chip between layers. Both are the optimum over all mappings (and choices) that divide the bounds. FSRCNN
(d = 56, s = 12, m = 4, on an image of 560 x 960) has feature maps larger than any of these memories: only tiles of
them could stay, which is not searched.
"""

import argparse
from collections.abc import Callable
from dataclasses import replace
from math import inf
from typing import Any

import torch
from common import Stopwatch, save_results, show
from torch import nn

import dlco
from dlco.fusion.plan import Plan, best_plan
from dlco.fusion.retained import Fronts
from dlco.hardware import Architecture, get_hardware
from dlco.workload import Edge, Graph, Network, Step, get_graph

LARGER = 16  # times the shared memory of a preset, at the same energy a word: a machine with room for whole maps


def fsrcnn() -> Network:
    """FSRCNN(56, 12, 4) on one channel of 560 x 960, its last layer a convolution to one channel."""
    convolutions = [(1, 56, 5), (56, 12, 1), *[(12, 12, 3)] * 4, (12, 56, 1), (56, 1, 9)]
    with torch.device("meta"):
        model = nn.Sequential(*(nn.Conv2d(c, m, k, padding=k // 2) for c, m, k in convolutions))
    return dlco.from_torch(model, (1, 1, 560, 960))


def matmul_pair() -> Network:
    """Two products of 64 x 64 matrices, the second of the first's result."""
    layer = dlco.matmul("product", M=64, K=64, N=64, count=2)
    graph = Graph((Step("product"), Step("product")), (Edge(0, 1, "Inputs"),), frozenset({1}))
    return Network("matmul_pair", (layer,), graph)


NETWORKS: dict[str, Callable[[], Network]] = {
    "resnet18": lambda: get_graph("resnet18"),
    "mobilenet_v2": lambda: get_graph("mobilenet_v2"),
    "fsrcnn": fsrcnn,
    "matmul_pair": matmul_pair,
    "bert_base_block": lambda: get_graph("bert_base_block"),
}


def larger(machine: Architecture) -> Architecture:
    """The machine with a larger shared memory."""
    levels = [
        replace(level, capacity=LARGER * level.capacity) if at == len(machine.levels) - 2 else level
        for at, level in enumerate(machine.levels)
    ]
    return replace(machine, levels=tuple(levels), name=f"{machine.name}, memory x {LARGER}")


def machines() -> list[Architecture]:
    """Presets with their published sizes, and with more room."""
    plain = [get_hardware(name, space=False, wires=False) for name in ("eyeriss", "generic")]
    return [*plain, *map(larger, plain)]


def row(name: str, network: Network, machine: Architecture) -> list[Any]:
    """What a network gains on a machine."""
    fronts = Fronts(machine)
    with Stopwatch() as clock:
        plans = [best_plan(network, machine, "edp", fronts=fronts, retain=retain) for retain in (False, True)]
    apart, kept = plans
    assert isinstance(apart, Plan)
    assert isinstance(kept, Plan)
    edp = kept.energy_pj * kept.cycles / (apart.energy_pj * apart.cycles)
    bound = kept.lower / (kept.energy_pj * kept.cycles)
    shares = [round(kept.energy_pj / apart.energy_pj, 4), round(kept.cycles / apart.cycles, 4)]
    held = f"{sum(len(tensor.steps) for tensor, _ in kept.residents)} of {len(network.graph.steps)}"
    return [
        *(machine.name, name, held, *shares, round(1 / edp, 3), round(100 * (1 - bound), 2)),
        *(fronts.searched, round(clock.cpu_s, 1), round(clock.wall_s, 1)),
    ]


def main() -> None:
    """Run, print and save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--network", action="append", choices=NETWORKS, help="only these (may be repeated)")
    parser.add_argument("--machine", action="append", help="only these, by name (may be repeated)")
    parser.add_argument("--no-save", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rows: list[list[Any]] = []
    for name in arguments.network or NETWORKS:
        network = NETWORKS[name]()
        for machine in machines():
            if arguments.machine and machine.name not in arguments.machine:
                continue
            rows.append(row(name, network, machine))
            print(*rows[-1], flush=True)
    head = ["machine", "network", "retained", "energy", "cycles", "EDP gain", "gap %", "fronts", "CPU s", "s"]
    slowest = max((one[-2] for one in rows), default=inf)
    payload = {
        "title": "Results that stay on the chip",
        "text": __doc__.partition("\n\n")[2].replace("\n", " "),
        "tables": [{"title": "Retained against layer by layer, EDP", "head": head, "rows": rows}],
        "targets": [
            {
                "name": "gap of every row",
                "target": "0 %",
                "value": f"{max(one[6] for one in rows)} %",
                "met": all(one[6] <= 1e-6 for one in rows),
            },
            {"name": "CPU time of a row", "target": "under 10 min", "value": f"{slowest:.0f} s", "met": slowest < 600},
        ],
    }
    show(payload)
    if not arguments.no_save:
        save_results("fusion", payload)


if __name__ == "__main__":
    main()
