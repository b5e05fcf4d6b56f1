"""`LayerCost` and `NetworkCost`: what mapped layers cost on a machine, one by one and together."""

from collections.abc import Mapping as Dict
from collections.abc import Sequence
from dataclasses import dataclass

from dlco.cost.model import evaluate
from dlco.design.codec import Count, Figure
from dlco.design.objective import JOULES, Objective
from dlco.hardware.architecture import Architecture
from dlco.hardware.split import levels_of
from dlco.mapping.kept import machine_of
from dlco.mapping.mapping import Mapping
from dlco.workload.layer import Layer


@dataclass(frozen=True)
class LayerCost:
    """One layer's cost on the solution's machine; every figure is of one execution.

    Attributes:
        count: executions in the network.
        macs, cycles, energy_pj, utilization: as in `dlco.cost.Cost`.
        level_pj: access energy of each level, pJ, innermost first; `mac_pj`, `leak_pj` and `wire_pj` are the rest.
    """

    count: Count
    macs: Count
    cycles: Figure
    energy_pj: Figure
    utilization: Figure
    level_pj: dict[str, Figure]
    mac_pj: Figure
    leak_pj: Figure
    wire_pj: Figure = 0.0


@dataclass(frozen=True)
class NetworkCost:
    """The network's cost: sums over layers x counts; EDP is total energy x total cycles, pJ x cycles."""

    cycles: Figure
    energy_pj: Figure
    latency_s: Figure
    power_w: Figure
    area_mm2: Figure
    edp: Figure

    @staticmethod
    def of(energy_pj: float, cycles: float, area_mm2: float, cycle_s: float) -> "NetworkCost":
        """All figures, of a network's energy and cycles on a machine of this area and cycle."""
        latency = cycles * cycle_s
        return NetworkCost(cycles, energy_pj, latency, energy_pj * JOULES / latency, area_mm2, energy_pj * cycles)

    @property
    def energy_j(self) -> float:
        """Joules."""
        return self.energy_pj * JOULES

    def objective(self, name: str) -> float:
        """The figure that an objective minimises: latency s, energy pJ, edp pJ x cycles, power W, area mm2."""
        return float(getattr(self, Objective(name).total))


def evaluate_network(
    layers: Sequence[Layer], architecture: Architecture, mappings: Dict[str, Mapping]
) -> tuple[dict[str, LayerCost], NetworkCost]:
    """Cost of mapped layers: each layer's, and the network's. Raises `InvalidMapping` where one does not fit."""
    costs: dict[str, LayerCost] = {}
    for layer in layers:
        mapping = mappings[layer.name]
        cost = evaluate(layer, architecture, mapping)
        apart = machine_of(layer.problem, architecture, mapping)
        energies = cost.access_pj.sum(-1).tolist()
        costs[layer.name] = LayerCost(
            count=layer.count,
            macs=layer.macs,
            cycles=cost.cycles.item(),
            energy_pj=cost.energy_pj.item(),
            utilization=cost.utilization.item(),
            level_pj={
                level.name: sum(energies[i] for i in parts)
                for level, parts in zip(architecture.levels, levels_of(architecture, apart), strict=True)
            },
            mac_pj=cost.mac_pj.item(),
            leak_pj=cost.leak_pj.sum().item(),
            wire_pj=cost.wire_pj.sum().item(),
        )
    energy = sum(one.energy_pj * one.count for one in costs.values())
    cycles = sum(one.cycles * one.count for one in costs.values())
    return costs, NetworkCost.of(energy, cycles, architecture.area_mm2, architecture.cycle_s)
