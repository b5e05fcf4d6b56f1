"""`NetworkModel`: networks ranked without evaluating them, from costs of layers and an accuracy predicted or known.

On a machine whose layers' costs are known, a network's cost is its layer counts times a vector, so thousands of
networks are ranked at once; `best_networks` steps from some of them to those that the model likes best. What it ranks
is a model: accuracies may be predicted, and all layers of a network share one price of time. The evaluator has the
last word.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from dlco.nas.oracles.accuracy import DifferentiableAccuracy
from dlco.nas.oracles.ridge import fit_ridge
from dlco.nas.problem import POINT, TIE, CoProblem
from dlco.nas.space import FactoredSpace, Network, Space
from dlco.search.layer_costs import LayerCosts, MachineIndex
from dlco.search.score import BROKEN
from dlco.workload.layer import Layer

PRICES = (0.0, 0.1, 0.3, 1.0, 3.0, 10.0, 1e4)  # of a cycle, as multiples of what a busy one costs
PAIRED = 100  # encodings of at most so many features have the products of each two beside them
GROWTH = 1.1  # times as many accuracies as at the last fit are worth another
BEAM, MUTANTS, ROUNDS, STALE = 8, 192, 30, 2  # of the steps on the model


class AccuracyModel:
    """Accuracies of encodings, also between networks: the oracle's own, or a ridge regression on what it has said.

    The regression is on the one-hot encoding and, where that is short, on the products of each two features; between
    networks a product is the probability of both options together.
    """

    def __init__(self, problem: CoProblem) -> None:
        self.problem = problem
        self.exact = isinstance(problem.oracle, DifferentiableAccuracy)
        self._fitted: tuple[Tensor, Tensor] | None = None
        self._known: dict[Network, float] = {}
        self._fitted_to = 0

    def learn(self, judged: dict[Network, float]) -> None:
        """Take over the accuracies known so far, `judged`, and fit to them where they are notably more than before.

        Nothing to do where the oracle is differentiable.
        """
        if self.exact:
            return
        self._known = judged
        if len(judged) < GROWTH * self._fitted_to:
            return
        self._fitted_to = len(judged)
        encoding = self.problem.space.encode(list(judged))
        weights, intercept, _ = fit_ridge(_features(encoding), torch.tensor(list(judged.values()), dtype=torch.float64))
        self._fitted = weights, intercept

    def __call__(self, encoding: Tensor) -> Tensor:
        """Percent `[...]` of encodings `[..., features]`, with gradients."""
        if self.exact:
            assert isinstance(self.problem.oracle, DifferentiableAccuracy)
            return self.problem.oracle.accuracy_of_encoding(encoding)
        assert self._fitted is not None
        weights, intercept = self._fitted
        return _features(encoding) @ weights + intercept

    def of_networks(self, networks: Sequence[Network]) -> Tensor:
        """Percent `[n]`: known where the oracle was asked, predicted elsewhere."""
        with torch.no_grad():
            predicted = self(self.problem.space.encode(networks))
        for i, network in enumerate(networks):
            if network in self._known:
                predicted[i] = self._known[network]
        return predicted


@dataclass(frozen=True)
class NetworkModel:
    """Networks on one machine.

    Attributes:
        problem: what ranks them; its space is factored.
        accuracy: of networks.
        energy_pj, cycles: of each of the space's layers, at several prices of time: `[prices, layers]`.
        area_mm2: of the machine.
    """

    problem: CoProblem
    accuracy: AccuracyModel
    energy_pj: Tensor
    cycles: Tensor
    area_mm2: Tensor

    @staticmethod
    def on(
        problem: CoProblem, accuracy: AccuracyModel, costs: LayerCosts, machine: MachineIndex, rate: float
    ) -> "NetworkModel":
        """The model of a machine on which all layers have been searched; `rate`: pJ that a busy cycle costs."""
        energy, cycles = [], []
        for layer in layers_of(problem):
            points = costs.points(layer, machine)
            merit = points.energy_pj + rate * torch.tensor(PRICES, dtype=torch.float64)[:, None] * points.cycles
            pick = merit.argmin(-1)
            energy.append(points.energy_pj[pick])
            cycles.append(points.cycles[pick])
        area = costs.build([machine]).area_mm2[0]
        return NetworkModel(problem, accuracy, torch.stack(energy, 1), torch.stack(cycles, 1), area)

    def merits(self, networks: Sequence[Network]) -> Tensor:
        """What the networks rank by, `[n]`, lower is better; as `CoProblem.merit`, on the model's figures."""
        hardware = self.hardware(networks)
        accuracy = self.accuracy.of_networks(networks)
        short = ((self.problem.least_accuracy or 0.0) - accuracy).clamp(min=0)
        broken = (hardware - BROKEN).clamp(min=0) + POINT * short
        good = -accuracy + TIE * hardware if self.problem.objective == "accuracy" else hardware
        return torch.where((short > 0) | (hardware >= BROKEN), BROKEN + broken, good)

    def hardware(self, networks: Sequence[Network]) -> Tensor:
        """Scores of the networks' energy, cycles and area alone, `[n]`, from `BROKEN` where a limit is broken."""
        space = self.problem.space
        assert isinstance(space, FactoredSpace)
        counts = space.counts(networks)
        energy, cycles = counts @ self.energy_pj.mT, counts @ self.cycles.mT
        return self.problem.score(energy, cycles, self.area_mm2.expand_as(energy)).amin(-1)

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
        if self.problem.network is not None:
            return [] if skip(self.problem.network) else [self.problem.network]
        met: dict[Network, float] = {}
        fresh, stale, best = list(dict.fromkeys(starts)), 0, float("inf")
        for _ in range(ROUNDS):
            met |= dict(zip(fresh, self.merits(fresh).tolist(), strict=True)) if fresh else {}
            beam = sorted(met, key=met.__getitem__)[:BEAM]
            stale = 0 if met[beam[0]] < best - 1e-9 else stale + 1
            best = met[beam[0]]
            if stale >= STALE:
                break
            others = [other for network in beam for other in self.problem.space.neighbours(network)]
            others += [mutate(self.problem.space, beam[i % len(beam)], 2 + i % 2, generator) for i in range(MUTANTS)]
            fresh = [other for other in dict.fromkeys(others) if other not in met]
        return [network for network in sorted(met, key=met.__getitem__) if not skip(network)][:n]


def mutate(space: Space[Any], network: Network, changes: int, generator: torch.Generator) -> Network:
    """A network with some decisions drawn anew (fewer where those would make it invalid)."""
    assert isinstance(space, FactoredSpace)
    for _ in range(changes):
        at = int(torch.randint(len(space.decisions), (), generator=generator))
        option = int(torch.randint(len(space.decisions[at].options), (), generator=generator))
        changed = (*network[:at], option, *network[at + 1 :])
        network = changed if space.is_valid(changed) else network
    return network


def layers_of(problem: CoProblem) -> tuple[Layer, ...]:
    """All layers that the networks allowed can have: those of the one network, or the space's."""
    if isinstance(problem.space, FactoredSpace):
        return problem.space.layers
    return tuple(problem.space.to_layers(problem.network))


def _features(encoding: Tensor) -> Tensor:
    """The encoding and, where it is short, the products of each two of its features."""
    n = encoding.shape[-1]
    if n > PAIRED:
        return encoding
    first, second = torch.triu_indices(n, n, offset=1)
    return torch.cat([encoding, encoding[..., first] * encoding[..., second]], -1)
