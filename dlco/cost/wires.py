"""Energy of the words that go over networks, by the level that serves them: `dlco.hardware.network` has the rules.

    far:   (reads + updates) x instances of the level that serves x reach of the networks up to the array
    near:  (fills + drains) x instances of the child, or all MACs' operands and results, x (step + reach further in)

each in words of the serving level. Results are updated by every child and read back but for first visits, so a word
walks up once a time it is updated and down once a time it is read; drains are what a child gives back.
"""

import torch

from dlco.cost.accesses import Accesses
from dlco.cost.arithmetic import total
from dlco.cost.nest import Nest, Row, product
from dlco.hardware.architecture import Machine
from dlco.hardware.network import MACS, ways
from dlco.mapping.kept import Kept


def wire_energy(nest: Nest, machine: Machine, kept: Kept, accesses: Accesses) -> list[list[Row]]:
    """`[levels][spaces]` pJ of all instances, by the level that serves the words; the plain 0 where wires cost none.

    Args:
        nest: the loops.
        machine: its networks.
        kept: `[levels][spaces]` whether a level keeps a dataspace.
        accesses: per instance.
    """
    spent: list[list[Row]] = [[0.0 for _ in row] for row in kept]
    steps = [_any(machine.step_pj[..., level]) for level in range(nest.levels)]
    if not any(steps) and not _any(machine.reach_pj):
        return spent
    for way in ways(kept, steps, machine.ranks):
        s = way.space
        bits = machine.word_bits[..., way.parent]
        far = [machine.reach_pj[..., level] for level in way.far]
        near = [machine.reach_pj[..., level] for level in way.near]
        near += [] if way.step is None else [machine.step_pj[..., way.step]]
        served = _words(accesses.reads[way.parent][s], accesses.updates[way.parent][s])
        parts = [product((served, nest.instances[way.parent])) * total(far)] if far else []
        if near and way.child == MACS:
            parts.append(torch.as_tensor(nest.macs) * total(near))
        elif near:
            taken = _words(accesses.fills[way.child][s], accesses.drains[way.child][s])
            parts.append(product((taken, nest.instances[way.child])) * total(near))
        if parts:
            spent[way.parent][s] = total(parts) * bits
    return spent


def _words(*rows: Row) -> Row:
    return total([torch.as_tensor(row) for row in rows])


def _any(values: torch.Tensor) -> bool:
    return bool((values != 0).any())
