"""What the relaxed problem is worth to `solve` on spaces of machines: without it, and from several starts of it.

Every question goes to `solve` at its default effort, once with each number of starts of the relaxed problem (0: none
is solved, and the search begins at random). Each run is ended after the same CPU seconds; the best design within the
limits that it had after 2.5, 5 and 10 of them counts. Questions are least EDP within an area, of several networks on
several spaces, and the three of codesign.py.
"""

import argparse
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import cache
from math import exp, log
from multiprocessing import get_context
from statistics import median
from typing import Any

import torch
from codesign import LIMITS, budget_of, published
from common import finished, save_results, show

import dlco
from dlco import Budget, Progress, SolveEffort
from dlco.hardware import get_hardware

SPACES = ("eyeriss", "generic", "gemmini")
NETWORKS = ("resnet18", "mobilenet_v2", "bert_base_block")
AREAS = (1.0, 3.0)  # limits, times the area of the space's preset
STARTS = (0, 1, 4)  # none; one; and `SolveEffort`'s default
SECONDS = (2.5, 5.0, 10.0)
QUICK = {"spaces": ["eyeriss"], "networks": ["bert_base_block"], "areas": [1.0], "codesign": False, "seeds": 1}


@dataclass(frozen=True)
class Question:
    """What `solve` is asked.

    Attributes:
        space, network: by name.
        objective: what is least.
        limits: of the budget, by name.
        within: the limits in words.
    """

    space: str
    network: str
    objective: str
    limits: tuple[tuple[str, float], ...]
    within: str

    @property
    def name(self) -> str:
        """All of it in words."""
        return f"{self.network} on {self.space}, {self.objective} within {self.within}"


@dataclass(frozen=True)
class Outcome:
    """What one run found.

    Attributes:
        question, starts, seed: which run.
        seconds: CPU seconds that it took.
        ended: whether it came to its end before it was ended.
        trace: (CPU seconds, value) of each better design within the limits, as `NetworkCost.objective`.
    """

    question: str
    starts: int
    seed: int
    seconds: float
    ended: bool
    trace: list[tuple[float, float]]

    def value(self, seconds: float) -> float | None:
        """Of the best design within the limits after so many CPU seconds; None before the first."""
        return next((value for at, value in reversed(self.trace) if at <= seconds), None)


@cache
def published_figures() -> dict[str, float]:
    """The limits of codesign.py."""
    return published()


def questions(spaces: Sequence[str], networks: Sequence[str], areas: Sequence[float], codesign: bool) -> list[Question]:
    """Least EDP of every network on every space within the first area, of the first network within the others too.

    And the questions of codesign.py, where they are asked for.
    """
    found = []
    for space in spaces:
        for share in areas:
            limit = share * get_hardware(space, wires=False).area_mm2
            words = f"{limit:.3g} mm2 ({share:g} times the preset's)"
            some = networks if share == areas[0] else networks[:1]
            found += [Question(space, network, "edp", (("area_mm2", limit),), words) for network in some]
    for arm in LIMITS if codesign else ():
        limits = tuple(budget_of(arm, published_figures()).limits.items())
        words = " and ".join(name.split("_")[0] for name, _ in limits)
        found.append(Question("eyeriss", "resnet18", arm, limits, f"the published machine's {words}"))
    return found


def effort_of(starts: int, generations: int | None) -> SolveEffort:
    """The default effort with so many starts, and with so many generations of machines where that is not None."""
    effort = SolveEffort(starts=starts)
    if generations is None:
        return effort
    return replace(effort, evolution=replace(effort.evolution, generations=generations))


def answer(question: Question, effort: SolveEffort, seed: int, seconds: float) -> Outcome:
    """One run, ended after so many CPU seconds."""
    torch.set_num_threads(1)
    trace: list[tuple[float, float]] = []
    started = time.process_time()

    def note(progress: Progress) -> None:
        now = time.process_time() - started
        if progress.best is not None and (not trace or progress.best < trace[-1][1]):
            trace.append((now, progress.best))
        if now > seconds:
            raise KeyboardInterrupt  # as Ctrl-C does: `solve` returns the best design so far

    budget = replace(Budget(), **dict(question.limits))  # type: ignore[arg-type]
    found = dlco.solve(
        dlco.networks.get_network(question.network),
        get_hardware(question.space, space=True, wires=False),
        question.objective,
        budget,
        seed=seed,
        bound=False,
        progress=note,
        effort=effort,
    )
    spent = time.process_time() - started
    if found.status == "solved" and (not trace or found.value < trace[-1][1]):
        trace.append((spent, found.value))
    return Outcome(question.name, effort.starts, seed, spent, found.status != "interrupted", trace)


def geometric_mean(ratios: Sequence[float]) -> float | None:
    """Of what there is."""
    return exp(sum(map(log, ratios)) / len(ratios)) if ratios else None


@dataclass(frozen=True)
class Beside:
    """Two arms of one question after some seconds, seed by seed.

    Attributes:
        ratios: the value without the relaxed problem over that with it, where both have a design.
        only: how many seeds have a design (with it alone, without it alone).
        medians: of the values (without, with), None where fewer than half have one.
    """

    ratios: list[float]
    only: tuple[int, int]
    medians: tuple[float | None, float | None]

    @staticmethod
    def of(without: Sequence[Outcome], using: Sequence[Outcome], seconds: float) -> "Beside":
        """From the runs of two arms, of the same seeds in the same order."""
        pairs = [(a.value(seconds), b.value(seconds)) for a, b in zip(without, using, strict=True)]
        ratios = [a / b for a, b in pairs if a is not None and b is not None]
        only = sum(a is None and b is not None for a, b in pairs), sum(b is None and a is not None for a, b in pairs)
        middle = []
        for side in zip(*pairs, strict=True):
            there = [value for value in side if value is not None]
            middle.append(median(there) if 2 * len(there) >= len(side) else None)
        return Beside(ratios, only, (middle[0], middle[1]))


def payload_of(
    outcomes: Sequence[Outcome], checkpoints: Sequence[float], generations: int | None = None
) -> dict[str, Any]:
    """What `save_results` writes."""
    by_arm: dict[tuple[str, int], dict[int, Outcome]] = {}
    for one in outcomes:
        by_arm.setdefault((one.question, one.starts), {})[one.seed] = one
    arms = sorted({one.starts for one in outcomes} - {0})
    names = list(dict.fromkeys(one.question for one in outcomes))
    tables, targets, data = [], [], []
    for starts in arms:
        rows, all_beside = [], {seconds: [] for seconds in checkpoints}
        for name in names:
            both = by_arm.get((name, 0), {}), by_arm.get((name, starts), {})
            seeds = sorted(both[0].keys() & both[1].keys())
            if not seeds:
                continue
            row: list[object] = [name, len(seeds)]
            for seconds in checkpoints:
                one = Beside.of(*([side[seed] for seed in seeds] for side in both), seconds)
                all_beside[seconds].append(one)
                row += [*one.medians, geometric_mean(one.ratios)]
            rows.append(row)
        head = ["question", "seeds"]
        for seconds in checkpoints:
            head += [f"without, {seconds:g} s", f"{starts} starts, {seconds:g} s", f"ratio, {seconds:g} s"]
        title = f"Without the relaxed problem, and from {starts} starts of it"
        tables.append({"title": title, "head": head, "rows": rows})
        totals = [_total(seconds, all_beside[seconds]) for seconds in checkpoints]
        head = ["CPU s", "ratio", "least", "most", "both found", "lower with it", "lower without it"]
        head += ["found with it only", "found without it only"]
        tables.insert(0, {"title": f"All questions and seeds, {starts} starts", "head": head, "rows": totals})
        for seconds, total in zip(checkpoints, totals, strict=True):
            won, lost = total[5] + total[7], total[6] + total[8]
            targets.append(
                {
                    "name": f"questions and seeds won with {starts} starts of the relaxed problem, {seconds:g} CPU s",
                    "target": "more than lost",
                    "value": f"{won}, {lost} lost",
                    "met": won > lost if won + lost else None,
                }
            )
        data += [{"starts": starts, "seconds": s, "total": t} for s, t in zip(checkpoints, totals, strict=True)]
    return {
        "title": "What the relaxed problem is worth",
        "text": (
            "`solve` on spaces of machines at its default effort"
            + ("" if generations is None else f" but for {generations} generations of machines at most")
            + ", without the relaxed problem (the search begins at "
            "random) and from several starts of it, ended after the same CPU seconds of one thread, those of the "
            "relaxed problem included. Values are medians over seeds of the best design within the limits at that "
            "time (EDP in pJ x cycles, latency in s, power in W, area in mm2), a dash where most seeds had none yet; "
            "ratios are geometric means over seeds, above 1 in favour of the relaxed problem, where both have a design."
            " Where one side alone has a design, it has won."
        ),
        "targets": targets,
        "tables": tables,
        "data": {"totals": data, "outcomes": [asdict(one) for one in outcomes]},
    }


def _total(seconds: float, beside: Sequence[Beside]) -> list[Any]:
    """A row of all questions."""
    ratios = [ratio for one in beside for ratio in one.ratios]
    only = [sum(one.only[i] for one in beside) for i in (0, 1)]
    lower = [sum(ratio > 1 + 1e-9 for ratio in ratios), sum(ratio < 1 - 1e-9 for ratio in ratios)]
    ends = (min(ratios), max(ratios)) if ratios else (None, None)
    return [seconds, geometric_mean(ratios), *ends, len(ratios), *lower, *only]


def kept(question: Question, starts: int, seed: int, seconds: float, generations: int | None, resume: bool) -> Outcome:
    """One run, or what an earlier one with the same arguments kept."""
    words = "".join(x if x.isalnum() else "-" for x in question.name)
    some = "" if generations is None else f"-{generations}generations"
    path = f"ablation/{words}-{starts}-{seed}-{seconds:g}{some}"
    effort = effort_of(starts, generations)
    return Outcome(**finished(path, lambda: asdict(answer(question, effort, seed, seconds)), resume))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--spaces", nargs="+", default=list(SPACES))
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS))
    parser.add_argument("--areas", nargs="+", type=float, default=list(AREAS), help="limits, times the preset's area")
    parser.add_argument("--no-codesign", dest="codesign", action="store_false", help="leave codesign.py's out")
    parser.add_argument("--starts", nargs="+", type=int, default=list(STARTS))
    parser.add_argument("--seeds", type=int, default=5, help="how many, from 1 on")
    parser.add_argument("--seconds", nargs="+", type=float, default=list(SECONDS), help="CPU seconds to compare at")
    parser.add_argument("--generations", type=int, help="of machines at most; 0 leaves them out of all arms")
    parser.add_argument("--jobs", type=int, default=1, help="processes, of one thread each")
    parser.add_argument("--quick", action="store_true", help="one question and seed, to see that it runs")
    parser.add_argument("--resume", action="store_true", help="go on with what an earlier run of these arguments kept")
    parser.add_argument("--save", action="store_true", help="keep the results")
    options = parser.parse_args()
    if options.quick:
        vars(options).update(QUICK)
    asked = questions(options.spaces, options.networks, options.areas, options.codesign)
    seconds = max(options.seconds)
    runs = [(q, n, seed) for seed in range(1, options.seeds + 1) for q in asked for n in options.starts]
    outcomes = []
    with ProcessPoolExecutor(options.jobs, mp_context=get_context("spawn")) as pool:
        waiting = [pool.submit(kept, *run, seconds, options.generations, options.resume) for run in runs]
        for done, job in enumerate(waiting, 1):
            one = job.result()
            outcomes.append(one)
            last = f"{one.trace[-1][1]:.5g}" if one.trace else "none"
            print(f"{done} of {len(runs)}: {one.question}, {one.starts} starts, seed {one.seed}: {last}", flush=True)
    payload = payload_of(outcomes, options.seconds, options.generations)
    show(payload)
    if options.save:
        print(f"\nwritten to {save_results('ablation', payload)}")


if __name__ == "__main__":
    main()
