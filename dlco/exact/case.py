"""`Case`: the mappings among which an exact search finds the best ones."""

from dataclasses import dataclass
from functools import cached_property

from dlco.cost.shape import compile_problem
from dlco.hardware.architecture import Architecture
from dlco.hardware.constraints import Constraints
from dlco.mapping.constraints import resolve, stated
from dlco.mapping.kept import kept_table
from dlco.workload.layer import Layer
from dlco.workload.problem import Problem


@dataclass(frozen=True)
class Case:
    """All mappings of a problem on a machine that meet some constraints.

    Attributes:
        problem: what is mapped.
        architecture: the machine, with the constraints that it carries.
        constraints: others beside them.
        imperfect: whether tiles need not divide the bounds.
        keep_free: whether levels may bypass more than is stated, where nothing fixes it (`dlco.mapping.kept`).
        uneven: whether each memory may cut each dataspace's loops where it likes (`dlco.hardware.split`).
    """

    problem: Problem
    architecture: Architecture
    constraints: Constraints | None = None
    imperfect: bool = False
    keep_free: bool = False
    uneven: bool = False

    @staticmethod
    def of(
        layer: Layer | Problem,
        architecture: Architecture,
        constraints: Constraints | None = None,
        imperfect: bool = False,
        keep_free: bool = False,
        uneven: bool = False,
    ) -> "Case":
        """The case of a layer."""
        problem = layer.problem if isinstance(layer, Layer) else layer
        return Case(problem, architecture, constraints, imperfect, keep_free, uneven)

    @property
    def why_not_uneven(self) -> str | None:
        """Why its uneven mappings are not covered where its even ones are, in words that follow "because"."""
        levels, spaces = self.architecture.levels, compile_problem(self.problem).spaces
        if self.keep_free:
            return "what levels keep is free, and mappings are to be uneven"
        if stated(self.architecture, self.constraints):
            return "mappings are constrained, and are to be uneven"
        for level, keeps in zip(levels, kept_table(self.problem, self.architecture), strict=True):
            if not any(keeps):
                return f"{level.name} keeps nothing, and mappings are to be uneven"
        windows = [space.name for space in spaces if space.sliding]
        if len(windows) > 1:
            return f"{' and '.join(windows)} have windows; uneven mappings of one such dataspace are covered"
        return None

    @cached_property
    def resolved(self) -> Constraints:
        """What all constraints fix of the problem's mappings; raises as `dlco.mapping.constraints.resolve`."""
        return resolve(stated(self.architecture, self.constraints), self.problem, self.architecture)
