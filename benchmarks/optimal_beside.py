"""What other mappers and the search without the exact one take and find, beside the proved optima.

Every mapping that a search found is held against the proved front of its layer: none may be better than all of it.
"""

from collections.abc import Mapping as Dict
from dataclasses import dataclass, field
from math import inf
from typing import Any

from common import Stopwatch
from mapper import RECORDED
from peers_accelforge import problems_and_machine
from recorded import mapper_figures, read_nest

import dlco
from dlco import Architecture, Budget, Layer, Mapping, SolveEffort
from dlco.exact import LayerFront, optimal_layer
from dlco.workload import Problem

SEARCH = SolveEffort(exact=False)  # what `solve` did before it had an exact search
HEAD = ["problem", "timeloop-mapper: CPU s", "AccelForge: wall s, 2 jobs", "search: CPU s", "exact: CPU s"]
HEAD += ["timeloop-mapper over the optimum", "search over the optimum"]
ROUNDING = 1e-12


@dataclass
class Beside:
    """Rows of one table, and what was held against proved fronts on the way.

    Attributes:
        rows: of `HEAD`.
        mappings: how many were held against a front; `below`: those that beat one, in words.
    """

    rows: list[list[object]] = field(default_factory=list)
    mappings: int = 0
    below: list[str] = field(default_factory=list)

    def network(self, where: Architecture, name: str, network: str, optimum: Dict[str, Any], recorded: bool) -> None:
        """A row of a network on a machine; where there is a recorded search by timeloop-mapper, with that."""
        layers = dlco.networks.get_network(network)
        with Stopwatch() as watch:
            found = dlco.solve(layers, where, objective="edp", bound=False, effort=SEARCH)
        fronts = {layer.problem: optimal_layer(layer, where).front for layer in layers}
        what = f"{network} on {name}"
        ratio = self._held(what, layers, where, found.mappings, fronts, optimum["edp"])
        theirs: tuple[object, float | None] = (None, None)
        if recorded and network == RECORDED:
            figures = mapper_figures(name)
            nests = {one.name: read_nest(figures["layers"][one.name]["mapping"], one, where) for one in layers}
            again = self._held(f"{what}, timeloop-mapper's", layers, where, nests, fronts, optimum["edp"])
            theirs = figures["network"]["cpu_s"], again
        self.rows.append([what, theirs[0], None, watch.cpu_s, optimum["cpu_s"], theirs[1], ratio])

    def accelforge(self) -> None:
        """A row of each of AccelForge's recorded problems, in our space and under our counting."""
        asked, where, constraints = problems_and_machine()
        for one in asked:
            budget = Budget(latency_s=one.cycles * 1e-9) if one.cycles < inf else None
            question: dict[str, Any] = {"objective": one.objective, "budget": budget, "constraints": constraints(one)}
            with Stopwatch() as exactly:
                optimum = dlco.solve([one.layer], where, **question, imperfect=False)
            with Stopwatch() as watch:
                found = dlco.solve([one.layer], where, **question, bound=False, effort=SEARCH)
            front = optimal_layer(one.layer, where, constraints(one)).front
            self._hold(one.name, one.layer, where, found.mappings[one.layer.name], front)
            ratio = found.value / optimum.value
            self.rows.append([one.name, None, one.wall_s, watch.cpu_s, exactly.cpu_s, None, ratio])

    def _held(
        self,
        what: str,
        layers: list[Layer],
        where: Architecture,
        mappings: Dict[str, Mapping],
        fronts: Dict[Problem, LayerFront],
        optimum: float,
    ) -> float:
        """The network's EDP over its optimum, once every layer has been held against its front."""
        energy = cycles = 0.0
        for layer in layers:
            cost = self._hold(f"{what}: {layer.name}", layer, where, mappings[layer.name], fronts[layer.problem])
            energy, cycles = energy + layer.count * cost[0], cycles + layer.count * cost[1]
        if energy * cycles < optimum * (1 - ROUNDING):
            self.below.append(what)
        return energy * cycles / optimum

    def _hold(
        self, what: str, layer: Layer, where: Architecture, mapping: Mapping, front: LayerFront
    ) -> tuple[float, float]:
        """(energy, cycles) of a mapping, noted where no point of the front is as good in both."""
        cost = dlco.evaluate(layer, where, mapping)
        energy, cycles = cost.energy_pj.item(), cost.cycles.item()
        good = (front.energy_pj <= energy * (1 + ROUNDING)) & (front.cycles <= cycles)
        self.mappings += 1
        if not bool(good.any()):
            self.below.append(what)
        return energy, cycles

    @property
    def target(self) -> dict[str, Any]:
        """That nothing is below an optimum."""
        value = f"{len(self.below)} of {self.mappings:,} mappings" + "".join(f"; {one}" for one in self.below[:3])
        return {"name": "a search's mapping below a proved front", "target": "none", "value": value} | {
            "met": not self.below
        }

    @property
    def table(self) -> dict[str, Any]:
        """All rows."""
        return {"title": "Beside other mappers, and the search without the exact one", "head": HEAD, "rows": self.rows}
