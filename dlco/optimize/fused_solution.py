"""What runs under a plan of `dlco.fusion` as layers, course, residents and chains of a `Solution`."""

from dataclasses import replace
from itertools import accumulate

from dlco.design.fused_chain import FusedChain
from dlco.design.resident import Resident
from dlco.fusion.plan import Plan, Stretch
from dlco.mapping.mapping import Mapping
from dlco.workload.graph import Network
from dlco.workload.layer import Layer
from dlco.workload.problem import Problem

Key = tuple[str, Problem, Mapping]
"""A layer, what of it runs, and how."""


class Variants:
    """What runs under a plan as layers of a solution.

    Attributes:
        runs: how often each is run; `names`: of each.
        course: names of what the steps run, in chains of the first part of each.
        chains: what runs tile by tile.
    """

    def __init__(self, network: Network, plan: Plan) -> None:
        self.network = network
        self.runs: dict[Key, int] = {}
        self.names: dict[Key, str] = {}
        self.course: list[str] = []
        self.chains: list[FusedChain] = []
        for stretch in plan.stretches:
            self._add(stretch)

    @property
    def layers(self) -> tuple[Layer, ...]:
        """One for every part of a layer and every mapping that it runs under."""
        by_name = self.network.by_name
        return tuple(
            replace(by_name[key[0]], name=self.names[key], problem=key[1], count=count)
            for key, count in self.runs.items()
        )

    @property
    def mappings(self) -> dict[str, Mapping]:
        """By name."""
        return {name: key[2] for key, name in self.names.items()}

    def _add(self, stretch: Stretch) -> None:
        first: dict[int, str] = {}
        parts: dict[tuple[int, Problem, bool], str] = {}
        for part, mapping in zip(stretch.parts, stretch.mappings, strict=True):
            key = self.network.graph.steps[part.step].layer, part.problem, mapping
            name = self._name(key)
            self.runs[key] = self.runs.get(key, 0) + part.count
            first.setdefault(part.step, name)
            parts[part.step, part.problem, bool(part.residence.loaded)] = name
        if stretch.fused is None:
            self.course += [name for name in first.values() for _ in range(stretch.parts[0].count)]
            return
        fused, begins = stretch.fused, len(self.course)
        self.course += first.values()
        steps = [(fused.first + run.layer, run.problem, run.first) for run, _ in fused.tiled.parts()]
        names = tuple(parts.get(key) or parts[key[0], key[1], False] for key in steps)
        self.chains.append(FusedChain(fused.level, begins, fused.tiled.chain, fused.tiled.tiling, names))

    def _name(self, key: Key) -> str:
        """The layer's name, or one with a number where it runs under several mappings; of a part, one that says so."""
        if key not in self.names:
            layer, problem, _ = key
            own = layer if problem == self.network.by_name[layer].problem else f"{layer}_tile"
            taken = {*self.names.values(), *(name for name in self.network.by_name if name != own)}
            number, name = 1, own
            while name in taken:
                number += 1
                name = f"{own}_{number}"
            self.names[key] = name
        return self.names[key]


def residents_of(network: Network, plan: Plan) -> tuple[Resident, ...]:
    """What is retained, by positions in the course."""
    graph = network.graph
    starts = [0, *accumulate(step.count for step in graph.steps)]
    found = []
    for tensor, level in plan.residents:
        for at, words, last in zip(tensor.steps, tensor.words, tensor.last, strict=True):
            reads = tuple((starts[edge.target], edge.space) for edge in graph.outputs[at] if edge.space is not None)
            found.append(Resident(level, words, starts[at], starts[last], reads))
    return tuple(found)
