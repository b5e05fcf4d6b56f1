"""`NetworkRanking`: networks ranked without evaluating them, from costs of layers and an accuracy predicted or known.

On a machine whose layers' costs are known, a network's cost is its layer counts times a vector, so thousands of
networks are ranked at once; `best_networks` steps from some of them to those that the model likes best. What it ranks
is a model: accuracies may be predicted, and all layers of a network share one price of time. The evaluator has the
last word.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from dlco.nas.accuracy_model import AccuracyModel
from dlco.nas.request import CoRequest
from dlco.nas.space import FactoredSpace, Network
from dlco.search import LayerCosts, MachineIndex, rates_of

PRICES = (0.0, 0.1, 0.3, 1.0, 3.0, 10.0, 1e4)  # of a cycle, as multiples of what a busy one costs
BEAM, MUTANTS, ROUNDS, STALE = 8, 192, 30, 2  # of the steps on the model


@dataclass(frozen=True)
class NetworkRanking:
    """Networks on one machine.

    Attributes:
        request: what ranks them; its space is factored.
        accuracy: of networks.
        energy_pj, cycles: of each of the space's layers, at several prices of time: `[prices, layers]`.
        area_mm2: of the machine.
        known_best: the score of the best pair so far, where accuracies that are only predicted are to keep a limit:
            then networks rank by how much better they are likely to be.
    """

    request: CoRequest
    accuracy: AccuracyModel
    energy_pj: Tensor
    cycles: Tensor
    area_mm2: Tensor
    known_best: float | None = None

    @staticmethod
    def on(request: CoRequest, accuracy: AccuracyModel, costs: LayerCosts, machine: MachineIndex) -> "NetworkRanking":
        """The ranking on a machine on which all layers have been searched."""
        built = costs.build([machine])
        rate = float(rates_of(built)[0])
        energy, cycles = [], []
        assert isinstance(request.space, FactoredSpace)
        for layer in request.space.layers:
            points = costs.points(layer, machine)
            merit = points.energy_pj + rate * torch.tensor(PRICES, dtype=torch.float64)[:, None] * points.cycles
            pick = merit.argmin(-1)
            energy.append(points.energy_pj[pick])
            cycles.append(points.cycles[pick])
        return NetworkRanking(request, accuracy, torch.stack(energy, 1), torch.stack(cycles, 1), built.area_mm2[0])

    @property
    def space(self) -> FactoredSpace:
        """The networks."""
        assert isinstance(self.request.space, FactoredSpace)
        return self.request.space

    def merits(self, networks: Sequence[Network]) -> Tensor:
        """What the networks rank by, `[n]`, lower is better; as `CoRequest.merit` does, on these figures."""
        known = torch.tensor([network in self.accuracy.known for network in networks])
        return self.merits_of(self.accuracy.of_networks(networks), known, self.scores(networks))

    def merits_of(self, accuracies: Tensor, known: Tensor, scores: Tensor) -> Tensor:
        """The same of accuracies, whether they are known, and scores, `[n]` each.

        The expected improvement within a limit (Gardner et al., ICML 2014), below zero, is by how much the score would
        fall times the chance that the accuracy keeps its limit, predictions being off as a normal distribution has it.
        """
        if self.known_best is None:
            return self.request.merit(accuracies, scores)
        above = accuracies - (self.request.least_accuracy or 0.0)
        chance = torch.where(known, (above >= 0).to(above), torch.special.ndtr(above / max(self.accuracy.error, 1e-9)))
        return -chance * (self.known_best - scores).clamp(min=0)

    def scores(self, networks: Sequence[Network]) -> Tensor:
        """Scores of the networks' energy, cycles and area alone, `[n]`, from `BROKEN` where a limit is broken."""
        return self.scores_of(self.space.counts(networks))

    def scores_of(self, counts: Tensor) -> Tensor:
        """The same of layer counts `[n, layers]`."""
        energy, cycles = counts @ self.energy_pj.mT, counts @ self.cycles.mT
        return self.request.score(energy, cycles, self.area_mm2.expand_as(energy)).amin(-1)

    def best_networks(
        self,
        starts: Sequence[Network],
        n: int,
        generator: torch.Generator,
        skip: Callable[[Network], bool] = lambda network: False,
    ) -> list[Network]:
        """The `n` networks that rank best among those met on the way down from `starts`, the best first.

        The best so far step to all their neighbours and to some networks that differ in two or three decisions, until
        that brings nothing better; networks to `skip` are stepped over, but not returned.
        """
        if self.request.network is not None:
            return [] if skip(self.request.network) else [self.request.network]
        met: dict[Network, float] = {}
        fresh, stale, best = list(dict.fromkeys(starts)), 0, float("inf")
        for _ in range(ROUNDS):
            met |= dict(zip(fresh, self.merits(fresh).tolist(), strict=True)) if fresh else {}
            beam = sorted(met, key=met.__getitem__)[:BEAM]
            stale = 0 if met[beam[0]] < best - 1e-9 else stale + 1
            best = met[beam[0]]
            if stale >= STALE:
                break
            others = [other for network in beam for other in self.space.neighbours(network)]
            others += [_mutated(self.space, beam[i % len(beam)], 2 + i % 2, generator) for i in range(MUTANTS)]
            fresh = [other for other in dict.fromkeys(others) if other not in met]
        return [network for network in sorted(met, key=met.__getitem__) if not skip(network)][:n]


def _mutated(space: FactoredSpace, network: Network, changes: int, generator: torch.Generator) -> Network:
    """A network with some decisions drawn anew (fewer where those would make it invalid)."""
    for _ in range(changes):
        at = int(torch.randint(len(space.decisions), (), generator=generator))
        option = int(torch.randint(len(space.decisions[at].options), (), generator=generator))
        changed = (*network[:at], option, *network[at + 1 :])
        network = changed if space.is_valid(changed) else network
    return network
