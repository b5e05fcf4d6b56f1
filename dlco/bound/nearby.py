"""What a proof of one machine, or of a space, says of machines and limits near it, without another program solved.

A bound rests on multipliers, and weak duality asks nothing of these but their sign: with the numbers of a changed
program in place they prove a bound of that one (`DualBound.bound_of`), the best to first order. So one run of branch
and bound says, for every capacity, bandwidth and limit, how the bound moves with it: its slope is the sum of the
multipliers that the changed rows have (Boyd and Vandenberghe, Convex Optimization, section 5.6). Where a class of
mappings had none within the limits and is no longer proved to have none, its program is solved anew; so may all be, for
a change so large that its tangent says little.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import inf, log

from dlco.bound.boxes import SAFETY, NetworkBound
from dlco.bound.certificate import BoundEffort, Bounding, Certificate, without_bypassed
from dlco.bound.geometric import DualBound, Program, solve
from dlco.bound.nodes import Node
from dlco.bound.program import AREA, Aim, Draft, draft, limit_row
from dlco.bound.region import least
from dlco.bound.terms import LayerTerms
from dlco.design.budget import Budget
from dlco.design.objective import Objective
from dlco.hardware.architecture import Architecture
from dlco.hardware.constraints import Constraints
from dlco.hardware.space import HardwareSpace, as_space
from dlco.workload.layer import Layer


@dataclass(frozen=True)
class Change:
    """A size of one level, "level.capacity" (the words that tiles may fill) or a bandwidth of it, times a factor."""

    size: str
    factor: float

    @property
    def row(self) -> str:
        """The programs' row that it changes."""
        return self.size

    def hardware(self, hardware: HardwareSpace) -> HardwareSpace:
        """The machine with it, of a space that is one."""
        return as_space(self.machine(hardware.base))

    def machine(self, machine: Architecture) -> Architecture:
        """The machine with it."""
        level, _, field = self.size.rpartition(".")
        at = machine.index(level)
        own = machine.levels[at]
        value = own.usable_capacity * own.multiple_buffering if field == "capacity" else getattr(own, field)
        changed = replace(own, **{field: value * self.factor})  # type: ignore[arg-type]
        return replace(machine, levels=(*machine.levels[:at], changed, *machine.levels[at + 1 :]))


@dataclass(frozen=True)
class LimitChange:
    """The right side of a limit between the sizes of a space, by its position among the limits, times a factor."""

    limit: int
    factor: float

    @property
    def row(self) -> str:
        """The programs' row that it changes."""
        return limit_row(self.limit)

    def hardware(self, hardware: HardwareSpace) -> HardwareSpace:
        """The space with it."""
        limits = list(hardware.limits)
        one = limits[self.limit]
        limits[self.limit] = replace(one, right=one.right._replace(coefficient=one.right.coefficient * self.factor))
        return replace(hardware, limits=tuple(limits))


class NearbyBounds:
    """Bounds of one network on a machine, and on machines and within limits near these; or on those of a space.

    Args:
        layers: the network.
        hardware: the machine, or the space.
        objective: what is bounded.
        budget: limits that designs keep. That on MAC units is never changed; as a limit of the space it may be.
        imperfect: whether factors need not divide the bounds.
        effort: of the bound on the hardware as it is. Boxes of free sizes are not cut: one multiplier a row is wanted.
        constraints: on mappings, beside those that the hardware carries.

    Attributes:
        certificate: that bound.
    """

    def __init__(
        self,
        layers: Sequence[Layer],
        hardware: Architecture | HardwareSpace,
        objective: Objective,
        budget: Budget,
        imperfect: bool = False,
        effort: BoundEffort | None = None,
        constraints: Constraints | None = None,
    ) -> None:
        self.layers, self.hardware, self.objective, self.budget = tuple(layers), as_space(hardware), objective, budget
        self.imperfect, self.constraints = imperfect, constraints
        bounding = self._bounding(self.hardware, budget, replace(effort or BoundEffort(), boxes=0))
        self.certificate: Certificate = bounding.certificate()
        self._prices = [_Price(aims, found) for aims, found in bounding.solved if found.layers]

    def value(
        self, change: Change | LimitChange | None = None, budget: Budget | None = None, *, anew: bool = False
    ) -> float:
        """A bound with one size or limit changed, or within another budget, in the unit of `NetworkCost.objective`.

        With `anew` every program is solved again.
        """
        hardware = self.hardware if change is None else change.hardware(self.hardware)
        bounding = self._bounding(hardware, budget or self.budget, None)
        for price in self._prices:
            aims = [bounding.aim(price.aims[0].energy, price.aims[0].time, i) for i in range(len(self.layers))]
            total = 0.0
            for layer, floor, aim, proofs in zip(self.layers, bounding.floors, aims, price.layers, strict=True):
                own = aim.energy * floor.energy + aim.time * floor.cycles
                total += layer.count * max(own, proofs.value(aim, change, anew) * (1 - SAFETY))
            bounding.cuts.append((aims[0].energy, aims[0].time, total))
        return max(least(bounding.value, bounding.cuts, bounding.limits)[0], bounding.floor())

    def _bounding(self, hardware: HardwareSpace, budget: Budget, effort: BoundEffort | None) -> Bounding:
        space = without_bypassed(hardware, self.constraints, self.layers)
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
        self.terms, self.aim = terms, aim
        self.programs = [(draft(terms, node, aim), dual) for node, dual in proofs]

    def value(self, aim: Aim, change: Change | LimitChange | None, anew: bool) -> float:
        """The least that the layer has within the limits of an aim and with one size or limit changed."""
        factors = {} if change is None else {change.row: change.factor}
        if aim.area_um2 != self.aim.area_um2:
            factors[AREA] = aim.area_um2 / self.aim.area_um2
        found = inf if self.programs else 0.0  # nothing to choose: the compulsory work is all
        for drafted, dual in self.programs:
            program = _changed(drafted, factors, aim.cycles / self.terms.scales[1])
            value = -inf if dual is None else dual.bound_of(program)
            if value == -inf or (anew and value * drafted.scale < found):
                dual = solve(program)
                value = max(value, 0.0 if dual is None else dual.bound)
            found = min(found, value * drafted.scale)
        return found


def _changed(drafted: Draft, factors: dict[str, float], time: float) -> Program:
    """The program with sizes and limits, by the names of their rows, times factors, and another limit on the time."""
    program = drafted.program
    if program.high[-1] != time:
        high = program.high.copy()
        high[-1] = time
        program = replace(program, high=high)
    for name, factor in factors.items():
        for row in (i + 1 for i, other in enumerate(drafted.rows) if other == name):
            # What is divided by the size or limit: the row's terms and, of words moved, chords of words that are not;
            # not the time, and not the 1 that a share is at most.
            logs, linear, constant = program.logs.copy(), program.linear.copy(), program.constant.copy()
            logs[program.row == row] -= log(factor)
            if program.linear[row, -1]:
                linear[row, :-1] /= factor
                constant[row] /= factor
            program = replace(program, logs=logs, linear=linear, constant=constant)
    return program
