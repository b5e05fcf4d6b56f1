"""BOSHCODE: a surrogate of the pairs' merits, and second-order steps on its inputs (`dlco.nas.surrogate`).

Tuli, Li, Sharma and Jha, "CODEBench", ACM TECS 2023 (arXiv:2212.03965). What is learned is the order of the merits, so
that limits are learned with them: pairs that break one rank behind all that keep them. Works on every space.
"""

import torch

from dlco.nas.evaluator import Evaluator
from dlco.nas.request import CoRequest
from dlco.nas.surrogate.designs import pairs_of
from dlco.nas.surrogate.proposer import Proposer, Settings, round_size

SETTINGS = Settings()


def search(request: CoRequest, evaluator: Evaluator, seed: int) -> None:
    """Rounds of proposals until the evaluator has enough, or nothing is left to propose."""
    generator = torch.Generator().manual_seed(seed)
    proposer = Proposer(pairs_of(request, generator), SETTINGS, generator)
    size = round_size(evaluator.left)
    while pairs := proposer.ask(size):
        proposer.tell(pairs, [candidate.merit for candidate in evaluator.evaluate(pairs)])
