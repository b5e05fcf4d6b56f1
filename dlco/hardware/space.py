"""`HardwareSpace`: a machine some of whose sizes are free, each on a grid.

One vector of sizes, `[parameters]`, is one machine. Optimisers move it through the reals (`machine`) and end on the
grid (`architecture`); both price the resized memories with the same technology, so they agree where both are defined.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from math import inf, isfinite, prod

import torch

from dlco.errors import InvalidInput
from dlco.hardware.architecture import Architecture, Level, Machine
from dlco.hardware.technology import Technology

FIELDS = ("capacity", "fanout_x", "fanout_y", "bandwidth")


@dataclass(frozen=True)
class Parameter:
    """One free size of one level.

    Attributes:
        level: name of the level.
        field: "capacity" (words an instance), "fanout_x" or "fanout_y" (children an instance), or "bandwidth": the
            level then reads and writes one block of that many words each cycle, so `read_bandwidth`,
            `write_bandwidth` and `block_size` all become it, and energy and area follow the wider access.
        grid: the values it may take, whole numbers in ascending order.

    Raises:
        InvalidInput: an unknown field, or a grid that is empty, not ascending or not of positive whole numbers.
    """

    level: str
    field: str
    grid: tuple[float, ...]

    def __post_init__(self) -> None:
        if self.field not in FIELDS:
            raise InvalidInput(
                f"field of a parameter of {self.level!r} is {self.field!r}; allowed: {', '.join(FIELDS)}"
            )
        if isinstance(self.grid, str) or not isinstance(self.grid, Sequence) or not self.grid:
            raise InvalidInput(f"grid of {self.name} is {self.grid!r}; it must be a tuple of one or more numbers")
        for value in self.grid:
            whole = isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
            if not whole or value < 1 or value != int(value):
                raise InvalidInput(
                    f"grid of {self.name} holds {value!r}; its values must be whole numbers of at least 1"
                )
        if any(a >= b for a, b in zip(self.grid, self.grid[1:], strict=False)):
            raise InvalidInput(f"grid of {self.name} is {self.grid!r}; its values must be distinct and ascending")
        object.__setattr__(self, "grid", tuple(self.grid))

    @property
    def name(self) -> str:
        """`level.field`, such as "shared_glb.capacity"."""
        return f"{self.level}.{self.field}"

    @property
    def low(self) -> float:
        """Smallest value."""
        return self.grid[0]

    @property
    def high(self) -> float:
        """Largest value."""
        return self.grid[-1]


@dataclass(frozen=True)
class HardwareSpace:
    """All machines that differ from `base` in the given sizes.

    A register file or SRAM with a free capacity or bandwidth takes its energies, leakage and area from `technology`;
    leakage is scaled to the base's clock cycle. A DRAM with a free bandwidth keeps the base's energy a word. All other
    levels, and the MACs, keep the base's numbers.

    Attributes:
        base: the machine, with the values that stay fixed; also what a search may start from (`base_sizes`).
        parameters: the free sizes.
        technology: what a resized memory costs.

    Raises:
        InvalidInput: an unknown level, a parameter given twice, a capacity of DRAM, a capacity that the level's
            multiple buffering does not divide, or an access wider than its memory.
    """

    base: Architecture
    parameters: tuple[Parameter, ...]
    technology: Technology

    def __post_init__(self) -> None:
        object.__setattr__(self, "parameters", tuple(self.parameters))
        if not self.parameters:
            raise InvalidInput("parameters of a hardware space is empty; it must hold one or more")
        for i, parameter in enumerate(self.parameters):
            level = self.base.level(parameter.level)
            if parameter.name in self.names[:i]:
                raise InvalidInput(f"parameters holds {parameter.name} twice; each may be free once")
            if parameter.field == "capacity":
                _check_capacities(parameter, level)
        for name, columns in self._columns.items():
            level = self.base.level(name)
            if level.kind != "DRAM" and columns.keys() & {"capacity", "bandwidth"}:
                capacity = self.parameters[columns["capacity"]].low if "capacity" in columns else level.capacity
                width = self.parameters[columns["bandwidth"]].high if "bandwidth" in columns else level.block_size
                if capacity == inf:
                    raise InvalidInput(
                        f"capacity of {name!r} is infinite; it must be finite where the bandwidth is free"
                    )
                if width > capacity:
                    raise InvalidInput(
                        f"block_size of {name!r} reaches {width:g} words; "
                        f"it must not exceed the smallest capacity, {capacity:g} words"
                    )

    @cached_property
    def _columns(self) -> dict[str, dict[str, int]]:
        """Position of each parameter in a vector of sizes, by level and field."""
        columns: dict[str, dict[str, int]] = {}
        for i, parameter in enumerate(self.parameters):
            columns.setdefault(parameter.level, {})[parameter.field] = i
        return columns

    @cached_property
    def _grid(self) -> torch.Tensor:
        """`[parameters, longest grid]`, short grids filled up with infinity."""
        longest = max(len(p.grid) for p in self.parameters)
        rows = [[*p.grid, *[inf] * (longest - len(p.grid))] for p in self.parameters]
        return torch.tensor(rows, dtype=torch.float64)

    @cached_property
    def _lengths(self) -> torch.Tensor:
        return torch.tensor([len(p.grid) for p in self.parameters])

    @property
    def names(self) -> tuple[str, ...]:
        """`level.field` of each parameter."""
        return tuple(p.name for p in self.parameters)

    @property
    def low(self) -> torch.Tensor:
        """Smallest sizes, `[parameters]`."""
        return torch.tensor([p.low for p in self.parameters], dtype=torch.float64)

    @property
    def high(self) -> torch.Tensor:
        """Largest sizes, `[parameters]`."""
        return torch.tensor([p.high for p in self.parameters], dtype=torch.float64)

    @property
    def size(self) -> int:
        """Number of machines on the grid."""
        return prod(len(p.grid) for p in self.parameters)

    @property
    def base_sizes(self) -> torch.Tensor:
        """The sizes of `base`, `[parameters]`, on the grid or not; of a bandwidth, the block size."""
        levels = ((self.base.level(p.level), p.field) for p in self.parameters)
        sizes = [float(getattr(lv, "block_size" if name == "bandwidth" else name)) for lv, name in levels]
        return torch.tensor(sizes, dtype=torch.float64)

    def machine(self, sizes: torch.Tensor) -> Machine:
        """The machines of the given sizes, for the cost model.

        The usable capacity is the capacity over the multiple buffering, not rounded down: on the grid the division
        leaves no remainder, so that it is `architecture(sizes).tensors()` to the last bit there (in a batch, to the
        last bit but one: vectorised powers round differently).

        Args:
            sizes: `[..., parameters]` positive sizes, on the grid or between its points.

        Returns:
            A machine of batch shape `[...]`, of the dtype and device of `sizes` and differentiable in them.

        Raises:
            InvalidInput: the last dimension is not the number of parameters.
        """
        self._check(sizes)
        values = self.base.tensors(sizes.dtype, sizes.device)
        batch = sizes.shape[:-1]
        rows: dict[str, list[torch.Tensor]] = {}
        for i, level in enumerate(self.base.levels):
            free = {name: sizes[..., column] for name, column in self._columns.get(level.name, {}).items()}
            resized = self._resize(level, free)
            for name in _LEVEL_FIELDS:
                fixed = getattr(values, name)[i]
                rows.setdefault(name, []).append(resized.get(name, fixed).expand(batch))
        scalars = {name: getattr(values, name).expand(batch) for name in _SCALAR_FIELDS}
        return Machine(**{name: torch.stack(row, dim=-1) for name, row in rows.items()}, **scalars)

    def _resize(self, level: Level, free: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """The `Machine` columns of one level that its free sizes change, each of the shape of the sizes."""
        changed = {name: value for name, value in free.items() if name.startswith("fanout")}
        if "capacity" in free:
            changed["capacity"] = free["capacity"] / level.multiple_buffering
        if "bandwidth" in free:
            changed |= dict.fromkeys(("block_size", "read_bandwidth", "write_bandwidth"), free["bandwidth"])
        if "bandwidth" in free and level.kind == "DRAM":
            words = free["bandwidth"] / level.block_size
            changed |= {name: getattr(level, name) * words for name in ("read_pj", "write_pj", "update_pj")}
        elif "capacity" in free or "bandwidth" in free:
            capacity, width = free.get("capacity", level.capacity), free.get("bandwidth", level.block_size)
            cost = self.technology.memory(level.kind, capacity, level.word_bits, width)
            changed |= cost._asdict()
            changed["update_pj"] = cost.write_pj
            changed["leak_pj"] = cost.leak_pj * (self.base.cycle_s / self.technology.cycle_s)
        return changed

    def architecture(self, sizes: torch.Tensor | Sequence[float]) -> Architecture:
        """The fixed machine of sizes that lie on the grid.

        Args:
            sizes: `[parameters]`.

        Returns:
            The base with these sizes, and with the costs that `machine` gives them.

        Raises:
            InvalidInput: the wrong number of sizes, or a size off its grid.
        """
        sizes = torch.as_tensor(sizes, dtype=torch.float64).detach().cpu()
        self._check(sizes)
        if sizes.dim() != 1:
            raise InvalidInput(f"sizes has shape {tuple(sizes.shape)}; it must be [{len(self.parameters)}]")
        for parameter, value in zip(self.parameters, sizes.tolist(), strict=True):
            if value not in parameter.grid:
                allowed = ", ".join(f"{v:g}" for v in parameter.grid)
                raise InvalidInput(f"size of {parameter.name} is {value:g}; allowed: {allowed}")
        levels = []
        for level in self.base.levels:
            free = {name: sizes[column] for name, column in self._columns.get(level.name, {}).items()}
            changed = {name: float(value) for name, value in self._resize(level, free).items()}
            if "capacity" in free:
                changed["capacity"] = float(free["capacity"])
            whole = {name: int(changed[name]) for name in ("block_size", "fanout_x", "fanout_y") if name in changed}
            levels.append(replace(level, **(changed | whole)))  # type: ignore[arg-type]
        return replace(self.base, levels=tuple(levels))

    def nearest(self, sizes: torch.Tensor) -> torch.Tensor:
        """Grid positions closest to the sizes in logarithm.

        Args:
            sizes: `[..., parameters]` positive sizes.

        Returns:
            `[..., parameters]` positions in each parameter's grid, int64.
        """
        self._check(sizes)
        grid = self._grid.to(sizes)
        return (sizes[..., None].log() - grid.log()).abs().argmin(-1)

    def round(self, sizes: torch.Tensor) -> torch.Tensor:
        """The grid point closest to the sizes in logarithm, parameter by parameter; `[..., parameters]` both."""
        return self.index_to_sizes(self.nearest(sizes)).to(sizes)

    def index_to_sizes(self, index: torch.Tensor) -> torch.Tensor:
        """The sizes at grid positions.

        Args:
            index: `[..., parameters]` positions in each parameter's grid, integers.

        Returns:
            `[..., parameters]` sizes, float64.

        Raises:
            InvalidInput: a position outside its grid, or the wrong number of them.
        """
        self._check(index)
        lengths = self._lengths.to(index.device)
        if bool(((index < 0) | (index >= lengths)).any()):
            raise InvalidInput(f"index is {index.tolist()!r}; each position must be below the length of its grid")
        grid = self._grid.to(index.device)
        return grid.expand(*index.shape, -1).gather(-1, index[..., None]).squeeze(-1)

    def neighbours(self, index: torch.Tensor) -> torch.Tensor:
        """The grid points one step from a point along one parameter.

        Args:
            index: `[parameters]` positions in each parameter's grid.

        Returns:
            `[neighbours, parameters]` positions: at most two a parameter, none beyond the ends of a grid.
        """
        self._check(index)
        steps = torch.eye(len(self.parameters), dtype=index.dtype, device=index.device)
        moved = index + torch.cat([-steps, steps])
        inside = ((moved >= 0) & (moved < self._lengths.to(index.device))).all(-1)
        return moved[inside]

    def sample(self, n: int, generator: torch.Generator | None = None) -> torch.Tensor:
        """Sizes of `n` grid points drawn uniformly and independently, `[n, parameters]`, float64 on the CPU."""
        index = torch.rand(n, len(self.parameters), dtype=torch.float64, generator=generator) * self._lengths
        return self.index_to_sizes(index.long())

    def _check(self, sizes: torch.Tensor) -> None:
        if sizes.dim() == 0 or sizes.shape[-1] != len(self.parameters):
            raise InvalidInput(
                f"sizes has shape {tuple(sizes.shape)}; its last dimension must be the {len(self.parameters)} "
                f"parameters {', '.join(self.names)}"
            )


_SCALAR_FIELDS = ("mac_pj", "mac_area_um2", "cycle_s")
_LEVEL_FIELDS = tuple(f.name for f in fields(Machine) if f.name not in _SCALAR_FIELDS)


def _check_capacities(parameter: Parameter, level: Level) -> None:
    if level.kind == "DRAM":
        raise InvalidInput(f"kind of {level.name!r} is 'DRAM'; a free capacity is allowed for: regfile, SRAM")
    for value in parameter.grid:
        # The relaxed machine does not round down; where nothing is to be rounded it agrees with the exact one.
        if value % level.multiple_buffering:
            raise InvalidInput(
                f"grid of {parameter.name} holds {value:g}; "
                f"its values must be multiples of the level's multiple_buffering of {level.multiple_buffering:g}"
            )
