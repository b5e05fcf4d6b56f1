"""`Listed`: all networks of a small space, ranked at once."""

from collections.abc import Callable

import torch
from torch import Tensor

from dlco.nas.accuracy_model import AccuracyModel
from dlco.nas.network_ranking import NetworkRanking
from dlco.nas.space import FactoredSpace, Network


class Listed:
    """The networks of a space with what ranking them takes, worked out once.

    Attributes:
        networks: all of them; `counts` `[n, layers]` and `encoding` `[n, features]` theirs.
    """

    def __init__(self, space: FactoredSpace) -> None:
        self.networks = list(space.networks())
        self.counts, self.encoding = space.counts(self.networks), space.encode(self.networks)
        self._index = {network: at for at, network in enumerate(self.networks)}
        self._predicted: tuple[int, Tensor] | None = None

    def best(
        self, ranking: NetworkRanking, n: int, skip: Callable[[Network], bool]
    ) -> tuple[list[Network], list[float]]:
        """The `n` that rank best but those to `skip`, and what they rank by."""
        accuracies, known = self._accuracies(ranking.accuracy)
        merits = ranking.merits_of(accuracies, known, ranking.scores_of(self.counts))
        networks: list[Network] = []
        values: list[float] = []
        for at in merits.argsort(stable=True).tolist():
            if len(networks) == n:
                break
            if not skip(self.networks[at]):
                networks.append(self.networks[at])
                values.append(float(merits[at]))
        return networks, values

    def _accuracies(self, model: AccuracyModel) -> tuple[Tensor, Tensor]:
        """(percent, whether it is known), `[n]` each, as `AccuracyModel.of_networks` has it."""
        if self._predicted is None or self._predicted[0] != model.fits:
            with torch.no_grad():
                self._predicted = model.fits, model(self.encoding)
        accuracies, known = self._predicted[1].clone(), torch.zeros(len(self.networks), dtype=torch.bool)
        at = [self._index[network] for network in model.known]
        accuracies[at] = torch.tensor(list(model.known.values()), dtype=accuracies.dtype)
        known[at] = True
        return accuracies, known
