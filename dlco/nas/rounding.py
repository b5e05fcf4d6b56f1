"""Networks near probabilities of their options."""

from collections.abc import Sequence

import torch
from torch import Tensor

from dlco.nas.space import FactoredSpace, Network


def round_network(
    space: FactoredSpace, probabilities: Tensor, copies: int, generator: torch.Generator
) -> list[Network]:
    """Networks near probabilities `[features]`, each once: the likeliest options first, then draws.

    Where those make no network of the space, a valid one near them.
    """
    parts = space.split(probabilities)
    found: list[Network] = []
    for copy in range(copies):
        noise = [-(-torch.rand(len(p), generator=generator, dtype=p.dtype).log()).log() if copy else 0.0 for p in parts]
        scores = [p.clamp(min=1e-9).log() + n for p, n in zip(parts, noise, strict=True)]  # Gumbel: draws from p
        network = tuple(int(score.argmax()) for score in scores)
        if not space.is_valid(network):
            network = _nearest_valid(space, scores, generator)
        found.append(network)
    return list(dict.fromkeys(found))


def _nearest_valid(space: FactoredSpace, scores: Sequence[Tensor], generator: torch.Generator) -> Network:
    """The valid network of high score: the best of some samples, then single changes while they help."""

    def total(network: Network) -> float:
        return sum(float(score[option]) for score, option in zip(scores, network, strict=True))

    best = max(space.sample(16, generator), key=total)
    while True:
        better = max(space.neighbours(best), key=total, default=best)
        if total(better) <= total(best):
            return best
        best = better
