"""What a co-search takes layers to cost on a given machine, against what `solve` proves: the worst ratios, and seconds.

Layers of OFA-MobileNetV3's space at their real sizes, spread evenly over its list, and a grouped 1 x 1 convolution, on
every preset. Each is priced by the short search behind free machines (`LayerCosts`, several seeds) and by the exact
fronts of given machines (`ExactCosts`). The truth is `solve` on one layer, for latency and for energy. Every preset may
be run by itself; the table keeps those run before on the same layers.
"""

import argparse
from collections.abc import Sequence
from typing import Any

import torch
from common import Stopwatch, load_results, save_results, show

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


def measured(name: str, layers: Sequence[Layer], seeds: int) -> list[Any]:
    """A preset's row: the worst ratios, and CPU seconds a layer."""
    machine = get_hardware(name)
    score = Score("edp", Budget(), machine.cycle_s)
    with Stopwatch() as truth:
        proved = [{goal: solve([layer], machine, goal).value for goal in GOALS} for layer in layers]
    ratios, seconds = list[float](), list[float]()
    for kind, runs in ((LayerCosts, seeds), (ExactCosts, 1)):
        with Stopwatch() as watch:
            all_costs = [kind(machine, score, seed=seed) for seed in range(runs)]
            for costs in all_costs:
                costs.search([(layer.problem, ()) for layer in layers])
        seconds.append(watch.cpu_s / runs / len(layers))
        ratios += [
            max(
                least(costs, layer, machine)[goal] / best[goal]
                for costs in all_costs
                for layer, best in zip(layers, proved, strict=True)
            )
            for goal in GOALS
        ]
    return [name, *ratios, *seconds, truth.cpu_s / len(GOALS) / len(layers)]


def kept(layers: int, seeds: int) -> dict[str, list[Any]]:
    """Rows saved before of the same layers and seeds, by preset."""
    before = load_results("nas_layers")
    same = before and before["payload"]["data"] == {"layers": layers, "seeds": seeds}
    return {row[0]: row for row in before["payload"]["tables"][0]["rows"]} if before and same else {}


def payload_of(found: dict[str, list[Any]], layers: int, seeds: int) -> dict[str, Any]:
    """What `save_results` writes."""
    rows = [found[name] for name in PRESETS if name in found]
    worst = max(ratio for row in rows for ratio in row[3:5])
    return {
        "title": "Costs of layers on given machines, against solve",
        "text": (
            f"{layers} layers of OFA-MobileNetV3's space at their real sizes and a 1 x 1 convolution of 184 to 352 "
            f"channels in 8 groups; the short search with {seeds} seeds. The truth is `solve` on one layer."
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
        "data": {"layers": layers, "seeds": seeds},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layers", type=int, default=5, help="of the space, beside the grouped one")
    parser.add_argument("--seeds", type=int, default=2, help="of the short search")
    parser.add_argument("--presets", nargs="+", default=PRESETS, choices=PRESETS)
    parser.add_argument("--save", action="store_true", help="keep the figures beside those of other presets")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    layers = sampled(asked.layers)
    found = kept(asked.layers, asked.seeds) if asked.save else {}
    for name in asked.presets:
        found[name] = measured(name, layers, asked.seeds)
        print(found[name], flush=True)
        payload = payload_of(found, asked.layers, asked.seeds)
        if asked.save:
            save_results("nas_layers", payload)
    show(payload)


if __name__ == "__main__":
    main()
