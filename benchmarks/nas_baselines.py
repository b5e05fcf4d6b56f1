"""Searches for the most accurate network that BOSHNAS is measured against, with so many questions to an oracle."""

from collections import deque
from collections.abc import Callable

import torch
from torch import Tensor

from dlco.nas import Network
from dlco.nas.oracles import Counted
from dlco.nas.oracles.ridge import fit_ridge

POPULATION, TOURNAMENT = 30, 10  # of the evolution
FIRST, ROUND = 10, 4  # of those that learn: networks at random, then so many a round, as BOSHNAS has them
STARTS = 8  # climbs of a ridge a round
MEMBERS, UNITS, STEPS, RATE = 5, 64, 200, 1e-2  # of the ensemble, and of its training
PARENTS, CHILDREN = 10, 100  # of its candidates


def random(oracle: Counted, queries: int, seed: int) -> None:
    """Networks drawn without replacement."""
    generator = torch.Generator().manual_seed(seed)
    while oracle.queries < queries:
        oracle.accuracy(oracle.space.sample(1, generator))


def evolution(oracle: Counted, queries: int, seed: int) -> None:
    """Regularised evolution (Real et al., AAAI 2019): the best of a tournament has a child, the oldest one leaves."""
    generator = torch.Generator().manual_seed(seed)
    alive: deque[tuple[float, Network]] = deque(maxlen=POPULATION)
    for network in oracle.space.sample(POPULATION, generator):
        alive.append((float(oracle.accuracy([network])), network))
    while oracle.queries < queries:
        drawn = torch.randperm(len(alive), generator=generator)[:TOURNAMENT].tolist()
        _, parent = max(alive[i] for i in drawn)
        near = oracle.space.neighbours(parent)
        child = near[int(torch.randint(len(near), (), generator=generator))]
        alive.append((float(oracle.accuracy([child])), child))


def local_search(oracle: Counted, queries: int, seed: int) -> None:
    """To the first neighbour that is better, in random order, until there is none; then from a new place.

    White, Nolen and Savani, "Exploring the loss landscape in neural architecture search", UAI 2021.
    """
    generator = torch.Generator().manual_seed(seed)
    while True:
        (network,) = oracle.space.sample(1, generator)
        best, improved = float(oracle.accuracy([network])), True
        while improved:
            improved = False
            near = oracle.space.neighbours(network)
            for i in torch.randperm(len(near), generator=generator).tolist():
                if oracle.queries >= queries:
                    return
                if (found := float(oracle.accuracy([near[i]]))) > best:
                    network, best, improved = near[i], found, True
                    break


def ridge(oracle: Counted, queries: int, seed: int) -> None:
    """Climbs, from random networks and the best known one, of a ridge on the decisions, fitted anew in every round."""
    generator = torch.Generator().manual_seed(seed)
    known = _first(oracle, generator)
    while oracle.queries < queries:
        encoding = oracle.space.encode(list(known)).double()
        weights, intercept, *_ = fit_ridge(encoding, torch.tensor(list(known.values()), dtype=torch.float64))

        def value(networks: list[Network], weights: Tensor = weights, intercept: Tensor = intercept) -> Tensor:
            return oracle.space.encode(networks).double() @ weights + intercept

        starts = [max(known, key=known.__getitem__), *oracle.space.sample(STARTS, generator)]
        tops = list(dict.fromkeys(_climbed(oracle, start, value) for start in starts))
        near = [network for top in tops for network in (top, *oracle.space.neighbours(top))]
        _ask(oracle, known, [*near, *oracle.space.sample(ROUND, generator)], value, queries)


def bananas(oracle: Counted, queries: int, seed: int) -> None:
    """Children of the best known networks, by Thompson draws from an ensemble of perceptrons.

    White, Neiswanger and Savani, "BANANAS", AAAI 2021, with one-hot decisions instead of paths and smaller networks.
    """
    generator = torch.Generator().manual_seed(seed)
    known = _first(oracle, generator)
    while oracle.queries < queries:
        inputs, targets = oracle.space.encode(list(known)).float(), torch.tensor(list(known.values())).float()
        believed = _ensemble(inputs, (targets - targets.mean()) / targets.std().clamp(min=1e-6), generator)

        def drawn(networks: list[Network], believed: Callable[[Tensor], Tensor] = believed) -> Tensor:
            answers = believed(oracle.space.encode(networks).float())
            return answers.mean(0) + answers.std(0) * torch.randn(answers.shape[1], generator=generator)

        best = sorted(known, key=known.__getitem__, reverse=True)[:PARENTS]
        near = [child for parent in best for child in oracle.space.neighbours(parent)]
        some = [near[i] for i in torch.randperm(len(near), generator=generator)[:CHILDREN].tolist()]
        _ask(oracle, known, [*some, *oracle.space.sample(ROUND, generator)], drawn, queries)


def _first(oracle: Counted, generator: torch.Generator) -> dict[Network, float]:
    """Some networks at random with their accuracies."""
    networks = list(dict.fromkeys(oracle.space.sample(FIRST, generator)))
    return dict(zip(networks, oracle.accuracy(networks).tolist(), strict=True))


def _climbed(oracle: Counted, network: Network, value: Callable[[list[Network]], Tensor]) -> Network:
    """Where steps to the best neighbour end."""
    while True:
        near = [network, *oracle.space.neighbours(network)]
        best = int(value(near).argmax())
        if not best:
            return network
        network = near[best]


def _ask(
    oracle: Counted,
    known: dict[Network, float],
    candidates: list[Network],
    value: Callable[[list[Network]], Tensor],
    queries: int,
) -> None:
    """Ask about the best of the candidates that are not known yet."""
    new = [network for network in dict.fromkeys(candidates) if network not in known]
    if not new:
        return
    order = value(new).argsort(descending=True).tolist()
    chosen = [new[i] for i in order[: min(ROUND, queries - oracle.queries)]]
    known |= zip(chosen, oracle.accuracy(chosen).tolist(), strict=True)


def _ensemble(inputs: Tensor, targets: Tensor, generator: torch.Generator) -> Callable[[Tensor], Tensor]:
    """Perceptrons trained side by side: answers `[members, n]` to inputs `[n, features]`."""
    sizes = [(inputs.shape[1], UNITS), (UNITS, UNITS), (UNITS, 1)]
    weights = [torch.randn(MEMBERS, i, o, generator=generator) * (2 / i) ** 0.5 for i, o in sizes]
    biases = [torch.zeros(MEMBERS, 1, o) for _, o in sizes]
    parts = [part.requires_grad_() for part in (*weights, *biases)]

    def answers(inputs: Tensor) -> Tensor:
        hidden = inputs.expand(MEMBERS, *inputs.shape)
        for number, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
            hidden = torch.baddbmm(bias, hidden.relu() if number else hidden, weight)
        return hidden[..., 0]

    optimiser = torch.optim.AdamW(parts, RATE, weight_decay=0.01, fused=True)
    for _ in range(STEPS):
        optimiser.zero_grad()
        (answers(inputs) - targets).square().mean().backward()
        optimiser.step()
    return lambda inputs: answers(inputs).detach()


BASELINES: dict[str, Callable[[Counted, int, int], None]] = {
    "random": random,
    "regularised evolution": evolution,
    "local search": local_search,
    "ridge": ridge,
    "BANANAS-like": bananas,
}
