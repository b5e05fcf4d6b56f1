"""`Level` and `Architecture`: a machine of fixed sizes, and the same machine as tensors for the cost model.

Levels are listed from the innermost (next to the MACs) to the outermost (DRAM). A level's fan-out is the number
of children below each of its instances, along X and Y: instances of the next inner level, or MACs for level 0.
"""

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from math import inf, prod

import torch

from dlco.errors import InvalidInput
from dlco.hardware.checks import LARGEST, MOST, check_figure, check_number, check_size
from dlco.hardware.constraints import Constraints
from dlco.hardware.network import Network

KINDS = ("regfile", "SRAM", "DRAM")
PORTS = ("read_bandwidth", "write_bandwidth", "shared_bandwidth")
SHARED = (
    *("kind", "capacity", "word_bits", "block_size", "multiple_buffering", *PORTS),
    *("read_pj", "write_pj", "update_pj"),
)
"""Figures of a level that all parts of a memory state alike."""


class _Everything(frozenset[str]):
    """The set of all names, that of every dataspace among them: what a level that keeps nothing bypasses."""

    def __contains__(self, name: object) -> bool:
        return True

    def __or__(self, other: AbstractSet[object]) -> "_Everything":
        return self

    __ror__ = __or__

    def __repr__(self) -> str:
        return "everything"


@dataclass(frozen=True)
class Level:
    """One storage level.

    Attributes:
        name: unique in its architecture.
        kind: "regfile", "SRAM" or "DRAM": which technology curve it follows when it is resized.
        capacity: words an instance holds (`inf`: no limit; 0: it keeps nothing, and every dataspace passes it by).
            Energies, area and leakage are an instance's.
        word_bits: bits of a word.
        block_size: words moved by one access (vector width); energies are per access, not per word.
        read_bandwidth, write_bandwidth, shared_bandwidth: words per cycle and instance (`inf`: no limit).
        multiple_buffering: copies of a tile that must fit at once (2 for double buffering).
        read_pj, write_pj, update_pj: pJ per access; `leak_pj`: pJ per instance and cycle.
        area_um2: um2 per instance.
        fanout_x, fanout_y: children of each instance along X and Y.
        bypass: names of the dataspaces that this level never keeps; all there are where the capacity is 0.
        network: the wires to the level's children; None where they cost nothing.
        memory: name of the memory that this level is a part of, by default one of its own. Parts of one memory share
            its capacity and its ports, which each states in full; its area and its leakage are the innermost part's,
            and those of the others are 0. `dlco.hardware.split` makes them.

    Energies and areas are at most 1e15, bandwidths at least 1e-15, so that no product of them leaves the numbers.

    Examples:
        >>> level = dlco.Level("buffer", capacity=4096, multiple_buffering=2, fanout_x=8)
        >>> level.usable_capacity
        2048
    """

    name: str
    kind: str = "SRAM"
    capacity: float = inf
    word_bits: int = 16
    block_size: int = 1
    read_bandwidth: float = inf
    write_bandwidth: float = inf
    shared_bandwidth: float = inf
    multiple_buffering: float = 1.0
    read_pj: float = 0.0
    write_pj: float = 0.0
    update_pj: float = 0.0
    leak_pj: float = 0.0
    area_um2: float = 0.0
    fanout_x: int = 1
    fanout_y: int = 1
    bypass: frozenset[str] = field(default_factory=frozenset)
    memory: str | None = None
    network: Network | None = None

    def __post_init__(self) -> None:
        where = f"of level {self.name!r}"
        if not isinstance(self.name, str) or not self.name:
            raise InvalidInput(f"name of a level is {self.name!r}; it must be a non-empty string")
        if self.kind not in KINDS:
            raise InvalidInput(f"kind {where} is {self.kind!r}; allowed: {', '.join(KINDS)}")
        check_number(f"capacity {where}", self.capacity)
        for name in PORTS:
            check_figure(f"{name} {where}", getattr(self, name), 1 / MOST, inf)
        for name in ("read_pj", "write_pj", "update_pj", "leak_pj", "area_um2"):
            check_figure(f"{name} {where}", getattr(self, name))
        check_figure(f"multiple_buffering {where}", self.multiple_buffering, 1 / MOST)
        for name in ("word_bits", "block_size", "fanout_x", "fanout_y"):
            check_size(f"{name} {where}", getattr(self, name))
        object.__setattr__(self, "bypass", frozenset(self.bypass) if self.capacity else _Everything())
        for name in self.bypass:
            if not isinstance(name, str):
                raise InvalidInput(f"bypass {where} holds {name!r}; it must hold names of dataspaces")
        if self.network is not None and not isinstance(self.network, Network):
            raise InvalidInput(f"network {where} is {self.network!r}; it must be a Network, or None")
        if self.memory is not None and (not isinstance(self.memory, str) or not self.memory):
            raise InvalidInput(f"memory {where} is {self.memory!r}; it must be a non-empty string, or None")

    @property
    def children(self) -> int:
        """Children of an instance."""
        return self.fanout_x * self.fanout_y

    @property
    def width(self) -> float:
        """Words that it reads a cycle: of the ports that have a limit, or a block."""
        return next((words for words in (self.read_bandwidth, self.shared_bandwidth) if words < inf), self.block_size)

    @property
    def usable_capacity(self) -> float:
        """Words that tiles may fill: the capacity over the multiple buffering, rounded down (Timeloop's rule)."""
        return self.capacity if self.capacity == inf else self.capacity // self.multiple_buffering


@dataclass(frozen=True)
class Container:
    """One of the containers that a fan-out is made up of in Timeloop's v0.4, by the name that constraints know it by.

    Attributes:
        name: unique in its architecture.
        level: that it fans out from.
        fanout_x, fanout_y: its own share of that level's.
    """

    name: str
    level: str
    fanout_x: int
    fanout_y: int


@dataclass(frozen=True)
class Architecture:
    """A machine of fixed sizes.

    Attributes:
        levels: storage levels, innermost first.
        mac_pj: pJ a multiply-accumulate; `mac_area_um2`: um2 a MAC unit; `mac_bits`: its operand width.
        cycle_s: seconds a clock cycle, from 1e-15 to 1e15.
        name, mac_name: for printing and for Timeloop's files.
        constraints: what is fixed of all mappings that are searched for on it, as its file states it.
        containers: of its fan-outs, outermost first, where its file names them; beside the point for equality.
        memories: names of the memories, innermost first, where parts of several come in turns; otherwise they lie as
            their innermost levels do.
        technology: what its figures hold for, such as "45nm"; no cost depends on it, and it is beside the point for
            equality.

    Examples:
        >>> registers = dlco.Level("registers", "regfile", capacity=64, area_um2=900.0)
        >>> buffer = dlco.Level("buffer", capacity=32768, area_um2=250000.0, fanout_x=8, fanout_y=8)
        >>> machine = dlco.Architecture((registers, buffer, dlco.Level("DRAM", "DRAM")), mac_area_um2=1500.0)
        >>> machine.macs, machine.instances, round(machine.area_mm2, 4)
        (64, (64, 1, 1), 0.4036)
    """

    levels: tuple[Level, ...]
    mac_pj: float = 1.0
    mac_area_um2: float = 0.0
    mac_bits: int = 16
    cycle_s: float = 1e-9
    name: str = "system"
    mac_name: str = "MACC"
    constraints: Constraints = field(default_factory=Constraints)
    containers: tuple[Container, ...] = field(default=(), compare=False)
    memories: tuple[str, ...] = ()
    technology: str = field(default="45nm", compare=False)

    def __post_init__(self) -> None:
        names = [level.name for level in self.levels]
        if not names or len(set(names)) != len(names):
            raise InvalidInput(f"levels of {self.name!r} are {names!r}; they must be one or more, of distinct names")
        for field_name in ("name", "mac_name", "technology"):
            if not isinstance(getattr(self, field_name), str):
                raise InvalidInput(
                    f"{field_name} of an architecture is {getattr(self, field_name)!r}; it must be a text"
                )
        check_figure(f"mac_pj of {self.name!r}", self.mac_pj)
        check_figure(f"mac_area_um2 of {self.name!r}", self.mac_area_um2)
        check_figure(f"cycle_s of {self.name!r}", self.cycle_s, 1 / MOST)
        check_size(f"mac_bits of {self.name!r}", self.mac_bits)
        if self.macs > LARGEST:
            raise InvalidInput(f"fan-outs of {self.name!r} multiply to {self.macs} MACs; there may be 2^53")
        if not any(level.capacity for level in self.levels):
            raise InvalidInput(f"capacity of every level of {self.name!r} is 0; one at least must keep the dataspaces")
        if not isinstance(self.constraints, Constraints):
            raise InvalidInput(f"constraints of {self.name!r} is {self.constraints!r}; it must be a Constraints")
        for level in [slot.level for slot in self.constraints.slots] + [box.level for box in self.containers]:
            self.index(level)
        self._check_parts()

    @cached_property
    def crosses(self) -> bool:
        """Whether some level stands on the other side of a fan-out than its memory: parts of memories in turns."""
        fanned = [i for i, level in enumerate(self.levels) if level.children > 1]
        return any((f > i) != (self.ranks[f] > own) for f in fanned for i, own in enumerate(self.ranks))

    def _check_parts(self) -> None:
        """Raise `InvalidInput` unless the parts of every memory agree on what it is."""
        names = {level.memory or level.name for level in self.levels}
        if self.memories and (set(self.memories) != names or len(self.memories) != len(names)):
            raise InvalidInput(
                f"memories of {self.name!r} are {', '.join(self.memories)}; they must be {', '.join(sorted(names))} in "
                "some order"
            )
        for i, part in enumerate(self.parts):
            level, first = self.levels[i], self.levels[part]
            if part == i:
                continue
            for name in SHARED:
                if getattr(level, name) != getattr(first, name):
                    raise InvalidInput(
                        f"{name} of level {level.name!r} is {getattr(level, name)!r}; as a part of {level.memory!r} it "
                        f"must be that of {first.name!r}, {getattr(first, name)!r}"
                    )
            if level.network != (first.network and replace(first.network, area_um2=0.0)):
                raise InvalidInput(
                    f"network of level {level.name!r} is {level.network!r}; as a part of {level.memory!r} it must be "
                    f"that of {first.name!r} with no area, which that has"
                )
            for name in ("area_um2", "leak_pj"):
                if getattr(level, name):
                    raise InvalidInput(
                        f"{name} of level {level.name!r} is {getattr(level, name)!r}; it must be 0, since "
                        f"{first.name!r}, the innermost part of {level.memory!r}, has it"
                    )
        for part in set(self.parts):
            fanned = [
                lv.name for lv, own in zip(self.levels, self.parts, strict=True) if own == part and lv.children > 1
            ]
            if len(fanned) > 1:
                raise InvalidInput(f"fan-outs of {', '.join(fanned)} are above 1; one part of a memory may have one")

    def index(self, level: str) -> int:
        """Position of a level, innermost 0; raises `InvalidInput` for an unknown name."""
        for i, candidate in enumerate(self.levels):
            if candidate.name == level:
                return i
        raise InvalidInput(f"level is {level!r}; {self.name!r} has {', '.join(lv.name for lv in self.levels)}")

    def level(self, name: str) -> Level:
        """The level called `name`; raises `InvalidInput` for an unknown name."""
        return self.levels[self.index(name)]

    def containers_of(self, level: str) -> tuple[Container, ...]:
        """The containers that a level's fan-out is made up of, outermost first; none where they do not make it up."""
        inside = tuple(box for box in self.containers if box.level == level)
        made = prod(box.fanout_x for box in inside), prod(box.fanout_y for box in inside)
        outer = self.level(level)
        return inside if made == (outer.fanout_x, outer.fanout_y) else ()

    @cached_property
    def parts(self) -> tuple[int, ...]:
        """For each level the innermost one of the same memory, itself where the memory is its own."""
        first: dict[str, int] = {}
        return tuple(first.setdefault(level.memory or level.name, i) for i, level in enumerate(self.levels))

    @cached_property
    def ranks(self) -> tuple[int, ...]:
        """For each level the place of its memory from the inside out, wherever the levels themselves stand."""
        names = [level.memory or level.name for level in self.levels]
        order = self.memories or tuple(dict.fromkeys(names))
        return tuple(order.index(name) for name in names)

    @property
    def is_split(self) -> bool:
        """Whether some memory has several parts, or its levels do not stand as their memories lie."""
        return self.ranks != tuple(range(len(self.levels)))

    @cached_property
    def is_meshed(self) -> bool:
        """Whether Timeloop's rules count hops over some network (`Network.mesh`)."""
        return any(level.network is not None and level.network.mesh is not None for level in self.levels)

    @cached_property
    def instances(self) -> tuple[int, ...]:
        """Instances of each level, innermost first."""
        return tuple(
            prod(
                outer.fanout_x * outer.fanout_y
                for outer, part in zip(self.levels, self.ranks, strict=True)
                if part > own
            )
            for own in self.ranks
        )

    @cached_property
    def macs(self) -> int:
        """MAC units of the whole machine."""
        return prod(level.fanout_x * level.fanout_y for level in self.levels)

    @cached_property
    def memory_bits(self) -> float:
        """What all levels but DRAM hold together, over all their instances; those without a limit left out."""
        return sum(
            level.capacity * level.word_bits * self.instances[i]
            for i, level in enumerate(self.levels)
            if level.kind != "DRAM" and level.capacity < inf and self.parts[i] == i
        )

    @cached_property
    def area_mm2(self) -> float:
        """Area of all levels, networks and MACs, mm2."""
        levels = sum(level.area_um2 * n for level, n in zip(self.levels, self.instances, strict=True))
        return (levels + self.network_um2 + self.mac_area_um2 * self.macs) * 1e-6

    @property
    def network_um2(self) -> float:
        """Area of all networks, um2."""
        pairs = zip(self.levels, self.instances, strict=True)
        return sum(level.network.area_um2 * n for level, n in pairs if level.network is not None)

    def with_bypass(self, bypass: Mapping[str, Iterable[str]]) -> "Architecture":
        """The same machine in which each named level keeps all but the listed dataspaces.

        Levels that `bypass` does not name stay as they are. Raises `InvalidInput` for an unknown level.
        """
        changed = {self.index(name): frozenset(spaces) for name, spaces in bypass.items()}
        levels = (replace(lv, bypass=changed.get(i, lv.bypass)) for i, lv in enumerate(self.levels))
        return replace(self, levels=tuple(levels))

    def tensors(self, dtype: torch.dtype = torch.float64, device: torch.device | str = "cpu") -> "Machine":
        """The numbers of this machine as a `Machine` of shape `[levels]`."""
        values: dict[str, float | list[float]] = {name: getattr(self, name) for name in MACHINE_FIELDS}
        networks = [level.network or Network() for level in self.levels]
        for name in LEVEL_FIELDS:
            own = "usable_capacity" if name == "capacity" else NETWORK_FIELDS.get(name, name)
            values[name] = [getattr(part, own) for part in (networks if name in NETWORK_FIELDS else self.levels)]
        rows = {name: torch.tensor(one, dtype=dtype, device=device) for name, one in values.items()}
        return SplitMachine(**rows, memory=self.parts, side=self.ranks) if self.is_split else Machine(**rows)


@dataclass(frozen=True)
class Machine:
    """A machine, or a batch of them, as tensors: what the cost model reads.

    Every per-level field has shape `[..., levels]` (innermost first), every scalar `[...]`. Gradients flow
    through all of them. Units as in `Level`; `capacity` is the usable one (after multiple buffering); `reach_pj`,
    `step_pj` and `network_um2` are a network's.
    """

    capacity: torch.Tensor
    word_bits: torch.Tensor
    block_size: torch.Tensor
    read_bandwidth: torch.Tensor
    write_bandwidth: torch.Tensor
    shared_bandwidth: torch.Tensor
    read_pj: torch.Tensor
    write_pj: torch.Tensor
    update_pj: torch.Tensor
    leak_pj: torch.Tensor
    area_um2: torch.Tensor
    fanout_x: torch.Tensor
    fanout_y: torch.Tensor
    reach_pj: torch.Tensor
    step_pj: torch.Tensor
    network_um2: torch.Tensor
    mac_pj: torch.Tensor
    mac_area_um2: torch.Tensor
    cycle_s: torch.Tensor

    @property
    def parts(self) -> tuple[int, ...]:
        """`Architecture.parts`, empty where every level is a memory of its own."""
        return ()

    @property
    def ranks(self) -> tuple[int, ...]:
        """`Architecture.ranks`, empty likewise."""
        return ()

    @property
    def macs(self) -> torch.Tensor:
        """MAC units, `[...]`."""
        return (self.fanout_x * self.fanout_y).prod(-1)

    @property
    def instances(self) -> torch.Tensor:
        """Instances of each level, `[..., levels]`."""
        fanout = self.fanout_x * self.fanout_y
        if self.ranks:
            outside = [[i for i, rank in enumerate(self.ranks) if rank > own] for own in self.ranks]
            return torch.stack([fanout[..., some].prod(-1) for some in outside], -1)
        outward = fanout.flip(-1).cumprod(-1).flip(-1)  # product of this level's fan-out and all outer ones
        return torch.cat([outward[..., 1:], torch.ones_like(outward[..., :1])], dim=-1)

    @property
    def area_mm2(self) -> torch.Tensor:
        """Area, mm2, `[...]`."""
        levels = (self.area_um2 * self.instances).sum(-1)
        if bool((self.network_um2 != 0).any()):
            levels = levels + (self.network_um2 * self.instances).sum(-1)
        return (levels + self.mac_area_um2 * self.macs) * 1e-6

    def select(self, index: torch.Tensor) -> "Machine":
        """The machines `index` `[...]` of a batch `[machines]`."""
        return replace(self, **{name: getattr(self, name)[index] for name in (*LEVEL_FIELDS, *MACHINE_FIELDS)})


@dataclass(frozen=True)
class SplitMachine(Machine):
    """Machines with memories in parts, of one hierarchy. `memory`: their `parts`; `side`: their `ranks`."""

    memory: tuple[int, ...]
    side: tuple[int, ...]

    @property
    def parts(self) -> tuple[int, ...]:
        """`Architecture.parts`."""
        return self.memory

    @property
    def ranks(self) -> tuple[int, ...]:
        """`Architecture.ranks`."""
        return self.side


MACHINE_FIELDS = ("mac_pj", "mac_area_um2", "cycle_s")
"""Fields of a `Machine` that are not by level."""
LEVEL_FIELDS = tuple(field.name for field in fields(Machine) if field.name not in MACHINE_FIELDS)
NETWORK_FIELDS = {"reach_pj": "reach_pj", "step_pj": "step_pj", "network_um2": "area_um2"}
"""Those of them that are a level's network's, by what it calls them."""
