"""Cycles and energy from accesses and a machine's numbers."""

from dataclasses import dataclass

import torch

from dlco.cost.accesses import Accesses
from dlco.cost.arithmetic import Arithmetic, total
from dlco.cost.nest import Nest, Row, product
from dlco.cost.wires import wire_energy
from dlco.hardware.architecture import Machine
from dlco.mapping.kept import Kept


@dataclass(frozen=True)
class Performance:
    """Rows of what an execution costs.

    Attributes:
        cycles: `[...]` total; `compute_cycles`: of the loops alone; `level_cycles`: `[levels]` of what each level alone
            would need; `port_cycles`: `[levels][ports]` of what each port would, the plain 0 where it has no limit.
        level_pj: `[levels][spaces]` access energy of all instances, pJ; `leak_pj`: `[levels]`; `mac_pj`: MACs';
            `wire_pj`: `[levels][spaces]` of the words that a level serves, over networks.
        parts: as `Machine.parts`. Ports are a memory's: each of its parts has what they need together.
    """

    cycles: torch.Tensor
    compute_cycles: torch.Tensor
    level_cycles: list[torch.Tensor]
    port_cycles: list[list[Row]]
    level_pj: list[list[Row]]
    leak_pj: list[Row]
    mac_pj: Row
    wire_pj: list[list[Row]]
    parts: tuple[int, ...] = ()

    @property
    def energy_pj(self) -> torch.Tensor:
        """Sum of the parts, pJ, `[...]`; memory by memory, and then by dataspace, whatever parts it is in."""
        rows = self.level_pj
        if self.parts:
            levels = [[lv for lv, part in enumerate(self.parts) if part == own] for own in sorted(set(self.parts))]
            rows = [[rows[lv][s] for s in range(len(rows[0])) for lv in some] for some in levels]
        parts = (part for row in (*rows, *self.wire_pj, self.leak_pj) for part in row if isinstance(part, torch.Tensor))
        return total([torch.as_tensor(self.mac_pj), *parts])


def performance(nest: Nest, machine: Machine, kept: Kept, accesses: Accesses, arithmetic: Arithmetic) -> Performance:
    """What the execution costs on the machine.

    Latency: the longest of compute and of every level's reads over its read bandwidth, writes (fills and updates)
    over its write bandwidth and both over its shared one; transfers overlap compute fully (double buffering).
    Energy: accesses of whole blocks, each of a level's instances alike; MACs; words over networks; and leakage of the
    instances in use over all cycles.
    """
    compute = torch.as_tensor(nest.cycles, dtype=machine.mac_pj.dtype)
    level_cycles: list[torch.Tensor] = []
    port_cycles: list[list[Row]] = []
    level_pj: list[list[Row]] = []
    for level in range(nest.levels):
        first = machine.parts[level] if machine.parts else level
        if first != level:
            level_cycles.append(level_cycles[first])
            port_cycles.append(port_cycles[first])
            level_pj.append(_level_energy(level, nest, machine, accesses, arithmetic))
            continue
        ports = _port_cycles(level, machine, accesses, compute, arithmetic)
        needs = [need for need in ports if isinstance(need, torch.Tensor)]
        level_cycles.append(arithmetic.ceil(arithmetic.maximum([compute, *needs])) if needs else compute)
        port_cycles.append(ports)
        level_pj.append(_level_energy(level, nest, machine, accesses, arithmetic))
    own = [c for level, c in enumerate(level_cycles) if not machine.parts or machine.parts[level] == level]
    cycles = arithmetic.maximum([compute, *(c for c in own if c is not compute)])
    instances = nest.instances
    leak = [
        product((cycles * machine.leak_pj[..., level], instances[level])) if _any(machine.leak_pj[..., level]) else 0.0
        for level in range(nest.levels)
    ]
    macs = product((nest.macs, machine.mac_pj))
    wires = wire_energy(nest, machine, kept, accesses)
    return Performance(cycles, compute, level_cycles, port_cycles, level_pj, leak, macs, wires, machine.parts)


def _port_cycles(
    level: int, machine: Machine, accesses: Accesses, compute: torch.Tensor, arithmetic: Arithmetic
) -> list[Row]:
    """Cycles that the words of an instance, of all parts of its memory, need at its ports: read, write and shared."""
    parts = [lv for lv, part in enumerate(machine.parts) if part == level] or [level]
    cells = [(lv, s) for s in range(len(accesses.reads[level])) for lv in parts]
    reads = [row for lv, s in cells if isinstance(row := accesses.reads[lv][s], torch.Tensor)]
    writes = [
        total([row for row in pair if isinstance(row, torch.Tensor)])
        for pair in ((accesses.updates[lv][s], accesses.fills[lv][s]) for lv, s in cells)
        if any(isinstance(row, torch.Tensor) for row in pair)
    ]
    return [
        arithmetic.cycles_for([group for group in words if group], bandwidth, compute)
        if any(words) and not bool(torch.isinf(bandwidth).all())
        else 0
        for words, bandwidth in (
            ((reads,), machine.read_bandwidth[..., level]),
            ((writes,), machine.write_bandwidth[..., level]),
            ((writes, reads), machine.shared_bandwidth[..., level]),
        )
    ]


def _level_energy(level: int, nest: Nest, machine: Machine, accesses: Accesses, arithmetic: Arithmetic) -> list[Row]:
    block = machine.block_size[..., level]
    whole_words = not block.requires_grad and bool((block == 1).all())
    energies: list[Row] = []
    for reads, fills, updates in zip(
        accesses.reads[level], accesses.fills[level], accesses.updates[level], strict=True
    ):
        actions = (
            (reads, machine.read_pj[..., level]),
            (fills, machine.write_pj[..., level]),
            (updates, machine.update_pj[..., level]),
        )
        parts = [
            (words if whole_words else arithmetic.ceil(words / block)) * energy
            for words, energy in actions
            if isinstance(words, torch.Tensor)
        ]
        energies.append(product((total(parts), nest.instances[level])) if parts else 0.0)
    return energies


def _any(values: torch.Tensor) -> bool:
    return values.requires_grad or bool((values != 0).any())
