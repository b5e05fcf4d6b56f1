"""`Evaluator`: through which a search method sees pairs; it counts, remembers the best, and says when to stop."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor

from dlco.journal import Journal, fingerprint, recorded
from dlco.nas.problem import Candidate, CoProblem, Pair
from dlco.search.layer_costs import LayerCosts, MachineIndex
from dlco.workload.problem import Problem

Part = TypeVar("Part")

IDLE = 50  # calls in a row that bring nothing new, after which a method has seen what it can


class Exhausted(Exception):
    """The evaluations are spent, or the method asks for nothing new: the search is over."""


@dataclass(frozen=True)
class Step:
    """An improvement: after how many evaluations and accuracy queries which pair was the best so far."""

    evaluations: int
    queries: int
    seconds: float
    best: Candidate


class Evaluator:
    """Evaluates pairs of networks and machines exactly, each once.

    An evaluation is one pair whose cost is looked at; asking for it again is free. A query is one network whose
    accuracy is looked at. `table` looks at layers alone and counts as many evaluations as networks have such layers.

    Attributes:
        problem: the question; `costs`: of layers on machines.
        journal: where finished parts of the search are kept, or None.
        limit: evaluations that may be made; `query_limit`: networks that may be judged, or None.
        evaluations, queries: made so far.
        best: the best candidate so far, or None; `trace`: every improvement.
    """

    def __init__(
        self,
        problem: CoProblem,
        costs: LayerCosts,
        limit: int,
        query_limit: int | None = None,
        on_call: Callable[["Evaluator"], None] = lambda evaluator: None,
        journal: Journal | None = None,
    ) -> None:
        self.problem, self.costs, self.limit, self.query_limit = problem, costs, limit, query_limit
        self.on_call, self.journal = on_call, journal
        self.evaluations = self.queries = 0
        self.best: Candidate | None = None
        self.trace: list[Step] = []
        self.candidates: dict[Pair, Candidate] = {}
        self._accuracies: dict[Any, float] = {}
        self._layers: dict[Any, Any] = {}
        self._seen: set[tuple[Problem, MachineIndex]] = set()
        self._idle = 0
        self._started = time.perf_counter()

    @property
    def left(self) -> int:
        """Evaluations that may still be made."""
        return self.limit - self.evaluations

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
        self.on_call(self)
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
            self.queries += len(new[:room])
        if room < len(new):
            raise Exhausted
        return torch.tensor([self._accuracies[network] for network in networks], dtype=torch.float64)

    def part(self, name: str, compute: Callable[[], Any], read: Callable[[Any], Part]) -> Part:
        """What `read` makes of what `compute` returns, or returned when the run that is resumed came to that part.

        For work of a method's own that is worth keeping; what is evaluated here is kept anyway. `read` raises where a
        checkpoint has something else under that name.
        """
        return recorded(self.journal, name, compute, read)

    @property
    def judged(self) -> dict[Any, float]:
        """Accuracies of all networks asked for so far."""
        return dict(self._accuracies)

    def table(self, layers: Sequence[Any], machine: MachineIndex, network_size: float) -> None:
        """Search the mappings of layers on a machine, so that `costs.points` has them.

        Costs as many evaluations as the layers that are new there, to this evaluator, make networks of `network_size`
        layers: what other searches left in `costs` makes it faster, and no cheaper.

        Raises:
            Exhausted: the evaluations do not suffice; nothing was done.
        """
        price = self.table_price(layers, machine, network_size)
        if price > self.left:
            raise Exhausted
        wanted = [(layer.problem, machine) for layer in layers]
        self.costs.search(wanted)
        self._seen.update(wanted)
        self.evaluations += price
        self.on_call(self)

    def table_price(self, layers: Sequence[Any], machine: MachineIndex, network_size: float) -> int:
        """Evaluations that `table` would cost."""
        missing = {layer.problem for layer in layers if (layer.problem, machine) not in self._seen}
        return math.ceil(len(missing) / network_size)

    def layers(self, network: Any) -> Any:
        """The layers of a network, remembered."""
        if network not in self._layers:
            self._layers[network] = self.problem.space.to_layers(network)
        return self._layers[network]

    def _asked(self, networks: Sequence[Any]) -> list[float]:
        """The oracle's answers, percent: it is asked unless the journal has them."""
        name = f"accuracy {fingerprint(networks)}" if self.journal else ""

        def read(answers: Any) -> list[float]:
            found = [float(answer) for answer in answers]
            if len(found) != len(networks):
                raise ValueError(f"it has {len(found)} accuracies of {len(networks)} networks")
            return found

        return self.part(name, lambda: self.problem.oracle.accuracy(networks).tolist(), read)

    def _evaluate(self, pairs: Sequence[Pair]) -> None:
        if not pairs:
            return
        accuracies = self.accuracy([pair.network for pair in pairs]).tolist()
        layers = [self.layers(pair.network) for pair in pairs]
        points = self.costs.networks(layers, [pair.machine for pair in pairs])
        self._seen.update((x.problem, pair.machine) for some, pair in zip(layers, pairs, strict=True) for x in some)
        for pair, accuracy, point in zip(pairs, accuracies, points, strict=True):
            self.evaluations += 1
            merit = self.problem.merit(accuracy, point)
            found = Candidate(pair, accuracy, point.energy_pj, point.cycles, point.area_mm2, merit)
            self.candidates[pair] = found
            if self.best is None or found.merit < self.best.merit:
                self.best = found
                seconds = time.perf_counter() - self._started
                self.trace.append(Step(self.evaluations, self.queries, seconds, found))
