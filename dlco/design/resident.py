"""`Resident`: a result that stays on the chip between the steps of a network, and whether all of them fit."""

from collections import Counter
from collections.abc import Collection, Sequence
from collections.abc import Mapping as Dict
from dataclasses import dataclass

from dlco.design.codec import Count
from dlco.errors import InvalidInput
from dlco.hardware.architecture import Architecture
from dlco.hardware.constraints import Constraints
from dlco.mapping.constraints import stated
from dlco.mapping.kept import kept_dataspaces
from dlco.mapping.mapping import Mapping
from dlco.mapping.tiles import tile_words
from dlco.workload.layer import Layer
from dlco.workload.problem import Problem

Homes = dict[tuple[int, str], str]


@dataclass(frozen=True)
class Resident:
    """A result that lies whole in one memory while it is needed; steps are counted from 0.

    Attributes:
        level: the memory.
        words: that it takes there.
        first: the step that writes it; `last`: the last one that reads it.
        reads: (step, dataspace) of every operand that it is, or a part of.
    """

    level: str
    words: Count
    first: Count
    last: Count
    reads: tuple[tuple[Count, str], ...]

    def is_there(self, step: int) -> bool:
        """Whether it is there while a step runs."""
        return self.first <= step <= self.last


def words_retained(residents: Sequence[Resident], level: str, step: int) -> int:
    """Words of a memory that results take while a step runs."""
    return sum(one.words for one in residents if one.level == level and one.is_there(step))


def words_tiled(
    problem: Problem, architecture: Architecture, mapping: Mapping, level: str, retained: Collection[str]
) -> int:
    """Words of a memory that a mapping's tiles take, those of the dataspaces that are not retained there."""
    words = tile_words(problem, mapping)[level]
    return sum(
        words[space] for space in kept_dataspaces(problem, mapping, architecture)[level] if space not in retained
    )


def check_residents(
    layers: Sequence[Layer],
    architecture: Architecture,
    mappings: Dict[str, Mapping],
    course: Sequence[str],
    residents: Sequence[Resident],
    constraints: Constraints | None = None,
) -> None:
    """Raise `InvalidInput` unless layers run as often as the course says, and all that is retained has its room.

    Args:
        layers: a mapping each, and how often it is run.
        architecture: the machine.
        mappings: by layer; levels beyond an operand's home bypass it.
        course: names of the layers in the order in which they run; empty where nothing is retained.
        residents: what is retained.
        constraints: on mappings, beside the machine's.
    """
    by_name = {layer.name: layer for layer in layers}
    if not course and not residents:
        return
    for name in course:
        if name not in by_name:
            raise InvalidInput(f"course of the solution names layer {name!r}; it has {', '.join(by_name)}")
    runs = Counter(course)
    for layer in layers:
        if runs[layer.name] != layer.count:
            raise InvalidInput(
                f"course of the solution runs layer {layer.name!r} {runs[layer.name]} times; its count is {layer.count}"
            )
    homes = _homes(by_name, course, residents)
    fixed = stated(architecture, constraints)
    for step, name in enumerate(course):
        for space in by_name[name].problem.dataspaces:
            _check_home(space.name, architecture, mappings[name], step, homes.get((step, space.name)), fixed)
        _check_step(by_name[name].problem, architecture, mappings[name], step, homes, residents)


def _homes(layers: Dict[str, Layer], course: Sequence[str], residents: Sequence[Resident]) -> Homes:
    """Where each operand of each step is retained."""
    homes: Homes = {}
    for one in residents:
        if not one.first < one.last < len(course) or any(not one.first < step <= one.last for step, _ in one.reads):
            raise InvalidInput(
                f"resident of the solution is written by step {one.first} and read until step {one.last}; it must be "
                f"read between these, and there are {len(course)} steps"
            )
        for step, space in ((one.first, layers[course[one.first]].problem.result), *one.reads):
            if homes.setdefault((step, space), one.level) != one.level:
                raise InvalidInput(f"residents of the solution put {space} of step {step} in two memories")
            words = layers[course[step]].problem.words(space)
            parts = sum((step, space) in other.reads for other in residents)
            if parts <= 1 and one.words < words:
                raise InvalidInput(
                    f"resident of the solution has {one.words} words; {space} of step {step} has {words}"
                )
    return homes


def _check_home(
    space: str, architecture: Architecture, mapping: Mapping, step: int, home: str | None, constraints: Constraints
) -> None:
    """Raise `InvalidInput` unless an operand's last level is its home, or what machine and constraints make it."""
    out = [
        level.bypass | (frozenset() if home else constraints.bypassed_of(level.name, [space]))
        for level in architecture.levels
    ]
    meant = home or [level.name for level, some in zip(architecture.levels, out, strict=True) if space not in some][-1]
    last = [
        level.name
        for level, own, some in zip(architecture.levels, out, mapping.bypass, strict=True)
        if space not in own | some
    ]
    if last[-1:] != [meant]:
        raise InvalidInput(
            f"mapping of step {step} of the solution has {space} in {last[-1] if last else 'no level'}; with its "
            f"residents it is in {meant}"
        )


def _check_step(
    problem: Problem,
    architecture: Architecture,
    mapping: Mapping,
    step: int,
    homes: Homes,
    residents: Sequence[Resident],
) -> None:
    for level in {one.level for one in residents}:
        taken = words_retained(residents, level, step)
        own = {space.name for space in problem.dataspaces if homes.get((step, space.name)) == level}
        tiles = words_tiled(problem, architecture, mapping, level, own)
        room = architecture.level(level).usable_capacity
        if taken and taken + tiles > room:
            raise InvalidInput(
                f"step {step} of the solution has {taken} words retained in {level} and {tiles} of tiles; there is "
                f"room for {room:g}"
            )
