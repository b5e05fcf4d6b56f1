"""`Network`: the wires between a level and what lies below it, and the ways that words take over them.

A word that a level serves goes once to the array of those that take it, and from there one step to each of them; a
result comes back the same way. So on a fixed machine wires cost so much a word read or updated at the level that
serves it (`reach`), and so much a word that reaches, or leaves, each child (`step`). A network without steps is a link
from one port to another.

Between a level and the next one further in that keeps a dataspace there may be others that its words pass by. Of the
networks on the way the innermost with steps is the array: what lies beyond is walked once a word served, its step and
the links further in once a word of every child. (Where several networks on the way have steps, the inner array is all
there is of them: those further out are a way to its middle.) Words are as wide as the level that serves them has them.

Timeloop charges a network by hops instead (`Mesh`), which it counts mapping by mapping. Under its rules that is what
counts (`dlco.cost.hops`); everywhere else the network of a mesh has the reach and the step that come nearest
(`Mesh.network`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from dlco.errors import InvalidInput
from dlco.hardware.checks import check_figure

LINK, TREE, SYSTOLIC = NETWORKS = ("link", "tree", "systolic")
MACS = -1  # the child below level 0


@dataclass(frozen=True)
class Mesh:
    """What Timeloop charges for the words between a level and its children, which lie in a grid.

    Attributes:
        hop_pj: pJ a word and hop, from one child to the next; a word to several children takes the hops of a tree.
        router_pj: pJ a word and router: one more than its hops, rounded down.
        ingress_pj: pJ a word that enters the network, whatever its way.
        both_ways: whether partial sums go down as well as up, since the level cannot add to what it holds (DRAM).

    Raises:
        InvalidInput: figures out of range.

    Examples:
        >>> mesh = dlco.hardware.Mesh(hop_pj=0.5, router_pj=0.1)
        >>> network = mesh.network(fanout_x=4, fanout_y=4, word_bits=16)
        >>> round(16 * network.reach_pj, 3), round(16 * network.step_pj, 3)  # pJ a word: to the array, to each child
        (1.1, 0.5)
    """

    hop_pj: float = 0.0
    router_pj: float = 0.0
    ingress_pj: float = 0.0
    both_ways: bool = False

    def __post_init__(self) -> None:
        for name in ("hop_pj", "router_pj", "ingress_pj"):
            check_figure(f"{name} of a mesh", getattr(self, name))

    def network(self, fanout_x: int, fanout_y: int, word_bits: int) -> "Network":
        """The network of such a mesh: the line through what one child takes, on average over all, and what all do.

        One child is (X - 1) / 2 hops along X and half of Y's reach from the middle of X's side, Y / 4; a tree to all
        has X - 1 hops along X and Y - 1 in each of X columns.
        """
        x, y = fanout_x, fanout_y
        one = (x - 1) / 2 + (y // 2) * ((y + 1) // 2) / y
        every = (x - 1) + x * (y - 1)
        step = (every - one) / (x * y - 1) if x * y > 1 else 0.0
        hop, ingress = self.hop_pj + self.router_pj, self.router_pj + self.ingress_pj
        return Network(
            reach_pj=(max(0.0, one - step) * hop + ingress) / word_bits, step_pj=step * hop / word_bits, mesh=self
        )


@dataclass(frozen=True)
class Network:
    """The wires from a level to its children: instances of the next inner level, or MACs.

    Attributes:
        kind: "link" (to one child), "tree" (a bus or multicast tree to an array of children) or "systolic" (from
            neighbour to neighbour in an array), by which a `HardwareSpace` lays it out anew when sizes change; None
            where its figures stay.
        reach_pj: pJ a bit from the level's port to the child, or to the array of children.
        step_pj: pJ a bit from there to each child that takes it; 0 of a link.
        area_um2: of the wires, um2 an instance of the level.
        mesh: what Timeloop's rules count in place of reach and step; None where these count under all rules.

    Raises:
        InvalidInput: another kind, figures out of range, steps of a link, or a mesh of a kind that is laid out.

    Examples:
        >>> machine = dlco.hardware.generic(wires=True)
        >>> network = machine.level("GlobalBuffer").network
        >>> network.kind, round(network.reach_pj, 2), round(network.step_pj, 3)  # pJ a bit
        ('tree', 0.15, 0.012)
    """

    kind: str | None = None
    reach_pj: float = 0.0
    step_pj: float = 0.0
    area_um2: float = 0.0
    mesh: Mesh | None = None

    def __post_init__(self) -> None:
        if self.mesh is not None and (self.kind is not None or not isinstance(self.mesh, Mesh)):
            raise InvalidInput(
                f"mesh of a network of kind {self.kind!r} is {self.mesh!r}; it must be None, or a Mesh with kind None"
            )
        if self.kind is not None and self.kind not in NETWORKS:
            raise InvalidInput(f"kind of a network is {self.kind!r}; allowed: {', '.join(NETWORKS)}, or None")
        for name in ("reach_pj", "step_pj", "area_um2"):
            check_figure(f"{name} of a network", getattr(self, name))
        if self.kind == LINK and self.step_pj:
            raise InvalidInput(f"step_pj of a network is {self.step_pj!r}; a link has no steps, it must be 0")


@dataclass(frozen=True)
class Way:
    """How words of a dataspace go between a level that keeps it and the next one further in, or the MACs.

    Attributes:
        space: index of the dataspace.
        parent, child: the levels; `MACS` for these.
        far: levels whose networks a word walks to the array, once for all children that take it.
        near: levels whose networks it walks from there to every child.
        step: level whose network's step it takes to every child; None where no array is on the way.
    """

    space: int
    parent: int
    child: int
    far: tuple[int, ...]
    near: tuple[int, ...]
    step: int | None


def ways(kept: Sequence[Sequence[bool]], arrays: Sequence[bool], ranks: Sequence[int] = ()) -> list[Way]:
    """All ways of all dataspaces.

    Args:
        kept: `[levels][spaces]` whether a level keeps a dataspace.
        arrays: `[levels]` whether a level's network has steps.
        ranks: as `Architecture.ranks`, where memories are in parts: a part's network is its memory's.
    """
    ranks = ranks or range(len(kept))
    network: dict[int, int] = {}
    for level, rank in enumerate(ranks):  # parts state their memory's network alike
        network.setdefault(rank, level)
    found = []
    for space in range(len(kept[0])):
        child, inside = MACS, -1
        for parent in (level for level, row in enumerate(kept) if row[space]):
            passed = [network[rank] for rank in range(inside + 1, ranks[parent] + 1)]
            at = next((i for i, level in enumerate(passed) if arrays[level]), None)
            far, near = (passed, []) if at is None else (passed[at:], passed[:at])
            found.append(Way(space, parent, child, tuple(far), tuple(near), None if at is None else passed[at]))
            child, inside = parent, ranks[parent]
    return found
