"""Least energy at an accuracy: OFA-MobileNetV3 networks and an Eyeriss-like accelerator, chosen together or apart.

Arms, all with the same search method, the same exact layer costs and the same number of evaluations:

* joint: network and machine together;
* fixed hardware: the network alone, on the published Eyeriss-like machine;
* fixed network: the machine alone, for the space's largest network (kernel 7, expansion 6, four blocks a stage), which
  meets every level of accuracy;
* two-stage: half of the evaluations for the network on the published machine, half for a machine for it;
* fixed lean network: the machine alone, for the network of fewest MACs that meets the accuracy (a stronger one-sided
  arm than was asked for; not part of the target).

What a layer costs on a machine is searched once in each process and shared by its seeds, levels and arms; it counts as
an evaluation for whoever asks. At the end the mappings of all winners are searched once more, so that no arm gains by
its place in the order. The fixed network alone is searched for once a seed, as no level changes its question.

Accuracies are those of dlco's predictor for OFA (fitted to measured top-1 at 224x224), not of newly trained networks.
"""

import argparse
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from multiprocessing import get_context
from statistics import mean, stdev
from typing import Any

import torch
from common import Stopwatch, save_results, show

from dlco.design.objective import JOULES
from dlco.hardware import eyeriss_space
from dlco.nas import FactoredSpace, Network
from dlco.nas.accuracy_model import AccuracyModel
from dlco.nas.cosearch import explore
from dlco.nas.evaluator import Evaluator
from dlco.nas.network_ranking import NetworkRanking
from dlco.nas.oracles.ofa import ofa_accuracy
from dlco.nas.request import Candidate, CoRequest
from dlco.search import LayerCosts

LEVELS = (74.0, 75.0, 76.0, 76.5, 77.0)
ARMS = ("joint", "fixed hardware", "fixed network", "two-stage", "fixed lean network")
ONE_SIDED = ("fixed hardware", "fixed network")
SAVING = 0.40
METHOD_OF = {"fixed hardware": "fixed-hardware", "two-stage": "two-stage"}


@dataclass(frozen=True)
class Outcome:
    """One run: the least energy at a level of accuracy, J; None where no pair reached it."""

    arm: str
    level: float
    seed: int
    energy_j: float | None
    accuracy: float
    network: str
    machine: tuple[int, ...]
    evaluations: int
    seconds: float


def largest(space: FactoredSpace) -> Network:
    """Kernel 7 and expansion 6 everywhere, all blocks there."""
    return tuple(decision.options.index("k7e6") for decision in space.decisions)


def leanest(request: CoRequest, seed: int) -> Network:
    """The network of about the fewest MACs that meets the accuracy, by steps on the MAC count."""
    assert isinstance(request.space, FactoredSpace)
    macs = torch.tensor([[float(layer.macs) for layer in request.space.layers]], dtype=torch.float64)
    ranking = NetworkRanking(request, AccuracyModel(request), macs, macs, torch.ones((), dtype=torch.float64))
    generator = torch.Generator().manual_seed(seed)
    starts = [largest(request.space), *request.space.sample(16, generator)]
    return ranking.best_networks(starts, 1, generator)[0]


def runs(seeds: list[int], levels: list[float], arms: list[str], limit: int, predictor: str) -> list[Outcome]:
    """All arms and levels of some seeds; what a layer costs on a machine is searched once for all of them."""
    torch.set_num_threads(1)
    oracle, hardware = ofa_accuracy(predictor), eyeriss_space(wires=False)
    costs = LayerCosts(hardware, CoRequest(oracle.space, oracle, hardware, "energy").score)
    found: list[tuple[Outcome, Candidate]] = []
    for seed in seeds:
        for arm in arms:
            for level in levels:
                request = CoRequest(oracle.space, oracle, hardware, "energy", least_accuracy=level)
                same = [one for one in found if (one[0].arm, one[0].seed) == (arm, seed)]
                if arm == "fixed network" and same and same[0][0].accuracy >= level:
                    found.append((replace(same[0][0], level=level, seconds=0.0), same[0][1]))  # no level matters to it
                    continue
                found.append(one_run(request, costs, arm, level, seed, limit))
    pairs = list(dict.fromkeys(best.pair for _, best in found))
    layers = {pair: oracle.space.to_layers(pair.network) for pair in pairs}
    with Stopwatch() as watch:
        costs.search([(layer.problem, pair.machine) for pair in pairs for layer in layers[pair]], again=True)
        points = costs.networks([layers[pair] for pair in pairs], [pair.machine for pair in pairs])
    print(f"seeds {seeds}: winners searched once more, {watch.cpu_s:.0f} s", flush=True)
    energy_of = {pair: JOULES * point.energy_pj for pair, point in zip(pairs, points, strict=True)}
    return [replace(one, energy_j=energy_of[best.pair] if best.feasible else None) for one, best in found]


def one_run(
    request: CoRequest, costs: LayerCosts, arm: str, level: float, seed: int, limit: int
) -> tuple[Outcome, Candidate]:
    """One arm at one level with one seed."""
    assert isinstance(request.space, FactoredSpace)
    if arm == "fixed network":
        request = request.with_pins(largest(request.space), None)
    if arm == "fixed lean network":
        request = request.with_pins(leanest(request, seed), None)
    evaluator = Evaluator(request, costs, limit)
    before = costs.searches
    with Stopwatch() as watch:
        explore(request, evaluator, METHOD_OF.get(arm, "relaxed"), seed)
    best = evaluator.best
    assert best is not None
    energy = best.cost.energy_j if best.feasible else None
    at = evaluator.improvements[-1].evaluations
    print(
        f"seed {seed}, {level} %, {arm}: {energy} J after {at} pairs, {watch.cpu_s:.0f} s, "
        f"{costs.searches - before} layers searched, machine {best.pair.machine}",
        flush=True,
    )
    name = request.space.format(best.pair.network)
    found = Outcome(
        arm, level, seed, energy, best.accuracy, name, best.pair.machine, evaluator.evaluations, watch.cpu_s
    )
    return found, best


def mean_of(outcomes: list[Outcome], arm: str, level: float) -> float | None:
    """Mean energy of an arm's seeds, mJ; None where one of them failed."""
    values = [one.energy_j for one in outcomes if one.arm == arm and one.level == level]
    return None if not values or None in values else 1e3 * mean(v for v in values if v is not None)


def payload_of(outcomes: list[Outcome], arms: list[str], limit: int, predictor: str, wall_s: float) -> dict[str, Any]:
    """What `save_results` writes."""
    levels = sorted({one.level for one in outcomes})
    rows, savings = [], []
    for level in levels:
        means = {arm: mean_of(outcomes, arm, level) for arm in arms}
        joint = [1e3 * one.energy_j for one in outcomes if one.arm == "joint" and one.level == level and one.energy_j]
        spread = stdev(joint) if len(joint) > 1 else None
        one_sided = [means.get(arm) for arm in ONE_SIDED]
        saving = None
        if means.get("joint") is not None and None not in one_sided:
            saving = 1 - means["joint"] / mean(one_sided)  # type: ignore[operator, type-var]
            savings.append(saving)
        against = {arm: 1 - means["joint"] / means[arm] if means.get("joint") and means[arm] else None for arm in arms}  # type: ignore[operator]
        shown = [None if against[arm] is None else f"{against[arm]:.1%}" for arm in arms if arm != "joint"]
        rows.append([f"{level:g} %", *means.values(), spread, *shown, None if saving is None else f"{saving:.1%}"])
    head = ["top-1 at least", *(f"{arm}, mJ" for arm in arms), "joint's deviation"]
    head += [*(f"saved against {arm}" for arm in arms if arm != "joint"), "against the one-sided mean"]
    value = f"{mean(savings):.1%} on average, {min(savings):.1%} at least" if savings else None
    seeds = len({one.seed for one in outcomes})
    return {
        "title": "Least energy at an accuracy: network and accelerator together or apart",
        "text": (
            f"OFA-MobileNetV3 at 224x224, batch 1, on the Eyeriss-like space without further limits; top-1 by dlco's "
            f"{predictor} predictor. {seeds} seeds, {limit} evaluations a run; energies are the exact model's, means "
            "over the seeds. One-sided: the network on the published machine, and the machine for the space's largest "
            "network; the machine for the network of fewest MACs is a further, stronger arm."
        ),
        "tables": [{"title": "Energy an image", "head": head, "rows": rows}],
        "targets": [
            {
                "name": "joint below the mean of the one-sided arms",
                "target": f"at least {SAVING:.0%}",
                "value": value,
                "met": mean(savings) >= SAVING if savings else None,
            }
        ],
        "data": {"wall_s": wall_s, "outcomes": [asdict(one) for one in outcomes]},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--levels", nargs="+", type=float, default=list(LEVELS))
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=list(ARMS))
    parser.add_argument("--seeds", type=int, default=10, help="how many, from 1 on")
    parser.add_argument("--evaluations", type=int, default=60, help="pairs a run may evaluate")
    parser.add_argument("--predictor", choices=("ridge", "ensemble"), default="ensemble")
    parser.add_argument("--jobs", type=int, default=2, help="processes, of one thread each")
    parser.add_argument("--no-save", action="store_true", help="print only")
    options = parser.parse_args()
    with Stopwatch() as watch, ProcessPoolExecutor(options.jobs, mp_context=get_context("spawn")) as pool:
        waiting = [
            pool.submit(runs, seeds, options.levels, options.arms, options.evaluations, options.predictor)
            for job in range(options.jobs)
            if (seeds := list(range(1, options.seeds + 1))[job :: options.jobs])
        ]
        outcomes = [one for job in waiting for one in job.result()]
    payload = payload_of(outcomes, options.arms, options.evaluations, options.predictor, watch.wall_s)
    show(payload)
    if not options.no_save:
        print(f"\nwritten to {save_results('nas_energy', payload)}")


if __name__ == "__main__":
    main()
