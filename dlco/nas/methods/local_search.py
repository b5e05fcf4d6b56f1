"""Local search over pairs: steps of the network, of the machine, and of both, from the best pair so far."""

from collections.abc import Sequence
from typing import Any

import torch

from dlco.nas.draws import draw
from dlco.nas.evaluator import Evaluator
from dlco.nas.request import Candidate, CoRequest, Pair

BATCH = 16  # pairs evaluated together
RANDOM = 16  # pairs at random before the first step, and at each restart
LONGEST = 4  # changes at most from a pair to the next where no single change helps


def search(request: CoRequest, evaluator: Evaluator, seed: int) -> None:
    """Random pairs, then steps from the best of them; where none helps, random pairs again."""
    generator = torch.Generator().manual_seed(seed)
    while True:
        drawn = evaluator.evaluate(request.sample_pairs(RANDOM, generator))
        descend(request, evaluator, min(drawn, key=_merit), generator)


def descend(request: CoRequest, evaluator: Evaluator, best: Candidate, generator: torch.Generator) -> Candidate:
    """Steps from a candidate while they help: first single changes, all of them in random order, then longer ones."""
    while True:
        found = first_better(evaluator, best, draw(single_steps(request, best.pair), generator))
        if found is None:
            longer = [walk(request, best.pair, 2 + i % (LONGEST - 1), generator) for i in range(2 * BATCH)]
            found = first_better(evaluator, best, longer)
        if found is None:
            return best
        best = found


def single_steps(request: CoRequest, pair: Pair) -> list[Pair]:
    """All pairs one change away."""
    networks = [Pair(network, pair.machine) for network in request.neighbour_networks(pair.network)]
    return networks + [Pair(pair.network, machine) for machine in request.neighbour_machines(pair.machine)]


def first_better(evaluator: Evaluator, best: Candidate, pairs: Sequence[Pair]) -> Candidate | None:
    """The best of the first batch of pairs that holds one better than `best`, or None."""
    for first in range(0, len(pairs), BATCH):
        found = min(evaluator.evaluate(pairs[first : first + BATCH]), key=_merit)
        if found.merit < best.merit:
            return found
    return None


def walk(request: CoRequest, pair: Pair, changes: int, generator: torch.Generator) -> Pair:
    """A pair some random changes away, of the network and of the machine alike."""
    for _ in range(changes):
        networks, machines = request.neighbour_networks(pair.network), request.neighbour_machines(pair.machine)
        options: list[list[Any]] = [side for side in (networks, machines) if side]
        if not options:
            break
        side = options[int(torch.randint(len(options), (), generator=generator))]
        chosen = side[int(torch.randint(len(side), (), generator=generator))]
        pair = Pair(chosen, pair.machine) if side is networks else Pair(pair.network, chosen)
    return pair


def _merit(candidate: Candidate) -> float:
    return candidate.merit
