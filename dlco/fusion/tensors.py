"""Which results of a network may stay on the chip: where, for how long, and how many words they take there.

A retained tensor lies whole in one on-chip memory from the step that writes it up to the last one that reads it, both
of these included. Its words are the most that its writer or any of its readers counts (an operand's box includes the
padding, as in Timeloop), whoever runs. It is neither written to DRAM nor read from there: levels beyond its own bypass
it.

Where an operand is put together of several results they stay together, or none does, since the loops of one operand
are cut at the same levels. A result stays in DRAM where it leaves the network, where something reads it that no layer
stands for, where a part of the operand that reads it comes from outside the network, or where its step is the body of
a loop.
"""

from collections.abc import Sequence, Set
from dataclasses import dataclass
from math import inf

from dlco.hardware.architecture import Architecture
from dlco.hardware.constraints import Constraints
from dlco.mapping.constraints import stated
from dlco.workload.graph import Network
from dlco.workload.problem import Problem


@dataclass(frozen=True)
class Tensor:
    """One step's result, or several that are read as one, which may stay on the chip.

    Attributes:
        steps: positions of the steps that write it, in their order.
        words: of each of these.
        last: for each the position of the last step that reads it.
        reads: (step, dataspace) of every operand that it is.
        levels: names of the memories where it may stay, innermost first.
    """

    steps: tuple[int, ...]
    words: tuple[int, ...]
    last: tuple[int, ...]
    reads: tuple[tuple[int, str], ...]
    levels: tuple[str, ...]

    @property
    def ends(self) -> int:
        """The position of the last step that reads any of it."""
        return max(self.last)

    def words_at(self, step: int) -> int:
        """Words of it that are there while a step runs."""
        return sum(
            words for first, words, last in zip(self.steps, self.words, self.last, strict=True) if first <= step <= last
        )

    def role(self, step: int, problem: Problem) -> tuple[str, ...]:
        """The dataspaces of a step's problem that it is."""
        read = tuple(space for at, space in self.reads if at == step)
        return (*read, problem.result) if step in self.steps else read


def shared_memories(architecture: Architecture) -> tuple[str, ...]:
    """The memories where tensors may stay: on the chip, one of each, of limited size; innermost first."""
    return tuple(
        level.name
        for level, instances in zip(architecture.levels[:-1], architecture.instances, strict=False)
        if level.kind != "DRAM" and level.capacity < inf and instances == 1
    )


def tensors_of(
    network: Network,
    architecture: Architecture,
    constraints: Constraints | None = None,
    memories: Sequence[str] | None = None,
) -> tuple[Tensor, ...]:
    """The tensors of a network that may stay on a machine's chip, in the order in which they are written.

    Args:
        network: with its graph.
        architecture: the machine. A memory may hold a tensor that it keeps for its writer and all its readers, if it
            is large enough for the tensor alone.
        constraints: on mappings, beside the machine's; a tensor may stay only where they let its operands be kept, and
            bypassed further out.
        memories: where they may stay; by default `shared_memories`.
    """
    graph = network.graph
    memories = shared_memories(architecture) if memories is None else memories
    found = []
    for group in _read_together(network):
        if any(at in graph.results or graph.steps[at].count > 1 for at in group):
            continue
        reads = tuple(
            dict.fromkeys((e.target, e.space) for at in group for e in graph.outputs[at] if e.space is not None)
        )
        if not reads or any(graph.steps[at].count > 1 for at, _ in reads):
            continue
        roles = [(at, network.layer_of(at).problem.result) for at in group] + list(reads)
        words = tuple(_words(network, at) for at in group)
        last = tuple(max(edge.target for edge in graph.outputs[at]) for at in group)
        one = Tensor(tuple(group), words, last, reads, ())
        most = max(one.words_at(step) for step in range(group[0], one.ends + 1))
        levels = tuple(
            name
            for name in memories
            if may_stay({space for _, space in roles}, name, architecture, stated(architecture, constraints))
            and most <= architecture.level(name).usable_capacity
        )
        if levels:
            found.append(Tensor(one.steps, words, last, reads, levels))
    return tuple(sorted(found, key=lambda tensor: tensor.steps))


def may_stay(spaces: Set[str], level: str, architecture: Architecture, constraints: Constraints) -> bool:
    """Whether a memory may keep dataspaces, and all levels beyond it bypass them."""
    at = architecture.index(level)
    if spaces & architecture.levels[at].bypass or constraints.bypassed_of(level, sorted(spaces)):
        return False
    kept = dict(constraints.keep)
    beyond = [kept.get(outer.name, frozenset()) for outer in architecture.levels[at + 1 :]]
    return not any(named & (spaces | {"*"}) for named in beyond)


def _read_together(network: Network) -> list[list[int]]:
    """The steps of the network's graph, those together whose results are read as one operand."""
    graph = network.graph
    own = list(range(len(graph.steps)))  # each step's group is that of the step that it points to

    def group(at: int) -> int:
        while own[at] != at:
            at = own[at]
        return at

    for edges in graph.inputs:
        for space in {edge.space for edge in edges} - {None}:
            first, *others = sorted(edge.source for edge in edges if edge.space == space)
            for other in others:
                own[group(other)] = group(first)
    return _listed([group(at) for at in own])


def _listed(groups: Sequence[int]) -> list[list[int]]:
    members: dict[int, list[int]] = {}
    for at, one in enumerate(groups):
        members.setdefault(one, []).append(at)
    return list(members.values())


def _words(network: Network, step: int) -> int:
    """The most words that a step's result takes: as it writes them, or as any step reads them that reads no more."""
    graph, problem = network.graph, network.layer_of(step).problem
    views = [problem.words(problem.result)]
    for edge in graph.outputs[step]:
        if edge.space is not None and alone(network, edge.target, edge.space):
            views.append(network.layer_of(edge.target).problem.words(edge.space))
    return max(views)


def alone(network: Network, step: int, space: str) -> bool:
    """Whether a dataspace of a step is one step's result alone."""
    return sum(edge.space == space for edge in network.graph.inputs[step]) == 1
