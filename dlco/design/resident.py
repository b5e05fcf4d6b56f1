"""`Resident`: a result that stays on the chip between the steps of a network, and whether all of them fit."""

from collections.abc import Collection, Iterator, Sequence
from collections.abc import Mapping as Dict
from dataclasses import dataclass

from dlco.design.codec import Count
from dlco.design.fused_chain import FusedChain, check_chains, runs_of
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


@dataclass(frozen=True)
class _Run:
    """What runs in a step: all of a layer, or a part of it in a tile.

    Attributes:
        step: in the course; `steps`: during which what is there stays there.
        layer: its name.
        problem: what runs.
        homes: by dataspace, where it stays.
        loads: dataspaces that are there whole afterwards.
        taken: (level, words) that a chain takes beside the run's tiles.
    """

    step: int
    steps: range
    layer: str
    problem: Problem
    homes: dict[str, str]
    loads: tuple[str, ...] = ()
    taken: tuple[str, int] = ("", 0)


def check_residents(
    layers: Sequence[Layer],
    architecture: Architecture,
    mappings: Dict[str, Mapping],
    course: Sequence[str],
    residents: Sequence[Resident],
    chains: Sequence[FusedChain] = (),
    constraints: Constraints | None = None,
) -> None:
    """Raise `InvalidInput` unless layers run as often as the course says, and all that is retained has its room.

    Args:
        layers: a mapping each, and how often it is run.
        architecture: the machine.
        mappings: by layer; levels beyond an operand's home bypass it.
        course: names of the layers in the order in which they run; empty where nothing is retained.
        residents: what is retained whole.
        chains: what runs tile by tile.
        constraints: on mappings, beside the machine's.
    """
    by_name = {layer.name: layer for layer in layers}
    if not course and not residents and not chains:
        return
    for name in course:
        if name not in by_name:
            raise InvalidInput(f"course of the solution names layer {name!r}; it has {', '.join(by_name)}")
    check_chains(by_name, course, chains)
    runs = runs_of(course, chains)
    for layer in layers:
        if runs[layer.name] != layer.count:
            raise InvalidInput(
                f"course of the solution runs layer {layer.name!r} {runs[layer.name]} times; its count is {layer.count}"
            )
    problems = [by_name[name].problem for name in course]
    for one in chains:
        problems[one.first : one.last + 1] = one.chain.problems
    homes = _homes(problems, residents)
    fixed = stated(architecture, constraints)
    for run in _runs(by_name, course, chains, homes):
        mapping = mappings[run.layer]
        for space in run.problem.dataspaces:
            _check_home(space.name, architecture, mapping, run.step, run.homes.get(space.name), fixed)
        _check_run(run, architecture, mapping, residents)


def _runs(
    layers: Dict[str, Layer], course: Sequence[str], chains: Sequence[FusedChain], homes: Homes
) -> Iterator[_Run]:
    """Everything that runs, tiles of one shape as one."""
    inside = {step for one in chains for step in range(one.first, one.last + 1)}
    for step, name in enumerate(course):
        if step not in inside:
            problem = layers[name].problem
            own = {space.name: homes[step, space.name] for space in problem.dataspaces if (step, space.name) in homes}
            yield _Run(step, range(step, step + 1), name, problem, own)
    for one in chains:
        steps = range(one.first, one.last + 1)
        whole = {(step - one.first, space): level for (step, space), level in homes.items() if step in steps}
        for run, _, name in one.named():
            keeps = one.tiled.keeps(run, whole.keys())
            own = {space: level for (layer, space), level in whole.items() if layer == run.layer}
            own |= dict.fromkeys(keeps.homes, one.level)
            step = one.first + run.layer
            yield _Run(step, steps, name, run.problem, own, keeps.loads, (one.level, keeps.words))


def _homes(problems: Sequence[Problem], residents: Sequence[Resident]) -> Homes:
    """Where each operand of each step is retained."""
    homes: Homes = {}
    for one in residents:
        if not one.first < one.last < len(problems) or any(not one.first < step <= one.last for step, _ in one.reads):
            raise InvalidInput(
                f"resident of the solution is written by step {one.first} and read until step {one.last}; it must be "
                f"read between these, and there are {len(problems)} steps"
            )
        for step, space in ((one.first, problems[one.first].result), *one.reads):
            if homes.setdefault((step, space), one.level) != one.level:
                raise InvalidInput(f"residents of the solution put {space} of step {step} in two memories")
            words = problems[step].words(space)
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


def _check_run(run: _Run, architecture: Architecture, mapping: Mapping, residents: Sequence[Resident]) -> None:
    """Raise `InvalidInput` unless a run's tiles have room beside what is retained, and it loads what is to stay."""
    levels = {one.level for one in residents} | ({run.taken[0]} if run.taken[0] else set())
    for level in levels:
        there = {number for step in run.steps for number, one in enumerate(residents) if one.is_there(step)}
        taken = sum(residents[number].words for number in there if residents[number].level == level)
        taken += run.taken[1] if run.taken[0] == level else 0
        own = {space for space, home in run.homes.items() if home == level}
        tiles = words_tiled(run.problem, architecture, mapping, level, own)
        room = architecture.level(level).usable_capacity
        if taken and taken + tiles > room:
            raise InvalidInput(
                f"step {run.step} of the solution has {taken} words retained in {level} and {tiles} of tiles; there is "
                f"room for {room:g}"
            )
    for space in run.loads:
        words = tile_words(run.problem, mapping)[run.taken[0]][space]
        if words != run.problem.words(space):
            raise InvalidInput(
                f"step {run.step} of the solution loads {words} words of {space} into {run.taken[0]}; all "
                f"{run.problem.words(space)} must stay there"
            )
