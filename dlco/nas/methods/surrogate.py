"""BOSHCODE: a surrogate of the pairs' merits, and second-order steps on its inputs (`dlco.nas.surrogate`).

Tuli, Li, Sharma and Jha, "CODEBench", ACM TECS 2023 (arXiv:2212.03965). With dlco's settings the order of the merits is
learned, so that limits are learned with them: pairs that break one rank behind all that keep them. As published a
convex sum of measures is learned, which knows no limits; the evaluator keeps to them all the same. Any space will do.
"""

from collections.abc import Callable, Sequence

import torch

from dlco.nas.evaluator import Evaluator
from dlco.nas.request import Candidate, CoRequest
from dlco.nas.surrogate.designs import pairs_of
from dlco.nas.surrogate.proposer import PUBLISHED, Proposer, Settings, round_size

WEIGHTS = {"accuracy": 0.4, "latency_s": 0.2, "area_mm2": 0.1, "energy_j": 0.5}
"""Of the published sum (the authors' driver): validation and test accuracy 0.2 each, latency 0.2, area 0.1, dynamic
energy 0.2 and leakage 0.3; here divided by their sum."""


def search(request: CoRequest, evaluator: Evaluator, seed: int) -> None:
    """With dlco's settings."""
    _rounds(request, evaluator, seed, Settings(), lambda found: [one.merit for one in found])


def published(request: CoRequest, evaluator: Evaluator, seed: int) -> None:
    """As published, a branch each for networks and machines included."""
    _rounds(request, evaluator, seed, PUBLISHED, ConvexSum(request))


class ConvexSum:
    """What BOSHCODE minimises: a weighted mean of 1 - accuracy and of measures over their largest values.

    The largest is the limit where there is one, else that of the first candidates asked about.

    Args:
        request: with the limits.
    """

    def __init__(self, request: CoRequest) -> None:
        self.largest = {name: limit for name, limit in request.budget.limits.items() if name in WEIGHTS}

    def __call__(self, candidates: Sequence[Candidate]) -> list[float]:
        """Of each candidate, lower is better."""
        for name in WEIGHTS:
            if name != "accuracy" and candidates:
                self.largest.setdefault(name, max(float(getattr(one.cost, name)) for one in candidates))
        return [self._of(one) for one in candidates]

    def _of(self, candidate: Candidate) -> float:
        shares = {name: getattr(candidate.cost, name) / largest for name, largest in self.largest.items()}
        shares["accuracy"] = 1 - candidate.accuracy / 100
        return sum(WEIGHTS[name] * share for name, share in shares.items()) / sum(WEIGHTS.values())


def _rounds(
    request: CoRequest,
    evaluator: Evaluator,
    seed: int,
    settings: Settings,
    merits: Callable[[Sequence[Candidate]], list[float]],
) -> None:
    """Rounds of proposals until the evaluator has enough, or nothing is left to propose."""
    generator = torch.Generator().manual_seed(seed)
    proposer = Proposer(pairs_of(request, generator), settings, generator)
    size = round_size(evaluator.left)
    while pairs := proposer.ask(size):
        proposer.tell(pairs, merits(evaluator.evaluate(pairs)))
