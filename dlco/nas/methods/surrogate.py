"""BOSHCODE: a surrogate of the pairs' merits, and second-order steps on its inputs (`dlco.nas.surrogate`).

Tuli, Li, Sharma and Jha, "CODEBench", ACM TECS 2023 (arXiv:2212.03965). With dlco's settings the order of the merits is
learned, so that limits are learned with them: pairs that break one rank behind all that keep them. As published a
convex sum of measures is learned, which knows no limits; the evaluator keeps to them all the same. Any space will do.
"""

from collections.abc import Callable, Sequence

import torch

from dlco.design.budget import Budget
from dlco.design.network_cost import NetworkCost
from dlco.design.weighted_sum import WeightedSum
from dlco.nas.evaluator import Evaluator
from dlco.nas.request import Candidate, CoRequest
from dlco.nas.surrogate.designs import pairs_of
from dlco.nas.surrogate.proposer import PUBLISHED, Proposer, Settings, round_size

WEIGHTS = {"accuracy": 0.4, "latency": 0.2, "area": 0.1, "energy": 0.5}
"""Of the published sum (the authors' driver): validation and test accuracy 0.2 each, latency 0.2, area 0.1, dynamic
energy 0.2 and leakage 0.3."""


def search(request: CoRequest, evaluator: Evaluator, seed: int) -> None:
    """With dlco's settings."""
    _rounds(request, evaluator, seed, Settings(), lambda found: [one.merit for one in found])


def published(request: CoRequest, evaluator: Evaluator, seed: int) -> None:
    """As published, a branch each for networks and machines included."""
    _rounds(request, evaluator, seed, PUBLISHED, ConvexSum(request))


class ConvexSum:
    """What BOSHCODE minimises: the objective where that is a weighted sum, else the published one.

    That one divides costs by the limits; where there is none, by the largest of the first candidates asked about.

    Args:
        request: with the limits.
    """

    def __init__(self, request: CoRequest) -> None:
        self.request = request
        self.sum = request.weights

    def __call__(self, candidates: Sequence[Candidate]) -> list[float]:
        """Of each candidate, lower is better."""
        if not candidates:
            return []
        if self.sum is None:
            self.sum = WeightedSum(**WEIGHTS, of=self._largest([one.cost for one in candidates]))
        return [self.sum.of_pair(one.accuracy, one.cost) for one in candidates]

    def _largest(self, costs: Sequence[NetworkCost]) -> Budget:
        """What costs are divided by: the limits, or else the largest of these."""
        most = {name: max(getattr(cost, name) for cost in costs) for name in ("latency_s", "energy_j", "area_mm2")}
        return Budget(**most | {name: limit for name, limit in self.request.budget.limits.items() if name in most})


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
