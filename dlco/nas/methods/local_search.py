"""Local search over pairs: steps of the network, of the machine, and of both, from the best pair so far."""

from collections.abc import Sequence
from typing import Any

import torch

from dlco.nas.evaluator import Evaluator
from dlco.nas.problem import Candidate, CoProblem, Pair

BATCH = 16  # pairs evaluated together
RANDOM = 16  # pairs at random before the first step, and at each restart
LONGEST = 4  # changes at most from a pair to the next where no single change helps


def search(problem: CoProblem, evaluator: Evaluator, seed: int) -> None:
    """Random pairs, then steps from the best of them; where none helps, random pairs again."""
    generator = torch.Generator().manual_seed(seed)
    while True:
        networks = problem.sample_networks(RANDOM, generator)
        machines = problem.sample_machines(RANDOM, generator)
        pairs = [Pair(n, m) for n, m in zip(networks, machines, strict=True)]
        descend(problem, evaluator, min(evaluator.evaluate(pairs), key=_merit), generator)


def descend(problem: CoProblem, evaluator: Evaluator, best: Candidate, generator: torch.Generator) -> Candidate:
    """Steps from a candidate while they help: first single changes, all of them in random order, then longer ones."""
    while True:
        found = first_better(evaluator, best, _shuffled(single_steps(problem, best.pair), generator))
        if found is None:
            longer = [walk(problem, best.pair, 2 + i % (LONGEST - 1), generator) for i in range(2 * BATCH)]
            found = first_better(evaluator, best, longer)
        if found is None:
            return best
        best = found


def single_steps(problem: CoProblem, pair: Pair) -> list[Pair]:
    """All pairs one change away."""
    networks = [Pair(network, pair.machine) for network in problem.neighbour_networks(pair.network)]
    return networks + [Pair(pair.network, machine) for machine in problem.neighbour_machines(pair.machine)]


def first_better(evaluator: Evaluator, best: Candidate, pairs: Sequence[Pair]) -> Candidate | None:
    """The best of the first batch of pairs that holds one better than `best`, or None."""
    for first in range(0, len(pairs), BATCH):
        found = min(evaluator.evaluate(pairs[first : first + BATCH]), key=_merit)
        if found.merit < best.merit:
            return found
    return None


def walk(problem: CoProblem, pair: Pair, changes: int, generator: torch.Generator) -> Pair:
    """A pair some random changes away, of the network and of the machine alike."""
    for _ in range(changes):
        networks, machines = problem.neighbour_networks(pair.network), problem.neighbour_machines(pair.machine)
        options: list[list[Any]] = [side for side in (networks, machines) if side]
        if not options:
            break
        side = options[int(torch.randint(len(options), (), generator=generator))]
        chosen = side[int(torch.randint(len(side), (), generator=generator))]
        pair = Pair(chosen, pair.machine) if side is networks else Pair(pair.network, chosen)
    return pair


def _shuffled(pairs: Sequence[Pair], generator: torch.Generator) -> list[Any]:
    return [pairs[i] for i in torch.randperm(len(pairs), generator=generator).tolist()]


def _merit(candidate: Candidate) -> float:
    return candidate.merit
