"""What each layer of a solution spends where, and what its cycles are bounded by: the numbers behind the pictures."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import inf

from dlco.cost.model import evaluate
from dlco.design.solution import Solution
from dlco.hardware.architecture import Architecture
from dlco.hardware.split import levels_of
from dlco.mapping.kept import machine_of
from dlco.mapping.mapping import Mapping
from dlco.workload.layer import Layer


@dataclass(frozen=True)
class Breakdown:
    """One execution of a layer on the solution's machine. Levels come innermost first.

    Attributes:
        name, count, macs, operations: of the layer.
        cycles: that it takes; `compute_cycles`: those of its loops alone, of the busiest MAC.
        ideal_cycles: with every MAC of the machine busy all the time.
        level_cycles: by level, what its bandwidth alone would need; levels without limits left out. The largest of
            these and of the compute cycles, rounded up, are the cycles.
        energy_pj: by level and dataspace; `mac_pj`, `leak_pj` and `wire_pj` (all levels) are the rest of the layer's
            energy.
        spatial: MACs in use over MACs there are; `temporal`: share of the cycles that those are busy. Their product is
            the utilisation.
        filled: by level, words kept over words that fit, of the instances in use; levels without limits left out.
    """

    name: str
    count: int
    macs: int
    operations: int
    cycles: float
    compute_cycles: float
    ideal_cycles: float
    level_cycles: dict[str, float]
    energy_pj: dict[str, dict[str, float]]
    mac_pj: float
    leak_pj: float
    wire_pj: float
    spatial: float
    temporal: float
    filled: dict[str, float]

    @property
    def bound_by(self) -> str:
        """What sets the cycles: "compute", or the name of a level."""
        slowest = max(self.level_cycles, key=lambda name: self.level_cycles[name], default="")
        return slowest if slowest and self.level_cycles[slowest] > self.compute_cycles else "compute"


def breakdowns(solution: Solution) -> tuple[Breakdown, ...]:
    """One a layer, in the network's order."""
    return tuple(_breakdown(layer, solution.architecture, solution.mappings[layer.name]) for layer in solution.layers)


def dataspaces(rows: Sequence[Breakdown]) -> tuple[str, ...]:
    """Names of all dataspaces, in the order in which they first occur."""
    return tuple(dict.fromkeys(space for row in rows for level in row.energy_pj.values() for space in level))


@lru_cache(maxsize=1024)  # every picture of a page asks for the same ones
def _breakdown(layer: Layer, machine: Architecture, mapping: Mapping) -> Breakdown:
    cost = evaluate(layer, machine, mapping)
    counts = cost.counts
    names = [space.name for space in layer.problem.dataspaces]
    apart = machine_of(layer.problem, machine, mapping)
    compute, used = cost.compute_cycles.item(), counts.macs_in_use.item()
    level_cycles, filled = {}, {}
    parts = levels_of(machine, apart)
    for (i, *more), level in zip(parts, machine.levels, strict=True):
        charged = cost.level_cycles[i].item()
        if min(level.read_bandwidth, level.write_bandwidth, level.shared_bandwidth) < inf:
            need = cost.port_cycles[i].max().item()
            level_cycles[level.name] = charged if charged > compute else min(need, compute)
        if 0 < level.usable_capacity < inf:
            filled[level.name] = counts.tile[[i, *more]].double().sum().item() / level.usable_capacity
    return Breakdown(
        name=layer.name,
        count=layer.count,
        macs=layer.macs,
        operations=layer.operations,
        cycles=cost.cycles.item(),
        compute_cycles=compute,
        ideal_cycles=layer.operations / machine.macs,
        level_cycles=level_cycles,
        energy_pj={
            level.name: dict(zip(names, cost.access_pj[some].sum(0).tolist(), strict=True))
            for level, some in zip(machine.levels, parts, strict=True)
        },
        mac_pj=cost.mac_pj.item(),
        leak_pj=cost.leak_pj.sum().item(),
        wire_pj=cost.wire_pj.sum().item(),
        spatial=used / machine.macs,
        temporal=layer.operations / used / cost.cycles.item(),
        filled=filled,
    )
