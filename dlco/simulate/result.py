"""`simulate()`: a network's layers executed in time, and what that says beside an analytical figure."""

from collections.abc import Mapping as Dict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dlco.errors import InvalidInput
from dlco.hardware.architecture import Architecture
from dlco.mapping.mapping import Mapping
from dlco.simulate.engine import simulate_timing
from dlco.simulate.timing import Timing, TimingModel
from dlco.texts import printable
from dlco.workload.density import DENSE, Density
from dlco.workload.layer import Layer, check_layers

TOLD = 1e-3  # share of a layer's cycles from which on a cause is worth telling


@dataclass(frozen=True)
class LayerSimulation:
    """One execution of a layer.

    Attributes:
        name: of the layer; `count`: how often the network runs it; `macs`: of one execution.
        timing: when everything happened.
        utilization: MACs done (those that are skipped as zeros are not) over those that the machine could have done.
        analytical_cycles: what a model said that knows no tiles, or None.
    """

    name: str
    count: int
    macs: int
    timing: Timing
    utilization: float
    analytical_cycles: float | None = None

    @property
    def ratio(self) -> float | None:
        """Simulated over analytical cycles."""
        return None if self.analytical_cycles is None else self.timing.cycles / self.analytical_cycles

    @property
    def explanation(self) -> str:
        """Where the cycles go beyond those of the MACs, the largest part first, each as a share of all."""
        timing = self.timing
        parts = [
            (timing.fill_cycles, "fill: the first tiles come"),
            (timing.drain_cycles, "drain: the last sums leave"),
            (timing.operand_cycles, "ports too narrow for the MACs' own words"),
            *((stall.cycles, f"waiting for {stall.name}: {stall.reason}") for stall in timing.stalls),
        ]
        told = [
            f"{cycles / timing.cycles:.1%} {why}"
            for cycles, why in sorted(parts, reverse=True)
            if cycles >= TOLD * timing.cycles
        ]
        return "; ".join(told) or "none: the MACs never wait"

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and strings."""
        timing = self.timing
        return {
            "name": self.name,
            "count": self.count,
            "cycles": timing.cycles,
            "analytical_cycles": self.analytical_cycles,
            "ratio": self.ratio,
            "utilization": self.utilization,
            "compute_cycles": timing.compute_cycles,
            "operand_cycles": timing.operand_cycles,
            "fill_cycles": timing.fill_cycles,
            "drain_cycles": timing.drain_cycles,
            "stall_cycles": timing.stall_levels,
            "stalls": [{"name": one.name, "cycles": one.cycles, "reason": one.reason} for one in timing.stalls],
            "explanation": self.explanation,
        }


@dataclass(frozen=True)
class Simulation:
    """Layers executed one after the other, each by itself: `layers`."""

    layers: tuple[LayerSimulation, ...]

    @property
    def cycles(self) -> float:
        """Of all executions of all layers."""
        return sum(one.count * one.timing.cycles for one in self.layers)

    @property
    def analytical_cycles(self) -> float | None:
        """The same, as the analytical model has it."""
        known = [one.count * one.analytical_cycles for one in self.layers if one.analytical_cycles is not None]
        return sum(known) if len(known) == len(self.layers) else None

    @property
    def ratio(self) -> float | None:
        """Simulated over analytical cycles."""
        return None if self.analytical_cycles is None else self.cycles / self.analytical_cycles

    def __getitem__(self, name: str) -> LayerSimulation:
        for one in self.layers:
            if one.name == name:
                return one
        raise InvalidInput(f"layer is {name!r}; simulated were {', '.join(one.name for one in self.layers)}")

    def __str__(self) -> str:
        head = ("layer", "count", "cycles", "analytical", "ratio", "compute", "fill", "drain", "stalls", "utilisation")
        rows = [head, *(tuple(map(printable, _row(one))) for one in self.layers)]
        if len(self.layers) > 1:
            total = ["all", "", f"{self.cycles:,.0f}", _whole(self.analytical_cycles), _ratio(self.ratio)]
            rows.append((*total, *[""] * (len(head) - len(total))))
        widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
        lines = [
            "  ".join([row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))])
            for row in rows
        ]
        return "\n".join([*lines, "", *(printable(f"{one.name}: {one.explanation}") for one in self.layers)])

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, strings, lists and dictionaries."""
        return {
            "cycles": self.cycles,
            "analytical_cycles": self.analytical_cycles,
            "ratio": self.ratio,
            "layers": [one.to_dict() for one in self.layers],
        }


def simulate(
    layers: Sequence[Layer] | Layer,
    architecture: Architecture,
    mappings: Dict[str, Mapping] | Mapping,
    model: TimingModel | None = None,
    density: Density = DENSE,
    analytical: Dict[str, float] | None = None,
) -> Simulation:
    """Execute layers in time, tile by tile.

    Args:
        layers: the network, or one layer.
        architecture: the machine.
        mappings: by layer name, or the one layer's.
        model: what else to know of the machine: buffering, DRAM's latency.
        density: of the operands.
        analytical: by layer name, cycles of an analytical model to compare with.

    Returns:
        A `Simulation`, whose text is a table and an explanation of every layer.

    Raises:
        InvalidInput: a layer without a mapping.
        InvalidMapping: a mapping does not fit.
        NotSupported: as `simulate_timing` does.
    """
    checked = check_layers([layers] if isinstance(layers, Layer) else layers)
    table = {one.name: mappings for one in checked} if isinstance(mappings, Mapping) else mappings
    found = []
    for layer in checked:
        if layer.name not in table:
            raise InvalidInput(f"mappings lack layer {layer.name!r}; there are {', '.join(table) or 'none'}")
    for layer in checked:
        timing = simulate_timing(layer, architecture, table[layer.name], model, density)
        used = layer.operations * density.macs(layer.problem) / architecture.macs / timing.cycles
        found.append(
            LayerSimulation(layer.name, layer.count, layer.macs, timing, used, (analytical or {}).get(layer.name))
        )
    return Simulation(tuple(found))


def _row(one: LayerSimulation) -> tuple[str, ...]:
    timing = one.timing
    stalls = timing.operand_cycles + sum(stall.cycles for stall in timing.stalls)
    cycles = (timing.compute_cycles, timing.fill_cycles, timing.drain_cycles, stalls)
    return (
        one.name,
        str(one.count),
        _whole(timing.cycles),
        _whole(one.analytical_cycles),
        _ratio(one.ratio),
        *map(_whole, cycles),
        f"{one.utilization:.1%}",
    )


def _whole(cycles: float | None) -> str:
    return "–" if cycles is None else f"{cycles:,.0f}"


def _ratio(ratio: float | None) -> str:
    return "–" if ratio is None else f"{ratio:.3f}"
