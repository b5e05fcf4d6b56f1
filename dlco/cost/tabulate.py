"""From rows to tensors of one shape: what fits, what was counted and what it costs."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from dlco.cost.accesses import Accesses, partition_sizes
from dlco.cost.arithmetic import Arithmetic, total
from dlco.cost.cost import Cost, Counts
from dlco.cost.nest import Nest, Row, is_one, product
from dlco.cost.performance import Performance
from dlco.hardware.architecture import Machine
from dlco.mapping.kept import Kept


def occupancies(nest: Nest, machine: Machine, kept: Kept) -> list[torch.Tensor]:
    """What tiles and fan-outs use as a share of what there is, a `[...]` row each; none may exceed 1.

    Tiles of a memory in parts are added up.
    """
    shares = []
    for level in range(nest.levels):
        x, y = (product(axis) for axis in nest.spatial[level])
        for used, there in ((x, machine.fanout_x[..., level]), (y, machine.fanout_y[..., level])):
            if not is_one(used):
                shares.append(used / there)
        if machine.parts and machine.parts[level] != level:
            continue
        room = machine.capacity[..., level]
        parts = [lv for lv, part in enumerate(machine.parts) if part == level] or [level]
        tiles = [torch.as_tensor(nest.words[lv][s]) for s in range(len(kept[level])) for lv in parts if kept[lv][s]]
        if tiles and not bool(torch.isinf(room).all()):
            shares.append(total(tiles) / room)
    return shares


def overflow(nest: Nest, machine: Machine, kept: Kept) -> torch.Tensor:
    """By how much `occupancies` exceed 1, added up, `[...]`; 0 where all fits."""
    return total(
        [torch.zeros_like(machine.mac_pj), *((share - 1).clamp(min=0) for share in occupancies(nest, machine, kept))]
    )


def tabulate(
    machine: Machine,
    kept: Kept,
    batch: torch.Size,
    sized: Nest,
    counts: Counts,
    spent: Performance,
    covered: torch.Tensor,
) -> Cost:
    """The `Cost` of a batch of shape `batch` from its rows.

    Args:
        machine: its leading dimensions broadcast against the batch.
        kept: `[levels][spaces]` whether a level keeps a dataspace.
        batch: leading dimensions of the result.
        sized: the loops whose tiles and fan-outs must fit.
        counts: accesses behind the energies.
        spent: cycles and energies.
        covered: BoolTensor `[...]`, whether the loops do all the work.
    """
    rows = _Rows(batch, machine.mac_pj.dtype, machine.mac_pj.device)
    cycles, energy = rows.full(spent.cycles), rows.full(spent.energy_pj)
    return Cost(
        cycles=cycles,
        energy_pj=energy,
        latency_s=cycles * machine.cycle_s,
        area_mm2=rows.full(machine.area_mm2),
        utilization=rows.full(sized.macs) / machine.macs / cycles,
        valid=(overflow(sized, machine, kept) <= 0).expand(batch) & covered,
        compute_cycles=rows.full(spent.compute_cycles),
        level_cycles=rows.column(spent.level_cycles),
        port_cycles=rows.table(spent.port_cycles),
        access_pj=rows.table(spent.level_pj),
        leak_pj=rows.column(spent.leak_pj),
        mac_pj=rows.full(spent.mac_pj),
        wire_pj=rows.table(spent.wire_pj),
        counts=counts,
    )


def tabulate_counts(
    kept: Kept,
    batch: torch.Size,
    nest: Nest,
    sized: Nest,
    accesses: Accesses,
    arithmetic: Arithmetic,
    dtype: torch.dtype,
) -> Counts:
    """The `Counts` of a batch of shape `batch` from its rows.

    Args:
        kept: `[levels][spaces]` whether a level keeps a dataspace.
        batch: leading dimensions of the result.
        nest: the loops that `accesses` were counted on.
        sized: the loops whose tiles must fit.
        accesses: per instance.
        arithmetic: that of the rows.
        dtype: of the result.
    """
    rows = _Rows(batch, dtype, nest.one.device)
    mask = torch.tensor(kept, dtype=dtype, device=nest.one.device)
    return Counts(
        reads=rows.table(accesses.reads),
        fills=rows.table(accesses.fills),
        updates=rows.table(accesses.updates),
        partition=rows.table(partition_sizes(nest, arithmetic)) * mask,
        tile=rows.table(sized.words) * mask,
        instances=rows.column(nest.instances),
        macs_in_use=rows.full(product(nest.fanout)),
        computes=rows.full(sized.macs),
    )


@dataclass(frozen=True)
class _Rows:
    """Rows as tensors of one shape, type and device."""

    batch: torch.Size
    dtype: torch.dtype
    device: torch.device

    def full(self, row: Row) -> torch.Tensor:
        return torch.as_tensor(row, dtype=self.dtype, device=self.device).expand(self.batch)

    def column(self, rows: Sequence[Row]) -> torch.Tensor:
        return torch.stack([self.full(row) for row in rows], dim=-1)

    def table(self, rows: Sequence[Sequence[Row]]) -> torch.Tensor:
        return torch.stack([self.column(row) for row in rows], dim=-2)
