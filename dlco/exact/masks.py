"""What constraints leave of one problem's mappings, as masks over divisors: factors, axes, leading loops, bypass."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from dlco.exact.lattice import Bools, Ints
from dlco.hardware.architecture import Architecture
from dlco.hardware.constraints import Constraints
from dlco.mapping.factors import divisors
from dlco.mapping.mapspace import MapSpace
from dlco.mapping.places import Place
from dlco.workload.problem import Problem


@dataclass(frozen=True, eq=False)
class Masks:
    """The constraints of a machine and others beside them on one problem's mappings.

    Dimensions `live` are those of bound above 1, in the problem's order.

    Attributes:
        problem: what is mapped.
        architecture: the machine, with the constraints that it carries.
        constraints: others beside them.
    """

    problem: Problem
    architecture: Architecture
    constraints: Constraints | None

    @cached_property
    def space(self) -> MapSpace:
        """The map space; raises `InvalidInput` where some dimension is left without any split of its bound."""
        return MapSpace.resolved(self.problem, self.architecture, self.constraints)

    @cached_property
    def live(self) -> tuple[int, ...]:
        """Indices of the dimensions of bound above 1."""
        return tuple(d for d, bound in enumerate(self.problem.bounds) if bound > 1)

    def _allowed(self, place: Place) -> tuple[Bools, ...]:
        sizes = list(self.problem.sizes.items())
        return tuple(
            np.array([place.ways(dim, factor) > 0 for factor in divisors(bound)], dtype=bool)
            for dim, bound in (sizes[d] for d in self.live)
        )

    @cached_property
    def temporal(self) -> tuple[tuple[Bools, ...], ...]:
        """`[levels][dims]` which divisors of its bound `[divisors]` may be a dimension's temporal loop at a level."""
        return tuple(self._allowed(place) for place in self._places("temporal"))

    @cached_property
    def spatial(self) -> tuple[tuple[Bools, ...], ...]:
        """The same of spatial loops, along X or Y."""
        return tuple(self._allowed(place) for place in self._places("spatial"))

    def _places(self, kind: str) -> list[Place]:
        return [place for place in self.space.places if place.constraint.kind == kind]

    def axes(self, level: int) -> tuple[int, int]:
        """Bits of the live dimensions that a level's spatial loops may have along X alone, and along Y alone."""
        slot = self._places("spatial")[level].constraint
        names = [self.problem.dimensions[d] for d in self.live]
        return self._bits(names, slot.axis_x), self._bits(names, slot.axis_y)

    @staticmethod
    def _bits(names: Sequence[str], some: Sequence[str]) -> int:
        return sum(1 << i for i, name in enumerate(names) if name in some)

    def innermost(self, level: int) -> tuple[int, ...]:
        """Positions among the live dimensions of those whose loops lead the order of a level, innermost first."""
        at = {self.problem.dimensions[d]: i for i, d in enumerate(self.live)}
        return tuple(at[dim] for dim in self._places("temporal")[level].constraint.innermost if dim in at)

    def places_of(self, position: Ints) -> Ints:
        """Loop orders `[..., levels, dims]`, as places, with dimensions of bound 1 where the constraints want them."""
        key = self.space.order_key.numpy() * position.shape[-1] + position
        return key.argsort(-1, kind="stable").argsort(-1).astype(np.int64)
