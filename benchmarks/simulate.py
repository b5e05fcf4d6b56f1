"""ResNet-18 on the Eyeriss-like preset: cycles simulated tile by tile over those of the cost model, layer by layer.

`solve` maps the network for EDP; `Solution.simulate` executes its mappings in time, with transfers, latency, filling
and draining. Every layer that takes over 5 % more cycles than the model says is explained. The same mappings are
executed where memories hold a second tile only if there is room for it: the model, and so `solve`, takes it that the
next tile comes while one is used, but lets tiles fill their memory. Access counts are compared on the way: the
simulator's, by walking every step, with the cost model's, under four sets of rules.
"""

import argparse
from typing import Any

from common import Stopwatch, save_results, show

import dlco
from dlco import Solution
from dlco.mapping.rules import TIMELOOP_RULES, CountingRules
from dlco.simulate import Simulation, TimingModel, count_accesses

TOLD = 0.05  # of the analytical cycles; layers beyond it are explained
TARGET_SECONDS = 300.0
RULES = {
    "refetch": CountingRules("refetch"),
    "overlap": CountingRules("overlap"),
    "timeloop": CountingRules("timeloop"),
    "timeloop, with forwarding": TIMELOOP_RULES,
}


def differing_counts(solution: Solution) -> dict[str, int]:
    """Reads, fills and updates, by rules, in which simulator and cost model differ."""
    found = {}
    for name, rules in RULES.items():
        found[name] = 0
        for layer in solution.layers:
            mapping = solution.mappings[layer.name]
            modelled = dlco.evaluate(layer, solution.architecture, mapping, rules=rules).counts
            executed = count_accesses(layer, solution.architecture, mapping, rules)
            for what in ("reads", "fills", "updates"):
                rows = zip(getattr(executed, what), getattr(modelled, what).tolist(), strict=True)
                found[name] += sum(a != b for ours, theirs in rows for a, b in zip(ours, theirs, strict=True))
    return found


def layer_rows(plain: Simulation, tight: Simulation) -> list[list[object]]:
    """A row a layer; cycles are those of one execution."""
    rows: list[list[object]] = []
    for one, two in zip(plain.layers, tight.layers, strict=True):
        timing = one.timing
        stalls = timing.operand_cycles + sum(stall.cycles for stall in timing.stalls)
        rows.append(
            [
                one.name,
                one.count,
                one.analytical_cycles,
                timing.cycles,
                one.ratio,
                timing.compute_cycles,
                timing.fill_cycles,
                timing.drain_cycles,
                stalls,
                two.ratio,
            ]
        )
    rows.append(["network", None, plain.analytical_cycles, plain.cycles, plain.ratio, *[None] * 4, tight.ratio])
    return rows


def explanations(plain: Simulation) -> list[list[object]]:
    """Every layer that takes more than `TOLD` beyond the analytical cycles, and why."""
    return [
        [one.name, f"{one.ratio - 1:.1%}", one.explanation]
        for one in plain.layers
        if one.ratio is not None and one.ratio - 1 > TOLD
    ]


def payload(
    solution: Solution, seconds: float, plain: Simulation, tight: Simulation, differ: dict[str, int]
) -> dict[str, Any]:
    """What `save_results` keeps."""
    explained = explanations(plain)
    events = sum(one.timing.events for one in plain.layers)
    model = TimingModel()
    return {
        "title": "Simulated cycles",
        "text": (
            "ResNet-18 (batch 1), mapped by `solve` for EDP on the Eyeriss-like preset and executed tile by tile: two "
            f"places for every tile, DRAM's first word after {model.dram_latency:g} cycles, each port at its "
            "bandwidth. `ratio` is simulated over analytical cycles, max(compute, words over bandwidth of each level). "
            "The simulator also reads sums out of a memory that they leave, which Timeloop's counts have not. `no "
            "room` gives a memory a second place only where its capacity holds two tiles: the analytical model lets "
            "tiles fill a memory and still loads the next one behind them, which a `multiple_buffering` of 2 forbids. "
            "The network's line adds up layers as often as they occur; each starts from empty buffers."
        ),
        "tables": [
            {
                "title": "ResNet-18 on eyeriss_like",
                "head": [
                    "layer",
                    "count",
                    "analytical",
                    "simulated",
                    "ratio",
                    "MACs alone",
                    "fill",
                    "drain",
                    "stalls",
                    "ratio, no room",
                ],
                "rows": layer_rows(plain, tight),
            },
            {
                "title": "Layers beyond 5 %, and where their cycles go",
                "head": ["layer", "beyond", "why"],
                "rows": explained,
            },
            {
                "title": "Access counts that differ from the cost model's",
                "head": ["rules", "differing"],
                "rows": [[name, count] for name, count in differ.items()],
            },
        ],
        "targets": [
            {
                "name": "all mappings simulated",
                "target": f"under {TARGET_SECONDS:g} s",
                "value": f"{seconds:.1f} CPU s, {events:,} events",
                "met": seconds < TARGET_SECONDS,
            },
            {
                "name": "access counts that differ",
                "target": 0,
                "value": sum(differ.values()),
                "met": not any(differ.values()),
            },
        ],
        "data": {
            "default": plain.to_dict(),
            "no_room": tight.to_dict(),
            "edp": solution.cost.edp,
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--solution", help="a saved solution to simulate instead of solving (its results are not kept)")
    options = parser.parse_args()
    if options.solution:
        solution = Solution.load(options.solution)
    else:
        network, machine = dlco.networks.resnet18(), dlco.hardware.eyeriss_like(wires=False)
        solution = dlco.solve(network, machine, objective="edp", seed=options.seed, bound=False, progress=False)
    with Stopwatch() as watch:
        plain = solution.simulate()
    tight = solution.simulate(model=TimingModel(copies=None))
    result = payload(solution, watch.cpu_s, plain, tight, differing_counts(solution))
    show(result)
    if not options.solution:
        save_results("simulate", result)


if __name__ == "__main__":
    main()
