"""A machine in words and as a table: what its levels hold, how wide they are, and what area they take."""

from math import inf

from dlco.design.figures import memory_text
from dlco.design.table import Table
from dlco.hardware.architecture import Architecture, Level
from dlco.texts import clip

NAME_WIDTH = 22
_BYPASS_WIDTH = 24
_SQUARE_MM = 1e-6  # of a um2


def machine_table(architecture: Architecture) -> Table:
    """A row a storage level, outermost first, one for the MACs, and one for the wires where they cost something."""
    pairs = reversed(list(zip(architecture.levels, architecture.instances, strict=True)))
    rows = [_level_row(level, instances) for level, instances in pairs]
    mac = (architecture.mac_name, "MAC", "", f"{architecture.mac_bits} bits", f"{architecture.macs:,}", "", "")
    rows.append((*mac, _area(architecture.mac_area_um2 * architecture.macs), ""))
    if any(level.network is not None for level in architecture.levels):
        rows.append(("wires", "", *[""] * 5, _area(architecture.network_um2), ""))
    bypassed = any(level.bypass or not level.capacity for level in architecture.levels)
    header = ("level", "kind", "words", "size", "instances", "children", "words/cycle", "area mm2", "bypasses")
    return Table(
        f"Machine {architecture.name}, {architecture.cycle_s * 1e9:g} ns a cycle",
        header if bypassed else header[:-1],
        tuple(row if bypassed else row[:-1] for row in rows),
        text_columns=frozenset({0, 1, 8}),
        note="Words, size and words/cycle (read/write) are an instance's, the area is that of all instances.",
    )


def machine_text(macs: int, memory_bits: float) -> str:
    """A machine in two figures, such as "168 MACs, 182 KiB"; the memory is that of all levels above DRAM together."""
    return f"{macs:,} MACs, {memory_text(memory_bits)}"


def machine_sizes(machine: Architecture) -> str:
    """A machine's sizes in a line: MACs, then what an instance of every memory holds, the outermost first."""
    levels = [level for level in reversed(machine.levels) if level.kind != "DRAM" and level.capacity < inf]
    return ", ".join([f"{machine.macs:,} MACs", *(f"{level.name} {byte_size(level)}" for level in levels)])


def byte_size(level: Level) -> str:
    """What one instance of a level holds, such as "108 KiB"."""
    size = level.capacity * level.word_bits / 8
    for unit in ("B", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.4g} {unit}"
        size /= 1024
    return f"{size:.4g} GiB"


def _level_row(level: Level, instances: int) -> tuple[str, ...]:
    finite = level.capacity < inf
    return (
        clip(level.name, NAME_WIDTH),
        level.kind,
        f"{level.capacity:,.0f}" if finite else "no limit",
        byte_size(level) if finite else "",
        f"{instances:,}",
        f"{level.fanout_x} x {level.fanout_y}",
        _bandwidth(level),
        _area(level.area_um2 * instances),
        clip(", ".join(sorted(level.bypass)), _BYPASS_WIDTH) if level.capacity else "all",
    )


def _bandwidth(level: Level) -> str:
    read, write = (
        "-" if words == inf else f"{words:g}"
        for words in (
            min(level.read_bandwidth, level.shared_bandwidth),
            min(level.write_bandwidth, level.shared_bandwidth),
        )
    )
    return read if read == write else f"{read}/{write}"


def _area(um2: float) -> str:
    return f"{um2 * _SQUARE_MM:.4g}" if um2 else "-"
