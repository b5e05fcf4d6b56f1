"""The epsilon-constraint method against weighted sums: what they cover of a front with the same number of evaluations.

Both methods make the same number of solves for designs of ResNet-18 on `eyeriss_space`, with the same effort each,
both starting every solve from designs found before and keeping what their searches come across. The one that took
more evaluations is cut back to the solves that it had finished within the other's number; then both fronts are
compared at one reference point: 1.1 times the worst figure that either has on each axis.
"""

import argparse
import shutil
from itertools import pairwise
from math import dist
from pathlib import Path
from statistics import median

import joblib
from baselines.weighted_sum import weighted_sum_front
from common import RESULTS, save_results, show

import dlco
from dlco import Budget, Front
from dlco.design.dominance import hypervolume, logs, nondominated
from dlco.design.front import MARGIN
from dlco.hardware.presets import eyeriss_space
from dlco.report.front import plot_front

WORK = Path(__file__).resolve().parents[1] / "out" / "pareto"  # finished solves, for --resume
Point = tuple[float, ...]
METHODS = {"constraint": dlco.pareto, "weighted sum": weighted_sum_front}


def main() -> None:
    """Run the comparison, show it and keep it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--points", type=int, default=12, help="designs that each front searches for")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--area", type=float, default=4.0, help="budget, mm2")
    parser.add_argument("--pairs", nargs="+", default=["latency-power", "area-energy"], metavar="X-Y")
    parser.add_argument("--jobs", type=int, default=2, help="solves at once")
    parser.add_argument("--resume", action="store_true", help="go on with what an earlier run of these arguments kept")
    parser.add_argument("--dry", action="store_true", help="show the figures, but leave benchmarks/results as it is")
    options = parser.parse_args()
    if not options.resume:
        shutil.rmtree(WORK, ignore_errors=True)
    WORK.mkdir(parents=True, exist_ok=True)
    done: list[dict] = []
    for seed in range(options.seeds):
        for pair in options.pairs:
            x, y = pair.split("-")
            one = compare(x, y, options.points, Budget(area_mm2=options.area), seed, options.jobs)
            done.append({"pair": pair, "seed": seed, **one})
            if options.dry:
                continue
            save_results("pareto", payload_of(done, options.points, options.area))  # a run cut off keeps what it has
            if seed == 0:
                whole = one["whole"]
                picture, beside = RESULTS / f"pareto_{x}_{y}.png", {"weighted sum": whole["weighted sum"]}
                plot_front(whole["constraint"], picture, title="ResNet-18", beside=beside)
    show(payload_of(done, options.points, options.area))


def payload_of(done: list[dict], points: int, area: float) -> dict:
    """What was compared so far, as a payload."""
    gains: dict[str, list[float]] = {}
    for one in done:
        volumes = one["hypervolume"]
        gains.setdefault(one["pair"], []).append(volumes["constraint"] / volumes["weighted sum"])
    return {
        "title": "Fronts by limits and by weighted sums",
        "text": (
            f"ResNet-18 on `eyeriss_space` within {area:g} mm2: fronts of {points} solves by the epsilon-constraint "
            "method (`dlco.pareto`) and by weighted sums of the objectives, each over its range "
            "(`weighted_sum_front`), from the same seeds and after the same number of evaluated mappings: of the "
            "method that took more, only what its solves had found until then counts. Both keep what their searches "
            "come across, at no evaluations. Hypervolumes are in natural logs of both axes, within "
            f"{MARGIN:g} times the worst figures of both fronts together. Points count only if no other of the same "
            "front dominates them."
        ),
        "tables": [
            {
                "title": "The same evaluations for both",
                "head": [
                    "axes, seed, method",
                    "evaluations",
                    "of the whole run",
                    "hypervolume",
                    "non-dominated points",
                    "of both fronts together",
                    "widest gap, logs",
                    "seconds of all its solves",
                ],
                "rows": [row for one in done for row in one["rows"]],
            },
            {
                "title": "Hypervolume of the constraint method over the weighted sum's",
                "head": ["axes", "seeds", "least", "median", "largest"],
                "rows": [[pair, len(one), min(one), median(one), max(one)] for pair, one in gains.items()],
            },
        ],
        "targets": [
            {
                "name": f"{pair}: hypervolume of the constraint method over the weighted sum's, median",
                "target": "more than 1",
                "value": median(one),
                "met": median(one) > 1,
            }
            for pair, one in gains.items()
        ],
        "data": [{key: one[key] for key in ("pair", "seed", "hypervolume", "data")} for one in done],
    }


def compare(x: str, y: str, points: int, budget: Budget, seed: int, jobs: int) -> dict:
    """Both methods on one pair of axes, from one seed."""
    whole = {}
    for name, method in METHODS.items():
        kept = WORK / f"{x}-{y}, {points} points, {budget.area_mm2:g} mm2, seed {seed}, {name}.run"
        asked = {"points": points, "budget": budget, "seed": seed, "resume" if kept.exists() else "checkpoint": kept}
        with joblib.parallel_config(backend="loky", n_jobs=jobs):
            whole[name] = method(dlco.networks.resnet18(), eyeriss_space(wires=False), x, y, **asked)
        if whole[name].status == "interrupted":
            raise SystemExit("stopped; --resume goes on from here")
    least = min(front.evaluations for front in whole.values())
    fronts = {name: within(front, least) for name, front in whole.items()}
    reference = [
        MARGIN * max(column) for column in zip(*(row for table in fronts.values() for row in table), strict=True)
    ]
    volumes = {name: hypervolume([logs(row) for row in table], logs(reference)) for name, table in fronts.items()}
    rows = [
        [
            f"{x}-{y}, {seed}, {name}",
            max(n for n, _ in whole[name].trace if n <= least),
            whole[name].evaluations,
            volumes[name],
            len(table),
            surviving(table, fronts),
            widest(table),
            seconds(whole[name]),
        ]
        for name, table in fronts.items()
    ]
    return {"rows": rows, "hypervolume": volumes, "whole": whole, "data": {"reference": reference, "points": fronts}}


def within(front: Front, evaluations: int) -> list[Point]:
    """Figures of the front of all that was found within a number of evaluations."""
    found = [values for n, values in front.trace if n <= evaluations]
    return [found[i] for i in nondominated(found)]


def seconds(front: Front) -> float:
    """Wall-clock seconds of a front's solves, one after another."""
    solves = {point.evaluations: point.solution.seconds for point in (*front.points, *front.dominated)}
    return sum(solves.values())


def surviving(table: list[Point], fronts: dict[str, list[Point]]) -> int:
    """How many of a front's points no point of the other front dominates; a point of both counts for both."""
    every = [point for one in fronts.values() for point in one]
    best = {every[i] for i in nondominated(every)}
    return sum(point in best for point in table)


def widest(table: list[Point]) -> float:
    """The longest straight line between neighbours, in logs: how evenly the points lie."""
    return max((dist(logs(a), logs(b)) for a, b in pairwise(table)), default=0.0)


if __name__ == "__main__":
    main()
