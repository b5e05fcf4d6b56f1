"""How much memory and time large questions take: a thousand layers in one `solve`, and a front of 64 points.

Each runs in a process of its own, whose peak memory is read when it ends; beside it, that of a process that loads the
library and asks nothing. One thread, and no worker processes.
"""

import argparse
import multiprocessing
import resource
import time
from collections.abc import Callable
from typing import Any

import torch
from common import save_results, show
from scaling import EFFORT, hierarchy, varied_layers

import dlco
from dlco.optimize import FrontEffort, SolveEffort
from dlco.search.evolution import EvolutionEffort
from dlco.search.local_search import Effort

LAYERS = (100, 1000)
POINTS = (16, 64)
LIMIT_GIB = 4.0
SEARCH = Effort(rounds=12, patience=6, islands=2)
BRIEF = SolveEffort(
    starts=0,
    survey=4,
    machines=1,
    roundings=1,
    steps=0,
    fit=SEARCH,
    step=SEARCH,
    polishes=0,
    evolution=EvolutionEffort(
        generations=2, machines=4, near_bound=8, mappings=Effort(rounds=4), longer=Effort(rounds=6)
    ),
)


def nothing(size: int) -> dict[str, Any]:
    """The library, loaded."""
    return {}


def many_layers(size: int) -> dict[str, Any]:
    """One `solve` of so many convolutions of distinct shapes on a fixed machine, for EDP, without a bound."""
    solution = dlco.solve(varied_layers(size), hierarchy(3), objective="edp", effort=EFFORT, bound=False)
    return {"evaluations": solution.evaluations, "found": len(solution.mappings)}


def many_points(size: int) -> dict[str, Any]:
    """Latency against power of ResNet-18 on the Eyeriss-like machines of at most 4 mm2, so many points asked for."""
    front = dlco.pareto(
        dlco.networks.resnet18(),
        dlco.hardware.eyeriss_space(wires=False),
        "latency",
        "power",
        points=size,
        budget=dlco.Budget(area_mm2=4.0),
        effort=FrontEffort(ends=BRIEF, points=BRIEF),
    )
    return {"evaluations": front.evaluations, "found": len(front.points)}


def measured(work: Callable[[int], dict[str, Any]], size: int) -> dict[str, Any]:
    """What a process that does the work finds and uses."""
    receive, send = multiprocessing.get_context("spawn").Pipe(duplex=False)
    process = multiprocessing.get_context("spawn").Process(target=_child, args=(send, work, size))
    process.start()
    send.close()
    try:
        return receive.recv()
    finally:
        process.join()


def _child(send: Any, work: Callable[[int], dict[str, Any]], size: int) -> None:
    torch.set_num_threads(1)
    wall, cpu = time.perf_counter(), time.process_time()
    found = work(size)
    seconds = {"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu}
    send.send(found | seconds | {"peak_gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20})


def measure(layers: list[int], points: list[int]) -> dict[str, Any]:
    """Run all; the payload."""
    idle = measured(nothing, 0)
    rows: list[list[object]] = [["the library, loaded", None, idle["cpu_s"], idle["peak_gib"], None]]
    largest: dict[str, dict[str, Any]] = {}
    for work, sizes, name in (
        (many_layers, layers, "{} layers in one solve"),
        (many_points, points, "{} points asked for"),
    ):
        for size in sizes:
            found = measured(work, size)
            rows.append(
                [name.format(f"{size:,}"), found["found"], found["cpu_s"], found["peak_gib"], found["evaluations"]]
            )
            largest[work.__name__] = found | {"size": size}
    targets = [
        {
            "name": f"peak memory, {name.replace('_', ' ')} ({found['size']:,})",
            "target": f"at most {LIMIT_GIB:g} GiB",
            "value": f"{found['peak_gib']:.2f} GiB",
            "met": found["peak_gib"] <= LIMIT_GIB,
        }
        for name, found in largest.items()
    ]
    return {
        "title": "Load",
        "text": (
            "CPU seconds and peak memory of large questions, one thread, each in a process of its own. Layers: "
            "convolutions of distinct shapes on a fixed machine of 3 levels, at the reduced effort of the scaling "
            "benchmark. Points: ResNet-18, latency against power, on Eyeriss-like machines of at most 4 mm2 whose "
            "sizes are free, at a small effort; those found are what no other beats."
        ),
        "targets": targets,
        "tables": [
            {
                "title": "Time and memory",
                "head": ["question", "mapped layers or points", "CPU s", "peak GiB", "mappings evaluated"],
                "rows": rows,
            }
        ],
        "data": {"effort": str(EFFORT), "front_effort": str(BRIEF)},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--layers", nargs="*", type=int, default=LAYERS)
    parser.add_argument("--points", nargs="*", type=int, default=POINTS)
    parser.add_argument("--save", action="store_true", help="write benchmarks/results/load.json")
    options = parser.parse_args()
    payload = measure(list(options.layers), list(options.points))
    show(payload)
    if options.save:
        save_results("load", payload)


if __name__ == "__main__":
    main()
