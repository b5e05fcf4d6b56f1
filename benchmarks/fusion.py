"""Results that stay on the chip: networks, whole or in tiles, against layer by layer; on machines fixed and sized.

On fixed machines every network is solved three times over its graph, with every operator that moves words a layer of
its own (pooling, sums, normalisation, softmax): with all results through DRAM; with the best choice of those that stay
whole in a memory of the chip between layers (both the proved optimum over all mappings and choices that divide the
bounds); and with chains of layers in tiles besides, of which up to a number of fronts of tiles are searched. The last
gap is to a bound that holds for every tiling. FSRCNN (d = 56, s = 12, m = 4, on an image of 560 x 960) has feature maps
larger than any of these memories: only tiles of them can stay. Results of the pair of products may stay whole (on
Eyeriss two tiles gain more, as they fill its array); it and the prefill stand for the published cases of AccelForge
(1.66 and 1.2 times less EDP on machines of its own, not these). Then the machine is sized too, around the generic one
and within an area, with the least effort that is named but for the bound, which is the default's: "EDP gain" is against
the best machine of layers by themselves, "of the machine" against that machine with results on its chip. Its gap is to
a bound for all machines of the space. Every case may be run by itself; the tables keep those run before.
"""

import argparse
import re
from collections.abc import Callable
from dataclasses import replace
from math import inf
from typing import Any

import torch
from common import Stopwatch, load_results, save_results, show
from torch import nn

import dlco
from dlco.fusion.chains import candidates_of
from dlco.fusion.plan import Plan, best_plan
from dlco.fusion.retained import Fronts
from dlco.hardware import Architecture, get_hardware
from dlco.optimize.effort import EFFORTS
from dlco.workload import Edge, Graph, Network, Step, get_graph

AREA, BUFFER = 3.0, "GlobalBuffer"  # mm2 of a machine that is sized, and its shared memory
DEFAULT = EFFORTS["normal"]
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
    "gpt2_small_prefill": lambda: get_graph("gpt2_small_prefill"),
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
    return [*plain, *map(larger, plain), get_hardware("tpu", space=False, wires=False)]


FIXED = ["machine", "network", "whole: EDP gain", "gap %", "whole", "in tiles", "energy", "cycles"]
FIXED += ["tiles: EDP gain", "gap %", "fronts", "CPU s", "s"]
SIZED = ["space", "network", "mm2", "PEs", "buffer, words", "machine of layers apart: PEs", "buffer, words"]
SIZED += ["EDP gain", "of the machine", "gap %", "machines", "in tiles", "CPU s", "s"]


def fixed_row(name: str, network: Network, machine: Architecture, searches: int) -> list[Any]:
    """What a network gains on a machine."""
    fronts = Fronts(machine)
    with Stopwatch() as clock:
        apart, kept = (best_plan(network, machine, "edp", fronts=fronts, memories=some) for some in ((), None))
        stays = candidates_of(network, machine)
        tiled = best_plan(
            network,
            machine,
            "edp",
            fronts=fronts,
            fused=stays.chosen,
            beyond=stays.chains,
            searches=searches,
            splits=DEFAULT.splits,
        )
    assert isinstance(apart, Plan)
    assert isinstance(kept, Plan)
    assert isinstance(tiled, Plan)
    edp = [one.energy_pj * one.cycles for one in (apart, kept, tiled)]
    shares = [round(tiled.energy_pj / apart.energy_pj, 4), round(tiled.cycles / apart.cycles, 4)]
    chains = [one for one in tiled.stretches if one.fused]
    held = f"{sum(len(tensor.steps) for tensor, _ in tiled.residents)} of {len(network.graph.steps)}"
    print(*(f"  steps {one.first} to {one.last}: {one.fused.tiled.tiling}" for one in chains if one.fused), sep="\n")
    return [
        *(machine.name, name, round(edp[0] / edp[1], 3), round(100 * (1 - kept.lower / edp[1]), 2)),
        *(held, sum(one.last - one.first + 1 for one in chains), *shares, round(edp[0] / edp[2], 3)),
        *(round(100 * (1 - tiled.lower / edp[2]), 2), fronts.searched, round(clock.cpu_s, 1), round(clock.wall_s, 1)),
    ]


def sized_row(name: str, network: Network) -> list[Any]:
    """What a network gains where the machine is sized with it in mind, and where it is sized for layers apart.

    Both with the least effort that is named; the second machine's own fused gain tells the two apart.
    """
    budget, space = dlco.Budget(area_mm2=AREA), get_hardware("generic", space=True, wires=False)
    effort = replace(EFFORTS["low"], boxes=DEFAULT.boxes)
    with Stopwatch() as clock:
        fused = dlco.solve(network, space, budget=budget, fuse=True, effort=effort)
    apart = dlco.solve(network, space, budget=budget, bound=False, effort=effort)
    again = dlco.solve(network, apart.architecture, fuse=True, effort=effort, bound=False)
    sizes = [[one.architecture.macs, int(one.architecture.level(BUFFER).capacity)] for one in (fused, apart)]
    assert fused.gap is not None
    return [
        *(space.base.name, name, AREA, *sizes[0], *sizes[1]),
        *(round(apart.cost.edp / fused.cost.edp, 3), round(again.cost.edp / fused.cost.edp, 3)),
        *(round(100 * fused.gap, 2), int(re.findall(r"(\d+) machines were searched", fused.proof)[0])),
        *(sum(one.last - one.first + 1 for one in fused.chains), round(clock.cpu_s, 1), round(clock.wall_s, 1)),
    ]


def merged(table: int, rows: list[list[Any]], head: list[str]) -> list[list[Any]]:
    """Rows with those saved before of other machines and networks, in the order of these."""
    before = load_results("fusion")
    tables = before["payload"]["tables"] if before else []
    old = tables[table]["rows"] if len(tables) > table and tables[table]["head"] == head else []
    found = {(one[0], one[1]): one for one in (*old, *rows)}
    return sorted(found.values(), key=lambda one: (list(NETWORKS).index(one[1]), one[0]))


def main() -> None:
    """Run, print and save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--network", action="append", choices=NETWORKS, help="only these (may be repeated)")
    parser.add_argument("--machine", action="append", help="only these, by name, or 'sized' (may be repeated)")
    parser.add_argument("--searches", type=int, default=DEFAULT.tiles, help="fronts of tiles, at most")
    parser.add_argument("--save", action="store_true", help="keep the figures beside those of other cases")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for name in arguments.network or NETWORKS:
        network = NETWORKS[name]()
        for machine in machines():
            if machine.name in (arguments.machine or [machine.name]):
                keep([fixed_row(name, network, machine, arguments.searches)], [], save=arguments.save)
        if "sized" in (arguments.machine or ["sized"]):
            keep([], [sized_row(name, network)], save=arguments.save)


def keep(fixed: list[list[Any]], sized: list[list[Any]], *, save: bool) -> None:
    """Show rows, and save them with those before."""
    if save:
        fixed, sized = merged(0, fixed, FIXED), merged(1, sized, SIZED)
    slowest = max((one[-2] for one in (*fixed, *sized)), default=inf)
    payload = {
        "title": "Results that stay on the chip",
        "text": __doc__.partition("\n\n")[2].replace("\n", " "),
        "tables": [
            {"title": "What stays on the chip against layer by layer, EDP", "head": FIXED, "rows": fixed},
            {"title": "The machine sized with it, EDP", "head": SIZED, "rows": sized},
        ],
        "targets": [
            {
                "name": "gap of what stays whole",
                "target": "0 %",
                "value": f"{max((one[3] for one in fixed), default=inf)} %",
                "met": all(one[3] <= 1e-6 for one in fixed),
            },
            {
                "name": "gap with tiles",
                "target": "10 %",
                "value": f"{max((one[9] for one in (*fixed, *sized)), default=inf)} %",
                "met": all(one[9] <= 10 for one in (*fixed, *sized)),
            },
            {"name": "CPU time of a row", "target": "under 10 min", "value": f"{slowest:.0f} s", "met": slowest < 600},
        ],
    }
    show(payload)
    if save:
        save_results("fusion", payload)


if __name__ == "__main__":
    main()
