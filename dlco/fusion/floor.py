"""What fused designs need at least, on a machine or on all machines of a box: compulsory work, whatever stays where.

On the most optimistic machine of a box (`dlco.hardware.box`) every plan of its machines fits and takes no more energy
and no more cycles. What no plan goes below there bounds them all.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from dlco.exact.sums import Hull
from dlco.fusion.chains import Floors, Uncut, chains_of, uncut_chains
from dlco.fusion.course import Course
from dlco.fusion.sums import Points, hull_of_ways
from dlco.fusion.tensors import Tensor, shared_memories, tensors_of
from dlco.hardware.architecture import Architecture
from dlco.hardware.constraints import Constraints
from dlco.mapping.constraints import stated
from dlco.workload.chain import Chain
from dlco.workload.graph import Network


@dataclass(frozen=True, eq=False)
class FusedFloor:
    """The least that fused designs of a network need.

    Attributes:
        network: with its graph.
        constraints: on mappings, beside the machines'.
    """

    network: Network
    constraints: Constraints | None = None

    def hull(self, machine: Architecture, memories: Sequence[str] | None = None) -> Hull | None:
        """The hull of (pJ, cycles) that the network needs; None where a memory has no word for what must be there.

        Args:
            machine: one, or the most optimistic one of a box.
            memories: where results may stay on any of its machines; by default those of the machine.
        """
        memories = shared_memories(machine) if memories is None else memories
        tensors = tensors_of(self.network, machine, self.constraints, memories)
        course, floors = unsearched(self.network, machine, tensors, self.uncut(machine, memories)), Floors(machine)
        return hull_of_ways(course.every, lambda move: Points.of(floors.hull(move.parts)))

    def uncut(self, machine: Architecture, memories: Sequence[str]) -> list[Uncut]:
        """The chains whose results may stay in memories of a machine."""
        return list(uncut_chains(self._chains, memories, machine, stated(machine, self.constraints)))

    @cached_property
    def _chains(self) -> list[tuple[int, int, Chain]]:
        return list(chains_of(self.network))


def unsearched(network: Network, machine: Architecture, tensors: Sequence[Tensor], uncut: Sequence[Uncut]) -> Course:
    """The whole course where what fits is told by what must be there alone, without a search for mappings."""
    course = Course(network, machine, tensors, (), uncut, lambda _, residence: residence.machine(machine) is not None)
    for _ in network.graph.steps:
        course.advance()
    course.prune()
    return course
