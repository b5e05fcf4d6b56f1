"""What an execution costs: `Cost` and the `Counts` behind it, and the `Totals` that a search ranks by."""

from dataclasses import dataclass

import torch

PORTS = ("read", "write", "shared")
"""Of a level: what `Cost.port_cycles` tells of."""

JOULES = 1e-12
"""Of a picojoule."""


@dataclass(frozen=True)
class Counts:
    """Accesses per instance of a level, words. All `[..., levels, spaces]`, 0 where a level bypasses.

    Integers, exact to the last digit, where the factors are: in a `Mapping`, and in a batch of int64. Else of the
    factors' type, and float64 has gaps beyond 2^53. With imperfect factors means over the instances of a level
    (`dlco.cost.imperfect`), or Timeloop's integers (`dlco.cost.executed`).

    Attributes:
        reads, fills, updates: as Timeloop counts them.
        partition: share of the tensor that an instance sees.
        tile: words of the tile kept.
        instances: `[..., levels]` instances in use; `macs_in_use`: `[...]` MACs that work.
        computes: `[...]` multiply-accumulates.
    """

    reads: torch.Tensor
    fills: torch.Tensor
    updates: torch.Tensor
    partition: torch.Tensor
    tile: torch.Tensor
    instances: torch.Tensor
    macs_in_use: torch.Tensor
    computes: torch.Tensor

    @property
    def address_generations(self) -> torch.Tensor:
        """Reads and fills of what is only read, updates and fills of what is written, `[..., levels, spaces]`."""
        return self.fills + torch.where(self.updates > 0, self.updates, self.reads)


@dataclass(frozen=True)
class Cost:
    """What an execution costs. Totals are `[...]`, one a mapping.

    Attributes:
        cycles: clock cycles; `compute_cycles`: those of the loops alone, of the busiest instances; `level_cycles`:
            `[..., levels]` whole cycles that each level alone would need, compute cycles at least.
        port_cycles: `[..., levels, ports]` cycles that the words of one instance (the busiest) need at each of its
            `PORTS`, not rounded; 0 where it is not limited.
        energy_pj: total, pJ. Its parts: `access_pj` `[..., levels, spaces]`, `leak_pj` `[..., levels]`, `mac_pj`, and
            `wire_pj` `[..., levels, spaces]` of the words that a level serves, over networks.
        latency_s: seconds. `power_w`: energy over latency, W. `edp`: energy times cycles, pJ x cycles.
        area_mm2: of the machine, mm2.
        utilization: MACs done over MACs that the machine could have done.
        valid: whether the factors multiply to the bounds (or cover them, each of use) and every tile and fan-out fits.
        counts: accesses behind the energy.
    """

    cycles: torch.Tensor
    energy_pj: torch.Tensor
    latency_s: torch.Tensor
    area_mm2: torch.Tensor
    utilization: torch.Tensor
    valid: torch.Tensor
    compute_cycles: torch.Tensor
    level_cycles: torch.Tensor
    port_cycles: torch.Tensor
    access_pj: torch.Tensor
    leak_pj: torch.Tensor
    mac_pj: torch.Tensor
    wire_pj: torch.Tensor
    counts: Counts

    @property
    def power_w(self) -> torch.Tensor:
        """Mean power, W, `[...]`."""
        return self.energy_pj * JOULES / self.latency_s

    @property
    def edp(self) -> torch.Tensor:
        """Energy-delay product, pJ x cycles, `[...]`."""
        return self.energy_pj * self.cycles


@dataclass(frozen=True)
class Totals:
    """The part of `Cost` that a search ranks by, all `[...]`.

    Attributes:
        cycles: clock cycles.
        energy_pj: pJ.
        overflow: by how much, as a share of what there is, tiles and fan-outs exceed the machine, added up.
    """

    cycles: torch.Tensor
    energy_pj: torch.Tensor
    overflow: torch.Tensor

    @property
    def valid(self) -> torch.Tensor:
        """Whether every tile and fan-out fits."""
        return self.overflow <= 0
