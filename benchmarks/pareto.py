"""The epsilon-constraint method against weighted sums: what they cover of a front with the same number of evaluations.

Both methods look for the same number of designs of ResNet-18 on `eyeriss_space`, with the same effort a solve, both
starting every solve from designs found before. The one that took more evaluations is cut back to the solves that it
had finished within the other's number; then both fronts are compared at one reference point: 1.1 times the worst
figure that either has on each axis.
"""

import argparse
from itertools import pairwise
from math import dist
from statistics import median

import joblib
from common import RESULTS, Stopwatch, save_results, show

import dlco
from dlco import Budget, Front
from dlco.hardware.presets import eyeriss_space
from dlco.optimize import weighted_sum_front
from dlco.optimize.front.dominance import logs, nondominated
from dlco.optimize.front.front import MARGIN, FrontPoint
from dlco.report.front import plot_front

METHODS = {"constraint": dlco.pareto, "weighted sum": weighted_sum_front}


def main() -> None:
    """Run the comparison, show it and keep it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--points", type=int, default=12, help="designs that each front aims at")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--area", type=float, default=4.0, help="budget, mm2")
    parser.add_argument("--pairs", nargs="+", default=["latency-power", "area-energy"], metavar="X-Y")
    parser.add_argument("--jobs", type=int, default=2, help="solves at once")
    parser.add_argument("--dry", action="store_true", help="show the figures, but keep nothing")
    options = parser.parse_args()
    rows, gains, data = [], [], []
    for pair in options.pairs:
        x, y = pair.split("-")
        for seed in range(options.seeds):
            one = compare(x, y, options.points, Budget(area_mm2=options.area), seed, options.jobs)
            gains.append(one["hypervolume"]["constraint"] / one["hypervolume"]["weighted sum"])
            rows += one["rows"]
            data.append({"pair": pair, "seed": seed, **one["data"]})
            if seed == 0 and not options.dry:
                RESULTS.mkdir(exist_ok=True)
                fronts = one["fronts"]
                picture = RESULTS / f"pareto_{x}_{y}.png"
                beside = {"weighted sum": fronts["weighted sum"]}
                plot_front(fronts["constraint"], picture, title="ResNet-18", beside=beside)
    payload = {
        "title": "Fronts by limits and by weighted sums",
        "text": (
            f"ResNet-18 on `eyeriss_space` within {options.area:g} mm2: fronts of {options.points} designs by the "
            "epsilon-constraint method (`dlco.pareto`) and by weighted sums of the objectives, each over its range "
            "(`weighted_sum_front`), after the same number of evaluated mappings, from the same seeds. Hypervolumes "
            f"are in natural logs of both axes, within {MARGIN:g} times the worst figures of both fronts together. "
            "Points count only if no other of the same front dominates them."
        ),
        "tables": [
            {
                "title": "The same evaluations for both",
                "head": [
                    "axes, seed, method",
                    "evaluations",
                    "hypervolume",
                    "non-dominated points",
                    "of both fronts together",
                    "widest gap, logs",
                    "seconds of its solves",
                ],
                "rows": rows,
            }
        ],
        "targets": [
            {
                "name": "hypervolume of the constraint method over the weighted sum's, median",
                "target": "more than 1",
                "value": median(gains),
                "met": median(gains) > 1,
            }
        ],
        "data": data,
    }
    show(payload)
    if not options.dry:
        save_results("pareto", payload)


def compare(x: str, y: str, points: int, budget: Budget, seed: int, jobs: int) -> dict:
    """Both methods on one pair of axes, from one seed."""
    whole, watches = {}, {}
    for name, method in METHODS.items():
        with Stopwatch() as watch, joblib.parallel_config(backend="loky", n_jobs=jobs):
            whole[name] = method(
                dlco.networks.resnet18(), eyeriss_space(), x, y, points=points, budget=budget, seed=seed
            )
        watches[name] = watch
    least = min(front.evaluations for front in whole.values())
    fronts = {name: within(front, least) for name, front in whole.items()}
    figures = [point.values for front in fronts.values() for point in front.points]
    reference = [MARGIN * max(column) for column in zip(*figures, strict=True)]
    volumes = {name: front.hypervolume(reference) for name, front in fronts.items()}
    rows = [
        [
            f"{x}-{y}, {seed}, {name}",
            used(front),
            volumes[name],
            len(front.points),
            surviving(front, fronts),
            widest(front),
            sum(point.solution.seconds for point in (*whole[name].points, *whole[name].dominated)),
        ]
        for name, front in fronts.items()
    ]
    data = {
        "reference": reference,
        "points": {name: [list(point.values) for point in front.points] for name, front in fronts.items()},
        "evaluations_of_the_whole_run": {name: front.evaluations for name, front in whole.items()},
        "wall_s": {name: watch.wall_s for name, watch in watches.items()},
    }
    return {"rows": rows, "hypervolume": volumes, "fronts": fronts, "data": data}


def within(front: Front, evaluations: int) -> Front:
    """The front of what was found within a number of evaluations."""
    found = sorted((*front.points, *front.dominated), key=lambda point: point.evaluations)
    kept = [point for point in found if point.evaluations <= evaluations]
    return Front.of(kept, front.axes, front.budget, front.seed, evaluations=evaluations, seconds=front.seconds)


def used(front: Front) -> int:
    """Evaluations until the last design that counts was found."""
    return max((point.evaluations for point in (*front.points, *front.dominated)), default=0)


def surviving(front: Front, fronts: dict[str, Front]) -> int:
    """How many of a front's points no point of the other front dominates; a point of both counts for both."""
    every: list[FrontPoint] = [point for one in fronts.values() for point in one.points]
    best = {every[i].values for i in nondominated([point.values for point in every])}
    return sum(point.values in best for point in front.points)


def widest(front: Front) -> float:
    """The longest straight line between neighbours, in logs: how evenly the points lie."""
    return max((dist(logs(a.values), logs(b.values)) for a, b in pairwise(front.points)), default=0.0)


if __name__ == "__main__":
    main()
