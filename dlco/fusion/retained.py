"""One layer on a machine some of whose operands stay on the chip, and the exact front of its mappings there.

An operand that is retained in a memory lies there whole. Levels beyond it bypass the operand, so that the cost model
charges nothing further out: no reads of DRAM, no fills of the memory; what lies inside is filled from it, however the
loops of the levels beyond it step, as from any outermost level. What the memory has left for the tiles of the other
operands is its capacity less all that it retains, of this layer or of others. An operand that is to be retained from
this layer on is loaded: the levels beyond have no loop of it, so that its one tile in the memory is all of it.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property

from dlco.design.resident import words_tiled
from dlco.exact.best_first import FrontSearch
from dlco.exact.case import Case
from dlco.exact.lattice import Bools
from dlco.exact.layer_front import LayerFront
from dlco.exact.optimal import NoMapping, OptimalFront, check_begun, check_covered, found_by, so_often
from dlco.exact.tables import LayerTables
from dlco.hardware.architecture import Architecture
from dlco.hardware.constraints import Constraints, SlotConstraint
from dlco.mapping.mapping import Mapping
from dlco.workload.problem import Problem

Homes = tuple[tuple[str, str], ...]
"""(dataspace, memory where it is retained) of a layer's operands, sorted."""
Taken = tuple[tuple[str, int], ...]
"""(memory, words that are retained there, of all layers), sorted."""


@dataclass(frozen=True)
class Residence:
    """What is retained while a layer runs.

    Attributes:
        homes: of its own operands.
        taken: of every memory that retains anything, own operands included.
        loaded: of its own operands, those that come from outside and are there whole afterwards; no part of `taken`.
    """

    homes: Homes = ()
    taken: Taken = ()
    loaded: Homes = ()

    def machine(self, architecture: Architecture) -> Architecture | None:
        """The machine that is left for tiles, levels beyond a home bypassing what is retained there.

        None where a memory has no word left. A memory's usable words become its capacity.
        """
        levels = list(architecture.levels)
        for name, words in self.taken:
            at = architecture.index(name)
            left = levels[at].usable_capacity - words
            if left < 1:
                return None
            levels[at] = replace(levels[at], capacity=left, multiple_buffering=1.0)
        for space, name in self.homes:
            for at in range(architecture.index(name) + 1, len(levels)):
                levels[at] = replace(levels[at], bypass=levels[at].bypass | {space})
        return replace(architecture, levels=tuple(levels))

    def constraints(self, architecture: Architecture, more: Constraints | None = None) -> Constraints | None:
        """Constraints on mappings, beside others, that operands be loaded whole."""
        for space, name in self.loaded:
            beyond = architecture.levels[architecture.index(name) + 1 :]
            whole = Constraints(tuple(SlotConstraint(level.name, "temporal", without=(space,)) for level in beyond))
            more = whole.joined(more)
        return more

    def holds(self, problem: Problem, architecture: Architecture, mapping: Mapping) -> bool:
        """Whether the memories have room for a mapping's tiles beside all that is retained."""
        for name, taken in self.taken:
            tiles = words_tiled(
                problem, architecture, mapping, name, {space for space, home in self.homes if home == name}
            )
            if tiles + taken > architecture.level(name).usable_capacity:
                return False
        return True

    @property
    def own(self) -> tuple[Homes, Homes]:
        """What is retained, and loaded, of the layer's own operands."""
        return self.homes, self.loaded

    def crowds(self, other: "Residence") -> bool:
        """Whether the same operands are retained as in another one, and no less room is taken anywhere."""
        taken = dict(self.taken)
        return self.own == other.own and all(taken.get(name, 0) >= words for name, words in other.taken)

    def bypass(self, architecture: Architecture) -> list[frozenset[str]]:
        """`[levels]` what each level bypasses since it is retained further in."""
        return [
            frozenset(space for space, name in self.homes if architecture.index(name) < at)
            for at in range(len(architecture.levels))
        ]


@dataclass(frozen=True, eq=False)
class RetainedTables(LayerTables):
    """The tables of a layer on the machine that a residence leaves.

    Attributes:
        homes: the operands that take no room for tiles where they are retained.
    """

    homes: Homes = ()

    @cached_property
    def tiled(self) -> Bools:
        """`[levels, T]` as of `LayerTables`, but for what is retained there."""
        names = [space.name for space in self.spaces]
        tiled = self.kept.copy()
        for space, level in self.homes:
            tiled[self.architecture.index(level), names.index(space)] = False
        return tiled


def retained_front(
    problem: Problem,
    architecture: Architecture,
    residence: Residence,
    constraints: Constraints | None = None,
    go_on: Callable[[], bool] = lambda: True,
) -> OptimalFront | None:
    """The exact front of a layer's mappings under a residence; None where none fits.

    Every mapping names the levels of the machine, those beyond a home bypassing the operand.

    Args:
        problem: the layer's.
        architecture: the machine.
        residence: what is retained.
        constraints: on mappings, beside the machine's.
        go_on: as in `dlco.exact.optimal_layer`.

    Raises:
        NotSupported: the exact search does not cover the layer on the machine.
    """
    machine = residence.machine(architecture)
    if machine is None:
        return None
    constraints = residence.constraints(architecture, constraints)
    case = Case(problem, machine, constraints)
    check_covered(case)
    search = FrontSearch(RetainedTables(problem, machine, constraints, homes=residence.homes))
    try:
        check_begun(search, case)
    except NoMapping:
        return None
    search.run(lambda: not len(search.front.cycles) or go_on())
    found = found_by(search)
    beyond = residence.bypass(architecture)
    mappings = tuple(_bypassing(mapping, beyond) for mapping in found.front.mappings)
    front = LayerFront(found.front.energy_pj, found.front.cycles, mappings, found.front.evaluated)
    return OptimalFront(front, found.open)


def _bypassing(mapping: Mapping, beyond: Iterable[frozenset[str]]) -> Mapping:
    return replace(mapping, bypass=tuple(own | more for own, more in zip(mapping.bypass, beyond, strict=True)))


@dataclass
class Fronts:
    """The exact fronts of layers under residences on one machine, each searched once.

    Where all points of a front still fit with more of the memory taken, they are the front there too.

    Attributes:
        architecture, constraints: as in `retained_front`.
        batches: of the search of one front at most; what is left then is bounded. Without end where it is None.
        known: what has been asked for; `searched` counts the searches, `evaluated` the mappings evaluated in them.
    """

    architecture: Architecture
    constraints: Constraints | None = None
    batches: int | None = None
    known: dict[Problem, dict[Residence, OptimalFront | None]] = field(default_factory=dict)
    searched: int = 0
    evaluated: int = 0

    def of(self, problem: Problem, residence: Residence) -> OptimalFront | None:
        """The front; None where nothing fits."""
        known = self.known.setdefault(problem, {})
        if residence not in known:
            known[residence] = self._found(problem, residence, known)
        return known[residence]

    def is_known(self, problem: Problem, residence: Residence) -> bool:
        """Whether the front has been asked for, or nothing fits with more room either."""
        known = self.known.get(problem, {})
        return residence in known or any(own is None and residence.crowds(other) for other, own in known.items())

    def with_more_room(self, problem: Problem, residence: Residence) -> OptimalFront | None:
        """A known front where the same is retained and no more room taken, which none here goes below; the closest."""
        found = [
            (sum(words for _, words in other.taken), front)
            for other, front in self.known.get(problem, {}).items()
            if front is not None and residence.crowds(other)
        ]
        return max(found, key=lambda one: one[0])[1] if found else None

    def _found(
        self, problem: Problem, residence: Residence, known: dict[Residence, OptimalFront | None]
    ) -> OptimalFront | None:
        for other, front in known.items():
            if residence.crowds(other) and (
                front is None or all(residence.holds(problem, self.architecture, one) for one in front.front.mappings)
            ):
                return front
        go_on = (lambda: True) if self.batches is None else so_often(self.batches)
        found = retained_front(problem, self.architecture, residence, self.constraints, go_on)
        self.searched += 1
        self.evaluated += 0 if found is None else found.front.evaluated
        return found
