"""What a co-search takes layers to cost on a given machine, against what `solve` proves: the worst ratios, and seconds.

Layers of OFA-MobileNetV3's space at their real sizes, spread evenly over its list, and a grouped 1 x 1 convolution, on
every preset. Each is priced by the short search behind free machines (`LayerCosts`, several seeds) and by the exact
fronts of given machines (`ExactCosts`). The truth is `solve` on one layer, for latency and for energy.
"""

import argparse
from collections.abc import Sequence

import torch
from common import Stopwatch, save_results, show

from dlco import Architecture, Budget, conv2d, solve
from dlco.hardware import get_hardware
from dlco.nas import OfaMobileNetV3
from dlco.nas.exact_costs import ExactCosts
from dlco.search import LayerCosts, Score
from dlco.workload import Layer

PRESETS = ("eyeriss", "simba", "gemmini", "tpu", "generic")
GROUPED = conv2d("grouped 1x1", C=184, M=352, P=14, Q=14, R=1, S=1, groups=8)
GOALS = ("latency", "energy")


def sampled(n: int) -> list[Layer]:
    """`n` layers of the space, evenly, and the grouped one."""
    layers = list({layer.problem: layer for layer in OfaMobileNetV3().layers}.values())
    return [*layers[:: max(1, len(layers) // n)][:n], GROUPED]


def least(costs: LayerCosts, layer: Layer, machine: Architecture) -> dict[str, float]:
    """What a layer costs at least by these costs, s and pJ."""
    points = costs.points(layer, ())
    return {"latency": float(points.cycles.min()) * machine.cycle_s, "energy": float(points.energy_pj.min())}


def measure(layers: Sequence[Layer], presets: Sequence[str], seeds: int) -> dict[str, object]:
    """Seconds a layer and the worst ratios, by preset."""
    rows, worst = [], 0.0
    for name in presets:
        machine = get_hardware(name)
        score = Score("edp", Budget(), machine.cycle_s)
        with Stopwatch() as truth:
            proved = [{goal: solve([layer], machine, goal).value for goal in GOALS} for layer in layers]
        found: dict[str, list[float]] = {}
        seconds = []
        for kind, runs in ((LayerCosts, seeds), (ExactCosts, 1)):
            with Stopwatch() as watch:
                all_costs = [kind(machine, score, seed=seed) for seed in range(runs)]
                for costs in all_costs:
                    costs.search([(layer.problem, ()) for layer in layers])
            seconds.append(watch.cpu_s / runs / len(layers))
            found[kind.__name__] = [
                max(
                    least(costs, layer, machine)[goal] / best[goal]
                    for costs in all_costs
                    for layer, best in zip(layers, proved, strict=True)
                )
                for goal in GOALS
            ]
        worst = max(worst, *found["ExactCosts"])
        solved = truth.cpu_s / len(GOALS) / len(layers)
        rows.append([name, *found["LayerCosts"], *found["ExactCosts"], *seconds, solved])
        print(rows[-1], flush=True)
    return {
        "title": "Costs of layers on given machines, against solve",
        "text": (
            f"{len(layers) - 1} layers of OFA-MobileNetV3's space at their real sizes and a 1 x 1 convolution of 184 "
            f"to 352 channels in 8 groups; the short search with {seeds} seeds. The truth is `solve` on one layer."
        ),
        "tables": [
            {
                "title": "Worst ratio of a layer's cost to solve's; CPU seconds a layer",
                "head": [
                    "machine",
                    *(f"search, {goal}" for goal in GOALS),
                    *(f"exact, {goal}" for goal in GOALS),
                    "search, s",
                    "exact, s",
                    "solve, s",
                ],
                "rows": rows,
            }
        ],
        "targets": [
            {"name": "worst ratio", "target": "1.00", "value": worst, "met": worst <= 1 + 1e-9},
        ],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layers", type=int, default=12, help="of the space, beside the grouped one")
    parser.add_argument("--seeds", type=int, default=4, help="of the short search")
    parser.add_argument("--presets", nargs="+", default=PRESETS, choices=PRESETS)
    parser.add_argument("--save", action="store_true", help="write benchmarks/results/nas_layers.json")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    payload = measure(sampled(asked.layers), asked.presets, asked.seeds)
    show(payload)
    if asked.save:
        print(f"\nwritten to {save_results('nas_layers', payload)}")


if __name__ == "__main__":
    main()
