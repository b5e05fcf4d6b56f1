"""Uneven mappings whose parts of memories inside an array and beyond it come in turns: where its loops count for whom.

With [RegisterFile_Outputs, GlobalBuffer_Outputs, RegisterFile_Weights, GlobalBuffer_Weights] loops between the second
and the third step weights that stay in the register files over tiles of outputs that have left the array. Wherever
among the temporal loops the array's loops are, a dataspace without windows has the same words in every tile, is sent
as often and to as many different children, so long as they lie between its tile in the array and its tile beyond it.
A dataspace with windows is counted where they are, and must have them there.
"""

from collections.abc import Sequence
from itertools import pairwise

from dlco.cost.nest import Crossing
from dlco.cost.shape import Operand, Shape
from dlco.errors import InvalidMapping, NotSupported
from dlco.hardware.architecture import Machine
from dlco.mapping.kept import Kept


def crossing_of(shape: Shape, machine: Machine, kept: Kept) -> Crossing | None:
    """Where the spatial loops of a machine's levels count for each dataspace; None where that is where they are.

    Args:
        shape: the compiled problem.
        machine: its fan-outs, `parts` and `ranks`.
        kept: `[levels][spaces]` whether a level keeps a dataspace.

    Raises:
        InvalidMapping: a dataspace is kept by a part inside an array outside a part beyond it, or twice by a memory.
        NotSupported: of a dataspace with windows the array's loops are not between its tiles.
    """
    if not machine.parts:
        return None
    ranks, levels = machine.ranks, range(len(machine.ranks))
    fanned = [bool((n > 1).any()) for n in (machine.fanout_x * machine.fanout_y).unbind(-1)]
    columns = [[row[s] for row in kept] for s in range(len(shape.spaces))]
    places = [_places(space, ranks, column, fanned) for space, column in zip(shape.spaces, columns, strict=True)]
    sides = all((f > lv) == (ranks[f] > ranks[lv]) for f in levels if fanned[f] for lv in levels)
    if sides and all(row == tuple(levels) for row in places):
        return None
    return Crossing(ranks, tuple(places))


def _places(space: Operand, ranks: Sequence[int], kept: Sequence[bool], fanned: Sequence[bool]) -> tuple[int, ...]:
    """`[levels]` where each level's spatial loops count for one dataspace."""
    chain = [ranks[level] for level, keeps in enumerate(kept) if keeps]
    if any(outer <= inner for inner, outer in pairwise(chain)):
        raise InvalidMapping(
            f"{space.name} is kept by two parts of one memory, or by a memory further in outside one further out"
        )
    found = list(range(len(ranks)))
    for level in found[:]:
        if not fanned[level]:
            continue
        inside = [i for i, keeps in enumerate(kept) if keeps and ranks[i] < ranks[level]]
        beyond = [i for i, keeps in enumerate(kept) if keeps and ranks[i] >= ranks[level]]
        low, high = max(inside, default=-1), min(beyond, default=len(ranks) - 1)
        if not low < level <= high:
            if space.sliding or (space.read_write and any(c != 1 for rank in space.ranks for _, c in rank)):
                raise NotSupported(
                    f"{space.name} has windows, and the fan-out is not between its tiles in the array and beyond it"
                )
            found[level] = high
    return tuple(found)
