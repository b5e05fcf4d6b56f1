"""`CoDesign`: what a co-search found, with the solved mapping of its network, and how it got there."""

import json
import os
from dataclasses import asdict, dataclass, fields
from typing import Any

from dlco.errors import InvalidInput
from dlco.files import check_stamp, read_json, stamp, write_whole
from dlco.optimize.budget import OBJECTIVES
from dlco.optimize.solution import Solution, is_figure

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
        lines = [
            f"{self.space} {self.network}",
            f"accuracy {self.accuracy:.2f} %{wanted}, {self.message}",
            f"energy {cost.energy_pj * 1e-9:.4g} mJ, latency {cost.latency_s * 1e3:.4g} ms, "
            f"power {cost.power_w:.4g} W, area {cost.area_mm2:.4g} mm2",
            f"{self.method}: {self.evaluations} pairs evaluated, {self.queries} networks judged",
        ]
        return "\n".join([*lines, "", str(self.solution)])

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
            given = {item.name: data[item.name] for item in fields(CoDesign) if item.name in data}
            given |= {name: tuple(_point(one) for one in data[name]) for name in ("trace", "front")}
            given |= {
                name: str(data[name]) for name in ("status", "message", "method", "objective", "space", "network")
            }
            given |= {"sizes": tuple(map(str, data["sizes"])), "solution": Solution.from_dict(data["solution"])}
            found = CoDesign(**given)
            _check_numbers(found, "accuracy", "seed", "evaluations", "queries", "mappings", "seconds")
            _check_numbers(found, *(["least_accuracy"] if found.least_accuracy is not None else []))
        except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError) as error:
            raise InvalidInput(f"co-design file lacks or garbles a field: {error}") from None
        if found.status not in STATUSES:
            raise InvalidInput(f"status of the co-design is {found.status!r}; allowed: {', '.join(STATUSES)}")
        if found.objective not in ("accuracy", *OBJECTIVES):
            raise InvalidInput(
                f"objective of the co-design is {found.objective!r}; allowed: accuracy, {', '.join(OBJECTIVES)}"
            )
        return found


def _point(data: dict[str, Any]) -> CoPoint:
    point = CoPoint(**data | {"sizes": tuple(map(float, data["sizes"])), "network": str(data["network"])})
    _check_numbers(point, *(item.name for item in fields(CoPoint) if item.name not in ("sizes", "network", "feasible")))
    return point


def _check_numbers(record: CoDesign | CoPoint, *names: str) -> None:
    for name in names:
        value = getattr(record, name)
        if not is_figure(value):
            raise InvalidInput(f"{name} in the co-design is {value!r}; it must be a number")
