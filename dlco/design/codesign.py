"""`FoundPair` and `CoDesign`: what a co-search found, with the solved mapping of its network, and how it got there."""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import inf, isclose
from typing import Annotated, Any

from dlco.design.budget import SAME
from dlco.design.codec import Count, Figure, check_figure, check_word
from dlco.design.document import Document
from dlco.design.dominance import nondominated
from dlco.design.network_cost import NetworkCost
from dlco.design.objective import ACCURACY, GOALS, JOULES, Objective
from dlco.design.solution import Solution
from dlco.design.weighted_sum import SUM, WeightedSum
from dlco.errors import InvalidInput
from dlco.texts import printable

STATUSES = {
    "solved": "the search ended by itself and every limit holds",
    "interrupted": "the search was stopped; this is the best pair found until then",
    "infeasible": "no pair that keeps every limit was found; this is the one nearest to them",
}

POINT = 0.1
"""A point of accuracy that is missing weighs as much as a limit broken by so much, in logs."""


def check_accuracy(field: str, value: object) -> None:
    """Raise `InvalidInput`, naming the field, unless it is an accuracy; a predictor's may be any number."""
    check_figure(field, value, -inf)


Accuracy = Annotated[float, check_accuracy]


@dataclass(frozen=True)
class CoPoint:
    """A pair of a network and a machine that was evaluated, with mappings of the layers' searches.

    Attributes:
        network: as its space writes it; `sizes`: of the machine, in the hardware space's order.
        accuracy: percent.
        energy_pj, latency_s, area_mm2: of the pair.
        evaluations: pairs evaluated until it was found; `queries`: networks judged until then.
        macs: MAC units of the machine; `memory_bits`: what its levels above DRAM hold together.
        feasible: whether it keeps every limit.
    """

    network: str
    sizes: tuple[Figure, ...]
    accuracy: Accuracy
    energy_pj: Figure
    latency_s: Figure
    area_mm2: Figure
    evaluations: Count = 0
    queries: Count = 0
    macs: Count = 0
    memory_bits: Figure = 0.0
    feasible: bool = True

    @property
    def edp(self) -> float:
        """Energy times latency, pJ x s."""
        return self.energy_pj * self.latency_s

    def value(self, objective: str, cycle_s: float, weights: WeightedSum | None = None) -> float:
        """What an objective comes to: percent, or as `NetworkCost.objective` has it on a machine of this cycle."""
        if objective == ACCURACY:
            return self.accuracy
        if weights is not None:
            return weights.value(self.accuracy, self.latency_s, self.energy_pj * JOULES, self.area_mm2)
        return Objective(objective).figure(self.energy_pj, self.latency_s / cycle_s, self.area_mm2, cycle_s)


class FoundPair(Document):
    """What the answers of co-searches share: the pairs met, and what the one chosen is worth.

    Attributes:
        cost: of the network on the machine; `cycle_s`: of that machine, seconds.
        keeps_limits: whether the limits hold, but for the one on accuracy.
    """

    LATER = frozenset({"weights"})

    status: str
    message: str
    method: str
    objective: str
    seed: int
    least_accuracy: float | None
    space: str
    network: str
    accuracy: float
    trace: tuple[CoPoint, ...]
    front: tuple[CoPoint, ...]
    sizes: tuple[str, ...]
    evaluations: int
    queries: int
    seconds: float
    weights: WeightedSum | None

    @property
    @abstractmethod
    def cost(self) -> NetworkCost:
        """Of the network on the machine."""

    @property
    @abstractmethod
    def cycle_s(self) -> float:
        """Seconds a cycle of the machine."""

    @property
    @abstractmethod
    def keeps_limits(self) -> bool:
        """Whether the limits hold, but for the one on accuracy."""

    @property
    def value(self) -> float:
        """What the objective comes to: percent, the sum, or as `NetworkCost.objective` has it (s, pJ, W, mm2, ...)."""
        if self.weights is not None:
            return self.weights.of_pair(self.accuracy, self.cost)
        return self.accuracy if self.objective == ACCURACY else self.cost.objective(self.objective)

    @property
    def aim(self) -> str:
        """The objective as a person reads it, such as "least EDP"."""
        names = {ACCURACY: "most accurate", SUM: "least weighted sum"}
        return names.get(self.objective) or f"least {Objective(self.objective).label}"

    @property
    def sum_text(self) -> list[str]:
        """A line that says the weighted sum where that is the objective, or none."""
        return [] if self.weights is None else [f"weighted sum {self.value:.4g}: {self.weights}"]

    def progress(self) -> tuple[tuple[int, ...], tuple[float, ...]]:
        """(pairs evaluated, the objective's best figure by then) of every improvement: a line to draw.

        Pairs outside the limits are left out: what they come to is no figure of a design.
        """
        steps = [point for point in self.trace if point.feasible]
        return tuple(p.evaluations for p in steps), tuple(
            p.value(self.objective, self.cycle_s, self.weights) for p in steps
        )

    def _summary(self, more: str = "") -> list[str]:
        """What was found, in lines for a person; `more` follows what was counted."""
        cost = self.cost
        wanted = "" if self.least_accuracy is None else f" (at least {self.least_accuracy:g} asked for)"
        return [
            f"{printable(self.space)} {printable(self.network)}",
            f"accuracy {self.accuracy:.2f} %{wanted}, {self.message}",
            f"energy {cost.energy_j * 1e3:.4g} mJ, latency {cost.latency_s * 1e3:.4g} ms, "
            f"power {cost.power_w:.4g} W, area {cost.area_mm2:.4g} mm2",
            *self.sum_text,
            f"{printable(self.method)}: {self.evaluations:,} pairs evaluated, {self.queries:,} networks judged{more}",
        ]

    def _check_true(self, data: dict[str, Any]) -> None:
        """Raise `InvalidInput` unless the status holds, and the pairs are of one search that ended with this one.

        What the pair costs is looked at by itself.
        """
        check_word("status of the co-design", self.status, STATUSES)
        check_word("objective of the co-design", self.objective, (*GOALS, SUM))
        if (self.objective == SUM) != (self.weights is not None and self.weights.of is not None):
            raise InvalidInput(f"weights of the co-design are {self.weights}, and its objective is {self.objective!r}")
        _check_trace(self)
        least = -inf if self.least_accuracy is None else self.least_accuracy
        if best_pairs(self.front) != list(range(len(self.front))) or not all(
            point.feasible and point.accuracy >= least for point in self.front
        ):
            raise InvalidInput("front of the co-design is not in order, or one pair beats another or breaks a limit")
        kept = self.keeps_limits and self.accuracy >= least
        if self.status != "interrupted" and kept != (self.status == "solved"):
            raise InvalidInput(
                f"status of the co-design is {self.status!r}, but its limits are {'kept' if kept else 'broken'}"
            )


@dataclass(frozen=True)
class CoDesign(FoundPair):
    """A network, a machine and the network's mappings on it.

    Attributes:
        status: one of `STATUSES`; `message` says in a sentence what that means here.
        method, objective, seed: what was asked for; the budget is the solution's.
        least_accuracy: percent asked for, or None.
        space: name of the network space; `network`: as the space writes it (`space.parse` gives it back).
        accuracy: percent, as the oracle has it.
        solution: the network's layers, the machine, and a mapping of every layer on it, with their exact costs.
        trace: each improvement of the best pair, the last one included, as the search saw them; figures of the
            solution may be better, as its mappings were searched for longer.
        front: pairs that no other evaluated pair within the limits beats in accuracy, energy and latency at once,
            most accurate first.
        sizes: names of the machine's free sizes, the columns of `CoPoint.sizes`.
        evaluations: pairs evaluated; `queries`: networks judged; `mappings`: evaluated; `seconds`: wall clock.
        weights: of the objective `SUM`, of which they say all; else None.
    """

    KIND = "dlco co-design"

    status: str
    message: str
    method: str
    objective: str
    seed: Count
    least_accuracy: Accuracy | None
    space: str
    network: str
    accuracy: Accuracy
    solution: Solution
    trace: tuple[CoPoint, ...]
    front: tuple[CoPoint, ...]
    sizes: tuple[str, ...]
    evaluations: Count
    queries: Count
    mappings: Count
    seconds: Figure
    weights: WeightedSum | None = None

    @property
    def cost(self) -> NetworkCost:
        """The solution's."""
        return self.solution.cost

    @property
    def cycle_s(self) -> float:
        """The solution's machine's."""
        return self.solution.architecture.cycle_s

    @property
    def keeps_limits(self) -> bool:
        """As the solution has it."""
        return self.solution.status != "infeasible"

    def __str__(self) -> str:
        every = replace(self.solution, evaluations=self.mappings, seconds=self.seconds)  # not of the last solve alone
        return "\n".join([*self._summary(f", {self.mappings:,} mappings"), "", str(every)])


def _check_trace(found: FoundPair) -> None:
    """Raise `InvalidInput` unless the pairs were all met by the search, and the trace ends with its pair."""
    for point in (*found.front, *found.trace):
        if point.evaluations > found.evaluations or point.queries > found.queries:
            raise InvalidInput(
                f"a pair in the co-design was found after {point.evaluations} evaluations and {point.queries} "
                f"queries; there were {found.evaluations} and {found.queries}"
            )
        if len(point.sizes) != len(found.sizes):
            raise InvalidInput(f"sizes in the co-design are {list(point.sizes)}, for {len(found.sizes)} names")
    for before, point in pairwise(found.trace):
        if point.evaluations < before.evaluations:
            raise InvalidInput(
                f"trace of the co-design goes back from {before.evaluations} to {point.evaluations} evaluations"
            )
    if not found.trace:
        return
    last = found.trace[-1]
    if (last.network, last.accuracy) != (found.network, found.accuracy):
        raise InvalidInput(
            f"network of the co-design is {found.network!r} of {found.accuracy!r} %; its trace ends with "
            f"{last.network!r} of {last.accuracy!r} %"
        )
    if not isclose(last.area_mm2, found.cost.area_mm2, rel_tol=SAME):
        raise InvalidInput(f"area_mm2 at the end of the trace is {last.area_mm2!r}; the machine's is another")


def text_of(objective: str) -> Callable[[float], str]:
    """What shows a value of a co-search's objective, such as "accuracy 76.50 %" or "energy 12.3 mJ"."""
    if objective == SUM:
        return "weighted sum {:.4g}".format
    return "accuracy {:.2f} %".format if objective == ACCURACY else Objective(objective).text


def best_pairs(pairs: Sequence[CoPoint]) -> list[int]:
    """Places of the pairs that no other beats in accuracy, energy and latency at once; the most accurate first."""
    kept = nondominated([(100 - one.accuracy, one.energy_pj, one.latency_s) for one in pairs])
    return sorted(kept, key=lambda i: (-pairs[i].accuracy, pairs[i].energy_pj))
