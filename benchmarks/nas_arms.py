"""Least energy at an accuracy within limits, joint against arms that choose network and machine apart.

NAS-Bench-201 (CIFAR-100) on the machines of nas_table.py, every pair evaluated. A question is a limit on area, one on
latency and an accuracy to be met; each arm then gets the exact optimum of what it chooses among, so that no arm is weak
for want of search:

* fixed machine: the best network on a machine within the limits;
* two-stage: that network, then the best machine for it;
* alternating: and so on in turns until neither changes;
* fewest MACs: the network of fewest multiply-accumulates that meets the accuracy, and the best machine for it;
* fixed network: one of those within half a point above the accuracy asked that some machine runs within the limits (of
  all that meet it where there is none so near), and the best machine for it;
* joint: the best pair of all; and as `dlco.cosearch` finds it at its defaults, without knowing the table.

The machine that an arm starts on is drawn, seed by seed, from those on which some network keeps all limits; so is the
fixed network. Arms are compared seed by seed (Wilcoxon's signed-rank test).
"""

import argparse
import pickle
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from math import exp, inf, log
from multiprocessing import get_context
from statistics import mean, median
from typing import Any

import torch
from common import Stopwatch, save_results, saved_outcomes, show
from nas_table import DATASETS, QUANTILES, TABLE, AllPairs, at_quantile, fill, grid, machines_of
from scipy.stats import wilcoxon

from dlco import Budget
from dlco.design.objective import JOULES
from dlco.nas import NasBench201
from dlco.nas.cosearch import explore
from dlco.nas.evaluator import Evaluator
from dlco.nas.oracles import TableAccuracy
from dlco.nas.request import CoRequest
from dlco.search import BROKEN, LayerCosts, Score

DATASET = "c100"
BELOW_BEST = 1.0  # points below the best accuracy within the limits: the accuracy asked
ABOVE_ASKED = 0.5  # points within which a network counts as one at the accuracy asked
ONE_SIDED = ("fixed machine", "fixed network")
APART = ("fixed machine", "two-stage", "alternating", "fewest MACs", "fixed network")
JOINT, SEARCHED = "joint", "joint, as cosearch finds it"
SAVING = 0.40  # of the mean of one-sided arms, published


@dataclass(frozen=True)
class Question:
    """A limit on area (mm2), one on latency (s), and the accuracy to be met (percent)."""

    area_mm2: float
    latency_s: float
    accuracy: float

    @property
    def budget(self) -> Budget:
        """The limits."""
        return Budget(area_mm2=self.area_mm2, latency_s=self.latency_s)

    @property
    def name(self) -> str:
        """As tables show it."""
        return f"{self.area_mm2:.3g} mm2, {1e3 * self.latency_s:.3g} ms, {self.accuracy:.2f} %"


@dataclass(frozen=True)
class Outcome:
    """What one arm found for one question and seed: J, or None where it has no pair within the limits."""

    question: str
    arm: str
    seed: int
    energy_j: float | None
    evaluations: int = 0
    cpu_s: float = 0.0


@dataclass(frozen=True)
class Board:
    """All pairs under one question.

    Attributes:
        energy_j: `[networks, machines]`, infinite where a limit is broken or the accuracy not met.
        macs, accuracy: `[networks]`; `asked`: percent.
    """

    energy_j: torch.Tensor
    macs: torch.Tensor
    accuracy: torch.Tensor
    asked: float

    def best_network(self, machine: int) -> int:
        """Of least energy on a machine."""
        return int(self.energy_j[:, machine].argmin())

    def best_machine(self, network: int) -> int:
        """Of least energy for a network."""
        return int(self.energy_j[network].argmin())

    def arms(self, seed: int) -> dict[str, float]:
        """J by arm, infinite where it has nothing."""
        generator = torch.Generator().manual_seed(seed)

        def drawn(among: torch.Tensor) -> int:
            return int(among[torch.randint(len(among), (), generator=generator)])

        start = drawn(self.energy_j.isfinite().any(0).nonzero()[:, 0])
        network = self.best_network(start)
        found = {"fixed machine": self.energy_j[network, start]}
        machine = self.best_machine(network)
        found["two-stage"] = self.energy_j[network, machine]
        while self.energy_j[self.best_network(machine), machine] < self.energy_j[network, machine]:
            network = self.best_network(machine)
            machine = self.best_machine(network)
        found["alternating"] = self.energy_j[network, machine]
        able = self.accuracy >= self.asked
        found["fewest MACs"] = self.energy_j[int(self.macs.masked_fill(~able, torch.inf).argmin())].amin()
        runs = self.energy_j.isfinite().any(1)
        near = (runs & (self.accuracy <= self.asked + ABOVE_ASKED)).nonzero()[:, 0]
        if not len(near):
            near = runs.nonzero()[:, 0]
        found["fixed network"] = self.energy_j[drawn(near)].amin()
        return {name: float(energy) for name, energy in found.items()}


def questions_of(pairs: AllPairs, every: dict[str, torch.Tensor], cycle_s: float) -> list[Question]:
    """Limits at three quantiles each over all pairs; an accuracy below the best within them."""
    found = []
    for area in (at_quantile(every["area_mm2"], q) for q in QUANTILES.values()):
        for latency in (at_quantile(every["cycles"], q) * cycle_s for q in QUANTILES.values()):
            best = pairs.truth(Budget(area_mm2=area, latency_s=latency)).best
            found.append(Question(area, latency, best - BELOW_BEST))
    return found


def board_of(pairs: AllPairs, question: Question) -> Board:
    """All pairs under a question, mappings chosen for its energy."""
    seen = pairs.figures(question.budget, "energy")
    able = (pairs.accuracy >= question.accuracy)[:, None] & (seen["score"] < BROKEN)
    energy = (JOULES * seen["energy_pj"]).masked_fill(~able, inf)
    macs = torch.tensor([float(sum(x.count * x.macs for x in layers)) for layers in pairs.layers])
    return Board(energy, macs[pairs.kind_of], pairs.accuracy, question.accuracy)


def searched(table: TableAccuracy, packed: bytes, questions: Sequence[Question], seed: int) -> list[Outcome]:
    """`cosearch` at its defaults on all questions with one seed; `packed` are the layer costs."""
    torch.set_num_threads(1)
    costs: LayerCosts = pickle.loads(packed)
    found = []
    for one in questions:
        request = CoRequest(table.space, table, costs.hardware, "energy", one.budget, least_accuracy=one.accuracy)
        evaluator = Evaluator(request, costs.for_score(request.score), None)
        with Stopwatch() as watch:
            explore(request, evaluator, "relaxed", seed)
        best = evaluator.best
        energy = best.cost.energy_j if best is not None and best.feasible else None
        found.append(Outcome(one.name, SEARCHED, seed, energy, evaluator.evaluations, watch.cpu_s))
        print(f"seed {seed}, {one.name}: {energy} J, {evaluator.evaluations} pairs, {watch.cpu_s:.0f} s", flush=True)
    return found


def earlier() -> list[Outcome]:
    """What the last run found by `cosearch` itself."""
    return [Outcome(**one) for one in saved_outcomes("nas_arms") if one["arm"] == SEARCHED]


def ratios(outcomes: Sequence[Outcome], arm: str, joint: str) -> list[float]:
    """An arm's energy over that of a joint one, question by question and seed by seed, where both have a pair."""
    of = {(one.question, one.arm, one.seed): one.energy_j for one in outcomes}
    both = [
        (energy, of.get((question, joint, seed)))
        for (question, name, seed), energy in of.items()
        if name == arm and energy is not None
    ]
    return [energy / ours for energy, ours in both if ours is not None]


def one_sided(outcomes: Sequence[Outcome]) -> list[float]:
    """What the joint optimum saves of the mean of the one-sided arms, where both have a pair."""
    of = {(one.question, one.arm, one.seed): one.energy_j for one in outcomes}
    found = []
    for one in outcomes:
        sides = [of[one.question, arm, one.seed] for arm in ONE_SIDED] if one.arm == JOINT else [None]
        if one.energy_j is not None and None not in sides:
            found.append(1 - one.energy_j / mean(side for side in sides if side is not None))
    return found


def row_of(outcomes: Sequence[Outcome], arm: str, joint: str) -> list[Any]:
    """How an arm stands beside a joint one."""
    mine = [one for one in outcomes if one.arm == arm]
    found = ratios(outcomes, arm, joint)
    logs = [log(ratio) for ratio in found]
    tested = any(abs(value) > 1e-12 for value in logs)
    chance = float(wilcoxon(logs, alternative="greater").pvalue) if tested else None
    worse, better = (sum(sign * value > 1e-9 for value in logs) for sign in (1, -1))
    none = sum(one.energy_j is None for one in mine)
    return [arm, len(mine), none, exp(mean(logs)), max(found), worse, len(logs) - worse - better, better, chance]


HEAD = ["arm", "questions x seeds", "none within the limits", "energy over joint's, mean", "worst"]
HEAD += ["worse", "equal", "better", "chance that it is no worse"]


def payload_of(
    questions: Sequence[Question], outcomes: Sequence[Outcome], machines: int, seconds: dict[str, float]
) -> dict[str, Any]:
    """What `save_results` writes."""
    seeds = len({one.seed for one in outcomes if one.arm != SEARCHED})
    runs = [one for one in outcomes if one.arm == SEARCHED]
    tables = [
        {
            "title": f"Beside {joint}, all questions and seeds",
            "head": HEAD,
            "rows": [row_of(outcomes, arm, joint) for arm in (*APART, other) if ratios(outcomes, arm, joint)],
        }
        for joint, other in ((JOINT, SEARCHED), (SEARCHED, JOINT))
        if joint == JOINT or runs
    ]
    head = ["area, latency, accuracy at least", "joint, mJ", *(f"{arm}, over joint" for arm in APART)]
    rows = []
    for one in questions:
        mine = [x for x in outcomes if x.question == one.name]
        best = next(x.energy_j for x in mine if x.arm == JOINT and x.energy_j is not None)
        medians = [median(found) if (found := ratios(mine, arm, JOINT)) else None for arm in APART]
        rows.append([one.name, 1e3 * best, *medians])
    tables.append({"title": "Question by question, medians over seeds", "head": head, "rows": rows})
    strongest = min(APART, key=lambda arm: mean(map(log, ratios(outcomes, arm, JOINT))))
    gain = 1 - exp(-mean(map(log, ratios(outcomes, strongest, JOINT))))
    sided = one_sided(outcomes)
    targets = [
        {"name": f"joint below the strongest arm ({strongest})", "target": "below", "value": f"{gain:.1%}"}
        | {"met": gain > 0},
        {"name": "joint below the mean of the one-sided arms", "target": f"at least {SAVING:.0%}"}
        | {"value": f"{mean(sided):.1%} on average", "met": mean(sided) >= SAVING},
    ]
    if runs:
        off = ratios(outcomes, SEARCHED, JOINT)
        pairs_seen, spent = median(one.evaluations for one in runs), median(one.cpu_s for one in runs)
        targets.append(
            {"name": "cosearch at its defaults over the optimum", "target": None, "met": None}
            | {"value": f"{exp(mean(map(log, off))):.4f}, worst {max(off):.4f}; {pairs_seen:.0f} pairs, {spent:.0f} s"}
        )
    return {
        "title": "Network and accelerator together or apart: exact arms",
        "text": " ".join((__doc__ or "").replace("*", "-").split())
        + f" {machines} machines, {len(questions)} questions, {seeds} seeds. Accuracies are test accuracies.",
        "tables": tables,
        "targets": targets,
        "data": {"seconds": seconds, "outcomes": [asdict(one) for one in outcomes]},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--machines", type=int, default=grid().size, help="of the grid; fewer for a trial")
    parser.add_argument("--passes", type=int, default=2, help="searches of every layer on every machine")
    parser.add_argument("--seeds", type=int, default=30, help="how many, from 1 on")
    parser.add_argument("--searches", type=int, default=30, help="seeds of cosearch itself; 0 leaves it out")
    parser.add_argument("--go-on", action="store_true", help="keep what is saved of cosearch, and run the other seeds")
    parser.add_argument("--jobs", type=int, default=2, help="processes, of one thread each")
    parser.add_argument("--no-save", action="store_true", help="print only")
    options = parser.parse_args()
    torch.set_num_threads(1)
    classes, resolution = DATASETS[DATASET]
    space, hardware = NasBench201(classes, resolution), grid()
    table = TableAccuracy.read(space, TABLE, DATASET)
    machines = machines_of(hardware, options.machines)
    costs = LayerCosts(hardware, Score("edp", Budget(energy_j=1e9, latency_s=1e9), hardware.base.cycle_s))
    with Stopwatch() as filling:
        fill(costs, space, machines, options.passes, options.jobs)
    with Stopwatch() as pricing:
        pairs = AllPairs(space, table, costs, machines)
        questions = questions_of(pairs, pairs.figures(Budget()), hardware.base.cycle_s)
        outcomes = []
        for one in questions:
            board = board_of(pairs, one)
            best = float(board.energy_j.amin())
            for seed in range(1, options.seeds + 1):
                found = {JOINT: best} | board.arms(seed)
                outcomes += [Outcome(one.name, arm, seed, x if x < inf else None) for arm, x in found.items()]
            print(f"{one.name}: joint {best:.4g} J", flush=True)
    packed = pickle.dumps(costs)
    with Stopwatch() as running, ProcessPoolExecutor(options.jobs, mp_context=get_context("spawn")) as pool:
        outcomes += earlier() if options.go_on else []
        known = {one.seed for one in outcomes if one.arm == SEARCHED}
        seeds = [seed for seed in range(1, options.searches + 1) if seed not in known]
        waiting = [pool.submit(searched, table, packed, questions, seed) for seed in seeds]
        outcomes += [one for job in waiting for one in job.result()]
    seconds = {"costs": filling.cpu_s, "pairs": pricing.cpu_s, "searches": running.cpu_s}
    payload = payload_of(questions, outcomes, len(machines), seconds)
    show(payload)
    if not options.no_save:
        print(f"\nwritten to {save_results('nas_arms', payload)}")


if __name__ == "__main__":
    main()
