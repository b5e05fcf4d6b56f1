"""NAS-Bench-201 x 500 accelerators: every pair evaluated, and how near the co-search methods come at few evaluations.

The table of accuracies has columns `arch` and `c10`, `c100` or `in16`; by default it is NATS-Bench's after 200 epochs
(data/accuracies.md). Its accuracies are test accuracies: what maximises them is optimistic.
"""

import argparse
import pickle
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from statistics import mean
from typing import Any

import joblib
import torch
from common import Stopwatch, save_results, saved_outcomes, show

from dlco import Budget, HardwareSpace
from dlco.design.objective import JOULES
from dlco.hardware import eyeriss_like
from dlco.hardware.parameter import Parameter
from dlco.hardware.technology import TECHNOLOGY_45NM
from dlco.nas import NasBench201
from dlco.nas.cosearch import explore
from dlco.nas.evaluator import Evaluator, Improvement
from dlco.nas.methods import METHODS
from dlco.nas.oracles import TableAccuracy
from dlco.nas.request import CoRequest
from dlco.search import BROKEN, LayerCosts, MachineIndex, Score

TABLE = Path(__file__).parent / "data" / "nasbench201_200epochs.csv.gz"
DATASETS = {"c10": (10, 32), "c100": (100, 32), "in16": (120, 16)}  # classes, resolution
QUANTILES = {"tight": 0.15, "middle": 0.3, "loose": 0.5}  # of energy, latency and area over all pairs: the limits
WITHIN = 0.14  # points from the best feasible accuracy, the target
SHARE = 0.01  # of the pairs that the default may evaluate
GENERAL = Budget(energy_j=1e9, latency_s=1e9)  # limits that hold always: points for any trade-off are searched
DEFAULT = "relaxed, until it stagnates"  # as `cosearch` by default; the others at a fixed number of pairs
COMPARED = [*(name for name in METHODS if name not in ("fixed-network",)), DEFAULT]
CHUNK = 50  # machines searched together


def grid() -> HardwareSpace:
    """500 machines: the array, the shared buffer and the weight scratchpads of the Eyeriss-like machine, itself one."""
    kib = 1024 * 8 // 16
    return HardwareSpace(
        eyeriss_like(wires=False),
        (
            Parameter("shared_glb", "fanout_x", (6, 10, 14, 20, 28)),
            Parameter("shared_glb", "fanout_y", (6, 12, 18, 28)),
            Parameter("shared_glb", "capacity", tuple(size * kib for size in (32, 64, 108, 192, 384))),
            Parameter("weights_spad", "capacity", (32, 64, 128, 192, 384)),
        ),
        TECHNOLOGY_45NM,
    )


@dataclass(frozen=True)
class Truth:
    """All pairs under one set of limits.

    Attributes:
        limits: by name; `feasible`: pairs that keep them.
        best: the highest accuracy among these, percent.
    """

    limits: dict[str, float]
    feasible: int
    best: float


@dataclass(frozen=True)
class Outcome:
    """One run: (pairs evaluated, networks judged, accuracy) of each improvement within the limits."""

    limits: str
    method: str
    seed: int
    evaluations: int
    trace: list[tuple[int, int, float]]


def machines_of(space: HardwareSpace, n: int) -> list[MachineIndex]:
    """The first `n` machines of the grid, in an order in which neighbours are far apart."""
    lengths = [len(parameter.grid) for parameter in space.parameters]
    every = torch.cartesian_prod(*map(torch.arange, lengths))
    order = torch.randperm(len(every), generator=torch.Generator().manual_seed(0))
    return [tuple(row) for row in every[order[:n]].tolist()]


def fill(costs: LayerCosts, space: NasBench201, machines: Sequence[MachineIndex], passes: int, jobs: int) -> None:
    """Search every layer on every machine, in several passes: each starts from what the neighbours found before."""
    costs.prepare(space.layers)
    with joblib.parallel_config(backend="loky", n_jobs=jobs):
        for number in range(passes):
            for first in range(0, len(machines), CHUNK):
                some = machines[first : first + CHUNK]
                costs.search([(x.problem, m) for m in some for x in space.layers], again=number > 0)
                print(f"pass {number + 1}: {first + len(some)} machines", flush=True)


class AllPairs:
    """Costs of every network on every machine; networks with the same layers cost the same.

    Attributes:
        accuracy: `[networks]`, percent.
        machines: their grid positions.
    """

    def __init__(self, space: NasBench201, table: TableAccuracy, costs: LayerCosts, machines: list[MachineIndex]):
        self.costs, self.machines = costs, machines
        self.networks = list(space.networks())
        self.accuracy = table.accuracy(self.networks)
        counts = space.counts(self.networks)
        self.kinds, self.kind_of = counts.unique(dim=0, return_inverse=True)
        first = [int((self.kind_of == k).nonzero()[0, 0]) for k in range(len(self.kinds))]
        self.layers = [space.to_layers(self.networks[i]) for i in first]

    def figures(self, budget: Budget, objective: str = "edp") -> dict[str, torch.Tensor]:
        """`energy_pj`, `cycles`, `area_mm2` and `score`, each `[networks, machines]`, by mappings for the objective."""
        costs = self.costs.for_score(Score(objective, budget, self.costs.hardware.base.cycle_s))
        columns = []
        for machine in self.machines:
            found = costs.networks(self.layers, [machine] * len(self.layers))
            columns.append([(p.energy_pj, p.cycles, p.area_mm2, p.score) for p in found])
        by_kind = torch.tensor(columns, dtype=torch.float64)  # [machines, kinds, 4]
        every = by_kind[:, self.kind_of].permute(2, 1, 0)
        return dict(zip(("energy_pj", "cycles", "area_mm2", "score"), every, strict=True))

    def truth(self, budget: Budget) -> Truth:
        """The best accuracy within limits."""
        feasible = self.figures(budget)["score"] < BROKEN
        best = self.accuracy[feasible.any(1)].amax()
        return Truth(budget.limits, int(feasible.sum()), float(best))

    def front(self, figures: dict[str, torch.Tensor]) -> list[tuple[float, float]]:
        """(accuracy, EDP in pJ x cycles) of the pairs that no other beats in both, most accurate first."""
        edp = (figures["energy_pj"] * figures["cycles"]).amin(1)
        order = edp.argsort()
        best, points = -1.0, []
        for i in order.tolist():
            if float(self.accuracy[i]) > best:
                best = float(self.accuracy[i])
                points.append((best, float(edp[i])))
        return points[::-1]


def at_quantile(values: torch.Tensor, quantile: float) -> float:
    """The value of which such a share of all others lies below."""
    return float(values.flatten().sort().values[int(quantile * (values.numel() - 1))])


def budget_at(figures: dict[str, torch.Tensor], quantile: float, cycle_s: float) -> Budget:
    """Limits at a quantile of every figure over all pairs."""
    return Budget(
        energy_j=at_quantile(figures["energy_pj"], quantile) * JOULES,
        latency_s=at_quantile(figures["cycles"], quantile) * cycle_s,
        area_mm2=at_quantile(figures["area_mm2"], quantile),
    )


def runs(
    table: TableAccuracy, packed: bytes, budgets: dict[str, Budget], limits: dict[str, int | None], seed: int
) -> list[Outcome]:
    """All methods on all sets of limits with one seed; `packed` are the layer costs, `limits` pairs by method."""
    torch.set_num_threads(1)
    costs = pickle.loads(packed)
    found = []
    for method, limit in limits.items():
        with Stopwatch() as watch:
            found += [one_run(table, costs, name, budget, method, seed, limit) for name, budget in budgets.items()]
        print(f"seed {seed}, {method}: {watch.cpu_s:.0f} CPU s", flush=True)
    return found


def one_run(
    table: TableAccuracy, costs: LayerCosts, name: str, budget: Budget, method: str, seed: int, limit: int | None
) -> Outcome:
    """One method on one set of limits."""
    request = CoRequest(table.space, table, costs.hardware, "accuracy", budget)
    evaluator = Evaluator(request, costs.for_score(request.score), limit)
    explore(request, evaluator, "relaxed" if method == DEFAULT else method, seed)
    kept: list[Improvement] = [one for one in evaluator.improvements if one.best.feasible]
    return Outcome(
        name, method, seed, evaluator.evaluations, [(s.evaluations, s.queries, s.best.accuracy) for s in kept]
    )


def earlier(name: str, again: Sequence[str]) -> list[Outcome]:
    """What the last run on the whole grid found by the methods that are not run again."""
    return [Outcome(**one) for one in saved_outcomes(name) if one["method"] not in again]


def needed(outcome: Outcome, accuracy: float) -> int | None:
    """Pairs evaluated when an accuracy was reached, or None."""
    return next((n for n, _, reached in outcome.trace if reached >= accuracy - 1e-9), None)


def rows_of(outcomes: Sequence[Outcome], truth: Truth) -> list[list[Any]]:
    """A row a method: gaps at the end, and evaluations to come within the target."""
    rows = []
    for method in dict.fromkeys(one.method for one in outcomes):
        runs = [one for one in outcomes if one.method == method]
        limit = max(run.evaluations for run in runs)
        gaps = [truth.best - run.trace[-1][2] if run.trace else None for run in runs]
        there = [gap for gap in gaps if gap is not None]
        reached = sorted(n for run in runs if (n := needed(run, truth.best - WITHIN)) is not None)
        exact = sum(gap <= 1e-9 for gap in there)
        median = reached[len(runs) // 2] if len(reached) > len(runs) // 2 else f"> {limit}"
        worst = reached[-1] if len(reached) == len(runs) else f"> {limit}"
        row = [method, limit, mean(there) if there else None, max(there) if len(there) == len(runs) else None]
        rows.append([*row, f"{exact} of {len(runs)}", f"{len(reached)} of {len(runs)}", median, worst])
    return rows


HEAD = [
    "method",
    "pairs, at most",
    "mean gap",
    "worst gap",
    "optimum found",
    f"within {WITHIN}",
    "pairs to it, median",
    "worst",
]


def payload_of(
    dataset: str,
    pairs: int,
    machines: int,
    seconds: dict[str, float],
    truths: dict[str, Truth],
    outcomes: Sequence[Outcome],
    front: list[tuple[float, float]],
) -> dict[str, Any]:
    """What `save_results` writes."""
    tables, targets = [], []
    for name, truth in truths.items():
        mine = [one for one in outcomes if one.limits == name]
        shown = ", ".join(f"{key} {value:.3g}" for key, value in truth.limits.items())
        title = f"{name} limits ({shown}): {truth.feasible:,} pairs feasible, best accuracy {truth.best:.2f}"
        tables.append({"title": title, "head": HEAD, "rows": rows_of(mine, truth)})
        runs = [one for one in mine if one.method == DEFAULT] or [one for one in mine if one.method == "relaxed"]
        gaps = [truth.best - run.trace[-1][2] if run.trace else None for run in runs]
        worst = None if None in gaps or not gaps else max(gaps)  # type: ignore[type-var]
        used = max((run.evaluations for run in runs), default=0)
        met = worst is not None and worst <= WITHIN and used <= SHARE * pairs
        target = f"at most {WITHIN} points with {SHARE:.0%} of the pairs"
        value = None if worst is None else f"{worst:.3f} with {used / pairs:.3%}"
        targets.append({"name": f"default's worst gap, {name}", "target": target, "value": value, "met": met})
    value = f"{seconds['table'] / 60:.1f} minutes"
    full = machines == grid().size
    targets.append(
        {
            "name": f"{pairs:,} pairs evaluated",
            "target": "under 30 minutes",
            "value": value,
            "met": seconds["table"] < 1800 if full else None,
        }
    )
    return {
        "title": f"NAS-Bench-201 ({dataset}) x {machines} accelerators",
        "text": (
            f"All {pairs:,} pairs of a network and an accelerator, evaluated exactly with mappings searched for every "
            "layer on every machine; then the best accuracy under three sets of limits, and how near each method comes "
            "with as many pairs, the same layer costs for all. By default `cosearch` goes on until it stagnates: the "
            "last row. Accuracies are test accuracies, so optimistic as objectives."
        ),
        "tables": tables,
        "targets": targets,
        "data": {"seconds": seconds, "front": front, "outcomes": [asdict(one) for one in outcomes]},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("table", nargs="?", default=TABLE, help="CSV of accuracies")
    parser.add_argument("--dataset", choices=tuple(DATASETS), default="c100")
    parser.add_argument("--machines", type=int, default=grid().size, help="of the grid; fewer for a trial")
    parser.add_argument("--passes", type=int, default=2, help="searches of every layer on every machine")
    parser.add_argument("--methods", nargs="+", choices=COMPARED, default=COMPARED, help="others stay as they are")
    parser.add_argument("--seeds", type=int, default=10, help="how many, from 1 on")
    parser.add_argument("--evaluations", type=int, default=1000, help="pairs a run may evaluate")
    parser.add_argument("--jobs", type=int, default=2, help="processes, of one thread each")
    parser.add_argument("--no-save", action="store_true", help="print only")
    options = parser.parse_args()
    torch.set_num_threads(1)
    classes, resolution = DATASETS[options.dataset]
    space, hardware = NasBench201(classes, resolution), grid()
    table = TableAccuracy.read(space, options.table, options.dataset)
    machines = machines_of(hardware, options.machines)
    costs = LayerCosts(hardware, Score("edp", GENERAL, hardware.base.cycle_s))
    with Stopwatch() as searching:
        fill(costs, space, machines, options.passes, options.jobs)
    with Stopwatch() as summing:
        pairs = AllPairs(space, table, costs, machines)
        figures = pairs.figures(Budget())
        front = pairs.front(figures)
        budgets = {name: budget_at(figures, q, hardware.base.cycle_s) for name, q in QUANTILES.items()}
        truths = {name: pairs.truth(budget) for name, budget in budgets.items()}
    limits = {name: None if name == DEFAULT else options.evaluations for name in options.methods}
    packed = pickle.dumps(costs)  # one block of bytes: tensors sent one by one take a file handle each
    with (
        Stopwatch() as running,
        ProcessPoolExecutor(options.jobs, mp_context=get_context("spawn")) as pool,
    ):
        waiting = [pool.submit(runs, table, packed, budgets, limits, seed) for seed in range(1, options.seeds + 1)]
        outcomes = [one for job in waiting for one in job.result()]
    if len(options.methods) < len(COMPARED) and len(machines) == grid().size:
        outcomes = [*earlier(f"nas_table_{options.dataset}", options.methods), *outcomes]
    seconds = {
        "table": searching.wall_s + summing.wall_s,
        "table_cpu": searching.cpu_s + summing.cpu_s,
        "methods": running.wall_s,
        "methods_cpu": running.cpu_s,
    }
    size = len(pairs.networks) * len(machines)
    payload = payload_of(options.dataset, size, len(machines), seconds, truths, outcomes, front)
    show(payload)
    if not options.no_save:
        print(f"\nwritten to {save_results(f'nas_table_{options.dataset}', payload)}")


if __name__ == "__main__":
    main()
