"""What a co-search was asked for, in a form by which a checkpoint knows its own run again."""

import torch

from dlco.nas.oracles.accuracy import DifferentiableAccuracy
from dlco.nas.request import CoRequest
from dlco.search import LayerCosts

PROBES = 3  # networks by which spaces and oracles are told apart


def identity(request: CoRequest, costs: LayerCosts, *arguments: object) -> tuple[object, ...]:
    """All that decides a run, for `dlco.journal.fingerprint`.

    Spaces and oracles are no data, so some networks stand for them: how a space writes them and which layers they
    have; what an oracle with a gradient says of them (to six digits, as another processor may round differently).
    What any other oracle would say is not asked for, as that may take a training run: only its class is compared.

    Args:
        request: the question.
        costs: as they are before the run.
        arguments: whatever else the answer depends on.
    """
    space, oracle = request.space, request.oracle
    probes = space.sample(PROBES, torch.Generator().manual_seed(0))
    networks = [(space.format(network), space.to_layers(network)) for network in probes]
    answers: list[str] = []
    if isinstance(oracle, DifferentiableAccuracy):
        with torch.no_grad():
            answers = [f"{answer:.6g}" for answer in oracle.accuracy_of_encoding(space.encode(probes)).tolist()]
    return (
        (space.name, space.decisions, networks),
        (type(oracle).__qualname__, answers),
        (request.objective, request.budget, request.least_accuracy, request.network, request.machine),
        costs.state,
        arguments,
    )
