"""What a proof of one machine says of machines and limits near it, without another program solved.

A bound rests on multipliers, and weak duality asks nothing of these but their sign: with the numbers of a changed
program in place they prove a bound of that one (`DualBound.bound_of`), the best to first order. So one run of branch
and bound says, for every capacity, bandwidth and limit, how the bound moves with it: its slope is the sum of the
multipliers that the changed rows have (Boyd and Vandenberghe, Convex Optimization, section 5.6). Where a class of
mappings had none within the limits and is no longer proved to have none, its program is solved anew.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import inf, log

from dlco.bound.boxes import SAFETY, NetworkBound
from dlco.bound.certificate import BoundEffort, Bounding, Certificate, without_bypassed
from dlco.bound.geometric import DualBound, Program, solve
from dlco.bound.nodes import Node
from dlco.bound.program import Aim, Draft, draft
from dlco.bound.region import least
from dlco.bound.terms import LayerTerms
from dlco.design.budget import Budget
from dlco.design.objective import Objective
from dlco.hardware.architecture import Architecture
from dlco.hardware.space import as_space
from dlco.workload.layer import Layer


@dataclass(frozen=True)
class Change:
    """A size of one level, "level.capacity" (the words that tiles may fill) or a bandwidth of it, times a factor."""

    size: str
    factor: float

    def machine(self, machine: Architecture) -> Architecture:
        """The machine with it."""
        level, _, field = self.size.rpartition(".")
        at = machine.index(level)
        own = machine.levels[at]
        value = own.usable_capacity * own.multiple_buffering if field == "capacity" else getattr(own, field)
        changed = replace(own, **{field: value * self.factor})  # type: ignore[arg-type]
        return replace(machine, levels=(*machine.levels[:at], changed, *machine.levels[at + 1 :]))


class NearbyBounds:
    """Bounds of one network on a machine, and on machines and within limits near these.

    Args:
        layers: the network.
        machine: the machine.
        objective: what is bounded.
        budget: limits that designs keep.
        imperfect: whether factors need not divide the bounds.
        effort: of the bound on the machine as it is.

    Attributes:
        certificate: that bound.
    """

    def __init__(
        self,
        layers: Sequence[Layer],
        machine: Architecture,
        objective: Objective,
        budget: Budget,
        imperfect: bool = False,
        effort: BoundEffort | None = None,
    ) -> None:
        self.layers, self.machine, self.objective, self.budget = tuple(layers), machine, objective, budget
        self.imperfect = imperfect
        bounding = self._bounding(machine, budget, effort)
        self.certificate: Certificate = bounding.certificate()
        self._prices = [_Price(aims, found) for aims, found in bounding.solved if found.layers]

    def value(self, change: Change | None = None, budget: Budget | None = None) -> float:
        """A bound with one size changed, or within another budget, in the unit of `NetworkCost.objective`."""
        machine = self.machine if change is None else change.machine(self.machine)
        bounding = self._bounding(machine, budget or self.budget, None)
        for price in self._prices:
            aims = [bounding.aim(price.aims[0].energy, price.aims[0].time, i) for i in range(len(self.layers))]
            total = 0.0
            for layer, floor, aim, proofs in zip(self.layers, bounding.floors, aims, price.layers, strict=True):
                own = aim.energy * floor.energy + aim.time * floor.cycles
                total += layer.count * max(own, proofs.value(aim, change) * (1 - SAFETY))
            bounding.cuts.append((aims[0].energy, aims[0].time, total))
        return max(least(bounding.value, bounding.cuts, bounding.limits)[0], bounding.floor())

    def _bounding(self, machine: Architecture, budget: Budget, effort: BoundEffort | None) -> Bounding:
        space = without_bypassed(as_space(machine), None, self.layers)
        return Bounding(self.layers, space, self.objective, budget, self.imperfect, effort)


class _Price:
    """What was proved at one price of time: the aims of all layers, and their proofs."""

    def __init__(self, aims: Sequence[Aim], found: NetworkBound) -> None:
        self.aims = aims
        self.layers = [
            _Proofs(*one) for one in zip(found.terms, aims, (own.proofs for own in found.layers), strict=True)
        ]


class _Proofs:
    """Nodes that cover a layer's mappings, each with its program and multipliers."""

    def __init__(self, terms: LayerTerms, aim: Aim, proofs: Sequence[tuple[Node, DualBound | None]]) -> None:
        self.terms = terms
        self.programs = [(draft(terms, node, aim), dual) for node, dual in proofs]

    def value(self, aim: Aim, change: Change | None) -> float:
        """The least that the layer has within the cycles of an aim and with one size changed."""
        found = inf if self.programs else 0.0  # nothing to choose: the compulsory work is all
        for drafted, dual in self.programs:
            program = _changed(drafted, change, aim.cycles / self.terms.scales[1])
            value = -inf if dual is None else dual.bound_of(program)
            if value == -inf:
                dual = solve(program)
                value = 0.0 if dual is None else dual.bound
            found = min(found, value * drafted.scale)
        return found


def _changed(drafted: Draft, change: Change | None, time: float) -> Program:
    """The program with one size changed, and another limit on the time."""
    program = drafted.program
    if program.high[-1] != time:
        high = program.high.copy()
        high[-1] = time
        program = replace(program, high=high)
    rows = [i + 1 for i, name in enumerate(drafted.rows) if change is not None and name == change.size]
    if change is None or not rows:
        return program
    # What is divided by the size: the row's terms and, of words moved, chords of words that are not; not the time,
    # and not the 1 that a capacity's share is at most.
    (row,) = rows
    logs = program.logs.copy()
    logs[program.row == row] -= log(change.factor)
    linear, constant = program.linear.copy(), program.constant.copy()
    if program.linear[row, -1]:
        linear[row, :-1] /= change.factor
        constant[row] /= change.factor
    return replace(program, logs=logs, linear=linear, constant=constant)
