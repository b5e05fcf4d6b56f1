"""dlco's predictions beside measured machines: Eyeriss' chip, layer by layer, and Gemmini's RTL, mapping by mapping.

Eyeriss (65 nm): its published row-stationary mappings on `dlco.hardware.eyeriss_chip`, counted by the cost model;
processing is the longer of the passes (with their filters loaded) and of the buffer's words at 3.0 GB/s, two published
constants; zeros in the inputs gate MACs; two constants of power are fitted. VGG-16's mappings are not published and in
part read off its buffer traffic. Gemmini (16 x 16, weight stationary, FireSim): the cost model, which is Timeloop's,
and `simulate_gemmini`, which has four fitted constants; they are fitted anew without each network, and without each
fifth of the layers, to say what they are worth on others.

`--gemmini FILE.csv` and `--eyeriss FILE.csv` judge other files of the same columns.
"""

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
from common import RESULTS, save_results, show
from matplotlib.axes import Axes
from silicon_common import judged
from silicon_eyeriss import QUANTITIES, read_runs
from silicon_fit import FITTED, held_out_by_layer, held_out_by_network
from silicon_gemmini import Point, cost_model_cycles, described, read_points, rtl_cycles, simulator_cycles

from dlco.errors import DlcoError
from dlco.report.drawing.axes import plain_ticks
from dlco.simulate import GemminiTiming

DATA = Path(__file__).with_name("data")
GEMMINI, EYERISS = DATA / "gemmini_rtl.csv", DATA / "eyeriss_chip.csv"
TITLES = {
    "processing_ms": "processing time, ms",
    "buffer_mb": "buffer traffic, MB",
    "dram_mb": "DRAM traffic, MB",
    "power_mw": "power, mW",
    "active_pes": "PEs at work",
    "total_ms": "time with what DRAM adds, ms",
}
MEAN, RANK = 13.0, 0.99  # targets for Gemmini, % and Spearman's
EYERISS_TARGETS = {"processing_ms": (7.0, 18.0), "buffer_mb": (15.0, None), "dram_mb": (15.0, None)}
EYERISS_TARGETS |= {"power_mw": (15.0, None)}


def judge_gemmini(points: Sequence[Point], simulator: bool = False) -> dict[str, Any]:
    """How far predictions are from the RTL: by method, errors in per cent and the rank correlation; every point."""
    measured = [one.rtl_cycles for one in points]
    cycles = rtl_cycles(points)
    result = {
        "cycles": judged(cycles, measured),
        "cost_model": judged(cost_model_cycles(points), measured),
        "timeloop": judged([one.timeloop_cycles for one in points], measured),
        "layers": [described(*one) for one in zip(points, cycles, strict=True)],
    }
    if simulator:
        result["simulator"] = judged(simulator_cycles(points), measured)
    return result


def judge_eyeriss(path: Path) -> dict[str, Any]:
    """How far predictions are from the chip: by quantity, errors in per cent and the rank correlation; every layer."""
    runs = read_runs(path)
    predicted = [run.predicted() for run in runs]
    result: dict[str, Any] = {
        name: judged([one[name] for one in predicted], [run.measured[name] for run in runs]) for name in QUANTITIES
    }
    result["layers"] = [
        {"layer": run.name, "measured": run.measured, "predicted": one}
        for run, one in zip(runs, predicted, strict=True)
    ]
    return result


def plot(axes: Axes, title: str, measured: Sequence[float], predicted: Sequence[float], label: str | None) -> None:
    """Dots of predicted over measured, log axes, with the line on which they would lie."""
    axes.loglog(measured, predicted, "o", ms=3.5, alpha=0.6, label=label)
    ends = [min(*measured, *predicted), max(*measured, *predicted)]
    axes.plot(ends, ends, "k-", lw=0.6)
    axes.set_title(title, fontsize=9)
    axes.set_xlabel("measured", fontsize=8)
    axes.set_ylabel("predicted", fontsize=8)
    axes.tick_params(labelsize=7)
    if ends[1] < 3 * ends[0]:
        for side in (axes.xaxis, axes.yaxis):
            plain_ticks(side, ends)


def plot_gemmini(judgement: dict[str, Any], path: Path) -> None:
    """The picture of Gemmini: one dot a point, beside Timeloop's."""
    figure, axes = plt.subplots(figsize=(4.6, 4.2), layout="constrained")
    layers = judgement["layers"]
    measured = [one["measured"] for one in layers]
    title = "Gemmini's RTL: cycles"
    plot(axes, title, measured, [one["timeloop"] for one in layers], "Timeloop")
    plot(axes, title, measured, [one["predicted"] for one in layers], "simulate_gemmini")
    axes.legend(fontsize=7)
    figure.savefig(path, dpi=130)
    plt.close(figure)


def plot_eyeriss(judgement: dict[str, Any], path: Path) -> None:
    """The picture of Eyeriss: one dot a layer for four quantities."""
    figure, grid = plt.subplots(2, 2, figsize=(7, 6.4), layout="constrained")
    for axes, name in zip(grid.flat, EYERISS_TARGETS, strict=True):
        for network in ("alexnet", "vgg16"):
            layers = [one for one in judgement["layers"] if one["layer"].startswith(network)]
            if layers:
                both = ([one[side][name] for one in layers] for side in ("measured", "predicted"))
                plot(axes, f"Eyeriss' chip: {TITLES[name]}", *both, network)
    grid.flat[0].legend(fontsize=7)
    figure.savefig(path, dpi=130)
    plt.close(figure)


def row(name: str, figures: dict[str, Any]) -> list[Any]:
    """A line of the tables of errors."""
    return [name, figures["points"], figures["mean_error"], figures["worst_error"], figures["rank"]]


def target(name: str, limit: float, value: float, least: bool = False, unit: str = " %") -> dict[str, Any]:
    """A target reached where the value is at most (or at least) so much."""
    words = f"at {'least' if least else 'most'} {limit:g}{unit}"
    shown = f"{value:.4f}" if least else f"{value:.1f}{unit}"
    return {"name": name, "target": words, "value": shown, "met": value >= limit if least else value <= limit}


def payload_of(gemmini: dict[str, Any], eyeriss: dict[str, Any], held: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """What was measured, as common.py has it."""
    head = ["", "points", "mean error, %", "worst, %", "rank"]
    methods = {
        "Timeloop": "timeloop",
        "cost model": "cost_model",
        "simulate (tile by tile)": "simulator",
        "simulate_gemmini": "cycles",
    }
    rows = [row(name, gemmini[key]) for name, key in methods.items() if key in gemmini]
    rows += [row(f"simulate_gemmini, constants fitted without {name}", figures) for name, figures in held.items()]
    layers = [
        [one["layer"], *(f"{one['predicted'][name]:.4g} / {one['measured'][name]:.4g}" for name in QUANTITIES)]
        for one in eyeriss["layers"]
    ]
    targets = [
        target("Gemmini: mean error", MEAN, gemmini["cycles"]["mean_error"]),
        target("Gemmini: rank correlation", RANK, gemmini["cycles"]["rank"], least=True, unit=""),
    ]
    for name, figures in held.items():
        if name.startswith("each"):
            targets.append(target(f"Gemmini, {name} held out: mean error", MEAN, figures["mean_error"]))
            targets.append(target(f"Gemmini, {name} held out: rank", RANK, figures["rank"], least=True, unit=""))
    for name, (mean, worst) in EYERISS_TARGETS.items():
        targets.append(target(f"Eyeriss, {TITLES[name]}: mean error", mean, eyeriss[name]["mean_error"]))
        if worst is not None:
            targets.append(target(f"Eyeriss, {TITLES[name]}: worst", worst, eyeriss[name]["worst_error"]))
    constants = [[name, getattr(GemminiTiming(), name)] for name in FITTED]
    return {
        "title": "Measured machines: Eyeriss' chip and Gemmini's RTL",
        "text": " ".join((__doc__ or "").split("`--gemmini")[0].split()),
        "tables": [
            {
                "title": "Eyeriss: errors over the layers",
                "head": head,
                "rows": [row(TITLES[name], eyeriss[name]) for name in QUANTITIES],
            },
            {
                "title": "Eyeriss: predicted / measured",
                "head": ["layer", *(TITLES[name] for name in QUANTITIES)],
                "rows": layers,
            },
            {"title": "Gemmini: errors over the mappings", "head": head, "rows": rows},
            {"title": "Gemmini: fitted constants", "head": ["of GemminiTiming", "value"], "rows": constants},
        ],
        "targets": targets,
        "data": {"gemmini": gemmini, "eyeriss": eyeriss, "held_out": held},
    }


def main() -> None:
    """Judge files, or the project's own data, and show it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gemmini", type=Path, metavar="FILE.csv", help="judge the RTL runs in this file")
    parser.add_argument("--eyeriss", type=Path, metavar="FILE.csv", help="judge the layers in this file")
    parser.add_argument("--json", action="store_true", help="print the judgement as JSON")
    parser.add_argument("--pictures", type=Path, metavar="FOLDER", help="write predicted over measured there")
    parser.add_argument("--simulate", action="store_true", help="with the tile-by-tile simulator on Gemmini (minutes)")
    parser.add_argument("--save", action="store_true", help="keep the figures in benchmarks/results")
    options = parser.parse_args()
    own = options.gemmini is None and options.eyeriss is None
    if options.save and not own:
        parser.error("--save is for the project's own data, without --gemmini and --eyeriss")
    judgement: dict[str, Any] = {}
    points: list[Point] = []
    try:
        if own or options.gemmini:
            points = read_points(options.gemmini or GEMMINI)
            judgement["gemmini"] = judge_gemmini(points, options.simulate)
        if own or options.eyeriss:
            judgement["eyeriss"] = judge_eyeriss(options.eyeriss or EYERISS)
    except DlcoError as error:  # a row that is no layer, or a mapping that does not fit its machine
        raise SystemExit(str(error)) from None
    folder = RESULTS if options.save else options.pictures
    pictures: dict[str, Callable[[dict[str, Any], Path], None]] = {"gemmini": plot_gemmini, "eyeriss": plot_eyeriss}
    for name, figures in judgement.items() if folder else ():
        folder.mkdir(parents=True, exist_ok=True)
        pictures[name](figures, folder / f"silicon_{name}.png")
    if options.json:
        print(json.dumps(judgement, indent=1))
    elif own:
        held = held_out_by_network(points) | held_out_by_layer(points)
        result = payload_of(judgement["gemmini"], judgement["eyeriss"], held)
        show(result)
        if options.save:
            save_results("silicon", result)
    else:
        for name, figures in judgement.items():
            print(name)
            for key, one in figures.items():
                if key != "layers":
                    rank = "-" if one["rank"] is None else f"{one['rank']:.4f}"
                    print(f"  {key}: {one['points']} points, mean error {one['mean_error']:.1f} %, ", end="")
                    print(f"worst {one['worst_error']:.1f} %, rank {rank}")


if __name__ == "__main__":
    main()
