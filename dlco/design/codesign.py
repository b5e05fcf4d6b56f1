"""`CoDesign`: what a co-search found, with the solved mapping of its network, and how it got there."""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from math import inf, isclose
from typing import Any

from dlco.design.budget import SAME
from dlco.design.dominance import nondominated
from dlco.design.objective import OBJECTIVES
from dlco.design.solution import Solution
from dlco.errors import InvalidInput
from dlco.fields import GARBLED, read_figure, read_flag, read_text, read_word
from dlco.files import check_stamp, read_json, stamp, write_whole
from dlco.texts import printable
from dlco.workload.problem import check_count

STATUSES = {
    "solved": "the search ended by itself and every limit holds",
    "interrupted": "the search was stopped; this is the best pair found until then",
    "infeasible": "no pair that keeps every limit was found; this is the one nearest to them",
}
FORMAT = 1  # of the JSON: goes up when older readers could no longer read it
KIND = "dlco co-design"


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
    sizes: tuple[float, ...]
    accuracy: float
    energy_pj: float
    latency_s: float
    area_mm2: float
    evaluations: int = 0
    queries: int = 0
    macs: int = 0
    memory_bits: float = 0.0
    feasible: bool = True

    @property
    def edp(self) -> float:
        """Energy times latency, pJ x s."""
        return self.energy_pj * self.latency_s


@dataclass(frozen=True)
class CoDesign:
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
    """

    status: str
    message: str
    method: str
    objective: str
    seed: int
    least_accuracy: float | None
    space: str
    network: str
    accuracy: float
    solution: Solution
    trace: tuple[CoPoint, ...]
    front: tuple[CoPoint, ...]
    sizes: tuple[str, ...]
    evaluations: int
    queries: int
    mappings: int
    seconds: float

    @property
    def value(self) -> float:
        """What the objective comes to: percent, or as `NetworkCost.objective` has it (s, pJ, pJ x cycles, W, mm2)."""
        return self.accuracy if self.objective == "accuracy" else self.solution.cost.objective(self.objective)

    def progress(self) -> tuple[tuple[int, ...], tuple[float, ...]]:
        """(pairs evaluated, the objective's best figure by then) of every improvement: a line to draw.

        Pairs outside the limits are left out: what they come to is no figure of a design.
        """
        figures = {
            "accuracy": lambda p: p.accuracy,
            "latency": lambda p: p.latency_s,
            "energy": lambda p: p.energy_pj,
            "edp": lambda p: p.edp / self.solution.architecture.cycle_s,
            "power": lambda p: p.energy_pj * 1e-12 / p.latency_s,
            "area": lambda p: p.area_mm2,
        }
        steps = [point for point in self.trace if point.feasible]
        return tuple(p.evaluations for p in steps), tuple(figures[self.objective](p) for p in steps)

    def __str__(self) -> str:
        cost = self.solution.cost
        wanted = "" if self.least_accuracy is None else f" (at least {self.least_accuracy:g} asked for)"
        every = replace(self.solution, evaluations=self.mappings, seconds=self.seconds)  # not of the last solve alone
        lines = [
            f"{printable(self.space)} {printable(self.network)}",
            f"accuracy {self.accuracy:.2f} %{wanted}, {self.message}",
            f"energy {cost.energy_pj * 1e-9:.4g} mJ, latency {cost.latency_s * 1e3:.4g} ms, "
            f"power {cost.power_w:.4g} W, area {cost.area_mm2:.4g} mm2",
            f"{printable(self.method)}: {self.evaluations:,} pairs evaluated, {self.queries:,} networks judged, "
            f"{self.mappings:,} mappings",
        ]
        return "\n".join([*lines, "", str(every)])

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the co-design as JSON; the file is replaced whole or not at all."""
        write_whole(path, json.dumps(self.to_dict(), indent=1))

    def to_dict(self) -> dict[str, Any]:
        """The co-design as dictionaries and lists, as `save` writes it."""
        plain = {name: value for name, value in vars(self).items() if name not in ("solution", "trace", "front")}
        points = {name: [asdict(point) for point in getattr(self, name)] for name in ("trace", "front")}
        return {**stamp(KIND, FORMAT), **plain, "solution": self.solution.to_dict(), **points}

    @staticmethod
    def load(path: str | os.PathLike[str]) -> "CoDesign":
        """Read a saved co-design. Raises `InvalidInput` where the file is none or does not add up."""
        return CoDesign.from_dict(read_json("co-design", path))

    @staticmethod
    def from_dict(data: Any) -> "CoDesign":
        """The inverse of `to_dict`. Raises `InvalidInput` for anything else."""
        data = check_stamp("co-design", KIND, FORMAT, data)
        try:
            found = CoDesign(
                status=read_word("status of the co-design", data["status"], STATUSES),
                objective=read_word("objective of the co-design", data["objective"], ("accuracy", *OBJECTIVES)),
                **{name: _of(data, name) for name in (*_TEXTS, *_COUNTS)},
                least_accuracy=None if data["least_accuracy"] is None else _percent(data["least_accuracy"]),
                accuracy=_percent(data["accuracy"]),
                solution=Solution.from_dict(data["solution"]),
                trace=tuple(_point(one) for one in data["trace"]),
                front=tuple(_point(one) for one in data["front"]),
                sizes=tuple(read_text("sizes of the co-design", name) for name in data["sizes"]),
                seconds=read_figure("seconds of the co-design", data["seconds"]),
            )
            _check_true(found)
        except InvalidInput:
            raise
        except GARBLED as error:
            raise InvalidInput(f"co-design file lacks or garbles a field: {error}") from None
        return found


_TEXTS = ("message", "method", "space", "network")
_COUNTS = ("seed", "evaluations", "queries", "mappings")


def _of(data: dict[str, Any], name: str) -> Any:
    """A text, or a number that `_check_true` looks at."""
    return read_text(f"{name} of the co-design", data[name]) if name in _TEXTS else data[name]


def _percent(value: object) -> float:
    """An accuracy; a predictor's may be any number."""
    return read_figure("accuracy in the co-design", value, -inf)


def _point(data: dict[str, Any]) -> CoPoint:
    return CoPoint(
        **data
        | {name: read_figure(f"{name} in the co-design", data[name]) for name in ("energy_pj", "latency_s", "area_mm2")}
        | {
            "network": read_text("network in the co-design", data["network"]),
            "sizes": tuple(read_figure("size in the co-design", size) for size in data["sizes"]),
            "accuracy": _percent(data["accuracy"]),
            "memory_bits": read_figure("memory_bits in the co-design", data.get("memory_bits", 0.0)),
            "feasible": read_flag("feasible in the co-design", data.get("feasible", True)),
        }
    )


def _check_true(found: CoDesign) -> None:
    """Raise `InvalidInput` unless the status holds, and the pairs are those of one search that ended with this one.

    What the design costs its solution's reader has looked at already.
    """
    for name in _COUNTS:
        check_count(f"{name} of the co-design", getattr(found, name))
    met = 0
    for point in (*found.front, *found.trace):
        for name in ("evaluations", "queries", "macs"):
            check_count(f"{name} in the co-design", getattr(point, name))
        if point.evaluations > found.evaluations or point.queries > found.queries:
            raise InvalidInput(
                f"a pair in the co-design was found after {point.evaluations} evaluations and {point.queries} "
                f"queries; there were {found.evaluations} and {found.queries}"
            )
        if len(point.sizes) != len(found.sizes):
            raise InvalidInput(f"sizes in the co-design are {list(point.sizes)}, for {len(found.sizes)} names")
    for point in found.trace:
        if point.evaluations < met:
            raise InvalidInput(f"trace of the co-design goes back from {met} to {point.evaluations} evaluations")
        met = point.evaluations
    if found.trace and (found.trace[-1].network, found.trace[-1].accuracy) != (found.network, found.accuracy):
        raise InvalidInput(
            f"network of the co-design is {found.network!r} of {found.accuracy!r} %; its trace ends with "
            f"{found.trace[-1].network!r} of {found.trace[-1].accuracy!r} %"
        )
    if found.trace and not isclose(found.trace[-1].area_mm2, found.solution.cost.area_mm2, rel_tol=SAME):
        raise InvalidInput(
            f"area_mm2 at the end of the trace is {found.trace[-1].area_mm2!r}; the machine's is another"
        )
    least = -inf if found.least_accuracy is None else found.least_accuracy
    if best_pairs(found.front) != list(range(len(found.front))) or not all(
        point.feasible and point.accuracy >= least for point in found.front
    ):
        raise InvalidInput("front of the co-design is not in order, or one pair beats another or breaks a limit")
    kept = found.solution.status != "infeasible" and found.accuracy >= least
    if found.status != "interrupted" and kept != (found.status == "solved"):
        raise InvalidInput(
            f"status of the co-design is {found.status!r}, but its limits are {'kept' if kept else 'broken'}"
        )


def best_pairs(pairs: Sequence[CoPoint]) -> list[int]:
    """Places of the pairs that no other beats in accuracy, energy and latency at once; the most accurate first."""
    kept = nondominated([(100 - one.accuracy, one.energy_pj, one.latency_s) for one in pairs])
    return sorted(kept, key=lambda i: (-pairs[i].accuracy, pairs[i].energy_pj))
