"""What parts of fused designs need at least."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from dlco.bound.compulsory import Floor, ProblemFloors, used_words
from dlco.exact.sums import Hull
from dlco.fusion.chains import Part
from dlco.fusion.inside import Least, inside_of
from dlco.fusion.retained import Homes, Residence
from dlco.hardware.architecture import Architecture
from dlco.hardware.space import as_space
from dlco.workload.problem import Problem


@dataclass
class Floors:
    """What parts need at least on a machine, each computed once: pJ and cycles of one run."""

    architecture: Architecture

    def of(self, part: Part) -> Floor:
        """The compulsory work of a part's problem where its operands are retained."""
        key = part.problem, part.residence.homes, part.again
        if key not in self._known:
            if key[1] not in self._spaces:
                self._spaces[key[1]] = ProblemFloors(as_space(self._machine(key[1])))
            self._known[key] = self._spaces[key[1]].of(part.problem, dict(part.again))
        return self._known[key]

    def hull(self, parts: Iterable[Part]) -> Hull:
        """PJ and cycles of all runs of some parts: their totals are no less in both than some point of it."""
        return Hull.total([self._hull(part).times(part.count) for part in parts])

    def _hull(self, part: Part) -> Hull:
        """Of one run."""
        key = part.problem, part.residence.homes, part.again, part.layer, part.cut, part.work
        if key not in self._hulls:
            self._hulls[key] = self._found(part)
        return self._hulls[key]

    def _found(self, part: Part) -> Hull:
        floor, problem = self.of(part), part.layer or part.problem
        # of a layer's parts each word comes in so often for all MACs, those done again too; of one tile once
        each = tuple((name, often / part.work) for name, often in part.again if often > part.work)
        key = problem, part.residence.homes, each if problem == part.problem else (), part.cut
        if key not in self._inside:
            self._inside[key] = inside_of(problem, self._machine(key[1]), part.cut, key[2])
        inside = self._inside[key]
        if inside is None:
            return Hull(np.array([floor.energy]), np.array([floor.cycles]))
        times, spaces = dict(part.again), part.problem.dataspaces
        words = {space.name: times.get(space.name, 1) * used_words(part.problem, space) for space in spaces}
        return inside.hull(part.problem.macs * part.work, words).cut(floor.energy, floor.cycles)

    def _machine(self, homes: Homes) -> Architecture:
        """Where operands are retained; one for each choice of these."""
        if homes not in self._machines:
            machine = Residence(homes).machine(self.architecture)
            assert machine is not None
            self._machines[homes] = machine
        return self._machines[homes]

    @cached_property
    def _machines(self) -> dict[Homes, Architecture]:
        return {}

    @cached_property
    def _spaces(self) -> dict[Homes, ProblemFloors]:
        return {}

    @cached_property
    def _hulls(self) -> dict[tuple[object, ...], Hull]:
        return {}

    @cached_property
    def _known(self) -> dict[tuple[Problem, Homes, tuple[tuple[str, float], ...]], Floor]:
        return {}

    @cached_property
    def _inside(self) -> dict[tuple[Problem, Homes, tuple[tuple[str, float], ...], frozenset[str]], Least | None]:
        return {}
