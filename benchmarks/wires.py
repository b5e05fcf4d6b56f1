"""What the best machine for a network becomes once wires cost: the Eyeriss-like space with and without them.

The machine found without wires is priced once more with them, its mappings as they are and then mapped anew, so that
what counting changes and what sizing changes stand apart.
"""

import argparse
from typing import Any

from common import Stopwatch, save_results, show

import dlco
from dlco.hardware import eyeriss_space

FREE, WIRED = "without wires", "with wires"
ROWS = {
    "PEs": lambda one: f"{one.level('shared_glb').fanout_x} x {one.level('shared_glb').fanout_y}",
    "weights, inputs, sums a PE, words": lambda one: ", ".join(
        f"{one.level(name).capacity:.0f}" for name in ("weights_spad", "ifmap_spad", "psum_spad")
    ),
    "buffer, KiB": lambda one: one.level("shared_glb").capacity * 2 / 1024,
    "buffer, words a cycle": lambda one: one.level("shared_glb").block_size,
}
"""Sizes of a machine, by what to call them."""


def figures(solution: dlco.Solution) -> dict[str, Any]:
    """The machine and the cost of a solution, plain."""
    cost, machine = solution.cost, solution.architecture
    wires = sum(one.wire_pj * one.count for one in solution.layer_costs.values())
    return {
        **{name: size(machine) for name, size in ROWS.items()},
        "area, mm2": cost.area_mm2,
        "of it wires, %": 100 * machine.network_um2 * 1e-6 / cost.area_mm2,
        "energy, mJ": cost.energy_j * 1e3,
        "of it wires, %, of energy": 100 * wires / cost.energy_pj,
        "latency, ms": cost.latency_s * 1e3,
        "EDP, pJ x cycles": cost.edp,
        "proved gap, %": None if solution.gap is None else 100 * solution.gap,
    }


def payload(network: str, objective: str, area_mm2: float, seed: int) -> dict[str, Any]:
    """The benchmark's result; one solve a column."""
    layers, budget = getattr(dlco.networks, network)(), dlco.Budget(area_mm2=area_mm2)
    columns: dict[str, dict[str, Any]] = {}
    seconds = {}
    found = {}
    for name, wires in ((FREE, False), (WIRED, True)):
        with Stopwatch() as watch:
            space = eyeriss_space(wires=wires)
            found[name] = dlco.solve(layers, space, objective, budget, seed=seed)
        columns[name], seconds[name] = figures(found[name]), watch.cpu_s
    wired = eyeriss_space()
    sizes = [parameter.of(found[FREE].architecture) for parameter in wired.parameters]
    with Stopwatch() as watch:  # on the machine as it was, which is now larger than the limit
        again = dlco.solve(layers, wired.architecture(sizes), objective, seed=seed)
    columns["the first machine, with wires"], seconds["the first machine, with wires"] = figures(again), watch.cpu_s
    rows = [[row, *(column[row] for column in columns.values())] for row in columns[FREE]]
    rows.append(["CPU seconds of the search", *seconds.values()])
    return {
        "title": "Wires in co-design",
        "text": (
            f"`dlco.solve` sizes and schedules the Eyeriss-like space for {network}: least {objective} within "
            f"{area_mm2:g} mm2 at 45 nm, wires left out and counted (`dlco.hardware.wires`). The third column is the "
            "first machine mapped anew with wires; with them it is larger than the limit."
        ),
        "tables": [{"title": "The best machine", "head": ["", *columns], "rows": rows}],
        "data": {"columns": columns, "seconds": seconds, "seed": seed},
    }


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--network", default="resnet18")
    parser.add_argument("--objective", default="edp")
    parser.add_argument("--area", type=float, default=4.0, help="mm2")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--save", action="store_true", help="as benchmarks/results/wires.json")
    arguments = parser.parse_args()
    result = payload(arguments.network, arguments.objective, arguments.area, arguments.seed)
    show(result)
    if arguments.save:
        save_results("wires", result)


if __name__ == "__main__":
    main()
