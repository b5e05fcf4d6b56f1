"""What a machine costs at other sizes: its memories by their curves, its networks by the areas that they span."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch

from dlco.hardware.architecture import PORTS, Architecture, Level, Machine
from dlco.hardware.network import Network
from dlco.hardware.technology import MemoryCost
from dlco.hardware.wires import LEAST_UM2, Spans, Wires, lay_out


def resized(
    level: Level, free: dict[str, torch.Tensor], memory: Callable[..., MemoryCost], cycles: float
) -> dict[str, torch.Tensor]:
    """The `Machine` columns of one level that its free sizes change, each of the shape of the sizes.

    Args:
        level: as it is.
        free: its sizes that are not fixed, by field, `[...]`.
        memory: what a memory costs, of (capacity, bits a word, words an access).
        cycles: clock cycle of the machine over that which the memory's leakage is of.
    """
    changed = {name: value for name, value in free.items() if name.startswith("fanout") or name in PORTS}
    if "capacity" in free:
        changed["capacity"] = free["capacity"] / level.multiple_buffering
    if "bandwidth" in free:
        changed |= dict.fromkeys(("block_size", "read_bandwidth", "write_bandwidth"), free["bandwidth"])
    if "bandwidth" in free and level.kind == "DRAM":
        words = free["bandwidth"] / level.block_size
        changed |= {name: getattr(level, name) * words for name in ("read_pj", "write_pj", "update_pj")}
    elif "capacity" in free or "bandwidth" in free:
        capacity, width = free.get("capacity", level.capacity), free.get("bandwidth", level.block_size)
        cost = memory(capacity, level.word_bits, width)
        changed |= cost._asdict()
        changed["update_pj"] = cost.write_pj
        changed["leak_pj"] = cost.leak_pj * cycles
    return changed


def laid_machine(machine: Machine, levels: Sequence[Level], wires: Wires) -> Machine:
    """A machine of any batch shape with its networks of a kind laid out by its own sizes.

    Args:
        machine: the sizes, areas and bandwidths.
        levels: the same levels, with what is not in the machine: kinds of networks.
        wires: what wires cost.
    """
    shared = torch.where(torch.isinf(machine.shared_bandwidth), machine.block_size, machine.shared_bandwidth)
    widths = torch.where(torch.isinf(machine.read_bandwidth), shared, machine.read_bandwidth)
    given = [level.network or Network() for level in levels]
    spans = Spans(
        kinds=[network.kind for network in given],
        word_bits=[level.word_bits for level in levels],
        fanouts=list(zip(machine.fanout_x.unbind(-1), machine.fanout_y.unbind(-1), strict=True)),
        widths=widths.unbind(-1),
        areas=machine.area_um2.unbind(-1),
        mac_area=machine.mac_area_um2,
        given=[network.area_um2 for network in given],
        ranks=machine.ranks or range(len(levels)),
    )
    like = machine.mac_area_um2
    laid = lay_out(spans, wires, lambda x: torch.full_like(like, x), lambda area: area.clamp(min=LEAST_UM2**2).sqrt())
    rows: dict[str, list[torch.Tensor]] = {"reach_pj": [], "step_pj": [], "network_um2": []}
    for i, one in enumerate(laid):
        before = {name: getattr(machine, name)[..., i] for name in rows}
        if one is not None:
            step = torch.zeros_like(one.reach_pj) if one.step_pj is None else one.step_pj
            before = {"reach_pj": one.reach_pj, "step_pj": step, "network_um2": one.area_um2}
        for name, row in rows.items():
            row.append(before[name].expand(like.shape))
    return replace(machine, **{name: torch.stack(row, dim=-1) for name, row in rows.items()})


def with_networks(architecture: Architecture, wires: Wires) -> Architecture:
    """The same machine with its networks of a kind laid out by its sizes."""
    laid = laid_machine(architecture.tensors(), architecture.levels, wires)
    levels = []
    for level, reach, step, area in zip(
        architecture.levels, laid.reach_pj.tolist(), laid.step_pj.tolist(), laid.network_um2.tolist(), strict=True
    ):
        if level.network is not None and level.network.kind is not None:
            level = replace(level, network=Network(level.network.kind, reach, step, area))
        levels.append(level)
    return replace(architecture, levels=tuple(levels))
