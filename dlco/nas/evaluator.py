"""`Evaluator`: through which a search method sees pairs; it counts, remembers the best, and says when to stop."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from dlco.design.network_cost import NetworkCost
from dlco.journal import Journal, fingerprint, recorded
from dlco.nas.request import Candidate, CoRequest, Pair
from dlco.search import LayerCosts, MachineIndex, NetworkPoint
from dlco.workload.layer import Layer
from dlco.workload.problem import Problem

IDLE = 50  # calls in a row that bring nothing new, after which a method has seen what it can
PATIENCE = 1500  # evaluations in a row without a better pair, after which a search without a limit ends
BETTER = 1e-3  # of merit: a tenth of a per cent of a cost, a thousandth of a point of accuracy; less is no news


class Exhausted(Exception):
    """The evaluations are spent, or the method asks for nothing new: the search is over."""


class PairCosts(Protocol):
    """What says what pairs cost: `LayerCosts` where layers are mapped, `AccelBenchCosts` where they are not."""

    def networks(self, networks: Sequence[Sequence[Layer]], machines: Sequence[MachineIndex]) -> Sequence[NetworkPoint]:
        """The costs of networks on machines, pair by pair."""


@dataclass(frozen=True)
class Improvement:
    """After how many evaluations and accuracy queries which pair was the best so far."""

    evaluations: int
    queries: int
    best: Candidate


class Evaluator:
    """Evaluates pairs of networks and machines exactly, each once.

    An evaluation is one pair whose cost is looked at; asking for it again is free. A query is one network whose
    accuracy is looked at. `search_layers` looks at layers alone and counts as many evaluations as networks have such
    layers.

    Attributes:
        request: the question; `pair_costs`: of networks on machines.
        journal: where finished parts of the search are kept, or None.
        on_call: called after whatever is looked at.
        limit: evaluations that may be made, or None: until `PATIENCE` of them in a row bring no better pair.
        query_limit: networks that may be judged, or None.
        evaluations, queries: made so far.
        best: the best candidate so far, or None; `improvements`: each one that was.
        candidates: all pairs evaluated.
    """

    def __init__(
        self,
        request: CoRequest,
        costs: PairCosts,
        limit: int | None,
        query_limit: int | None = None,
        journal: Journal | None = None,
    ) -> None:
        self.request, self.pair_costs, self.limit, self.query_limit = request, costs, limit, query_limit
        self.journal = journal
        self.on_call: Callable[[], None] = lambda: None
        self.evaluations = 0
        self.best: Candidate | None = None
        self.improvements: list[Improvement] = []
        self.candidates: dict[Pair, Candidate] = {}
        self._accuracies: dict[Any, float] = {}
        self._layers: dict[Any, Any] = {}
        self._seen: set[tuple[Problem, MachineIndex]] = set()
        self._idle = 0
        self._news: tuple[int, float] = 0, math.inf  # after how many evaluations, with what merit

    @property
    def costs(self) -> LayerCosts:
        """The costs of layers on machines, where layers are mapped on them."""
        assert isinstance(self.pair_costs, LayerCosts), "no layer is mapped on this hardware"
        return self.pair_costs

    @property
    def queries(self) -> int:
        """Networks asked for so far."""
        return len(self._accuracies)

    @property
    def left(self) -> int:
        """Evaluations that may still be made, where there is no limit unless a better pair comes."""
        end = self._news[0] + PATIENCE if self.limit is None else self.limit
        return end - self.evaluations

    @property
    def done(self) -> float:
        """Evaluations or queries made, as a share of those that there may be: the larger one."""
        judged = self.queries / self.query_limit if self.query_limit else 0.0
        return min(1.0, max(judged, self.evaluations / max(1, self.evaluations + self.left)))

    @contextmanager
    def stage(self, share: float) -> Iterator[None]:
        """A part of a search, with this share of the evaluations left where they are limited; it ends by itself."""
        whole = self.limit
        if whole is not None:
            self.limit = self.evaluations + int(share * self.left)
        with suppress(Exhausted):
            yield
        self.limit, self._idle = whole, 0
        self._news = self.evaluations, self._news[1]

    def evaluate(self, pairs: Sequence[Pair]) -> list[Candidate]:
        """The candidates of pairs, in their order.

        Raises:
            Exhausted: the evaluations do not suffice; those that were left have been made and count.
        """
        new = [pair for pair in dict.fromkeys(pairs) if pair not in self.candidates]
        self._idle = 0 if new else self._idle + 1
        if self._idle > IDLE:
            raise Exhausted
        some = new[: max(0, self.left)]
        self._evaluate(some)
        self.on_call()
        if len(some) < len(new) or (self.left <= 0 and not new):
            raise Exhausted
        return [self.candidates[pair] for pair in pairs]

    def accuracy(self, networks: Sequence[Any]) -> Tensor:
        """Accuracies of networks, `[n]`, percent; each network is asked for once.

        Raises:
            Exhausted: there are more new networks than may still be judged.
        """
        new = [network for network in dict.fromkeys(networks) if network not in self._accuracies]
        room = len(new) if self.query_limit is None else max(0, self.query_limit - self.queries)
        if new[:room]:
            self._accuracies.update(zip(new[:room], self._asked(new[:room]), strict=True))
        if room < len(new):
            raise Exhausted
        return torch.tensor([self._accuracies[network] for network in networks], dtype=torch.float64)

    @property
    def judged(self) -> dict[Any, float]:
        """Accuracies of all networks asked for so far."""
        return dict(self._accuracies)

    def search_layers(self, layers: Sequence[Any], machine: MachineIndex, network_size: float) -> None:
        """Search the mappings of layers on a machine, so that `costs.points` has them.

        Counts as as many evaluations as the layers that are new there, to this evaluator, make networks of
        `network_size` layers: what other searches left in `costs` makes it faster, and counts no less.

        Raises:
            Exhausted: the evaluations do not suffice; nothing was done.
        """
        evaluations = self.worth(layers, machine, network_size)
        if evaluations > self.left:
            raise Exhausted
        wanted = [(layer.problem, machine) for layer in layers]
        self.costs.search(wanted)
        self._seen.update(wanted)
        self.evaluations += evaluations
        self.on_call()

    def worth(self, layers: Sequence[Any], machine: MachineIndex, network_size: float) -> int:
        """Evaluations as which `search_layers` would count."""
        missing = {layer.problem for layer in layers if (layer.problem, machine) not in self._seen}
        return math.ceil(len(missing) / network_size)

    def layers(self, network: Any) -> Any:
        """The layers of a network, remembered."""
        if network not in self._layers:
            self._layers[network] = self.request.space.to_layers(network)
        return self._layers[network]

    def _asked(self, networks: Sequence[Any]) -> list[float]:
        """The oracle's answers, percent: it is asked unless the journal has them."""
        name = f"accuracy {fingerprint(networks)}" if self.journal else ""

        def read(answers: Any) -> list[float]:
            found = [float(answer) for answer in answers]
            if len(found) != len(networks):
                raise ValueError(f"it has {len(found)} accuracies of {len(networks)} networks")
            return found

        return recorded(self.journal, name, lambda: self.request.oracle.accuracy(networks).tolist(), read)

    def _evaluate(self, pairs: Sequence[Pair]) -> None:
        """Evaluate pairs; where not all of their networks may be judged, those whose are."""
        try:
            self.accuracy([pair.network for pair in pairs])
        except Exhausted:
            self._cost([pair for pair in pairs if pair.network in self._accuracies])
            raise
        self._cost(pairs)

    def _cost(self, pairs: Sequence[Pair]) -> None:
        """Evaluate pairs of networks that have been judged."""
        if not pairs:
            return
        accuracies = self.accuracy([pair.network for pair in pairs])
        layers = [self.layers(pair.network) for pair in pairs]
        points = self.pair_costs.networks(layers, [pair.machine for pair in pairs])
        self._seen.update((x.problem, pair.machine) for some, pair in zip(layers, pairs, strict=True) for x in some)
        merits = self.request.merit(accuracies, torch.tensor([point.score for point in points], dtype=torch.float64))
        cycle_s = self.request.machines.cycle_s
        for pair, accuracy, point, merit in zip(pairs, accuracies.tolist(), points, merits.tolist(), strict=True):
            self.evaluations += 1
            cost = NetworkCost.of(point.energy_pj, point.cycles, point.area_mm2, cycle_s)
            found = self.candidates[pair] = Candidate(pair, accuracy, cost, point.chosen, merit)
            if self.best is None or found.merit < self.best.merit:
                self.best = found
                self.improvements.append(Improvement(self.evaluations, self.queries, found))
            if found.merit < self._news[1] - BETTER:
                self._news = self.evaluations, found.merit
