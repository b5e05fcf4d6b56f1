"""About what fused designs cost on machines near one whose fronts are known: says which machines to search.

A step costs its compulsory work there times what its best mappings took beyond that on the known machine. A chain in
tiles costs so much too, its results never leaving the memory; in proportion more where tiles compute elements again,
and more by what they fetch again. Nothing is proved of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import inf

import numpy as np

from dlco.exact.sums import Goal, Hull
from dlco.fusion.chains import Candidates, Fused, Part, Uncut, candidates_of
from dlco.fusion.course import Course, Move
from dlco.fusion.floor import Floors
from dlco.fusion.retained import Fronts, Residence
from dlco.fusion.sums import hull_of_ways
from dlco.fusion.tensors import shared_memories, tensors_of
from dlco.hardware.architecture import Architecture
from dlco.hardware.constraints import Constraints
from dlco.workload.graph import Network

Ratios = tuple[tuple[float, float], ...]
"""By step: how much more energy and how many more cycles its best mappings take than is compulsory."""


def ratios_of(network: Network, fronts: Fronts, floors: Floors) -> Ratios:
    """Of all steps of a network by themselves, their results in DRAM, whose fronts are known or searched for."""
    found = []
    for step, one in enumerate(network.graph.steps):
        part = Part(step, network.layer_of(step).problem, one.count, Residence())
        front, floor = fronts.of(part.problem, part.residence), floors.of(part)
        if front is None:
            found.append((1.0, 1.0))
            continue
        energy, cycles = front.front.energy_pj.min().item(), front.front.cycles.min().item()
        found.append((energy / floor.energy if floor.energy else 1.0, cycles / floor.cycles if floor.cycles else 1.0))
    return tuple(found)


@dataclass(frozen=True)
class Sketch(Uncut):
    """A chain in tiles as the whole layers that it is cut from.

    Attributes:
        room: words of the memory that it takes.
        shares: `[layers]` MACs of all its tiles over those of the layer.
        again: `[layers]` words that its tiles fetch or write beyond the chip more than once each.
    """

    room: int
    shares: tuple[float, ...]
    again: tuple[int, ...]

    def parts(self, homes: dict[tuple[int, str], str], room: float = inf) -> tuple[Part, ...]:
        """Every layer, each word coming in once: `again` has what comes in more often."""
        return super().parts(homes, inf)


def sketched(fused: Fused) -> Sketch:
    """The sketch of a chain in tiles."""
    tiled, again = fused.tiled, []
    for layer, problem in enumerate(tiled.chain.problems):
        outside = {space.name for space in problem.dataspaces} - tiled.chain.inner(layer) - {*tiled.loaded(layer)}
        again.append(sum(tiled.words(layer, space) - problem.words(space) for space in outside))
    shares = tuple(tiled.macs(layer) / problem.macs for layer, problem in enumerate(tiled.chain.problems))
    everything = frozenset(space.name for problem in tiled.chain.problems for space in problem.dataspaces)
    return Sketch(fused.first, fused.last, tiled.chain, fused.level, everything, fused.room(), shares, tuple(again))


@dataclass(frozen=True, eq=False)
class Outlook:
    """What fused designs of one network are likely to cost on machines.

    Attributes:
        network: with its graph.
        goal: what is asked of the network's totals.
        constraints: on mappings, beside the machines'.
    """

    network: Network
    goal: Goal
    constraints: Constraints | None = None

    def value(self, machine: Architecture, ratios: Ratios) -> float:
        """About the least objective on a machine, as `Objective.product`; infinite where limits seem out of reach."""
        tensors = tensors_of(self.network, machine, self.constraints)
        course, floors = Course(self.network, machine, tensors, (), self._sketches(machine)).run(), Floors(machine)
        hull = hull_of_ways(course.every, lambda move: self._cost(move, course, floors, ratios))
        return self.goal.least(hull) if hull else inf

    def candidates(self, machine: Architecture) -> Candidates:
        """Chains in tiles on a machine."""
        if machine not in self._candidates:
            self._candidates[machine] = candidates_of(self.network, machine, self.constraints)
        return self._candidates[machine]

    def _sketches(self, machine: Architecture) -> Sequence[Sketch]:
        """Of the likely best tilings on machines of such memories, whatever else they are."""
        key = tuple((name, machine.level(name).usable_capacity) for name in shared_memories(machine))
        if key not in self._known:
            self._known[key] = [sketched(one) for one in self.candidates(machine).chosen]
        return self._known[key]

    @cached_property
    def _candidates(self) -> dict[Architecture, Candidates]:
        return {}

    @cached_property
    def _known(self) -> dict[tuple[tuple[str, float], ...], list[Sketch]]:
        return {}

    def _cost(self, move: Move, course: Course, floors: Floors, ratios: Ratios) -> Hull | None:
        """About what a move costs; None where there is no room for it."""
        machine, sketch = floors.architecture, move.uncut
        if isinstance(sketch, Sketch):
            words = sum(
                max(course.tensors[i].words_at(step) for step in range(sketch.first, sketch.last + 1))
                for i, level in move.held
                if level == sketch.level
            )
            if words + sketch.room >= machine.level(sketch.level).usable_capacity:
                return None
        outer = machine.levels[-1]
        word_pj, words_cycle = outer.read_pj / outer.block_size, min(outer.read_bandwidth, outer.shared_bandwidth)
        energy = cycles = 0.0
        for layer, part in enumerate(move.parts):
            share, again = (sketch.shares[layer], sketch.again[layer]) if isinstance(sketch, Sketch) else (1.0, 0)
            floor, (more_energy, more_cycles) = floors.of(part), ratios[part.step]
            energy += part.count * (floor.energy * more_energy * share + again * word_pj)
            cycles += part.count * max(floor.cycles * more_cycles * share, again / words_cycle)
        return Hull(np.array([energy]), np.array([cycles]))
